"""What a trained model says of an image in a few numbers, from which scores of outliers are made."""

import zlib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.distributions import Normal
from gen_jax.types import Batch

SAMPLES = 16  # z of each image


def code_statistics(model: nn.Module, batch: Batch) -> dict[str, jax.Array]:
  """{'code': the mean of q(z|x) [B,D], 'hidden': the encoder's last hidden layer [B,H]}, where the model has them."""
  if not hasattr(model, 'encode'):
    return {}
  module, variables = model.unbind()
  rngs = {'noise': model.make_rng('noise')}
  code, sown = module.apply(variables, batch, rngs=rngs, method='encode', mutable='intermediates')
  hidden = jax.tree.leaves(sown.get('intermediates', {}).get('encoder', {}))
  return {'code': code} | ({'hidden': hidden[-1]} if hidden else {})


def model_statistics(model: nn.Module, batch: Batch) -> dict[str, jax.Array]:
  """{name: [B] or [B,S]} of what the model has methods for; and those of `code_statistics`.

  residual: ||x - x_hat||, of the reconstruction from the mean code. code_norm: the norm of the mean of q(z|x), and
  scale_norm, ||sigma||. elbo and log_p: the bounds of log p(x) by 16 samples, nats, averaged as logarithms and as they
  are; log_p alone, and exact, where the model has it. log_likelihood and kl: E log p(x|z) and KL(q(z|x) || p(z)), of
  one z. logit: of being real. Of a model that has `outlier_statistics`, those alone.
  """
  has = lambda name: hasattr(model, name)
  if has('outlier_statistics'):
    return model.outlier_statistics(batch)
  statistics: dict[str, Any] = {}
  if has('reconstruct'):
    statistics['residual'] = jnp.sqrt(((batch['image'] - model.reconstruct(batch)) ** 2).sum((1, 2, 3)))
  if has('encode'):
    statistics |= code_statistics(model, batch)
    statistics['code_norm'] = jnp.linalg.norm(statistics['code'], axis=-1)
  if has('posterior') and isinstance(q := model.posterior(batch), Normal):
    statistics['scale_norm'] = jnp.linalg.norm(jnp.exp(q.log_sigma), axis=-1)
  if has('log_prob'):
    statistics['log_p'] = model.log_prob(batch)
  elif has('log_weights'):
    log_weights = model.log_weights(batch, model.make_rng('noise'), SAMPLES)
    statistics['elbo'] = log_weights.mean(0)
    statistics['log_p'] = jax.nn.logsumexp(log_weights, axis=0) - jnp.log(SAMPLES)
  if {'reconstruction', 'kl'} <= getattr(getattr(type(model), 'per_example', None), 'metrics', {}).keys():
    terms = model.per_example(batch)
    statistics |= {'log_likelihood': -terms['reconstruction'], 'kl': terms['kl']}
  if has('logits'):
    statistics['logit'] = model.logits(batch)
  return statistics


def complexity(images: np.ndarray) -> np.ndarray:
  """The bits of each image uint8 [N,H,W,C] by zlib, after Paeth's filter as in PNG, [N]."""
  x = np.pad(images.astype(np.int16), ((0, 0), (1, 0), (1, 0), (0, 0)))
  left, up, corner = x[:, 1:, :-1], x[:, :-1, 1:], x[:, :-1, :-1]
  guess = left + up - corner
  d_left, d_up, d_corner = (np.abs(guess - part) for part in (left, up, corner))
  nearest = np.where((d_left <= d_up) & (d_left <= d_corner), left, np.where(d_up <= d_corner, up, corner))
  filtered = (images - nearest).astype(np.uint8)  # modulo 256
  return np.array([8.0 * len(zlib.compress(image.tobytes(), 9)) for image in filtered])
