"""One self-contained page that tells how a run went."""

from __future__ import annotations

import base64
import html
import importlib.resources
import io
import os
import pathlib
from collections.abc import Mapping, Sequence

from gen_jax.config import flatten
from gen_jax.files import write_bytes
from gen_jax.plots import scores as scores_lib
from gen_jax.plots.curves import caption_of, is_smoothed
from gen_jax.plots.players import Clip, players_of
from gen_jax.plots.scores import Explained, Scores

FAINT = 'Faint: as recorded. Bold: the running mean.'
LEAST_SCALE = 0.8  # a figure with text is shown so small, and no smaller: on a narrow screen it scrolls in its card


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


def picture(caption: str, data: bytes, kind: str = '', alt: str = '') -> str:
  """A PNG inside the page at its size in print; those without text, which have no such size, stretched by pixels.

  `alt` is what is said in its place, by default the caption.
  """
  from PIL import Image

  with Image.open(io.BytesIO(data)) as image:
    dots, width = image.info.get('dpi', (0, 0))[0], image.width
  if dots:
    shown = round(width * 96 / dots)
    look = f'width="{shown}" style="min-width: {round(LEAST_SCALE * shown)}px"'
  else:
    kind, look = f'{kind} pixels', f'width="{max(width, 600)}"'
  source = f'data:image/png;base64,{base64.b64encode(data).decode()}'
  image = f'<div class="scroll" tabindex="0"><img {look} alt="{html.escape(alt or caption)}" src="{source}"></div>'
  below = f'<figcaption>{html.escape(caption)}</figcaption>' if caption else ''
  return f'<figure class="card {kind}">{image}{below}</figure>'


def plots_of(panels: Mapping[str, bytes], explained: Explained) -> str:
  """The plot of each metric by training step, with what it means."""
  plots = [
    picture(caption_of(panel, explained), data, 'plot', alt=f'{panel} by training step')
    for panel, data in panels.items()
  ]
  return f'<div class="plots">{"".join(plots)}</div>' if plots else ''


def section(title: str, body: str, note: str = '') -> str:
  """A heading, a note, and what stands under it; nothing where that is empty."""
  note = f'<p class="faint">{html.escape(note)}</p>' if note else ''
  return f'<section><h2>{title}</h2>{note}{body}</section>' if body else ''


def write_report(
  path: str | os.PathLike,
  *,
  title: str,
  about: str,
  command: str,
  config: Mapping,
  scores: Scores,
  scores_note: str,
  explained: Explained,
  best: str,
  records: Sequence[Mapping],
  panels: Mapping[str, bytes],
  figures: Sequence[tuple[str, str | os.PathLike]],
  sounds: Sequence[Clip] = (),
) -> None:
  """Writes one HTML file that holds all it shows and refers to nothing outside itself but sounds, where they are many.

  Args:
    path: where, usually WORKDIR/report.html; written atomically.
    title: the run's name.
    about: a line below it.
    command: the shell command that repeats it.
    config: nested mapping.
    scores: {metric: number or text}, of an evaluation.
    scores_note: a line that says of what they are.
    explained: {metric: Explanation} of those, and of the metrics of the curves, that are explained.
    best: the metric that the best checkpoint was chosen by, or ''.
    records: those of metrics.jsonl; may be empty.
    panels: {panel: its PNG} of their curves.
    figures: (caption, path of a PNG), in their order.
    sounds: what can be heard, in its order.
  """
  pictures = ''.join(picture(caption, pathlib.Path(figure).read_bytes()) for caption, figure in figures)
  clips, clips_note = players_of(sounds, pathlib.Path(path).parent)
  steps = max((record['step'] for record in records if 'step' in record), default=None)
  body = ''.join(
    [
      f'<h1>{html.escape(title)}</h1><p class="faint">{html.escape(about)}</p>',
      f'<div class="tiles">{scores_lib.tiles(scores, explained, best, steps)}</div>',
      section('Evaluation', scores_lib.cards(scores, explained), scores_note),
      section('What the model makes', pictures),
      section('To listen to', clips, clips_note),
      section('Training', plots_of(panels, explained), FAINT if is_smoothed(records) else ''),
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
  write_bytes(path, page.encode(errors='backslashreplace'))  # paths may hold what is no UTF-8
