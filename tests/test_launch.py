"""The command line: every mode, and one clear line for whatever is mistyped."""

import functools
import json
import pathlib
import re

import chex
import jax
import numpy as np
import pytest
from PIL import Image
from small import write_images

import gen_jax
import launch
from gen_jax import build
from gen_jax.app import arguments, check, modes
from gen_jax.evaluation.bound import Verbs
from gen_jax.runs import workdir as workdirs
from gen_jax.training import loop, parallel

EXPERIMENTS = sorted(path.stem for path in pathlib.Path('experiments').glob('*.py') if path.stem != 'common')
VAE, GAN, PLANE = (f'--config=experiments/{name}smoke' for name in ('vae.py:', 'gan.py:plain,', 'gan_2d.py:'))
SNGAN = '--config=experiments/sngan.py:smoke'


def fails(capsys, *arguments):
  """The one line that a command line ends with."""
  capsys.readouterr()  # what commands before it said
  assert launch.main(['launch.py', *map(str, arguments)]) == 2
  said = capsys.readouterr().err
  assert said.startswith('error: ') and said.count('\n') == 1, said
  return said


def runs(*arguments):
  assert launch.main(['launch.py', *map(str, arguments)]) == 0


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('runs') / 'vae'
  runs(VAE, f'--workdir={workdir}', '--config.model.latent_dim=2')
  return workdir


@pytest.fixture(scope='module')
def smoke(tmp_path_factory):
  """The workdir of an experiment's variant 'smoke', run when it is first asked for."""

  @functools.cache
  def of(name):
    workdir = tmp_path_factory.mktemp('smoke') / name
    runs(f'--config=experiments/{name}.py:smoke', f'--workdir={workdir}')
    return workdir

  return of


@pytest.fixture(scope='module')
def autoencoder(smoke):
  """Which has no prior."""
  return smoke('autoencoder')


# whose networks, evaluators and figures others have too; they run to the report with the slow tests
ALIKE = {'annealed_vae', 'beta_tcvae', 'dip_vae', 'factor_vae', 'flow_vae', 'iwae', 'vampprior'}
ALIKE |= {'gan', 'sngan', 'wgan_gp'}


@pytest.mark.parametrize('name', sorted(ALIKE))
def test_steps_of_experiments_that_are_alike_can_be_traced(name):
  config = arguments.load_experiment(f'experiments/{name}.py:smoke')
  check.check(config)
  data = build.dataset(config, 'train')
  game = build.model(config, data)
  parts = (config, data, game, build.optimizers(config, game))
  state = jax.eval_shape(functools.partial(loop.fresh_state, *parts))
  rows = parallel.local_rows(config.batch_size)
  after, history = jax.eval_shape(loop.compiled_steps(*parts), state, dict(data.arrays), np.int32(1), rows)
  chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
  assert {f'{player}/loss' for player in game.players} <= set(history)
  batch = build.example_batch(data, build.preprocessor(config, data, train=False), rows=4)
  found = jax.eval_shape(Verbs(game, state).evaluate, batch)
  assert found and all(value.shape == (4,) for value in found.values() if value.ndim < 2)


def quality(name):
  """A metric of every run of an experiment."""
  return 'nll' if name == 'pixelcnn' else 'logit_fake' if 'gan' in name else 'squared_error'


@pytest.mark.parametrize('name', [pytest.param(n, marks=[pytest.mark.slow] * (n in ALIKE)) for n in EXPERIMENTS])
def test_every_experiment_runs_to_its_report(name, smoke):
  workdir = smoke(name)
  there = {path.name for path in workdir.iterdir()}
  assert {'config.json', 'checkpoints', 'metrics.jsonl', 'evaluation.json', 'figures', 'report.html'} <= there
  records = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
  assert records[-1]['step'] == 20 and any(f'validation/{quality(name)}' in record for record in records)
  evaluation = json.loads((workdir / 'evaluation.json').read_text())
  assert evaluation['split'] == 'test' and np.isfinite(evaluation[quality(name)])
  for figure in (workdir / 'figures').glob('*.png'):
    with Image.open(figure) as image:
      image.verify()


