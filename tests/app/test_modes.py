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
from page import Page
from PIL import Image
from safetensors import safe_open
from small import small_config

import gen_jax
import launch
from gen_jax import build, models
from gen_jax.app import arguments, modes
from gen_jax.app.results import PROTOCOL
from gen_jax.evaluation import evaluators
from gen_jax.evaluation.explain import explain
from gen_jax.evaluation.needs import needs
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


@pytest.fixture
def workdir(trained, tmp_path):
  """A copy of the trained run, which a test may change."""
  return shutil.copytree(trained, tmp_path / 'trained')


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
  assert {'alt="elbo by training step"', 'alt="loss by training step"'} <= set(re.findall('alt="[^"]*"', report))


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


def files_of(workdir):
  """{file: when it was written}, of those that a mode's user asks for."""
  return {path: path.stat().st_mtime_ns for path in workdir.rglob('*.*') if path.name != 'index.json'}


OF_A_VAE = ('evaluate', 'report', 'export', 'reconstruct', 'sample', 'traverse', 'interpolate', 'plane')


def test_every_mode_says_where_it_wrote(workdir, capsys):
  (workdir / 'report.html').unlink()
  for mode in OF_A_VAE:
    before = files_of(workdir)
    capsys.readouterr()
    run_command(f'--workdir={workdir}', f'--mode={mode}')
    said = {line.removeprefix('wrote ') for line in capsys.readouterr().out.splitlines() if line.startswith('wrote ')}
    after = files_of(workdir)
    changed = {str(path) for path, time in after.items() if before.get(path) != time}
    assert said == changed != set(), mode
    if mode == 'report':
      (workdir / 'report.html').unlink()  # what there is of it is renewed with the others: a second each


def test_what_a_report_shows_is_renewed_with_it(workdir, capsys):
  evaluation = json.loads((workdir / 'evaluation.json').read_text())
  (workdir / 'evaluation.json').write_text(json.dumps(evaluation | {'of_another_time': 12.3456}))
  run_command(f'--workdir={workdir}', '--mode=evaluate', '--config.evals=active_units')
  assert f'wrote {workdir}/report.html\n' in capsys.readouterr().out
  page = Page((workdir / 'report.html').read_text())
  assert {'12.35', 'of another time'} <= set(page.words) and page.texts['h3'][:3] == ['means', 'active_units', 'others']
  run_command(f'--workdir={workdir}', '--mode=sample', '--number=500')
  page = Page((workdir / 'report.html').read_text())
  caption = 'Samples from the prior: the first 400 of 500; all are in samples.npz'
  assert caption in page.texts['figcaption'] and caption in capsys.readouterr().out


def test_the_report_of_a_run_explains_its_numbers(trained):
  page = Page((trained / 'report.html').read_text())
  on_top = [words for words in page.texts['span'] if words]
  assert on_top[0] == 'elbo, nats' and 'training steps' in on_top and len(page.texts['b']) == 2
  assert page.texts['b'][1] == '20' and page.texts['h1'] == ['vae:smoke']
  evaluation = json.loads((trained / 'evaluation.json').read_text())
  explained = explain([name for name in evaluation if name not in PROTOCOL], models.VAE)
  assert len(explained) == len(evaluation.keys() - set(PROTOCOL))
  assert {known.metric.meaning for known in explained.values()} <= set(page.texts['small'])
  assert 'step 20, 64 examples of the test split, binarized (dynamic)' in page.words


def test_factors_and_units_are_named(run_of, tmp_path, capsys):
  workdir = shutil.copytree(run_of('sprites').workdir, tmp_path / 'sprites')
  run_command(f'--workdir={workdir}', '--mode=evaluate', "--config.evals=('means', 'spearman')")
  out = capsys.readouterr().out
  assert re.search(r'\n  elbo +-\d+\.\d{4}  nats\n', out) and re.search(r'\n  squared_error +\d+\.\d{4}\n', out)
  assert re.search(r'\n  spearman_0 +[01]\.\d{4}  shape\n', out)
  run_command(f'--workdir={workdir}', '--mode=report')
  page = Page((workdir / 'report.html').read_text())
  names = page.texts['dt']
  assert names[names.index('shape') :][:5] == ['shape', 'scale', 'orientation', 'x', 'y']
  assert 'spearman_0' not in page.words


