"""Every key of a config, with its default, what it allows, and whether a finished run may be given another value.

An experiment file states only its differences: `get_config = experiment(default={...}, mnist={...})`.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gen_jax import power_ema, stages
from gen_jax.errors import (
  UserError,
  must_be_fraction,
  must_be_one_of,
  must_be_positive,
  must_fit_32_bits,
  must_not_be_negative,
)


class Key(NamedTuple):
  """A key of the config."""

  default: Any
  problem: Callable[[Any], str | None] = lambda value: None  # what is wrong with a value, if anything
  # Whether a run that is resumed, or has been finished, may be given another value than it began with: the parameters
  # that it has after a step do not depend on it.
  may_differ: bool = False


def must_be_seed(value: Any) -> str | None:
  """An integer in [0, 2^32)."""
  if isinstance(value, bool) or not isinstance(value, int):
    return 'must be an integer'
  return 'must not be negative' if value < 0 else None if value < 2**32 else 'must be below 2^32'


def must_be_threads(value: Any) -> str | None:
  """A number of threads that a machine can start."""
  return must_be_positive(value) or (None if value <= 1024 else 'must be at most 1024')


def must_be_pair(value: Any) -> str | None:
  """Two integers above 0."""
  is_number = lambda x: isinstance(x, int) and not isinstance(x, bool) and x > 0
  return None if isinstance(value, tuple) and len(value) == 2 and all(map(is_number, value)) else 'must be two, above 0'


def must_be_interval(value: Any) -> str | None:
  """(low, high), 0 <= low < high."""
  is_number = lambda x: isinstance(x, int | float) and not isinstance(x, bool)
  fits = isinstance(value, tuple) and len(value) == 2 and all(map(is_number, value)) and 0 <= value[0] < value[1]
  return None if fits else 'must be two noise levels (low, high), 0 <= low < high'


def must_be_layout(value: Any) -> str | None:
  """One of LAYOUTS, or none."""
  return None if value in ('', *LAYOUTS) else f"choose one of {', '.join(LAYOUTS)}, or '' of single images"


def must_be_rate(value: Any) -> str | None:
  """Samples a second."""
  is_rate = isinstance(value, int) and not isinstance(value, bool) and 4_000 <= value <= 96_000
  return None if is_rate else 'must be an integer of 4000 to 96000 samples a second'


def must_be_palette(value: Any) -> str | None:
  """Colors (red, green, blue), or none."""
  is_level = lambda x: isinstance(x, int) and not isinstance(x, bool) and 0 <= x <= 255
  is_color = lambda color: isinstance(color, tuple) and len(color) == 3 and all(map(is_level, color))
  if value == ():
    return None
  if not isinstance(value, tuple) or not all(map(is_color, value)):
    return 'must be colors (red, green, blue) of 0 to 255, ((0, 0, 0), (255, 255, 255))'
  return None if 1 < len(set(value)) == len(value) else 'must be at least two colors, no two of them alike'


OPTIMIZER = {  # Adam
  'learning_rate': Key(1e-3, must_be_positive),
  # 'cosine' and 'linear' to `final_learning_rate` at the last step; 'constant_linear' too, after a constant first half
  'schedule': Key('constant', must_be_one_of('constant', 'cosine', 'linear', 'constant_linear')),
  'final_learning_rate': Key(0.0, must_not_be_negative),
  'warmup_steps': Key(0, must_not_be_negative),  # linear, from 0
  'b1': Key(0.9, must_be_fraction),
  'b2': Key(0.999, must_be_fraction),
  'final_b2': Key(0.0, must_be_fraction),  # that of the last step, by a cosine; 0: `b2` throughout
  'eps': Key(1e-8, must_be_positive),
  'weight_decay': Key(0.0, must_not_be_negative),  # decoupled (AdamW)
  'clip_norm': Key(0.0, must_not_be_negative),  # of the global gradient norm; 0: none
  'clip_weights': Key(0.0, must_not_be_negative),  # bound of every parameter, for a Wasserstein critic; 0: none
}

SAMPLER = {  # of models that sample step by step from noise; may be another at every use of a finished run
  'name': Key('heun', may_differ=True),  # one of `diffusion.samplers.SAMPLERS`
  'steps': Key(18, must_be_positive, may_differ=True),
  # noise levels: 'path', even in the time of the model's path, or 'karras', by their rule between its ends
  'grid': Key('path', must_be_one_of('path', 'karras'), may_differ=True),
  'guidance': Key(1.0, must_not_be_negative, may_differ=True),  # how strongly classes are told: 1 as trained, 0 not
  # what guidance leads away from: 0: the model without its labels; a step: its snapshot then (autoguidance)
  'autoguidance': Key(0, must_not_be_negative, may_differ=True),
  'interval': Key((0.0, 1e6), must_be_interval, may_differ=True),  # guided at noise levels above low, up to high
  'churn': Key(0.0, must_not_be_negative, may_differ=True),  # noise that heun adds on its way (EDM's S_churn)
}

STAGES = {  # of networks that grow, such as ProgressiveGenerator; see gen_jax/stages.py
  # (4, 8, 16, 32), up to the size of the images; (): nothing grows
  'resolutions': Key(stages.NOTHING_GROWS['resolutions'], stages.must_be_resolutions),
  # images seen while what is new is faded in, and while all is trained on: one number for all stages, or one for each,
  # but for the first, in which nothing is new, and the last, which ends with the run
  'fade_images': Key(stages.NOTHING_GROWS['fade_images'], stages.must_be_counts),
  'stable_images': Key(stages.NOTHING_GROWS['stable_images'], stages.must_be_counts),
  # of the stages before the last, which has `batch_size` and `optimizer.learning_rate`; (): as the last
  'batch_sizes': Key(stages.NOTHING_GROWS['batch_sizes'], stages.must_be_for_stages(int, 'sizes')),
  'learning_rates': Key(stages.NOTHING_GROWS['learning_rates'], stages.must_be_for_stages(float, 'rates')),
}

BINARIZE = ('none', 'dynamic', 'static')
LAYOUTS = ('side_by_side', 'paired', 'unpaired', 'voices')
DATA = {
  # rendered: 'sprites' (dSprites), 'sprites_coloured', _noisy, _scrambled, 'shapes' (solids in a room), 'rare_hearts';
  # embedded: 'digits'; points of the plane: 'ring', 'grid', 'swiss_roll', 'moons', 'spirals', 'tree' (of two classes),
  # a .csv, or a picture as their density; of other sets: 'detection'; of two sides, A and B: pairs 'digit_edges',
  # 'digit_labels', unpaired 'digit_twins', 'sprite_styles', 'unpaired_planes', and the speakers 'voices'; else a TFDS
  # name, or a folder
  'name': Key('sprites'),
  'dir': Key('', may_differ=True),  # where prepared TFDS sets lie; '': TFDS's own default
  'train_split': Key('train[:90%]'),  # splits of TFDS sets; '' for all others, which have their own
  'validation_split': Key('train[90%:]'),
  'test_split': Key('test'),
  'without': Key(()),  # classes, by number, none of whose examples are used
  'label': Key(''),  # the class feature of a TFDS set that is the label; '': the one called label
  # of a folder of images: what transparent pixels show, and whether folders of classes are in the order of their
  # numbers (2 before 10) or of their texts, as runs had it before this key
  'background': Key('white', must_be_one_of('white', 'black')),
  'class_order': Key('natural', must_be_one_of('natural', 'text')),
  # a folder of two sides, A and B: 'side_by_side', each file holds a pair; 'paired', folders A/ and B/; 'unpaired',
  # trainA/, trainB/ and so on, or a set of TFDS that has such splits; 'voices', such folders of recordings; '': of
  # single images
  'layout': Key('', must_be_layout),
  # of a set of two sides: A and B exchanged, after all else
  'swap': Key(False),
  # colors of a side that is a map of labels: each pixel becomes the class of the nearest one, one channel a class
  'palette_a': Key((), must_be_palette),
  'palette_b': Key((), must_be_palette),
  # of voices: frames of 'mel' bands, heard by Griffin-Lim, or of the envelope of 'world'; the rate to which recordings
  # are brought, Hz; the bands of a frame; the frames of an example, a fourth of a window of 64 ms apart
  'features': Key('mel', must_be_one_of('mel', 'world')),
  'rate': Key(16_000, must_be_rate),
  'bands': Key(80, must_be_positive),
  'frames': Key(64, must_be_positive),
  'sentences': Key(200, must_be_positive),  # of 'voices': those that each of the two speakers says in training
  'sides': Key(('moons', 'spirals')),  # of 'unpaired_planes': the points that are A, and those that are B
  # of a .csv: whether the model sees each column less its mean, by its deviation; samples and figures keep the units
  'standardize': Key(True),
  # of 'detection': the set of the positives, TFDS or a folder, and those of the negatives
  'positives': Key(''),
  'negatives': Key(()),
  'attributes': Key(()),  # features of the positives: the first one's values are groups, in training of these `shares`
  'shares': Key(()),
  'examples': Key((2_000, 4_000), must_be_pair),  # positives and negatives in training
  'near_positives': Key(0.0, must_be_fraction),  # the share of negatives that are corners of positives
  'contrast_loss': Key(0.0, must_be_fraction),  # the most that an image loses of its contrast
  'cover': Key(0.0, must_be_fraction),  # the side of a gray square on each image, as a share of the image's
  'invert': Key(False),  # of a picture as a density: dark pixels are dense, not bright ones
  # a set whose images stand beside those of this one, as outliers that a model is trained to tell; '': none
  'outliers': Key(''),
  # a larger set is streamed instead of kept on the device
  'resident_mib': Key(4096, must_not_be_negative, may_differ=True),
  'workers': Key(8, must_be_threads, may_differ=True),  # threads that read a streamed set
  'size': Key(0, must_not_be_negative),  # images are brought to size x size; 0: as they are
  # then cropped to crop x crop, at random in training, centered elsewhere; 0: not
  'crop': Key(0, must_not_be_negative),
  'flip': Key(False),  # mirrored at random in training
  'value_range': Key((0.0, 1.0), must_be_one_of((0.0, 1.0), (-1.0, 1.0))),  # what the model sees
  # 'dynamic': drawn anew each time from the gray values; 'static': drawn once
  'binarize': Key('none', must_be_one_of(*BINARIZE)),
  'mutate': Key(0.0, must_be_fraction),  # the share of values replaced by uniform ones in training
  'dequantize': Key(False),  # adds uniform noise within a gray value's bin
}

KEYS = {
  'experiment': Key('', may_differ=True),  # its name and variant, for the record; set by the launcher
  'seed': Key(0, must_be_seed),  # of the parameters, the order of the data and all noise
  'batch_size': Key(64, must_be_positive),  # global: all devices of all processes together
  'steps': Key(10_000, must_be_positive),  # training steps; in each, every player makes its updates; may grow later
  # steps in one compiled call; changes speed, not results
  'steps_per_dispatch': Key(50, must_be_positive, may_differ=True),
  'precision': Key('float32', must_be_one_of('float32', 'bfloat16')),  # of the networks; the rest stays float32
  # 'pmap', or 'shard_map', its twin: how the devices share a batch; changes no result
  'data_parallel': Key('pmap', must_be_one_of('pmap', 'shard_map'), may_differ=True),
  # of the average of the parameters that is called 'ema', at most (1 + step) / (10 + step); 0: none
  'ema_decay': Key(0.0, must_be_fraction),
  # further averages, {NAME: a decay, or a schedule of it by the step}
  'averages': {},
  # of further ones, relative to the steps done whatever their number, e.g. (0.05, 0.1); see gen_jax/power_ema.py
  'ema_widths': Key((), power_ema.must_be_widths),
  # how often in the run, evenly, these are kept, with a checkpoint, so that averages of other widths can be made
  'snapshots': Key(0, must_not_be_negative, may_differ=True),
  # the width of the average that a finished run uses, made of its snapshots; 0: as `evaluated_average` says
  'ema_width': Key(0.0, must_not_be_negative, may_differ=True),
  # the average that evaluation and samples use; '': 'ema', or where there is none, the first by name
  'evaluated_average': Key('', may_differ=True),
  'data': DATA,
  'model': {},  # 'name' and the fields of that class; modules and schedules likewise
  'stages': STAGES,
  'resampling': {},  # 'name' and the fields of a rule of `data.resampling`; none: each example once an epoch
  'sampler': SAMPLER,
  'optimizer': OPTIMIZER,  # of each player
  'player_optimizers': {},  # what differs for a player: {'discriminator': {'b1': 0.5}}
  'log_every': Key(50, must_be_positive, may_differ=True),  # a line of metrics: means over the dispatch that ends there
  'eval_every': Key(1_000, must_be_positive, may_differ=True),  # the evaluators on the validation split
  'save_every': Key(1_000, must_be_positive, may_differ=True),
  'keep': Key(2, must_be_positive, may_differ=True),  # the last checkpoints to keep, besides the best
  # the validation metric that the best checkpoint maximizes, e.g. 'elbo'; '': the last is the best
  'best': Key('', may_differ=True),
  'best_mode': Key('max', must_be_one_of('max', 'min'), may_differ=True),
  'evals': Key(('means', 'active_units'), may_differ=True),  # functions of gen_jax.evaluation
  # further ones, too expensive for more than the test split at the end
  'final_evals': Key((), may_differ=True),
  'importance_samples': Key(5_000, must_be_positive, may_differ=True),  # with which `likelihood` estimates log p(x)
  # samples that distances of samples from the data are measured with
  'sample_count': Key(10_000, must_be_positive, may_differ=True),
  # frozen networks that measure samples: '': of this data set, shipped or in ~/.cache/gen_jax; NAME; or FOLDER/NAME
  'extractors': Key('', may_differ=True),
  # of voices that say words: a folder of other speakers, SPEAKER/WORD_*.wav, of which `words_kept` learns the words
  'words': Key('', may_differ=True),
  'inception_weights': Key('', may_differ=True),  # file of InceptionV3's weights, for `inception_distances`
  # the first of a fixed random order; 0: all
  'validation_examples': Key(10_000, must_not_be_negative, may_differ=True),
  'test_examples': Key(0, must_not_be_negative, may_differ=True),
  'profile': Key(False, may_differ=True),  # writes a JAX trace of some steps to WORKDIR/profile, for TensorBoard
}
Keys = Mapping[str, 'Key | Keys']

UNSET = object()  # in a variant: the field is not set, as if the default variant said nothing of it
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
  'optimizer': {'warmup_steps': 0},
}


def common() -> ConfigDict:
  """All keys at their defaults."""
  return ConfigDict(defaults(KEYS))


def defaults(keys: Keys) -> dict[str, Any]:
  """{key: default}, nested as `keys`."""
  return {name: key.default if isinstance(key, Key) else defaults(key) for name, key in keys.items()}


def problems(config: Mapping[str, Any], keys: Keys = KEYS, path: str = 'config') -> Iterator[str]:
  """A line for each key whose value it does not allow."""
  for name, key in keys.items():
    if not isinstance(key, Key):
      yield from problems(config[name], key, f'{path}.{name}')
    elif name in config and (line := key.problem(config[name])):
      yield f'{path}.{name}={config[name]!r}: {line}'


def problems_of_numbers(config: Mapping[str, Any]) -> Iterator[str]:
  """A line for each number, at any depth, that 32 bits do not hold; the seed says itself what it allows."""
  for name, value in flatten(config).items():
    if name != 'seed' and (line := must_fit_32_bits(value)):
      yield f'config.{name}={value!r}: {line}'


def keys_that_may_differ(keys: Keys = KEYS, prefix: str = '') -> set[str]:
  """{'log_every', 'data.dir', ...}: see `Key.may_differ`."""
  names = set()
  for name, key in keys.items():
    if not isinstance(key, Key):
      names |= keys_that_may_differ(key, f'{prefix}{name}.')
    elif key.may_differ:
      names.add(prefix + name)
  return names


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
  """Nested `changes` over `base`; a group and a value replace each other."""
  groups = [key for key in base.keys() & changes.keys() if all(isinstance(x[key], Mapping) for x in (base, changes))]
  return {**base, **changes, **{key: merge(base[key], changes[key]) for key in groups}}


def flatten(config: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """{'model.beta': 4.0, ...}."""
  flat = {}
  for key, value in config.items():
    if isinstance(value, Mapping | ConfigDict):
      flat |= flatten(value, f'{prefix}{key}.')
    else:
      flat[prefix + key] = value
  return flat


def with_names(section: Mapping[str, Any]) -> dict[str, Any]:
  """The section with the name of each class that it holds in its place, at any depth; modules that it names, imported.

  It is for what a user writes: see `classes.find_class`, which imports nothing.
  """
  named = {}
  for key, value in section.items():
    if isinstance(value, Mapping | ConfigDict):
      value = with_names(value)
    elif isinstance(value, type):
      value = name_of_class(value)
    elif key == 'name':
      import_module_of(value)
    named[key] = value
  return named


def import_module_of(name: Any) -> None:
  """Imports the module of a class of the user's own, MODULE:CLASS. UserError where that fails."""
  module = str(name).rpartition(':')[0]
  if not module or module.endswith('.py'):
    return
  try:
    importlib.import_module(module)
  except Exception as error:  # the module is the user's own program
    raise UserError(f'{name!r}: {type(error).__name__}: {error}; a class of your own is named MODULE:CLASS') from None


