"""The benchmark of the real-time factor."""

import types

import numpy as np

from benchmarks import real_time

SMALL = {'features': (4, 4), 'width': 8, 'blocks': 1}


def test_sentences_fill_the_wave():
  wave = real_time.speak(3.0, 8_000)  # longer than any sentence
  assert wave.shape == (24_000,) and wave.dtype == np.float32
  assert wave[:12_000].std() > 0.01 and wave[12_000:].std() > 0.01


def test_every_stage_is_computed_and_timed():
  found = real_time.stages(0.5, 16_000, {'small': (8, SMALL)})
  assert list(found) == [
    'features, mel',
    'features, WORLD',
    'translation, small',
    'synthesis, Griffin-Lim',
    'synthesis, WORLD',
  ]
  first, times = real_time.measure(found, 2)
  assert all(len(times[name]) == 2 and min(times[name]) > 0 for name in found)
  assert first['translation, small'] > max(times['translation, small'])  # it compiles
  assert found['translation, small']().shape == (33, 8)
  for name in ('synthesis, Griffin-Lim', 'synthesis, WORLD'):
    assert found[name]().shape == (8_000,)


def test_the_factor_is_by_the_seconds_of_sound(monkeypatch):
  now, waits = [0.0], iter([0.75, 0.25, 0.5, 0.125])

  def wait():
    now[0] += next(waits)

  monkeypatch.setattr(real_time, 'time', types.SimpleNamespace(perf_counter=lambda: now[0]))
  first, times = real_time.measure({'wait': wait}, 3)
  assert list(real_time.lines(first, times, 2.0)) == ['| wait | 0.1250 (0.0625..0.2500) | 0.50 |']
