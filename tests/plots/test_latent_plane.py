import numpy as np
import pytest
from scipy import stats

from gen_jax.plots import latent_plane
from gen_jax.plots.canvas import png


def decode(z):
  """The first pixel says z0, the second z1."""
  return np.clip(100 + 10 * z, 0, 255).astype(np.uint8).reshape(-1, 1, 2, 1)


def test_prior_quantiles_split_the_prior_evenly():
  np.testing.assert_allclose(stats.norm.cdf(latent_plane.prior_quantiles(5)), [0.1, 0.3, 0.5, 0.7, 0.9])


def test_code_range_leaves_out_the_stray():
  codes = np.stack([np.arange(101.0), 1000 + 2 * np.arange(101.0)], axis=1)
  x, y = latent_plane.code_range(codes, 3)
  np.testing.assert_allclose(x, [1, 50, 99])
  np.testing.assert_allclose(y, [1002, 1100, 1198])
  x, y = latent_plane.code_range(np.array([[3.0, 7.0]]), 3)
  np.testing.assert_allclose([x, y], [[2, 3, 4], [6, 7, 8]])


def test_decoded_plane_grows_right_and_up():
  images = latent_plane.decode_plane(decode, np.array([-2.0, 0, 2.0]), np.array([-5.0, 5.0]))
  assert images.shape == (2, 3, 1, 2, 1)
  np.testing.assert_array_equal(images[..., 0, 0, 0], [[80, 100, 120]] * 2)
  np.testing.assert_array_equal(images[..., 0, 1, 0], [[150] * 3, [50] * 3])


@pytest.mark.parametrize('classes', [1, 3, 20])
def test_planes_show_codes_of_every_model(classes):
  rng = np.random.default_rng(0)
  codes, labels = rng.normal(size=(60, 2)), np.arange(60) % classes
  x = np.linspace(-3, 3, 4)
  vae = latent_plane.Plane('VAE', codes, labels, x, x, latent_plane.decode_plane(decode, x, x))
  ae = vae._replace(title='AE', codes=10 * codes, labels=None, prior=False)
  figure = latent_plane.planes([ae, vae])
  assert len(figure.axes) == 4
  assert [axes.get_title(loc='left') for axes in figure.axes[:2]] == ['AE', 'VAE']
  np.testing.assert_array_equal(np.asarray(figure.axes[1].collections[0].get_offsets()), codes)
  radii = {round(float(np.hypot(*line.get_data())[0]), 6) for line in figure.axes[1].lines}
  assert {1.0, 2.0} <= radii
  assert len(figure.axes[0].lines) == 1  # no circles without a prior, only the frame
  low, high = figure.axes[1].get_xlim()
  assert low < -3
  assert high > 3
  named = {text.get_text() for text in figure.axes[1].texts} - {'1$\\sigma$', '2$\\sigma$'}
  assert named == ({'0', '1', '2'} if classes == 3 else set())
  png(figure)


def test_codes_carry_the_names_of_their_classes():
  x, labels = np.linspace(-3, 3, 4), np.arange(60) % 3
  codes = np.random.default_rng(0).normal(size=(60, 2))
  decoded = latent_plane.decode_plane(decode, x, x)
  names = ('cat', 'dog', 'emu')
  figure = latent_plane.planes([latent_plane.Plane('VAE', codes, labels, x, x, decoded, names=names)])
  places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
  for c, name in enumerate(names):
    np.testing.assert_allclose(places[name], np.median(codes[labels == c], axis=0))


def test_ticks_of_the_decoded_plane_stand_where_the_values_are():
  x, y = np.linspace(-2, 2, 9), latent_plane.prior_quantiles(15)
  decoded = latent_plane.decode_plane(decode, x, y)
  figure = latent_plane.planes([latent_plane.Plane('m', np.zeros((3, 2)), None, x, y, decoded)])
  axes = figure.axes[1]
  png(figure)
  for axis, values in ((axes.xaxis, x), (axes.yaxis, y)):
    ticks = dict(zip([t.get_text() for t in axis.get_ticklabels()], axis.get_ticklocs(), strict=True))
    assert ticks['$0$'] == pytest.approx(len(values) / 2)  # zero in the middle
    assert ticks['$1$'] > ticks['$0$'] > ticks['$-1$']
  assert (
    dict(zip([t.get_text() for t in axes.get_xticklabels()], axes.get_xticks(), strict=True))['$2$'] == 8.5
  )
