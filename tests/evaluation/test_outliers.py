import io

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from PIL import Image
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from gen_jax import models, networks
from gen_jax.data.image_files import conform
from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.outliers.densities import gaussian_mixture, mahalanobis, mean_deviation
from gen_jax.evaluation.outliers.detection import combine, detection
from gen_jax.evaluation.outliers.images import ALTERED
from gen_jax.evaluation.outliers.model_free import MODEL_FREE
from gen_jax.evaluation.outliers.regret import likelihood_regret
from gen_jax.evaluation.outliers.scores import MODEL_SCORES, available
from gen_jax.evaluation.outliers.statistics import code_statistics, complexity, model_statistics

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('levels', [None, 5])
def test_detection_is_that_of_scikit_learn(levels):
  inside, outside = RNG.normal(size=700), RNG.normal(0.8, size=300)
  if levels:  # with many ties
    inside, outside = np.round(inside * levels / 6), np.round(outside * levels / 6)
  truth, scores = np.repeat([0, 1], [700, 300]), np.concatenate([inside, outside])
  found = detection(inside, outside)
  np.testing.assert_allclose(found['auroc'], sklearn.metrics.roc_auc_score(truth, scores))
  np.testing.assert_allclose(found['aupr'], sklearn.metrics.average_precision_score(truth, scores))
  false, true, _ = sklearn.metrics.roc_curve(truth, scores, drop_intermediate=False)
  np.testing.assert_allclose(found['fpr95'], false[true >= 0.95][0])


def test_detection_of_perfect_reversed_and_constant_scores():
  low, high = np.arange(10.0), np.arange(20.0, 30)
  assert detection(low, high) == {'auroc': 1.0, 'aupr': 1.0, 'fpr95': 0.0}
  assert detection(high, low)['auroc'] == 0 and detection(high, low)['fpr95'] == 1
  assert detection(np.zeros(8), np.zeros(8)) == {'auroc': 0.5, 'aupr': 0.5, 'fpr95': 1.0}
  assert detection(low, np.full(3, np.inf))['auroc'] == 1


def test_scores_that_are_no_numbers_are_refused():
  with pytest.raises(UserError, match='not a number'):
    detection(np.zeros(3), np.array([np.nan]))
  with pytest.raises(UserError, match='at least one'):
    detection(np.zeros(3), np.zeros(0))


def test_a_combination_is_that_of_fisher():
  held_out, values = RNG.normal(size=(2, 200)), RNG.normal(size=(2, 50))
  values[:, :2] = [[9, 9], [-9, -9]]  # beyond all that is held out, on either side
  p = [[max((h >= v).mean(), 0.5 / 200) for v in row] for h, row in zip(held_out, values, strict=True)]
  statistic = [scipy.stats.combine_pvalues(pair, 'fisher').statistic for pair in np.transpose(p)]  # -2 sum log p
  np.testing.assert_allclose(combine(list(zip(held_out, values, strict=True))), np.array(statistic) / 4, rtol=1e-6)
  np.testing.assert_allclose(combine([(np.array([1.0, 2, 2, 3]), np.array([2.0, 0, 4]))]), -np.log([3 / 4, 1, 1 / 8]))


IMAGES = RNG.integers(60, 120, (300, 6, 6, 1)).astype(np.uint8)
OTHERS = {
  'dark': np.zeros((40, 6, 6, 1), np.uint8),
  'bright': np.full((40, 6, 6, 1), 255, np.uint8),
  'noise': RNG.integers(0, 256, (40, 6, 6, 1)).astype(np.uint8),
}
BLIND = {  # what a score cannot tell
  ('zero pixels', 'bright'), ('brightness', 'noise'), ('zero pixels', 'noise'), ('compressed size', 'noise'),
}  # fmt: skip


@pytest.mark.parametrize('name', MODEL_FREE)
def test_every_score_tells_constants_and_noise_from_gray_texture(name):
  score = MODEL_FREE[name](IMAGES[:200])
  inside = score(IMAGES[200:])
  assert inside.shape == (100,)
  for kind, others in OTHERS.items():
    if (name, kind) not in BLIND:
      assert detection(inside, score(others))['auroc'] > 0.97, kind


