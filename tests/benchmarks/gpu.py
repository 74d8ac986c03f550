"""Training steps on a GPU, here and in PyTorch: one command, at most nine minutes, one table.

python tests/benchmarks/gpu.py --out=FOLDER           needs jax[cuda13], and for what is beside it torch
python tests/benchmarks/gpu.py --out=FOLDER --short   a rehearsal on any machine: tiny rows, one short turn each
python tests/benchmarks/gpu.py --out=FOLDER --rows=dcgan_32,gan.py:mnist --precisions=bfloat16 --budget=200

Rows are those of `compare.py`, beside eager PyTorch, `torch.compile` and CUDA graphs, and experiments by themselves,
trained on noise where their data must be downloaded; each in float32 and bfloat16, the most important first. Each side
of a row is a process of its own, so that what fails or takes too long ends alone, with its reason below the table. The
sides are built at once, then take turns on the GPU.

FOLDER gets the table gpu.md, all numbers in gpu.json and what the sides say in gpu.log, after each row. A row for which
no time is left says so. The exit code is 1 where something failed, 2 after one line where nothing can be measured.
"""

import argparse
import contextlib
import itertools
import json
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, NamedTuple

from gpu_table import COLUMNS, cells, markdown
from table import heading, line
from workers import (
  BenchmarkError,
  Worker,
  check_parameters,
  check_rows,
  check_sides,
  check_torch,
  machine,
  start_sides,
)

LEAST = 30.0  # seconds without which a row is not begun
MEASURING = 12.0  # of them, kept for what has been built
LAST = 3.0  # of them, without which no further repeat is begun
ROW = 100.0  # seconds that a side may take to be built
SKIPPED = 'no time left'
PRECISIONS = ('float32', 'bfloat16')


class Settings(NamedTuple):
  """How each row is measured."""

  repeats: int
  seconds: float  # of each turn
  short: bool


FULL, SHORT = Settings(repeats=5, seconds=0.2, short=False), Settings(repeats=1, seconds=0.02, short=True)


class Row(NamedTuple):
  """A row of the table."""

  name: str
  precision: str
  modes: tuple[str, ...]  # of PyTorch


class Budget:
  """The seconds that are left of so many."""

  def __init__(self, seconds: float):
    self._end = time.monotonic() + seconds

  def left(self) -> float:
    return self._end - time.monotonic()


class Results:
  """What has been measured, in FOLDER/gpu.json and FOLDER/gpu.md."""

  def __init__(self, folder: pathlib.Path, about: Mapping[str, Any]):
    self._folder, self._results = folder, {**about, 'rows': []}
    print(heading([about['machine'], *COLUMNS]), flush=True)

  def add(self, row: Row, sides: Mapping[str, Any], failures: Mapping[str, str], skipped: str = '') -> None:
    """Writes both files anew, and prints the row."""
    result = {'row': row.name, 'precision': row.precision, 'sides': sides, 'failures': failures, 'skipped': skipped}
    self._results['rows'].append(result)
    replace(self._folder / 'gpu.json', json.dumps(self._results, indent=1) + '\n')
    replace(self._folder / 'gpu.md', markdown(self._results))
    print(line(cells(result)), flush=True)

  @property
  def failed(self) -> bool:
    return any(row['failures'] for row in self._results['rows'])


def replace(path: pathlib.Path, text: str) -> None:
  """Writes the file whole, or not at all."""
  unfinished = path.with_name(f'.{path.name}')
  unfinished.write_text(text)
  os.replace(unfinished, path)


def ask_both(torch_python: str, short: bool, log: IO[str]) -> dict[str, Any]:
  """What both sides say of themselves; 'torch' None, and why in 'no_torch', where PyTorch cannot be beside us."""
  no_torch = ''
  try:
    check_torch(torch_python)
  except BenchmarkError as error:
    no_torch = str(error)
  stack, workers = start_sides(['ours'], [] if no_torch else ['eager'], torch_python, log)
  with stack:
    ours = workers['ours'].ask('about')
    if ours['device'] == 'cpu' and not short:
      raise BenchmarkError('JAX sees no GPU: pip install "jax[cuda13]", or rehearse with --short')
    torch = None
    if not no_torch:
      try:
        torch = workers['eager'].ask('about')
        check_sides(ours, torch)
      except BenchmarkError as error:
        torch, no_torch = None, str(error)
  return {'machine': machine(ours), 'ours': ours, 'torch': torch, 'no_torch': no_torch}


def plan(about: Mapping[str, Any], chosen: list[str], precisions: list[str]) -> list[Row]:
  """The rows in the order of their importance: those of papers' sizes last, as they take longest."""
  ours, modes = about['ours'], about['torch']['modes'] if about['torch'] else {}
  check_rows(chosen, [*ours['rows'], *ours['experiments'], *ours['papers']])
  return [
    Row(name, precision, tuple(modes.get(name, ())))
    for group in ([*ours['rows'], *ours['experiments']], ours['papers'])
    for precision in precisions
    for name in group
    if name in chosen or not chosen
  ]