def test_modes_on_a_workdir(workdir, capsys):
  run_command(f'--workdir={workdir}', '--mode=sample', '--number=5', '--seed=3')
  with np.load(workdir / 'samples.npz') as samples:
    assert samples['images'].shape[0] == 5
    first = samples['latents']
  run_command(f'--workdir={workdir}', '--mode=sample', '--number=7', '--seed=3')
  with np.load(workdir / 'samples.npz') as samples:
    np.testing.assert_array_equal(samples['latents'][:5], first)
  before = json.loads((workdir / 'evaluation.json').read_text())
  run_command(f'--workdir={workdir}', '--mode=evaluate', '--config.evals=active_units')
  assert json.loads((workdir / 'evaluation.json').read_text()) == before
  run_command(f'--workdir={workdir}', '--mode=evaluate', '--checkpoint=last')
  run_command(f'--workdir={workdir}', '--mode=evaluate', '--checkpoint=10')
  assert json.loads((workdir / 'evaluation.json').read_text())['step'] == 10


def test_the_same_command_again_changes_no_parameter(workdir, capsys):
  before = gen_jax.load(workdir).state
  run_command(VAE, f'--workdir={workdir}', '--config.model.latent_dim=2')
  assert 'first step' not in capsys.readouterr().err  # there is none, so nothing is compiled for it
  after = gen_jax.load(workdir).state
  chex.assert_trees_all_equal(before, after)


def test_runs_side_by_side(workdir, capsys, tmp_path):
  other = tmp_path / 'autoencoder'
  run_command('--config=experiments/autoencoder.py:smoke', f'--workdir={other}', '--config.model.latent_dim=2')
  run_command(f'--workdir={workdir}', '--mode=compare', f'--others={other}')
  assert 'runs, mean and standard' in capsys.readouterr().out
  assert {path.stem for path in (workdir / 'figures').glob('comparison*')} == {
    'comparison_error', 'comparison_images', 'comparison_plane',
  }  # fmt: skip


def test_a_damaged_line_of_metrics_is_named(capsys, trained, tmp_path):
  copy = shutil.copytree(trained, tmp_path / 'copy')
  lines = (copy / 'metrics.jsonl').read_text().splitlines()
  (copy / 'metrics.jsonl').write_text('\n'.join([lines[0], lines[1][:9], *lines[2:]]) + '\n')
  assert 'metrics.jsonl: line 2 is damaged: remove it' in error_of(capsys, '--mode=report', f'--workdir={copy}')
  (copy / 'evaluation.json').write_text('{')
  assert 'evaluation.json is damaged' in error_of(capsys, '--mode=evaluate', f'--workdir={copy}')


def test_a_workdir_has_one_trainer(capsys, workdir):
  with workdirs.workdir_lock(workdir):
    message = error_of(capsys, VAE, f'--workdir={workdir}', '--config.model.latent_dim=2')
  assert 'is being trained by another process' in message
  run_command(f'--workdir={workdir}', '--mode=evaluate')


def test_a_run_is_repeated_from_its_config(trained, tmp_path):
  words = ['launch.py', f'--config={trained}/config.json', f'--workdir={tmp_path}/again']
  every = modes.all_modes()
  _, config = arguments.parse(words, every['train'], every)
  state, _ = loop.run(functools.partial(build.task, config), tmp_path / 'again')
  chex.assert_trees_all_equal(gen_jax.load(trained, '20').state, state)


