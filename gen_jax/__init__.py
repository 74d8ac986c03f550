"""Deep generative models in JAX and Flax.

  run = gen_jax.load('runs/beta_vae')
  run.sample(16), run.encode(images), run.decode(z), run.reconstruct(images), run.traverse(image, latent=0)

  gen_jax.train(config, 'runs/mine')     # a config of `gen_jax.config.common`, or an experiment's `get_config()`
"""


def load(workdir, checkpoint='best'):
  """The run in `workdir`, at its 'best' or 'last' checkpoint or at a step; see `gen_jax.runs.Run`."""
  from gen_jax import runs  # `import gen_jax` need not wait for it

  return runs.load(workdir, str(checkpoint))


def train(config, workdir):
  """Trains, evaluates and draws the run of `config` into `workdir`, or resumes it; see `gen_jax.app.modes.train`.

  Returns the finished run, None where a signal stopped it.
  """
  from gen_jax.app import modes

  return modes.train(config, workdir)
