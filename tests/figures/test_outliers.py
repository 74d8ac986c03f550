"""The mode of outliers: its table, its arrays, its pictures, and what it refuses."""

import types

import jax
import numpy as np
import pytest
import sklearn.metrics
from pictures import axes_image, cell, outputs
from small import MODEL, small_config, write_images

from gen_jax import build
from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.outliers import suite
from gen_jax.evaluation.outliers.images import images_of
from gen_jax.evaluation.outliers.model_free import MODEL_FREE
from gen_jax.evaluation.outliers.statistics import code_statistics, complexity
from gen_jax.evaluation.outliers.suite import Judge
from gen_jax.evaluation.source import Source, collect
from gen_jax.figures.outliers import outliers, sets_of_images
from gen_jax.figures.write import check_needs


def test_every_score_of_a_vae_is_in_the_table_and_says_what_its_array_says(run_of, tmp_path):
  run = run_of('vae')
  folder = str(write_images(tmp_path / 'mine'))
  made = outputs(outliers, run, against=('noise', folder), outlier_examples=30, regret_examples=2)
  arrays, lines = made['outliers', 'npz'], made['text']
  names = list(dict.fromkeys(name.split('/', 1)[0] for name in arrays))
  assert names[: len(MODEL_FREE)] == list(MODEL_FREE)  # those first that need no model
  assert names[len(MODEL_FREE) :] == [
    'likelihood regret', 'reconstruction error', '-ELBO', '-log p(x)', 'typicality', 'complexity',
    'Mahalanobis distance', 'nearest code', 'nearest features', 'nearest directions', 'LPath', 'DoSE', 'combination',
  ]  # fmt: skip
  assert lines[0].split() == ['AUROC', 'noise', folder]
  truth = np.repeat([0, 1], 30)
  for name in ('brightness', '-ELBO', 'combination'):
    scores = np.concatenate([arrays[f'{name}/inside'], arrays[f'{name}/noise']])
    line = next(line for line in lines if line.startswith(name))
    assert line.split()[-2] == f'{sklearn.metrics.roc_auc_score(truth, scores):.3f}'
  assert arrays['combination/inside'].min() >= 0
  order = np.argsort(arrays['combination/noise'], kind='stable')
  noise = sets_of_images(run, ('noise',), 30)['noise']
  grid = axes_image(made['outliers_images'])
  np.testing.assert_array_equal(cell(grid, 2, 0, block=2)[..., :1], noise[order[0]])
  np.testing.assert_array_equal(cell(grid, 3, 0, block=2)[..., :1], noise[order[-1]])


OF_CODE = {'Mahalanobis distance', 'nearest code', 'nearest features', 'nearest directions'}
OF_AUTOENCODER = OF_CODE | {'reconstruction error', 'combination'}


OF_DETECTOR = OF_AUTOENCODER | {'-ELBO', '-log p(x)', 'typicality', 'complexity', 'LPath'}
OF_DIFFUSION = {'denoising errors', 'denoising profile', 'DiffPath', 'combination'}  # conditional, seen without labels
OF_MODELS = {
  'autoencoder': OF_AUTOENCODER, 'gan': {'discriminator'}, 'db vae': OF_DETECTOR, 'diffusion': OF_DIFFUSION,
}  # fmt: skip


@pytest.mark.parametrize(('name', 'scores'), OF_MODELS.items())
def test_a_model_has_the_scores_that_it_has_methods_for(name, scores, run_of):
  arrays = outputs(outliers, run_of(name), against=('constants',), outlier_examples=20)['outliers', 'npz']
  assert {key.split('/', 1)[0] for key in arrays} - set(MODEL_FREE) == scores


def test_outliers_of_another_set_come_in_the_shape_of_the_data(run_of):
  sets = sets_of_images(run_of('vae'), ('sprites', 'flipped_vertically'), 12)
  assert {images.shape for images in sets.values()} == {(12, 8, 8, 1)}
  np.testing.assert_array_equal(sets['flipped_vertically'], sets['inside'][:, ::-1])
  assert sets['sprites'].max() > 100


