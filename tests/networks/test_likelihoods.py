import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats

from gen_jax.networks import likelihoods

KEY = jax.random.key(0)
H = jax.random.normal(KEY, (3, 4, 4, 1))
X = jax.random.uniform(jax.random.key(1), (3, 4, 4, 1))


def test_fixed_and_learned_gaussians_are_scipys():
  fixed = likelihoods.Gaussian(sigma=0.3).apply({}, H)
  np.testing.assert_allclose(fixed.log_prob(X), scipy.stats.norm(H, 0.3).logpdf(X), rtol=1e-4)
  learned = likelihoods.LearnedGaussian()
  variables = {'params': {'log_sigma': jnp.log(0.2)}}
  np.testing.assert_allclose(learned.apply(variables, H).log_prob(X), scipy.stats.norm(H, 0.2).logpdf(X), rtol=1e-4)
  assert learned.init(KEY, H)['params']['log_sigma'] == 0


def test_a_laplace_is_scipys_and_an_absolute_error():
  p = likelihoods.Laplace(scale=0.3).apply({}, H)
  np.testing.assert_allclose(p.log_prob(X), scipy.stats.laplace(H, 0.3).logpdf(X), rtol=1e-4)
  samples = jax.vmap(p.sample)(jax.random.split(KEY, 4_000))
  np.testing.assert_allclose(jnp.abs(samples - H[None]).mean(0), 0.3, atol=0.03)  # E|x - h| = b
  np.testing.assert_array_equal(p.mean, H)


def batch_apply(module, variables, h, target):
  """Two devices of an axis named 'batch', half the rows each."""
  split = lambda x: x.reshape(2, -1, *x.shape[1:])
  apply = lambda h, x: module.apply(variables, h, x, mutable=['batch_stats'])
  out, changed = jax.vmap(apply, axis_name='batch')(split(h), split(target))
  return jax.tree.map(lambda x: x.reshape(h.shape), out), jax.tree.map(lambda x: x[0], changed)


def test_the_optimal_sigma_maximizes_the_likelihood_of_the_global_batch():
  module = likelihoods.OptimalGaussian(momentum=0.75)
  h, x = jnp.tile(H, (2, 1, 1, 1)), jnp.concatenate([X, X[::-1] * 0.5])
  out, changed = batch_apply(module, module.init(KEY, h), h, x)
  log_sigmas = np.linspace(-2, 2, 4001)
  sums = [-0.5 * ((x - h) ** 2).sum() * math.exp(-2 * s) - s * h.size for s in log_sigmas]
  assert np.ptp(np.asarray(out.log_sigma)) < 1e-6
  np.testing.assert_allclose(out.log_sigma[0, 0, 0, 0], log_sigmas[int(np.argmax(sums))], atol=1e-3)
  mean_square = float(((x - h) ** 2).mean())
  np.testing.assert_allclose(changed['batch_stats']['variance'], 0.75 + 0.25 * mean_square, rtol=1e-5)


def test_without_a_target_the_optimal_sigma_is_the_running_one():
  module = likelihoods.OptimalGaussian()
  out = module.apply({'batch_stats': {'variance': jnp.float32(0.04)}}, H)
  np.testing.assert_allclose(out.log_sigma, np.full(H.shape, math.log(0.2)), rtol=1e-5)


def test_a_scale_for_every_pixel():
  h = jnp.concatenate([H, jnp.full_like(H, 0.3)], axis=-1)
  out = likelihoods.PixelGaussian().apply({}, h)
  np.testing.assert_array_equal(out.mu, H)
  sigma = likelihoods.MIN_SIGMA + math.log1p(math.exp(0.3))
  np.testing.assert_allclose(jnp.exp(out.log_sigma), np.full(H.shape, sigma), rtol=1e-5)
  extreme = likelihoods.PixelGaussian().apply({}, jnp.full((1, 1, 1, 2), -200.0))
  assert np.isfinite(extreme.log_prob(jnp.zeros((1, 1, 1, 1)))).all()


HEADS_WITH_FLOORS = [
  likelihoods.PixelGaussian(),
  likelihoods.DiscretizedLogistic(),
  likelihoods.DiscretizedLogisticMixture(components=1),
]


