import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from sources import KnownSource, padded_batches

from gen_jax import models, networks
from gen_jax.config import common
from gen_jax.data.dataset import from_arrays
from gen_jax.evaluation import evaluate
from gen_jax.evaluation import ode_likelihood as module
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.ode_likelihood import ode_likelihood
from gen_jax.evaluation.source import Source

CENTER, DEVIATION = 0.1, 0.2


class OfGaussian(nn.Module):
  """The exact denoiser of independent Gaussian values, whose mean is taken away before."""

  image_shape: tuple[int, ...]

  def denoiser_of(self, batch, settings):
    assert settings.guidance == 1
    return lambda x, sigma: x * DEVIATION**2 / (DEVIATION**2 + sigma**2)

  def ends(self):
    return 0.002, 80.0

  @property
  def mean(self):
    return jnp.full((1, 1, 1, 1), CENTER)


def values_of(model, images, gray_bin, variables=None):
  source = KnownSource(padded_batches(padding=3, image=np.array(images, np.float32)), name='given')
  source.gray_bin, source.examples = gray_bin, 0
  return dict(ode_likelihood(BoundModel(model, variables or {}), source))


def gaussian_images(shape):
  return np.random.default_rng(0).normal(CENTER, DEVIATION, shape)


def test_of_points_it_is_the_exact_density():
  x = gaussian_images((40, 1, 1, 2))
  values = values_of(OfGaussian((1, 1, 2)), x, None)
  exact = scipy.stats.norm(CENTER, DEVIATION).logpdf(x).sum((1, 2, 3))
  np.testing.assert_allclose(values['ode_nll_each'], -exact, atol=2e-3)
  assert values['ode_nll'] == pytest.approx(-exact.mean(), abs=1e-3)
  assert values['ode_nll_stderr'] == pytest.approx(scipy.stats.sem(exact), rel=1e-2)
  assert values['ode_examples'] == 40 and not {'ode_bits_per_dim', 'ode_probe_sd'} & set(values)


@pytest.mark.parametrize('filled', [False, True])
def test_of_gray_values_it_bounds_their_probability(filled):
  # values from -1 to 1: dequantized they fill 256 bins, otherwise the first and the last bin lie half outside
  width = 2 / 256 if filled else 2 / 255
  x, rng = gaussian_images((200, 3, 2, 1)), np.random.default_rng(1)
  centers = (np.floor((x + 1) / width) + 0.5) * width - 1 if filled else np.round((x + 1) / width) * width - 1
  images = centers + width * (rng.uniform(size=x.shape) - 0.5) if filled else centers
  values = values_of(OfGaussian((3, 2, 1)), images, (width, filled))
  p = scipy.stats.norm(CENTER, DEVIATION)
  exact = np.log(p.cdf(centers + width / 2) - p.cdf(centers - width / 2)).sum((1, 2, 3))
  np.testing.assert_allclose(values['ode_nll_each'], -exact, atol=0.25)  # one draw of the noise
  assert values['ode_nll'] == pytest.approx(-exact.mean(), abs=0.02)
  assert values['ode_bits_per_dim'] == pytest.approx(-exact.mean() / 6 / np.log(2), abs=5e-3)
  assert values['ode_probe_sd'] < 1e-3  # its Jacobian is diagonal, of which random signs give the trace exactly


class OfValues(nn.Module):
  """The network of a VDM with the exact denoiser of independent values."""

  probabilities: tuple[float, ...]

  @nn.compact
  def __call__(self, z, noise, labels, rows, train):
    sigma = jnp.exp(4 * noise)[:, None, None, None]
    x, n = z * jnp.sqrt(1 + sigma**2), len(self.probabilities)
    values = jnp.linspace(-1, 1, n).reshape(1, 1, 1, 1, n)
    logits = jnp.log(jnp.array(self.probabilities)).reshape(values.shape)
    logits = logits - 0.5 * ((x[..., None] - values) / sigma[..., None]) ** 2
    return (x - (jax.nn.softmax(logits) * values).sum(-1)) / sigma - z


def test_of_a_vdm_it_is_what_its_decoder_says_of_the_first_noise_level():
  probabilities = (0.2, 0.5, 0.3)
  schedule = networks.LinearSchedule(-5.0, 9.0)
  model = models.VDM(OfValues(probabilities), schedule, (2, 1, 1), 3, fourier=(), grid='path')
  which = np.random.default_rng(2).choice(3, (300, 2, 1, 1), p=probabilities)
  exact = np.log(probabilities)[which].sum((1, 2, 3))
  values = values_of(model, which - 1.0, (1.0, False))
  np.testing.assert_allclose(values['ode_nll_each'], -exact, atol=0.03)
  assert values['ode_nll'] == pytest.approx(-exact.mean(), abs=5e-3)


def test_images_are_a_few_of_the_split(monkeypatch):
  asked = []
  source = KnownSource(lambda examples: asked.append(examples) or padded_batches(image=np.zeros((4, 1, 1, 1), 'f4'))())
  monkeypatch.setattr(module, 'STEPS', 3)
  for gray_bin, examples in (((0.1, False), 0), ((0.1, False), 7), ((0.1, False), 10_000), (None, 0)):
    source.gray_bin, source.examples = gray_bin, examples
    list(ode_likelihood(BoundModel(OfGaussian((1, 1, 1)), {}), source))
  assert asked == [module.EXAMPLES, 7, module.EXAMPLES, 0]


def test_the_bin_of_a_gray_value():
  data, config = from_arrays({'image': np.zeros((2, 3, 3, 1), np.uint8)}), common()
  config.data.value_range = (-1.0, 1.0)
  assert Source.of(config, data).gray_bin == (2 / 255, False)
  config.data.dequantize = True
  assert Source.of(config, data).gray_bin == (2 / 256, True)
  config.data.update({'dequantize': False, 'binarize': 'dynamic', 'value_range': (0.0, 1.0)})
  assert Source.of(config, data).gray_bin == (1.0, False)


def test_other_models_are_refused():
  vae = models.VAE(networks.MLPEncoder(), networks.MLPDecoder(), networks.Bernoulli(), (2, 2, 1), 2)
  line, = evaluate.problems('ode_likelihood', vae, KnownSource())
  assert 'denoiser_of' in line and 'VAE' in line
