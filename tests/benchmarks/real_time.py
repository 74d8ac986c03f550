"""Seconds of computing a second of sound: features of a wave, its translation, and a wave of features.

python tests/benchmarks/real_time.py                                        # a wave of 10 s; a table
python tests/benchmarks/real_time.py --seconds=3 --repeats=9

Below 1 a stage keeps up with speech. The wave is that of synthetic sentences; networks have their initial parameters.
Stages take turns, and the first call of each, which compiles, is counted apart.
"""

import argparse
import functools
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
sys.path.append(str(pathlib.Path(__file__).parents[1]))

from benchmarks import load, ours, rows, table, workers
from gen_jax import build, randomness
from gen_jax.app import memory
from gen_jax.audio.features import Features, analyze, synthesize
from gen_jax.audio.formants import MAN, render
from gen_jax.audio.stft import count_frames
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.voices.translate import translate_frames

CALM, PATIENCE = 0.05, 60.0  # cores that others may keep busy; seconds in which the measurement waits for calm
BANDS = 80  # of the features that are timed
PUBLISHED = {'features': (128, 256, 256), 'width': 256, 'blocks': 6, 'kernel': 5, 'reach': 15}  # of GatedTranslator
NETWORKS = {'default': (24, {}), 'published size': (80, PUBLISHED)}  # their bands, and how they differ from the default


def speak(seconds: float, rate: int) -> np.ndarray:
  """A man's sentences, one after the other, float32 [seconds * rate]."""
  length, sentences = round(seconds * rate), []
  while sum(map(len, sentences)) < length:
    sentences.append(render(randomness.key(len(sentences)), MAN, rate))
  return np.concatenate(sentences)[:length]


def translator(bands: int, **network: Any) -> Callable[[np.ndarray], np.ndarray]:
  """`translate(frames)` by the network of `experiments/voices.py`, changed, in windows as long as there."""
  changed = dict.fromkeys(('generator_a', 'generator_b'), network)
  config, data = rows.voices_row(bands, **changed)
  model, window = build.model(config, data), config.data.frames
  batch = {'image_a': np.zeros((1, window, bands, 1), np.float32), 'row': np.zeros(1, np.int32)}
  variables = jax.jit(lambda: model.init(randomness.key(0), batch, method='translate_to_b'))()
  bound = BoundModel(model, variables)
  return lambda frames: translate_frames(bound, frames, 'b', window)


def stages(seconds: float, rate: int, networks: Mapping[str, tuple[int, dict[str, Any]]]) -> dict[str, Callable]:
  """{what is computed: a function that does it}, of a wave of so many seconds; networks {name: (bands, changes)}.

  Waves are made of what the functions for features, which come first, have found.
  """
  wave, found, analyses = speak(seconds, rate), {}, {}
  features = {name: Features(name.lower(), rate, BANDS) for name in ('mel', 'WORLD')}
  for name, how in features.items():
    found[f'features, {name}'] = lambda name=name, how=how: analyses.update({name: analyze(wave, how)})
  frames = np.random.default_rng(0).standard_normal((count_frames(len(wave), features['mel'].hop), BANDS), np.float32)
  for name, (bands, changes) in networks.items():
    found[f'translation, {name}'] = functools.partial(translator(bands, **changes), frames[:, :bands])
  for name, how in features.items():
    method = {'mel': 'Griffin-Lim', 'WORLD': 'WORLD'}[name]
    found[f'synthesis, {method}'] = lambda name=name, how=how: synthesize(analyses[name], how)
  return found


def timed(function: Callable[[], Any]) -> float:
  """Seconds of a call, which returns when all is computed."""
  begin = time.perf_counter()
  function()
  return time.perf_counter() - begin


def measure(found: Mapping[str, Callable], repeats: int) -> tuple[dict[str, float], dict[str, list[float]]]:
  """{stage: seconds of its first call}, and {stage: those of each further one}; all stages take turns."""
  first = {name: timed(function) for name, function in found.items()}
  turns = [{name: timed(function) for name, function in found.items()} for _ in range(repeats)]
  return first, {name: [turn[name] for turn in turns] for name in found}


def lines(first: Mapping[str, float], times: Mapping[str, list[float]], seconds: float) -> Iterator[str]:
  """The rows of the table, for a wave of so many seconds."""
  for name, of_stage in times.items():
    middle = statistics.median(of_stage)
    factors = f'{middle / seconds:.4f} ({min(of_stage) / seconds:.4f}..{max(of_stage) / seconds:.4f})'
    yield table.line([name, factors, table.show(max(0.0, first[name] - middle))])


def main() -> None:
  """Prints the table."""
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--seconds', type=float, default=10.0, help='of the wave')
  parser.add_argument('--rate', type=int, default=16_000, help='of the wave, Hz')
  parser.add_argument('--repeats', type=int, default=7)
  options = parser.parse_args()
  if options.repeats < 1 or not options.seconds > 0 or options.rate < 1:
    parser.error('--repeats, --seconds and --rate must be above 0')
  memory.keep_freed()  # as `launch.py` does
  about = ours.Worker().about()
  found = stages(options.seconds, options.rate, NETWORKS)
  load.wait_for_calm([], CALM, PATIENCE)
  others = load.Others([])
  first, times = measure(found, options.repeats)
  cores = others.cores()
  print(f'{about["text"]}; a wave of {options.seconds:g} s, {options.rate} Hz')
  print(f'median of {options.repeats} alternating repeats; compilation: of the first call, which the others lack\n')
  print(table.heading([workers.machine(about), 'real-time factor (min..max)', 'compilation s']))
  print('\n'.join(lines(first, times, options.seconds)))
  if cores > CALM:
    print(f'\ndisturbed: other processes kept {cores:.2f} cores busy: measure again when they are done')


if __name__ == '__main__':
  main()
