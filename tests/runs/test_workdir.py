"""The config.json of a workdir: what may differ, and keys that it lacks."""

import json

import pytest
from small import small_config

from gen_jax import files
from gen_jax.errors import UserError
from gen_jax.runs.workdir import check_same, claim_workdir, load_config, with_current_names, workdir_lock


def test_paths_are_recorded_from_the_root(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('HOME', str(tmp_path / 'home'))
  given = {'inception_weights': '~/inception.npz', 'extractors': 'networks/cifar'}
  config = with_current_names(small_config('digits', **given))
  assert config.inception_weights == f'{tmp_path}/home/inception.npz'
  assert config.extractors == f'{tmp_path}/networks/cifar'
  for extractors, expected in (('mnist', 'mnist'), ('~/x/', f'{tmp_path}/home/x/'), ('/mnist', '//mnist'), ('', '')):
    assert with_current_names(small_config('digits', extractors=extractors)).extractors == expected
  mnist = with_current_names(small_config('mnist', data={'dir': 'sets'})).data
  assert (mnist.name, mnist.dir) == ('mnist', f'{tmp_path}/sets')


def test_keys_that_were_added_since_take_their_defaults_and_may_be_set_where_they_may_differ(tmp_path):
  claim_workdir(tmp_path, small_config())
  path = tmp_path / 'config.json'
  old = json.loads(path.read_text())
  for key in ('final_evals', 'importance_samples', 'averages', 'data_parallel'):
    del old[key]
  del old['data']['crop']
  path.write_text(json.dumps(old))
  config = load_config(tmp_path)
  assert (config.final_evals, config.importance_samples, config.data.crop) == ((), 5_000, 0)
  check_same(tmp_path, load_config(tmp_path), small_config(importance_samples=7))
  (tmp_path / 'checkpoints' / '10').mkdir(parents=True)
  claim_workdir(tmp_path, small_config(steps=300, log_every=3))
  assert load_config(tmp_path).steps == 300
  for changes, message in (
    ({'data': {'crop': 5}}, 'data.crop: 0 there, 5 here'),
    ({'averages': {'slow': 0.9}}, 'averages.slow: absent there, 0.9 here'),
    ({'steps': 299}, 'steps: 300 there, 299 here'),
  ):
    with pytest.raises(UserError, match=message):
      claim_workdir(tmp_path, small_config(**{'steps': 300} | changes))


def test_what_failed_before_its_first_checkpoint_blocks_no_workdir(tmp_path):
  claim_workdir(tmp_path, small_config(seed=1))
  for name in ('lock', 'metrics.jsonl', 'slurm-7.out'):
    (tmp_path / name).write_text('')
  for name in ('checkpoints', 'tensorboard', 'evaluations', 'snapshots'):
    (tmp_path / name).mkdir()
  (tmp_path / 'evaluations' / '000000010.npz').write_text('')
  claim_workdir(tmp_path, small_config(seed=2))
  assert load_config(tmp_path).seed == 2
  assert not (tmp_path / 'evaluations').exists() and not (tmp_path / 'snapshots').exists()
  for left in (tmp_path / 'checkpoints' / '10', tmp_path / 'figures'):  # a checkpoint; what a finished run has left
    left.mkdir()
    with pytest.raises(UserError, match='seed: 2 there, 3 here'):
      claim_workdir(tmp_path, small_config(seed=3))
    left.rmdir()
  claim_workdir(tmp_path, small_config(seed=3))


def test_a_damaged_config_is_named(tmp_path):
  for content in ('{"steps": ', '[]', '{"model": 3}', '{"model": {}, "data": []}'):
    (tmp_path / 'config.json').write_text(content)
    with pytest.raises(UserError, match=r'config\.json is damaged'):
      load_config(tmp_path)


def test_a_folder_that_cannot_be_locked_is_said(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(files, 'fcntl', None)  # as on Windows, and its own way is not here either
  with workdir_lock(tmp_path / 'run'):
    assert capsys.readouterr().err.startswith(f'{tmp_path}/run cannot be locked (')
