import numpy as np
import pytest
from scipy import stats

from gen_jax.data.dataset import leave_out
from gen_jax.data.sets import planar, tree
from gen_jax.gaussian_mixtures import mix

TREE = planar.TARGETS['tree']


def branches(seed=0):
  return list(tree.grow(np.random.RandomState(seed), np.pi / 4))


def test_a_tree_forks_at_the_ends_of_its_branches():
  found = branches()
  assert np.bincount([branch.depth for branch in found]).tolist() == [2**depth for depth in range(7)]
  for depth in range(1, 7):
    starts = np.array([branch.start for branch in found if branch.depth == depth])
    ends = np.array([branch.end for branch in found if branch.depth == depth - 1])
    np.testing.assert_array_equal(starts, np.repeat(ends, 2, axis=0))
  np.testing.assert_array_equal(found[0].start, 0)
  np.testing.assert_allclose(np.divide(*found[0].end), 1)  # along the diagonal


def test_branches_become_shorter_and_turn_less():
  trees = [branches(seed) for seed in range(40)]
  for depth in (0, 3, 6):
    chosen = [branch for found in trees for branch in found if branch.depth == depth]
    lengths = [np.linalg.norm(branch.end - branch.start) for branch in chosen]
    assert np.mean(lengths) == pytest.approx(0.292 * 0.8**depth, rel=0.08)
    if depth:
      assert np.std(lengths) == pytest.approx(0.2 * 0.292 * 0.8**depth, rel=0.15)
  angle = lambda branch: np.angle(np.subtract(*[branch.end, branch.start]) @ [1, 1j])
  for depth in (1, 4):
    turns = []
    for found in trees:
      parents = {tuple(branch.end): angle(branch) for branch in found if branch.depth == depth - 1}
      children = [branch for branch in found if branch.depth == depth]
      turns += [angle(child) - parents[tuple(child.start)] for child in children]
    turns = (np.array(turns) + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(turns).mean() == pytest.approx(0.7 ** (depth - 1), rel=0.1)
    assert (turns[::2] > 0).all() and (turns[1::2] < 0).all()  # to the left, then to the right


def test_the_normals_of_a_branch_lie_along_it():
  branch = tree.Branch(3, np.array([1.0, 2.0]), np.array([1.0, 2.5]))  # upwards
  weights, means, covariances = tree.normals([branch, branch])
  assert weights.shape == (16,)
  np.testing.assert_allclose(weights, 0.5 * 0.5**3)
  np.testing.assert_allclose(means[:8], np.stack([np.ones(8), 2 + 0.5 * np.linspace(0.07, 0.93, 8)], axis=1))
  wide, long = 0.012 * 0.8**3, 0.06 * 0.5
  np.testing.assert_allclose(covariances, np.tile(np.diag([wide**2, long**2]), (16, 1, 1)), atol=1e-12)


def test_the_trees_are_standardized_together():
  whole = mix(TREE.classes)
  weights = np.exp(np.asarray(whole.log_weights, np.float64))
  assert [mixture.means.shape for mixture in TREE.classes] == [(1016, 2)] * 2
  assert weights.sum() == pytest.approx(1, abs=1e-5)
  means, covariances = np.asarray(whole.means, np.float64), np.asarray(whole.covariances, np.float64)
  np.testing.assert_allclose(weights @ means, 0, atol=1e-5)
  variances = weights @ (means**2 + np.diagonal(covariances, axis1=1, axis2=2))
  np.testing.assert_allclose(np.sqrt(variances), 0.5, rtol=1e-4)


def test_the_trees_are_those_of_the_paper():
  # its trunk is 1.3136, 1.3844 times one that begins at (.0030, .0325) and goes to the upper right
  start = np.array([0.0030, 0.0325])
  length = 0.292 * (1 + 0.2 * np.random.RandomState(2).standard_normal())
  means = (start + np.linspace(0.07, 0.93, 8)[:, None] * length / np.sqrt(2)) * [1.3136, 1.3844]
  np.testing.assert_allclose(TREE.classes[0].means[:8], means, atol=0.04)  # where classes are not equally frequent
  steps = np.diff(TREE.classes[0].means[:8], axis=0)
  np.testing.assert_allclose(steps, np.diff(means, axis=0), rtol=2e-3)


def test_the_examples_are_of_their_classes():
  data = planar.load('tree', 'test')
  points, labels = data.arrays['image'].reshape(-1, 2), data.arrays['label']
  assert (data.num_classes, data.names_of_classes) == (2, ('upper', 'lower'))
  assert labels.dtype == np.int32 and data.class_counts == tuple(np.bincount(labels))
  assert stats.binomtest(int(labels.sum()), len(labels)).pvalue > 1e-3
  upper, lower = (np.asarray(mixture.log_prob(points[:1000])) for mixture in TREE.classes)
  assert ((lower > upper) == labels[:1000]).mean() > 0.98
  np.testing.assert_array_equal(planar.load('tree', 'test').arrays['label'], labels)
  assert (planar.load('tree', 'validation').arrays['label'] != labels).any()
  np.testing.assert_array_equal(TREE.sample(np.random.default_rng(2), 10_000), points)  # without labels, the same


def test_a_class_can_be_left_out():
  data = leave_out(planar.load('tree', 'test'), (1,))
  assert data.class_counts[1] == 0 and data.size == data.class_counts[0]


def test_other_points_have_no_labels():
  data = planar.load('ring', 'test')
  assert (set(data.arrays), data.num_classes, data.class_names, data.target.classes) == ({'image'}, 0, (), ())
