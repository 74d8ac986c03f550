"""--mode=translate: names, sizes, both directions, and what it refuses."""

import numpy as np
import pytest
from command_line import error_of, run_command
from PIL import Image

from gen_jax.data.image_files import decode
from gen_jax.errors import UserError
from gen_jax.runs.translation import pad_to_multiple

SIZES = {'b.png': (16, 16), 'a.jpg': (13, 27), 'deeper/c.png': (5, 4), 'deeper/d.png': (16, 16)}  # heights and widths


@pytest.fixture
def folder(tmp_path):
  """Gray images of several sizes."""
  for i, (name, shape) in enumerate(SIZES.items()):
    path = tmp_path / 'mine' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(i).integers(0, 256, shape).astype(np.uint8)).save(path)
  return tmp_path / 'mine'


def pixels(path):
  with Image.open(path) as image:
    return np.asarray(image)


def test_padding_mirrors_and_is_taken_back():
  image = np.arange(5 * 3 * 2).reshape(5, 3, 2)
  padded, place = pad_to_multiple(image, 4)
  assert padded.shape == (8, 4, 2)
  np.testing.assert_array_equal(padded[place], image)
  np.testing.assert_array_equal(padded[0, : image.shape[1]], image[1])  # one row above, the border not repeated
  assert pad_to_multiple(image, 1)[0].shape == image.shape
  assert pad_to_multiple(image[:1, :1], 8)[0].shape == (8, 8, 2)  # larger than itself


def test_images_keep_their_names_and_sizes(run_of, folder, tmp_path, capsys):
  run, out = run_of('pix2pix'), tmp_path / 'out'
  run_command(f'--workdir={run.workdir}', '--mode=translate', f'--input={folder}', f'--output={out}')
  assert '4 images translated to side b' in capsys.readouterr().out
  names = sorted(str(path.relative_to(out)) for path in out.rglob('*.png'))
  assert names == ['a.png', 'b.png', 'deeper/c.png', 'deeper/d.png']
  order = sorted(SIZES)
  expected = run.translate([decode(folder / name, 'L', 0) for name in order])
  for name, image in zip(order, expected, strict=True):
    assert image.shape == (*SIZES[name], 1) and image.dtype == np.uint8
    np.testing.assert_array_equal(pixels((out / name).with_suffix('.png')), image[..., 0])


def test_a_translation_does_not_depend_on_other_images(run_of):
  run = run_of('cyclegan')
  images = [np.random.default_rng(i).integers(0, 256, (16, 20, 3)).astype(np.uint8) for i in range(3)]
  together, alone = run.translate(images), run.translate(images[2:])
  np.testing.assert_array_equal(together[2], alone[0])


def test_both_directions_and_the_way_back(run_of, tmp_path):
  run, image = run_of('cyclegan'), np.random.default_rng(0).integers(0, 256, (10, 12, 3)).astype(np.uint8)
  Image.fromarray(image).save(tmp_path / 'one.bmp')
  out = tmp_path / 'out'
  arguments = f'--workdir={run.workdir}', '--mode=translate', f'--input={tmp_path / "one.bmp"}', f'--output={out}'
  run_command(*arguments, '--to=a', '--round_trip')
  (there,) = run.translate([image], to='a')
  (back,) = run.translate([there], to='b')
  np.testing.assert_array_equal(pixels(out / 'one.png'), there)
  np.testing.assert_array_equal(pixels(out / 'one_back.png'), back)


def test_a_size_to_translate_at(run_of, tmp_path):
  run, out = run_of('cyclegan'), tmp_path / 'out'
  Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / 'one.png')
  arguments = f'--workdir={run.workdir}', '--mode=translate', f'--input={tmp_path / "one.png"}', f'--output={out}'
  run_command(*arguments, '--size=16')
  assert pixels(out / 'one.png').shape == (40, 60, 3)


def test_what_cannot_be_translated_is_one_line(run_of, folder, tmp_path, capsys):
  run, out = run_of('pix2pix'), tmp_path / 'out'

  def error(*arguments, mine=folder):
    common = f'--workdir={run.workdir}', '--mode=translate', f'--input={mine}', f'--output={out}'
    return error_of(capsys, *common, *arguments)

  assert 'Pix2Pix translates to b' in error('--to=a') and 'Pix2Pix translates to b' in error('--to=c')
  assert 'Pix2Pix translates to b' in error('--round_trip')
  assert 'there is no such file or folder' in error(mine=tmp_path / 'none')
  (tmp_path / 'empty').mkdir()
  assert 'no images' in error(mine=tmp_path / 'empty')
  assert 'needs --input' in error_of(capsys, f'--workdir={run.workdir}', '--mode=translate')
  assert 'needs a model that has translate_to_b' in error_of(
    capsys, f'--workdir={run_of("vae").workdir}', '--mode=translate', f'--input={folder}', f'--output={out}'
  )
  assert not out.exists()
  (folder / 'b.jpg').write_bytes((folder / 'a.jpg').read_bytes())
  assert 'two images would be written to' in error()


def test_files_that_cannot_be_read_are_left_out_where_that_is_asked_for(run_of, folder, tmp_path, capsys):
  run, out = run_of('pix2pix'), tmp_path / 'out'
  (folder / 'b.png').write_bytes((folder / 'b.png').read_bytes()[:60])
  arguments = f'--workdir={run.workdir}', '--mode=translate', f'--input={folder}', f'--output={out}'
  line = error_of(capsys, *arguments)
  assert 'b.png cannot be read as an image' in line and 'leave such files out by --skip_unreadable' in line
  run_command(*arguments[:3], f'--output={out}2', '--skip_unreadable')
  shown = capsys.readouterr()
  assert 'left out: ' in shown.err and '3 images translated to side b; 1 left out' in shown.out
  line = error_of(capsys, *arguments[:3], f'--output={out}2', '--skip_unreadable')
  assert 'is there already, and would be written over' in line


def test_arrays_of_another_kind_are_refused(run_of):
  run = run_of('cyclegan')
  with pytest.raises(UserError, match=r'images must be uint8 \[H,W,3\], of 0 to 255, not float32 \[4, 4, 3\]'):
    run.translate([np.zeros((4, 4, 3), np.float32)])
  with pytest.raises(UserError, match=r'not uint8 \[4, 4, 1\]'):
    run.translate([np.zeros((4, 4, 1), np.uint8)])
  with pytest.raises(UserError, match='CycleGAN translates to b or a'):
    run.translate([], to='c')
