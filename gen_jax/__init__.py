"""Deep generative models in JAX and Flax.

  run = gen_jax.load('runs/beta_vae')
  run.sample(16), run.encode(images), run.decode(z), run.reconstruct(images), run.traverse(image, latent=0)

  gen_jax.train(config, 'runs/mine')     # a config of `gen_jax.config.common`, or an experiment's `get_config()`
"""


def load(workdir, checkpoint='best', trust=False, ema_width=None):
  """The run in `workdir`, at its 'best' or 'last' checkpoint or at a step; see `gen_jax.runs.Run`.

  A model class of one's own is found where it stood, and runs its program: see `gen_jax.runs.programs`, also for what
  `trust` allows. `ema_width`: in place of that of its config. UserError where there is no such run.
  """
  from gen_jax import runs  # `import gen_jax` need not wait for it

  return runs.load(workdir, str(checkpoint), trust=trust, ema_width=ema_width)


def train(config, workdir):
  """Trains, evaluates and draws the run of `config` into `workdir`, or resumes it; see `gen_jax.app.modes.train`.

  Returns the finished run. Raises `gen_jax.errors.Interrupted`, a KeyboardInterrupt, where a signal has stopped it,
  after it has been saved.
  """
  from gen_jax.app import modes
  from gen_jax.config import with_names
  from gen_jax.runs.workdir import with_current_names

  return modes.train(with_current_names(with_names(config)), workdir)
