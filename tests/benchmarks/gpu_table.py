"""The table of `gpu.py`, made of its results."""

from collections.abc import Mapping
from typing import Any

from table import fastest, heading, line, median, ratio, show

KINDS = {  # {column: whether a mode of PyTorch is of it}
  'eager': lambda mode: 'compile' not in mode and 'graph' not in mode,
  'compile': lambda mode: 'compile' in mode and 'graph' not in mode,
  'CUDA graph': lambda mode: 'graph' in mode,
}
COLUMNS = (
  *('precision', 'ours ms', 'steps/s', *(f'{kind} ms' for kind in KINDS), 'PyTorch / ours (min..max)'),
  *('first step s: cold', 'warm', 'compile', 'peak MiB: ours', 'PyTorch'),
)


def markdown(results: Mapping[str, Any]) -> str:
  """The table of what has been measured so far, what it was measured with before it, and what failed after it."""
  ours, torch, settings = results['ours'], results['torch'], results['settings']
  theirs = torch['text'] if torch else f'no PyTorch: {results["no_torch"]}'
  before = [
    f'{ours["text"]}; {theirs}',
    f'float32: {describe_rounding(ours, torch)}; bfloat16: `config.precision`, autocast in PyTorch',
    f'medians of {settings["repeats"]} alternating repeats of {settings["seconds"]:g} s'
    f'{"; shortened: tiny rows" if settings["short"] else ""}',
    'a step of PyTorch: the fastest of its layouts, compiled or not where it is a CUDA graph; the sides of a row are',
    'built at once; first step: tracing, compiling and running it; warm: with what the cold one left in the cache',
  ]
  rows = [line(cells(row)) for row in results['rows']]
  notes = [note for row in results['rows'] for note in notes_of(row)]
  return '\n'.join([*before, '', heading([results['machine'], *COLUMNS]), *rows, '', *notes, ''])


def describe_rounding(ours: Mapping[str, Any], torch: Mapping[str, Any] | None) -> str:
  """'products in TF32, convolutions in TF32', or what each side makes of them where they differ."""
  if torch is None or ours['rounding'] == torch['rounding']:
    return ', '.join(f'{what} in {how}' for what, how in ours['rounding'].items())
  return 'NOT ALIKE: ' + ', '.join(
    f'{what} in {how} here, in {torch["rounding"][what]} in PyTorch' for what, how in ours['rounding'].items()
  )


def cells(row: Mapping[str, Any]) -> list[str]:
  """A row of the table; '-' where there is nothing."""
  sides = row['sides']
  times = {side: facts['ms'] for side, facts in sides.items() if 'ms' in facts}
  peers, ours = [side for side in times if side != 'ours'], median(times, 'ours')
  kinds = [fastest(times, list(filter(is_of, peers))) for is_of in KINDS.values()]
  first = [sides.get(side, {}).get('first_step_s') for side in ('cold', 'ours', 'compile')]
  peaks = [sides.get(side, {}).get('peak_bytes') for side in ('ours', fastest(times, peers))]
  return [
    row['row'],
    row['precision'],
    row['skipped'] or show(ours, 3),
    show(ours and 1e3 / ours, 1),
    *(show(median(times, side), 3) for side in kinds),
    ratio(times, peers),
    *(show(seconds, 1) for seconds in first),
    *(show(peak and peak / 2**20, 0) for peak in peaks),
  ]


def notes_of(row: Mapping[str, Any]) -> list[str]:
  """A line for each side that failed."""
  return [f'- {row["row"]}, {row["precision"]}, {side}: {reason}' for side, reason in row['failures'].items()]
