"""What evaluators and figures need of a model and its data, which is checked before anything is trained.

A condition is a function `(model, source) -> str | None` of a Flax module and a Source: None, or what is missing.
A text that begins with 'needs' goes on the line `config.evals: NAME needs ...`; any other is a line of its own.
Conditions of a single metric stand in its file.
"""

from collections.abc import Callable, Mapping

import flax.linen as nn

from gen_jax.errors import UserError
from gen_jax.evaluation import extractors
from gen_jax.evaluation.source import Source

Condition = Callable[[nn.Module, Source], str | None]


def needs(*conditions: Condition) -> Callable[[Callable], Callable]:
  """A decorator that says what a function needs: it sets the attribute `needs`, and nothing else."""

  def decorate(function: Callable) -> Callable:
    function.needs = conditions
    return function

  return decorate


def renamed(evaluator: str = '', metrics: Mapping[str, str] | None = None) -> Callable[[Callable], Callable]:
  """A decorator that says how an evaluator and its metrics were called: it sets `formerly` and `renamed_metrics`.

  metrics: {old: new}; where both end in '*', all names that begin so.
  """

  def decorate(function: Callable) -> Callable:
    function.formerly, function.renamed_metrics = evaluator, dict(metrics or {})
    return function

  return decorate


def first_problem(conditions: tuple[Condition, ...], model: nn.Module, source: Source) -> str | None:
  """What the first condition that does not hold says; None where all hold."""
  return next((problem for condition in conditions if (problem := condition(model, source))), None)


def methods(*names: str) -> Condition:
  """The model has one of the methods."""

  def condition(model: nn.Module, source: Source) -> str | None:
    del source
    if any(hasattr(model, name) for name in names):
      return None
    return f'needs a model that has {" or ".join(names)}; {type(model).__name__} has not'

  return condition


def conditional(model: nn.Module, source: Source) -> str | None:
  """The model is conditional on the label."""
  del source
  return None if getattr(model, 'conditional', False) else 'needs a conditional model'


def unconditional(model: nn.Module, source: Source) -> str | None:
  """The model is not conditional on the label, of which its codes would then say nothing."""
  del source
  if getattr(model, 'conditional', False):
    return 'needs codes that have not seen the label; this model is conditional'
  return None


def unlabeled(model: nn.Module, source: Source) -> str | None:
  """The model does not see the label, or has learned to do without, by `label_dropout`."""
  return None if getattr(model, 'label_dropout', 0.0) else unconditional(model, source)


def labels(model: nn.Module, source: Source) -> str | None:
  """The data have labels."""
  del model
  return None if source.data.num_classes else 'needs a data set with labels, such as digits'


def factors(model: nn.Module, source: Source) -> str | None:
  """The factors that made the data are known."""
  del model
  return None if source.data.factor_sizes else 'needs a data set with factors, such as sprites'


def images(model: nn.Module, source: Source) -> str | None:
  """The data are images, and not points of the plane."""
  del model
  kind = source.data.kind
  return None if kind == 'image' else f'needs images; {source.name} holds {kind}'


def examples(least: int, *splits: str) -> Condition:
  """Each of the splits, by default of all, has so many examples at least; and as many samples are asked for."""

  def condition(model: nn.Module, source: Source) -> str | None:
    """What is too few, if anything is."""
    del model
    if source.settings.sample_count < least:
      return f'needs config.sample_count of at least {least}, and it is {source.settings.sample_count}'
    for split, count in source.counts().items():
      if count < least and split in (splits or (split,)):
        return f'needs at least {least} {split} examples, and {source.name} has {count}'
    return None

  return condition


def points_target(model: nn.Module, source: Source) -> str | None:
  """The data are points of a distribution that can be drawn from."""
  del model
  return None if source.data.target is not None else 'needs points of a known distribution, such as ring'


def extractors_of_data(model: nn.Module, source: Source) -> str | None:
  """Both frozen networks are there, and see images of as many channels as the data have."""
  del model
  for kind in extractors.NETWORKS:
    try:
      extractor = extractors.of_source(kind, source)
    except UserError as error:
      if source.data.num_classes or source.settings.extractors:
        return str(error)
      remedy = extractors.without_labels(source.data.image_shape[-1])
      return f'needs an extractor, which learns to name classes, and {source.name} has no labels: {remedy}'
    channels, seen = source.data.image_shape[-1], extractor.image_shape[-1]
    if channels != seen:
      return (
        f'needs an extractor of images of {channels} channels, and {extractor.name} sees {seen}; '
        'name another in config.extractors'
      )
  return None
