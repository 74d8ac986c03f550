"""Data sets, their order, and preprocessing."""
