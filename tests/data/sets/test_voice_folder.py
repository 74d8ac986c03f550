"""Recordings of two sides in a folder; see the tests of `sides` for which files are of which side."""

import re
import shutil
import types

import numpy as np
import pytest
import soundfile

from gen_jax.audio.features import Features, analyze
from gen_jax.audio.levels import LEVEL, active_level
from gen_jax.audio.voice import restore
from gen_jax.config import common
from gen_jax.data import sources
from gen_jax.data.dataset import Feature
from gen_jax.data.record import Record, describe, differences, record_of
from gen_jax.data.sets import voice_folder
from gen_jax.data.splits import Splits
from gen_jax.errors import UserError
from gen_jax.evaluation.voices.utterances import own_recordings, parallel, recordings

RATE, BANDS, WINDOW = 8_000, 10, 8
FEATURES = Features('mel', RATE, BANDS)
NUMBERS = {'trainA': 3, 'trainB': 2, 'valA': 1, 'valB': 1, 'testA': 2, 'testB': 2}


def section(name, **changes):
  data = common().data
  data.update({'name': str(name), 'layout': 'voices', 'rate': RATE, 'bands': BANDS, 'frames': WINDOW, **changes})
  return data


def load(root, split='train', budget=2**30):
  return voice_folder.load(root, split, FEATURES, WINDOW, budget)


def tone(folder, i, rate=RATE, seconds=0.3):
  """Those of A are lower."""
  frequency = (200 if folder.endswith('A') else 600) + 20 * i
  return np.float32(0.3 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate))


def fill(root):
  for name, number in NUMBERS.items():
    (root / name).mkdir(parents=True)
    for i in range(number):
      soundfile.write(root / name / f'{i}.wav', tone(name, i), RATE)
  return root


@pytest.fixture
def root(tmp_path):
  return fill(tmp_path / 'talk')


def test_each_side_is_windows_of_its_recordings(root):
  train = load(root)
  assert train.features == dict.fromkeys(('image_a', 'image_b'), Feature((WINDOW, BANDS, 1), 0, 'sound'))
  names = {side: [spoken.name for spoken in of_side] for side, of_side in train.sound.utterances.items()}
  assert names == {'a': ['0', '1', '2'], 'b': ['0', '1']} and train.kind == 'sound'
  first = train.sound.utterances['a'][0].wave
  np.testing.assert_allclose(active_level(first), LEVEL, atol=0.1)
  np.testing.assert_allclose(first / np.abs(first).max(), tone('trainA', 0) / 0.3, atol=1e-2)
  frames = analyze(first, FEATURES).frames  # 20: windows of 8 begin each 2 frames, from 0 to 12
  assert dict(train.own_order) == {'image_a': 3 * 7, 'image_b': 2 * 7}
  seen = restore(train.arrays['image_a'][6, ..., 0], train.sound.voices['a'])
  np.testing.assert_allclose(seen, frames[-WINDOW:], atol=1e-4)
  np.testing.assert_array_equal(train.sound.utterances['a'][0].frames, frames)


def test_voices_are_of_training_recordings_in_every_split(root):
  train, test = load(root), load(root, 'test')
  assert train.sound.voices == test.sound.voices
  frames = np.concatenate([analyze(spoken.wave, FEATURES).frames for spoken in train.sound.utterances['b']])
  np.testing.assert_allclose(test.sound.voices['b'].mean, frames.mean(0), rtol=1e-5)
  np.testing.assert_allclose(test.sound.voices['b'].deviation, frames.std(0), rtol=1e-4)


def test_files_of_one_name_say_the_same(root):
  assert [load(root, split).sound.parallel for split in ('train', 'validation', 'test')] == [True, False, True]
  note = 'train and test: files of one name on both sides are taken to say the same'
  assert {note, 'train: 1 name on one side alone'} <= set(load(root).about.notes)
  assert not load(root, 'test').sound.aligned
  wave, rate = soundfile.read(root / 'testB/1.wav')
  (root / 'testB/1.wav').unlink()
  soundfile.write(root / 'testB/1.flac', wave, rate)
  assert load(root, 'test').sound.parallel
  for i, folder in enumerate(['testA', 'testB', 'testB']):
    soundfile.write(root / folder / f'more_{i}.wav', tone(folder, i), RATE)
  assert load(root, 'test').sound.parallel and 'test: 3 names on one side alone' in load(root).about.notes
  (root / 'testB/1.flac').rename(root / 'testB/2.flac')
  assert not load(root, 'test').sound.parallel


