"""The benchmark of a GPU: its order, its table, what it does about failures, and a rehearsal of the whole."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys

import gpu
import pytest
from gpu_table import COLUMNS, markdown
from workers import BenchmarkError

ROUNDING = {'products': 'TF32', 'convolutions': 'TF32'}
OURS = {
  'rows': ['small', 'large'],
  'experiments': ['vae.py'],
  'papers': ['vae.py:paper'],
  'text': 'ours 1.0',
  'device': 'gpu',
  'device_kind': 'GPU 7',
  'processor': 'CPU 8',
  'rounding': ROUNDING,
}
MODES = {'small': ['eager', 'compile'], 'large': ['eager', 'channels_last', 'compile', 'compile, graph']}
TORCH = {'modes': MODES, 'text': 'PyTorch 2.0', 'device': 'gpu', 'rounding': ROUNDING}
ABOUT = {'machine': 'GPU 7, CPU 8, 2 cores', 'ours': OURS, 'torch': TORCH, 'no_torch': ''}
SETTINGS = gpu.Settings(repeats=3, seconds=0.1, short=False)


def side(ms=(), first=1.0, mebibytes=64):
  return {'first_step_s': first, 'peak_bytes': mebibytes * 2**20, 'parameters': 10} | ({'ms': list(ms)} if ms else {})


def row(name='large', sides=None, failures=None, skipped=''):
  return {'row': name, 'precision': 'float32', 'sides': sides or {}, 'failures': failures or {}, 'skipped': skipped}


def table(*rows, **about):
  """The cells of each row by column, and the whole text."""
  text = markdown({**ABOUT, **about, 'settings': SETTINGS._asdict(), 'rows': rows})
  lines = [[cell.strip() for cell in line[1:-1].split('|')] for line in text.splitlines() if line.startswith('|')]
  assert lines[0] == [ABOUT['machine'], *COLUMNS]
  assert {len(cells) for cells in lines} == {len(lines[0])}
  return [dict(zip(['row', *COLUMNS], cells, strict=True)) for cells in lines[2:]], text


def test_the_table_follows_from_the_times():
  sides = {
    'cold': side(first=9.0, mebibytes=99),
    'ours': side([2.0, 2.0, 4.0], first=3.0),
    'eager': side([9.0, 7.0, 8.0]),
    'channels_last': side([6.0, 6.0, 6.0]),
    'compile': side([5.0, 5.0, 5.0], first=20.0),
    'graph': side([3.0, 4.0, 5.0], mebibytes=32),
    'compile, graph': side([4.5, 4.5, 4.5]),
  }
  (cells,), text = table(row(sides=sides))
  assert cells == {
    'row': 'large',
    'precision': 'float32',
    'ours ms': '2.000',
    'steps/s': '500.0',
    'eager ms': '6.000',
    'compile ms': '5.000',
    'CUDA graph ms': '4.000',
    'PyTorch / ours (min..max)': '1.50 (1.25..2.00)',
    'first step s: cold': '9.0',
    'warm': '3.0',
    'compile': '20.0',
    'peak MiB: ours': '64',
    'PyTorch': '32',
  }
  assert 'ours 1.0; PyTorch 2.0' in text and 'float32: products in TF32, convolutions in TF32;' in text


def test_what_is_missing_is_said():
  rows = [
    row(sides={'cold': side(), 'ours': side([1.0])}, failures={'eager': 'no memory'}),
    row(sides={'eager': side([1.0])}, failures={'cold': 'ended with exit code -6'}),
    row(skipped='no time left'),
  ]
  (alone, without_us, skipped), text = table(*rows, torch=None, no_torch='pip install torch')
  assert 'no PyTorch: pip install torch' in text
  assert alone['ours ms'] == '1.000' and alone['PyTorch / ours (min..max)'] == alone['eager ms'] == '-'
  assert without_us['ours ms'] == without_us['steps/s'] == '-' and without_us['eager ms'] == '1.000'
  assert skipped['ours ms'] == 'no time left'
  assert '- large, float32, eager: no memory' in text and 'cold: ended with exit code -6' in text


def test_precisions_that_are_not_alike_are_said():
  _, text = table(torch={**TORCH, 'rounding': {**ROUNDING, 'products': 'float32'}})
  assert 'NOT ALIKE: products in TF32 here, in float32 in PyTorch' in text


def test_the_most_important_rows_come_first():
  names = [(planned.name, planned.precision) for planned in gpu.plan(ABOUT, [], ['float32', 'bfloat16'])]
  small = ['small', 'large', 'vae.py']
  assert names == [(name, precision) for precision in ('float32', 'bfloat16') for name in small] + [
    ('vae.py:paper', 'float32'),
    ('vae.py:paper', 'bfloat16'),
  ]
  large, paper = gpu.plan(ABOUT, ['vae.py:paper', 'large'], ['bfloat16'])
  assert (large.name, large.modes) == ('large', tuple(MODES['large'])) and paper.modes == ()
  with pytest.raises(BenchmarkError, match=r'there is no larg; there are small, large, vae\.py, vae\.py:paper'):
    gpu.plan(ABOUT, ['larg'], ['float32'])


class Side:
  """Stands for a worker; {(row, side, question): what is said instead of a number, or raised}."""

  def __init__(self, name, behavior):
    self.name, self.behavior, self.closed = name, behavior, False

  def ask(self, do, seconds_left, row=None, **arguments):
    assert not self.closed and seconds_left > 0
    self.row = row or self.row
    answer = self.behavior.get((self.row, self.name, do))
    if isinstance(answer, Exception):
      raise answer
    if callable(answer):
      answer()
    if do == 'build' and self.name not in ('cold', 'ours'):
      assert arguments['mode'] == self.name and arguments['batch_size'] == 5
    return {'build': side(), 'run': 2.0, 'export': {'batch_size': 5}}[do]

  def close(self):
    self.closed = True


def measure(tmp_path, behavior, budget=None, about=ABOUT):
  """({row: its result}, gpu.md, all sides) of the small and the large row and an experiment in float32."""
  started = []

  def start(planned):
    stack, sides = contextlib.ExitStack(), {}
    for name in ('cold', 'ours', *planned.modes):
      sides[name] = stack.enter_context(contextlib.closing(Side(name, behavior)))
    started.extend(sides.values())
    return stack, sides

  results = gpu.Results(tmp_path, {**about, 'settings': SETTINGS._asdict()})
  planned = gpu.plan(about, OURS['rows'] + OURS['experiments'], ['float32'])
  gpu.measure_all(planned, start, budget or gpu.Budget(1_000), SETTINGS, results)
  rows = json.loads((tmp_path / 'gpu.json').read_text())['rows']
  return {entry['row']: entry for entry in rows}, (tmp_path / 'gpu.md').read_text(), started


def test_all_sides_take_turns_and_are_closed(tmp_path):
  rows, _, started = measure(tmp_path, {})
  assert list(rows) == ['small', 'large', 'vae.py']
  assert set(rows['large']['sides']) == {'cold', 'ours', *MODES['large']}
  assert set(rows['vae.py']['sides']) == {'cold', 'ours'}
  for entry in rows.values():
    assert not entry['failures']
    assert {name: facts.get('ms') for name, facts in entry['sides'].items()} == {
      name: None if name == 'cold' else [2.0] * 3 for name in entry['sides']
    }
  assert len(started) == 4 + 6 + 2 and all(entry.closed for entry in started)


def test_what_fails_ends_alone(tmp_path):
  seen = []
  behavior = {
    ('small', 'compile', 'build'): BenchmarkError('no compiler'),
    ('small', 'eager', 'run'): BenchmarkError('fell over'),
    ('large', 'cold', 'build'): BenchmarkError('no memory'),
    ('vae.py', 'cold', 'build'): lambda: seen.extend(json.loads((tmp_path / 'gpu.json').read_text())['rows']),
  }
  rows, text, _ = measure(tmp_path, behavior)
  assert rows['small']['failures'] == {'compile': 'no compiler', 'eager': 'fell over'}
  assert rows['small']['sides']['ours']['ms'] == [2.0] * 3 and 'ms' not in rows['small']['sides']['eager']
  assert rows['large']['failures'] == {'cold': 'no memory'} and 'ours' not in rows['large']['sides']
  assert rows['large']['sides']['compile, graph']['ms'] == [2.0] * 3
  assert rows['vae.py']['sides']['ours']['ms'] == [2.0] * 3
  assert [entry['row'] for entry in seen] == ['small', 'large']  # what has been measured is on the disk
  assert '- small, float32, compile: no compiler' in text


def test_without_its_data_pytorch_has_no_row(tmp_path):
  rows, _, _ = measure(tmp_path, {('small', 'ours', 'export'): BenchmarkError('full disk')})
  assert rows['small']['failures'] == {'data': 'full disk'} and set(rows['small']['sides']) == {'cold', 'ours'}


def test_nothing_is_begun_without_time(tmp_path):
  rows, text, started = measure(tmp_path, {}, gpu.Budget(gpu.LEAST - 1))
  assert [entry['skipped'] for entry in rows.values()] == ['no time left'] * 3 and not started
  assert text.count('no time left') == 3


def test_what_was_started_ahead_is_closed_when_time_runs_out(tmp_path, monkeypatch):
  seconds = [1_000]
  budget = gpu.Budget(0)
  monkeypatch.setattr(budget, 'left', lambda: seconds[-1])
  rows, _, started = measure(tmp_path, {('small', 'eager', 'run'): lambda: seconds.append(gpu.LEAST - 1)}, budget)
  assert [entry['skipped'] for entry in rows.values()] == ['', 'no time left', 'no time left']
  assert len(started) == 4 + 6 and all(entry.closed for entry in started)


def test_without_pytorch_rows_are_ours_alone(tmp_path):
  rows, text, _ = measure(tmp_path, {}, about={**ABOUT, 'torch': None, 'no_torch': 'pip install torch'})
  assert {frozenset(entry['sides']) for entry in rows.values()} == {frozenset({'cold', 'ours'})}
  assert 'no PyTorch: pip install torch' in text


def ask_both(monkeypatch, ours, torch):
  """What `gpu.ask_both` makes of what the sides say; `torch` None: there is none."""

  class Teller(Side):
    def ask(self, do):
      return {'about': ours if self.name == 'ours' else torch}[do]

  def check_torch(python):
    if torch is None:
      raise BenchmarkError(f'{python} has no PyTorch')

  def start_sides(ours, modes, python, log):
    return contextlib.ExitStack(), {name: Teller(name, {}) for name in (*ours, *modes)}

  monkeypatch.setattr(gpu, 'start_sides', start_sides)
  monkeypatch.setattr(gpu, 'check_torch', check_torch)
  return gpu.ask_both('python', short=False, log=None)


def test_jax_must_see_the_gpu(monkeypatch):
  with pytest.raises(BenchmarkError, match=r'JAX sees no GPU: pip install "jax\[cuda13\]", or rehearse with --short'):
    ask_both(monkeypatch, {**OURS, 'device': 'cpu'}, TORCH)


ON_A_CPU = {**TORCH, 'device': 'cpu'}


@pytest.mark.parametrize(
  ('torch', 'reason'), [(None, 'python has no PyTorch'), (ON_A_CPU, 'JAX runs on gpu, PyTorch on cpu')]
)
def test_pytorch_that_sees_none_is_left_out(monkeypatch, torch, reason):
  assert ask_both(monkeypatch, OURS, TORCH)['torch'] == TORCH
  about = ask_both(monkeypatch, OURS, torch)
  assert about['torch'] is None and reason in about['no_torch'] and about['machine'].startswith('GPU 7, CPU 8, ')


def test_a_rehearsal(tmp_path):
  """The whole command, in processes of its own, with an interpreter in PyTorch's place that has none."""
  script = pathlib.Path(__file__).with_name('gpu.py')
  flags = ['--short', '--rows=gan_2d', '--precisions=bfloat16', '--torch_python=false', f'--out={tmp_path}']
  variables = {**os.environ, 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0'}
  ended = subprocess.run([sys.executable, script, *flags], env=variables, capture_output=True, text=True)
  assert ended.returncode == 0, ended.stderr + (tmp_path / 'gpu.log').read_text()
  results = json.loads((tmp_path / 'gpu.json').read_text())
  (result,) = results['rows']
  assert (result['row'], result['precision'], result['failures']) == ('gan_2d', 'bfloat16', {})
  ours, cold = result['sides']['ours'], result['sides']['cold']
  assert len(ours['ms']) == 1 and 0 < ours['ms'][0] < 1_000 and ours['batch_size'] == 4
  assert ours['first_step_s'] > 0 and cold['first_step_s'] > 0
  assert not cold['cached'] and ours['cached']  # what the first process compiled, the second has read
  text = (tmp_path / 'gpu.md').read_text()
  assert '| gan_2d | bfloat16 |' in text and 'false has no PyTorch' in text
  assert text.splitlines()[-3] in ended.stdout
