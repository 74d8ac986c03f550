import os

import pytest
from PIL import Image

from gen_jax.plots import canvas


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
  path = tmp_path / 'new_folder' / 'a.bin'
  canvas.write_bytes(path, b'old')

  def broken(*_):
    raise OSError('disk full')

  monkeypatch.setattr(os, 'replace', broken)
  with pytest.raises(OSError, match='disk full'):
    canvas.write_bytes(path, b'new')
  assert path.read_bytes() == b'old'
  assert os.listdir(path.parent) == ['a.bin']


def test_a_saved_figure_is_a_png_of_its_size(tmp_path):
  canvas.save_figure(tmp_path / 'a.png', canvas.new_figure(2, 1))
  with Image.open(tmp_path / 'a.png') as image:
    assert image.format == 'PNG'
    assert image.size == (2 * canvas.DPI, canvas.DPI)


def test_text_width_adds_up():
  assert canvas.text_width('', 10) == canvas.text_width('  ', 10) == 0
  assert canvas.text_width('mm', 20) == pytest.approx(2 * canvas.text_width('mm', 10), rel=0.02)
  assert canvas.text_width('word', 10, 'bold') > canvas.text_width('word', 10)
