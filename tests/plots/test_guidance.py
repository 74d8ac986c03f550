import numpy as np
import pytest
from scipy import stats

from gen_jax.plots import canvas, guidance
from gen_jax.plots.planar import FAKE, lattice

EXTENT, SIDE = (-5.0, 5.0, -5.0, 5.0), 200
SAMPLES = np.random.default_rng(0).normal(size=(300, 2))


def log_density(mean, deviation=1.0):
  places = lattice(EXTENT, SIDE)
  return stats.multivariate_normal(mean, deviation**2 * np.eye(2)).logpdf(places).reshape(SIDE, SIDE)


def test_levels_hold_their_shares():
  held = (0.99, 0.5)
  levels = guidance.density_levels(log_density((0, 0)), held)
  np.testing.assert_allclose(levels, 1 - np.array(held), rtol=0.05)  # of a normal, the density where 1 - p lies beyond
  far_away = guidance.density_levels(log_density((0, 0)) - 1e4, held)  # where exp would be 0
  np.testing.assert_allclose(far_away, levels)


def test_a_panel_shows_samples_over_the_class_and_the_other():
  panels = {'truth': SAMPLES, 'unguided': SAMPLES + 1, 'w = 2': SAMPLES / 2}
  figure = guidance.guidance_panels(log_density((1, 0)), log_density((-1, 0)), panels, EXTENT, title='A class')
  assert [axes.get_xlabel() for axes in figure.axes] == list(panels)
  assert figure._suptitle.get_text() == 'A class'
  for axes, samples in zip(figure.axes, panels.values(), strict=True):
    other, *regions, dots = axes.collections
    assert (*axes.get_xlim(), *axes.get_ylim()) == EXTENT
    np.testing.assert_allclose(np.asarray(dots.get_offsets()), samples)
    boxes = [region.get_paths()[0].get_extents() for region in (other, *regions)]
    centers = [(box.x0 + box.x1) / 2 for box in boxes]
    np.testing.assert_allclose(centers, [-1, 1, 1, 1], atol=0.05)
    radii = [box.width / 2 for box in boxes]
    expected = np.sqrt(stats.chi2(2).ppf([0.995, 0.995, 0.9, 0.5]))
    np.testing.assert_allclose(radii, expected, rtol=0.05)
  canvas.png(figure)


@pytest.mark.parametrize(('number', 'columns', 'rows'), [(1, 4, 1), (5, 3, 2)])
def test_panels_stand_in_rows(number, columns, rows):
  panels = {f'sampler {i}': SAMPLES for i in range(number)}
  figure = guidance.guidance_panels(log_density((0, 0)), log_density((2, 2)), panels, EXTENT, columns=columns)
  assert len(figure.axes) == number
  canvas.png(figure)
  assert len({round(axes.get_position().y0, 3) for axes in figure.axes}) == rows


def test_samples_can_be_seen():
  pictures = [
    canvas.png(guidance.guidance_panels(log_density((0, 0)), log_density((2, 2)), {'': dots}, EXTENT))
    for dots in (SAMPLES, np.zeros((0, 2)))
  ]
  assert len(pictures[0]) > len(pictures[1])
  assert FAKE not in (*guidance.CLASS, guidance.OTHER)
