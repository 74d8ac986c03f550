"""Clustering accuracy and NMI: how well clusters that were found without labels are the classes."""

from collections.abc import Iterator

from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import labels, methods, needs
from gen_jax.evaluation.source import Source, collect
from gen_jax.metrics import Metric, measures


@measures({
  'clustering_accuracy': Metric(
    'the share of examples in the cluster that stands for their class, under the best matching of the two',
    better='higher', headline=True,
  ),
  'clustering_nmi': Metric(
    'what clusters and classes tell of each other: their normalized mutual information, from 0 to 1', better='higher'
  ),
})  # fmt: skip
@needs(labels, methods('classify'))
def clustering(model: BoundModel, source: Source) -> Iterator[tuple[str, float]]:
  """`clustering_accuracy` under the best one-to-one matching of clusters to classes (Hungarian algorithm), and
  `clustering_nmi`, the normalized mutual information of the two, of the model's `classify`; both in [0, 1]."""
  from scipy.optimize import linear_sum_assignment  # slow to import
  from sklearn.metrics import normalized_mutual_info_score
  from sklearn.metrics.cluster import contingency_matrix

  rows = collect(source.batches(), clusters=model.classify, classes='label')
  counts = contingency_matrix(rows['classes'], rows['clusters'])
  yield 'clustering_accuracy', float(counts[linear_sum_assignment(-counts)].sum() / len(rows['classes']))
  yield 'clustering_nmi', float(normalized_mutual_info_score(rows['classes'], rows['clusters']))
