"""A GAN's discriminator, watched: AUCs of training, held-out and generated images; and what fixed noise becomes."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from gen_jax.data.preprocess import to_uint8
from gen_jax.errors import show
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import methods, needs, renamed
from gen_jax.evaluation.samples import sampling_batch
from gen_jax.evaluation.source import Source, collect, without_padding
from gen_jax.metrics import Metric, measures

EXAMPLES = 2_000  # of the training split, at random
IMAGES, POINTS = 100, 2_000  # what `fixed_noise` shows
COLLAPSED = 0.25  # pair_distance_ratio below which a line says so


@renamed(
  'game',
  {
    'told_from_train': 'auc_train_vs_fake',
    'told_from_held_out': 'auc_held_out_vs_fake',
    'memory': 'auc_train_vs_held_out',
  },
)
@measures({
  'logit_train': Metric("the discriminator's mean logit of training images"),
  'logit_held_out': Metric("the discriminator's mean logit of images that it has not seen"),
  'logit_fake': Metric("the discriminator's mean logit of samples"),
  'auc_train_vs_fake': Metric(
    'how often the discriminator puts a training image above a sample; 1/2 where it cannot tell them apart'
  ),
  'auc_held_out_vs_fake': Metric(
    'how often the discriminator puts an image that it has not seen above a sample; far below that of training images '
    'is overfitting'
  ),
  'auc_train_vs_held_out': Metric(
    'how often the discriminator puts a training image above one that it has not seen; above 1/2 is memory'
  ),
  'pair_distance_ratio': Metric(
    'how far samples are from each other, by how far images are; near 0 the generator has collapsed', headline=True
  ),
})
@needs(methods('logits'))
def discriminator(model: BoundModel, source: Source) -> Iterator[tuple[str, float]]:
  """Whether the discriminator remembers, and the generator has collapsed, which a line says.

  `auc_A_vs_B` is the area under the ROC curve by which D tells A from B, `pair_distance_ratio` the mean distance of two
  samples by that of two training images, of a batch of each.
  """
  train = collect(source.train(EXAMPLES), logits=model.logits)['logits']
  split = collect(source.batches(), held_out=model.logits, fake=model.fake_logits)
  held_out, fake = split['held_out'], split['fake']
  yield from (('logit_train', float(train.mean())), ('logit_held_out', float(held_out.mean())))
  yield 'logit_fake', float(fake.mean())
  yield 'auc_train_vs_fake', roc_auc(train, fake)
  yield 'auc_held_out_vs_fake', roc_auc(held_out, fake)
  yield 'auc_train_vs_held_out', roc_auc(train, held_out)
  pairs = next(without_padding(source.train(EXAMPLES), real='image', samples=model.sample))
  if len(pairs['real']) > 1:
    ratio = mean_pair_distance(pairs['samples']) / max(mean_pair_distance(pairs['real']), 1e-12)
    yield 'pair_distance_ratio', ratio
    if ratio < COLLAPSED:
      show(f'the generator has collapsed: its samples are {ratio:.2f} times as far from each other as images are')


def mean_pair_distance(x: np.ndarray) -> float:
  """The mean Euclidean distance of two examples of x [N,...]; exactly that of all pairs of different rows."""
  from scipy.spatial.distance import pdist  # slow to import

  return float(pdist(x.reshape(len(x), -1)).mean())


def roc_auc(higher: np.ndarray, lower: np.ndarray) -> float:
  """The area under the ROC curve: the share of pairs of logits [N], [M] in the order named, ties by half."""
  from scipy.stats import mannwhitneyu

  return float(mannwhitneyu(higher, lower).statistic / (len(higher) * len(lower)))


@needs(methods('sample'))
def fixed_noise(model: BoundModel, source: Source) -> Iterator[tuple[str, np.ndarray]]:
  """`fixed_noise`: what the same noise becomes, uint8 [100,H,W,C], of each class in turn; points float32 [2000,2]."""
  points = source.data.kind == 'points'
  rows = np.arange(POINTS if points else IMAGES, dtype=np.int32)
  samples = model.sample(sampling_batch(rows, model.classes))
  yield 'fixed_noise', np.asarray(jnp.reshape(samples, (-1, 2)) if points else to_uint8(samples, source.value_range))
