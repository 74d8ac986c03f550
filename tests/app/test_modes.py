"""Every mode on small runs."""

import functools
import json
import re
import shutil

import chex
import numpy as np
import pytest
from command_line import error_of, run_command
from flax.traverse_util import flatten_dict
from PIL import Image
from safetensors import safe_open

import gen_jax
import launch
from gen_jax import build
from gen_jax.app import arguments
from gen_jax.evaluation import evaluators
from gen_jax.runs import workdir as workdirs
from gen_jax.training import loop

VAE, PLANE = (f'--config=experiments/{name}smoke' for name in ('vae.py:', 'gan_2d.py:'))

BENCHMARK = {  # key: what its value must be
  'examples_per_second': lambda value: value > 0,
  'milliseconds_per_step': lambda value: value > 0,
  'compile_seconds': lambda value: value > 0,
  'input_wait_fraction': lambda value: 0 < value <= 1,
  'peak_bytes': lambda value: 2**20 < value < 2**40 and isinstance(value, int),
  'device': lambda value: value.startswith('4 x cpu '),
}


def test_a_workdir_holds_what_others_rely_on(trained):
  with np.load(trained / 'samples.npz') as samples:
    assert samples['images'].dtype == np.uint8 and samples['images'].shape == (64, 28, 28, 1)
    assert samples['latents'].shape == (64, 2)
    assert np.ptp(samples['images']) > 0
  evaluation = json.loads((trained / 'evaluation.json').read_text())
  terms = {'elbo', 'reconstruction', 'kl', 'kl_dim_00', 'kl_dim_01', 'squared_error', 'active_units', 'bits_per_dim'}
  assert terms <= set(evaluation)
  figures = {path.stem for path in (trained / 'figures').glob('*.png')}
  assert figures == {
    'curves', 'interpolations', 'plane', 'reconstructions', 'samples', 'traversals_1', 'traversals_2', 'traversals_3',
  }  # fmt: skip
  report = (trained / 'report.html').read_text()
  assert not re.search(r'src="(?!data:)|https?://', report)
  assert report.count('data:image/png') >= 8


def test_a_conditional_model_draws_the_classes_that_are_asked_for_and_completes_images(capsys, tmp_path):
  small = [f'--config.model.network.{field}=4' for field in ('features', 'hidden')]
  small += ['--config.model.network.layers=1', '--config.data.size=8', '--config.steps=5']
  small += ['--config.model.conditional=True']
  run_command('--config=experiments/pixelcnn.py:smoke', f'--workdir={tmp_path}', *small)
  with np.load(tmp_path / 'samples.npz') as samples:
    np.testing.assert_array_equal(samples['labels'], np.arange(64) % 10)
  run_command(f'--workdir={tmp_path}', '--mode=sample', '--number=5', '--label=3')
  with np.load(tmp_path / 'samples.npz') as samples:
    np.testing.assert_array_equal(samples['labels'], np.full(5, 3))
    assert set(np.unique(samples['images'])) == {0, 255}
  assert '--label=10: PixelCNN has classes 0 to 9' in error_of(
    capsys, f'--workdir={tmp_path}', '--mode=sample', '--label=10'
  )
  completions = tmp_path / 'figures' / 'completions.png'
  completions.unlink()
  run_command(f'--workdir={tmp_path}', '--mode=complete')
  with Image.open(completions) as image:
    image.verify()
  assert 'Test images completed' in (tmp_path / 'report.html').read_text()


def test_modes_on_a_workdir(trained, capsys):
  run_command(f'--workdir={trained}', '--mode=sample', '--number=5', '--seed=3')
  with np.load(trained / 'samples.npz') as samples:
    assert samples['images'].shape[0] == 5
    first = samples['latents']
  run_command(f'--workdir={trained}', '--mode=sample', '--number=7', '--seed=3')
  with np.load(trained / 'samples.npz') as samples:
    np.testing.assert_array_equal(samples['latents'][:5], first)
  for mode in ('reconstruct', 'traverse', 'interpolate', 'plane', 'report'):
    run_command(f'--workdir={trained}', f'--mode={mode}')
  before = json.loads((trained / 'evaluation.json').read_text())
  run_command(f'--workdir={trained}', '--mode=evaluate', '--config.evals=active_units')
  assert json.loads((trained / 'evaluation.json').read_text()) == before
  run_command(f'--workdir={trained}', '--mode=evaluate', '--checkpoint=last')
  run_command(f'--workdir={trained}', '--mode=evaluate', '--checkpoint=10')
  assert json.loads((trained / 'evaluation.json').read_text())['step'] == 10