def test_the_figures_of_games(smoke, capsys, tmp_path):
  plane, images = smoke('gan_2d'), smoke('conditional_gan')
  figures = {run: {path.stem for path in (run / 'figures').glob('*.png')} for run in (plane, images)}
  assert figures[plane] == {'animation', 'curves', 'points', 'progress', 'surface', 'transform'}
  assert figures[images] == {'animation', 'curves', 'neighbours', 'progress', 'samples'}
  with np.load(plane / 'samples.npz') as samples:
    assert samples['points'].shape == (64, 2)
  with Image.open(images / 'figures' / 'animation.png') as animation:
    assert animation.n_frames == 3  # the first is shown by what knows no animations; then steps 10 and 20
  for mode in ('points', 'progress', 'vanish'):
    runs(f'--workdir={plane}', f'--mode={mode}')
  assert (plane / 'figures' / 'vanishing.png').exists() and 'non_saturating: 0: ' in capsys.readouterr().out
  runs(f'--workdir={images}', '--mode=neighbours')
  assert 'is of points, not of images' in fails(capsys, f'--workdir={plane}', '--mode=neighbours')
  assert 'is of images, not of points' in fails(capsys, f'--workdir={images}', '--mode=points')
  assert '--label=10: GAN has classes 0 to 9' in fails(capsys, f'--workdir={images}', '--mode=sample', '--label=10')
  points = tmp_path / 'points.csv'
  points.write_text('x,y\n1,2\nthree,4\n')
  said = fails(capsys, PLANE, f'--config.data.name={points}', f'--workdir={tmp_path}/a')
  assert 'points.csv' in said and 'line 3' in said


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_every_variant_is_a_config(name):
  path = f'experiments/{name}.py'
  variants = (
    arguments.load_experiment(path).experiment
    and __import__(f'experiments.{name}', fromlist=['get_config']).get_config.variants
  )
  assert {'default', 'smoke'} <= set(variants)
  for variant in variants:
    assert arguments.load_experiment(f'{path}:{variant}').is_locked


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
  runs('--config=experiments/pixelcnn.py:smoke', f'--workdir={tmp_path}', '--config.model.conditional=True', *small)
  with np.load(tmp_path / 'samples.npz') as samples:
    np.testing.assert_array_equal(samples['labels'], np.arange(64) % 10)
  runs(f'--workdir={tmp_path}', '--mode=sample', '--number=5', '--label=3')
  with np.load(tmp_path / 'samples.npz') as samples:
    np.testing.assert_array_equal(samples['labels'], np.full(5, 3))
    assert set(np.unique(samples['images'])) == {0, 255}
  assert '--label=10: PixelCNN has classes 0 to 9' in fails(
    capsys, f'--workdir={tmp_path}', '--mode=sample', '--label=10'
  )
  completions = tmp_path / 'figures' / 'completions.png'
  completions.unlink()
  runs(f'--workdir={tmp_path}', '--mode=complete')
  with Image.open(completions) as image:
    image.verify()
  assert 'Test images completed' in (tmp_path / 'report.html').read_text()


def test_load_gives_config_model_and_state(trained):
  run = gen_jax.load(trained)
  assert run.config.model.latent_dim == 2 and run.state.step == 20
  images = run.verbs().decode(np.zeros((3, 2), np.float32), {'row': np.arange(3)})
  assert images.shape == (3, 28, 28, 1) and 0 <= images.min() <= images.max() <= 1


def test_modes_on_a_workdir(trained, capsys):
  runs(f'--workdir={trained}', '--mode=sample', '--number=5', '--seed=3')
  with np.load(trained / 'samples.npz') as samples:
    assert samples['images'].shape[0] == 5
    first = samples['latents']
  runs(f'--workdir={trained}', '--mode=sample', '--number=7', '--seed=3')
  with np.load(trained / 'samples.npz') as samples:
    np.testing.assert_array_equal(samples['latents'][:5], first)
  for mode in ('reconstruct', 'traverse', 'interpolate', 'plane', 'report'):
    runs(f'--workdir={trained}', f'--mode={mode}')
  before = json.loads((trained / 'evaluation.json').read_text())
  runs(f'--workdir={trained}', '--mode=evaluate', '--config.evals=active_units')
  assert json.loads((trained / 'evaluation.json').read_text()) == before
  runs(f'--workdir={trained}', '--mode=evaluate', '--checkpoint=last')
  runs(f'--workdir={trained}', '--mode=evaluate', '--checkpoint=10')
  assert json.loads((trained / 'evaluation.json').read_text())['step'] == 10


