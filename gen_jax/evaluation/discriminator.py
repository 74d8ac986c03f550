"""A GAN's game, watched: what the discriminator says of images it has not seen, and what fixed noise becomes."""

from collections.abc import Callable, Iterator, Sequence

import jax.numpy as jnp
import numpy as np

from gen_jax.data.preprocess import to_uint8
from gen_jax.errors import show
from gen_jax.evaluation.means import Batches, asked
from gen_jax.types import Batch

EXAMPLES = 2_000  # of the training split, at random
SHOWN, POINTS = 100, 2_000  # what `fixed_noise` shows of images, and of points
COLLAPSED = 0.25  # pair_distance_ratio below which a line says so


def mean_distance(x: np.ndarray) -> float:
  """The mean Euclidean distance of two examples of x [N,...]; exactly that of all pairs of different rows."""
  from scipy.spatial.distance import pdist  # slow to import

  return float(pdist(x.reshape(len(x), -1)).mean())


def gathered(verbs, batches: Iterator[Batch], verb: str) -> np.ndarray:
  """What a verb says of all rows that are no padding."""
  return np.concatenate([np.asarray(getattr(verbs, verb)(b))[np.asarray(b['mask']) > 0] for b in batches])


def ranked(higher: np.ndarray, lower: np.ndarray) -> float:
  """The share of pairs of logits [N], [M] in the order named, ties by half: the area under the ROC curve."""
  from scipy.stats import mannwhitneyu

  return float(mannwhitneyu(higher, lower).statistic / (len(higher) * len(lower)))


def game(
  verbs, batches: Batches, *, train_batches: Callable[[int], Iterator[Batch]]
) -> Iterator[tuple[str, float]]:
  """Whether the discriminator remembers, and the generator has collapsed.

  logit_train, logit_held_out, logit_fake: D's mean logit of training images, of the split, and of samples.
  told_from_train, told_from_held_out: the probability that D puts a real image of either above a sample, 1/2 if it
      knows nothing; the first far above the second is overfitting.
  memory: the probability that D puts a training image above one of the split, 1/2 where it remembers nothing.
  pair_distance_ratio: the mean distance of two samples by that of two training images, of a batch of each; near 0 is
      a collapse, which a line says.
  """
  train = gathered(verbs, train_batches(EXAMPLES), 'logits')
  held_out = gathered(verbs, batches(), 'logits')
  fake = gathered(verbs, batches(), 'fake_logits')
  yield from (('logit_train', float(train.mean())), ('logit_held_out', float(held_out.mean())))
  yield 'logit_fake', float(fake.mean())
  yield 'told_from_train', ranked(train, fake)
  yield 'told_from_held_out', ranked(held_out, fake)
  yield 'memory', ranked(train, held_out)
  batch = next(train_batches(EXAMPLES))
  there = np.asarray(batch['mask']) > 0
  real, samples = (np.asarray(x)[there] for x in (batch['image'], verbs.sample(batch)))
  if len(real) > 1:
    ratio = mean_distance(samples) / max(mean_distance(real), 1e-12)
    yield 'pair_distance_ratio', ratio
    if ratio < COLLAPSED:
      show(f'the generator has collapsed: its samples are {ratio:.2f} times as far from each other as images are')


def fixed_noise(verbs, batches: Batches, *, value_range: Sequence[float]) -> Iterator[tuple[str, np.ndarray]]:
  """`fixed_noise`: what the same noise becomes, uint8 [100,H,W,C], of each class in turn; points float32 [2000,2]."""
  shape = next(batches())['image'].shape[1:]
  points = shape == (1, 1, 2)
  rows = np.arange(POINTS if points else SHOWN, dtype=np.int32)
  samples = verbs.sample(asked(rows, verbs.classes))
  yield 'fixed_noise', np.asarray(jnp.reshape(samples, (-1, 2)) if points else to_uint8(samples, value_range))
