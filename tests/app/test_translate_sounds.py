"""--mode=translate on sounds: names, formats, lengths, levels, both directions, and what it refuses."""

import numpy as np
import pytest
import soundfile
from command_line import error_of, run_command

import launch
from gen_jax.app.translate_sounds import Recording, write
from gen_jax.audio.levels import active_level
from gen_jax.errors import UserError

FILES = {  # rate, channels, subtype, samples
  'b.wav': (8_000, 1, 'PCM_16', 4_000),
  'A.WAV': (44_100, 2, 'PCM_24', 10_001),
  'float.wav': (16_000, 1, 'FLOAT', 5_000),
  'deeper/c.flac': (48_000, 2, 'PCM_16', 9_999),
  'deeper/d.ogg': (22_050, 1, 'VORBIS', 6_000),
  'deeper/short.wav': (8_000, 1, 'PCM_U8', 10),
}


def noise(samples, channels=1, level=0.1):
  """Noise that swells: [T,C]."""
  wave = np.random.default_rng(samples).normal(size=(samples, channels)).cumsum(0)
  return level * np.sin(wave / 3) * (1.1 + np.sin(np.arange(samples) / 1_000))[:, None]


@pytest.fixture
def folder(tmp_path):
  """Sounds of several formats."""
  for name, (rate, channels, subtype, samples) in FILES.items():
    path = tmp_path / 'mine' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise(samples, channels), rate, subtype)
  return tmp_path / 'mine'


def translate(run, source, out, *arguments):
  run_command(f'--workdir={run.workdir}', '--mode=translate', f'--input={source}', f'--output={out}', *arguments)


def test_names_formats_lengths_and_levels_are_kept(run_of, folder, tmp_path, capsys):
  (folder / 'notes.txt').write_text('no sound')
  run, out = run_of('voices'), tmp_path / 'out'
  translate(run, folder, out)
  assert '6 recordings translated to side b' in capsys.readouterr().out
  assert {str(path.relative_to(out)) for path in out.rglob('*.*')} == set(FILES)
  for name, (rate, channels, subtype, samples) in FILES.items():
    info = soundfile.info(out / name)
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (rate, channels, subtype, samples), name
    given, made = (soundfile.read(place / name, always_2d=True)[0] for place in (folder, out))
    np.testing.assert_array_equal(made, np.repeat(made[:, :1], channels, 1))  # the same in each channel
    if samples > 10:
      np.testing.assert_allclose(active_level(made[:, 0]), active_level(given.mean(1)), atol=0.3)
      assert np.any(made != given)


def test_a_file_holds_what_python_gives(run_of, folder, tmp_path):
  run, out = run_of('voices'), tmp_path / 'out'
  translate(run, folder / 'float.wav', out, '--to=a', '--round_trip')
  wave, rate = soundfile.read(folder / 'float.wav', dtype='float32')
  there = run.translate_wave(wave, rate, to='a')
  assert there.dtype == np.float32 and there.shape == wave.shape
  back = run.translate_wave(there, rate, to='b')
  for name, expected in (('float.wav', there), ('float_back.wav', back)):
    np.testing.assert_allclose(soundfile.read(out / name)[0], expected, atol=1e-5)


def test_a_wave_is_translated_from_floats_and_from_integers(run_of):
  run, wave = run_of('voices'), noise(3_000)[:, 0]
  integers = np.int16(np.round(wave * 2**15))
  made = run.translate_wave(integers / 2**15, 8_000)
  np.testing.assert_allclose(run.translate_wave(integers, 8_000), made, atol=1e-6)
  with pytest.raises(UserError, match=r'of one channel, not float64 \[4, 2\]'):
    run.translate_wave(np.zeros((4, 2)), 8_000)
  with pytest.raises(UserError, match='CycleGAN translates to b or a'):
    run.translate_wave(wave, 8_000, to='c')
  with pytest.raises(UserError, match='voices holds sound: translate_wave translates them'):
    run.translate([np.zeros((4, 4, 1), np.uint8)])
  with pytest.raises(UserError, match='digit_twins holds image, and sounds are translated'):
    run_of('cyclegan').translate_wave(wave, 8_000)


