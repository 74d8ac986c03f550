"""One clear line for whatever is mistyped, before anything is written."""

import pytest
from command_line import error_of
from small import write_images

VAE, GAN, PLANE = (f'--config=experiments/{name}smoke' for name in ('vae.py:', 'gan.py:plain,', 'gan_2d.py:'))
SNGAN = '--config=experiments/sngan.py:smoke'
GROWING = '--config=experiments/progressive_gan.py:smoke'

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
  'folder': ('--config=experiments', 'experiments is a folder: name a file in it; did you mean experiments/'),
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
  'no components': (f'{GAN} --config.model.components=0', 'config.model.latent_modes=0: must be above 0'),
  'a loss of no game': (f'{GAN} --config.model.loss=minmax', "loss='minmax': choose one of minimax, non_saturating"),
  'a penalty beside batch norm': (
    f'{GAN} --config.model.penalty=r1 --config.model.penalty_weight=1 --config.model.discriminator.norm=batch',
    'which batch normalization couples',
  ),
  'an ignored penalty': (
    f'{GAN} --config.model.penalty=r1 --config.model.penalty_weight=0',
    'penalty_weight=0: penalty=',
  ),
  'a weight of no penalty': (f'{GAN} --config.model.penalty_weight=10', 'penalty_every=1 have no penalty'),
  'a penalty that never comes': (f'{GAN} --config.model.penalty_every=4', 'penalty_every=4 have no penalty'),
  'a critic without a bound': (f'{GAN} --config.model.loss=wasserstein', "nothing bounds the critic's slope"),
  'stages that do not double': (f'{GROWING} --config.stages.resolutions=4,16', 'each must be twice the one before'),
  'a resolution above the data': (
    f'{GROWING} --config.stages.resolutions=4,8,16',
    'config.stages.resolutions=(4, 8, 16): the data have images of 8x8, at which they must end; config.data.size',
  ),
  'a batch of a stage for no devices': (f'{GROWING} --config.stages.batch_sizes=6', 'batch_size=6 does not divide'),
  'a batch of a stage for no groups': (f'{GROWING} --config.stages.batch_sizes=8', 'group=4: does not divide a batch'),
  'sizes of stages that there are not': (f'{GROWING} --config.stages.batch_sizes=16,16', 'one for each stage before'),
  'a run that ends while it grows': (f'{GROWING} --config.steps=10', 'images of 8x8 are whole from step 10 on; make'),
  'a network that does not grow': (f'{GROWING} --config.model.generator.skip=True', 'does not grow; choose'),
  'a model that does not grow': ('--config.stages.resolutions=4,8', 'VAE does not grow; set ()'),
  'pairs of patches of scenes': (
    '--config=experiments/cyclegan.py:smoke --config.model.loss=relativistic',
    "loss='relativistic': pairs a patch with that of another scene, which has no meaning; set 'least_squares'",
  ),
  'an end that the rate does not come to': (
    f'{GROWING} --config.optimizer.schedule=constant --config.optimizer.final_learning_rate=1e-4',
    "schedule='constant' does not come to it; choose 'cosine' or 'linear'",
  ),
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
    'config.model.generator.num_classes=3: the data and the config make it 10; leave it out',
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
  'an evaluator of images': (f'{PLANE} --config.evals=memorisation', 'memorization needs images; ring holds points'),
  'no extractors': (f'{GAN} --config.evals=frechet', 'digits-cnn.npz'),
  'no weights of Inception': (f'{GAN} --config.evals=inception_distances', "inception_weights='' is no file"),
  'points that are cropped': (f'{PLANE} --config.data.flip=True', 'data.flip=True'),
  'a number of an evaluator': ('--config.evals=3', "'3' is unknown"),
  'seed': ('--config.seed=99999999999', 'config.seed=99999999999: must be below 2^32'),
  'a rate that is none': ('--config.optimizer.learning_rate=nan', 'config.optimizer.learning_rate=nan: must be finite'),
  'a rate without end': ('--config.optimizer.learning_rate=inf', 'config.optimizer.learning_rate=inf: must be finite'),
  'a rate beyond float32': ('--config.optimizer.learning_rate=1e39', 'learning_rate=1e+39: must be finite in 32 bits'),
  'a rate that vanishes': ('--config.optimizer.learning_rate=1e-50', 'learning_rate=1e-50: is 0 in 32 bits'),
  'a decay that rounds to 1': ('--config.ema_decay=0.99999999999', 'ema_decay=0.99999999999: must lie in [0, 1)'),
  'an average that rounds to 1': ('--config.averages.slow=0.99999999999', 'averages.slow=0.99999999999: must lie in'),
  'a width of no average': ('--config.ema_widths=(0.05,0.3)', 'ema_widths=(0.05, 0.3): must lie in (0, 0.28), a share'),
  'two widths alike': ('--config.ema_widths=(0.1,0.1)', 'config.ema_widths=(0.1, 0.1): no two may be alike'),
  'snapshots of one average': (
    '--config.snapshots=5 --config.ema_widths=(0.1,)',
    'config.snapshots=5: needs at least two config.ema_widths, such as (0.05, 0.1)',
  ),
  'a width that nothing is made of': ('--config.ema_width=.07', 'config.ema_width=0.07: this run keeps no snapshots'),
  'a field that is none': ('--config.model.beta=-inf', 'config.model.beta=-inf: must be finite'),
  'steps beyond int32': ('--config.steps=2147483648', 'config.steps=2147483648: must lie between -2^31 and 2^31'),
  'a number beyond 64 bits': ('--config.keep=99999999999999999999', 'must lie between -2^31 and 2^31'),
  'a width beyond int32': ('--config.model.encoder.hidden=(8,3000000000)', 'must lie between -2^31 and 2^31'),
  'a rate of one player': (
    f'{GAN} --config.player_optimizers.generator.learning_rate=inf',
    'config.player_optimizers.generator.learning_rate=inf: must be finite',
  ),
  'too many threads': ('--config.data.workers=1000000', 'config.data.workers=1000000: must be at most 1024'),
  'seed of samples': ('--mode=sample --seed=4294967296', '--seed=4294967296: '),
  'number of samples': ('--mode=sample --number=2147483648', '--number=2147483648: '),
  'a seed in training': ('--seed=1', '--seed=1: --mode=train takes no such flag; sample does'),
  'a checkpoint in training': ('--checkpoint=10', '--checkpoint=10: --mode=train takes no such flag'),
  'processes of a mode on a run': (
    '--mode=sample --distributed=auto',
    '--distributed=auto: --mode=sample takes no such flag; train, benchmark do',
  ),
  'a time to wait of a mode on a run': ('--mode=sample --process_timeout=9', '--mode=sample takes no such flag'),
  'an empty place': ('--distributed=', '--distributed is empty: give it a value, or leave it out'),
  'an empty mode': ('--mode=', '--mode= is unknown'),
  'an empty config': ('--config=', '--config is empty: give it a value, or leave it out'),
  'an empty checkpoint': ('--mode=sample --checkpoint=', '--checkpoint is empty'),
  'no others': ('--mode=compare --others=', '--others is empty'),
  'a schedule that is none': ('--config.model.beta.name=linear_schedul', 'did you mean linear_schedule?'),
  'a schedule without its fields': (
    '--config.model.beta.name=linear_schedule',
    'config.model.beta: linear_schedule needs init_value, end_value, transition_steps: set config',
  ),
  'a schedule that is a module': ('--config.model.beta.name=losses', "config.model.beta.name='losses' is unknown"),
  'a helper that is no schedule': ('--config.model.beta.name=warm_up_decay', 'is unknown'),
  'a schedule of any arguments': ('--config.model.beta.name=chain', 'config.model.beta'),
  'a schedule of no steps': (
    '--config.model.beta.name=cosine_decay_schedule --config.model.beta.init_value=1 --config.model.beta.decay_steps=0',
    'config.model.beta: The cosine_decay_schedule requires positive decay_steps, got decay_steps=0.',
  ),
  'a field of no schedule': (
    '--config.model.beta.init_value=0',
    'config.model.beta is 1.0, and no section; name a schedule in its place, --config.model.beta.name=linear_schedule',
  ),
  'a schedule of a number of latents': (
    '--config.model.latent_dim.name=constant_schedule --config.model.latent_dim.value=3',
    'config.model.latent_dim: VAE takes one int, which no schedule can be',
  ),
  'a field of a number': (
    '--config.optimizer.learning_rate.init_value=0',
    '--config.optimizer.learning_rate.init_value: config.optimizer.learning_rate is 0.001, and no section',
  ),
  'warm-up': ('--config.optimizer.warmup_steps=20', 'warmup_steps=20: must be below config.steps'),
  'not a config': ('--config=README.md', 'README.md is neither an experiment (.py) nor the config.json of a run'),
  'empty variant': ('--config=experiments/vae.py:smoke,,mnist', "has no variant ''"),
  'no steps to time': ('--benchmark_steps=0', '--benchmark_steps=0: '),
  'fewer steps to time': ('--benchmark_steps=-1', '--benchmark_steps=-1: '),
}


