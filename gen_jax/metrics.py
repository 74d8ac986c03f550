"""What metrics say: each is explained where it is made, by whoever owns it; the report and the command line read it.

  @measures({
    'nll': Metric('-log p(x)', 'nats', better='lower', headline=True),
    '{metric}_stderr': Metric('standard error'),
    'share_class_{class}': Metric('the share of samples that look like this class'),
  })
  def evaluator(model, source): ...

The decorator only sets the attribute `metrics`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

INDICES = ('factor', 'latent')  # what stands in a name by its number; a class by its number, or by its name
OTHER = 'metric'  # stands for the name of another metric


class Metric(NamedTuple):
  """What a number of an evaluation says, or a text, or each number of a family of them.

  Attributes:
    meaning: a sentence for who has not read the paper; of a number that stands beside another one, what it is.
    unit: such as 'nats'; '' where it has none.
    better: 'higher' or 'lower'; '' where neither is.
    headline: whether it is a result, which stands on top of a report; of a family, its first entry.
    off_below: the entries of a family below it are off, as latents that say nothing, and need not be seen.
    beside: the name of the metric beside which the number is shown, as the number of modes beside that of the modes
      that are covered. It may hold the placeholder of the metric's own name.
  """

  meaning: str
  unit: str = ''
  better: str = ''
  headline: bool = False
  off_below: float = -float('inf')
  beside: str = ''


class Explanation(NamedTuple):
  """A metric, and its place among the others."""

  metric: Metric
  evaluator: str  # the name of who measures it
  family: str  # the name under which it is explained: 'spearman_{factor}', of which there may be several
  entry: str = ''  # which of the family it is: 'shape'; '' where it is alone
  beside: str = ''  # the name of the metric beside which it is shown, as its standard error; '' where it stands alone

  @property
  def label(self) -> str:
    """The name in words, without its entry: 'spearman' of spearman_{factor}."""
    before, _, rest = self.family.partition('{')
    return ' '.join((before + rest.partition('}')[2]).replace('_', ' ').split())

  @property
  def better(self) -> str:
    """'higher is better'; '' where neither is."""
    return f'{self.metric.better} is better' if self.metric.better else ''


def measures(*metrics: Mapping[str, Metric] | Callable, of_method: str = '') -> Callable[[Callable], Callable]:
  """A decorator that says what the numbers mean that a function gives.

  A name may hold one placeholder. {factor} and {latent} stand for the number of one, which the report shows by its
  name; {class} for a number or a name; {metric} for the name of another metric, beside which the number is shown; any
  other, such as {network}, for a word. Each meaning stands alone, as it does below a plot.

  Args:
    metrics: {name: Metric}; or functions that are so decorated, whose metrics these are too.
    of_method: the method of the model that explains further ones, as `per_example` does those of `means`.
  """
  parts = [part if isinstance(part, Mapping) else part.metrics for part in metrics]

  def decorate(function: Callable) -> Callable:
    function.metrics = {name: metric for part in parts for name, metric in part.items()}
    function.metrics_of_method = of_method
    return function

  return decorate


def metrics_of(evaluator: Callable, model: type | None = None) -> dict[str, Metric]:
  """{name: Metric} of an evaluator, with those that the class of a model explains for it."""
  method = getattr(model, getattr(evaluator, 'metrics_of_method', '') or ' ', None)
  return getattr(evaluator, 'metrics', {}) | getattr(method, 'metrics', {})


def matches(family: str, name: str) -> tuple[str, str] | None:
  """(placeholder, what it stands for in the name), both '' where there is none; None where the name is no such one."""
  before, brace, rest = family.partition('{')
  if not brace:
    return ('', '') if family == name else None
  placeholder, _, after = rest.partition('}')
  entry = name[len(before) : len(name) - len(after)]
  if not entry or name != before + entry + after:
    return None
  fits = entry.isdecimal() if placeholder in INDICES else placeholder in ('class', OTHER) or '_' not in entry
  return (placeholder, entry) if fits else None


def explanations(
  name: str, evaluator: str, metrics: Mapping[str, Metric], entry_names: Mapping[str, list[str]]
) -> Iterator[Explanation]:
  """All that `metrics` of an evaluator say of a name, the closest first: by itself, as one of a family, beside others.

  `entry_names`: {placeholder: names}, such as {'factor': ['shape', 'scale']}.
  """
  found = [(family, *match) for family in metrics if (match := matches(family, name))]
  for family, placeholder, entry in sorted(found, key=lambda match: (match[1] == OTHER, match[1] != '')):
    if placeholder != OTHER:
      beside = metrics[family].beside.replace(f'{{{placeholder}}}', entry)
      yield Explanation(metrics[family], evaluator, family, entry_name(placeholder, entry, entry_names), beside)
    elif any(explanations(entry, evaluator, metrics, entry_names)):
      # of its own name: what stands beside one metric and what stands beside another are no family
      yield Explanation(metrics[family], evaluator, name, beside=entry)


def entry_name(placeholder: str, entry: str, entry_names: Mapping[str, list[str]]) -> str:
  """What an entry is called: by its number among the names of its kind, where there are such."""
  if placeholder not in (*INDICES, 'class') or not entry.isdecimal():
    return entry
  names, number = entry_names.get(placeholder, []), int(entry)
  if number < len(names):
    return names[number]
  return f'z{number}' if placeholder == 'latent' else f'{placeholder} {number}'
