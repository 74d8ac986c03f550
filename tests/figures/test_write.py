"""Files of figures, their index, and what the report shows of them."""

import io
import json
import pathlib
import re
import types

import numpy as np
import pytest
import soundfile
from page import Page
from PIL import Image

from gen_jax import figures
from gen_jax.errors import UserError
from gen_jax.figures import write
from gen_jax.figures.figure import Arrays, Flag, Picture, Sound, Text, figure
from gen_jax.plots import canvas
from gen_jax.plots.report import write_report

STRIPES = (np.arange(48).reshape(6, 8, 1) % 7 * 30).astype(np.uint8)


@pytest.fixture
def run(tmp_path):
  return types.SimpleNamespace(module='a model', source='its data', workdir=tmp_path, left=['noise'])


@figure('stripes', place=2, automatic=True, flags={'shift': Flag(0, 'of the gray values')})
def stripes(run, shift):
  yield Picture('stripes', STRIPES + np.uint8(shift), f'Stripes, shifted by {shift}')
  yield Arrays('stripes', {'x': np.arange(3) + shift})
  yield Text(f'shifted by {shift}')


@figure('a curve', place=1, automatic=lambda run: 'noise' in run.left, after_evaluation='slope')
def curve(run):
  plot = canvas.new_figure(2, 1)
  plot.subplots().plot([0, 1], [0, 1])
  yield Picture('curve', plot, 'A curve')


@figure('what needs a donkey', place=3, needs=(lambda model, source: f'needs a donkey, not {source}',), automatic=True)
def donkey(run):
  yield Picture('donkey', STRIPES, 'A donkey')


def pixels(path):
  with Image.open(path) as image:
    return np.asarray(image.convert('L'))


def test_a_figure_is_written_indexed_and_shown_by_the_report(run, capsys):
  written = write.write_figure(stripes, run, shift=5) + write.write_figure(curve, run)
  assert written == [run.workdir / name for name in ('figures/stripes.png', 'stripes.npz', 'figures/curve.png')]
  np.testing.assert_array_equal(pixels(run.workdir / 'figures/stripes.png')[::75, ::75], STRIPES[..., 0] + 5)
  assert np.ptp(pixels(run.workdir / 'figures/curve.png')) > 200
  with np.load(run.workdir / 'stripes.npz') as arrays:
    np.testing.assert_array_equal(arrays['x'], [5, 6, 7])
  assert capsys.readouterr().out == 'shifted by 5\n'
  assert json.loads((run.workdir / 'figures/index.json').read_text()) == {
    'stripes.png': {'caption': 'Stripes, shifted by 5', 'place': 2}, 'curve.png': {'caption': 'A curve', 'place': 1},
  }  # fmt: skip
  write_report(
    run.workdir / 'report.html', title='t', about='a', command='c', config={}, scores={}, scores_note='', explained={},
    best='', records=[], panels={}, figures=write.figures_of(run.workdir),
  )  # fmt: skip
  page = (run.workdir / 'report.html').read_text()
  assert re.findall('<figcaption>(.*?)</figcaption>', page) == ['A curve', 'Stripes, shifted by 5']
  assert page.count('data:image/png') == 2


def test_a_figure_that_is_made_again_takes_its_old_entry(run):
  write.write_figure(stripes, run)
  write.write_figure(curve, run)
  write.write_figure(stripes, run, shift=9)
  captions = [caption for caption, _ in write.figures_of(run.workdir)]
  assert captions == ['A curve', 'Stripes, shifted by 9']


def test_needs_are_checked_before_anything_is_made(run):
  with pytest.raises(UserError, match='--mode=donkey needs a donkey, not its data'):
    write.write_figure(donkey, run)
  assert not (run.workdir / 'figures').exists()


def test_at_the_end_of_training_figures_are_made_that_can_be(run):
  write.write_automatic_figures([stripes, curve, donkey], run)
  assert {path.name for path in (run.workdir / 'figures').iterdir()} == {'stripes.png', 'curve.png', 'index.json'}
  for path in (run.workdir / 'figures').iterdir():
    path.unlink()
  run.left.clear()
  write.write_automatic_figures([stripes, curve, donkey], run)
  assert [caption for caption, _ in write.figures_of(run.workdir)] == ['Stripes, shifted by 0']


def test_a_figure_that_cannot_be_made_takes_none_of_the_others(run, capsys):
  @figure('never', place=1, automatic=True)
  def never(run):
    yield Picture('half', STRIPES, 'Half')
    raise UserError('opposite codes')

  write.write_automatic_figures([never, stripes], run)
  assert capsys.readouterr().err == 'left out of the report: never: opposite codes\n'
  assert [caption for caption, _ in write.figures_of(run.workdir)] == ['Half', 'Stripes, shifted by 0']


AUTOMATIC = {
  'vae': ['reconstruct', 'sample', 'traverse', 'interpolate', 'plane'],
  'conditional vae': ['reconstruct', 'sample', 'traverse', 'interpolate'],
  'categorical vae': ['reconstruct', 'sample', 'traverse'],
  'gm vae': ['reconstruct', 'sample', 'traverse', 'interpolate', 'plane'],
  'autoencoder': ['reconstruct', 'traverse', 'interpolate'],
  'pixelcnn': ['sample', 'complete'],
  'gan': ['sample', 'interpolate', 'progress', 'neighbors'],
  'growing gan': ['sample', 'interpolate', 'progress', 'resolutions', 'neighbors'],
  'plane': ['sample', 'points', 'progress'],
  'voices': ['hear_voices'],
}


