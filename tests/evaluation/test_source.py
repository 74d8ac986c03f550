
import jax.numpy as jnp
import numpy as np
import pytest
from small import small_config, write_images
from sources import padded_batches

from gen_jax import build
from gen_jax.distributions import Normal
from gen_jax.errors import UserError
from gen_jax.evaluation.source import EVALUATION_BATCH, Source, collect, without_padding


def source_of(examples=0, split='test', name='digits', **data):
  config = small_config(name, sample_count=7, data=data)
  return Source.of(config, build.dataset(config, split), examples)


def rows_of(batches):
  """(rows that are no padding, their indices in the data set)."""
  results = collect(batches, image='image', index='index')
  return results['image'], results['index']


def test_it_knows_the_data_and_what_may_differ_on_a_finished_run():
  source = source_of(value_range=(-1.0, 1.0))
  assert (source.name, source.value_range, source.data.size) == ('digits', (-1.0, 1.0), 200)
  assert source.settings.sample_count == source.settings['sample_count'] == 7
  assert {'importance_samples', 'extractors', 'inception_weights'} <= set(source.settings)
  assert not {'seed', 'model', 'data', 'optimizer'} & set(source.settings)  # the rest of the config is not its business


def test_batches_are_of_the_split_and_of_its_examples():
  whole, index = rows_of(source_of().batches())
  assert whole.shape == (200, 8, 8, 1) and index.tolist() == list(range(200))
  source = source_of(examples=30)
  (batch,) = source.batches()
  assert len(batch['mask']) == EVALUATION_BATCH and batch['mask'].sum() == 30
  some, index = rows_of(source.batches())
  np.testing.assert_array_equal(some, whole[index])
  np.testing.assert_array_equal(rows_of(source.batches())[1], index)  # always the same ones
  assert len(rows_of(source.batches(12))[0]) == 12 and len(rows_of(source.batches(0))[0]) == 200


def test_the_training_split_and_all_splits_are_whole():
  source = source_of(examples=30)
  training, _ = rows_of(source.train())
  assert len(training) == source.split('train').size == 1397 and len(rows_of(source.train(20))[0]) == 20
  everything, _ = rows_of(source.everything())
  splits = [rows_of(source_of(split=split).batches())[0] for split in ('train', 'validation', 'test')]
  np.testing.assert_array_equal(everything, np.concatenate(splits))


def test_gray_values_of_what_the_model_sees_binarized():
  source = source_of(binarize='dynamic')
  gray = source.unbinarized()
  for method in ('batches', 'train', 'everything'):
    binary, images = (rows_of(getattr(x, method)())[0] for x in (source, gray))
    assert np.isin(binary, (0, 1)).all() and not np.isin(images, (0, 1)).all()
  assert np.corrcoef(binary.ravel(), images.ravel())[0, 1] > 0.7
  np.testing.assert_array_equal(rows_of(gray.batches())[0], rows_of(source_of().batches())[0])


def test_another_data_set_is_preprocessed_alike(tmp_path):
  folder = str(write_images(tmp_path / 'images'))
  source = source_of(size=4, value_range=(-1.0, 1.0), examples=5)
  other = source.other(folder)
  images, _ = rows_of(other.batches())
  assert other.name == folder and images.shape == (5, 4, 4, 1) and images.min() < 0
  assert source.name == 'digits' and len(rows_of(source.batches())[0]) == 5
  assert not np.array_equal(images, rows_of(source.batches())[0])
  with pytest.raises(Exception, match='no_such_set'):
    source.other('no_such_set')


def test_evaluation_does_not_see_the_noise_of_training(monkeypatch):
  seen, original = [], build.preprocess_with

  def spy(**options):
    seen.append(options['train'])
    return original(**options)

  monkeypatch.setattr(build, 'preprocess_with', spy)
  source = source_of(examples=50, flip=True, crop=6)
  np.testing.assert_array_equal(rows_of(source.batches())[0], rows_of(source.batches())[0])
  assert set(seen) == {False}


def test_rows_that_only_pad_are_dropped_and_the_rest_put_together():
  x, label = np.arange(22.0).reshape(11, 2), np.arange(11)
  batches = padded_batches(4, 3, fill=99, x=x, label=label)
  double = lambda batch: jnp.asarray(batch['x']) * 2
  results = collect(batches(), codes=double, labels='label', batch=lambda batch: Normal(batch['x'], -batch['x']),
                  pair=lambda batch: (batch['label'], None))  # fmt: skip
  assert list(results) == ['codes', 'labels', 'batch', 'pair'] and isinstance(results['codes'], np.ndarray)
  np.testing.assert_array_equal(results['codes'], 2 * x)
  np.testing.assert_array_equal(results['labels'], label)
  np.testing.assert_array_equal(results['batch'].log_sigma, -x)  # a pytree, such as a posterior
  assert results['pair'][0].tolist() == label.tolist() and results['pair'][1] is None
  parts = without_padding(batches(), rows='label')
  assert [part['rows'].tolist() for part in parts] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]


def test_batches_are_not_asked_for_beyond_the_first_where_one_is_enough():
  read = []

  def batches():
    for batch in padded_batches(2, 1, x=np.arange(6))():
      read.append(len(batch['x']))
      yield batch

  assert next(without_padding(batches(), x='x'))['x'].tolist() == [0, 1] and read == [3]


def test_the_source_of_a_rendered_set_has_factors():
  source = source_of(name='rendered')
  assert source.name == 'sprites' and len(source.data.factor_sizes) == 5


def test_unpaired_sides_repeat_the_smaller_one():
  seen = collect(source_of(split='train', name='digit_twins').batches(), a='image_a', b='image_b', index='index')
  assert seen['index'].tolist() == list(range(701)) and seen['a'].shape == seen['b'].shape == (701, 32, 32, 3)
  np.testing.assert_array_equal(seen['b'][696:], seen['b'][:5])
  assert len(np.unique(seen['b'].reshape(701, -1), axis=0)) == len(np.unique(seen['b'][:696].reshape(696, -1), axis=0))


def test_other_examples_may_be_of_one_side():
  source = source_of(name='digit_labels', palette_a=((0, 0, 170), (255, 170, 0), (170, 255, 85)))
  images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
  (batch,) = source.batches_of({'image_b': images})
  np.testing.assert_array_equal(np.rint(255 * np.asarray(batch['image_b'])), images)
  (batch,) = source.batches_of({'image_a': images})  # classes, shown as 0 and 255
  np.testing.assert_array_equal(batch['image_a'], images > 127)
  with pytest.raises(UserError, match=r'these data have no image: their features are image_a, image_b'):
    source.batches_of({'image': images})


def test_another_set_is_opened_as_what_it_is(tmp_path):
  source = source_of(name='digit_labels', swap=True, palette_a=((0, 0, 170), (255, 170, 0)))
  other = source.other('digits')
  assert list(other.data.features) == ['image']
  assert source.other(str(write_images(tmp_path / 'photos'))).data.image_shape == (8, 8, 1)
  kept = source_of(name='digit_labels', swap=True, without=(3,)).left_out()
  assert kept.data.features['image_b'].shape == (32, 32, 3) and set(kept.data.arrays['label']) == {3}