def test_samples_from_a_mixture_of_the_codes(trained, autoencoder, capsys):
  mixture = ('--mode=sample', '--sampler=mixture')
  for workdir, latents in ((trained, 2), (autoencoder, 10)):
    runs(f'--workdir={workdir}', *mixture, '--number=5', '--components=3')
    with np.load(workdir / 'samples_mixture.npz') as samples:
      assert samples['images'].shape == (5, 28, 28, 1) and samples['images'].dtype == np.uint8
      assert samples['latents'].shape == (5, latents)
      run, z = gen_jax.load(workdir), samples['latents']
      again = run.verbs().decode(z, {'row': np.arange(5)})
      np.testing.assert_allclose(samples['images'], np.asarray(again) * 255, atol=0.51)
    for name in ('samples_mixture', 'samplers'):
      with Image.open(workdir / 'figures' / f'{name}.png') as image:
        image.verify()
  from gen_jax.figures import drawing

  batches = drawing.split_batches(run.config, build.dataset(run.config, 'train'))
  codes = np.concatenate([run.verbs().encode(batch) for batch in batches])
  runs(f'--workdir={autoencoder}', *mixture, '--number=400')
  with np.load(autoencoder / 'samples_mixture.npz') as samples:
    np.testing.assert_allclose(samples['latents'].mean(0), codes.mean(0), atol=0.25 * codes.std(0).max())
    np.testing.assert_allclose(samples['latents'].std(0), codes.std(0), rtol=0.25)
  runs(f'--workdir={autoencoder}', '--mode=report')
  captions = re.findall('<figcaption>(.*?)</figcaption>', (autoencoder / 'report.html').read_text())
  assert sum('fitted to the codes' in caption for caption in captions) == 1 and 'Samples from the prior' not in captions

  sample = (f'--workdir={trained}', '--mode=sample')
  assert '--sampler=mixtur is unknown; did you mean mixture?' in fails(capsys, *sample, '--sampler=mixtur')
  assert 'between 1 and the number of codes, 1397' in fails(capsys, *sample, mixture[1], '--components=2000')
  assert '--label=3: --sampler=mixture knows no classes' in fails(capsys, *sample, mixture[1], '--label=3')


def test_a_conditional_vae(capsys, monkeypatch, tmp_path):
  from gen_jax import evaluation
  from gen_jax.evaluation import agreement

  def class_agreement(verbs, batches, *, grey_batches, value_range, data_name, extractors):
    given = {'value_range': value_range, 'data_name': data_name, 'extractors': extractors}
    return agreement.class_agreement(verbs, batches, per_class=20, grey_batches=grey_batches, **given)

  monkeypatch.setattr(evaluation, 'class_agreement', class_agreement)
  runs('--config=experiments/cvae.py:smoke', f'--workdir={tmp_path}', '--config.evals=class_agreement',
       '--config.final_evals=class_agreement', '--config.model.latent_dim=2', '--config.best=',
       '--config.eval_every=20', '--config.extractors=mnist')  # fmt: skip
  evaluation = json.loads((tmp_path / 'evaluation.json').read_text())
  assert len(evaluation['classifier_hash']) == 12 and 0 <= evaluation['named_right'] < 0.5
  assert evaluation['classifier_hash'] in capsys.readouterr().out
  assert evaluation['classifier_hash'] in (tmp_path / 'report.html').read_text()
  last = json.loads((tmp_path / 'metrics.jsonl').read_text().splitlines()[-1])
  assert 'validation/named_right' in last and 'validation/classifier_hash' not in last
  probe = fails(capsys, f'--workdir={tmp_path}', '--mode=evaluate', '--config.evals=probe')
  assert 'needs codes that have not seen the label' in probe
  for mode in ('--mode=interpolate', '--mode=plane', '--mode=sample'):
    said = fails(capsys, f'--workdir={tmp_path}', mode, '--sampler=mixture')
    assert 'is conditional: a code is of one class' in said


def test_codes_of_categories_have_no_plane_and_no_walks(capsys, smoke):
  for mode in ('--mode=interpolate', '--mode=plane', '--mode=sample'):
    assert 'is of categories' in fails(capsys, f'--workdir={smoke("categorical_vae")}', mode, '--sampler=mixture')


def test_a_run_of_before_a_key_was_added(trained, tmp_path):
  import shutil

  shutil.copytree(trained, tmp_path / 'old')
  path = tmp_path / 'old/config.json'
  config = json.loads(path.read_text())
  del config['final_evals'], config['importance_samples']
  path.write_text(json.dumps(config))
  runs(f'--workdir={tmp_path / "old"}', '--mode=evaluate')
  runs(f'--workdir={tmp_path / "old"}', '--mode=evaluate', '--config.importance_samples=7')