@pytest.mark.parametrize('mistake', MISTAKES)
def test_mistakes_end_in_one_line_and_nothing_is_written(mistake, capsys, tmp_path):
  argument, expected = MISTAKES[mistake]
  workdir = tmp_path / 'run'
  experiment = [] if argument.startswith('--config=') else [VAE]
  assert expected in error_of(capsys, *experiment, *argument.split(), f'--workdir={workdir}')
  assert not workdir.exists()


def test_an_experiment_that_is_not_right_itself(capsys, tmp_path):
  for text, expected in (
    ('get_config = 1 +', 'SyntaxError'),
    ('x = 1', 'has no attribute'),
    ("from gen_jax.config import experiment\nget_config = experiment({'stepps': 3})", 'stepps is no key'),
  ):
    (tmp_path / 'mine.py').write_text(text)
    message = error_of(capsys, f'--config={tmp_path}/mine.py', f'--workdir={tmp_path}/run')
    assert 'mine.py gives no config' in message and expected in message


def test_a_missing_split_is_found_before_training(capsys, tmp_path):
  write_images(tmp_path / 'images' / 'train', number=1)
  write_images(tmp_path / 'images' / 'val')
  message = error_of(capsys, VAE, f'--config.data.name={tmp_path}/images', f'--workdir={tmp_path}/run')
  assert 'too few for the splits' in message and not (tmp_path / 'run').exists()