def test_the_same_command_again_changes_no_parameter(trained, capsys):
  before = gen_jax.load(trained).state
  run_command(VAE, f'--workdir={trained}', '--config.model.latent_dim=2')
  assert 'first step' not in capsys.readouterr().err  # there is none, so nothing is compiled for it
  after = gen_jax.load(trained).state
  chex.assert_trees_all_equal(before, after)


def test_runs_side_by_side(trained, capsys, tmp_path):
  other = tmp_path / 'autoencoder'
  run_command('--config=experiments/autoencoder.py:smoke', f'--workdir={other}', '--config.model.latent_dim=2')
  run_command(f'--workdir={trained}', '--mode=compare', f'--others={other}')
  assert 'runs, mean and standard' in capsys.readouterr().out
  assert {path.stem for path in (trained / 'figures').glob('comparison*')} == {
    'comparison_error', 'comparison_images', 'comparison_plane',
  }  # fmt: skip


def test_a_damaged_line_of_metrics_is_named(capsys, trained, tmp_path):
  copy = shutil.copytree(trained, tmp_path / 'copy')
  lines = (copy / 'metrics.jsonl').read_text().splitlines()
  (copy / 'metrics.jsonl').write_text('\n'.join([lines[0], lines[1][:9], *lines[2:]]) + '\n')
  assert 'metrics.jsonl: line 2 is damaged: remove it' in error_of(capsys, '--mode=report', f'--workdir={copy}')
  (copy / 'evaluation.json').write_text('{')
  assert 'evaluation.json is damaged' in error_of(capsys, '--mode=evaluate', f'--workdir={copy}')


def test_a_workdir_has_one_trainer(capsys, trained):
  with workdirs.workdir_lock(trained):
    said = error_of(capsys, VAE, f'--workdir={trained}', '--config.model.latent_dim=2')
  assert 'is being trained by another process' in said
  run_command(f'--workdir={trained}', '--mode=evaluate')


def test_a_run_is_repeated_from_its_config(trained, tmp_path):
  run_command(f'--config={trained}/config.json', f'--workdir={tmp_path}/again')
  chex.assert_trees_all_equal(gen_jax.load(trained, '20').state, gen_jax.load(tmp_path / 'again', '20').state)


def test_a_benchmark_needs_no_workdir_and_writes_nothing(capsys, trained, tmp_path):
  files = {path: path.stat().st_mtime_ns for path in trained.rglob('*')}
  small = '--config.model.encoder.hidden=(8,)'
  for words in ((VAE, small, f'--workdir={tmp_path / "none"}'), (f'--workdir={trained}',)):
    run_command(*words, '--mode=benchmark', '--benchmark_steps=16')
    said = capsys.readouterr()
    *table, last = said.out.splitlines()
    found = json.loads(last)
    assert set(found) == set(BENCHMARK) and all(right(found[key]) for key, right in BENCHMARK.items()), found
    assert 'timed             20 steps in 4 dispatches of 5' in table  # beyond the 20 steps of the whole run
    assert re.search(r'compilation +\d+\.\d\d s, (cold|from the cache): ', said.out)
    assert re.match(r'first step after \d+\.\d s: imports \S+, data ', said.err)
  assert not (tmp_path / 'none').exists()
  assert {path: path.stat().st_mtime_ns for path in trained.rglob('*')} == files


@pytest.mark.parametrize('dispatches', [1, 4])
def test_a_run_says_where_its_time_went_and_its_profile_is(dispatches, capsys, tmp_path):
  config = arguments.load_experiment('experiments/vae.py:smoke')
  config.update({'profile': True, 'steps': 5 * dispatches})
  loop.run(functools.partial(build.task, config), tmp_path)
  said = capsys.readouterr().err
  phases = r'first step after \d+\.\d s: data \S+, model and state \S+, tracing \S+, compilation \S+'
  assert len(re.findall(phases, said)) == 1
  named = re.search(r'profile of one dispatch in (\S+): tensorboard --logdir=(\S+)', said)
  assert named[1] == named[2] == f'{tmp_path}/profile'
  assert len(list((tmp_path / 'profile').glob('plugins/profile/*/*.xplane.pb'))) == 1


def test_a_run_without_a_checkpoint(capsys, trained, tmp_path):
  (tmp_path / 'config.json').write_text((trained / 'config.json').read_text())
  assert 'has no checkpoint yet: train first' in error_of(capsys, '--mode=evaluate', f'--workdir={tmp_path}')


