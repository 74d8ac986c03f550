"""One self-contained page that tells how a run went."""

from __future__ import annotations

import base64
import html
import importlib.resources
import io
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gen_jax.config import flatten
from gen_jax.files import write_bytes
from gen_jax.plots.canvas import png
from gen_jax.plots.curves import curves_figure, units


def format_number(value: Any) -> str:
  """A value as people read it: four significant digits, thousands apart; lists joined; text as it is."""
  if isinstance(value, np.ndarray | np.generic):
    value = value.tolist()
  if isinstance(value, list | tuple):
    return ', '.join(format_number(item) for item in value)
  if isinstance(value, bool) or not isinstance(value, int | float):
    return str(value)
  if isinstance(value, int):
    return f'{value:,}'
  if not math.isfinite(value):
    return str(value)
  if value and not 1e-3 <= abs(value) < 1e6:
    return f'{value:.3e}'
  digits = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
  return f'{value:,.{digits}f}'


def by_split(evaluation: Mapping) -> dict[str, dict[str, Any]]:
  """{split: {metric: value}}; numbers outside any split stand under ''."""
  nested = {name: flatten(value) for name, value in evaluation.items() if isinstance(value, Mapping)}
  splits = {name: {key.replace('.', '/'): x for key, x in values.items()} for name, values in nested.items()}
  lone = {name: value for name, value in evaluation.items() if not isinstance(value, Mapping)}
  return ({'': lone} if lone else {}) | splits


def metric_label(name: str) -> str:
  """A metric's name as text."""
  return html.escape(name.replace('_', ' ').replace('/', ' / '))


def headline(splits: Mapping[str, Mapping[str, Any]], records: Sequence[Mapping]) -> str:
  """Tiles with the first five numbers of the test split, or of the first there is, and the steps trained."""
  split = 'test' if 'test' in splits else next(iter(splits), '')
  values = splits.get(split, {})
  known, where = units(values), f', {html.escape(split)}' if split else ''
  tiles = [
    (format_number(value), metric_label(name) + (f' [{known[name]}]' if name in known else '') + where)
    for name, value in values.items()
    if isinstance(value, int | float | np.number) and not isinstance(value, bool)
  ][:5]
  if steps := [record['step'] for record in records if 'step' in record]:
    tiles.append((format_number(max(steps)), 'training steps'))
  return ''.join(f'<div class="card tile"><b>{value}</b><span>{name}</span></div>' for value, name in tiles)


def evaluation_table(splits: Mapping[str, Mapping[str, Any]]) -> str:
  """A row a metric, a column a split."""
  names = list(dict.fromkeys(name for values in splits.values() for name in values))
  known = units(names)
  head = ''.join(f'<th class="number">{html.escape(split) or "value"}</th>' for split in splits)
  rows = []
  for name in names:
    cells = []
    for values in splits.values():
      value = values.get(name, '')
      kind = 'number' if np.ndim(value) == 0 else 'list'
      cells.append(f'<td class="{kind}"><div>{html.escape(format_number(value))}</div></td>')
    unit = f'<span class="unit">{known.get(name, "")}</span>'
    rows.append(f'<tr><th>{metric_label(name)} {unit}</th>{"".join(cells)}</tr>')
  return f'<table><thead><tr><th>metric</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def config_cards(config: Mapping) -> str:
  """One card of a table for each group of the config, first for the keys outside any group."""
  lone = {name: value for name, value in config.items() if not isinstance(value, Mapping) or not value}
  nested = {name: flatten(value) for name, value in config.items() if name not in lone}
  groups = ({'experiment': lone} if lone else {}) | nested
  cards = []
  for group, values in groups.items():
    rows = ''.join(
      f'<tr><th>{html.escape(str(name))}</th><td>{html.escape(str(value))}</td></tr>'
      for name, value in values.items()
    )
    name = html.escape(str(group))
    cards.append(f'<div class="card"><h3>{name}</h3><table><tbody>{rows}</tbody></table></div>')
  return ''.join(cards)


def picture(caption: str, data: bytes, kind: str = '') -> str:
  """A PNG inside the page at its size in print; small ones, which hold no text, stretched pixel by pixel."""
  from PIL import Image

  with Image.open(io.BytesIO(data)) as image:
    dots, width = image.info.get('dpi', (96, 96))[0], image.width
  shown = round(width * 96 / dots)
  pixels = ' class="pixels"' if 'dpi' not in image.info else ''
  source = f'data:image/png;base64,{base64.b64encode(data).decode()}'
  text = html.escape(caption)
  return (
    f'<figure class="card {kind}"><img{pixels} width="{max(shown, 600) if pixels else shown}" alt="{text}" '
    f'src="{source}"><figcaption>{text}</figcaption></figure>'
  )


def section(title: str, body: str) -> str:
  """A heading and what stands under it; nothing where that is empty."""
  return f'<section><h2>{title}</h2>{body}</section>' if body else ''


def write_report(
  path: str | os.PathLike,
  *,
  title: str,
  command: str,
  config: Mapping,
  evaluation: Mapping,
  records: Sequence[Mapping],
  figures: Sequence[tuple[str, str | os.PathLike]],
) -> None:
  """Writes one HTML file that holds all it shows and refers to nothing outside itself.

  Args:
    path: where, usually WORKDIR/report.html; written atomically.
    title: the run's name.
    command: the shell command that repeats it.
    config: nested mapping.
    evaluation: {name: value} or {split: {name: value}}, values numbers or lists of them.
    records: those of metrics.jsonl, for the curves; may be empty.
    figures: (caption, path of a PNG), in their order.
  """
  splits = by_split(evaluation)
  pictures = ''.join(picture(caption, pathlib.Path(figure).read_bytes()) for caption, figure in figures)
  caption = 'Faint: as recorded. Bold: the running mean.'
  plots = picture(caption, png(curves_figure(records)), 'plot') if records else ''
  table = f'<div class="card scroll">{evaluation_table(splits)}</div>' if splits else ''
  body = ''.join(
    [
      f'<h1>{html.escape(title)}</h1><p class="faint">Report of a training run</p>',
      f'<div class="tiles">{headline(splits, records)}</div>',
      section('Evaluation', table),
      section('What the model makes', pictures),
      section('Training', plots),
      section('Configuration', f'<div class="config">{config_cards(config)}</div>'),
      section('To repeat this run', f'<div class="card"><pre>{html.escape(command)}</pre></div>'),
    ]
  )
  style = importlib.resources.files('gen_jax.plots').joinpath('report.css').read_text()
  page = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    f'<title>{html.escape(title)}</title><style>\n{style}</style></head><body><main>{body}</main></body></html>\n'
  )
  write_bytes(path, page.encode())