@pytest.mark.parametrize('head', HEADS_WITH_FLOORS, ids=lambda head: type(head).__name__)
def test_a_scale_that_has_fallen_below_its_floor_rises_to_the_likeliest_one(head):
  x = jnp.round(255 * (0.5 + 0.1 * jax.random.normal(KEY, (200, 1, 1, 1)))) / 255  # gray values

  def p_of(raw):
    """p(x) of mean .5 and the scale that the decoder's number `raw` stands for."""
    numbers = [0.5, raw] if head.outputs == 2 else [0.0, 0.5, raw]  # of a mixture first the logit of the component
    return head.apply({}, jnp.broadcast_to(jnp.stack([jnp.float32(n) for n in numbers]), (200, 1, 1, len(numbers))))

  nll = jax.jit(lambda raw: -p_of(raw).log_prob(x).mean())
  start = jnp.float32(-10.0)  # of a softplus, and of a logarithm: both below
  assert jax.grad(nll)(start) < -1e-3
  optimizer = optax.adam(0.05, b2=0.9)

  def descend(_, carry):
    raw, state = carry
    update, state = optimizer.update(jax.grad(nll)(raw), state)
    return raw + update, state

  end, _ = jax.jit(lambda: jax.lax.fori_loop(0, 1_000, descend, (start, optimizer.init(start))))()
  best = min(float(nll(jnp.float32(raw))) for raw in np.linspace(-6, 3, 91))
  assert float(nll(end)) < best + 0.002


def test_bits_per_dim_of_discrete_data():
  # a uniform distribution over 256 values has 8 bits a dimension, over 2 values 1 bit
  log_prob = jnp.full(3, -48 * math.log(256))
  for module in (likelihoods.DiscretizedLogistic, likelihoods.DiscretizedLogisticMixture, likelihoods.Categorical):
    np.testing.assert_allclose(module().bits_per_dim(log_prob, 48), np.full(3, 8.0), rtol=1e-6)
  coin = jnp.full(3, -48 * math.log(2))
  np.testing.assert_allclose(likelihoods.Bernoulli(binary=True).bits_per_dim(coin, 48), np.full(3, 1.0), rtol=1e-6)
  assert likelihoods.Bernoulli().bits_per_dim(coin, 48) is None


@pytest.mark.parametrize('width', [1.0, 2.0])
def test_bits_per_dim_of_dequantized_data(width):
  # the uniform density on the model's range is 8 bits a dimension, whatever the range
  log_prob = jnp.full(3, -48 * math.log(width))
  for module in (likelihoods.Gaussian, likelihoods.Laplace, likelihoods.LearnedGaussian, likelihoods.PixelGaussian):
    results = module(bin_width=width / 256).bits_per_dim(log_prob, 48)
    np.testing.assert_allclose(results, np.full(3, 8.0), rtol=1e-6)
    assert module().bits_per_dim(log_prob, 48) is None


def test_categorical_reads_the_logits_of_each_channel():
  module = likelihoods.Categorical(levels=3)
  h = jnp.arange(12.0).reshape(1, 1, 2, 6)  # two pixels of two channels
  assert module.outputs == 3
  np.testing.assert_array_equal(module.apply({}, h).logits[0, 0, 1], [[6, 7, 8], [9, 10, 11]])


@pytest.mark.parametrize(('channels', 'components', 'outputs'), [(1, 5, 15), (3, 10, 34), (2, 3, 9)])
def test_the_mixture_reads_every_number_once(channels, components, outputs):
  module = likelihoods.DiscretizedLogisticMixture(components, channels)
  assert module.outputs == outputs
  h = 0.1 + jnp.arange(channels * outputs) / 100
  p = module.apply({}, h)
  assert (p.logits.shape, p.mu.shape) == ((components,), (channels, components))
  coefficients = np.asarray(p.coefficients)
  below = np.tril(np.ones((channels, channels), bool), -1)
  assert (coefficients[~below] == 0).all()
  raw_scale = likelihoods.MIN_LOG_SCALE + np.log(np.expm1(np.asarray(p.log_scale.ravel()) - likelihoods.MIN_LOG_SCALE))
  read = np.concatenate([p.logits, p.mu.ravel(), raw_scale, np.arctanh(coefficients[below]).ravel()])
  np.testing.assert_allclose(read, h[: len(read)], rtol=1e-3)
  assert 0 <= len(h) - len(read) < channels  # nothing is left but what rounding up adds


def test_gradients_at_the_floors_of_sigma_are_numbers():
  def per_pixel(raw):
    h = jnp.stack([jnp.zeros((1, 1, 1)), jnp.full((1, 1, 1), raw)], axis=-1)
    return likelihoods.PixelGaussian().apply({}, h).log_prob(jnp.ones((1, 1, 1, 1))).sum()

  for raw in (-200.0, -120.0, 0.0, 50.0):
    assert np.isfinite(jax.jit(jax.grad(per_pixel))(raw))

  def optimal(scale):
    module = likelihoods.OptimalGaussian()
    apply = lambda h: module.apply(module.init(KEY, h), h, X, mutable=['batch_stats'])[0].log_prob(X).sum()
    return jax.vmap(apply, axis_name='batch')(X[None] * scale).sum()

  assert all(np.isfinite(jax.jit(jax.grad(optimal))(scale)) for scale in (1.0, 0.5))
