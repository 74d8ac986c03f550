"""What resampling drew most and least."""

import numpy as np
import scipy.stats
from pictures import axes_image, cell, outputs

from gen_jax.data.preprocess import to_uint8
from gen_jax.evaluation.source import collect
from gen_jax.figures.resampling import resampled


def test_the_images_of_the_largest_weights_are_shown_and_groups_are_told(run_of):
  run = run_of('db vae')
  made = outputs(resampled, run)
  arrays, weights = made['resampling', 'npz'], np.asarray(run.state.data['weights'])
  np.testing.assert_allclose(arrays['weights'], 8_000 * weights, rtol=1e-5)
  every = collect(run.source.train(), image='image', label='label', place='place', index='index')
  order = np.argsort(every['index'])
  every = {name: values[order] for name, values in every.items()}
  hearts = {name: values[every['label'] == 1] for name, values in every.items()}
  np.testing.assert_array_equal(np.bincount(hearts['place']), [7_840, 160])
  by_weight = np.argsort(-np.asarray(weights, np.float64), kind='stable')
  grid, images = axes_image(made['resampling_images']), np.asarray(to_uint8(hearts['image']))
  np.testing.assert_array_equal(cell(grid, 0, 0, size=32, block=2)[..., :1], images[by_weight[0]])
  np.testing.assert_array_equal(cell(grid, 1, 0, size=32, block=2)[..., :1], images[by_weight[-1]])
  share = weights.sum() ** 2 / (len(weights) * (weights**2).sum())
  assert made['text'][0] == f'effective share of 8000 positives: {share:.3f}'
  rank = scipy.stats.spearmanr(weights, hearts['place']).statistic
  assert made['text'][1] == f"Spearman's correlation of weight and rarity of place: {rank:.3f}"
  mean = 8_000 * weights[hearts['place'] == 1].mean()
  assert made['text'][3] == f'rare: 160 images of weight {mean:.2f}, the mean of all being 1'


def test_a_run_that_is_not_resampled_says_so(run_of):
  made = outputs(resampled, run_of('vae'))
  assert made == {'text': ['config.resampling is not set: nothing was resampled']}
