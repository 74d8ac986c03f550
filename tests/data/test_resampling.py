import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax.data import resampling
from gen_jax.data.dataset import from_arrays

RNG = np.random.default_rng(0)
CODES = RNG.normal(size=(500, 3)).astype(np.float32) * [1, 3, 0.2]


def weights_of_the_course(codes, alpha, bins):
  """As in the lab's code: np.histogram, outer edges moved to infinity, the largest over the latents."""
  largest = np.zeros(len(codes))
  for column in codes.T.astype(np.float64):
    density, edges = np.histogram(column, bins=bins, density=True)
    edges[0], edges[-1] = -np.inf, np.inf
    place = np.digitize(column, edges)
    smoothed = (density + alpha) / (density + alpha).sum()
    p = 1 / smoothed[place - 1]
    largest = np.maximum(largest, p / p.sum())
  return largest / largest.sum()


def weights_of_the_paper(codes, alpha, bins):
  """prod_i 1 / (Q_i + alpha)."""
  w = np.ones(len(codes))
  for column in codes.T.astype(np.float64):
    density, edges = np.histogram(column, bins=bins, density=True)
    w /= density[np.clip(np.digitize(column, edges) - 1, 0, bins - 1)] + alpha
  return w / w.sum()


@pytest.mark.parametrize('alpha', [0.1, 0.001])
@pytest.mark.parametrize(('form', 'brute_force'), [('max', weights_of_the_course), ('product', weights_of_the_paper)])
def test_rarity_is_that_of_histograms_by_numpy(form, brute_force, alpha):
  rule = resampling.LatentRarity(form=form, alpha=alpha, bins=10, least_effective=0.0)
  weights = rule.weights(jnp.asarray(CODES), None, None, None, 0)
  np.testing.assert_allclose(weights / weights.sum(), brute_force(CODES, alpha, 10), rtol=2e-4)


def test_a_constant_latent_says_nothing():
  more = np.concatenate([CODES, np.full((500, 1), 2.0, np.float32)], 1)
  np.testing.assert_allclose(
    jax.nn.softmax(resampling.log_rarity(more, 'product', 0.01, 10)),
    jax.nn.softmax(resampling.log_rarity(CODES, 'product', 0.01, 10)),
    rtol=1e-5,
  )


def test_weights_are_tempered_until_they_stand_for_enough_examples():
  log_weights = jnp.asarray(RNG.normal(size=1_000) * 5, jnp.float32)
  share = lambda w: float(w.sum() ** 2 / (w**2).sum() / 1_000)
  assert share(np.exp(log_weights)) < 0.05
  tempered = np.asarray(resampling.temper(log_weights, 0.2))
  assert share(tempered) == pytest.approx(0.2, rel=1e-3)
  slope = np.polyfit(log_weights, np.log(tempered), 1)
  np.testing.assert_allclose(np.polyval(slope, log_weights), np.log(tempered), atol=1e-3)  # a power of them
  np.testing.assert_allclose(resampling.temper(log_weights, 0.0), jax.nn.softmax(log_weights), rtol=1e-6)


def test_the_placebo_has_the_same_weights_of_other_examples():
  rule = resampling.LatentRarity()
  weights = rule.weights(jnp.asarray(CODES), None, None, 0, 0)
  placebo = dataclasses.replace(rule, permuted=True).weights(jnp.asarray(CODES), None, None, 0, 0)
  np.testing.assert_array_equal(np.sort(weights), np.sort(placebo))
  assert abs(np.corrcoef(weights, placebo)[0, 1]) < 0.15
  later = dataclasses.replace(rule, permuted=True).weights(jnp.asarray(CODES), None, None, 3, 0)
  other = dataclasses.replace(rule, permuted=True).weights(jnp.asarray(CODES), None, None, 3, 1)
  np.testing.assert_array_equal(placebo, later)  # the same examples weigh more for a whole run, others with a new seed
  assert (placebo != other).mean() > 0.9


def test_groups_weigh_the_same():
  groups = np.array([0, 0, 0, 1, 2, 2])
  weights = np.asarray(resampling.GroupBalance(attribute='race').weights(None, groups, None, 0, 0))
  np.testing.assert_allclose([weights[groups == g].sum() for g in range(3)], 1)


