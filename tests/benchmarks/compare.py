"""Milliseconds a training step here and in PyTorch, side by side.

python tests/benchmarks/compare.py [--rows=mlp_vae,gan_2d] [--repeats=5] [--seconds=2] [--torch_python=PATH]

A row is a model that `rows.py` and `peers.py` both hold under its name; of those in `rows.SAMPLED` a batch of samples
takes the place of a training step. Each side, ours or a mode of PyTorch, runs in a process of its own, and they take
turns: ours, each mode of PyTorch, ours again ... The peer is the mode of PyTorch with the best median. Ratios are
peer / ours, above 1 where we are faster.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from load import Others, wait_for_calm
from table import Times, heading, line, median, ratio, show
from workers import BenchmarkError, Worker, check_parameters, check_rows, check_sides, check_torch, machine, start_sides

CALM = 0.05  # cores that others may keep busy; as PyTorch spins, one core taken may cost it all of its speed
TRIES = 4  # of a turn that others disturb
PATIENCE = 60.0  # seconds in which a turn waits for calm


def build(sides: Mapping[str, Worker], row: str, folder: str) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
  """What each side says of the row once it has taken a step, and why a mode of PyTorch failed."""
  path = f'{folder}/images.npy'
  told = sides['ours'].ask('export', row=row, path=path)
  facts, failures = {'ours': sides['ours'].ask('build', row=row)}, {}
  for mode in (side for side in sides if side != 'ours'):
    try:
      facts[mode] = sides[mode].ask('build', row=row, mode=mode, path=path, **told)
    except BenchmarkError as error:
      failures[mode] = str(error)
  if len(facts) == 1:
    raise BenchmarkError(f'{row}: every mode of PyTorch failed: {failures}')
  check_parameters(row, facts)
  return facts, failures


def turn(side: Worker, processes: list[int], seconds: float) -> tuple[float, float]:
  """One side's ms/step, and the cores that others than these kept busy meanwhile: of the calmest try."""
  results = []
  while len(results) < TRIES:
    wait_for_calm(processes, CALM, PATIENCE / TRIES)
    others = Others(processes)
    results.append((side.ask('run', seconds=seconds), others.cores()))
    if results[-1][1] <= CALM:
      break
  return min(results, key=lambda entry: entry[1])


def take_turns(sides: Mapping[str, Worker], repeats: int, seconds: float) -> tuple[dict[str, list[float]], float]:
  """Each side's ms/step of every repeat, and the most cores that others kept busy."""
  processes = [worker.pid for worker in sides.values()]
  rounds = [{side: turn(sides[side], processes, seconds) for side in sides} for _ in range(repeats)]
  times = {side: [results[side][0] for results in rounds] for side in sides}
  return times, max(cores for results in rounds for _, cores in results.values())


def header(corner: str, sides: list[str]) -> list[str]:
  """The first row of the table; in its corner stands what was measured on."""
  times = [f'{side} ms' for side in sides]
  return [corner, *times, 'peer / ours (min..max)', 'floor ms', 'first step s: ours', 'compile']


def cells(row: str, sides: list[str], facts: dict[str, dict[str, Any]], times: Times, gflops: float) -> list[str]:
  """The row of the table."""
  gflop = next((fact['gflop'] for fact in facts.values() if 'gflop' in fact), None)
  compiled = facts.get('compile')
  return [
    row,
    *(show(median(times, side)) for side in sides),
    ratio(times, [side for side in times if side != 'ours']),
    show(gflop and 1e3 * gflop / gflops, 3),
    show(facts['ours']['first_step_s'], 1),
    show(compiled and compiled['first_step_s'], 1),
  ]


def compare(rows: list[str], repeats: int, seconds: float, torch_python: str) -> None:
  """Prints the table."""
  check_torch(torch_python)
  stack, workers = start_sides(['ours'], ['eager'], torch_python, sys.stderr)
  with stack:
    about, theirs = workers['ours'].ask('about'), workers['eager'].ask('about')
    wait_for_calm([worker.pid for worker in workers.values()], CALM, PATIENCE)
    gflops = workers['ours'].ask('gflops')
  check_sides(about, theirs)
  check_rows(rows, about['rows'])
  columns = ['ours', *dict.fromkeys(mode for modes in theirs['modes'].values() for mode in modes)]
  print(f'{about["text"]}; {theirs["text"]}')
  print(f'median of {repeats} alternating repeats of {seconds:g} s; float32; floor: the matrix products of a step')
  print(f'at the {gflops:.0f} GFLOP/s that JAX reaches with matrices of 2048 x 2048')
  print(f'\n{heading(header(machine(about), columns))}', flush=True)
  notes = []
  for row in rows or about['rows']:
    stack, sides = start_sides(['ours'], theirs['modes'][row], torch_python, sys.stderr)
    with stack, tempfile.TemporaryDirectory() as folder:
      facts, failures = build(sides, row, folder)
      times, cores = take_turns({side: sides[side] for side in facts}, repeats, seconds)
    label = row if cores <= CALM else f'{row} (disturbed)'
    print(line(cells(label, columns, facts, times, gflops)), flush=True)
    notes += [f'{row}, {mode}: {reason}' for mode, reason in failures.items()]
    if cores > CALM:
      notes.append(f'{row}: other processes kept up to {cores:.2f} cores busy: measure again when they are done')
  print('\n'.join(['', *notes]))


def main() -> int:
  """The exit code: 0, or 2 after one line that says what is wrong."""
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--rows', default='', help='names, with commas between them; all by default')
  parser.add_argument('--repeats', type=int, default=5)
  parser.add_argument('--seconds', type=float, default=2.0, help='of each repeat of each side')
  parser.add_argument('--torch_python', default=sys.executable, help='the interpreter that has PyTorch')
  options = parser.parse_args()
  if options.repeats < 1 or not options.seconds > 0:
    parser.error('--repeats and --seconds must be above 0')
  try:
    compare([row for row in options.rows.split(',') if row], options.repeats, options.seconds, options.torch_python)
  except BenchmarkError as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  return 0


if __name__ == '__main__':
  sys.exit(main())
