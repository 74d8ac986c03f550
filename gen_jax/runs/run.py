"""A trained run, opened from its workdir: its model, in uint8 images and NumPy arrays."""

import dataclasses
import functools
import json
import pathlib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.errors import ScopeParamShapeError
from ml_collections import ConfigDict

from gen_jax import build, power_ema
from gen_jax.config import SAMPLER, must_be_seed
from gen_jax.data.preprocess import shape_after, to_uint8
from gen_jax.data.side_format import OTHER, SideFormat
from gen_jax.errors import UserError, must_be_positive, nearest
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.evaluate import current_metric
from gen_jax.evaluation.likelihood import estimator
from gen_jax.evaluation.needs import unlabeled
from gen_jax.evaluation.outliers.suite import Judge
from gen_jax.evaluation.samples import draw_samples, sampling_batch
from gen_jax.evaluation.source import Source, collect
from gen_jax.files import expanded
from gen_jax.runs.checked_model import CheckedModel
from gen_jax.runs.data import splits_of_run
from gen_jax.runs.labels import find_class
from gen_jax.runs.sounds import as_wave, translate_wave
from gen_jax.runs.translation import translate_images
from gen_jax.runs.workdir import open_config
from gen_jax.training import loop, snapshots
from gen_jax.training.checkpoint import Checkpoints
from gen_jax.training.state import TrainState, evaluated_average, evaluated_variables
from gen_jax.types import Batch

