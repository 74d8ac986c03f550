import io

import numpy as np
import pytest
from matplotlib.quiver import Quiver
from PIL import Image

from gen_jax.plots import canvas, trajectories
from gen_jax.plots.planar import lattice

EXTENT = (-2.0, 2.0, -2.0, 2.0)
START = np.random.default_rng(0).uniform(-1.8, 1.8, (30, 2))
WAYS = np.linspace(1, 0.2, 6)[:, None, None] * START[None]  # [6,30,2], straight to the middle


def test_arrows_have_one_scale_up_to_the_longest():
  velocity = np.stack([np.arange(1, 12), np.zeros(11)], axis=1) * 7.0
  np.testing.assert_allclose(trajectories.limit_lengths(velocity, 2.0)[:, 0], 2 * np.minimum(np.arange(1, 12) / 10, 1))
  turned = trajectories.limit_lengths(velocity[:, ::-1], 2.0)
  np.testing.assert_allclose(turned, trajectories.limit_lengths(velocity, 2.0)[:, ::-1])
  np.testing.assert_array_equal(trajectories.limit_lengths(np.zeros((3, 2)), 1.0), 0)


def test_the_field_shows_arrows_over_ways():
  places = lattice(EXTENT, 5)
  velocities = {'t = .8': -places, 't = .1': np.ones_like(places)}
  figure = trajectories.vector_field(places, velocities, WAYS, EXTENT, title='From noise to data')
  assert [axes.get_xlabel() for axes in figure.axes] == list(velocities)
  for axes, velocity in zip(figure.axes, velocities.values(), strict=True):
    lines, start, end, arrows = axes.collections
    np.testing.assert_allclose(np.array(lines.get_segments()), WAYS.swapaxes(0, 1))
    np.testing.assert_allclose(np.asarray(start.get_offsets()), WAYS[0])
    np.testing.assert_allclose(np.asarray(end.get_offsets()), WAYS[-1])
    assert isinstance(arrows, Quiver)
    np.testing.assert_allclose(arrows.XY, places)
    u, v = np.stack([arrows.U, arrows.V], axis=1), velocity
    np.testing.assert_allclose(u[:, 0] * v[:, 1], u[:, 1] * v[:, 0], atol=1e-6)  # of one direction
    assert (np.sum(u * v, axis=1) >= 0).all() and np.linalg.norm(u, axis=1).max() == pytest.approx(4 / 5)
  canvas.png(figure)


def test_the_animation_has_a_frame_for_each_time():
  titles = [f't = {t:.1f}' for t in np.linspace(1, 0, 6)]
  data = trajectories.trajectory_animation(WAYS, EXTENT, START / 5, titles)
  with Image.open(io.BytesIO(data)) as moving:
    assert moving.n_frames == 7 and moving.default_image  # and one for where nothing moves
    frames = []
    for frame in range(7):
      moving.seek(frame)
      frames.append(np.asarray(moving.convert('RGB')).astype(int))
  np.testing.assert_array_equal(frames[0], frames[-1])
  colored = [np.ptp(frame, axis=-1) > 60 for frame in frames[1:]]
  widths = [np.ptp(np.nonzero(frame)[1]) for frame in colored]
  assert widths == sorted(widths, reverse=True) and widths[-1] < widths[0] / 3  # to the middle


def test_points_keep_their_colors(monkeypatch):
  drawn = []
  monkeypatch.setattr(trajectories, 'png', lambda figure: drawn.append(figure) or canvas.png(figure))
  trajectories.trajectory_animation(WAYS, EXTENT, START)
  assert len(drawn) == 6
  for figure, points in zip(drawn, WAYS, strict=True):
    real, moved = figure.axes[0].collections
    np.testing.assert_allclose(np.asarray(real.get_offsets()), START)
    np.testing.assert_allclose(np.asarray(moved.get_offsets()), points)
    np.testing.assert_allclose(moved.get_facecolor()[:, :3], trajectories.start_colors(START))