def name_of_class(named: type) -> str:
  """What `classes.find_class` finds a class by: its name, or for one of the user's own MODULE:NAME or FILE.py:NAME."""
  module = named.__module__
  if module.startswith('gen_jax.'):
    return named.__name__
  of_file = module == '__main__' or module.startswith('program ')  # see files.open_module
  return f'{sys.modules[module].__file__ if of_file else module}:{named.__name__}'


def update(config: ConfigDict, changes: Mapping[str, Any], free: bool = False) -> None:
  """Writes nested `changes` over `config`.

  Only below `averages`, `model`, `player_optimizers` and `resampling` may keys be new. There (`free`), a section that
  names another class replaces the old one, as their fields differ; and what is UNSET is left out, at any depth.
  """
  for key, value in with_names(changes).items():
    if key not in config and not free:
      raise KeyError(f'{key} is no key of gen_jax/config.py')
    inside, section = free or key in ('averages', 'model', 'player_optimizers', 'resampling'), config.get(key)
    sections = isinstance(value, Mapping) and isinstance(section, ConfigDict)
    if sections and not (inside and value.get('name', section.get('name')) != section.get('name')):
      update(section, value, inside)
      continue
    if inside and key in config:
      del config[key]  # or its type would be kept, and a schedule could not take the place of a number
    if isinstance(value, Mapping):
      config[key] = ConfigDict()
      update(config[key], value, free=True)
    elif value is not UNSET:
      config[key] = value
    elif not inside:
      raise ValueError(f'{key} cannot be UNSET: every config has it')


def experiment(default: Mapping[str, Any], **variants: Mapping[str, Any]) -> Callable[[str], ConfigDict]:
  """The `get_config` of an experiment file.

  `default` holds the differences from `common`, a variant those from `default`. Variants combine from left to right:
  'mnist,smoke'. Every experiment has the variant 'smoke', to which it may add smaller networks.
  """
  variants = {'default': {}, **variants, 'smoke': merge(SMOKE, variants.get('smoke', {}))}

  def get_config(variant: str = 'default') -> ConfigDict:
    config = common()
    for changes in (default, *(variants[name] for name in variant.split(','))):
      update(config, changes)
    return config.lock()

  get_config.variants = tuple(variants)
  return get_config