def test_silence_comes_out_silent(run_of, tmp_path):
  soundfile.write(tmp_path / 'silence.wav', np.zeros(2_000), 8_000)
  translate(run_of('voices'), tmp_path / 'silence.wav', tmp_path / 'out')
  np.testing.assert_array_equal(soundfile.read(tmp_path / 'out/silence.wav')[0], np.zeros(2_000))


def test_integers_that_would_be_cut_are_softer(tmp_path):
  wave = np.float32(3 * noise(1_000)[:, 0] / np.abs(noise(1_000)).max())
  for subtype, expected in (('FLOAT', wave), ('PCM_24', wave / 3), ('PCM_16', wave / 3)):
    write(tmp_path / 'x.wav', Recording(wave, 8_000, 2, subtype))
    made, _ = soundfile.read(tmp_path / 'x.wav')
    np.testing.assert_allclose(made, np.repeat(expected[:, None], 2, 1), atol=1e-4)
  write(tmp_path / 'x.flac', Recording(wave / 6, 8_000, 1, 'FLOAT'))  # of which FLAC has none
  np.testing.assert_allclose(soundfile.read(tmp_path / 'x.flac')[0], wave / 6, atol=1e-4)


def test_sounds_of_other_kinds_become_wav(run_of, tmp_path):
  run, out = run_of('voices'), tmp_path / 'out'
  soundfile.write(tmp_path / 'one.aiff', noise(1_000), 8_000, 'PCM_16')
  translate(run, tmp_path / 'one.aiff', out)
  assert [path.name for path in out.iterdir()] == ['one.wav']
  assert soundfile.info(out / 'one.wav').subtype == 'PCM_16'


def test_what_cannot_be_translated_is_one_line(run_of, folder, tmp_path, capsys):
  run, out = run_of('voices'), tmp_path / 'out'

  def error(*arguments, mine=folder, to=out):
    common = f'--workdir={run.workdir}', '--mode=translate', f'--input={mine}', f'--output={to}'
    return error_of(capsys, *common, *arguments)

  assert '--size=64 is of images, and this run translates recordings' in error('--size=64')
  assert 'CycleGAN translates to b or a' in error('--to=c')
  assert 'there is no such file or folder' in error(mine=tmp_path / 'none')
  (tmp_path / 'empty').mkdir()
  assert 'no recordings (.flac, .ogg, .wav) in that folder' in error(mine=tmp_path / 'empty')
  assert 'is a file: name a folder' in error(to=folder / 'b.wav')
  assert 'would be written over' in error(to=folder)
  assert 'needs --input' in error_of(capsys, f'--workdir={run.workdir}', '--mode=translate')
  assert not out.exists()
  soundfile.write(folder / 'b_back.wav', noise(100), 8_000)
  assert 'two recordings would be written to' in error('--round_trip')


def test_files_that_cannot_be_read_are_left_out_where_that_is_asked_for(run_of, folder, tmp_path, capsys):
  run, out = run_of('voices'), tmp_path / 'out'
  (folder / 'b.wav').write_bytes((folder / 'b.wav').read_bytes()[:20])
  (folder / 'deeper/e.ogg').write_text('no sound')
  arguments = f'--workdir={run.workdir}', '--mode=translate', f'--input={folder}'
  line = error_of(capsys, *arguments, f'--output={out}')
  assert f'{folder}/b.wav cannot be read as audio' in line and line.count('remove it') == 1
  assert line.endswith(', or leave such files out by --skip_unreadable\n')
  run_command(*arguments, f'--output={out}2', '--skip_unreadable')
  shown = capsys.readouterr()
  assert shown.err.count('left out: ') == 2 and '5 recordings translated to side b; 2 left out' in shown.out
  for path in folder.rglob('*.*'):
    path.write_text('nothing')
  assert launch.main(['launch.py', *arguments, f'--output={out}3', '--skip_unreadable']) == 2
  assert 'none of its 7 files can be read' in capsys.readouterr().err.splitlines()[-1]