def test_files_lie_at_any_depth_and_a_tenth_validates(root):
  for side in 'AB':
    shutil.rmtree(root / f'val{side}')
    (root / f'train{side}/deep').mkdir()
    for i in range(12):
      soundfile.write(root / f'train{side}/deep/{i}.wav', tone(f'train{side}', i), RATE)
  numbers = [
    {side: len(of_side) for side, of_side in load(root, split).sound.utterances.items()}
    for split in ('train', 'validation', 'test')
  ]
  assert {side: sum(number[side] for number in numbers) for side in 'ab'} == {'a': 17, 'b': 16}
  assert numbers[1]['a'] >= 1 and 'validation: a tenth of the training recordings' in load(root).about.split_rule
  splits = [load(root, split).sound.utterances['a'] for split in ('train', 'validation')]
  assert 'deep/3' in [spoken.name for of_split in splits for spoken in of_split]


def test_recordings_of_any_rate_and_several_channels(root):
  soundfile.write(root / 'trainA/0.wav', tone('trainA', 0, 16_000), 16_000, 'FLOAT')
  soundfile.write(root / 'trainA/1.wav', np.stack([tone('trainA', 1, 44_100)] * 2, 1), 44_100, 'PCM_24')
  soundfile.write(root / 'testB/0.wav', tone('testB', 0, 4_000), 4_000)
  train = load(root)
  assert [line for line in train.about.notes if line.startswith('side')] == [
    'side A: 1 file of 16000 Hz resampled to 8000 Hz',
    'side A: 1 file of 44100 Hz resampled to 8000 Hz',
    'side A: 1 file of 2 channels: their mean',
    'side B: 1 file of 4000 Hz resampled to 8000 Hz, with nothing above 2000 Hz',
  ]
  for i in range(2):
    wave = train.sound.utterances['a'][i].wave
    middle = slice(800, 1600)
    np.testing.assert_allclose(wave[middle] / np.abs(wave[middle]).max(), tone('trainA', i)[middle] / 0.3, atol=0.02)


def test_silence_around_is_trimmed(root):
  quiet = np.zeros(RATE, np.float32)
  soundfile.write(root / 'trainA/0.wav', np.concatenate([quiet, tone('trainA', 0), quiet]), RATE)
  assert abs(len(load(root).sound.utterances['a'][0].wave) - 0.3 * RATE) < 0.1 * RATE


def test_short_recordings_fill_a_window(root):
  soundfile.write(root / 'trainB/0.wav', tone('trainB', 0)[:10], RATE)
  train = load(root)
  assert train.own_order['image_b'] == 1 + 7 and np.isfinite(train.arrays['image_b']).all()
  assert 'side B: 1 file below 8 frames, 0.13 s: filled up' in train.about.notes


def test_silent_recordings_are_left_out_by_name(root):
  soundfile.write(root / 'trainA/1.wav', np.zeros(RATE), RATE)
  soundfile.write(root / 'testA/0.wav', np.full(RATE, 0.5), RATE)
  train, test = load(root), load(root, 'test')
  assert [spoken.name for spoken in train.sound.utterances['a']] == ['0', '2'] and train.own_order['image_a'] == 14
  assert [spoken.name for spoken in test.sound.utterances['a']] == ['1'] and not test.sound.parallel
  assert 'side A: left out, as silent: testA/0.wav, trainA/1.wav' in map(sort_names, train.about.notes)
  soundfile.write(root / 'testA/1.wav', np.zeros(RATE), RATE)
  with pytest.raises(UserError, match=r'side A of .*talk: nothing is heard in its test recordings, testA/0.wav, '):
    load(root)


def sort_names(line):
  start, _, names = line.rpartition(': ')
  return f'{start}: {", ".join(sorted(names.split(", ")))}'


