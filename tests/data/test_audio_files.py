"""Audio files of any format become waves, waves become files, and what is no audio is named."""

import io

import numpy as np
import pytest
import soundfile

from gen_jax.data.audio_files import AudioFormat, audio_format, encode_audio, read_audio, subtype_of
from gen_jax.errors import UserError


def tone(frequency=440, rate=8_000, seconds=1.0, amplitude=0.5):
  return np.float32(amplitude * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate))


def write_audio(path, wave, rate, subtype=''):
  path.write_bytes(encode_audio(wave, rate, path.suffix[1:], subtype))


@pytest.mark.parametrize(
  ('name', 'subtype', 'error'),
  [
    ('x.wav', 'PCM_U8', 2**-7),
    ('x.wav', 'PCM_16', 2**-15),
    ('x.wav', 'PCM_24', 2**-22),
    ('x.wav', 'PCM_32', 1e-7),
    ('x.wav', 'FLOAT', 0),
    ('x.WAV', 'DOUBLE', 0),
    ('x.flac', 'PCM_16', 2**-15),
    ('x.flac', 'PCM_24', 2**-22),
    ('x.ogg', 'VORBIS', 0.05),
  ],
)
def test_what_is_written_is_read(tmp_path, name, subtype, error):
  write_audio(tmp_path / name, tone(), 8_000, subtype)
  read = read_audio(tmp_path / name, 8_000)
  assert read.dtype == np.float32 and read.shape == (8_000,)
  np.testing.assert_allclose(read, tone(), rtol=0, atol=error)
  assert audio_format(tmp_path / name) == AudioFormat(8_000, 1, subtype, 8_000)


def test_files_of_other_programs_are_read(tmp_path):
  """The bytes of a canonical WAV file by hand: 16 bits, 8000 Hz, two channels."""
  samples = np.array([[0, 0], [16384, 0], [-32768, -32768], [8192, 24576]], '<i2')
  data = samples.tobytes()
  words = np.array([1 | 2 << 16, 8_000, 32_000, 4 | 16 << 16], '<u4').tobytes()
  size = lambda n: n.to_bytes(4, 'little')
  content = b'RIFF' + size(36 + len(data)) + b'WAVEfmt ' + size(16) + words + b'data' + size(len(data)) + data
  (tmp_path / 'x.wav').write_bytes(content)
  np.testing.assert_array_equal(read_audio(tmp_path / 'x.wav', 8_000), np.float32([0, 0.25, -1, 0.5]))
  assert audio_format(tmp_path / 'x.wav') == AudioFormat(8_000, 2, 'PCM_16', 4)


@pytest.mark.parametrize(('own', 'rate'), [(44_100, 16_000), (8_000, 16_000), (48_000, 8_000), (11_025, 16_000)])
def test_a_tone_is_the_same_at_another_rate(tmp_path, own, rate):
  write_audio(tmp_path / 'x.wav', tone(1_000, own), own, 'FLOAT')
  read, expected = read_audio(tmp_path / 'x.wav', rate), tone(1_000, rate)
  assert abs(len(read) - rate) <= 1
  middle = slice(rate // 10, -rate // 10)
  np.testing.assert_allclose(read[: len(expected)][middle], expected[: len(read)][middle], atol=1e-3)


def test_what_a_rate_cannot_hold_is_silent(tmp_path):
  write_audio(tmp_path / 'x.wav', tone(6_000, 16_000), 16_000, 'FLOAT')
  assert np.abs(read_audio(tmp_path / 'x.wav', 8_000)[400:-400]).max() < 1e-3


def test_channels_are_averaged(tmp_path):
  both = np.stack([tone(440), tone(880)], 1)
  soundfile.write(tmp_path / 'x.wav', both, 8_000, 'PCM_24')
  np.testing.assert_allclose(read_audio(tmp_path / 'x.wav', 8_000), both.mean(1), atol=1e-6)


@pytest.mark.parametrize(
  ('name', 'content', 'message'),
  [
    ('empty.wav', b'', 'empty.wav cannot be read as audio: .*; save it anew as WAV, FLAC or OGG, or remove it'),
    ('noise.flac', b'no audio' * 100, 'noise.flac cannot be read as audio: '),
    ('cut.flac', encode_audio(tone(), 8_000, 'FLAC')[:900], 'cut.flac cannot be read as audio: '),
    ('cut.ogg', encode_audio(tone(), 8_000, 'OGG')[:2000], 'cut.ogg cannot be read as audio: '),
    ('none.wav', encode_audio(tone()[:0], 8_000, 'WAV'), 'none.wav .*: it has no samples'),
  ],
)
def test_a_damaged_file_is_named(tmp_path, name, content, message):
  (tmp_path / name).write_bytes(content)
  with pytest.raises(UserError, match=message):
    read_audio(tmp_path / name, 8_000)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_samples_must_be_finite(tmp_path, value):
  wave = tone()
  wave[5] = value
  soundfile.write(tmp_path / 'x.wav', wave, 8_000, 'FLOAT')
  with pytest.raises(UserError, match=r'x.wav .*: it has samples that are no finite numbers; save it anew'):
    read_audio(tmp_path / 'x.wav', 8_000)


def test_a_file_whose_length_is_not_known_is_refused(tmp_path):
  content = bytearray(encode_audio(tone(), 8_000, 'FLAC'))
  content[21] &= 0xF0  # the 36 bits of STREAMINFO that number the samples
  content[22:26] = bytes(4)
  (tmp_path / 'x.flac').write_bytes(content)
  with pytest.raises(UserError, match=r'x.flac cannot be read as audio: '):
    read_audio(tmp_path / 'x.flac', 8_000)


def test_what_is_not_there_is_said(tmp_path):
  for name in ('x.wav', '.'):
    with pytest.raises(UserError, match=r'cannot be read as audio: (No such file|Is a directory)'):
      audio_format(tmp_path / name)


def test_waves_are_clipped_where_samples_are_integers(tmp_path):
  wave = np.array([2.0, -2.0, 0.5])
  for subtype, expected in (('PCM_16', [1, -1, 0.5]), ('FLOAT', wave)):
    write_audio(tmp_path / 'x.wav', wave, 8_000, subtype)
    np.testing.assert_allclose(read_audio(tmp_path / 'x.wav', 8_000), expected, atol=2**-14)


def test_channels_are_written(tmp_path):
  both = np.stack([tone(440), tone(880)], 1)
  write_audio(tmp_path / 'x.flac', both, 8_000, 'PCM_24')
  np.testing.assert_allclose(soundfile.read(tmp_path / 'x.flac')[0], both, atol=1e-6)


def test_a_subtype_that_a_format_has_not_gives_way(tmp_path):
  write_audio(tmp_path / 'x.flac', tone(), 8_000, 'FLOAT')
  write_audio(tmp_path / 'x.ogg', tone(), 8_000)
  assert audio_format(tmp_path / 'x.flac').subtype == subtype_of('FLAC', 'FLOAT') == 'PCM_16'
  assert audio_format(tmp_path / 'x.ogg').subtype == subtype_of('OGG') == 'VORBIS'


@pytest.mark.parametrize('format', ['WAV', 'FLAC', 'OGG'])
def test_encoded_waves_are_whole(format):
  """Longer than a block; of Vorbis longer than libsndfile writes at once."""
  wave = tone(300, seconds=60)
  read, rate = soundfile.read(io.BytesIO(encode_audio(wave, 8_000, format)), dtype='float32')
  assert rate == 8_000 and len(read) == len(wave)
  np.testing.assert_allclose(read, wave, atol=0.05)
