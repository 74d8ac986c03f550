"""log p(x) of diffusion models by their probability-flow ODE."""

import functools
import math
from collections.abc import Callable, Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.diffusion.likelihood import exact_probes, log_probs, rademacher_probes
from gen_jax.diffusion.settings import Settings
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import methods, needs
from gen_jax.evaluation.source import Source, collect
from gen_jax.metrics import Metric, measures
from gen_jax.randomness import row_keys
from gen_jax.types import Batch

STEPS, PROBES, EXAMPLES = 64, 4, 512  # of images
STEPS_OF_POINTS = 256


def flow_log_probs(
  model: nn.Module, batch: Batch, gray_bin: tuple[float, bool] | None, steps: int
) -> tuple[jax.Array, jax.Array]:
  """(log p(z) [B,P] of z ~ q(z|x) with each probe, log P(x|z) - log q(z|x) [B]); without bins z is x, and P = D exact.

  log P(x) >= E log p(z) + log P(x|z) - log q(z|x) (Ho et al., 2019, eq. 12), where q is the model's own, or the uniform
  distribution over the bin of a gray value, which dequantized data have drawn from already.
  """
  noise_key, probe_key = jax.random.split(model.make_rng('noise'))
  z, rows = batch['image'], batch['row']
  shape, correction = z.shape[1:], jnp.zeros(len(z))
  if gray_bin and hasattr(model, 'dequantize'):
    z, correction = model.dequantize(batch, noise_key)
  elif gray_bin:
    width, filled = gray_bin
    correction += math.prod(shape) * math.log(width)
    if not filled:
      u = jax.vmap(lambda key: jax.random.uniform(key, shape))(row_keys(noise_key, rows))
      z = z + width * (u - 0.5)
  probes = rademacher_probes(probe_key, rows, shape, PROBES) if gray_bin else exact_probes(len(z), shape)
  denoise = model.denoiser_of(batch, Settings())
  return log_probs(denoise, z - model.mean, probes, *model.ends(), steps).T, correction


@functools.cache
def estimator(**options) -> Callable:
  """One function for the same options, so that it is compiled once."""
  return functools.partial(flow_log_probs, **options)


@measures({
  'ode_nll': Metric(
    '-log p(x), or p(x|y), of the probability flow; of images bounded from above', 'nats', 'lower', True
  ),
  'ode_nll_stderr': Metric('standard error over the examples', beside='ode_nll'),
  'ode_bits_per_dim': Metric(
    '-log p(x), or p(x|y), of the probability flow in bits for each channel of each pixel', 'bits/dim', 'lower'
  ),
  'ode_probe_sd': Metric('the deviation of ode_nll between random probes of its divergence', 'nats'),
  'ode_examples': Metric('how many examples ode_nll is of'),
})
@needs(methods('denoiser_of'))
def ode_likelihood(model: BoundModel, source: Source) -> Iterator[tuple[str, float | np.ndarray]]:
  """-log p(x) by the probability-flow ODE (Song et al., 2021): of points exact, of images an upper bound of -log P(x).

  Of a conditional model it is -log p(x|y), with the label of each example.
  It is the density of another model than that of a variational bound, which is of the SDE: with an estimated denoiser
  neither bounds the other. Gray values are made continuous by noise: that of z_0 where the model is a VDM, that which
  data.dequantize has added, or else uniform noise in a bin, added here. Of images the first `EXAMPLES` of the split,
  with `PROBES` probes each; `ode_nll_each`: one number for each of them, [N].
  """
  gray_bin = source.gray_bin
  options = {'gray_bin': gray_bin, 'steps': STEPS if gray_bin else STEPS_OF_POINTS}
  examples = min(source.examples or EXAMPLES, EXAMPLES) if gray_bin else source.examples
  estimate = functools.partial(model.compute, estimator(**options))
  log_p, correction = collect(source.batches(examples), estimates=estimate)['estimates']
  each = -(log_p.astype(np.float64).mean(1) + correction)
  yield 'ode_nll', float(each.mean())
  if len(each) > 1:
    yield 'ode_nll_stderr', float(each.std(ddof=1) / math.sqrt(len(each)))
  if gray_bin:
    yield 'ode_bits_per_dim', float(each.mean() / (math.prod(model.module.image_shape) * math.log(2)))
    yield 'ode_probe_sd', float(log_p.std(1, ddof=1).mean())
  yield 'ode_examples', float(len(each))
  yield 'ode_nll_each', each
