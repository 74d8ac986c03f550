import io
import math

import numpy as np
import pytest
from PIL import Image

from gen_jax.metrics import Metric, explanations
from gen_jax.plots import curves as curves_module
from gen_jax.plots.canvas import png
from gen_jax.plots.curves import (
  axis_limits,
  caption_of,
  error_curve,
  gather_curves,
  is_smoothed,
  panel_figures,
  running_mean,
  tile_panels,
  wants_log,
)

RECORDS = [
  {'step': 10, 'elbo': -200.0, 'model/loss': 200.0, 'model/grad_norm': 5.0, 'note': 'text', 'flag': True},
  {'step': 20, 'elbo': math.nan, 'model/loss': 150.0},
  {'step': 20, 'validation/elbo': -160.0, 'validation/model/loss': 160.0},
  {'step': 30, 'elbo': -140.0, 'model/loss': math.inf, 'epoch_of_data': None},
  {'elbo': 1.0},
]
METRICS = {'elbo': Metric('a bound', 'nats'), 'spearman_{factor}': Metric('rank correlations')}
FACTORS = {'factor': ['shape', 'scale']}
EXPLAINED = {name: next(explanations(name, 'of', METRICS, FACTORS)) for name in ('elbo', 'spearman_0', 'spearman_1')}


def test_gather_groups_splits_and_players():
  panels = gather_curves(RECORDS)
  assert {name: set(lines) for name, lines in panels.items()} == {
    'elbo': {'train', 'validation'},
    'loss': {'model', 'model, validation'},
    'grad_norm': {'model'},
  }
  steps, values = panels['elbo']['train']
  np.testing.assert_array_equal(steps, [10, 20, 30])
  np.testing.assert_array_equal(values, [-200, np.nan, -140])
  np.testing.assert_array_equal(panels['loss']['model'][1], [200, 150, np.nan])


@pytest.mark.parametrize(
  ('name', 'place'),
  [
    ('elbo', ('elbo', 'train')),
    ('test/mig/gap', ('mig/gap', 'test')),
    ('generator/grad_norm', ('grad_norm', 'generator')),
    ('loss', ('loss', 'train')),
    ('validation', ('validation', 'train')),
    ('critic/penalty', ('critic/penalty', 'train')),
  ],
)
def test_names_find_their_panel(name, place):
  assert curves_module.panel_and_curve(name, {}) == place


def test_a_resumed_run_overwrites_its_steps():
  records = [{'step': s, 'kl': float(s)} for s in (1, 2, 3)] + [
    {'step': s, 'kl': 10.0 * s} for s in (2, 3, 4)
  ]
  steps, values = gather_curves(records)['kl']['train']
  np.testing.assert_array_equal(steps, [1, 2, 3, 4])
  np.testing.assert_array_equal(values, [1, 20, 30, 40])


def test_smooth_is_the_mean_of_neighbors():
  rng = np.random.default_rng(0)
  values = rng.normal(size=50)
  values[20] = np.nan
  expected = [np.nanmean(values[max(0, i - 2) : i + 3]) for i in range(50)]
  expected[20] = np.nan
  np.testing.assert_allclose(running_mean(values, 5), expected)


def test_log_axis_only_over_decades_of_positive_values():
  assert wants_log(np.geomspace(1, 1e4, 50))
  assert not wants_log(np.linspace(1, 50, 50))
  assert not wants_log(np.geomspace(1, 1e4, 50) - 1)
  assert not wants_log(np.array([]))
  assert not wants_log(np.r_[np.ones(99), 1e6])  # one stray value


def test_limits_leave_out_a_start_that_dwarfs_the_rest():
  steps = np.arange(200)
  level = np.where(steps < 4, -1e5, -100 + np.sin(steps))
  low, high = axis_limits([(steps, level)])
  assert -103 < low < -101
  assert -99 < high < -97
  assert axis_limits([(steps, np.where(steps < 4, -120, level))]) is not None
  assert axis_limits([(steps, np.where(steps < 4, -104, level))]) is None  # in view, it does no harm
  assert axis_limits([(steps, -100 + 0.1 * steps)]) is None
  assert axis_limits([(steps[:3], level[:3])]) is None
  assert axis_limits([(steps, np.full(200, np.nan))]) is None
  assert axis_limits([(steps, np.full(200, 1.0))]) is None


def axes_of(records, explained=None):
  """The axes of each panel."""
  return [axes for figure in panel_figures(records, explained).values() for axes in figure.axes]


