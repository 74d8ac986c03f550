"""Guidance of points whose densities are known."""

import numpy as np
import pytest
from pictures import outputs

from gen_jax.errors import UserError
from gen_jax.figures import guidance
from gen_jax.figures.write import check_needs

PANELS = ('truth', 'unguided', 'guided by the class', 'guided by step 1', 'exact, unguided', 'exact, guided')


@pytest.fixture
def few(monkeypatch):
  for name, value in {'POINTS': 400, 'BATCH': 200, 'SIDE': 40, 'STEPS': 20}.items():
    monkeypatch.setattr(guidance, name, value)


def test_each_sampler_has_its_panel_and_its_line(run_of, few):
  run = run_of('tree')
  made = outputs(guidance.guide, run, strength=3.0)
  axes = made['guidance'].content.axes
  assert tuple(each.get_xlabel() for each in axes) == PANELS
  lines = {line[2:24].strip(): line.split() for line in made['text'] if '%' in line}
  assert set(lines) == set(PANELS)
  distance = {name: float(words[-2]) for name, words in lines.items()}
  # exact samples are those of the class, and guidance leads away from them
  assert distance['exact, unguided'] < 1.5 * distance['truth'] < distance['exact, guided']
  assert lines['exact, unguided'][-1] == '0.00%' or float(lines['exact, unguided'][-1][:-1]) < 2
  points = lambda name: np.asarray(axes[PANELS.index(name)].collections[-1].get_offsets())
  expected = run.with_sampler(guidance=3.0, autoguidance=1).model.sample(
    {'row': np.arange(200, dtype=np.int32), 'label': np.zeros(200, np.int32)}
  )
  np.testing.assert_allclose(points('guided by step 1')[:200], np.asarray(expected).reshape(-1, 2), atol=1e-4)
  assert np.abs(points('guided by step 1') - points('guided by the class')).max() > 1e-3
  added = next(line for line in made['text'] if 'scores added' in line)
  assert float(added.split('distance')[1].split()[0]) > 2 * float(added.split('(')[1].split()[0])


def test_without_guidance_there_are_fewer_panels_whatever_the_interval(run_of, few):
  run = run_of('tree').with_sampler(guidance=2.0, interval=(0.1, 2.0))
  made = outputs(guidance.guide, run, strength=1.0)
  assert not any('guided by' in axes.get_xlabel() for axes in made['guidance'].content.axes)
  assert len(outputs(guidance.guide, run, strength=2.0)['guidance'].content.axes) == len(PANELS)


def test_the_early_snapshot_is_none_of_the_end(run_of, monkeypatch):
  run, kept = run_of('tree'), [1, 3, 4]
  monkeypatch.setattr(guidance.snapshots, 'steps_in', lambda workdir: kept)
  assert int(run.state.step) == 4 and guidance.early_snapshot(run) == 1
  del kept[:2]
  assert guidance.early_snapshot(run) == 0


def test_the_error_of_a_score_is_that_of_its_denoiser(run_of):
  own = run_of('tree').source.data.target.classes[0]
  assert guidance.score_error(own.denoise, own, 0.3) < 1e-6
  half = lambda x, sigma: x + 0.5 * (own.denoise(x, sigma) - x)  # half the score
  assert guidance.score_error(half, own, 0.3) == pytest.approx(0.5, abs=1e-3)


def test_points_of_unknown_density_cannot_be_shown(run_of):
  with pytest.raises(UserError, match='--mode=guide needs a conditional model'):
    check_needs(guidance.guide, run_of('diffusion in the plane'))
