"""Linear probe and k-NN: what a code knows of the labels, by classifiers learned from few and many labeled examples."""

from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import numpy as np

from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import labels, methods, needs, unconditional
from gen_jax.evaluation.source import Source, collect
from gen_jax.metrics import Metric, measures

EXAMPLES = (10, 100, 1000, None)  # labeled; None: all
NEIGHBORS = 5
GRID = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)  # of C, the weight of an example's loss beside |w|^2 / 2
DEFAULT_C = 1.0  # where a class has one labeled example, and none can be held out
FOLDS = 5  # of the labeled examples, each held out once; one of them alone where there are more than SMALL
SMALL, MOST = 1_000, 10_000  # labeled examples; C is chosen by MOST of them, and all 55,000 would take minutes
ITERATIONS = 10_000  # of L-BFGS, which stops before, where the largest entry of the gradient is below 1e-4


def two_training_classes(model: nn.Module, source: Source) -> str | None:
  """There are training examples of at least two classes, as far as that is known before they are read."""
  del model
  counts = source.split('train').class_counts
  if counts is None or sum(count > 0 for count in counts) > 1:
    return None
  return f'needs training examples of two classes or more; those of {source.name} are of one'


@measures(
  {
    f'probe_{space}{kind}_{{labels}}': Metric(f'the accuracy of {what} from {of}, after so many labels', '', 'higher')
    for space, of in (('', 'codes'), ('pixels_', 'pixels'), ('pca_', 'as many principal components'))
    for kind, what in (('linear', 'a linear classifier'), ('knn', 'nearest neighbors'))
  },
  {
    f'probe_{space}linear_{{labels}}_c': Metric(
      'the C that was chosen, the weight of the data beside that of the penalty',
      beside=f'probe_{space}linear_{{labels}}',
    )
    for space in ('', 'pixels_', 'pca_')
  },
  {'{metric}_sd': Metric('standard deviation over five draws of the labels')},
)
@needs(labels, methods('encode'), unconditional, two_training_classes)
def probe(model: BoundModel, source: Source) -> Iterator[tuple[str, float]]:
  """Accuracies on the split of a linear probe and of nearest neighbors, learned from labels of the training split.

  `probe_linear_100` is that of the codes with 100 labeled examples; `probe_pixels_*` and `probe_pca_*` those of the
  images as the model sees them, and of as many of their principal components as the code has dimensions. See
  `accuracies`. MNIST's 55,000 training images take a minute of a CPU core.
  """
  rows = {'codes': model.encode, 'images': 'image', 'labels': 'label'}
  train, test = (collect(batches, **rows) for batches in (source.train(), source.batches()))
  pixels, test_pixels = (split['images'].reshape(len(split['images']), -1) for split in (train, test))
  components = min(train['codes'].shape[1], *pixels.shape)
  spaces = {
    '': (train['codes'], test['codes']),
    'pixels_': (pixels, test_pixels),
    'pca_': principal_components(pixels, test_pixels, components),
  }
  for space, (codes, test_codes) in spaces.items():
    for name, value in accuracies(codes, train['labels'], test_codes, test['labels']):
      yield f'probe_{space}{name}', value


