"""Results as HTML: tiles of the headlines, and for each evaluator a card of what it measured, explained."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gen_jax.metrics import Explanation

Scores = Mapping[str, Any]  # {metric: number or text}
Explained = Mapping[str, Explanation]

TILES = 5  # results on top, at most
FEW = 12  # entries of a family that are seen without a click
LONG = 16  # characters of a text that gets a line of its own


def format_number(value: Any) -> str:
  """A value as people read it: four significant digits, thousands apart, counts whole; texts as they are."""
  if isinstance(value, np.ndarray | np.generic):
    value = value.tolist()
  if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
    return str(value)
  if value == round(value) and abs(value) < 1e6:
    return f'{round(value):,}'
  if not 1e-3 <= abs(value) < 1e6:
    return f'{value:,}' if isinstance(value, int) else f'{value:.3e}'
  return f'{value:,.{max(0, 3 - math.floor(math.log10(abs(value))))}f}'


def is_number(value: Any) -> bool:
  """Whether a score is a number, and no text."""
  return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def explained_or_plain(name: str, explained: Explained) -> tuple[str, str, str, str]:
  """(label, unit, which is better, meaning) of a metric; of one that nobody explains its name in words."""
  if name not in explained:
    return name.replace('_', ' '), '', '', ''
  known = explained[name]
  return known.label, known.metric.unit, known.better, known.metric.meaning


# On top


def headlines(scores: Scores, explained: Explained, best: str = '') -> list[str]:
  """The names of the results: what the best checkpoint was chosen by, then one of each family that is a headline.

  The first numbers where there are none.
  """
  numbers = [name for name, value in scores.items() if is_number(value)]
  chosen = {explained[best].family if best in explained else best: best} if best in numbers else {}
  for name in numbers:
    if name in explained and explained[name].metric.headline and not explained[name].beside:
      chosen.setdefault(explained[name].family, name)
  return list(chosen.values())[:TILES] or numbers[:TILES]


def tiles(scores: Scores, explained: Explained, best: str = '', steps: int | None = None) -> str:
  """A tile for each of the `headlines`, with what stands beside it, and for the steps of training."""
  beside = names_beside(scores, explained)
  every = []
  for name in headlines(scores, explained, best):
    label, unit, better, meaning = explained_or_plain(name, explained)
    entry = explained[name].entry if name in explained else ''
    title = ', '.join(filter(None, (label, entry, unit)))
    notes = [better or meaning, *(note_of(other, scores, explained) for other in beside.get(name, ()))]
    every.append(tile(format_number(scores[name]), title, notes, meaning))
  if steps is not None:
    every.append(tile(format_number(steps), 'training steps'))
  return ''.join(every)


def tile(value: str, title: str, notes: Iterable[str] = (), meaning: str = '') -> str:
  """A value in large letters, what it is, and notes in small ones; the meaning where a pointer rests on it."""
  small = ''.join(f'<small>{html.escape(note)}</small>' for note in notes if note)
  hover = f' title="{html.escape(meaning)}"' if meaning else ''
  return (
    f'<div class="card tile"{hover}><b>{html.escape(value)}</b><span>{html.escape(title)}</span>{small}</div>'
  )


# Cards


def cards(scores: Scores, explained: Explained) -> str:
  """A card of each evaluator, in the order of its first number; 'others' of what nobody explains."""
  beside = names_beside(scores, explained)
  hidden = {name for names in beside.values() for name in names}
  by_evaluator = {}
  for name in (name for name in scores if name not in hidden):
    evaluator, family = (explained[name].evaluator, explained[name].family) if name in explained else ('others', name)
    by_evaluator.setdefault(evaluator, {}).setdefault(family, []).append(name)
  return ''.join(
    f'<div class="card scores"><h3>{html.escape(evaluator)}</h3><table><tbody>'
    + ''.join(row(names, scores, explained, beside) for names in families.values())
    + '</tbody></table></div>'
    for evaluator, families in by_evaluator.items()
  )


def names_beside(scores: Scores, explained: Explained) -> dict[str, list[str]]:
  """{name: those of the metrics that are shown beside it}; what stands beside one of those has a row of its own."""
  of = {name: explained[name].beside for name in scores if name in explained and explained[name].beside in scores}
  beside = {}
  for name, other in of.items():
    if other not in of:
      beside.setdefault(other, []).append(name)
  return beside


def note_of(name: str, scores: Scores, explained: Explained) -> str:
  """What stands beside another metric, in words: 'standard error over the examples: .104'."""
  return f'{explained[name].metric.meaning}: {format_number(scores[name])}'


def row(names: Sequence[str], scores: Scores, explained: Explained, beside: Mapping[str, Sequence[str]]) -> str:
  """A row of a table: a number or text and what it means, or a family of them."""
  label, unit, better, meaning = explained_or_plain(names[0], explained)
  about = ''.join(f'<span class="faint"> · {html.escape(text)}</span>' for text in (unit, better) if text)
  head = html.escape(label) + about + (f'<small>{html.escape(meaning)}</small>' if meaning else '')
  if names[0] in explained and explained[names[0]].entry:
    return f'<tr><th colspan="2">{head}{family(names, scores, explained, beside)}</th></tr>'
  value = format_number(scores[names[0]])
  if not is_number(scores[names[0]]) and len(value) > LONG:
    return f'<tr><th colspan="2">{head}<p>{html.escape(value)}</p></th></tr>'
  return f'<tr><th>{head}</th><td>{value_with_notes(names[0], scores, explained, beside)}</td></tr>'


def value_with_notes(name: str, scores: Scores, explained: Explained, beside: Mapping[str, Sequence[str]]) -> str:
  """A value, and below it what stands beside it."""
  notes = (note_of(other, scores, explained) for other in beside.get(name, ()))
  return html.escape(format_number(scores[name])) + ''.join(f'<small>{html.escape(note)}</small>' for note in notes)


def family(names: Sequence[str], scores: Scores, explained: Explained, beside: Mapping[str, Sequence[str]]) -> str:
  """The entries of a family with their values; those that are off, and more than a few, are folded."""
  threshold = explained[names[0]].metric.off_below
  off = [name for name in names if is_number(scores[name]) and scores[name] < threshold]
  on = [name for name in names if name not in off]
  shown = entries(on, scores, explained, beside) if on else ''
  if len(on) > FEW:
    values = [scores[name] for name in on if is_number(scores[name])]
    span = f', from {format_number(min(values))} to {format_number(max(values))}' if values else ''
    shown = f'<details><summary>{len(on)} values{span}</summary>{shown}</details>'
  if off:
    unit = explained[names[0]].metric.unit
    summary = f'{len(off)} of {len(names)} are off, below {threshold:g} {unit}'.rstrip()
    shown += f'<details><summary>{summary}</summary>{entries(off, scores, explained, beside)}</details>'
  return shown


def entries(names: Sequence[str], scores: Scores, explained: Explained, beside: Mapping[str, Sequence[str]]) -> str:
  """What each of a family is called, with its value."""
  values = [(explained[name].entry, value_with_notes(name, scores, explained, beside)) for name in names]
  items = (f'<div><dt>{html.escape(entry)}</dt><dd>{value}</dd></div>' for entry, value in values)
  return f'<dl>{"".join(items)}</dl>'
