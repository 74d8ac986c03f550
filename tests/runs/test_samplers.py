"""A finished run with other settings of its sampler."""

import numpy as np
import pytest

from gen_jax import runs
from gen_jax.diffusion.settings import settings_of
from gen_jax.errors import UserError


def test_settings_move_samples_and_nothing_else(run_of):
  run = run_of('tree')
  few = run.with_sampler(steps=3)
  assert few.config.sampler.steps == 3 and run.config.sampler.steps == 18
  assert np.abs(few.sample(8) - run.sample(8)).max() > 1e-3
  np.testing.assert_array_equal(few.with_sampler(steps=18).sample(8), run.sample(8))
  other = run.with_sampler(name='ddim', grid='karras')
  assert other.module.sampler == 'ddim' and other.module.grid == 'karras'


def test_autoguidance_leads_away_from_a_snapshot(run_of):
  run = run_of('tree')
  guided = run.with_sampler(guidance=2.0, autoguidance=1)
  batch = {'row': np.arange(4, dtype=np.int32), 'label': np.array([0, 1, 0, 1], np.int32)}
  at = lambda run: np.asarray(
    run.model.compute(lambda model, x, batch: model.denoiser_of(batch, settings_of(model))(x, 0.5), x, batch)
  )
  x = np.random.default_rng(0).normal(size=(4, 1, 1, 2)).astype(np.float32)
  early = runs.load(run.workdir, config=run.config).with_sampler(guidance=1.0)
  sigma, params = np.full(4, 0.5, np.float32), guided.state.variables['worse']['denoiser']
  of_snapshot = lambda model, x, batch: model.denoise(x, sigma, batch['label'], batch['row'], params)
  worse = early.model.compute(of_snapshot, x, batch)
  np.testing.assert_allclose(at(guided), worse + 2 * (at(run) - worse), atol=1e-5)
  assert np.abs(np.asarray(worse) - at(run)).max() > 1e-4
  assert 'worse' not in guided.with_sampler(guidance=1.0, autoguidance=0).state.variables


@pytest.mark.parametrize(('changes', 'problem'), (
  ({'step': 3}, 'step is no setting of a sampler; did you mean steps?'),
  ({'steps': 0}, 'config.sampler.steps=0: must be above 0'),
  ({'autoguidance': 1}, 'config.sampler.autoguidance=1: has no effect with guidance=1'),
  ({'autoguidance': 7, 'guidance': 2.0}, 'config.sampler.autoguidance=7: is no snapshot of .*; there are 1, 2, 3, 4'),
  ({'churn': 2.0, 'name': 'ddim'}, 'config.sampler.churn=2.0: has no effect with name=ddim; choose heun'),
))  # fmt: skip
def test_what_has_no_effect_is_refused(run_of, changes, problem):
  with pytest.raises(UserError, match=problem):
    run_of('tree').with_sampler(**changes)


def test_a_model_without_steps_has_no_sampler(run_of):
  with pytest.raises(UserError, match=r'config\.sampler\.steps=3: VAE samples at once, without steps'):
    run_of('vae').with_sampler(steps=3)
  same = run_of('vae').with_sampler(steps=18)  # what it is already
  np.testing.assert_array_equal(same.sample(2), run_of('vae').sample(2))
