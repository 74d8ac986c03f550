import numpy as np
import pytest

from gen_jax.plots import traversals
from gen_jax.plots.canvas import png


class Spy:
  """A decoder that remembers its codes and paints each image in the gray 100 + 10 sum(z)."""

  def __init__(self):
    self.codes = []

  def __call__(self, z):
    self.codes.append(np.array(z))
    gray = np.clip(100 + 10 * np.sum(z, axis=1), 0, 255).astype(np.uint8)
    return np.tile(gray[:, None, None, None], (1, 3, 3, 1))


def test_traversal_moves_one_latent_at_a_time():
  spy, code, dims, values = Spy(), np.array([0.5, -1.0, 2.0, 0.25]), [2, 0], np.array([-3.0, 0.0, 3.0])
  images = traversals.traversal(spy, code, dims, values)
  assert images.shape == (2, 3, 3, 3, 1)
  z = np.concatenate(spy.codes).reshape(2, 3, 4)
  for i, d in enumerate(dims):
    np.testing.assert_array_equal(z[i, :, d], values)
    others = [k for k in range(4) if k != d]
    np.testing.assert_array_equal(z[i][:, others], np.tile(code[others], (3, 1)))
  # sum of [.5, -1, 3, .25]
  assert images[0, 2, 0, 0, 0] == int(100 + 10 * 2.75)


def test_traversal_takes_values_for_each_dim():
  spy = Spy()
  traversals.traversal(spy, np.zeros(3), [0, 2], np.array([[1.0, 2.0], [30.0, 40.0]]))
  np.testing.assert_array_equal(spy.codes[0], [[1, 0, 0], [2, 0, 0], [0, 0, 30], [0, 0, 40]])


def test_there_is_a_way_along_the_sphere_but_for_one_latent_opposite_codes_and_the_origin():
  x, y = np.array([1.0, 0.0]), np.array([0.0, 2.0])
  assert traversals.has_arc(x, y) and traversals.has_arc(x, x) and traversals.has_arc(x, np.array([-1.0, 1e-3]))
  for start, end in ((x, -2 * x), (x, 0 * x), (x[:1], x[:1]), (x[:1], -x[:1])):
    assert not traversals.has_arc(start, end)


def test_figure_sorts_by_kl_and_marks_the_start():
  spy, code, kl = Spy(), np.array([1.0, 0.0, -1.5]), np.array([0.1, 4.2, 2.0])
  figure = traversals.traversal_figure(
    spy, code, kl, rows=2, sigmas=(-1, 0, 1), mean=[0, 0, 10], std=[1, 1, 2]
  )
  labels = [text.get_text() for text in figure.texts]
  assert labels[1:3] == ['z1  KL 4.2 nats', 'z2  KL 2.0 nats']
  moved = spy.codes[0].reshape(2, 3, 3)
  np.testing.assert_array_equal(moved[0, :, 1], [-1, 0, 1])
  np.testing.assert_array_equal(moved[1, :, 2], [8, 10, 12])
  np.testing.assert_array_equal(spy.codes[1], code[None])
  canvas = figure.axes[0].images[0].get_array()
  start = int(100 + 10 * code.sum())
  assert (canvas[1:4, 1:4] == start).all()
  assert (canvas[6:9, 1:4] == start).all()
  frame, triangle = figure.axes[0].lines[:2]
  np.testing.assert_array_equal([frame.get_xdata().max(), frame.get_ydata().max()], [4, 4])
  np.testing.assert_array_equal([frame.get_xdata().min(), frame.get_ydata().min()], [1, 1])
  assert triangle.get_xdata()[0] == 2 * 5 + 2.5  # code[1] = 0: the center of the column of 0
  png(figure)


def test_figure_without_kl_keeps_the_order():
  figure = traversals.traversal_figure(Spy(), np.zeros(3))
  assert [text.get_text() for text in figure.texts][1:4] == ['z0', 'z1', 'z2']