def test_the_same_command_again_changes_no_parameter(trained, capsys):
  before = gen_jax.load(trained).state
  runs(VAE, f'--workdir={trained}', '--config.model.latent_dim=2')
  assert 'first step' not in capsys.readouterr().err  # there is none, so nothing is compiled for it
  after = gen_jax.load(trained).state
  chex.assert_trees_all_equal(before, after)


def test_runs_side_by_side(trained, capsys, tmp_path):
  other = tmp_path / 'autoencoder'
  runs('--config=experiments/autoencoder.py:smoke', f'--workdir={other}', '--config.model.latent_dim=2')
  runs(f'--workdir={trained}', '--mode=compare', f'--others={other}')
  assert 'runs, mean and standard' in capsys.readouterr().out
  assert {path.stem for path in (trained / 'figures').glob('comparison*')} == {
    'comparison_error', 'comparison_images', 'comparison_plane',
  }  # fmt: skip


@pytest.fixture(scope='module')
def compared(tmp_path_factory):
  """Runs of one sample and of two, the latter with two seeds; evaluated, not drawn."""
  folder, found = tmp_path_factory.mktemp('compared'), {}
  for k, seed in ((1, 0), (2, 0), (2, 1)):
    options = (f'--config.model.samples={k}', f'--config.seed={seed}', '--config.best=', '--config.data.size=8')
    options += ('--config.model.encoder.hidden=(8,)', '--config.model.decoder.hidden=(8,)')
    config = arguments.parse(['launch.py', '--config=experiments/iwae.py:smoke', *options], launch.define_flags())
    found[k, seed] = workdir = folder / f'{k}_{seed}'
    workdirs.claim_workdir(workdir, config)
    loop.train(config, workdir)
    modes.evaluate(gen_jax.load(workdir))
  return found


def test_scores_of_a_setting_are_averaged_over_its_seeds(compared, capsys):
  first, *others = (compared[run] for run in ((2, 0), (2, 1), (1, 0)))
  pair = [json.loads((compared[2, seed] / 'evaluation.json').read_text())['elbo'] for seed in (0, 1)]
  runs(f'--workdir={first}', '--mode=compare', f'--others={others[0]},{others[1]}')
  assert (first / 'figures' / 'comparison_traversals.png').exists()
  said = capsys.readouterr().out
  assert 'model.samples=2: 2 runs' in said and 'model.samples=1: 1 runs' in said
  line = next(line.split() for line in said.splitlines() if line.split()[:1] == ['elbo'])
  np.testing.assert_allclose([float(line[1]), float(line[3])], [np.mean(pair), np.std(pair, ddof=1)], atol=1e-3)
  assert said.count('udr') == 1  # of the setting that has two runs


def test_likelihoods_of_two_runs_are_compared_example_by_example(compared, capsys):
  one, two = compared[1, 0], compared[2, 0]
  nll = [np.load(workdir / 'evaluation.npz')['nll_each'] for workdir in (one, two)]
  evaluation = json.loads((two / 'evaluation.json').read_text())
  assert evaluation['nll'] == pytest.approx(nll[1].mean()) and len(nll[1]) == 64
  assert evaluation['binarize'] == 'dynamic' and evaluation['importance_samples'] == 60
  runs(f'--workdir={two}', '--mode=compare', f'--others={one}')
  gain = nll[0] - nll[1]
  expected = f'-log p(x) is {gain.mean():.3f} +- {gain.std(ddof=1) / 8:.3f} nats below that of {one}'
  assert expected in capsys.readouterr().out
  runs(f'--workdir={one}', '--mode=evaluate', '--checkpoint=10')  # of another checkpoint than is compared
  runs(f'--workdir={two}', '--mode=compare', f'--others={one}')
  assert '-log p(x) not compared' in capsys.readouterr().out


def test_help_imports_nothing_heavy(capsys):
  import subprocess
  import sys

  code = 'import sys, launch; launch.main(["launch.py", "--help"]); print("jax" in sys.modules, "numpy" in sys.modules)'
  out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout
  assert '--[no]' in out or '--mode' in out
  assert 'beta_vae' in out and out.strip().endswith('False False'), out[-300:]