@pytest.mark.parametrize('name', AUTOMATIC)
def test_every_family_gets_the_figures_that_it_can_have(name, run_of):
  chosen = write.automatic_figures(figures.all_figures().values(), run_of(name))
  assert [figure.__name__ for figure in chosen] == AUTOMATIC[name]


def test_a_whole_run_is_shown(run_of):
  run = run_of('plane')
  write.write_automatic_figures(figures.all_figures().values(), run)
  shown = write.figures_of(run.workdir)
  names = ['points', 'surface', 'transform', 'progress', 'animation']
  assert [path.stem for _, path in shown] == names
  assert all(np.ptp(pixels(path)) > 50 for _, path in shown)
  with np.load(run.workdir / 'samples.npz') as samples:
    assert samples['points'].shape == (64, 2)


def test_after_an_evaluation_the_figures_of_its_arrays_are_made(run):
  assert write.write_figures_of_arrays([stripes, curve], run, {'offset': None}) == []
  assert not (run.workdir / 'figures').exists()
  written = write.write_figures_of_arrays([stripes, curve], run, {'slope': None, 'offset': None})
  assert written == [run.workdir / 'figures/curve.png']
  assert [path.name for _, path in write.figures_of(run.workdir)] == ['curve.png']


def test_pictures_of_older_runs_are_shown_by_their_names_and_lost_ones_are_not(run):
  folder = run.workdir / 'figures'
  folder.mkdir()
  for name in ('plane', 'curves', 'animation'):  # the report has the curves in a section of their own
    (folder / f'{name}.png').write_bytes(write.png_of(STRIPES))
  assert write.figures_of(run.workdir) == [(name, folder / f'{name}.png') for name in ('animation', 'plane')]
  write.write_figure(stripes, run)
  write.write_figure(curve, run)
  (folder / 'curve.png').unlink()
  names = [caption for caption, _ in write.figures_of(run.workdir)]
  assert names == ['Stripes, shifted by 0', 'animation', 'plane']


def test_a_workdir_without_figures_shows_none(tmp_path):
  assert write.figures_of(tmp_path) == []


DAMAGED = ['{', '[]', '{"a.png": 3}', '{"a.png": {"caption": "a"}}', '{"a.png": {"caption": "a", "place": "b"}}']


@pytest.mark.parametrize('text', DAMAGED)
def test_a_damaged_index_is_named(text, tmp_path):
  (tmp_path / 'figures').mkdir()
  (tmp_path / 'figures/index.json').write_text(text)
  with pytest.raises(UserError, match=r'index.json is damaged: remove it'):
    write.figures_of(tmp_path)


def test_a_png_of_every_kind_of_content():
  data = write.png_of(STRIPES)
  assert write.png_of(data) is data
  for content in (data, canvas.new_figure(1, 1)):
    with Image.open(io.BytesIO(write.png_of(content))) as image:
      assert image.format == 'PNG'


def test_a_failed_figure_leaves_what_was_made_before_it(run):
  @figure('half', place=1)
  def half(run):
    yield Picture('half', STRIPES, 'Half')
    raise UserError('no more')

  with pytest.raises(UserError, match='no more'):
    write.write_figure(half, run)
  assert [path.name for _, path in write.figures_of(run.workdir)] == ['half.png']


def test_what_is_no_output_is_refused(run):
  @figure('a path', place=1)
  def a_path(run):
    yield pathlib.Path('x.png')

  with pytest.raises(TypeError, match='a_path yields'):
    write.write_figure(a_path, run)


TONE = (0.5 * np.sin(np.arange(4000) / 5)).astype(np.float32)


@figure('tones', place=1.5)
def tones(run):
  yield Sound('low', TONE, 8000, 'A', 'a tone')
  yield Sound('high', TONE[::2], 8000, 'A, an octave higher', 'a tone')
  yield Picture('tones', STRIPES, 'Tones')


def test_sounds_are_written_indexed_and_played_by_the_report(run):
  written = write.write_figure(stripes, run) + write.write_figure(tones, run)
  assert [path.name for path in written[2:]] == ['low.flac', 'high.flac', 'tones.png']
  wave, rate = soundfile.read(run.workdir / 'figures/low.flac', dtype='float32')
  assert rate == 8000
  np.testing.assert_allclose(wave, TONE, atol=2**-15)
  index = json.loads((run.workdir / 'figures/index.json').read_text())
  assert index['low.flac'] == {'caption': 'A', 'place': 1.5, 'group': 'a tone'} and len(index) == 4
  assert [caption for caption, _ in write.figures_of(run.workdir)] == ['Tones', 'Stripes, shifted by 0']
  write_report(
    run.workdir / 'report.html', title='t', about='a', command='c', config={}, scores={}, scores_note='', explained={},
    best='', records=[], panels={}, figures=write.figures_of(run.workdir), sounds=write.sounds_of(run.workdir),
  )  # fmt: skip
  page = Page((run.workdir / 'report.html').read_text())
  assert [player['aria-label'] for player in page.of('audio')] == ['a tone: A', 'a tone: A, an octave higher']
  (run.workdir / 'figures/low.flac').unlink()
  assert [clip.caption for clip in write.sounds_of(run.workdir)] == ['A, an octave higher']


def test_workdirs_without_sounds_play_none(run, tmp_path):
  write.write_figure(stripes, run)
  assert write.sounds_of(run.workdir) == [] == write.sounds_of(tmp_path / 'none')