def test_runs_side_by_side_show_the_most_informative_latents_of_each():
  one, two = Spy(), Spy()
  runs = [
    ('beta=1', one, np.array([1.0, 0.0, 0.0]), np.array([0.1, 4.2, 2.0])),
    ('beta=4', two, np.array([0.0, -2.0]), np.array([3.0, 0.5])),
  ]
  figure = traversals.side_by_side(runs, sigmas=(-1, 1))
  texts = [text.get_text() for text in figure.texts]
  assert 'beta=1; beta=4' in texts[0].replace('\n', ' ') and texts[1:3] == ['z1 4.2  z0 3.0', 'z2 2.0  z1 0.5']
  np.testing.assert_array_equal(one.codes[0].reshape(2, 2, 3)[:, :, [1, 2]], [[[-1, 0], [1, 0]], [[0, -1], [0, 1]]])
  pixels = figure.axes[0].images[0].get_array()[2, :, 0]  # in the first row of images
  np.testing.assert_array_equal(pixels[2:15:5], [110, 100, 120])
  np.testing.assert_array_equal(pixels[15:23], 255)  # between the runs
  np.testing.assert_array_equal(pixels[25::5], [80, 70, 90])


def test_one_variable_takes_every_category():
  spy, code = Spy(), np.eye(3)[[2, 0]]
  figure = traversals.category_figure(spy, code, np.array([0.5, 2.0]), rows=1)
  assert [text.get_text() for text in figure.texts if text.get_text().startswith('z')] == ['z1  KL 2.0 nats']
  moved, start = spy.codes
  np.testing.assert_array_equal(moved.reshape(3, 2, 3)[:, 1], np.eye(3))  # the more informative one
  np.testing.assert_array_equal(moved.reshape(3, 2, 3)[:, 0], np.tile(code[0], (3, 1)))
  np.testing.assert_array_equal(start, code.reshape(1, 6))


def test_slerp_follows_a_circle():
  # in the plane of two orthogonal unit vectors the arc is (cos, sin)
  t = np.linspace(0, 1, 7)
  path = traversals.slerp(np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), t)
  np.testing.assert_allclose(
    path, np.stack([np.cos(t * np.pi / 2), np.sin(t * np.pi / 2), 0 * t], -1), atol=1e-12
  )


def test_slerp_keeps_the_norm_and_turns_evenly():
  rng = np.random.default_rng(0)
  z0, z1 = (5 * v / np.linalg.norm(v) for v in rng.normal(size=(2, 8)))
  path = traversals.slerp(z0, z1, np.linspace(0, 1, 9))
  np.testing.assert_allclose(np.linalg.norm(path, axis=1), 5)
  np.testing.assert_allclose(path[[0, -1]], [z0, z1])
  steps = np.sum(path[1:] * path[:-1], axis=1) / 25
  np.testing.assert_allclose(steps, steps[0])
  assert np.linalg.norm(traversals.lerp(z0, z1, [0.5])) < 4.9  # what a straight line does instead


def test_slerp_at_its_limits():
  z = np.array([1.0, 2.0])
  np.testing.assert_allclose(traversals.slerp(z, 3 * z, [0, 0.5, 1]), [z, 2 * z, 3 * z])
  with pytest.raises(ValueError, match='opposite'):
    traversals.slerp(z, -2 * z, [0.5])
  with pytest.raises(ValueError, match='origin'):
    traversals.slerp(z, 0 * z, [0.5])


def test_the_first_place_of_a_closed_walk_follows_the_last():
  corners = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0][:3]  # a right angle between any two
  walk = traversals.closed_walk(2 * corners, 6)
  assert walk.shape == (18, 5)
  np.testing.assert_allclose(walk[::6], 2 * corners)
  np.testing.assert_allclose(np.linalg.norm(walk, axis=1), 2)
  steps = np.sum(walk * np.roll(walk, -1, axis=0), axis=1) / 4
  np.testing.assert_allclose(steps, np.cos(np.pi / 12))


@pytest.mark.parametrize('path', [traversals.lerp, traversals.slerp])
def test_interpolate_decodes_both_ends(path):
  spy, z0, z1 = Spy(), np.array([1.0, 0.5]), np.array([-0.5, 2.0])
  images = traversals.interpolate(spy, z0, z1, 5, path)
  assert images.shape == (5, 3, 3, 1)
  np.testing.assert_allclose(spy.codes[0][[0, -1]], [z0, z1], atol=1e-12)
  if path is traversals.lerp:
    np.testing.assert_allclose(spy.codes[0][1], 0.75 * z0 + 0.25 * z1)


def test_interpolation_figure_names_its_paths():
  figure = traversals.interpolation_figure(Spy(), np.eye(3)[:2], np.eye(3)[1:], n=3)
  labels = [text.get_text() for text in figure.texts]
  assert labels[1:5] == ['linear', 'spherical'] * 2
  assert labels[5:8] == ['t = 0', 't = 0.5', 't = 1']