def test_mistakes_weigh_more_from_one_time_on():
  rule, before = resampling.Mistakes(epochs=2, factor=5.0), jnp.full(4, 0.25)
  logits = jnp.asarray([1.0, -1.0, 2.0, -3.0])
  for time, expected in ((1, before), (2, [1, 5, 1, 5]), (3, before)):
    np.testing.assert_array_equal(rule.weights(logits, None, before, time, 0), expected)


LABELS = np.array([1, 0, 1, 1, 0, 0, 0, 1, 0, 0], np.int32)
DATA = from_arrays({'image': np.zeros((10, 2, 2, 1), np.uint8), 'label': LABELS}, num_classes=2)


def rows(data, state, batch, batch_size, seed=3, row=None):
  row = jnp.arange(batch_size) if row is None else row
  return data.rows(np.uint32(seed), state, batch, row, batch_size, data.size)


@pytest.mark.parametrize('share', [0.25, 0.5, 0.7])
def test_a_batch_has_its_share_of_positives_drawn_by_weight(share):
  data = resampling.with_resampling(DATA, resampling.Uniform(share=share))
  weights = jnp.asarray([0.0, 3.0, 1.0, 4.0])  # of examples 0, 2, 3, 7
  state = resampling.state_of_weights(weights, 0)
  drawn = np.asarray(jax.vmap(lambda k: rows(data, state, k, 20))(jnp.arange(400)))
  positive = LABELS[drawn] == 1
  assert (positive.sum(1) == round(20 * share)).all()
  np.testing.assert_array_equal(positive, np.broadcast_to(positive[0], positive.shape))  # at the same places
  for half in np.split(positive[0], 2):
    assert abs(half.sum() - 10 * share) <= 1  # evenly between the others
  counts = np.bincount(drawn[positive], minlength=10)[[0, 2, 3, 7]]
  expected = counts.sum() * np.asarray(weights) / 8
  assert counts[0] == 0 and (np.abs(counts - expected) < 4 * np.sqrt(expected + 1)).all()
  others = drawn[~positive].reshape(-1)[: len(drawn[~positive]) // 6 * 6].reshape(-1, 6)
  assert (np.sort(others, 1) == [1, 4, 5, 6, 8, 9]).all()  # each once an epoch


def test_rows_do_not_depend_on_how_a_batch_is_split_and_differ_by_batch_and_seed():
  data = resampling.with_resampling(DATA, resampling.Uniform())
  whole = rows(data, data.initial_state, 5, 8)
  parts = [rows(data, data.initial_state, 5, 8, row=part) for part in jnp.split(jnp.arange(8), 4)]
  np.testing.assert_array_equal(whole, np.concatenate(parts))
  assert (whole != rows(data, data.initial_state, 6, 8)).any()
  assert (whole != rows(data, data.initial_state, 5, 8, seed=4)).any()


@pytest.mark.parametrize(('labels', 'lacking'), [(0, 'no example of class 1'), (1, 'nothing but examples of class 1')])
def test_data_of_one_kind_are_refused(labels, lacking):
  data = from_arrays(DATA.arrays | {'label': np.full(10, labels, np.int32)}, num_classes=2)
  (line,) = resampling.problems_of_data(data, resampling.Uniform())
  assert lacking in line


def test_an_attribute_that_the_data_lack_is_refused():
  race = np.where(LABELS == 1, np.arange(10) % 2, -1)
  data = DATA._replace(attributes={'race': ('a', 'b')}, arrays=DATA.arrays | {'race': race})
  assert not list(resampling.problems_of_data(data, resampling.GroupBalance(attribute='race')))
  (line,) = resampling.problems_of_data(data, resampling.GroupBalance(attribute='race', positive=0))
  assert line.endswith('positive=0: its examples have no race')
  (line,) = resampling.problems_of_data(data, resampling.GroupBalance(attribute='age'))
  assert line.startswith("config.resampling.attribute='age': the attributes of") and line.endswith(' are race')


def test_streamed_data_are_refused():
  (line,) = resampling.problems_of_data(DATA._replace(arrays=None), resampling.Uniform())
  assert line.endswith('in memory; raise config.data.resident_mib')
