"""Likelihood regret: how much better an encoder that sees one image alone would do (Xiao et al., 2020)."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from gen_jax.types import Batch

STEPS, LEARNING_RATE, MOMENTUM = 100, 2e-4, 0.5  # of Adam, as in the paper's code
SAMPLES = 200  # z that estimate log p(x), before and after
AT_ONCE = 16  # images whose encoders are in memory


def likelihood_regret(model: nn.Module, batch: Batch) -> jax.Array:
  """log p(x) by the best q(z|x) for the image, less that by the trained encoder's, nats [B].

  A copy of the encoder for each image takes 100 steps of Adam that raise the ELBO of this image, all else fixed; log
  p(x) is the importance weighted bound by 200 samples before and after, the same noise.
  """
  module, variables = model.unbind()
  key = model.make_rng('noise')
  optimizer = optax.adam(LEARNING_RATE, b1=MOMENTUM)

  def log_weights(encoder: dict, one: Batch, key: jax.Array, samples: int) -> jax.Array:
    """[samples] of one image."""
    params = {**variables['params'], 'encoder': encoder}
    weights = module.apply({**variables, 'params': params}, one, key, samples, rngs=key, method='log_weights')
    return weights[:, 0]

  def of_image(one: Batch) -> jax.Array:
    """The regret of one image, []."""
    one = jax.tree.map(lambda x: x[None], one)
    trained = variables['params']['encoder']

    def step(state, i):
      encoder, memory = state
      loss = lambda encoder: -log_weights(encoder, one, jax.random.fold_in(key, i), 1).mean()
      updates, memory = optimizer.update(jax.grad(loss)(encoder), memory)
      return (optax.apply_updates(encoder, updates), memory), None

    (best, _), _ = jax.lax.scan(step, (trained, optimizer.init(trained)), jnp.arange(STEPS))
    bound = functools.partial(log_weights, one=one, key=jax.random.fold_in(key, STEPS), samples=SAMPLES)
    return jax.nn.logsumexp(bound(best)) - jax.nn.logsumexp(bound(trained))

  used = {name: batch[name] for name in ('image', 'row')}
  return jax.lax.map(of_image, used, batch_size=AT_ONCE)