def test_a_benchmark_needs_no_workdir_and_writes_nothing(capsys, trained, tmp_path):
  files = {path: path.stat().st_mtime_ns for path in trained.rglob('*')}
  small = '--config.model.encoder.hidden=(8,)'
  for words in ((VAE, small), (f'--workdir={trained}',)):
    run_command(*words, '--mode=benchmark', '--benchmark_steps=16')
    message = capsys.readouterr()
    *table, last = message.out.splitlines()
    results = json.loads(last)
    assert set(results) == set(BENCHMARK) and all(right(results[key]) for key, right in BENCHMARK.items()), results
    assert 'timed             20 steps in 4 dispatches of 5' in table  # beyond the 20 steps of the whole run
    assert re.search(r'compilation +\d+\.\d\d s, (cold|from the cache): ', message.out)
    assert re.match(r'first step after \d+\.\d s: imports \S+, data ', message.err)
  both = error_of(capsys, VAE, f'--workdir={tmp_path}/none', '--mode=benchmark')
  assert '--workdir: --mode=benchmark writes nothing, and --config says what it is of' in both
  assert {path: path.stat().st_mtime_ns for path in trained.rglob('*')} == files


@pytest.mark.parametrize('dispatches', [1, 4])
def test_a_run_says_where_its_time_went_and_its_profile_is(dispatches, capsys, tmp_path):
  config = small_config(profile=True, steps=5 * dispatches, best='')
  loop.run(functools.partial(build.task, config), tmp_path)
  message = capsys.readouterr().err
  phases = r'first step after \d+\.\d s: data \S+, model and state \S+, tracing \S+, compilation \S+'
  assert len(re.findall(phases, message)) == 1
  named = re.search(r'profile of one dispatch in (\S+): tensorboard --logdir=(\S+)', message)
  assert named[1] == named[2] == f'{tmp_path}/profile'
  assert len(list((tmp_path / 'profile').glob('plugins/profile/*/*.xplane.pb'))) == 1


def test_a_run_without_a_checkpoint(capsys, trained, tmp_path):
  (tmp_path / 'config.json').write_text((trained / 'config.json').read_text())
  assert 'has no checkpoint yet: train first' in error_of(capsys, '--mode=evaluate', f'--workdir={tmp_path}')


def test_another_config_is_refused(capsys, trained):
  message = error_of(capsys, VAE, f'--workdir={trained}', '--config.model.latent_dim=3', '--config.seed=1')
  assert 'holds a run of another config (model.latent_dim: 2 there, 3 here; seed: 0 there, 1 here)' in message


def test_fewer_steps_are_refused(capsys, trained):
  message = error_of(capsys, VAE, f'--workdir={trained}', '--config.model.latent_dim=2', '--config.steps=10')
  assert 'steps: 20 there, 10 here' in message


def test_checkpoints_that_are_not_there(capsys, trained):
  message = error_of(capsys, f'--workdir={trained}', '--mode=evaluate', '--checkpoint=11')
  assert '--checkpoint=11: choose best, last, or one of the steps 10, 20' in message


def test_a_loss_that_is_not_finite_stops_the_run(capsys, tmp_path):
  small = ('--config.model.encoder.name=MLPEncoder', '--config.optimizer.learning_rate=1e30')
  assert launch.main(['launch.py', VAE, f'--workdir={tmp_path}', *small]) == 2
  line = capsys.readouterr().err.splitlines()[-1]
  assert re.match(r'error: step \d+: [\w/]+ is (nan|inf|-inf); nothing has been saved yet: try a lower', line)


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
  assert figures[images] == {
    'animation', 'curves', 'interpolations', 'neighbors', 'progress', 'samples', 'walk',
  }  # fmt: skip
  page = Page((plane / 'report.html').read_text())
  assert 'Samples over their target' in page.texts['figcaption']
  assert sum('plot' not in figure['class'] for figure in page.of('figure')) == 5
  with np.load(plane / 'samples.npz') as samples:
    assert samples['points'].shape == (64, 2)
  run_command(f'--workdir={plane}', '--mode=vanish')
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
  assert evaluation['classifier_hash'] in Page((workdir / 'report.html').read_text()).words
  assert 'needs a model that has encode' in error_of(capsys, *command, '--config.evals=probe')


def test_parameters_are_exported_with_flat_names(workdir):
  run_command(f'--workdir={workdir}', '--mode=export')
  with safe_open(workdir / 'parameters.safetensors', 'np') as file:
    state = gen_jax.load(workdir).state
    flat = {f'params/{name}': x for name, x in flatten_dict(state.params, sep='/').items()}
    assert set(file.keys()) == set(flat) and file.metadata() == {'step': str(state.step), 'average': 'none'}
    for name, array in flat.items():
      np.testing.assert_array_equal(file.get_tensor(name), array)


