"""How well clusters found without labels are the classes."""

from collections.abc import Iterator

import numpy as np

from gen_jax.evaluation.means import Batches


def clustering(verbs, batches: Batches) -> Iterator[tuple[str, float]]:
  """`clustering_accuracy` under the best one-to-one matching of clusters to classes (Hungarian algorithm), and
  `clustering_nmi`, the normalised mutual information of the two, of the model's `classify`."""
  from scipy.optimize import linear_sum_assignment  # slow to import
  from sklearn.metrics import normalized_mutual_info_score
  from sklearn.metrics.cluster import contingency_matrix

  clusters, labels = [], []
  for batch in batches():
    there = np.asarray(batch['mask']) > 0
    clusters.append(np.asarray(verbs.classify(batch))[there])
    labels.append(np.asarray(batch['label'])[there])
  clusters, labels = np.concatenate(clusters), np.concatenate(labels)
  counts = contingency_matrix(labels, clusters)
  yield 'clustering_accuracy', float(counts[linear_sum_assignment(-counts)].sum() / len(labels))
  yield 'clustering_nmi', float(normalized_mutual_info_score(labels, clusters))
