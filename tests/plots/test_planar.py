import io

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from scipy.special import expit

from gen_jax.plots import canvas, planar

REAL = np.random.default_rng(0).normal((1.0, -1.0), (1.0, 0.2), (500, 2))
EXTENT = (-1.0, 2.0, 0.0, 3.0)


def offsets(axes, label):
  collection = next(collection for collection in axes.collections if collection.get_label() == label)
  return np.asarray(collection.get_offsets())


def frames_of(number):
  """PNGs that differ in every pixel."""
  images = [np.full((30, 40, 3), 20 * i, np.uint8) for i in range(number)]
  for image in images:
    image[:, :3] = np.random.default_rng(0).integers(0, 256, (30, 3, 3))
  data = []
  for image in images:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, 'PNG')
    data.append(buffer.getvalue())
  return images, data


def test_the_extent_is_a_square_around_the_points():
  left, right, bottom, top = planar.extent_of(REAL)
  assert right - left == pytest.approx(top - bottom)
  assert right - left == pytest.approx(1.3 * np.ptp(np.percentile(REAL[:, 0], (0.1, 99.9))))
  stray = np.concatenate([np.tile(REAL, (4, 1)), [[1e6, 1e6]]])
  np.testing.assert_allclose(planar.extent_of(stray), (left, right, bottom, top), atol=0.6)
  assert len(set(planar.extent_of(np.ones((5, 2))))) == 2  # even of one place


def test_the_lattice_grows_right_then_up():
  np.testing.assert_allclose(planar.lattice(EXTENT, 2), [[-1, 0], [2, 0], [-1, 3], [2, 3]])


def test_samples_lie_over_their_target():
  fake = np.concatenate([REAL[:97], [[50.0, 0.0], [0.0, -50.0], [np.nan, 0.0]]])
  figure = planar.samples_over_target(REAL, fake, 'Step 7')
  axes = figure.axes[0]
  np.testing.assert_array_equal(offsets(axes, 'real'), REAL)
  assert len(offsets(axes, 'generated')) == 100
  assert axes.get_title(loc='left') == 'Step 7'
  assert (*axes.get_xlim(), *axes.get_ylim()) == planar.extent_of(REAL)
  assert [text.get_text() for text in axes.texts] == ['3.0% of the samples lie outside']
  canvas.png(figure)


def test_a_share_that_would_be_shown_as_nothing_is_not():
  fake = np.concatenate([np.tile(REAL[250:251], (2_999, 1)), [[50.0, 0.0]]])
  assert not planar.samples_over_target(REAL, fake).axes[0].texts


def test_a_frame_can_be_given():
  axes = planar.samples_over_target(REAL, REAL, extent=EXTENT).axes[0]
  assert (*axes.get_xlim(), *axes.get_ylim()) == EXTENT


def test_the_surface_is_the_sigmoid_of_the_logits():
  x = planar.lattice(EXTENT, 50)[:, 0]
  figure = planar.surface((3 * x).reshape(50, 50), EXTENT, REAL, REAL)
  axes = figure.axes[0]
  filled, half = axes.collections[:2]
  np.testing.assert_allclose(filled.levels, np.linspace(0, 1, 21))
  assert filled.zmax == pytest.approx(expit(6))
  np.testing.assert_allclose(half.get_paths()[0].vertices[:, 0], 0, atol=1e-4)  # where the logit is 0
  canvas.png(figure)


def test_the_surface_of_a_critic_is_its_score():
  y = planar.lattice(EXTENT, 20)[:, 1]
  filled = planar.surface((100 * y).reshape(20, 20), EXTENT, REAL, REAL, critic=True).axes[0].collections[0]
  assert (filled.levels[0], filled.levels[-1]) == (0, 300)


@pytest.mark.parametrize('critic', [False, True])
def test_a_constant_surface_can_be_drawn(critic):
  canvas.png(planar.surface(np.full((10, 10), 1e4), EXTENT, REAL, REAL, critic=critic))


def test_rings_and_rays_cut_the_normal_evenly():
  lines = planar.noise_lines(rings=4, spokes=8, resolution=50)
  assert lines.shape == (12, 50, 2)
  radii = np.linalg.norm(lines[:4], axis=-1)
  np.testing.assert_allclose(radii, radii[:, :1].repeat(50, axis=1), rtol=1e-6)
  np.testing.assert_allclose(stats.chi2(2).cdf(radii[:, 0] ** 2), [0.25, 0.5, 0.75, 0.99], rtol=1e-5)
  np.testing.assert_allclose(lines[:4, 0], lines[:4, -1], atol=1e-6)  # closed
  np.testing.assert_allclose(lines[4:, 0], 0)
  ends = lines[4:, -1] @ [1, 1j] / radii[-1, 0]
  np.testing.assert_allclose(ends, np.exp(2j * np.pi * np.arange(8) / 8), atol=1e-6)


def test_places_keep_their_colors_under_the_map():
  lines = planar.noise_lines(rings=3, spokes=4, resolution=30)
  z = np.random.default_rng(0).normal(size=(200, 2))
  figure = planar.transform(lines, 2 * lines + 1, z, 2 * z + 1)
  left, right = figure.axes
  for axes, places, ends in ((left, z, lines), (right, 2 * z + 1, 2 * lines + 1)):
    dots, segments = axes.collections
    np.testing.assert_allclose(np.asarray(dots.get_offsets()), places)
    np.testing.assert_allclose(segments.get_segments()[:29], np.stack([ends[0, :-1], ends[0, 1:]], axis=1), rtol=1e-5)
    np.testing.assert_array_equal(dots.get_facecolor()[:, :3], planar.place_colors(z))
  assert (*right.get_xlim(), *right.get_ylim()) == planar.extent_of(2 * z + 1)
  canvas.png(figure)


def test_colors_differ_by_place():
  colors = planar.place_colors(planar.noise_lines(rings=3, spokes=4, resolution=9))
  assert colors.min() >= 0 and colors.max() <= 1
  rays = colors[3:]
  assert len(np.unique(rays[:, -1].round(3), axis=0)) == 4
  assert (np.diff(rays.max(-1) - rays.min(-1), axis=1) > 0).all()  # paler towards the middle


def test_an_animation_holds_every_frame_and_shows_the_last_where_it_stands_still():
  images, data = frames_of(4)
  with Image.open(io.BytesIO(planar.animation(data, seconds=0.2, pause=1.5))) as moving:
    assert moving.format == 'PNG'
    assert moving.n_frames == 5 and moving.default_image
    for frame, (image, duration) in enumerate([(images[-1], None), *zip(images, (200, 200, 200, 1500), strict=True)]):
      moving.seek(frame)
      np.testing.assert_array_equal(np.asarray(moving.convert('RGB')), image)
      assert moving.info.get('duration') == duration


@pytest.mark.parametrize('number', [1, 2, 5])
def test_a_strip_has_a_square_for_each_step(number):
  real = np.random.default_rng(0).normal(size=(50, 2))
  by_step = {1000 * (i + 1): real + i for i in range(number)}
  figure = planar.strip(real, by_step, (-9, 9, -9, 9), 'Training')
  assert len(figure.axes) == number
  for axes, (step, fake) in zip(figure.axes, by_step.items(), strict=True):
    assert axes.get_title(loc='left') == f'Step {step:,}'
    for dots, points in zip(axes.collections, (real, fake), strict=True):
      np.testing.assert_allclose(np.asarray(dots.get_offsets()), points)
  canvas.png(figure)
  for text in (figure._suptitle, *(axes._left_title for axes in figure.axes)):
    assert text.get_window_extent().x1 <= figure.bbox.x1