def test_every_finite_value_is_drawn_and_what_is_not_is_named():
  elbo, *others = axes_of(RECORDS, EXPLAINED)
  assert [axes.get_title(loc='left') for axes in (elbo, *others)] == ['elbo', 'grad norm', 'loss']
  assert [line.get_label() for line in elbo.lines] == ['train', 'validation']
  np.testing.assert_array_equal(elbo.lines[0].get_ydata(), [-200, np.nan, -140])
  assert elbo.get_ylabel() == 'nats'
  assert elbo.get_xlabel() == 'step'
  assert elbo.get_title(loc='right') == 'train: not finite at step 20'


@pytest.mark.parametrize(
  'records',
  [
    [],
    [{'step': 1}],
    [{'step': 1, 'loss': math.nan}],
    [{'step': 1, 'loss': 1}],
    [{'step': s, 'a': s} for s in range(300)],
  ],
)
def test_few_or_odd_records_can_be_shown(records):
  panels = [png(figure) for figure in panel_figures(records).values()]
  with Image.open(io.BytesIO(tile_panels(panels))) as image:
    assert image.size == (600, 405) and np.ptp(np.asarray(image.convert('L'))) > 100


def test_entries_that_are_explained_are_lines_of_their_names():
  records = [{'step': 1, 'validation/spearman_0': 0.5, 'validation/spearman_1': 0.6}]
  (axes,) = axes_of(records, EXPLAINED)
  assert axes.get_title(loc='left') == 'spearman' and axes.get_ylabel() == ''
  assert [line.get_label() for line in axes.lines] == ['validation scale', 'validation shape']


def test_what_stands_beside_metrics_is_drawn_apart():
  metrics = {'a': Metric('a distance'), 'b': Metric('another'), '{metric}_real': Metric('a fresh sample')}
  names = ['a', 'b', 'a_real', 'b_real']
  explained = {name: next(explanations(name, 'points', metrics, {})) for name in names}
  records = [{'step': 1} | {f'validation/{name}': float(i) for i, name in enumerate(names)}]
  panels = gather_curves(records, explained)
  assert {name: curve['validation'][1].tolist() for name, curve in panels.items()} == {
    'a': [0], 'b': [1], 'a_real': [2], 'b_real': [3],
  }  # fmt: skip
  titles = [axes.get_title(loc='left') for axes in axes_of(records, explained)]
  assert titles == ['a', 'a real', 'b', 'b real']
  assert caption_of('a_real', explained) == 'a: a fresh sample' and caption_of('own', explained) == ''


def test_panels_stand_side_by_side():
  panels = [png(figure) for figure in panel_figures(RECORDS, EXPLAINED).values()] * 2
  *_, last = images = [np.asarray(Image.open(io.BytesIO(panel)).convert('RGB')) for panel in panels]
  height, width, _ = last.shape
  tiled = np.asarray(Image.open(io.BytesIO(tile_panels(panels[:4]))))
  assert tiled.shape == (2 * height, 3 * width, 3)
  np.testing.assert_array_equal(tiled[:height, width : 2 * width], images[1])
  np.testing.assert_array_equal(tiled[height:, :width], images[3])
  assert (tiled[height:, width:] == 255).all()


def test_every_entry_has_a_line():
  records = [{'step': 1} | {f'validation/kl_dim_{i:02d}': float(i) for i in range(99)}]
  (axes,) = axes_of(records)
  assert sorted(float(line.get_ydata()[0]) for line in axes.lines) == list(range(99))
  assert axes.get_title(loc='right') == '99 lines, one an entry'


@pytest.mark.parametrize('number', [200, 201])
def test_many_values_are_faint_under_their_running_mean(number):
  records = [{'step': s, 'a': float(s)} for s in range(number)]
  (axes,) = axes_of(records)
  assert is_smoothed(records) == (number == 201) == (len(axes.lines) == 2)


def test_error_curve_has_a_line_a_data_set_and_a_tick_a_size():
  figure = error_curve({'MNIST': ([2, 8, 32], [0.04, 0.016, 0.005]), 'other': ([2, 16], [0.03, 0.01])})
  axes = figure.axes[0]
  png(figure)
  assert [line.get_label() for line in axes.lines] == ['MNIST', 'other']
  np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.04, 0.016, 0.005])
  assert [label.get_text() for label in axes.get_xticklabels()] == ['2', '8', '16', '32']
  assert axes.get_ylim()[0] == 0  # lengths above zero compare
  assert error_curve({'a': ([1, 2, 4], [1, 0.01, 0.0001])}).axes[0].get_yscale() == 'log'


def test_the_entries_of_a_vector_share_a_panel():
  records = [{'step': 1, 'validation/kl_dim_00': 1.0, 'validation/kl_dim_11': 2.0}]
  panels = {name: set(curves) for name, curves in gather_curves(records).items()}
  assert panels == {'kl_dim': {'validation 0', 'validation 11'}}
