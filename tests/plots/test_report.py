import base64
import io
import re

import numpy as np
import pytest
from page import Page
from PIL import Image

from gen_jax.metrics import Explanation, Metric
from gen_jax.plots import canvas, grids
from gen_jax.plots.curves import panel_figures
from gen_jax.plots.players import Clip, players_of
from gen_jax.plots.report import write_report

EVIL = '<script>alert("x") & \'y\'</script>'
ELBO = Explanation(Metric('a lower bound of log p(x)', 'nats', 'higher', headline=True), 'means', 'elbo')


@pytest.fixture
def report(tmp_path):
  """Writes a report and parses it."""
  image = np.random.default_rng(0).integers(0, 255, (9, 7, 3), dtype=np.uint8)
  (tmp_path / 'tiny.png').write_bytes(grids.png_bytes(image, scale=1))
  (tmp_path / 'plot.png').write_bytes(canvas.png(canvas.new_figure(6, 2)))

  def write(**changes):
    arguments = {
      'title': 'a run',
      'about': 'a model on some data',
      'command': 'python launch.py --workdir=w',
      'config': {'seed': 3, 'empty': {}, 'model': {'name': 'VAE', 'encoder': {'features': (32, 64)}}},
      'scores': {'kl': 1.5, 'elbo': -98.0625},
      'scores_note': 'step 1,234, 64 examples of the test split',
      'explained': {'elbo': ELBO},
      'best': '',
      'records': [{'step': 5, 'elbo': -200.0}, {'step': 1234, 'elbo': -100.0}],
      'figures': [('samples', tmp_path / 'tiny.png'), ('a plot', tmp_path / 'plot.png')],
    }
    arguments |= changes
    figures = panel_figures(arguments['records'], arguments['explained'])
    panels = {name: canvas.png(figure) for name, figure in figures.items()}
    write_report(tmp_path / 'report.html', panels=panels, **arguments)
    text = (tmp_path / 'report.html').read_text()
    return text, Page(text)

  return write


def test_report_holds_every_figure_and_refers_to_nothing(report, tmp_path):
  text, page = report()
  images = page.of('img')
  assert len(images) == 3  # two figures and the curve
  data = [base64.b64decode(image['src'].removeprefix('data:image/png;base64,')) for image in images]
  assert data[0] == (tmp_path / 'tiny.png').read_bytes()
  assert data[1] == (tmp_path / 'plot.png').read_bytes()
  with Image.open(io.BytesIO(data[2])) as curves:
    curves.load()
  assert not re.search(r'https?://|url\(|@import|<link|<script|href=', text)
  assert all(value.startswith('data:') for value in re.findall(r'src\s*=\s*["\']?([^"\'>\s]*)', text))
  assert [image['alt'] for image in images] == ['samples', 'a plot', 'elbo by training step']


def test_tiny_images_are_stretched_and_figures_keep_their_printed_size(report):
  _, page = report()
  tiny, plot, _ = page.of('img')
  kinds = [figure['class'].split() for figure in page.of('figure')]
  assert tiny['width'] == '600' and 'style' not in tiny and kinds[0] == ['card', 'pixels']
  assert int(plot['width']) == 6 * 96 and kinds[1] == ['card']
  assert plot['style'] == f'min-width: {0.8 * 6 * 96:.0f}px'  # below which its text could not be read
  inside = [place for place, (tag, _) in enumerate(page.tags) if tag == 'img']
  assert all(page.tags[place - 1] == ('div', {'class': 'scroll', 'tabindex': '0'}) for place in inside)


def test_report_tells_the_numbers(report):
  _, page = report()
  words = ' '.join(' '.join(page.words).split())
  for part in ('a run', 'a model on some data', '-98.06', '1.500', '1,234', 'encoder.features', '(32, 64)'):
    assert part in words
  assert 'python launch.py --workdir=w' in words and 'step 1,234, 64 examples of the test split' in words
  assert page.texts['b'] == ['-98.06', '1,234']  # the result, and the steps once
  assert page.texts['figcaption'] == ['samples', 'a plot', 'a lower bound of log p(x)']