@pytest.mark.parametrize('name', ['vae', 'diffusion'])
def test_a_score_of_images_is_that_of_the_combination(name, run_of):
  run = run_of(name)
  images = images_of(run.source, 16)
  scores = run.outlier_score(images)
  assert scores.shape == (16,) and (scores >= 0).all() and np.ptp(scores) > 0
  np.testing.assert_allclose(scores, run.judge.model_scores(images)['combination'])
  with pytest.raises(UserError, match='images must be uint8'):
    run.outlier_score(images / 255)


def test_what_cannot_be_judged_is_one_line(run_of, tmp_path):
  run = run_of('vae')
  with pytest.raises(UserError, match='needs --against='):
    outputs(outliers, run, against=())
  with pytest.raises(UserError, match=r'--against=flipped_vertical: .*did you mean flipped_vertically'):
    sets_of_images(run, ('flipped_vertical',), 8)
  with pytest.raises(UserError, match=r'/empty: '):
    (tmp_path / 'empty').mkdir()
    sets_of_images(run, (str(tmp_path / 'empty'),), 8)
  with pytest.raises(UserError, match='names no class'):
    sets_of_images(run, ('left_out',), 8)
  with pytest.raises(UserError, match='codes that have not seen the label'):
    check_needs(outliers, run_of('conditional vae'))
  with pytest.raises(UserError, match='conditional'):
    run_of('conditional vae').outlier_score(np.zeros((2, 8, 8, 1), np.uint8))
  with pytest.raises(UserError, match='has no encoder'):
    outputs(outliers, run_of('gan'), against=('noise',), outlier_examples=8, regret_examples=2)


def judged(config):
  """(images of the test split, what a judge says of them, what the model itself says of the batches of the split)."""
  data = build.dataset(config, 'test')
  model = build.model(config, data)
  batch = build.example_batch(data, build.preprocessor(config, data, train=False), rows=4)
  bound = BoundModel(model, model.init(jax.random.key(0), batch))
  source = Source.of(config, data, examples=24)
  images = images_of(source, 24)
  direct = collect(source.batches(24), s=lambda batch: bound.compute(code_statistics, batch))['s']
  return images, Judge(bound, source).statistics(images), direct['code']


@pytest.mark.parametrize(
  ('name', 'changes'),
  [('sprites', {}), ('sprites', {'size': 16, 'crop': 8}), ('digits', {'size': 16, 'crop': 8}), ('digits', {})],
)
def test_images_that_are_judged_are_seen_as_they_are_in_evaluation(name, changes):
  images, found, codes = judged(small_config(name, data=changes))
  assert images.shape[1:3] == ((8, 8) if name == 'digits' or changes else (64, 64))
  np.testing.assert_allclose(found['code'], codes, atol=1e-5)
  np.testing.assert_array_equal(found['bits'], complexity(images))


def test_the_noise_of_dequantization_is_no_part_of_an_image():
  config = small_config(data={'dequantize': True}, model=MODEL | {'likelihood': {'name': 'Gaussian'}})
  images, found, _ = judged(config)
  plain = images_of(Source.of(small_config(), build.dataset(config, 'test')), 24)
  np.testing.assert_array_equal(images, plain)
  np.testing.assert_array_equal(found['bits'], complexity(images))


def test_binary_data_are_judged_as_black_and_white():
  config = small_config('sprites')
  data = build.dataset(config, 'test')
  model = build.model(config, data)
  batch = build.example_batch(data, build.preprocessor(config, data, train=False), rows=2)
  source = Source.of(config, data, examples=8)
  run = types.SimpleNamespace(source=source, model=BoundModel(model, model.init(jax.random.key(0), batch)))
  noise = sets_of_images(run, ('noise',), 8)['noise']
  assert set(np.unique(noise)) == {0, 255} and 0.4 < (noise > 0).mean() < 0.6
  seen = next(source.batches_of({'image': noise}))['image']
  np.testing.assert_array_equal(seen, noise / 255)


def test_scores_of_large_images_that_are_left_out_are_named(run_of, monkeypatch):
  monkeypatch.setattr(suite, 'MOST_VALUES', 63)  # of 8x8
  made = outputs(outliers, run_of('gan'), against=('noise',), outlier_examples=8)
  assert 'principal components, full Gaussian' in made['text'][-2] and made['text'][-2].startswith('left out')
  assert not any(name.startswith('full Gaussian') for name in made['outliers', 'npz'])