def test_the_gaussian_and_the_nearest_image_by_hand():
  score = MODEL_FREE['full Gaussian'](IMAGES)
  x = IMAGES.reshape(300, -1) / 255
  difference = x[:5] - x.mean(0)
  covariance = np.cov(x.T) + 0.01 * np.eye(36)
  expected = [d @ np.linalg.solve(covariance, d) for d in difference]
  np.testing.assert_allclose(score(IMAGES[:5]), expected, rtol=1e-4)
  score = MODEL_FREE['nearest image'](IMAGES)
  np.testing.assert_array_equal(score(IMAGES[:5]), 0)
  moved = IMAGES[:5].copy()
  moved[:, 0, 0, 0] += 51
  np.testing.assert_allclose(score(moved), 0.2, rtol=1e-6)


# Images


def test_altered_images_are_flips_turns_and_shuffles_of_the_same_pixels():
  rng, images = np.random.default_rng(0), RNG.integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
  np.testing.assert_array_equal(ALTERED['flipped_horizontally'](images, rng)[1, 2, 3], images[1, 2, 4])
  np.testing.assert_array_equal(ALTERED['flipped_vertically'](images, rng)[1, 2, 3], images[1, 5, 3])
  np.testing.assert_array_equal(ALTERED['rotated'](images, rng)[1], np.rot90(images[1]))
  shuffled = ALTERED['shuffled_patches'](images, rng)
  patches = lambda x: sorted(x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].tobytes() for i in range(4) for j in range(4))
  assert [patches(x) for x in shuffled] == [patches(x) for x in images]
  assert (shuffled != images).any((1, 2, 3)).all()
  assert np.ptp(ALTERED['constants'](images, rng), axis=(1, 2)).max() == 0
  assert len(np.unique(ALTERED['noise'](images, rng))) > 200


def test_what_is_left_over_beside_the_patches_stays():
  images = RNG.integers(0, 256, (3, 9, 10, 1)).astype(np.uint8)
  shuffled = ALTERED['shuffled_patches'](images, np.random.default_rng(0))
  np.testing.assert_array_equal(shuffled[:, 8:], images[:, 8:])
  np.testing.assert_array_equal(shuffled[:, :, 8:], images[:, :, 8:])


def test_images_of_another_shape_are_brought_to_that_of_the_data():
  rgb = np.zeros((2, 12, 20, 3), np.uint8)
  rgb[:, :, 4:16] = (255, 0, 0)  # the central square
  gray = conform(rgb, (6, 6, 1))
  assert gray.shape == (2, 6, 6, 1) and (gray == 76).all()  # 299/1000 of red
  back = conform(gray, (6, 6, 3))
  assert back.shape == (2, 6, 6, 3) and (back == 76).all()
  assert conform(rgb, (12, 20, 3)) is rgb


def test_complexity_is_what_zlib_makes_of_the_prediction_errors_of_png():
  ramp = np.broadcast_to(np.arange(32, dtype=np.uint8)[None, :, None], (32, 32, 1))
  noise = RNG.integers(0, 256, (32, 32, 1)).astype(np.uint8)
  bits = complexity(np.stack([ramp, noise]))
  assert bits[0] < 400 and bits[1] > 8 * 1024
  buffer = io.BytesIO()  # beside Pillow's PNG, which chooses a filter for each row
  Image.fromarray(noise[..., 0]).save(buffer, 'png')
  assert abs(bits[1] / 8 - len(buffer.getvalue())) < 120


# Scores of a model


class Linear(nn.Module):
  """x ~ N(W z, s^2 I) of one latent: everything has a closed form."""

  image_shape: tuple[int, int, int] = (1, 2, 1)

  @nn.compact
  def __call__(self, batch):
    return self.param('w', lambda key: jnp.array([1.0, 2.0]))

  def encode(self, batch):
    return batch['image'].reshape(-1, 2) @ jnp.array([[0.2], [0.4]])

  def reconstruct(self, batch):
    return (self.encode(batch) * jnp.array([[1.0, 2.0]])).reshape(-1, 1, 2, 1)

  def log_prob(self, batch):
    return -(batch['image'] ** 2).sum((1, 2, 3))


