import io
import re

import chex
import jax
import numpy as np
import pytest
from PIL import Image
from small import random_variables, small_config
from sources import digits_like_mnist

from gen_jax import build, randomness
from gen_jax.data.dataset import from_arrays
from gen_jax.data.preprocess import bernoulli
from gen_jax.data.sets import tfds
from gen_jax.errors import UserError
from gen_jax.evaluation import extractors
from gen_jax.evaluation.extractors import __main__ as command
from gen_jax.evaluation.source import Source


@pytest.fixture(autouse=True)
def nothing_remembered():
  extractors.load.cache_clear()
  yield
  extractors.load.cache_clear()


@pytest.fixture
def cache(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  return tmp_path / 'cache' / 'gen_jax' / 'extractors'


def untrained(kind, shape=(8, 8, 1), classes=3):
  return random_variables(extractors.NETWORKS[kind](classes).init, extractors.image_of(shape), scale=0.2)['params']


def test_the_shipped_weights_are_those_of_the_hashes_and_small():
  for name, digest in extractors.SHIPPED.items():
    data_name, _, kind = name.rpartition('-')
    path = extractors.find(kind, data_name)
    extractor = extractors.load(kind, data_name)
    assert extractor.hash == digest == extractors.digest_of(path.read_bytes())
    assert (extractor.name, extractor.classes, extractor.image_shape) == (name, 10, (28, 28, 1))
  of_fashion = [extractors.find(kind, 'fashion_mnist') for kind in extractors.NETWORKS]
  assert sum(path.stat().st_size for path in of_fashion) < 500e3
  assert extractors.load().hash == 'e9ddf0e0c245'  # of all numbers that class_agreement has given


@pytest.mark.parametrize(('kind', 'gray', 'binary'), [('cnn', 0.92, 0.66), ('lenet', 0.75, 0.66)])
def test_digits_they_have_never_seen_are_named_right(kind, gray, binary):
  images, labels = digits_like_mnist('train')
  extractor = extractors.load(kind)
  classes = extractor.classify(images)
  assert (classes == labels).mean() > gray  # measured: .943 and .792, chance .1
  # measured: .713 and .704, as most of their pixels are gray
  assert (extractor.classify(bernoulli(randomness.key(0), images)) == labels).mean() > binary
  # each digit, so that none of the logits stands in another's place
  assert min((classes[labels == c] == c).mean() for c in range(10)) > 0.2


@pytest.mark.parametrize(('kind', 'width'), [('cnn', 128), ('lenet', 84)])
def test_shapes_and_that_an_image_is_judged_alone(kind, width, monkeypatch):
  images, _ = digits_like_mnist('train')
  extractor = extractors.load(kind)
  logits, features = extractor.outputs(images[:7])
  assert logits.shape == (7, 10) and features.shape == (7, width)
  assert np.isfinite(logits).all() and features.std() > 0.1
  assert features.min() >= 0 if kind == 'cnn' else abs(features).max() <= 1
  np.testing.assert_allclose(extractor.features(images[4:5]), features[4:5], rtol=1e-4, atol=1e-4)
  monkeypatch.setattr(extractors, 'BATCH', 3)  # parts of 3, 3 and 1
  np.testing.assert_allclose(extractor.features(images[:7]), features, rtol=1e-4, atol=1e-4)
  np.testing.assert_array_equal(extractor.classify(images[:7]), logits.argmax(-1))
  dense = extractor.params['Dense_1' if kind == 'cnn' else 'Dense_2']
  np.testing.assert_allclose(logits, features @ dense['kernel'] + dense['bias'].reshape(1, -1), rtol=1e-4, atol=1e-4)
  assert extractor.features(images[:0]).shape == (0, width)


@pytest.mark.parametrize('kind', ['cnn', 'lenet'])
@pytest.mark.parametrize('shape', [(8, 8, 1), (11, 12, 1), (28, 28, 1), (32, 32, 3)])
def test_networks_are_sized_by_the_data(kind, shape):
  params = untrained(kind, shape, classes=5)
  extractor = extractors.unpack('x', kind, extractors.pack(params, shape))
  assert (extractor.classes, extractor.image_shape) == (5, shape)
  logits, features = extractor.outputs(np.full((2, *shape), 0.5))
  assert logits.shape == (2, 5) and np.isfinite(features).all()
  chex.assert_trees_all_close(extractor.params, params, rtol=1e-3, atol=1e-6)  # float16


def test_other_images_are_refused():
  extractor = extractors.load()
  for images, message in (
    (np.zeros((2, 32, 32, 3)), '28x28x1, not 32x32x3'),
    (np.zeros((28, 28, 1)), '28x28x1'),
    (np.full((2, 28, 28, 1), -1.0), r'in \[0, 1\]'),
    (np.full((2, 28, 28, 1), 255.0), r'in \[0, 1\]'),
    (np.full((2, 28, 28, 1), np.nan), r'in \[0, 1\]'),
  ):
    with pytest.raises(UserError, match=message):
      extractor.features(images)


def test_where_weights_are_looked_for(cache, tmp_path):
  shipped = extractors.find('cnn', 'mnist')
  assert shipped.is_file() and shipped.parent == extractors.find('cnn', 'other', 'mnist').parent
  assert extractors.find('lenet', 'emnist/letters') == cache / 'emnist-letters-lenet.npz'
  assert extractors.find('cnn', '/data/my faces') == cache / 'data-my-faces-cnn.npz'
  assert extractors.find('cnn', 'digits', f'{tmp_path}/cifar10') == tmp_path / 'cifar10-cnn.npz'
  assert extractors.find('cnn', 'digits', f'{tmp_path}/') == tmp_path / 'digits-cnn.npz'
  assert extractors.find('cnn', 'mnist', f'{tmp_path}/mnist') == tmp_path / 'mnist-cnn.npz'  # not the shipped ones


def test_missing_other_and_damaged_weights_are_one_line(cache, tmp_path):
  with pytest.raises(UserError, match=r'x-cnn.npz cannot be read .*`python -m gen_jax.evaluation.extractors x`'):
    extractors.load('cnn', 'x')
  where = f'{tmp_path}/x'
  with pytest.raises(UserError, match=f'`python -m gen_jax.evaluation.extractors x --folder={tmp_path}`'):
    extractors.load('lenet', 'y', where)
  data = extractors.pack(untrained('lenet'), (8, 8, 1))
  path = tmp_path / 'x-lenet.npz'
  path.write_bytes(data)
  digest = extractors.digest_of(data)
  assert extractors.load('lenet', 'y', where).hash == extractors.load('lenet', 'y', where, digest).hash == digest
  with pytest.raises(UserError, match=f'x-lenet.npz has the hash {digest}, not 0123456789ab: train it'):
    extractors.load('lenet', 'y', where, '0123456789ab')
  pickled = io.BytesIO()
  np.savez(pickled, image_shape=np.array([print], dtype=object))
  other = extractors.pack(untrained('cnn'), (8, 8, 1))
  larger = extractors.pack(untrained('lenet'), (28, 28, 1))
  infinite = extractors.pack(jax.tree.map(lambda x: x + np.inf, untrained('lenet')), (8, 8, 1))
  for damaged in (data[:1000], b'', b'no archive', pickled.getvalue(), other, larger, infinite):
    extractors.load.cache_clear()
    path.write_bytes(damaged)
    with pytest.raises(UserError, match=r'x-lenet.npz is damaged: train it') as error:
      extractors.load('lenet', 'y', where)
    assert '\n' not in str(error.value)


def test_weights_beside_the_shipped_ones_need_no_known_hash(monkeypatch, tmp_path):
  monkeypatch.setattr(extractors, '__file__', str(tmp_path / '__init__.py'))
  (tmp_path / 'mine-lenet.npz').write_bytes(extractors.pack(untrained('lenet'), (8, 8, 1)))
  assert extractors.load('lenet', 'mine', f'{tmp_path}/mine').classes == 3


def test_the_command_that_is_named_can_be_pasted(cache, tmp_path):
  message = f"`python -m gen_jax.evaluation.extractors 'my faces' --folder='{tmp_path}/my weights'`"
  with pytest.raises(UserError, match=re.escape(message)):
    extractors.load('cnn', 'my faces', f'{tmp_path}/my weights/')


def test_shipped_weights_that_were_changed_are_refused(monkeypatch):
  monkeypatch.setitem(extractors.SHIPPED, 'mnist-cnn', '0123456789ab')
  with pytest.raises(UserError, match=r'mnist-cnn.npz has the hash e9ddf0e0c245, not 0123456789ab: restore it'):
    extractors.load('cnn', 'mnist')


def test_half_of_a_gray_batch_is_binarized_and_all_of_it_moves_a_little():
  images = np.zeros((40, 28, 20, 1), np.uint8)
  images[:, 14, 10] = 255
  images[:, 10:12] = 128
  seen = np.asarray(command.augment(images, 256, randomness.key(0)))
  assert seen.shape == images.shape
  binary = np.isin(seen, (0, 1)).all((1, 2, 3))
  assert binary[:20].all() and not binary[20:].any()
  places = {tuple(np.argwhere(image[..., 0] == 1)[0]) for image in seen[20:]}
  assert len(places) > 5 and all(12 <= row <= 16 and 8 <= column <= 12 for row, column in places)
  colored = np.asarray(command.augment(np.repeat(images, 3, axis=-1), 256, randomness.key(0)))
  assert not np.isin(colored, (0, 1)).all((1, 2, 3)).any()


def test_the_command_trains_both_for_a_set_of_another_size(cache, capsys, monkeypatch):
  monkeypatch.setattr(command, 'BATCH', 64)
  monkeypatch.setattr(command, 'EPOCHS', 6)
  assert command.main(['extractors', 'digits']) == 0
  lines = capsys.readouterr().out.splitlines()
  for kind, line in zip(extractors.NETWORKS, lines, strict=True):
    extractor = extractors.load(kind, 'digits')
    assert (extractor.image_shape, extractor.classes) == ((8, 8, 1), 10)
    message, accuracy = line.split(' as they are ')
    assert message == f'{cache / f"digits-{kind}.npz"}: hash {extractor.hash}; accuracy on test'
    assert float(accuracy[:6]) > {'cnn': 0.4, 'lenet': 0.7}[kind]  # measured: .54 and .825, chance .1


def test_what_the_command_cannot_do_is_one_line(cache, capsys, tmp_path, monkeypatch):
  assert command.main(['extractors', 'mnist', str(tmp_path)]) == 2
  message = capsys.readouterr().err
  assert message.startswith('error: mnist is not prepared') and message.count('\n') == 1
  rows = {'image': np.zeros((4, 8, 8, 1), np.uint8)}
  monkeypatch.setattr(build, 'dataset', lambda *_: from_arrays(rows))
  assert command.main(['extractors', 'faces']) == 2
  message = capsys.readouterr().err
  assert message.startswith('error: faces has no labels, and an extractor learns to name classes: ')
  assert '--config.extractors=NAME (mnist or fashion_mnist)' in message and message.count('\n') == 1
  monkeypatch.setattr(build, 'dataset', lambda *_: from_arrays(rows, num_classes=2)._replace(arrays=None))
  assert command.main(['extractors', 'faces']) == 2
  assert 'does not fit in 8192 MiB' in capsys.readouterr().err
  assert not cache.exists()
  monkeypatch.setattr(build, 'dataset', lambda *_: from_arrays(rows | {'label': np.arange(4) % 2}, num_classes=2))
  (tmp_path / 'file').touch()
  assert command.main(['extractors', 'faces', f'--folder={tmp_path}/file']) == 2
  assert capsys.readouterr().err == f'error: --folder={tmp_path}/file cannot be written: File exists\n'


def test_a_few_images_in_the_order_of_their_classes_are_all_learned(cache, monkeypatch):
  labels = np.repeat(np.arange(3), 12)
  images = np.zeros((36, 8, 8, 1), np.uint8)
  images[np.arange(36), 2 * labels] = 255  # a bright line, whose row is the class
  monkeypatch.setattr(build, 'dataset', lambda *_: from_arrays({'image': images, 'label': labels}, num_classes=3))
  monkeypatch.setattr(command, 'EPOCHS', 60)
  monkeypatch.setattr(extractors, 'NETWORKS', {'lenet': extractors.LeNet})
  assert command.main(['extractors', 'lines']) == 0
  np.testing.assert_array_equal(extractors.load('lenet', 'lines').classify(images / 255), labels)


def write_lines(folder, rows=(0, 3)):
  """A folder of gray 8x8 images of two classes: a bright line at the top, or below."""
  for name, row in (('top', rows[0]), ('below the top', rows[1])):
    (folder / name).mkdir(parents=True)
    for i in range(12):
      pixels = np.zeros((8, 8), np.uint8)
      pixels[row], pixels[7, 7] = 255, i
      Image.fromarray(pixels).save(folder / name / f'{i}.png')
  return folder


def source_of(folder, **changes):
  config = small_config(data={'name': str(folder), **changes})
  return Source.of(config, build.dataset(config, 'test'))


def test_extractors_of_own_images_are_found_by_what_these_are(cache, tmp_path, monkeypatch):
  monkeypatch.setattr(command, 'EPOCHS', 1)
  monkeypatch.setattr(extractors, 'NETWORKS', {'lenet': extractors.LeNet})
  folder = write_lines(tmp_path / 'here' / 'lines')
  monkeypatch.chdir(folder.parent)
  assert command.main(['extractors', 'lines']) == 0
  (path,) = cache.iterdir()
  assert re.fullmatch(r'folder-[0-9a-f]{12}-lenet.npz', path.name)
  moved = folder.rename(tmp_path / 'moved')
  for source in (source_of(moved), source_of(moved, size=4), source_of(moved, class_order='text', resident_mib=0)):
    extractor = extractors.of_source('lenet', source)
    assert extractor.class_names == ('below the top', 'top') and extractor.class_words == ['below-the-top', 'top']
  other = write_lines(tmp_path / 'there' / 'lines', (6, 3))
  message = rf'folder-.*-lenet.npz cannot be read .*`python -m gen_jax.evaluation.extractors {other}`'
  with pytest.raises(UserError, match=message):
    extractors.of_source('lenet', source_of(other))
  monkeypatch.chdir(other.parent)  # a folder of the same name
  former = cache / 'lines-lenet.npz'  # as its extractor was once called
  former.write_bytes(extractors.pack(untrained('lenet'), (8, 8, 1)))
  extractors.load.cache_clear()
  with pytest.raises(UserError, match=f'; if {former} is of these images, that is --config.extractors=lines'):
    extractors.of_source('lenet', source_of('lines'))
  config = small_config(data={'name': 'lines'}, extractors='lines')
  assert extractors.of_source('lenet', Source.of(config, build.dataset(config, 'test'))).classes == 3


def test_classes_of_an_extractor_are_those_of_the_data_by_name():
  data = extractors.pack(untrained('lenet'), (8, 8, 1), ('0', '1', '10'))
  extractor = extractors.unpack('x', 'lenet', data)
  assert extractor.in_order_of(('0', '10', '1')) == [0, 2, 1] and extractor.in_order_of(('a', 'b', 'c')) == [0, 1, 2]
  assert extractors.unpack('x', 'lenet', extractors.pack(untrained('lenet'), (8, 8, 1))).class_words == ['0', '1', '2']
  alike = extractors.unpack('x', 'lenet', extractors.pack(untrained('lenet'), (8, 8, 1), ('a b', 'a/b', '...')))
  assert alike.class_words == ['a-b-0', 'a-b-1', '...']
  with pytest.raises(AssertionError):
    extractors.unpack('x', 'lenet', extractors.pack(untrained('lenet'), (8, 8, 1), ('a', 'b')))


def test_only_good_weights_are_kept_and_the_shipped_ones_stay(cache, capsys, tmp_path, monkeypatch):
  images, labels = digits_like_mnist('train')
  arrays = {'image': np.asarray(images * 255).astype(np.uint8)[:200], 'label': labels[:200]}
  monkeypatch.setattr(build, 'dataset', lambda *_: from_arrays(arrays, num_classes=10))
  good = {kind: extractors.load(kind) for kind in extractors.NETWORKS}
  monkeypatch.setattr(command, 'fit', lambda kind, *_: good[kind].params)
  assert command.main(['extractors', f'--folder={tmp_path / "made"}']) == 2
  assert 'below 0.98, so it is not written' in capsys.readouterr().err and not any((tmp_path / 'made').iterdir())
  monkeypatch.setitem(command.LEAST_ACCURACY, 'mnist', 0.3)
  assert command.main(['extractors', f'--folder={tmp_path / "made"}']) == 0
  written = extractors.load('cnn', 'mnist', f'{tmp_path}/made/mnist')
  chex.assert_trees_all_equal(written.params, good['cnn'].params)
  assert f'hash {written.hash}' in capsys.readouterr().out
  assert extractors.load().hash == good['cnn'].hash and not cache.exists()


@pytest.mark.data
@pytest.mark.slow  # the hashes of the weights are tested always
@pytest.mark.parametrize(
  ('name', 'kind', 'gray', 'binary'),  # measured
  [
    ('mnist', 'cnn', 0.9937, 0.9911),
    ('mnist', 'lenet', 0.9867, 0.9825),
    ('fashion_mnist', 'cnn', 0.8933, 0.8610),
    ('fashion_mnist', 'lenet', 0.8912, 0.8208),
  ],
)
def test_accuracy_on_the_test_images(name, kind, gray, binary):
  try:
    test = tfds.load(name, 'test', None, 2**30).arrays
  except UserError as error:
    pytest.skip(str(error))
  results = command.accuracies(extractors.load(kind, name), test['image'].astype(np.float32) / 255, test['label'])
  assert results['as they are'] == pytest.approx(gray, abs=5e-4)
  assert results['binarized'] == pytest.approx(binary, abs=2e-3)
