"""Arrays in, matplotlib or HTML out; knows no run."""
