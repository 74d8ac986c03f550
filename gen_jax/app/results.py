"""What an evaluation of a run found, in words: what it is of, what its metrics mean, and a table of them."""

from collections.abc import Iterable, Mapping
from typing import Any

from gen_jax.evaluation.evaluate import as_tuple
from gen_jax.evaluation.explain import explain
from gen_jax.figures.factors import entry_names
from gen_jax.metrics import Explanation
from gen_jax.runs import Run

# what an evaluation is of, which stands in it beside its numbers
PROTOCOL = ('step', 'split', 'examples', 'binarize', 'average', 'sampler')


def describe_evaluation(known: Mapping[str, Any]) -> str:
  """What an evaluation is of, as it says itself: 'step 500, 64 examples of the test split, binarized (static)'."""
  parts = [f'step {known["step"]:,}'] if 'step' in known else []
  if {'examples', 'split'} <= set(known):
    parts.append(f'{known["examples"]:,} examples of the {known["split"]} split')
  if known.get('binarize', 'none') != 'none':
    parts.append(f'binarized ({known["binarize"]})')
  if known.get('average', 'ema') not in ('', 'ema'):
    parts.append(f'average {known["average"]}')
  if known.get('sampler'):
    parts.append(f'samples by {known["sampler"]}')
  return ', '.join(parts)


def explanations(run: Run, names: Iterable[str]) -> dict[str, Explanation]:
  """Of metrics, as the run's own evaluators, model and data explain them."""
  evaluators = as_tuple(run.config.evals) + as_tuple(run.config.final_evals)
  return explain(names, type(run.module), evaluators, entry_names(run.source.data))


def table_of(results: Mapping[str, float | str], explained: Mapping[str, Explanation]) -> str:
  """A line a metric: its name, its value, its unit, and what it is of, as a factor by its name."""
  lines, width = [], max(map(len, results), default=0)
  for name, value in results.items():
    notes = (explained[name].metric.unit, explained[name].entry) if name in explained else ()
    number = value if isinstance(value, str) else f'{value:10.4f}'
    lines.append('  '.join(['', name.ljust(width), number, *filter(None, notes)]))
  return '\n'.join(lines)
