"""What the tables of the benchmarks consist of."""

import statistics
from collections.abc import Mapping, Sequence

Times = Mapping[str, Sequence[float]]  # {side: milliseconds a step, of each repeat}


def line(columns: Sequence[str]) -> str:
  """A row of Markdown."""
  return f'| {" | ".join(columns)} |'


def heading(columns: Sequence[str]) -> str:
  """The first two lines of a table."""
  return f'{line(columns)}\n{line(["---"] * len(columns))}'


def fastest(times: Times, sides: Sequence[str]) -> str | None:
  """Of these sides the one with the least median, of those that were timed; None without any."""
  return min((side for side in sides if times.get(side)), key=lambda side: statistics.median(times[side]), default=None)


def median(times: Times, side: str | None) -> float | None:
  """A side's; None where it was not timed."""
  return statistics.median(times[side]) if times.get(side) else None


def show(value: float | None, digits: int = 2) -> str:
  """The number with so many digits after the point; '-' for None."""
  return '-' if value is None else f'{value:.{digits}f}'


def ratio(times: Times, peers: Sequence[str]) -> str:
  """The fastest peer's time by ours, 'median (least..most)' of the repeats; '-' where either side is missing."""
  peer = fastest(times, peers)
  if peer is None or not times.get('ours'):
    return '-'
  ratios = [theirs / own for theirs, own in zip(times[peer], times['ours'], strict=True)]
  return f'{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})'