MISTAKES = {  # name: (arguments, part of the answer)
  'unknown key': ('--config.model.latent_dmi=3', 'there is no such key; did you mean model.latent_dim?'),
  'section': ('--config.model=3', '--config.model is a section: set one of its keys model.beta, '),
  'wrong type': ('--config.batch_size=many', '--config.batch_size=many: invalid literal for int()'),
  'negative beta': ('--config.model.beta=-1', 'config.model.beta=-1.0: must not be negative'),
  'no latents': ('--config.model.latent_dim=0', 'config.model.latent_dim=0: must be above 0'),
  'devices': ('--config.batch_size=6', 'batch_size=6 does not divide over 4 devices: choose a multiple of 4'),
  'choice': ('--config.optimizer.schedule=cosin', "schedule='cosin': choose one of constant, cosine"),
  'class': ('--config.model.encoder.name=MLPEncodr', "name='MLPEncodr' is unknown; did you mean MLPEncoder?"),
  'evaluator': ('--config.evals=active_unit', "'active_unit' is unknown; did you mean active_units?"),
  'folder': ('--config=experiments', 'there is no file experiments; did you mean experiments/'),
  'a field that is not set': (f'{GAN} --config.model.critc_steps=1', 'did you mean model.critic_steps?'),
  'a field of one player': (
    f'{GAN} --config.player_optimizers.discriminator.clip_wights=.1',
    'did you mean player_optimizers.discriminator.clip_weights?',
  ),
  'file': ('--config=experiments/vea.py', 'there is no file experiments/vea.py; did you mean experiments/vae.py?'),
  'variant': ('--config=experiments/vae.py:smok', "has no variant 'smok'; did you mean smoke?"),
  'mode': ('--mode=trian', '--mode=trian is unknown; did you mean train?'),
  'flag': ('--wrokdir=x', "Unknown command line flag 'wrokdir'"),
  'word': ('evaluate', "'evaluate' is no flag"),
  'data': ('--config.data.name=no_such_set', 'no_such_set'),
  'crop': ('--config.data.crop=99', 'crop'),
  'no data': ('--config.data.name=', 'config.data.name is empty: name a data set'),
  'not a number': ("--config.model.encoder.hidden=('a',)", "config.model.encoder.hidden=('a',): must be a number"),
  'a network in its wrong place': ('--config.model.encoder.name=MLPDecoder', 'config.model cannot be built'),
  'a likelihood of another range': ('--config.data.value_range=(-1.0,1.0)', 'Bernoulli needs (0.0, 1.0)'),
  'a likelihood of other values': ('--config.data.dequantize=True', 'Bernoulli is a distribution of discrete values'),
  'factors': ('--config.evals=spearman', 'spearman needs a data set with factors'),
  'labels': ('--config=experiments/beta_vae.py:smoke --config.evals=probe', 'probe needs a data set with labels'),
  'condition': ('--config.evals=class_agreement', 'class_agreement needs a conditional model'),
  'components': ('--components=0', '--components=0: '),
  'no critic steps': (f'{GAN} --config.model.critic_steps=0', 'config.model.critic_steps=0: must be above 0'),
  'no components': (f'{GAN} --config.model.components=0', 'config.model.components=0: must be above 0'),
  'a loss of no game': (f'{GAN} --config.model.loss=minmax', "loss='minmax': choose one of minimax, non_saturating"),
  'a penalty beside batch norm': (
    f'{GAN} --config.model.penalty=r1 --config.model.penalty_weight=1 --config.model.discriminator.norm=batch',
    'which batch normalisation couples',
  ),
  'an ignored penalty': (
    f'{GAN} --config.model.penalty=r1 --config.model.penalty_weight=0',
    'penalty_weight=0: penalty=',
  ),
  'a weight of no penalty': (f'{GAN} --config.model.penalty_weight=10', 'penalty_every=1 have no penalty'),
  'a penalty that never comes': (f'{GAN} --config.model.penalty_every=4', 'penalty_every=4 have no penalty'),
  'a critic without a bound': (f'{GAN} --config.model.loss=wasserstein', "nothing bounds the critic's slope"),
  'clipping both players': (f'{GAN} --config.optimizer.clip_weights=.01', 'would clip the generator too'),
  'clipping the generator': (
    f'{GAN} --config.player_optimizers.generator.clip_weights=.01',
    'config.player_optimizers.generator.clip_weights: would clip the generator too',
  ),
  'a network without layers': (f'{GAN} --config.model.generator.features=()', 'features=(): name at least one layer'),
  'a head that is none': (f'{SNGAN} --config.model.head.name=MLPDiscriminator', 'config.model cannot be built'),
  'more halvings than blocks': (f'{SNGAN} --config.model.discriminator.halvings=4', 'halvings=4: there are 3 blocks'),
  'classes that the data have not': (
    '--config=experiments/conditional_gan.py:smoke --config.model.generator.num_classes=3',
    'config.model.generator.num_classes=3: the data make it 10; leave it out',
  ),
  'a GAN without labels': (
    '--config=experiments/conditional_gan.py:smoke --config.data.name=sprites',
    'sprites has no labels',
  ),
  'labels that the discriminator does not see': (f'{GAN} --config.model.conditional=True', 'LinearHead sees no labels'),
  'a head without a bound': (
    f'{GAN} --config.model.loss=wasserstein --config.model.discriminator.norm=spectral',
    'head.spectral=True',
  ),
  'labels of no conditional model': (f'{GAN} --config.model.head.name=ProjectionHead', 'ProjectionHead needs labels'),
  'a norm of another network': (
    '--config=experiments/sngan.py:smoke --config.model.discriminator.norm=batch',
    'ResNetDiscriminator knows spectral',
  ),
  'too many halvings': (
    f'{SNGAN} --config.model.discriminator.features=(8,8,8,8,8) --config.model.discriminator.halvings=5',
    'nothing is left of images 28x28',
  ),
  'a condition without labels': (f'{GAN} --config.model.generator.condition=batch_norm', 'needs labels'),
  'a generator of images for points': (f'{PLANE} --config.model.generator.bounded=True', 'points have no bounds'),
  'an augmentation': (f"{GAN} --config.model.augment=('rotation',)", "'rotation' is unknown"),
  'a GAN of another range': (f'{GAN} --config.data.value_range=(0.0,1.0)', 'a GAN of images needs (-1.0, 1.0)'),
  'an evaluator of points': (f'{GAN} --config.evals=points', 'points needs points of a known distribution'),
  'an evaluator of images': (f'{PLANE} --config.evals=memorisation', 'memorisation needs images; ring holds points'),
  'no extractors': (f'{GAN} --config.evals=frechet', 'digits-cnn.npz'),
  'no weights of Inception': (f'{GAN} --config.evals=inception_distances', "inception_weights='' is no file"),
  'points that are cropped': (f'{PLANE} --config.data.flip=True', 'data.flip=True'),
  'a number of an evaluator': ('--config.evals=3', "'3' is unknown"),
  'seed': ('--config.seed=99999999999', 'config.seed=99999999999: must be below 2^32'),
  'warm-up': ('--config.optimizer.warmup_steps=20', 'warmup_steps=20: must be below config.steps'),
  'not a config': ('--config=README.md', 'README.md is neither an experiment (.py) nor the config.json of a run'),
  'empty variant': ('--config=experiments/vae.py:smoke,,mnist', "has no variant ''"),
  'no steps to time': ('--benchmark_steps=0', '--benchmark_steps=0: '),
  'fewer steps to time': ('--benchmark_steps=-1', '--benchmark_steps=-1: '),
  'distributed': ('--distributed=here', "write 'auto' or ADDRESS:PORT,PROCESSES,ID"),
}


