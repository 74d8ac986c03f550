"""A model class of the user's own, in an experiment file outside the repository, or in a module."""

import json
import sys

import pytest

import gen_jax
import launch

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
  latent_dim: int = 3
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
    return self.encoder(batch['image'], self.latent_dim)

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


def run(*arguments):
  return launch.main(['launch.py', *map(str, arguments)])


def fails(capsys, *arguments):
  capsys.readouterr()
  assert run(*arguments) == 2
  message = capsys.readouterr().err
  assert message.count('\n') == 1, message
  return message


def test_a_class_in_the_experiment_file_itself(tmp_path, capsys):
  file, workdir = tmp_path / 'denoiser.py', tmp_path / 'run'
  file.write_text(MODEL + CONFIG.format(name='Denoiser'))
  assert run(f'--config={file}', f'--workdir={workdir}', '--config.steps=2') == 0
  assert run(f'--config={file}', f'--workdir={workdir}') == 0  # goes on
  assert 'resumed at step 2' in capsys.readouterr().err
  assert json.loads((workdir / 'config.json').read_text())['model']['name'] == f'{file}:Denoiser'
  assert (workdir / 'report.html').exists() and (workdir / 'figures' / 'reconstructions.png').exists()
  for mode in ('evaluate', 'traverse', 'export', 'report'):
    assert run(f'--config={file}', f'--workdir={workdir}', f'--mode={mode}') == 0
  assert run(f'--config={file}', f'--workdir={workdir}', '--mode=evaluate', '--config.model.noise=.2') == 0
  assert gen_jax.load(workdir).encode(gen_jax.load(workdir).source.data.arrays['image'][:3]).shape == (3, 3)
  assert 'noise=-1.0: must not be negative' in fails(
    capsys, f'--config={file}', f'--workdir={tmp_path}/other', '--config.model.noise=-1'
  )
  assert 'another config' in fails(capsys, f'--config={file}', f'--workdir={workdir}', '--config.model.latent_dim=4')


def test_a_program_in_a_file_is_run_only_where_it_is_named(tmp_path, capsys):
  file, workdir = tmp_path / 'denoiser.py', tmp_path / 'run'
  file.write_text(MODEL + CONFIG.format(name='Denoiser'))
  assert run(f'--config={file}', f'--workdir={workdir}') == 0
  for name in [name for name in sys.modules if str(file) in name]:
    del sys.modules[name]  # as in another process
  message = fails(capsys, f'--workdir={workdir}', '--mode=evaluate')
  assert f'is a class of an experiment file: name the file too, --config={file}' in message
  assert run(f'--config={file}', f'--workdir={workdir}', '--mode=evaluate') == 0


@pytest.mark.parametrize('given', ["'own_models:Denoiser'", 'Denoiser'])
def test_a_class_of_a_module_that_can_be_imported(given, tmp_path, monkeypatch, capsys):
  (tmp_path / 'own_models.py').write_text(MODEL)
  monkeypatch.syspath_prepend(str(tmp_path))
  monkeypatch.delitem(sys.modules, 'own_models', raising=False)
  file, workdir = tmp_path / 'mine.py', tmp_path / 'run'
  imports = 'from gen_jax.config import experiment\nfrom gen_jax.networks import MLPDecoder\n'
  file.write_text(imports + 'from own_models import Denoiser\n' + CONFIG.format(name=given))
  assert run(f'--config={file}', f'--workdir={workdir}') == 0
  assert run(f'--workdir={workdir}', '--mode=evaluate') == 0
  assert json.loads((workdir / 'config.json').read_text())['model']['name'] == 'own_models:Denoiser'
  message = fails(capsys, f'--config={file}', f'--workdir={tmp_path}/other', '--config.model.name=own_models:Denoisr')
  assert "own_models has no 'Denoisr'; did you mean Denoiser?" in message
  message = fails(capsys, f'--config={file}', f'--workdir={tmp_path}/other', '--config.model.name=no_module:Denoiser')
  assert "No module named 'no_module'" in message
