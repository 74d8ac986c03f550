"""The tiny runs that these tests share."""

from tiny_runs import run_of as run_of