@pytest.mark.parametrize('mistake', MISTAKES)
def test_mistakes_end_in_one_line_and_nothing_is_written(mistake, capsys, tmp_path):
  argument, expected = MISTAKES[mistake]
  workdir = tmp_path / 'run'
  experiment = [] if argument.startswith('--config=') else [VAE]
  assert expected in fails(capsys, *experiment, *argument.split(), f'--workdir={workdir}')
  assert not workdir.exists()


def test_an_experiment_that_is_not_right_itself(capsys, tmp_path):
  for text, expected in (
    ('get_config = 1 +', 'SyntaxError'),
    ('x = 1', 'has no attribute'),
    ("from gen_jax.config import experiment\nget_config = experiment({'stepps': 3})", 'stepps is no key'),
  ):
    (tmp_path / 'mine.py').write_text(text)
    said = fails(capsys, f'--config={tmp_path}/mine.py', f'--workdir={tmp_path}/run')
    assert 'mine.py gives no config' in said and expected in said


def test_fields_that_an_experiment_leaves_at_their_defaults_can_be_set(tmp_path):
  parse = lambda *arguments: arguments.parse(['launch.py', *arguments], launch.define_flags())
  vae = '--config=experiments/vae.py'
  config = parse(vae, '--config.model.capacity=5', '--config.model.encoder.activation=tanh')
  assert config.model.capacity == 5.0 and config.model.encoder.activation == 'tanh'
  assert parse('--config=experiments/beta_vae.py', '--config.model.beta=16').model.beta == 16.0
  other = ('--config.model.prior.components=7', '--config.model.prior.name=VampPrior')  # of the class named after it
  prior = parse('--config=experiments/iwae.py', *other).model.prior
  assert (prior.name, prior.components) == ('VampPrior', 7)
  head = parse('--config=experiments/gan.py', '--config.model.head.spectral=True').model.head
  assert head.to_dict() == {'name': 'LinearHead', 'spectral': True}
  penalty = parse('--config=experiments/beta_vae.py', '--config.model.penalty.name=Moments').model.penalty
  assert penalty.to_dict() == {'name': 'Moments'}
  other = ('--config.model.penalty.name=Moments', '--config.model.penalty.diagonal=3')
  penalty = parse('--config=experiments/factor_vae.py', *other).model.penalty
  assert penalty.to_dict() == {'name': 'Moments', 'diagonal': 3.0}  # no field of the class that it replaces
  own = parse(vae, '--config.player_optimizers.model.b1=0.5', '--config.player_optimizers.model.eps=1e-4')
  assert own.player_optimizers.to_dict() == {'model': {'b1': 0.5, 'eps': 1e-4}} and own.optimizer.b1 == 0.9


