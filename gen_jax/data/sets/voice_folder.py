"""Recordings of two speakers in a folder: windows of their frames, 'image_a' and 'image_b', each in its own order."""

import collections
import functools
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from ml_collections import ConfigDict

from gen_jax.audio.features import Analysis, Features, analyze
from gen_jax.audio.levels import normalize_level, trim_silence
from gen_jax.audio.stft import count_frames
from gen_jax.audio.voice import Voice, measure_voice
from gen_jax.data.audio_files import AudioFormat, audio_format, read_audio
from gen_jax.data.dataset import About, Dataset
from gen_jax.data.listing import RECORDINGS, SPLIT_FOLDERS, count_of, printable, some
from gen_jax.data.sets import folder
from gen_jax.data.sets.folder import Stamp
from gen_jax.data.sides import SIDES, list_sides
from gen_jax.data.sounds import OVERLAP, Sound, Utterance, features_of, from_analyses
from gen_jax.errors import UserError
from gen_jax.progress import with_progress

TAKES = ('layout', 'swap', 'features', 'rate', 'bands', 'frames')  # the keys of config.data
SILENCE = 1e-4  # of full scale: what never exceeds it is silent

Found = TypeVar('Found')


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` asks for recordings."""
  return data.layout == 'voices'


def path_of(data: ConfigDict) -> str:
  """The folder that the section names."""
  return data.name


def in_files(data: ConfigDict) -> bool:
  """It may be moved, changed or lost."""
  del data
  return True


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split of the recordings in the folder that the section names."""
  return load(data.name, split, features_of(data), data.frames, data.resident_mib * 2**20)


def load(path: str | os.PathLike, split: str, features: Features, window: int, budget_bytes: int) -> Dataset:
  """One split of the recordings in trainA/, trainB/, testA/ and so on below `path`, see `sides.list_sides`.

  Recordings of any rate and number of channels become mono at the rate of the features, without the silence before and
  behind, and of one level. Each gives windows of `window` frames, standardized by the voice of its side's training
  recordings; silent ones are left out. Where two names at least are on both sides, files of one name are taken to say
  the same. Raises UserError: what `list_sides` does, a file that is no audio, a split of a side that is silent, more
  than `budget_bytes`.
  """
  root = Path(path).expanduser()
  paths, rule, notes = list_sides(root, RECORDINGS)
  what = f'the voices in the folder {printable(str(root))}'
  stamps = {side: {name: stamps_of(root, each) for name, each in of_side.items()} for side, of_side in paths.items()}
  formats = {side: [form for each in stamps[side].values() for form in formats_of(each)] for side in SIDES}
  check_budget(what, [form for side in SIDES for form in formats[side]], features, window, budget_bytes)
  waves = {side: {name: read_waves(each, features.rate) for name, each in stamps[side].items()} for side in SIDES}
  for side in SIDES:
    lines = [*about_formats(formats[side], features.rate), *about_lengths(waves[side], features, window)]
    lines += about_silence(f'side {side} of {root}', paths[side], waves[side])
    notes += [f'side {side}: {line}' for line in lines]
  names = {name: [names_of(paths[side][name], waves[side][name]) for side in SIDES] for name in SPLIT_FOLDERS}
  notes += about_names(names)
  analyses = {side: analyze_files(stamps[side][split], features) for side in SIDES}
  sound = Sound(
    features,
    voices={side.lower(): voice_of(stamps[side]['train'], features) for side in SIDES},
    utterances={side.lower(): utterances_of(paths[side][split], waves[side][split], analyses[side]) for side in SIDES},
    parallel=is_parallel(*names[split]),
  )
  files = [stamp.path for side in SIDES for stamp in stamps[side][split]]
  about = About(
    what=what,
    split_rule=rule,
    notes=tuple(notes),
    names=hashlib.sha256(b'\0'.join(os.fsencode(path) for side in SIDES for path in paths[side][split])).hexdigest(),
    content=functools.partial(folder.hash_files, files),
  )
  lower = {side.lower(): of_side for side, of_side in analyses.items()}
  return from_analyses(lower, sound, window)._replace(about=about)


def stamps_of(root: Path, paths: Sequence[str]) -> tuple[Stamp, ...]:
  """The files of these paths below `root`, as they are now."""
  return folder.stamps_of([root / path for path in paths], 'audio')


def utterances_of(
  paths: Sequence[str], waves: Sequence[np.ndarray], analyses: Sequence[Analysis]
) -> tuple[Utterance, ...]:
  """Those that are not silent, as the analyses are, by their names."""
  heard = zip(names_of(paths, waves), filter(len, waves), analyses, strict=True)
  return tuple(Utterance(name, wave, analysis.frames) for name, wave, analysis in heard)


def names_of(paths: Sequence[str], waves: Sequence[np.ndarray]) -> list[str]:
  """What those are called that are not silent."""
  return [name_of(path) for path, wave in zip(paths, waves, strict=True) if len(wave)]


def name_of(path: str) -> str:
  """What a recording is called: its path below the folder of its side, without the suffix."""
  below = path.partition('/')[2]
  return printable(below.removesuffix(Path(below).suffix))


def is_parallel(a: Sequence[str], b: Sequence[str]) -> bool:
  """Whether two names at least are on both sides of a split; of one alone that may be chance."""
  return len({*a} & {*b}) > 1


# What is read of files, once for all splits


def each_file(function: Callable[[Path], Found], stamps: Sequence[Stamp], what: str) -> list[Found]:
  """`function` of each file, by threads; where it takes long, a line says how far it is with `what`."""
  with ThreadPoolExecutor(os.cpu_count()) as pool:
    return list(with_progress(pool.map(function, [stamp.path for stamp in stamps]), len(stamps), what))


@functools.lru_cache(12)
def formats_of(stamps: tuple[Stamp, ...]) -> list[AudioFormat]:
  """The formats of audio files. UserError where one is none."""
  return each_file(audio_format, stamps, 'headers of recordings read')


@functools.lru_cache(12)
def read_waves(stamps: tuple[Stamp, ...], rate: int) -> list[np.ndarray]:
  """The waves float32 [T] of audio files at a rate, trimmed and of one level; [0] of silent ones."""

  def read(path: Path) -> np.ndarray:
    wave = read_audio(path, rate)
    if np.ptp(wave) <= 2 * SILENCE:
      return wave[:0]
    return normalize_level(trim_silence(wave, rate))

  return each_file(read, stamps, 'recordings read')


@functools.lru_cache(12)
def analyze_files(stamps: tuple[Stamp, ...], features: Features) -> list[Analysis]:
  """The frames of audio files that are not silent, without the spectra, which take much memory."""
  waves = [wave for wave in read_waves(stamps, features.rate) if len(wave)]
  found = (analyze(wave, features)._replace(spectrum=None, aperiodicity=None) for wave in waves)
  return list(with_progress(found, len(waves), 'recordings analyzed'))


@functools.lru_cache(4)
def voice_of(stamps: tuple[Stamp, ...], features: Features) -> Voice:
  """The Voice of audio files."""
  return measure_voice(analyze_files(stamps, features))


# What is said of them


def check_budget(what: str, formats: Sequence[AudioFormat], features: Features, window: int, budget_bytes: int) -> None:
  """UserError where waves and windows take more bytes than may be kept in memory, as they cannot be streamed."""
  size = 0
  for form in formats:
    samples = form.frames * features.rate // form.rate
    frames = max(window, count_frames(samples, features.hop))
    size += 4 * (samples + (1 + OVERLAP) * frames * features.bands)
  if size > budget_bytes:
    needed = -(-size // 2**20)
    raise UserError(f'{what} take {needed:,} MiB, and voices are kept in memory: raise config.data.resident_mib')


def about_formats(formats: Sequence[AudioFormat], rate: int) -> list[str]:
  """Lines about recordings of another rate, and of several channels."""
  rates = collections.Counter(form.rate for form in formats if form.rate != rate)
  lines = []
  for own, number in sorted(rates.items()):
    above = f', with nothing above {own // 2} Hz' if own < rate else ''
    lines.append(f'{count_of(number, "file")} of {own} Hz resampled to {rate} Hz{above}')
  channels = collections.Counter(form.channels for form in formats if form.channels > 1)
  return lines + [f'{count_of(n, "file")} of {several} channels: their mean' for several, n in sorted(channels.items())]


def about_names(names: Mapping[str, Sequence[Sequence[str]]]) -> list[str]:
  """Lines about the splits, {split: the names of each side}, in which files of one name say the same."""
  parallel = {split: {*a} ^ {*b} for split, (a, b) in names.items() if is_parallel(a, b)}
  lines = [f'{split}: {count_of(len(alone), "name")} on one side alone' for split, alone in parallel.items() if alone]
  said = f'{" and ".join(parallel)}: files of one name on both sides are taken to say the same'
  return [said, *lines] if parallel else []


def about_lengths(waves: Mapping[str, Sequence[np.ndarray]], features: Features, window: int) -> list[str]:
  """A line about recordings that do not fill a window."""
  frames = [count_frames(len(wave), features.hop) for of_split in waves.values() for wave in of_split if len(wave)]
  number, seconds = sum(each < window for each in frames), window * features.hop / features.rate
  return [f'{count_of(number, "file")} below {window} frames, {seconds:.2g} s: filled up'] if number else []


def about_silence(
  side: str, paths: Mapping[str, Sequence[str]], waves: Mapping[str, Sequence[np.ndarray]]
) -> list[str]:
  """A line about silent recordings, which are left out. UserError where a split has no others."""
  silent = []
  for split, of_split in paths.items():
    without = [path for path, wave in zip(of_split, waves[split], strict=True) if not len(wave)]
    if len(without) == len(of_split):
      named = some([printable(path) for path in without])
      raise UserError(f'{side}: nothing is heard in its {split} recordings, {named}: replace them')
    silent += [printable(path) for path in without]
  return [f'left out, as silent: {some(silent)}'] if silent else []
