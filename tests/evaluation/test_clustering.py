import itertools
import types

import numpy as np
import pytest
from sources import KnownSource, padded_batches

from gen_jax.evaluation.clustering import clustering


def scores(clusters, labels):
  model = types.SimpleNamespace(classify=lambda batch: batch['cluster'])
  return dict(clustering(model, KnownSource(padded_batches(20, 5, label=labels, cluster=clusters))))


def test_renamed_classes_are_perfect_clusters():
  labels = np.random.default_rng(0).integers(0, 4, 50)
  assert scores(np.array([3, 1, 0, 2])[labels], labels) == pytest.approx(
    {'clustering_accuracy': 1.0, 'clustering_nmi': 1.0}
  )


def test_the_matching_is_the_best_of_all():
  rng = np.random.default_rng(0)
  labels, clusters = rng.integers(0, 4, 60), rng.integers(0, 4, 60)
  best = max((np.array(names)[clusters] == labels).mean() for names in itertools.permutations(range(4)))
  assert scores(clusters, labels)['clustering_accuracy'] == pytest.approx(best)


def test_one_cluster_is_as_good_as_the_commonest_class():
  labels = np.array([0] * 30 + [1] * 15 + [2] * 5)
  assert scores(np.full(50, 2), labels) == pytest.approx({'clustering_accuracy': 0.6, 'clustering_nmi': 0.0})
