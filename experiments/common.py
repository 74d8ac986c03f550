"""Every key of a config with its default; an experiment states only its differences."""

from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

SMOKE = {  # seconds, for any experiment: every line of it runs, nothing is learned
  'batch_size': 16,
  'steps': 20,
  'steps_per_dispatch': 5,
  'log_every': 5,
  'eval_every': 10,
  'save_every': 10,
  'validation_examples': 64,
  'test_examples': 64,
  'importance_samples': 60,
  'sample_count': 64,
}

# What several experiments share

MNIST = {'name': 'mnist', 'train_split': 'train[:58000]', 'validation_split': 'train[58000:]'}  # for `data`

SPRITES = {  # the networks of Burgess et al. (2018), a schedule of minutes
  'batch_size': 64,
  'steps': 10_000,
  'data': {'name': 'sprites'},
  'model': {
    'name': 'VAE',
    'encoder': {
      'name': 'ConvEncoder',
      'features': (32, 32, 64, 64),
      'kernels': (4, 4, 4, 4),
      'hidden': (256,),
    },
    'decoder': {'name': 'ConvDecoder', 'features': (64, 64, 32, 32), 'hidden': (256,)},
    'likelihood': {'name': 'Bernoulli'},
    'latent_dim': 10,
    # from a beta at which nothing pays, so that latents appear one after another
    'beta': {
      'name': 'exponential_decay',
      'init_value': 200.0,
      'end_value': 1.0,
      'transition_steps': 5_000,
      'decay_rate': 0.02,
    },
  },
  'optimizer': {'schedule': 'cosine'},
  'evals': ('terms', 'active_units', 'spearman'),
  'validation_examples': 2_000,
  'test_examples': 20_000,
}
GAN_IMAGES = {  # GANs of embedded digits; MNIST and Fashion-MNIST are as large
  'batch_size': 64,
  'steps': 5_000,
  'data': {'name': 'digits', 'size': 28, 'value_range': (-1.0, 1.0)},
  'model': {
    'name': 'GAN',
    # three layers, after which a unit sees 22 pixels: two see strokes, and their samples are no digits
    'generator': {'name': 'ConvGenerator', 'features': (128, 64, 32)},
    'discriminator': {'name': 'ConvDiscriminator', 'features': (32, 64, 128), 'norm': 'none'},
    'latent_dim': 32,
  },
  'ema_decay': 0.999,
  'optimizer': {'learning_rate': 1e-3, 'schedule': 'linear', 'b1': 0.0, 'b2': 0.99},
  'evals': ('game', 'fixed_noise'),
  'log_every': 100,
  'eval_every': 1_000,
  'save_every': 1_000,
  'validation_examples': 2_000,
}
UNPENALIZED = {'penalty': 'none', 'penalty_weight': 0.0, 'penalty_every': 1}
MEASURED = {  # samples of a set whose extractors there are; the best by the Frechet distance
  'evals': ('frechet', 'game', 'fixed_noise'),
  'best': 'frechet_over_trace_cnn',
  'best_mode': 'min',
  'sample_count': 10_000,
  'final_evals': ('sample_distances', 'memorisation'),
}
LOCATELLO = {  # the encoder and the schedule of Locatello et al. (2019), for SPRITES
  'steps': 300_000,
  'test_examples': 0,
  'model': {'encoder': {'kernels': (4, 4, 2, 2)}, 'beta': 1.0},
  'optimizer': {'learning_rate': 1e-4, 'schedule': 'constant'},
  'final_evals': ('disentanglement',),
  'log_every': 1_000,
  'eval_every': 20_000,
  'save_every': 10_000,
}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
  """Nested `changes` over `base`."""
  both = {key: merged(base[key], changes[key]) for key in base.keys() & changes.keys() if isinstance(base[key], dict)}
  return {**base, **changes, **both}