BATCH = 64  # samples or codes at a time


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Run:
  """What a run left behind. Images are uint8 [N,H,W,C] in and out, any number of them; codes float32 [N,D].

  `sample`, `encode`, `decode`, `reconstruct`, `log_prob` and `traverse` are those of the model, with the averaged
  parameters where there are any; UserError where the model has no such method. Images are given in gray values of 0 to
  255, and preprocessed as in evaluation: where the model sees binarized images, each pixel is drawn, the same at every
  call; where the data are binary by themselves, from 128 on it counts as 1. `model` is for experts: the Flax module,
  bound to its parameters, whose methods take preprocessed batches, such as `batches` gives; it refuses others.
  """

  config: ConfigDict
  module: nn.Module
  state: TrainState  # on the host; among its averages that of `config.ema_width`, if there is one
  workdir: pathlib.Path
  source: Source  # the test split, and what stands beside it

  @functools.cached_property
  def model(self) -> BoundModel:
    """The model at this state; its noise is always the same."""
    data, config = self.source.data, self.config
    images = {name: feature for name, feature in data.features.items() if feature.kind == 'image'}
    shapes = {name: shape_after(feature, config.data.size, config.data.crop) for name, feature in images.items()}
    binarized = config.data.binarize != 'none'
    binary = {name for name, feature in images.items() if feature.levels == 2 or (binarized and feature.levels)}
    return CheckedModel(self.module, self.variables, shapes, tuple(config.data.value_range), binary)

  def bound(self, seed: int = 0) -> BoundModel:
    """The model at this state, with noise from `seed`."""
    if problem := must_be_seed(seed):
      raise UserError(f'seed={seed}: {problem}')
    return BoundModel(self.module, self.variables, seed)

  @property
  def average(self) -> str:
    """The name of the average of the parameters that is used; '' where there is none."""
    width = self.config.ema_width
    return power_ema.name_of(width) if width else evaluated_average(self.state, self.config.evaluated_average)

  @property
  def variables(self) -> dict[str, Any]:
    """{collection: {group: ...}} of this average, or of the parameters where there is none."""
    return evaluated_variables(self.state, self.average, self.config.sampler)

  @property
  def sampling(self) -> str:
    """The settings of the sampler, 'name=heun, steps=18, guidance=2.0': those two, and what is not at its default.

    '' of a model that samples at once.
    """
    if not hasattr(self.module, 'sampler'):
      return ''
    moved = {key: self.config.sampler[key] for key, of in SAMPLER.items() if self.config.sampler[key] != of.default}
    shown = {'name': self.config.sampler.name, 'steps': self.config.sampler.steps, **moved}
    return ', '.join(f'{key}={value}' for key, value in shown.items())

  def with_sampler(self, **changes: Any) -> 'Run':
    """The run with other settings of its sampler, keys of config.sampler: `run.with_sampler(steps=10).sample(16)`.

    UserError for a setting that there is not, or that has no effect on this model.
    """
    config = ConfigDict(self.config.to_dict())
    if unknown := set(changes) - set(config.sampler):
      raise UserError(f'{min(unknown)} is no setting of a sampler{nearest(min(unknown), config.sampler)}')
    config.sampler.update(changes)
    for line in build.problems_of_sampler(config, self.module):
      raise UserError(line)
    state = snapshots.with_worse(self.state, config, self.workdir)
    fields = (('sampler', 'name'), ('grid', 'grid'))
    names = {field: config.sampler[key] for field, key in fields if hasattr(self.module, field)}
    return dataclasses.replace(self, config=config.lock(), state=state, module=self.module.clone(**names))

  def __repr__(self) -> str:
    return f'Run({type(self.module).__name__} at step {self.state.step}, {self.workdir})'

  # What was measured

  def evaluation(self) -> dict[str, Any]:
    """What evaluation.json says of this checkpoint, average and sampler, {} if of others. UserError: it is damaged."""
    values = read_evaluation(self.workdir / 'evaluation.json')
    return values if self.is_of_this(values) else {}

  def arrays(self) -> dict[str, np.ndarray]:
    """What evaluation.npz holds of this checkpoint, average and sampler, {} if of others. UserError: it is damaged."""
    path = self.workdir / 'evaluation.npz'
    try:
      with np.load(path) as file:
        arrays = dict(file)
    except FileNotFoundError:
      return {}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile):
      raise UserError(f'{path} is damaged: remove it, and evaluate again') from None
    return arrays if self.is_of_this(arrays) else {}

  def is_of_this(self, known: Mapping[str, Any]) -> bool:
    """Whether what was measured is of this checkpoint, average and sampler; older evaluations name but the step."""
    own = {'average': self.average, 'sampler': self.sampling}
    return known.get('step') == self.state.step and all(known.get(name, value) == value for name, value in own.items())

  # The model, in NumPy

  def sample(self, number: int = 64, label: int | str | None = None, seed: int = 0) -> np.ndarray:
    """`number` samples: images uint8 [N,H,W,C], or points float32 [N,2] in the units of their user.

    Those of row i depend on the seed and i alone. Of a conditional model they are of the class of number or name
    `label`, or by default of each class in turn.
    """
    if number < 1:
      raise UserError(f'{number} samples: ask for at least 1')
    return self.from_model_range(draw_samples(self.bound(seed), number, BATCH, self.class_number(label)))

  def encode(self, images: np.ndarray, labels: Sequence[int | str] | None = None) -> np.ndarray:
    """The code [N,D] of each image, for a VAE the mean of q(z|x); `labels` [N] for a conditional model."""
    return self.collect(images, labels, lambda batch: self.model.encode(batch))

  def decode(self, z: np.ndarray, label: int | str | None = None) -> np.ndarray:
    """The image uint8 [N,H,W,C] of each code [N,D]; of class `label`, by default the first, for a conditional model."""
    label = self.class_number(label)
    z = np.asarray(z, np.float32)
    if z.ndim != 2 or not len(z):
      raise UserError(f'codes must have the shape [N,D], of at least one; these have {list(z.shape)}')
    if not np.isfinite(z).all():
      raise UserError('codes must be finite; some of these are not')
    rows = np.arange(BATCH, dtype=np.int32)
    batch = sampling_batch(rows, self.model.classes, label or 0)
    padded = np.pad(z, ((0, -len(z) % BATCH), (0, 0)))
    try:
      parts = [self.from_model_range(self.model.decode(part, batch)) for part in padded.reshape(-1, BATCH, z.shape[1])]
    except ScopeParamShapeError:
      raise UserError(f'codes [N,D] of this model have another D than {z.shape[1]}: see run.encode(images)') from None
    return np.concatenate(parts)[: len(z)]

  def reconstruct(self, images: np.ndarray, labels: Sequence[int | str] | None = None) -> np.ndarray:
    """What the model decodes from the code of each image, of a VAE the mean of q(z|x): uint8 [N,H,W,C]."""
    return self.from_model_range(self.collect(images, labels, lambda batch: self.model.reconstruct(batch)))

  def log_prob(
    self, images: np.ndarray, labels: Sequence[int | str] | None = None, samples: int | None = None
  ) -> np.ndarray:
    """log p(x) of each image in nats, float32 [N]: exact where the model can, else a lower bound of it.

    That is by `samples` importance samples, by default `config.importance_samples`. Where the model sees binarized
    images, gray ones are binarized at random, always the same at the same place among `images`.
    """
    if 'log_prob' not in self.model and 'log_weights' not in self.model:
      raise UserError(f'{type(self.module).__name__} has no likelihood: no method log_prob or log_weights')
    if samples is not None and (problem := must_be_positive(samples)):
      raise UserError(f'samples={samples}: {problem}')
    samples = 0 if 'log_prob' in self.model else samples or self.config.importance_samples
    return self.collect(images, labels, lambda batch: self.model.compute(estimator(samples), batch).log_p)

  @functools.cached_property
  def judge(self) -> Judge:
    """What tells how unlike the data an image is; fitted once, to its validation and training splits."""
    return Judge(self.model, self.source)

  def outlier_score(self, images: np.ndarray) -> np.ndarray:
    """How unlike the data each image is, float64 [N], at least 0: the mean of -log p over the scores that are combined.

    p is the share of held-out images of the data that are as unusual by one score: images like the data have about 1.
    The last line of the table of --mode=outliers. UserError where the data cannot be read.
    """
    if unlabeled(self.module, self.source):
      raise UserError(f'{type(self.module).__name__} is conditional: outliers are judged by models without labels')
    arrays = {'image': self.as_examples(images)}
    return self.judge.combination(self.judge.statistics_of(lambda: self.source.batches_of(arrays)))

  def traverse(
    self,
    image: np.ndarray,
    latent: int,
    values: Sequence[float] = tuple(np.linspace(-3, 3, 13)),
    label: int | str | None = None,
  ) -> np.ndarray:
    """The image [H,W,C] decoded with one of its latents at each of the values, the others kept: uint8 [n,H,W,C].

    The image is of class `label`, by default the first, for a conditional model.
    """
    label = self.class_number(label)
    code = self.encode(np.asarray(image)[None], [label or 0] if self.model.classes else None)
    if not 0 <= latent < code.shape[1]:
      raise UserError(f'latent={latent}: the code has the latents 0 to {code.shape[1] - 1}')
    codes = np.repeat(code, len(values), axis=0)
    codes[:, latent] = values
    return self.decode(codes, label)

  def translate(self, images: Sequence[np.ndarray], to: str = 'b') -> list[np.ndarray]:
    """Each image uint8 [H,W,C], of any size, translated to the side `to`, 'a' or 'b', of its own height and width.

    A map of labels is given, and comes back, in the colors of its palette. Images are not resized: networks that were
    trained at one scale translate well what is of that scale.
    """
    if self.source.data.kind != 'image':
      remedy = ': translate_wave translates them' if self.source.data.sound else ', and images are translated'
      raise UserError(f'{self.source.name} holds {self.source.data.kind}{remedy}')
    self.check_side(to)
    given, wanted = self.side(OTHER[to]), self.side(to)
    images = [np.asarray(image) for image in images]
    for image in images:
      if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != given.channels or not image.size:
        found = f'{image.dtype} {list(image.shape)}'
        raise UserError(f'images must be uint8 [H,W,{given.channels}], of 0 to 255, not {found}')
    return list(translate_images(self.bound(), images, len(images), to, given, wanted))

  def translate_wave(self, wave: np.ndarray, rate: int, to: str = 'b') -> np.ndarray:
    """A wave [T] at `rate` Hz as the voice of the side `to`, 'a' or 'b', says it: float32 [T] of its rate and level.

    Of any length, floats in [-1, 1] or int16, one channel: `wave, rate = soundfile.read(path)`.
    """
    if not self.source.data.sound:
      raise UserError(f'{self.source.name} holds {self.source.data.kind}, and sounds are translated')
    self.check_side(to)
    window = self.source.data.main_feature.shape[0]
    return translate_wave(self.bound(), self.source.data.sound, window, as_wave(wave, rate), rate, to)

  def check_side(self, to: str) -> None:
    """Raises UserError where the model does not translate to the side `to`."""
    if to not in OTHER or f'translate_to_{to}' not in self.model:
      sides = ' or '.join(side for side in OTHER if f'translate_to_{side}' in self.model) or 'no side'
      raise UserError(f'--to={to}: {type(self.module).__name__} translates to {sides}')

  def side(self, name: str) -> SideFormat:
    """How images of the side 'a' or 'b' are shown, and seen by the model."""
    return self.source.side(name)

  def class_number(self, label: int | str | None) -> int | None:
    """The number of the class that `label` names, None for None. UserError where it is no class of the model."""
    if label is None:
      return None
    if not self.model.classes:
      raise UserError(f'--label={label}: {type(self.module).__name__} is not conditional')
    try:
      return find_class(label, self.source.data.names_of_classes)
    except UserError as error:
      raise UserError(f'--label={label}: {type(self.module).__name__} {error}') from None

  def class_numbers(self, labels: Sequence[int | str]) -> Sequence[int]:
    """The labels as numbers."""
    return [self.class_number(label) if isinstance(label, str) else label for label in labels]

  def from_model_range(self, examples: np.ndarray) -> np.ndarray:
    """Images in the model's range as uint8 [N,H,W,C]; points [N,1,1,2] as float32 [N,2] in the units of their user."""
    if self.source.data.kind == 'points':
      return self.source.data.in_units(np.asarray(examples, np.float32).reshape(-1, 2))
    return np.asarray(to_uint8(examples, self.config.data.value_range))

  def collect(
    self, images: np.ndarray, labels: Sequence[int | str] | None, function: Callable[[Batch], jax.Array]
  ) -> np.ndarray:
    """`function` of the images, in preprocessed batches of one size: [N, ...]."""
    return collect(self.batches(images, labels), values=function)['values']

  def batches(self, images: np.ndarray, labels: Sequence[int | str] | None = None) -> Iterator[Batch]:
    """Images uint8 [N,H,W,C] or [N,H,W] as the model sees them in evaluation, in batches of one size."""
    images = self.as_examples(images)
    if (labels is not None) != bool(self.model.classes):
      kind = 'is conditional: give labels [N] too' if self.model.classes else 'is not conditional: give no labels'
      raise UserError(f'{type(self.module).__name__} {kind}')
    labels = labels if labels is None else self.class_numbers(labels)
    if labels is not None and (np.shape(labels) != (len(images),) or not set(labels) <= set(range(self.model.classes))):
      raise UserError(f'labels must be {len(images)} of the classes 0 to {self.model.classes - 1}')
    arrays = {'image': images} | ({} if labels is None else {'label': np.asarray(labels, np.int32)})
    return self.source.batches_of(arrays)

  def as_examples(self, images: np.ndarray) -> np.ndarray:
    """Images as the data hold them, [N,H,W,C]. UserError where they are none that the model can see."""
    data, shape = self.source.data, self.source.data.image_shape
    images = np.asarray(images)
    if data.kind == 'points':
      return data.from_units(points_as_images(images, shape))
    if images.dtype != np.uint8 or not 3 <= images.ndim <= 4 or images.shape == shape or not len(images):
      given = f'{images.dtype} {list(images.shape)}'
      raise UserError(f'images must be uint8 [N,H,W,C] or [N,H,W], of 0 to 255, not {given}')
    images = images.reshape(*images.shape[:3], -1)
    if images.shape[-1] != shape[-1] or (images.shape[1:] != shape and not self.config.data.size):
      raise UserError(f'this model sees images of {list(shape)}, not {list(images.shape[1:])}')
    return images