def test_statistics_are_those_the_model_has_methods_for():
  model = BoundModel(Linear(), {'params': {'w': jnp.array([1.0, 2.0])}})
  image = jnp.array([[[[1.0], [2.0]]], [[[2.0], [-1.0]]]])
  batch = {'image': image, 'row': jnp.arange(2)}
  found = model.compute(model_statistics, batch)
  assert set(found) == {'residual', 'code', 'code_norm', 'log_p'}
  np.testing.assert_allclose(found['residual'], [0, 5**0.5], atol=1e-6)  # along and across the line
  np.testing.assert_allclose(found['code_norm'], [1, 0], atol=1e-6)
  np.testing.assert_allclose(found['log_p'], [-5, -5])


HELD_OUT = {'log_p': RNG.normal(-100, 5, 500), 'residual': RNG.gamma(5, 1, 500), 'code': RNG.normal(size=(500, 3))}
HELD_OUT['hidden'] = RNG.gamma(1, [1.0, 20, 3, 0.01], (500, 4))  # of which the last is hardly in use
OF_IMAGES = {
  'log_p': np.array([-100.0, -80, -150]),
  'residual': np.array([5.0, 20, 5]),
  'code': np.array([[0.0, 0, 0], [9, 0, 0], [0, 0, 3]]),
  'hidden': np.array([[1.0, 20, 3, 9], [40, 20, 3, 0], [0, 90, 0, 0]]),
}


def test_scores_are_large_for_what_their_sources_say():
  score = {name: MODEL_SCORES[name].of(HELD_OUT)(OF_IMAGES) for name in available(HELD_OUT)}
  of_code = {'Mahalanobis distance', 'nearest code', 'nearest features', 'nearest directions'}
  assert set(score) == {'reconstruction error', '-log p(x)', 'typicality'} | of_code
  np.testing.assert_allclose(score['-log p(x)'], [100, 80, 150])
  mean = HELD_OUT['log_p'].mean()
  np.testing.assert_allclose(score['typicality'], abs(OF_IMAGES['log_p'] - mean))
  np.testing.assert_array_equal(np.argsort(score['Mahalanobis distance']), [0, 2, 1])
  scaled = HELD_OUT['code'] / HELD_OUT['code'].std(0)
  nearest = [np.linalg.norm(scaled - code / HELD_OUT['code'].std(0), axis=1).min() for code in OF_IMAGES['code']]
  np.testing.assert_allclose(score['nearest code'], nearest, rtol=1e-5)

  scaled, of_images = (StandardScaler().fit(HELD_OUT['hidden']).transform(x['hidden']) for x in (HELD_OUT, OF_IMAGES))
  for name, metric in (('nearest features', 'euclidean'), ('nearest directions', 'cosine')):
    found, _ = NearestNeighbors(n_neighbors=5, metric=metric).fit(scaled[:, :3]).kneighbors(of_images[:, :3])
    distances = np.sqrt(2 * found) if metric == 'cosine' else found  # |u - v|^2 = 2 (1 - cos) of vectors of length 1
    np.testing.assert_allclose(score[name], distances.mean(1), rtol=1e-4)


def test_a_mixture_of_one_gaussian_is_that_gaussian():
  fitted = RNG.normal(size=(90, 3)) @ np.array([[1.0, 2, 0], [0, 1, 0], [0, 0, 50]]) + 7
  values = np.array([[7.0, 7, 7], [9, 9, 90], [-40, 7, 7]])
  score = gaussian_mixture(np.column_stack([fitted, np.ones(90)]))  # and a statistic that never moves
  density = scipy.stats.multivariate_normal(fitted.mean(0), np.cov(fitted.T, bias=True))
  expected = -density.logpdf(values) - np.log(fitted.std(0)).sum()
  np.testing.assert_allclose(score(np.column_stack([values, [1.0, 1, 9]])), expected, rtol=1e-3)