def common() -> ConfigDict:
  """All keys."""
  config = ConfigDict()
  config.experiment = ''  # its name and variant, for the record; set by the launcher

  config.seed = 0  # of the parameters, the order of the data and all noise
  config.batch_size = 64  # global: all devices of all processes together
  config.steps = 10_000  # training steps; in each, every player makes its updates
  config.steps_per_dispatch = 50  # steps in one compiled call; changes speed, not results
  config.precision = 'float32'  # or 'bfloat16': of the networks; parameters and losses stay float32
  config.ema_decay = 0.0  # of the average of the parameters that evaluation then uses; 0: none

  config.data = ConfigDict()
  # rendered: 'sprites' (dSprites), 'sprites_coloured', _noisy, _scrambled, 'shapes' (solids in a room); embedded:
  # 'digits'; points of the plane: 'ring', 'grid', 'swiss_roll', 'moons', 'spirals', a .csv, or a picture as their
  # density; else a TFDS name, or a folder
  config.data.name = 'sprites'
  config.data.dir = ''  # where prepared TFDS sets lie; '': TFDS's own default
  config.data.train_split = 'train[:90%]'  # splits of TFDS sets; folders and embedded sets have their own
  config.data.validation_split = 'train[90%:]'
  config.data.test_split = 'test'
  config.data.label = ''  # the class feature of a TFDS set that is the label; '': the one called label
  config.data.resident_mib = 4096  # a larger set is streamed instead of kept on the device
  config.data.workers = 8  # threads that read a streamed set
  config.data.size = 0  # images are brought to size x size; 0: as they are
  config.data.crop = 0  # then cropped to crop x crop, at random in training, centred elsewhere; 0: not
  config.data.flip = False  # mirrored at random in training
  config.data.value_range = (0.0, 1.0)  # what the model sees; or (-1.0, 1.0)
  config.data.binarize = 'none'  # 'dynamic': drawn anew each time from the grey values; 'static': drawn once
  config.data.dequantize = False  # adds uniform noise within a grey value's bin

  config.model = ConfigDict()  # 'name' and the fields of that class; modules and schedules likewise

  config.optimizer = ConfigDict()  # Adam, for each player
  config.optimizer.learning_rate = 1e-3
  config.optimizer.schedule = 'constant'  # or 'cosine' or 'linear', to 0 at the last step
  config.optimizer.warmup_steps = 0  # linear, from 0
  config.optimizer.b1 = 0.9
  config.optimizer.b2 = 0.999
  config.optimizer.eps = 1e-8
  config.optimizer.weight_decay = 0.0  # decoupled (AdamW)
  config.optimizer.clip_norm = 0.0  # of the global gradient norm; 0: none
  config.optimizer.clip_weights = 0.0  # bound of every parameter, for a Wasserstein critic; 0: none

  config.player_optimizers = ConfigDict()  # what differs for a player: {'discriminator': {'b1': 0.5}}

  config.log_every = 50  # a line of metrics: means over the dispatch that ends there
  config.eval_every = 1_000  # the evaluators on the validation split
  config.save_every = 1_000
  config.keep = 2  # the last checkpoints to keep, besides the best
  config.best = ''  # the validation metric that the best checkpoint maximises, e.g. 'elbo'; '': the last is the best
  config.best_mode = 'max'  # or 'min'
  config.evals = ('terms', 'active_units')  # functions of gen_jax.evaluation
  config.final_evals = ()  # further ones, too expensive for more than the test split at the end
  config.importance_samples = 5_000  # with which `likelihood` estimates log p(x)
  config.sample_count = 10_000  # samples that distances of samples from the data are measured with
  # frozen networks that measure samples: '': of this data set, shipped or in ~/.cache/gen_jax; NAME; or FOLDER/NAME
  config.extractors = ''
  config.inception_weights = ''  # file of InceptionV3's weights, for `inception_distances`
  config.validation_examples = 10_000  # the first of a fixed random order; 0: all
  config.test_examples = 0
  config.profile = False  # writes a JAX trace of some steps to WORKDIR/profile, for TensorBoard
  return config


def update(config: ConfigDict, changes: Mapping[str, Any], free: bool = False) -> None:
  """Writes nested `changes` over `config`; only below `model` and `player_optimizers` (`free`) may keys be new.

  There, a section that names another class replaces the old one, as their fields differ.
  """
  for key, value in changes.items():
    if key not in config and not free:
      raise KeyError(f'{key} is no key of experiments/common.py')
    inside, section = free or key in ('model', 'player_optimizers'), config.get(key)
    sections = isinstance(value, Mapping) and isinstance(section, ConfigDict)
    if sections and not (inside and value.get('name', section.get('name')) != section.get('name')):
      update(section, value, inside)
      continue
    if inside and key in config:
      del config[key]  # or its type would be kept, and a schedule could not take the place of a number
    config[key] = ConfigDict(value) if isinstance(value, Mapping) else value


def experiment(default: Mapping[str, Any], **variants: Mapping[str, Any]) -> Callable[[str], ConfigDict]:
  """The `get_config` of an experiment.

  `default` holds the differences from `common`, a variant those from `default`. Variants combine from left to right:
  'mnist,smoke'. Every experiment has the variant 'smoke', to which it may add smaller networks.
  """
  variants = {'default': {}, **variants, 'smoke': {**SMOKE, **variants.get('smoke', {})}}

  def get_config(variant: str = 'default') -> ConfigDict:
    config = common()
    for changes in (default, *(variants[name] for name in variant.split(','))):
      update(config, changes)
    return config.lock()

  get_config.variants = tuple(variants)
  return get_config
