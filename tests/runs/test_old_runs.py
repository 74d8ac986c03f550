"""Runs that were trained by an older layout of the code still open, and evaluate to the numbers that they had then.

`iwae.zip`: importance weights as fields of VAE, an average without a name, a learned prior. `gan.zip`: a field, an
evaluator and metrics of former names, `config.best` by one of these, samples of fixed noise in a folder of their own.
`optimal_gaussian.zip`: the running variance of an OptimalGaussian in a collection of its own. Their config.json lacks
the keys that have been added since.
"""

import functools
import json
import pathlib
import zipfile

import chex
import numpy as np
import pytest
from page import Page

import gen_jax
import launch
from gen_jax import build
from gen_jax.evaluation import evaluate
from gen_jax.runs.workdir import claim_workdir, load_config
from gen_jax.training import loop

OLD = pathlib.Path(__file__).with_name('old_runs')


@pytest.fixture
def old_run(tmp_path):
  def unpack(name):
    with zipfile.ZipFile(OLD / f'{name}.zip') as file:
      file.extractall(tmp_path / name)
    return tmp_path / name

  return unpack


def test_importance_weights_of_a_vae_are_those_of_an_iwae(old_run):
  workdir = old_run('iwae')
  run = gen_jax.load(workdir)
  assert (type(run.module).__name__, run.module.samples, run.module.dreg) == ('IWAE', 2, True)
  assert list(run.state.ema) == ['ema']
  former = json.loads((workdir / 'evaluation.json').read_text())
  assert launch.main(['launch.py', f'--workdir={workdir}', '--mode=evaluate']) == 0
  values = json.loads((workdir / 'evaluation.json').read_text())
  numbers = {name: value for name, value in former.items() if isinstance(value, float)}
  chex.assert_trees_all_close({name: values[name] for name in numbers}, numbers, rtol=1e-5)


def test_former_names_of_fields_evaluators_and_metrics_are_read(old_run):
  workdir = old_run('gan')
  run = gen_jax.load(workdir)
  assert run.module.latent_modes == 3 and run.config.best == 'auc_train_vs_held_out'
  former = json.loads((workdir / 'evaluation.json').read_text())
  assert launch.main(['launch.py', f'--workdir={workdir}', '--mode=evaluate', '--checkpoint=best']) == 0
  values = json.loads((workdir / 'evaluation.json').read_text())
  numbers = {name: value for name, value in former.items() if isinstance(value, float)}
  assert 'memory' in numbers and 'told_from_train' in numbers
  chex.assert_trees_all_close({name: values[evaluate.current_metric(name)] for name in numbers}, numbers, rtol=1e-4)
  assert launch.main(['launch.py', f'--workdir={workdir}', '--mode=report']) == 0
  page = Page((workdir / 'report.html').read_text())
  assert f'{former["memory"]:.4f}' in page.words and page.texts['h3'][:2] == ['points', 'discriminator']
  assert launch.main(['launch.py', f'--workdir={workdir}', '--mode=progress']) == 0
  assert (workdir / 'figures' / 'progress.png').exists()


def test_the_running_variance_of_an_optimal_gaussian_is_read(old_run):
  workdir = old_run('optimal_gaussian')
  run = gen_jax.load(workdir)
  assert set(run.state.variables) == {'batch_stats'}
  assert run.variables['batch_stats']['likelihood']['variance'] == np.float32(1.0579268)
  former = json.loads((workdir / 'evaluation.json').read_text())
  assert launch.main(['launch.py', f'--workdir={workdir}', '--mode=evaluate']) == 0
  values = json.loads((workdir / 'evaluation.json').read_text())
  numbers = {name: value for name, value in former.items() if isinstance(value, float)}
  assert 'elbo' in numbers
  chex.assert_trees_all_close({name: values[name] for name in numbers}, numbers, rtol=1e-5)


def test_an_old_run_goes_on(old_run):
  workdir = old_run('gan')
  before = gen_jax.load(workdir, 'last').state
  config = load_config(workdir)
  with config.unlocked():
    config.steps = 15
  claim_workdir(workdir, config)
  loop.run(functools.partial(build.task, config), workdir)
  after = gen_jax.load(workdir, 'last').state
  assert (before.step, after.step) == (10, 15)
  average = [state.ema['ema']['params']['generator']['Dense_0']['kernel'] for state in (before, after)]
  assert np.any(average[0] != average[1])