def build(
  row: Row, sides: Mapping[str, Worker], left: Callable[[], float], short: bool
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
  """What each side says of the row once it has taken a step, and why others failed.

  'cold' is ours with an empty cache; 'ours' is built with what that left there, without the memory that tuning takes.
  """
  facts, failures = {}, {}

  def ask(side: str, do: str, **arguments: Any) -> Any:
    return sides[side].ask(do, left(), row=row.name, precision=row.precision, **arguments)

  def settle(side: str, answer: Callable[[], Any]) -> None:
    try:
      facts[side] = answer()
    except BenchmarkError as error:
      failures[side] = str(error)

  with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1 + len(row.modes)) as pool:
    path, jobs = f'{folder}/images.npy', {}
    cold = pool.submit(ask, 'cold', 'build', short=short)
    if row.modes:
      settle('data', lambda: ask('ours', 'export', path=path, short=short))
    if told := facts.pop('data', None):
      jobs = {mode: pool.submit(ask, mode, 'build', mode=mode, path=path, **told) for mode in row.modes}
    settle('cold', cold.result)
    sides['cold'].close()
    if 'cold' in facts:
      settle('ours', lambda: ask('ours', 'build', short=short))
    for mode, job in jobs.items():
      settle(mode, job.result)
  return facts, failures


def take_turns(
  sides: Mapping[str, Worker], budget: Budget, settings: Settings
) -> tuple[dict[str, list[float]], dict[str, str]]:
  """Each side's ms/step of every repeat for which there was time, and why others failed."""
  times, failures = {side: [] for side in sides}, {}
  for repeat in range(settings.repeats):
    if repeat and budget.left() < LAST:
      break
    for side in list(times):
      try:
        times[side].append(sides[side].ask('run', budget.left(), seconds=settings.seconds))
      except BenchmarkError as error:
        failures[side] = str(error)
        del times[side]
  return times, failures


def measure(
  row: Row, sides: Mapping[str, Worker], budget: Budget, settings: Settings
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
  """{side: what it says of the row, and its 'ms' a step}, and why others failed."""
  facts, failures = build(row, sides, Budget(min(ROW, budget.left() - MEASURING)).left, settings.short)
  try:
    check_parameters(row.name, facts)
  except BenchmarkError as error:
    failures['all'] = str(error)
  times, late = take_turns({side: sides[side] for side in facts if side != 'cold'}, budget, settings)
  return {side: fact | ({'ms': times[side]} if side in times else {}) for side, fact in facts.items()}, failures | late


def measure_all(
  rows: list[Row], start: Callable[[Row], tuple[contextlib.ExitStack, dict[str, Worker]]], budget: Budget,
  settings: Settings, results: Results,
) -> None:  # fmt: skip
  """Adds each row to the results; while one is built, the processes of the next are started, which takes seconds."""
  with contextlib.ExitStack() as ahead:
    upcoming = None
    for row, following in itertools.zip_longest(rows, rows[1:]):
      if budget.left() < LEAST:
        results.add(row, {}, {}, SKIPPED)
        continue
      stack, sides = upcoming or start(row)
      with stack:
        upcoming = None
        if following:
          upcoming = start(following)
          ahead.callback(upcoming[0].close)
        results.add(row, *measure(row, sides, budget, settings))


def run(options: argparse.Namespace) -> bool:
  """Whether all went well."""
  budget, settings = Budget(options.budget), SHORT if options.short else FULL
  folder = pathlib.Path(options.out)
  folder.mkdir(parents=True, exist_ok=True)
  with (folder / 'gpu.log').open('w') as log:
    about = ask_both(options.torch_python, options.short, log)
    rows = plan(about, split(options.rows), split(options.precisions))
    results = Results(folder, {**about, 'settings': settings._asdict()})
    start = lambda row: start_sides(['cold', 'ours'], row.modes, options.torch_python, log)
    measure_all(rows, start, budget, settings, results)
  return not results.failed


def split(names: str) -> list[str]:
  """['a', 'b'] of 'a,b'."""
  return [name for name in names.split(',') if name]


def main(arguments: list[str] | None = None) -> int:
  """The exit code: 0, 1 where something failed, or 2 after one line that says why nothing was measured."""
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--out', default='runs/gpu', help='the folder of the results')
  parser.add_argument('--short', action='store_true', help='a rehearsal, on any machine')
  parser.add_argument('--rows', default='', help='names, with commas between them; all by default')
  parser.add_argument('--precisions', default=','.join(PRECISIONS), help='of float32 and bfloat16; both by default')
  parser.add_argument('--budget', type=float, default=530.0, help='seconds that all may take')
  parser.add_argument('--torch_python', default=sys.executable, help='the interpreter that has PyTorch')
  options = parser.parse_args(arguments)
  if unknown := set(split(options.precisions)) - set(PRECISIONS):
    parser.error(f'--precisions: there is no {min(unknown)}; there are {", ".join(PRECISIONS)}')
  try:
    return 0 if run(options) else 1
  except BenchmarkError as error:
    print(f'error: {error}', file=sys.stderr)
    return 2


if __name__ == '__main__':
  sys.exit(main())
