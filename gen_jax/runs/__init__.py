"""Workdirs, and the runs in them."""

from gen_jax.runs.run import Run as Run
from gen_jax.runs.run import load as load
