"""A model class of the user's own, in an experiment file outside the repository, or in a module."""

import json
import shutil
import sys

import numpy as np
import pytest
from command_line import error_of, run_command

import gen_jax
from gen_jax.app import modes
from gen_jax.errors import UserError
from gen_jax.figures import write

MODEL = '''
import flax.linen as nn

from gen_jax.config import experiment
from gen_jax.distributions import sum_dims
from gen_jax.networks import MLPDecoder, MLPEncoder
from gen_jax.types import Player


class Denoiser(nn.Module):
  """|x - decoder(encoder(x + noise))|^2."""

  encoder: nn.Module
  decoder: nn.Module
  image_shape: tuple
  codes: int = 3
  noise: float = 0.1

  players = {'model': Player('loss', ('encoder', 'decoder'))}
  may_differ = ('noise',)

  def problems(self, facts):
    if self.noise < 0:
      yield f'noise={self.noise}: must not be negative'

  def __call__(self, batch):
    return self.reconstruct(batch)

  def loss(self, batch, step):
    error = self.per_example(batch)['squared_error'].mean()
    return error, {'squared_error': error}

  def per_example(self, batch):
    return {'squared_error': sum_dims((batch['image'] - self.reconstruct(batch)) ** 2)}

  def encode(self, batch):
    return self.encoder(batch['image'], self.codes)

  def decode(self, z, batch):
    return nn.sigmoid(self.decoder(z, self.image_shape))

  def reconstruct(self, batch):
    return self.decode(self.encode(batch), batch)
'''
CONFIG = '''
get_config = experiment(default={{
  'steps': 4, 'eval_every': 2, 'save_every': 2, 'log_every': 2, 'test_examples': 32, 'validation_examples': 32,
  'batch_size': 8,
  'data': {{'name': 'digits'}},
  'model': {{'name': {name}, 'encoder': {{'name': 'MLPEncoder', 'hidden': (8,)}}, 'decoder': {{'name': MLPDecoder}}}},
}})
'''


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
  """A home of these tests alone."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture
def no_pictures(monkeypatch):
  """Runs without automatic figures and report, where only how they are opened is asked."""
  monkeypatch.setattr(write, 'write_automatic_figures', lambda figures, run: None)
  monkeypatch.setattr(modes, 'report', lambda run: [])


def test_a_class_in_the_experiment_file_itself(tmp_path, capsys):
  file, workdir = tmp_path / 'denoiser.py', tmp_path / 'run'
  file.write_text(MODEL + CONFIG.format(name='Denoiser'))
  run_command(f'--config={file}', f'--workdir={workdir}', '--config.steps=2')
  run_command(f'--config={file}', f'--workdir={workdir}')  # goes on
  assert 'resumed at step 2' in capsys.readouterr().err
  assert json.loads((workdir / 'config.json').read_text())['model']['name'] == f'{file}:Denoiser'
  assert (workdir / 'report.html').exists() and (workdir / 'figures' / 'reconstructions.png').exists()
  for mode in ('evaluate', 'traverse', 'export', 'report'):
    run_command(f'--config={file}', f'--workdir={workdir}', f'--mode={mode}')
  run_command(f'--config={file}', f'--workdir={workdir}', '--mode=evaluate', '--config.model.noise=.2')
  assert 'noise=-2.0: must not be negative' in error_of(
    capsys, f'--config={file}', f'--workdir={workdir}', '--mode=evaluate', '--config.model.noise=-2'
  )
  assert gen_jax.load(workdir).encode(gen_jax.load(workdir).source.data.arrays['image'][:3]).shape == (3, 3)
  assert 'noise=-1.0: must not be negative' in error_of(
    capsys, f'--config={file}', f'--workdir={tmp_path}/other', '--config.model.noise=-1'
  )
  assert 'another config' in error_of(capsys, f'--config={file}', f'--workdir={workdir}', '--config.model.codes=4')


def forget(file):
  """As in another process."""
  for name in [name for name in sys.modules if str(file) in name]:
    del sys.modules[name]


def test_a_run_of_a_class_in_a_file_is_opened_by_its_workdir_alone(tmp_path, capsys, no_pictures):
  file, workdir = tmp_path / 'denoiser.py', tmp_path / 'run'
  file.write_text(MODEL + CONFIG.format(name='Denoiser'))
  run_command(f'--config={file}', f'--workdir={workdir}', '--config.steps=2')
  forget(file)
  run_command(f'--workdir={workdir}', '--mode=reconstruct')
  forget(file)
  codes = gen_jax.load(workdir).encode(np.zeros((2, 8, 8, 1), np.uint8))
  forget(file)
  run_command('--config=experiments/autoencoder.py:smoke', f'--workdir={tmp_path}/other', '--config.steps=2')
  run_command(f'--workdir={tmp_path}/other', '--mode=compare', f'--others={workdir}')
  forget(file)
  run_command(f'--workdir={workdir}', '--config.steps=4')  # goes on
  assert 'resumed at step 2' in capsys.readouterr().err
  forget(file)
  file.write_text(file.read_text() + '# changed')
  opened_by = (
    (f'--workdir={workdir}', '--mode=reconstruct'),
    (f'--workdir={workdir}',),
    (f'--config={workdir}/config.json', f'--workdir={tmp_path}/new'),
    (f'--workdir={tmp_path}/other', '--mode=compare', f'--others={workdir}'),
  )
  for words in opened_by:
    assert '--trust_workdir' in error_of(capsys, *words)
  with pytest.raises(UserError, match='trust=True'):
    gen_jax.load(workdir)
  for words in opened_by:
    run_command(*words, '--trust_workdir')
    forget(file)
  np.testing.assert_array_equal(gen_jax.load(workdir, 2, trust=True).encode(np.zeros((2, 8, 8, 1), np.uint8)), codes)


@pytest.mark.parametrize('given', ["'own_models:Denoiser'", 'Denoiser'])
def test_a_class_of_a_module_that_can_be_imported(given, tmp_path, monkeypatch, capsys, no_pictures):
  (tmp_path / 'own_models.py').write_text(MODEL)
  monkeypatch.syspath_prepend(str(tmp_path))
  monkeypatch.delitem(sys.modules, 'own_models', raising=False)
  file, workdir = tmp_path / 'mine.py', tmp_path / 'run'
  imports = 'from gen_jax.config import experiment\nfrom gen_jax.networks import MLPDecoder\n'
  file.write_text(imports + 'from own_models import Denoiser\n' + CONFIG.format(name=given))
  run_command(f'--config={file}', f'--workdir={workdir}')
  run_command(f'--workdir={workdir}', '--mode=evaluate')
  assert json.loads((workdir / 'config.json').read_text())['model']['name'] == 'own_models:Denoiser'
  for name, expected in (
    ('own_models:Denoisr', "own_models has no 'Denoisr'; did you mean Denoiser?"),
    ('no_module:Denoiser', "No module named 'no_module'"),
  ):
    command = (f'--config={file}', f'--workdir={tmp_path}/other', f'--config.model.name={name}')
    assert expected in error_of(capsys, *command)


def test_opening_a_run_calls_nothing_but_classes_of_modules_that_are_named(tmp_path, capsys, run_of):
  """A stranger's config.json is no program."""
  workdir, trace = shutil.copytree(run_of('vae').workdir, tmp_path / 'run'), tmp_path / 'trace'
  config = json.loads((workdir / 'config.json').read_text())
  for name in ('subprocess:getoutput', 'os:system', 'subprocess:Popen', 'antigravity:fly'):
    config['model']['encoder'] = {'name': name, 'cmd': f'touch {trace}', 'args': f'touch {trace}'}
    (workdir / 'config.json').write_text(json.dumps(config))
    by_config = [f'--config={workdir}/config.json', f'--workdir={tmp_path}/new']
    for words in ([f'--workdir={workdir}', '--mode=sample'], [f'--workdir={workdir}'], by_config):
      message = error_of(capsys, *words)
      assert 'is no flax.linen.Module' in message or 'which is not run unasked' in message
  assert not trace.exists() and 'antigravity' not in sys.modules


