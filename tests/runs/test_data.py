"""A run knows its data again wherever they lie, works without them where no example is needed, and refuses others."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from command_line import error_of, run_command
from pictures import outputs
from PIL import Image
from small import MODEL, small_config
from tiny_runs import STEPS, train_run

import gen_jax
from gen_jax import build
from gen_jax.data.dataset import Units
from gen_jax.data.listing import path_hash
from gen_jax.errors import UserError
from gen_jax.evaluation.source import collect
from gen_jax.figures import planar
from gen_jax.figures.samples import sample
from gen_jax.runs.workdir import as_begun, check_same, claim_workdir, load_config

CLASSES = (*map(str, range(10)), '10')  # as text, '10' stands before '2'


def write_classes(root, names=CLASSES, number=6):
  """A folder of gray 8x8 images: those of class i have gray value 20 i + 20 and one pixel that tells them apart."""
  for c, name in enumerate(names):
    for i in range(number):
      pixels = np.full((8, 8), 20 * c + 20, np.uint8)
      pixels[0, 0] = i
      (root / name).mkdir(parents=True, exist_ok=True)
      Image.fromarray(pixels).save(root / name / f'{i}.png')
  return root


def config_of(folder, **changes):
  """A conditional VAE on a folder."""
  model = MODEL | {'latent_dim': 2, 'conditional': True}
  return small_config('digits', data={'name': str(folder)}, model=model, **STEPS | changes)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """(folder, workdir) of a run."""
  root = tmp_path_factory.mktemp('run')
  folder = write_classes(root / 'photos')
  train_run(config_of(folder), root / 'run')
  return folder, root / 'run'


@pytest.fixture
def copy(trained, tmp_path):
  """Copies of both, the config.json as if the run had begun on the copy."""
  folder, workdir = (shutil.copytree(path, tmp_path / path.name) for path in trained)
  text = (workdir / 'config.json').read_text().replace(str(trained[0]), str(folder))
  (workdir / 'config.json').write_text(text)
  return folder, workdir


def test_the_record_says_what_was_read(trained):
  record = json.loads((trained[1] / 'data.json').read_text())
  assert record['class_names'] == list(CLASSES) and record['features']['image']['shape'] == [8, 8, 1]
  sizes = {name: split['size'] for name, split in record['splits'].items()}
  assert sum(sizes.values()) == 66 and sum(record['splits']['train']['class_counts']) == sizes['train']
  assert record['what'] == f'the folder {trained[0]}' and len(record['fingerprint']) == 12


def test_paths_are_recorded_from_the_root(tmp_path, monkeypatch):
  write_classes(tmp_path / 'home' / 'photos', 'ab')
  monkeypatch.setenv('HOME', str(tmp_path / 'home'))
  monkeypatch.chdir(tmp_path / 'home')
  for name in ('~/photos', 'photos', './photos', '../home/photos/'):
    claim_workdir(tmp_path / name.replace('/', '_'), small_config('digits', data={'name': name}))
    assert load_config(tmp_path / name.replace('/', '_')).data.name == str(tmp_path / 'home' / 'photos')


def test_a_run_whose_data_are_gone_samples_encodes_and_decodes(copy):
  folder, workdir = copy
  expected = gen_jax.load(workdir)
  samples, labels = expected.sample(22), expected.source.data.fetch(np.arange(3))['label']
  shutil.rmtree(folder)
  run = gen_jax.load(workdir)
  np.testing.assert_array_equal(run.sample(22), samples)
  images = np.full((3, 8, 8), 100, np.uint8)
  np.testing.assert_array_equal(run.encode(images, labels), expected.encode(images, labels))
  for mode in ('sample', 'export', 'reconstruct', 'traverse'):  # the test images of figures are kept
    run_command(f'--workdir={workdir}', f'--mode={mode}')


def test_a_resampled_run_is_opened_with_nothing_but_its_record(tmp_path):
  rule = {'name': 'LatentRarity', 'positive': 2, 'share': 0.25}
  config = config_of(write_classes(tmp_path / 'photos'), resampling=rule)
  train_run(config, tmp_path / 'run')
  number = build.dataset(config, 'train').class_counts[2]
  shutil.rmtree(tmp_path / 'photos')
  assert gen_jax.load(tmp_path / 'run').state.data['weights'].shape == (number,)


def test_the_test_images_of_figures_are_those_of_the_data(copy):
  folder, workdir = copy
  there = collect(build_source(workdir).batches(256), images='image', labels='label')
  shutil.rmtree(folder)
  kept = collect(gen_jax.load(workdir).source.batches(256), images='image', labels='label')
  for name, values in there.items():
    np.testing.assert_array_equal(kept[name], values)


def build_source(workdir):
  """The test split without what the run keeps."""
  (workdir / 'examples.npz').rename(workdir / 'kept')
  try:
    source = gen_jax.load(workdir).source
    source.data.fetch(np.arange(1))
  finally:
    (workdir / 'kept').rename(workdir / 'examples.npz')
  return source


def test_what_needs_the_data_says_so_and_where_they_are_can_be_said(copy, capsys):
  folder, workdir = copy
  moved = folder.rename(folder.with_name('elsewhere'))
  source = gen_jax.load(workdir).source
  with pytest.raises(UserError, match=r'this needs the data of the run, the folder .*: there is no folder .*photos'):
    source.split('train').fetch(np.arange(1))
  evaluate = (f'--workdir={workdir}', '--mode=evaluate', '--config.evals=discriminator')
  message = error_of(capsys, *evaluate)
  assert 'needs a model that has logits' in message  # said before any example is asked for
  (workdir / 'examples.npz').unlink()
  evaluate = (f'--workdir={workdir}', '--mode=evaluate', '--config.evals=means')
  assert '--config.data.name says where they are now' in error_of(capsys, *evaluate)
  run_command(*evaluate, f'--config.data.name={moved}')


def test_data_that_are_named_are_looked_at_where_a_mode_needs_none(copy, capsys):
  folder, workdir = copy
  sample = (f'--workdir={workdir}', '--mode=sample', '--number=2')
  moved = folder.rename(folder.with_name('elsewhere'))
  run_command(*sample, f'--config.data.name={moved}')
  changed = moved.rename(folder.with_name('changed'))
  add_class(changed)
  assert 'holds other data than the run' in error_of(capsys, *sample, f'--config.data.name={changed}')


def add_class(folder):
  write_classes(folder, ['11'])


def add_images(folder):
  for i in range(6, 9):  # not all of them validate or test
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / '3' / f'{i}.png')


def enlarge(folder):
  for path in folder.rglob('*.png'):
    Image.open(path).resize((9, 9)).save(path)


def rename(folder):
  """One file, such that it stays in its split."""
  names = (f'0/other{i}.png' for i in range(100))
  name = next(name for name in names if path_hash(name) % 10 == path_hash('0/0.png') % 10)
  (folder / '0/0.png').rename(folder / name)


def change_a_pixel(folder):
  for path in folder.rglob('*.png'):
    image = Image.open(path)
    image.putpixel((3, 3), 0)
    image.save(path)


@pytest.mark.parametrize(
  ('change', 'expected'),
  [
    (add_class, 'classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 then, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 now'),
    (add_images, 'train: 56 examples then'),
    (enlarge, 'image: images 8x8, gray then, images 9x9, gray now'),
    (rename, 'other names of files'),
    (change_a_pixel, 'train: other content'),
  ],
)
def test_data_that_have_changed_are_refused_with_what_differs(copy, change, expected):
  folder, workdir = copy
  before = (workdir / 'config.json').read_bytes()
  change(folder)
  with pytest.raises(UserError, match=r'holds other data than the run in .* began with') as error:
    claim_workdir(workdir, config_of(folder, log_every=1))
  assert expected in str(error.value) and '\n' not in str(error.value)
  assert (workdir / 'config.json').read_bytes() == before
  run = gen_jax.load(workdir)  # what needs none of them goes on
  assert run.sample(3).shape == (3, 8, 8, 1)
  splits = [run.source.split(name) for name in ('train', 'validation', 'test')]
  with pytest.raises(UserError, match='holds other data than the run began with'):
    for split in splits:
      split.fetch(np.arange(split.size))


def test_a_run_goes_on_with_its_data_elsewhere_and_with_no_others(copy):
  folder, workdir = copy
  moved = folder.rename(folder.with_name('elsewhere'))
  claim_workdir(workdir, config_of(moved))
  assert load_config(workdir).data.name == str(moved)
  other = write_classes(moved.with_name('other'), number=7)
  with pytest.raises(UserError, match='holds other data than the run'):
    claim_workdir(workdir, config_of(other))


def test_a_run_without_a_record_keeps_its_classes_in_the_order_of_their_texts(copy, capsys):
  folder, workdir = copy
  (workdir / 'data.json').unlink()
  (workdir / 'examples.npz').unlink()
  config = json.loads((workdir / 'config.json').read_text())
  del config['data']['class_order']
  config['data'] |= {'train_split': 'train[:90%]', 'validation_split': 'train[90%:]', 'test_split': 'test'}
  (workdir / 'config.json').write_text(json.dumps(config))
  run = gen_jax.load(workdir)
  assert run.source.data.class_names == ('0', '1', '10', '2', '3', '4', '5', '6', '7', '8', '9')
  assert run.class_number('10') == 2
  again = as_begun(workdir, config_of(folder))  # the same command
  check_same(workdir, load_config(workdir), again)
  record = claim_workdir(workdir, again)
  assert record.class_names[2] == '10' and any('in the order of their texts' in note for note in record.notes)
  assert gen_jax.load(workdir).source.data.class_names == record.class_names
  assert build.dataset(config_of(folder), 'train').class_names == CLASSES  # a new run


def test_damaged_records_are_named(copy):
  _, workdir = copy
  record = (workdir / 'data.json').read_text()
  for text in ('{', '[]', '{}', record.replace('"splits"', '"spilts"')):
    (workdir / 'data.json').write_text(text)
    with pytest.raises(UserError, match=r'data.json is damaged'):
      gen_jax.load(workdir)
  (workdir / 'data.json').write_text(record)
  (workdir / 'examples.npz').write_bytes(b'no archive')
  with pytest.raises(UserError, match=r'examples.npz is damaged'):
    gen_jax.load(workdir)


def test_classes_are_asked_for_by_name_or_number(trained):
  run = gen_jax.load(trained[1])
  np.testing.assert_array_equal(run.sample(3, label='10'), run.sample(3, label=10))
  assert np.any(run.sample(3, label='10') != run.sample(3, label='2'))
  images = np.full((2, 8, 8), 100, np.uint8)
  np.testing.assert_array_equal(run.encode(images, ['10', '3']), run.encode(images, [10, 3]))
  with pytest.raises(UserError, match='--label=11: VAE has classes 0 to 10'):
    run.sample(3, label='11')


def test_built_in_data_are_always_there(run_of):
  run = run_of('vae')
  record = json.loads((run.workdir / 'data.json').read_text())
  assert not record['in_files'] and record['splits']['test'] == {
    'size': 200, 'names': '', 'content': '', 'class_counts': [20] * 10,
  }  # fmt: skip
  assert run.source.data.arrays is not None and not (run.workdir / 'examples.npz').exists()


def test_points_are_sampled_and_drawn_in_the_units_of_their_user(run_of, monkeypatch):
  run = run_of('plane')
  plain = run.sample(50)
  units = Units((500.0, -3.0), (40.0, 0.1), ('height', 'weight'))
  source = dataclasses.replace(run.source, data=run.source.data._replace(units=units))
  run = dataclasses.replace(run, source=source)
  np.testing.assert_allclose(run.sample(50), units.offset + np.array(units.scale) * plain, rtol=1e-5)
  np.testing.assert_array_equal(outputs(sample, run, number=50)['samples', 'npz']['points'], run.sample(50))
  monkeypatch.setattr(planar, 'POINTS', 50)
  made = outputs(planar.points, run)
  for name, place in (('points', 0), ('surface', 0), ('transform', 1)):
    axes = made[name].content.axes[place]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ('height', 'weight')
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert 300 < left < 500 < right < 700 and -4 < bottom < -3 < top < -2
  np.testing.assert_allclose(made['points'].content.axes[0].collections[1].get_offsets(), run.sample(50), rtol=1e-4)