def test_another_config_is_refused(capsys, trained):
  said = error_of(capsys, VAE, f'--workdir={trained}', '--config.model.latent_dim=3', '--config.seed=1')
  assert 'holds a run of another config (model.latent_dim: 2 there, 3 here; seed: 0 there, 1 here)' in said


def test_fewer_steps_are_refused(capsys, trained):
  said = error_of(capsys, VAE, f'--workdir={trained}', '--config.model.latent_dim=2', '--config.steps=10')
  assert 'steps: 20 there, 10 here' in said


def test_checkpoints_that_are_not_there(capsys, trained):
  said = error_of(capsys, f'--workdir={trained}', '--mode=evaluate', '--checkpoint=11')
  assert '--checkpoint=11: choose best, last, or one of the steps 10, 20' in said


def test_a_loss_that_is_not_finite_stops_the_run(capsys, tmp_path):
  said = launch.main(
    ['launch.py', VAE, f'--workdir={tmp_path}', '--config.optimizer.learning_rate=1e30', '--config.save_every=5']
  )
  assert said == 2
  assert re.search(r'error: step \d+: [\w/]+ is (nan|inf|-inf); the last checkpoint', capsys.readouterr().err)


def test_methods_and_labels_that_a_model_lacks(capsys, trained, smoke):
  autoencoder = smoke('autoencoder')
  assert '--label=3: VAE is not conditional' in error_of(capsys, f'--workdir={trained}', '--mode=sample', '--label=3')
  for mode, expected in (
    ('sample', '--mode=sample needs a model that has sample; Autoencoder has not'),
    ('complete', 'Autoencoder has not'),
    ('plane', 'has 10 latents, not 2'),
    ('compare', 'needs --others'),
  ):
    assert expected in error_of(capsys, f'--workdir={autoencoder}', f'--mode={mode}')


def test_modes_of_gans(smoke, capsys):
  plane, images = smoke('gan_2d'), smoke('conditional_gan')
  figures = {run: {path.stem for path in (run / 'figures').glob('*.png')} for run in (plane, images)}
  assert figures[plane] == {'animation', 'curves', 'points', 'progress', 'surface', 'transform'}
  assert figures[images] == {'animation', 'curves', 'neighbors', 'progress', 'samples'}
  captions = re.findall('<figcaption>(.*?)</figcaption>', (plane / 'report.html').read_text())
  assert len(captions) == 6 and 'Samples over their target' in captions
  with np.load(plane / 'samples.npz') as samples:
    assert samples['points'].shape == (64, 2)
  for mode in ('points', 'progress', 'vanish'):
    run_command(f'--workdir={plane}', f'--mode={mode}')
  assert (plane / 'figures' / 'vanishing.png').exists() and 'non_saturating: 0: ' in capsys.readouterr().out
  assert 'is of images, not of points' in error_of(capsys, f'--workdir={images}', '--mode=points')
  assert 'needs images; ring holds points' in error_of(capsys, f'--workdir={plane}', '--mode=neighbours')
  run_command(f'--workdir={images}', '--mode=neighbours')  # as it was called


def test_an_evaluation_may_be_asked_for_that_gives_texts_and_arrays(smoke, capsys, monkeypatch):
  workdir = smoke('conditional_gan')
  command = (f'--workdir={workdir}', '--mode=evaluate')
  small = functools.wraps(evaluators.class_agreement)(functools.partial(evaluators.class_agreement, per_class=20))
  monkeypatch.setattr(evaluators, 'class_agreement', small)
  run_command(*command, '--config.evals=class_agreement', '--config.extractors=mnist')
  evaluation = json.loads((workdir / 'evaluation.json').read_text())
  assert len(evaluation['classifier_hash']) == 12 and 0 <= evaluation['class_accuracy'] < 0.5
  assert evaluation['classifier_hash'] in capsys.readouterr().out
  run_command(f'--workdir={workdir}', '--mode=report')
  assert evaluation['classifier_hash'] in (workdir / 'report.html').read_text()
  assert 'needs a model that has encode' in error_of(capsys, *command, '--config.evals=probe')


def test_parameters_are_exported_with_flat_names(trained):
  run_command(f'--workdir={trained}', '--mode=export')
  with safe_open(trained / 'parameters.safetensors', 'np') as file:
    state = gen_jax.load(trained).state
    flat = {f'params/{name}': x for name, x in flatten_dict(state.params, sep='/').items()}
    assert set(file.keys()) == set(flat) and file.metadata() == {'step': str(state.step), 'average': 'none'}
    for name, array in flat.items():
      np.testing.assert_array_equal(file.get_tensor(name), array)