def principal_components(train: np.ndarray, test: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
  """Both [N,P] projected on the first `number` principal axes of `train`."""
  from sklearn.decomposition import PCA  # slow to import

  pca = PCA(number, svd_solver='full' if len(train) < train.shape[1] else 'covariance_eigh').fit(train)
  return pca.transform(train), pca.transform(test)


def accuracies(
  codes: np.ndarray,
  labels: np.ndarray,
  test_codes: np.ndarray,
  test_labels: np.ndarray,
  examples: Sequence[int | None] = EXAMPLES,
  seed: int = 0,
  repeats: int = 5,
) -> Iterator[tuple[str, float]]:
  """'linear_N' and 'knn_N' in [0, 1]: the accuracy on test codes after N labeled examples of codes [M,D], or 'all'.

  The mean over `repeats` stratified draws of the N, and its spread as 'linear_N_sd' and 'knn_N_sd'. An N above M, or
  below the number of classes, is left out.

  linear: logistic regression (L2, to convergence) on codes that are standardized by the moments of all M, which need no
      labels; a constant dimension stays 0. 'linear_N_c': its C, the median over the draws, see `choose_c`.
  knn: the majority of the 5 nearest in Euclidean distance, of N / classes where that is fewer; the codes as they are.
  """
  from sklearn.preprocessing import StandardScaler  # slow to import

  codes, test_codes = (np.asarray(x, np.float32) for x in (codes, test_codes))
  scaler = StandardScaler().fit(codes)  # the scale of a constant is 1
  scaled, test_scaled = scaler.transform(codes), scaler.transform(test_codes)
  classes, noise = len(np.unique(labels)), np.random.default_rng(seed)
  for number in examples:
    if number is not None and not classes <= number <= len(labels):
      continue
    if number is None:
      name, draws = 'all', [np.arange(len(labels))]
    else:
      name, draws = number, [draw_stratified(labels, number, noise) for _ in range(repeats)]
    probes = [fit_linear(scaled[rows], labels[rows], choose_c(scaled[rows], labels[rows], seed)) for rows in draws]
    yield from mean_and_deviation(f'linear_{name}', [p.score(test_scaled, test_labels) for p in probes])
    yield f'linear_{name}_c', float(np.median([p.C for p in probes]))
    scores = [knn_accuracy(codes[rows], labels[rows], test_codes, test_labels) for rows in draws]
    yield from mean_and_deviation(f'knn_{name}', scores)


def mean_and_deviation(name: str, scores: Sequence[float]) -> Iterator[tuple[str, float]]:
  """The mean, and of several their standard deviation as NAME_sd."""
  yield name, float(np.mean(scores))
  if len(scores) > 1:
    yield f'{name}_sd', float(np.std(scores, ddof=1))


def draw_stratified(labels: np.ndarray, number: int, noise: np.random.Generator) -> np.ndarray:
  """Places [number] in labels [M], drawn at random, as nearly as possible the same number of each class."""
  shuffled = noise.permutation(len(labels))
  classes = noise.permutation(np.unique(labels))
  place = np.empty(len(labels), int)  # of a row among those of its class, then of its class
  for i, label in enumerate(classes):
    rows = np.flatnonzero(labels[shuffled] == label)
    place[rows] = np.arange(len(rows)) * len(classes) + i
  return shuffled[np.argsort(place)[:number]]


def fit_linear(codes: np.ndarray, labels: np.ndarray, c: float) -> Any:
  """scikit-learn's logistic regression of codes [N,D] that minimizes C sum_n -log p(y_n|z_n) + |w|^2 / 2."""
  from sklearn.linear_model import LogisticRegression

  return LogisticRegression(C=c, max_iter=ITERATIONS).fit(codes, labels)


def choose_c(codes: np.ndarray, labels: np.ndarray, seed: int = 0) -> float:
  """The C of GRID with the largest mean log p(y|z) of labeled examples that are held out, fold by fold.

  No other example takes part. log p(y|z), as the accuracy of few examples is the same for many C. Folds are stratified:
  FOLDS, or as many as the rarest class has examples; where that has one alone, C is DEFAULT_C.
  """
  from sklearn.metrics import log_loss
  from sklearn.model_selection import StratifiedKFold

  rows = draw_stratified(labels, min(len(labels), MOST), np.random.default_rng(seed))
  codes, labels = codes[rows], labels[rows]
  classes, counts = np.unique(labels, return_counts=True)
  if counts.min() < 2:
    return DEFAULT_C
  folds = list(StratifiedKFold(min(FOLDS, counts.min())).split(codes, labels))
  losses = np.zeros(len(GRID))
  for fit, held_out in folds if len(labels) <= SMALL else folds[:1]:
    for i, c in enumerate(GRID):
      probabilities = fit_linear(codes[fit], labels[fit], c).predict_proba(codes[held_out])
      losses[i] += log_loss(labels[held_out], probabilities, labels=classes)
  return GRID[int(losses.argmin())]


def knn_accuracy(codes: np.ndarray, labels: np.ndarray, test_codes: np.ndarray, test_labels: np.ndarray) -> float:
  """The accuracy in [0, 1] of the nearest neighbors among codes [M,D], on test codes [N,D]."""
  from sklearn.neighbors import KNeighborsClassifier

  neighbors = max(1, min(NEIGHBORS, len(labels) // len(np.unique(labels))))
  return KNeighborsClassifier(neighbors, algorithm='brute').fit(codes, labels).score(test_codes, test_labels)