def test_image_folders(capsys, tmp_path):
  empty = tmp_path / 'empty'
  empty.mkdir()
  assert 'no images' in error_of(capsys, VAE, f'--config.data.name={empty}', f'--workdir={tmp_path / "run"}')
  folder = write_images(tmp_path / 'images')
  (folder / '007.png').write_bytes(b'not an image')
  assert '007.png cannot be read as an image' in error_of(
    capsys, VAE, f'--config.data.name={folder}', f'--workdir={tmp_path / "run"}'
  )
  assert not (tmp_path / 'run').exists()


def test_a_damaged_file_of_points_is_named_with_its_line(capsys, tmp_path):
  points = tmp_path / 'points.csv'
  points.write_text('x,y\n1,2\nthree,4\n')
  line = error_of(capsys, PLANE, f'--config.data.name={points}', f'--workdir={tmp_path}/run')
  assert 'points.csv' in line and 'line 3' in line and not (tmp_path / 'run').exists()


def test_modes_need_a_run(capsys, tmp_path):
  assert 'name an experiment' in error_of(capsys, '--mode=evaluate')
  (tmp_path / 'runs' / 'beta_vae').mkdir(parents=True)
  mistyped, empty = (f'--workdir={tmp_path}/runs/{name}' for name in ('beta_vea', 'beta_vae'))
  expected = f'there is no folder {tmp_path}/runs/beta_vea; did you mean {tmp_path}/runs/beta_vae?'
  assert expected in error_of(capsys, '--mode=sample', mistyped)
  assert 'holds no run (no config.json)' in error_of(capsys, '--mode=sample', empty)
  (tmp_path / 'config.json').write_text('{"steps": ')
  assert 'config.json is damaged' in error_of(capsys, '--mode=sample', f'--workdir={tmp_path}')


def test_a_folder_of_something_else_is_not_written_to(capsys, tmp_path):
  (tmp_path / 'metrics.jsonl').write_text('mine')
  assert 'holds metrics.jsonl but no config.json' in error_of(capsys, VAE, f'--workdir={tmp_path}')
  assert (tmp_path / 'metrics.jsonl').read_text() == 'mine'


def test_a_workdir_that_cannot_be_written(capsys, tmp_path):
  (tmp_path / 'file').write_text('')
  line = error_of(capsys, VAE, f'--workdir={tmp_path}/file/run')
  assert f'{tmp_path}/file/run: Not a directory: something else lies in the place of a folder' in line


def test_a_benchmark_checks_its_config_first(capsys, tmp_path):
  assert 'must not be negative' in error_of(capsys, VAE, '--mode=benchmark', '--config.model.beta=-1')
  assert 'there is no folder' in error_of(capsys, '--mode=benchmark', f'--workdir={tmp_path / "none"}')