@pytest.fixture
def binary(run_of, tmp_path):
  """A copy of a run on binarized digits, and of the same with itself."""
  workdir = shutil.copytree(run_of('binary vae').workdir, tmp_path / 'binary')
  return gen_jax.load(workdir)


LIKELIHOOD = ('--mode=evaluate', '--config.evals=likelihood', '--config.importance_samples=60')


def test_likelihoods_that_evaluations_leave_are_compared(binary, tmp_path, capsys):
  """From the evaluator through evaluation.json and evaluation.npz to the comparison."""
  one, two = binary.workdir, shutil.copytree(binary.workdir, tmp_path / 'other')
  run_command(f'--workdir={one}', *LIKELIHOOD)
  run_command(f'--workdir={two}', '--mode=evaluate', '--config.evals=likelihood', '--config.importance_samples=1')
  nll = [np.load(workdir / 'evaluation.npz')['nll_each'] for workdir in (one, two)]
  evaluation = json.loads((one / 'evaluation.json').read_text())
  assert evaluation['nll'] == pytest.approx(nll[0].mean()) and len(nll[0]) == evaluation['examples'] == 32
  assert evaluation['binarize'] == 'dynamic' and evaluation['importance_samples'] == 60
  run_command(f'--workdir={one}', '--mode=compare', f'--others={two}')
  gain = nll[1] - nll[0]
  expected = f'-log p(x) is {gain.mean():.3f} +- {gain.std(ddof=1) / 32**0.5:.3f} nats below that of {two}'
  assert gain.mean() > 0 and expected in capsys.readouterr().out
  run_command(f'--workdir={two}', *LIKELIHOOD, '--checkpoint=2')  # of another checkpoint than is compared
  run_command(f'--workdir={one}', '--mode=compare', f'--others={two}')
  assert '-log p(x) not compared' in capsys.readouterr().out


def test_an_evaluation_makes_the_figures_of_its_arrays(run_of, tmp_path, monkeypatch):
  run = gen_jax.load(shutil.copytree(run_of('sprites').workdir, tmp_path / 'sprites'))
  latents, sizes = run.module.latent_dim, run.source.data.factor_sizes

  @needs()
  def disentanglement(model, source):  # the true one encodes all images
    information = np.random.default_rng(0).uniform(0, 1, (latents, len(sizes)))
    yield 'mig', 0.5
    yield 'factor_information', information
    yield 'factor_importances', information
    for k, size in enumerate(sizes):
      yield f'response_mean_{k}', np.ones((size, 1)) * np.arange(latents) + np.arange(size)[:, None]
      yield f'response_std_{k}', np.full((size, latents), 0.1)

  monkeypatch.setattr(evaluators, 'disentanglement', disentanglement)
  run_command(f'--workdir={run.workdir}', '--mode=evaluate', '--config.final_evals=disentanglement')
  assert json.loads((run.workdir / 'evaluation.json').read_text())['mig'] == 0.5
  assert {'factors', 'responses'} <= {path.stem for path in (run.workdir / 'figures').glob('*.png')}
  modes.report(run)
  assert (run.workdir / 'report.html').read_text().count('data:image/png') >= 3


def test_samples_from_a_mixture_by_their_former_flags(run_of, tmp_path):
  workdir = shutil.copytree(run_of('autoencoder').workdir, tmp_path / 'run')
  run_command(f'--workdir={workdir}', '--mode=sample', '--sampler=mixture', '--number=5', '--components=3')
  with np.load(workdir / 'samples_mixture.npz') as samples:
    assert samples['images'].dtype == np.uint8 and samples['images'].shape == (5, 8, 8, 1)
    assert samples['latents'].shape == (5, 3)
  assert {'samples_mixture', 'samplers'} <= {path.stem for path in (workdir / 'figures').glob('*.png')}
  run_command(f'--workdir={workdir}', '--mode=report')
  captions = re.findall('<figcaption>(.*?)</figcaption>', (workdir / 'report.html').read_text())
  assert sum('fitted to the codes' in caption for caption in captions) == 1 and 'Samples from the prior' not in captions