@pytest.mark.parametrize(
  ('names', 'message'),
  [
    ((), r'no recordings \(.flac, .ogg, .wav\) in .*/other$'),
    (('1.png',), r'no recordings .* in .*/other; the images that lie there are of another config.data.layout'),
    (('a.wav', 'A/b.wav', 'B/b.wav'), r'has no training recordings of side A: it needs folders trainA/ and trainB/$'),
    (('trainA/1.wav', 'trainB/1.wav'), r'side A of .*/other has 1 recording, too few for the splits'),
  ],
)
def test_what_are_no_voices_is_refused(tmp_path, names, message):
  (tmp_path / 'other').mkdir()
  for name in names:
    (tmp_path / 'other' / name).parent.mkdir(exist_ok=True)
    (tmp_path / 'other' / name).touch()
  with pytest.raises(UserError, match=message):
    load(tmp_path / 'other')


def test_mistakes_are_named(root):
  with pytest.raises(UserError, match=r'there is no folder .*tlak; did you mean .*talk'):
    load(root.parent / 'tlak')
  with pytest.raises(UserError, match=r'0.wav is a file: name a folder of recordings$'):
    load(root / 'trainA/0.wav')
  with pytest.raises(UserError, match=r'the voices in the folder .* take 1 MiB, .* raise config.data.resident_mib'):
    load(root, budget=10_000)
  for layout in ('', 'unpaired', 'side_by_side'):
    with pytest.raises(UserError, match=r"no images .*; config.data.layout='voices' reads the recordings that lie"):
      sources.open_split(section(root, layout=layout, features='mel'), 'train')
  (root / 'trainB/9.wav').symlink_to(root / 'nothing.wav')
  with pytest.raises(UserError, match=r'trainB/9.wav cannot be read as audio: No such file'):
    load(root)
  (root / 'trainB/9.wav').unlink()
  (root / 'trainB/1.wav').write_bytes(b'RIFF of nothing')
  with pytest.raises(UserError, match=r'trainB/1.wav cannot be read as audio: .*; save it anew as WAV, FLAC or OGG'):
    load(root)


def test_other_files_are_counted(root):
  (root / 'notes.txt').touch()
  (root / 'trainA/x.mp3').touch()
  (root / '.old').mkdir()
  shutil.copy(root / 'trainA/0.wav', root / '.old/0.wav')
  shutil.copy(root / 'trainA/0.wav', root / 'more.wav')
  notes = load(root).about.notes
  assert set(notes) >= {
    'left out: 1 .mp3, 1 .txt',
    'left out: 1 recording in hidden folders .old',
    'left out: 1 recording beside the folders of the sides, such as more.wav',
  }


def test_the_section_opens_them(root):
  data = section(root)
  assert sources.owner_of(data) is voice_folder and sources.is_own(data) and sources.in_files(data)
  assert list(sources.problems(data)) == []
  lines = sources.problems(section(root, class_order='text', sentences=3, palette_a=((0, 0, 0), (1, 1, 1))))
  assert {line.partition('=')[0] for line in lines} == {
    'config.data.class_order', 'config.data.sentences', 'config.data.palette_a'
  }  # fmt: skip
  (line,) = sources.problems(section('mnist', layout='', bands=80, frames=64))
  assert line.startswith('config.data.rate=8000: has no effect on mnist')
  train, exchanged = sources.open_split(data, 'train'), sources.open_split(section(root, swap=True), 'train')
  assert dict(exchanged.own_order) == {'image_a': 14, 'image_b': 21}
  assert exchanged.sound.voices['a'] == train.sound.voices['b']
  assert sources.lacking(data, train, ('image_a', 'image_b')) == ''
  assert sources.lacking(data, train, ('image',)).endswith(
    'has image_a and image_b; name a set of single images, without config.data.layout, or a model of two'
  )
  with pytest.raises(UserError, match=r'the data have no labels'):
    sources.open_split(section(root, without=(0,)), 'train')