def test_a_mixture_finds_what_lies_between_two_kinds_of_images():
  kinds = np.repeat([[-3.0, 200], [3.0, 200]], 250, axis=0)
  fitted = kinds + RNG.normal(size=(500, 2)) * [0.3, 20]
  values = np.array([[0.0, 200], [3, 200], [-3, 200]])
  assert np.argmin(mahalanobis(fitted)(values)) == 0 and np.argmax(gaussian_mixture(fitted)(values)) == 0


def test_the_mean_deviation_is_that_of_standardized_statistics():
  fitted, values = RNG.gamma(2, [1.0, 30], (300, 2)), RNG.gamma(3, [1.0, 30], (20, 2))
  expected = scipy.stats.zmap(values, fitted).mean(1)
  np.testing.assert_allclose(mean_deviation(fitted)(values), expected, rtol=1e-9)


def test_the_last_hidden_layer_of_an_encoder_is_a_statistic():
  encoder = networks.ConvEncoder((2,), (3,), hidden=(4,))
  model = models.VAE(encoder, networks.MLPDecoder((5,)), networks.Bernoulli(), (8, 8, 1), latent_dim=2)
  batch = {'image': jnp.asarray(RNG.random((3, 8, 8, 1)), jnp.float32), 'row': jnp.arange(3)}
  variables = model.init(jax.random.key(0), batch)
  assert set(variables) == {'params'}  # what is sown is not kept
  found = BoundModel(model, variables).compute(code_statistics, batch)
  last = variables['params']['encoder']['MLPEncoder_0']['Dense_1']
  q = model.apply(variables, batch, method='posterior')
  outputs = found['hidden'] @ last['kernel'] + last['bias'][None]
  np.testing.assert_allclose(outputs, np.hstack([q.mu, 2 * q.log_sigma]), atol=1e-5)
  np.testing.assert_allclose(found['code'], q.mu, atol=1e-6)


def test_complexity_and_the_likelihood_ratio_have_the_signs_of_their_papers():
  log_p, bits, background = np.array([[-100.0, -100], [50.0, 150], [-120.0, -90]])
  values = {'log_p': log_p, 'bits': bits, 'background_log_p': background}
  complexity_score = MODEL_SCORES['complexity'].of(values)(values)
  np.testing.assert_allclose(complexity_score, 100 / np.log(2) - values['bits'])  # the simpler image is the outlier
  np.testing.assert_allclose(MODEL_SCORES['likelihood ratio'].of(values)(values), [-20, 10])


def test_regret_is_what_an_encoder_of_one_image_would_gain():
  # p(x|z) = N(z, 1), p(z) = N(0, 1): the best q(z|x) is N(x/2, 1/2), and log p(x) is exact with it
  encoder, decoder = networks.MLPEncoder(()), networks.MLPDecoder(())
  model = models.VAE(encoder, decoder, networks.Gaussian(sigma=1.0), (1, 1, 1), latent_dim=1)
  params = {'encoder': {'Dense_0': {'kernel': jnp.array([[0.5, 0.0]]), 'bias': jnp.array([0.0, jnp.log(0.5)])}}}
  params['decoder'] = {'Dense_0': {'kernel': jnp.array([[1.0]]), 'bias': jnp.zeros(1)}}
  batch = {'image': jnp.array([0.3, -1.0])[:, None, None, None], 'row': jnp.arange(2)}
  regret = lambda params: BoundModel(model, {'params': params}).compute(likelihood_regret, batch)
  np.testing.assert_allclose(regret(params), 0, atol=1e-3)  # nothing to gain
  off = jax.tree.map(lambda x: x, params)
  off['encoder']['Dense_0']['bias'] = jnp.array([3.0, -6.0])  # far off, and too sure of it
  assert (np.asarray(regret(off)) > 0.05).all()
