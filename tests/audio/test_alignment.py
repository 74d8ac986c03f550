import jax
import numpy as np
import pytest

from gen_jax.audio.alignment import BUCKET, warp, warp_each


def dynamic_program(distances):
  """The cost and the cells of the cheapest path, cell by cell; of equals the diagonal step, then (1, 0)."""
  best = {(-1, -1): (0.0, [])}
  nowhere = (np.inf, [])
  for cell in np.ndindex(distances.shape):
    i, j = cell
    cost, path = min((best.get(at, nowhere) for at in ((i - 1, j - 1), (i - 1, j), (i, j - 1))), key=lambda it: it[0])
    best[cell] = cost + distances[cell], [*path, cell]
  return best[cell]


def warp_pair(first, second):
  """(cost, steps, mean) of the path between two sequences."""
  found = warp_each([first], [second])
  return found.cost[0], found.steps[0], found.mean[0]


def whole_numbers(*shape, seed=0):
  """Sequences many of whose paths cost the same, and whose sums are exact."""
  return np.random.default_rng(seed).integers(0, 4, shape).astype(np.float32)


@pytest.mark.parametrize('shape', [(1, 1), (1, 7), (6, 1), (5, 9), (12, 4), (20, 20), (BUCKET, 3), (BUCKET + 1, 2)])
def test_cost_and_steps_are_those_of_a_dynamic_program(shape):
  first, second = (whole_numbers(length, 1, seed=seed) for seed, length in enumerate(shape))
  cost, path = dynamic_program(np.abs(first - second.T))
  assert warp_pair(first, second) == (cost, len(path), pytest.approx(cost / len(path)))


def test_a_path_by_hand():
  first, second = np.float32([0, 4, 9, 9]), np.float32([0, 1, 3, 9])  # (0, 0), (0, 1), (1, 2), (2, 3), (3, 3)
  assert warp_pair(first[:, None], second[:, None])[:2] == (2, 5)


def test_sequences_are_compared_by_euclidean_distances():
  rng = np.random.default_rng(2)
  first, second = rng.normal(size=(9, 3)).astype(np.float32), rng.normal(size=(14, 3)).astype(np.float32)
  cost, path = dynamic_program(np.linalg.norm(first[:, None] - second[None], axis=-1))
  assert warp_pair(first, second)[:2] == (pytest.approx(cost, rel=1e-5), len(path))


def test_a_sequence_is_at_no_distance_of_itself():
  sequence = np.random.default_rng(0).normal(size=(30, 4))
  assert warp_pair(sequence, sequence)[:2] == (0, 30)
  assert warp_pair(sequence, np.repeat(sequence, 3, axis=0))[:2] == (0, 90)


def test_either_sequence_may_be_the_first():
  first, second = (np.random.default_rng(5).uniform(size=(n, 2)).astype(np.float32) for n in (17, 23))
  assert warp_pair(first, second) == pytest.approx(warp_pair(second, first))


def test_what_lies_beyond_the_ends_changes_nothing():
  first, second = whole_numbers(6, 2), whole_numbers(8, 2, seed=1)
  alone = jax.jit(warp)(first, second, 6, 8)
  for beyond in (0.0, 100.0, -1.0):
    filled = [np.pad(x, ((0, more), (0, 0)), constant_values=beyond) for x, more in ((first, 5), (second, 2))]
    assert jax.jit(warp)(*filled, 6, 8) == alone


def test_a_batch_is_its_pairs_one_by_one():
  rng = np.random.default_rng(7)
  draw = lambda length: rng.normal(size=(length, 2))
  first, second = [draw(n) for n in (4, 10, 1)], [draw(n) for n in (11, 7, 3)]
  together = warp_each(first, second)
  one_by_one = [warp_pair(*pair) for pair in zip(first, second, strict=True)]
  np.testing.assert_allclose(together.cost, [cost for cost, _, _ in one_by_one], rtol=1e-6)
  np.testing.assert_array_equal(together.steps, [steps for _, steps, _ in one_by_one])


def test_memory_does_not_grow_with_the_product_of_the_lengths():
  temporary = lambda length: jax.jit(warp).lower(*[np.zeros((length, 13), np.float32)] * 2, 1, 1).compile()
  short, long = (temporary(length).memory_analysis().temp_size_in_bytes for length in (1_000, 8_000))
  assert long < 10 * short
