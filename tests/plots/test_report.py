import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from gen_jax.plots import canvas, grids
from gen_jax.plots.report import format_number, write_report

VOID = {'meta', 'img', 'br'}
EVIL = '<script>alert("x") & \'y\'</script>'


class Page(HTMLParser):
  """Checks that tags nest, and gathers attributes and text."""

  def __init__(self, text):
    super().__init__()
    self.open, self.tags, self.words = [], [], []
    self.feed(text)
    self.close()
    assert not self.open

  def handle_starttag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))
    if tag not in VOID:
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    if not {'style', 'script'} & set(self.open):
      self.words.append(data)


@pytest.fixture
def report(tmp_path):
  """Writes a report and parses it."""
  image = np.random.default_rng(0).integers(0, 255, (9, 7, 3), dtype=np.uint8)
  (tmp_path / 'tiny.png').write_bytes(grids.png_bytes(image, scale=1))
  (tmp_path / 'plot.png').write_bytes(canvas.png(canvas.new_figure(6, 2)))

  def write(**changes):
    arguments = {
      'title': 'a run',
      'command': 'python launch.py --workdir=w',
      'config': {'seed': 3, 'empty': {}, 'model': {'name': 'VAE', 'encoder': {'features': (32, 64)}}},
      'evaluation': {
        'validation': {'elbo': -99.123456},
        'test': {'elbo': -98.0, 'kl_dim': [1.5, 0.25], 'deep': {'a': 7}},
      },
      'records': [{'step': 5, 'elbo': -200.0}, {'step': 1234, 'elbo': -100.0}],
      'figures': [('samples', tmp_path / 'tiny.png'), ('a plot', tmp_path / 'plot.png')],
    }
    write_report(tmp_path / 'report.html', **(arguments | changes))
    text = (tmp_path / 'report.html').read_text()
    return text, Page(text)

  return write


def images(page):
  return [attributes for tag, attributes in page.tags if tag == 'img']


def test_report_holds_every_figure_and_refers_to_nothing(report, tmp_path):
  text, page = report()
  assert len(images(page)) == 3  # two figures and the curves
  data = [base64.b64decode(image['src'].removeprefix('data:image/png;base64,')) for image in images(page)]
  assert data[0] == (tmp_path / 'tiny.png').read_bytes()
  assert data[1] == (tmp_path / 'plot.png').read_bytes()
  with Image.open(io.BytesIO(data[2])) as curves:
    curves.load()
  assert not re.search(r'https?://|url\(|@import|<link|<script|href=', text)
  assert all(value.startswith('data:') for value in re.findall(r'src\s*=\s*["\']?([^"\'>\s]*)', text))
  assert [image['alt'] for image in images(page)[:2]] == ['samples', 'a plot']


def test_tiny_images_are_stretched_and_figures_keep_their_printed_size(report):
  _, page = report()
  tiny, plot, _ = images(page)
  assert (tiny['class'], tiny['width']) == ('pixels', '600')
  assert 'class' not in plot
  assert int(plot['width']) == 6 * 96


def test_report_tells_the_numbers(report):
  _, page = report()
  words = ' '.join(' '.join(page.words).split())
  for part in (
    'a run',
    '-98.00',
    '-99.12',
    '1.500, 0.2500',
    'deep / a',
    '1,234',
    'encoder.features',
    '(32, 64)',
  ):
    assert part in words
  assert 'python launch.py --workdir=w' in words
  assert words.index('-98.00') < words.index('-99.12')  # the test split makes the headline


def test_everything_is_escaped(report, tmp_path):
  text, page = report(
    title=EVIL,
    command=EVIL,
    config={EVIL: EVIL, 'group': {EVIL: EVIL}},
    evaluation={EVIL: {EVIL: EVIL}, 'test': {EVIL: 1.0}},
    figures=[(EVIL, tmp_path / 'tiny.png')],
  )
  assert '<script' not in text
  assert not [tag for tag, _ in page.tags if tag == 'script']
  assert images(page)[0]['alt'] == EVIL
  assert page.words.count(EVIL) >= 6


def test_a_report_of_almost_nothing(report):
  text, page = report(config={}, evaluation={}, records=[], figures=[])
  assert not images(page)
  assert '<h2>Evaluation' not in text
  _, page = report(evaluation={'elbo': float('nan')}, records=[{'step': 1, 'elbo': float('inf')}])
  assert 'nan' in page.words


@pytest.mark.parametrize(
  ('value', 'text'),
  [
    (0.0, '0'),
    (-98.1234, '-98.12'),
    (0.18056, '0.1806'),
    (1234567, '1,234,567'),
    (52034.7, '52,035'),
    (3.2e-5, '3.200e-05'),
    (float('inf'), 'inf'),
    (True, 'True'),
    ('text', 'text'),
    (np.float32(1.5), '1.500'),
    (np.array([1, 2]), '1, 2'),
  ],
)
def test_numbers_read_well(value, text):
  assert format_number(value) == text
