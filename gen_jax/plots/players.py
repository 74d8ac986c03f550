"""Sounds as players of an HTML page, which holds them as far as there is room."""

import base64
import html
import os
import pathlib
import urllib.parse
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

MOST_BYTES = 4 * 2**20  # of sounds in a page, as text
KINDS = {'.flac': 'audio/flac', '.ogg': 'audio/ogg', '.wav': 'audio/wav'}


class Clip(NamedTuple):
  """A sound file, and what stands below its player."""

  group: str  # clips of one name that follow each other stand side by side, under it
  caption: str
  path: pathlib.Path


def players_of(clips: Sequence[Clip], folder: pathlib.Path, most_bytes: int = MOST_BYTES) -> tuple[str, str]:
  """(a card with the players of each group, a note) for a page in `folder`.

  Clips lie inside the page while they are `most_bytes` together; the others are named by their paths from the folder,
  of which the note warns.
  """
  sources, room = {}, most_bytes
  for clip in clips:
    size = 4 * -(-clip.path.stat().st_size // 3)
    sources[clip] = data_of(clip.path) if size <= room else path_from(folder, clip.path)
    room -= size if size <= room else 0
  cards = []
  for group, members in groupby(clips, key=lambda clip: clip.group):
    heading = f'<h3>{html.escape(group)}</h3>' if group else ''
    inside = ''.join(player(clip, sources[clip]) for clip in members)
    cards.append(f'<div class="card clips">{heading}<div class="row">{inside}</div></div>')
  outside = sum(not source.startswith('data:') for source in sources.values())
  note = f'{outside} of {len(sources)} sounds lie outside this page, as it would be large: keep figures/ beside it.'
  return ''.join(cards), note if outside else ''


def player(clip: Clip, source: str) -> str:
  """The player of a clip."""
  caption = html.escape(clip.caption)
  name = html.escape(f'{clip.group}: {clip.caption}' if clip.group else clip.caption)
  audio = f'<audio controls preload="metadata" aria-label="{name}" src="{source}"></audio>'
  return f'<figure>{audio}<figcaption>{caption}</figcaption></figure>'


def data_of(path: pathlib.Path) -> str:
  """The file, as an address that holds it."""
  return f'data:{KINDS[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}'


def path_from(folder: pathlib.Path, path: pathlib.Path) -> str:
  """The file, as an address that is relative to the folder."""
  return urllib.parse.quote(os.path.relpath(path, folder).replace(os.sep, '/'))