def test_paths_are_from_the_root(root, monkeypatch):
  monkeypatch.chdir(root.parent)
  for name in ('talk', './talk', f'../{root.parent.name}/talk/'):
    normal = sources.normalized(section(name))
    assert (normal.name, normal.train_split) == (str(root), '')
  assert sources.open_split(sources.normalized(section('talk')), 'train').size == 21
  with pytest.raises(UserError, match=r'there is no folder tlak; did you mean talk'):
    sources.open_split(section('tlak'), 'train')


def test_a_run_knows_them_again_and_works_without_them(root):
  data = section(root)
  record = record_of(data)
  assert Record.from_json(record.to_json()) == record and list(differences(record, record)) == []
  assert list(describe(record))[:2] == [
    f'data: the voices in the folder {root}: 21 and 14 train, 7 and 7 validation, 14 and 14 test; '
    'image_a: sounds of 8 frames, 10 bands; image_b: sounds of 8 frames, 10 bands',
    'frames: 10 bands of mel, each 16 ms of 8000 Hz',
  ]
  assert [split.parallel for split in record.splits.values()] == [True, False, True]
  copy = section(fill(root.parent / 'elsewhere'), resident_mib=7)
  assert record_of(copy).fingerprint == record.fingerprint and Splits(copy).own_key.startswith('folder-')
  wider, other = record_of(section(root, rate=16_000)), record_of(section(root, frames=16))
  assert list(differences(record, wider)) == [
    'frames: 10 bands of mel, each 16 ms of 8000 Hz then, 10 bands of mel, each 16 ms of 16000 Hz now'
  ]
  assert next(differences(record, other)) == (
    'image_a: sounds of 8 frames, 10 bands then, sounds of 16 frames, 10 bands now'
  )
  kept = sources.open_split(data, 'test').fetch(np.arange(2))
  splits = Splits(data, record, {**kept, 'index': np.arange(2)})
  there = splits.split('test').sound
  assert there.parallel and [spoken.name for spoken in there.utterances['b']] == ['0', '1'] and there.utterances
  assert {side: len(of_side) for side, of_side in there.utterances.items()} == {'a': 2, 'b': 2}
  sources.open_once.cache_clear()
  shutil.rmtree(root)
  test = Splits(data, record, {**kept, 'index': np.arange(2)}).split('test')
  assert test.sound.voices == record.sound.voices and test.sound.features == FEATURES
  assert test.features == record.features
  for ask in (bool, list, dict, lambda sides: sides['a'], lambda sides: sides.items()):
    with pytest.raises(UserError, match=r'this needs the data of the run, the voices .*: there is no folder .*talk'):
      ask(test.sound.utterances)
  np.testing.assert_array_equal(test.fetch(np.array([1]))['image_a'], kept['image_a'][1:])
  with pytest.raises(UserError, match=r'this needs the data of the run, the voices .*: there is no folder .*talk'):
    test.fetch(np.array([5]))


def test_what_needs_changed_recordings_is_told_why(root):
  data = section(root, resident_mib=8)
  record = record_of(data)
  soundfile.write(root / 'trainB/1.wav', tone('trainB', 5), RATE)
  sources.open_once.cache_clear()
  splits = Splits(data, record)
  source = types.SimpleNamespace(data=splits.split('test'), split=splits.split, name='talk')
  source.of_split = lambda name: types.SimpleNamespace(data=splits.split(name), split=splits.split, name='talk')
  assert own_recordings(None, source) is None
  changed = r'talk holds other data than the run began with \(train: other content\); --config.data.name says where'
  for condition in (recordings, parallel):
    assert re.search(changed, condition(None, source))
  with pytest.raises(UserError, match=changed):
    splits.split('train').sound.utterances['a']


def test_changed_recordings_are_other_data(root):
  record = record_of(section(root))
  soundfile.write(root / 'trainB/1.wav', tone('trainB', 5), RATE)
  assert list(differences(record, record_of(section(root, resident_mib=9)))) == ['train: other content']
  shutil.copy(root / 'trainB/1.wav', root / 'trainB/2.wav')
  more = record_of(section(root, resident_mib=10))
  assert list(differences(record, more)) == ['train: 21 and 14 then, 21 and 21 now']
