"""The same models here and in PyTorch, side by side: `python tests/benchmarks/compare.py`."""
