"""Deep generative models in JAX and Flax."""


def load(workdir, checkpoint='best'):
  """The run in `workdir`: `.config`, `.model`, `.state`, `.verbs()`; see `gen_jax.runs.load`."""
  from gen_jax import runs  # heavy: `launch.py --help` need not wait for it

  return runs.load(workdir, checkpoint)