def test_every_mode_is_described():
  assert {'train', 'benchmark', *modes.MODES} == set(launch.MODES)


def test_a_damaged_line_of_metrics_is_named(capsys, trained, tmp_path):
  import shutil

  copy = shutil.copytree(trained, tmp_path / 'copy')
  lines = (copy / 'metrics.jsonl').read_text().splitlines()
  (copy / 'metrics.jsonl').write_text('\n'.join([lines[0], lines[1][:9], *lines[2:]]) + '\n')
  assert 'metrics.jsonl: line 2 is damaged: remove it' in fails(capsys, '--mode=report', f'--workdir={copy}')
  (copy / 'evaluation.json').write_text('{')
  assert 'evaluation.json is damaged' in fails(capsys, '--mode=evaluate', f'--workdir={copy}')


def test_a_missing_test_split_is_found_before_training(capsys, tmp_path):
  for part in ('train', 'val'):
    write_images(tmp_path / 'images' / part)
  said = fails(capsys, VAE, f'--config.data.name={tmp_path}/images', f'--workdir={tmp_path}/run')
  assert 'no images for the test split' in said and not (tmp_path / 'run').exists()


def test_a_workdir_has_one_trainer(capsys, trained):
  with workdirs.workdir_lock(trained):
    said = fails(capsys, VAE, f'--workdir={trained}', '--config.model.latent_dim=2')
  assert 'is being trained by another process' in said
  runs(f'--workdir={trained}', '--mode=evaluate')


def test_a_run_is_repeated_from_its_config(trained, tmp_path):
  runs(f'--config={trained}/config.json', f'--workdir={tmp_path}/again')
  chex.assert_trees_all_equal(gen_jax.load(trained, '20').state, gen_jax.load(tmp_path / 'again', '20').state)


BENCHMARK = {  # key: what its value must be
  'examples_per_second': lambda value: value > 0,
  'milliseconds_per_step': lambda value: value > 0,
  'compile_seconds': lambda value: value > 0,
  'input_wait_fraction': lambda value: 0 < value <= 1,
  'peak_bytes': lambda value: 2**20 < value < 2**40 and isinstance(value, int),
  'device': lambda value: value.startswith('4 x cpu '),
}


def test_a_benchmark_needs_no_workdir_and_writes_nothing(capsys, trained, tmp_path):
  files = {path: path.stat().st_mtime_ns for path in trained.rglob('*')}
  small = '--config.model.encoder.hidden=(8,)'
  for words in ((VAE, small, f'--workdir={tmp_path / "none"}'), (f'--workdir={trained}',)):
    runs(*words, '--mode=benchmark', '--benchmark_steps=16')
    said = capsys.readouterr()
    *table, last = said.out.splitlines()
    found = json.loads(last)
    assert set(found) == set(BENCHMARK) and all(right(found[key]) for key, right in BENCHMARK.items()), found
    assert 'timed             20 steps in 4 dispatches of 5' in table  # beyond the 20 steps of the whole run
    assert re.search(r'compilation +\d+\.\d\d s, (cold|from the cache): ', said.out)
    assert re.match(r'first step after \d+\.\d s: imports \S+, data ', said.err)
  assert not (tmp_path / 'none').exists()
  assert {path: path.stat().st_mtime_ns for path in trained.rglob('*')} == files


def test_a_benchmark_checks_its_config_first(capsys, tmp_path):
  assert 'must not be negative' in fails(capsys, VAE, '--mode=benchmark', '--config.model.beta=-1')
  assert 'holds no run' in fails(capsys, '--mode=benchmark', f'--workdir={tmp_path / "none"}')