def points_as_images(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """Points [N,2] as features of the data, float32 [N,1,1,2]. UserError where they are none, or not finite."""
  numbers = points.dtype.kind in 'fiu'
  if not numbers or points.shape[1:] not in (shape, shape[-1:]) or not len(points) or not np.isfinite(points).all():
    raise UserError(f'points must be finite numbers [N,{shape[-1]}], not {points.dtype} {list(points.shape)}')
  return points.astype(np.float32).reshape(-1, *shape)


def read_evaluation(path: pathlib.Path) -> dict[str, Any]:
  """What evaluation.json holds, metrics by today's names; {} where there is none."""
  try:
    values = json.loads(path.read_text()) if path.exists() else {}
    return {current_metric(name): value for name, value in values.items()}
  except (ValueError, AttributeError):
    raise UserError(f'{path} is damaged: remove it, and evaluate again') from None


def load(
  workdir: str | pathlib.Path,
  checkpoint: str = 'best',
  config: ConfigDict | None = None,
  trust: bool = False,
  ema_width: float | None = None,
) -> Run:
  """The run in `workdir` at its 'best' or 'last' checkpoint, or at a step; 'best' is 'last' without a metric.

  Without `config`, that of the workdir, and `trust` says whether programs that it names may be run whatever they are:
  see `gen_jax.runs.programs`. `ema_width`: in place of that of the config.

  Raises:
    UserError: there is no run, no such checkpoint, or none that is whole; or no average of `config.ema_width`.
  """
  workdir = expanded(workdir)
  config = config or open_config(workdir, trust)
  if ema_width is not None:
    config = ConfigDict({**config.to_dict(), 'ema_width': ema_width}).lock()
  if not (workdir / 'checkpoints').is_dir():
    raise UserError(f'{workdir} has no checkpoint yet: train first')
  splits = splits_of_run(config, workdir)
  checkpoints = Checkpoints.of(config, workdir, read_only=True)
  try:
    steps = checkpoints.steps()
    if not steps:
      raise UserError(f'{workdir} has no checkpoint yet: train first')
    if checkpoint in ('best', 'last'):
      first = checkpoints.best_step() if checkpoint == 'best' else None
    elif checkpoint.isdecimal() and int(checkpoint) in steps:
      first = int(checkpoint)
    else:
      choices = ', '.join(map(str, steps))
      raise UserError(f'--checkpoint={checkpoint}: choose best, last, or one of the steps {choices}')
    train = splits.blank('train')
    state = checkpoints.restore_latest(lambda step: loop.shapes_of_state(build.task(config, step, train)), first)
  finally:
    checkpoints.close()
  task = build.task(config, int(state.step), train)
  for line in build.problems_of_finished(config, train, task.model):
    raise UserError(line)
  state = snapshots.with_width(state, config, workdir) if config.ema_width else state
  state = snapshots.with_worse(state, config, workdir)
  source = Source.of(config, splits.split('test'), config.test_examples, splits=splits)
  return Run(config, task.model, state, workdir, source)