def test_there_is_a_plot_of_each_metric(report):
  records = [{'step': s, 'elbo': -s, 'validation/elbo': -s, 'model/loss': s, 'b': s} for s in (1, 2)]
  _, page = report(records=records, figures=[])
  assert [image['alt'] for image in page.of('img')] == [f'{name} by training step' for name in ('b', 'elbo', 'loss')]
  assert not any('Faint' in word for word in page.words)
  _, page = report(records=[{'step': s, 'elbo': s} for s in range(201)], figures=[])
  assert 'Faint: as recorded. Bold: the running mean.' in page.words


def test_everything_is_escaped(report, tmp_path):
  text, page = report(
    title=EVIL,
    about=EVIL,
    command=EVIL,
    config={EVIL: EVIL, 'group': {EVIL: EVIL}},
    scores={EVIL: EVIL, 'x' + EVIL: 1.0},
    scores_note=EVIL,
    explained={},
    records=[{'step': 1, EVIL: 2.0}],
    figures=[(EVIL, tmp_path / 'tiny.png')],
  )
  assert '<script' not in text
  assert not page.of('script')
  assert page.of('img')[0]['alt'] == EVIL
  assert page.words.count(EVIL) >= 6


def test_a_report_of_almost_nothing(report):
  text, page = report(config={}, scores={}, explained={}, records=[], figures=[])
  assert not page.of('img')
  assert '<h2>Evaluation' not in text
  _, page = report(scores={'elbo': float('nan')}, records=[{'step': 1, 'elbo': float('inf')}])
  assert 'nan' in page.words


def test_nothing_is_wider_than_a_narrow_screen(report):
  """What has a least width of its own scrolls by itself: pictures alone; columns are never fixed above 300 pixels."""
  text, _ = report()
  style = text[text.index('<style>') : text.index('</style>')]
  narrow = 390 - 2 * 12  # the margins of a page on such a screen
  for width in re.findall(r'minmax\((\d+)px', style):
    assert int(width) < narrow / 2
  assert 'min-width' not in style
  assert 'overflow-wrap: anywhere' in style and '.scroll { overflow-x: auto; }' in style


def test_a_path_that_is_no_utf_8_is_written_in_its_bytes(report):
  text, _ = report(config={'data': {'name': '/caf\udce9'}})
  assert '/caf\\udce9' in text


@pytest.fixture
def clips(tmp_path):
  """Two utterances, as files of some bytes."""
  (tmp_path / 'figures').mkdir()
  clips = []
  for number, (group, caption) in enumerate([('one', 'A'), ('one', 'as B'), ('two', 'A'), (EVIL, EVIL)]):
    path = tmp_path / 'figures' / f'a b{number}.flac'
    path.write_bytes(bytes(range(number, number + 100)))
    clips.append(Clip(group, caption, path))
  return clips


def test_sounds_are_played_from_within_the_page(report, clips):
  text, page = report(sounds=clips)
  players = page.of('audio')
  assert [player['src'][:23] for player in players] == ['data:audio/flac;base64,'] * 4
  assert [base64.b64decode(player['src'][23:]) for player in players] == [clip.path.read_bytes() for clip in clips]
  assert all('controls' in player for player in players)
  assert [player['aria-label'] for player in players] == ['one: A', 'one: as B', 'two: A', f'{EVIL}: {EVIL}']
  assert page.texts['figcaption'][2:6] == ['A', 'as B', 'A', EVIL] and '<script' not in text
  cards = [attributes for attributes in page.of('div') if attributes.get('class') == 'card clips']
  assert len(cards) == 3 and {'one', 'two', EVIL} <= set(page.texts['h3'])
  assert 'outside this page' not in ' '.join(page.words)


def test_sounds_for_which_there_is_no_room_lie_beside_the_page(clips, tmp_path):
  each = 4 * 34  # characters of 100 bytes
  cards, note = players_of(clips, tmp_path, most_bytes=2 * each + 1)
  sources = [player['src'] for player in Page(cards).of('audio')]
  assert [source.startswith('data:') for source in sources] == [True, True, False, False]
  assert sources[2:] == ['figures/a%20b2.flac', 'figures/a%20b3.flac']
  assert sum(len(source.partition(',')[2]) for source in sources) == 2 * each
  assert note.startswith('2 of 4 sounds lie outside this page')
  assert players_of(clips, tmp_path, most_bytes=4 * each)[1] == ''
  assert players_of([], tmp_path) == ('', '')


def test_a_report_of_a_silent_run_has_no_players(report):
  _, page = report()
  assert not page.of('audio') and 'To listen to' not in page.words