@pytest.mark.parametrize('dispatches', [1, 4])
def test_a_run_says_where_its_time_went_and_its_profile_is(dispatches, capsys, tmp_path):
  config = arguments.load_experiment('experiments/vae.py:smoke')
  config.update({'profile': True, 'steps': 5 * dispatches})
  loop.train(config, tmp_path)
  said = capsys.readouterr().err
  phases = r'first step after \d+\.\d s: data \S+, model and state \S+, tracing \S+, compilation \S+'
  assert len(re.findall(phases, said)) == 1
  named = re.search(r'profile of one dispatch in (\S+): tensorboard --logdir=(\S+)', said)
  assert named[1] == named[2] == f'{tmp_path}/profile'
  assert len(list((tmp_path / 'profile').glob('plugins/profile/*/*.xplane.pb'))) == 1


def test_modes_need_a_run(capsys, tmp_path):
  assert 'name an experiment' in fails(capsys, '--mode=evaluate')
  assert 'holds no run (no config.json)' in fails(capsys, '--mode=sample', f'--workdir={tmp_path / "none"}')
  (tmp_path / 'config.json').write_text('{"steps": ')
  assert 'config.json is damaged' in fails(capsys, '--mode=sample', f'--workdir={tmp_path}')


def test_a_run_without_a_checkpoint(capsys, trained, tmp_path):
  (tmp_path / 'config.json').write_text((trained / 'config.json').read_text())
  assert 'has no checkpoint yet: train first' in fails(capsys, '--mode=evaluate', f'--workdir={tmp_path}')


def test_another_config_is_refused(capsys, trained):
  said = fails(capsys, VAE, f'--workdir={trained}', '--config.model.latent_dim=3', '--config.seed=1')
  assert 'holds a run of another config (model.latent_dim: 2 there, 3 here; seed: 0 there, 1 here)' in said


def test_fewer_steps_are_refused(capsys, trained):
  said = fails(capsys, VAE, f'--workdir={trained}', '--config.model.latent_dim=2', '--config.steps=10')
  assert 'steps: 20 there, 10 here' in said


def test_a_folder_of_something_else_is_not_written_to(capsys, tmp_path):
  (tmp_path / 'metrics.jsonl').write_text('mine')
  assert 'holds metrics.jsonl but no config.json' in fails(capsys, VAE, f'--workdir={tmp_path}')
  assert (tmp_path / 'metrics.jsonl').read_text() == 'mine'


def test_a_workdir_that_cannot_be_written(capsys, tmp_path):
  (tmp_path / 'file').write_text('')
  assert 'cannot be written' in fails(capsys, VAE, f'--workdir={tmp_path}/file/run')


def test_checkpoints_that_are_not_there(capsys, trained):
  said = fails(capsys, f'--workdir={trained}', '--mode=evaluate', '--checkpoint=11')
  assert '--checkpoint=11: choose best, last, or one of the steps 10, 20' in said


def test_verbs_and_labels_that_a_model_lacks(capsys, trained, autoencoder):
  assert '--label=3: VAE is not conditional' in fails(capsys, f'--workdir={trained}', '--mode=sample', '--label=3')
  assert 'Autoencoder' in fails(capsys, f'--workdir={autoencoder}', '--mode=sample')
  assert 'Autoencoder' in fails(capsys, f'--workdir={autoencoder}', '--mode=complete')
  assert 'has 10 latents, not 2' in fails(capsys, f'--workdir={autoencoder}', '--mode=plane')
  assert 'needs --others' in fails(capsys, f'--workdir={autoencoder}', '--mode=compare')


def test_image_folders(capsys, tmp_path):
  empty = tmp_path / 'empty'
  empty.mkdir()
  assert 'no images' in fails(capsys, VAE, f'--config.data.name={empty}', f'--workdir={tmp_path / "run"}')
  folder = write_images(tmp_path / 'images')
  (folder / '007.png').write_bytes(b'not an image')
  assert '007.png cannot be read as an image' in fails(
    capsys, VAE, f'--config.data.name={folder}', f'--workdir={tmp_path / "run"}'
  )
  assert not (tmp_path / 'run').exists()


def test_a_loss_that_is_not_finite_stops_the_run(capsys, tmp_path):
  said = launch.main(
    ['launch.py', VAE, f'--workdir={tmp_path}', '--config.optimizer.learning_rate=1e30', '--config.save_every=5']
  )
  assert said == 2
  assert re.search(r'error: step \d+: [\w/]+ is (nan|inf|-inf); the last checkpoint', capsys.readouterr().err)
