"""`run.model` refuses batches of which it would make wrong numbers."""

import jax
import numpy as np
import pytest

from gen_jax.errors import UserError

REMEDY = r': run\.batches\(images\) makes batches of uint8 images, as run\.encode and its like do$'


def batch_of(run, number=3):
  """What the model sees of the first test images."""
  images = run.source.data.arrays['image'][:number]
  return dict(next(run.batches(images)))


@pytest.mark.parametrize(
  ('change', 'expected'),
  [
    (lambda x: (255 * x).astype(np.uint8), r"batch\['image'\] is uint8, and this model sees floats in \[0, 1\]"),
    (lambda x: (255 * x).astype(np.int32), 'is int32'),
    (lambda x: 255 * x, r'has values from 0 to 255, and this model sees \[0, 1\]'),
    (lambda x: 2 * x - 1, r'has values from -1 to 1, and this model sees \[0, 1\]'),
    (lambda x: x * np.nan, 'has values from nan to nan'),
    (lambda x: x[..., 0], r'has the shape \[3, 8, 8\], and this model sees \[B, 8, 8, 1\]'),
  ],
)
@pytest.mark.parametrize('method', ['encode', 'reconstruct', 'per_example'])
def test_images_of_another_kind_are_refused(method, change, expected, run_of):
  run = run_of('vae')
  batch = batch_of(run)
  getattr(run.model, method)(batch)
  with pytest.raises(UserError, match=expected + '.*' + REMEDY):
    getattr(run.model, method)(batch | {'image': change(np.asarray(batch['image']))})


def test_gray_images_are_refused_where_the_model_sees_binary_ones(run_of):
  run = run_of('binary vae')
  batch = batch_of(run)
  assert set(np.unique(batch['image'])) == {0, 1}
  run.model.encode(batch)
  gray = batch | {'image': np.full((3, 8, 8, 1), 0.3, np.float32)}
  with pytest.raises(UserError, match='has gray values, and this model sees binary images, of 0 and 1 alone' + REMEDY):
    run.model.encode(gray)
  with pytest.raises(UserError, match='has gray values'):
    run_of('pixelcnn').model.log_prob(gray | {'label': np.zeros(3, np.int32)})
  codes = run.encode(np.full((3, 8, 8, 1), 77, np.uint8))  # gray images are drawn, the same at every call
  np.testing.assert_array_equal(run.encode(np.full((3, 8, 8, 1), 77, np.uint8)), codes)


def test_what_a_batch_lacks_is_named_with_what_it_is(run_of):
  run = run_of('vae')
  batch = batch_of(run)
  without = {name: x for name, x in batch.items() if name != 'row'}
  with pytest.raises(UserError) as error:
    run.model.reconstruct(without)
    run.model.per_example(without)
  assert str(error.value).startswith(
    "VAE asks the batch for 'row', int32 [B] such as numpy.arange(B), by which each example's noise is keyed; this one "
  )
  with pytest.raises(UserError, match="asks the batch for 'image'; this one has row"):
    run.model.encode({'row': np.arange(3)})
  with pytest.raises(UserError, match=r"asks the batch for 'label', int32 \[B\], the class of each example"):
    run_of('conditional vae').model.encode(batch)
  with pytest.raises(KeyError, match='mine'):  # a fault of the function
    run.model.compute(lambda model, batch: {}['mine'] if 'mine' in batch else 0, batch | {'mine': 0})


def test_points_and_traced_functions_pass(run_of):
  plane = run_of('plane')
  assert plane.model.logits({'image': np.full((2, 1, 1, 2), 7.0), 'row': np.arange(2)}).shape == (2,)
  run = run_of('vae')
  batch = batch_of(run)
  traced = jax.jit(run.model.encode)(batch)
  np.testing.assert_allclose(traced, run.model.encode(batch), rtol=1e-5, atol=1e-6)
  with pytest.raises(UserError, match='is uint8'):
    jax.jit(run.model.encode)(batch | {'image': np.zeros((3, 8, 8, 1), np.uint8)})