def test_a_moved_experiment_is_the_same_run(tmp_path, capsys, no_pictures):
  file, workdir = tmp_path / 'denoiser.py', tmp_path / 'run'
  file.write_text(MODEL + CONFIG.format(name='Denoiser'))
  run_command(f'--config={file}', f'--workdir={workdir}', '--config.steps=2')
  moved = file.rename(tmp_path / 'moved.py')
  run_command(f'--config={moved}', f'--workdir={workdir}')
  assert 'resumed at step 2' in capsys.readouterr().err


def test_what_an_experiment_file_may_get_wrong(tmp_path, capsys):
  file, whole = tmp_path / 'mine.py', MODEL + CONFIG.format(name='Denoiser')
  for text, expected in (
    ('get_config = lambda: None', 'gives is a NoneType: begin from gen_jax.config.common()'),
    ('from ml_collections import ConfigDict\nget_config = lambda: ConfigDict({"steps": 3})', 'gives lacks averages, '),
    (whole.replace("'loss', (", "'losss', ("), "no method 'losss', the loss of its player"),
    (whole.replace('players =', 'teams ='), 'Denoiser has no players'),
    (whole.replace("'name': Denoiser,", ''), "config.model.name='' is unknown"),
    (MODEL + CONFIG.format(name="'math:sqrt'"), "config.model.name='math:sqrt' is no flax.linen.Module"),
    (whole.replace("batch['image']", "batch['picture']"), "it asks the data for 'picture'"),
  ):
    file.write_text(text)
    assert expected in error_of(capsys, f'--config={file}', f'--workdir={tmp_path}/run')
    assert not (tmp_path / 'run').exists()
