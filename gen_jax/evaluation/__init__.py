"""Evaluators `(verbs, batches) -> iterator of (name, value)`, named in `config.evals`, and what they are made of.

A keyword-only argument is the key of the config with its name; or `train_batches`, those of the training split;
`all_batches`, those of all splits; or `grey_batches` and `grey_train_batches`, those of the same split and of the
training split, not binarised; or `value_range`, `data_name` and `target` (points), of the data. A value is a number, a
text, or an array, such as one number for each example; training's metrics take numbers only.
"""

from gen_jax.evaluation.agreement import class_agreement as class_agreement
from gen_jax.evaluation.clustering import clustering as clustering
from gen_jax.evaluation.discriminator import fixed_noise as fixed_noise
from gen_jax.evaluation.discriminator import game as game
from gen_jax.evaluation.disentanglement import boosted_dci as boosted_dci
from gen_jax.evaluation.fid import inception_distances as inception_distances
from gen_jax.evaluation.likelihood import elbo_decomposition as elbo_decomposition
from gen_jax.evaluation.likelihood import likelihood as likelihood
from gen_jax.evaluation.means import active_units as active_units
from gen_jax.evaluation.means import terms as terms
from gen_jax.evaluation.planar import points as points
from gen_jax.evaluation.probe import probe as probe
from gen_jax.evaluation.samples import frechet as frechet
from gen_jax.evaluation.samples import memorisation as memorisation
from gen_jax.evaluation.samples import sample_distances as sample_distances
from gen_jax.evaluation.spearman import spearman as spearman

NEED_FACTORS = {'boosted_dci', 'disentanglement', 'spearman'}
NEED_GRID = {'boosted_dci', 'disentanglement'}  # an image of every combination of the factors
NEED_LABELS = {'class_agreement', 'clustering', 'probe'}
NEED_CONDITION = {'class_agreement'}
NEED_NO_CONDITION = {'boosted_dci', 'clustering', 'disentanglement', 'probe', 'spearman'}
NEED_EXTRACTORS = {'class_agreement', 'frechet', 'sample_distances'}  # of the data set, see `extractors.load`
NEED_TARGET = {'points'}  # a distribution of points
NEED_IMAGES = {'frechet', 'inception_distances', 'memorisation', 'sample_distances'}
NEED_VERBS = {  # one of them
  'active_units': ('encode',),
  'boosted_dci': ('encode',),
  'clustering': ('classify',),
  'disentanglement': ('encode',),
  'frechet': ('sample',),
  'fixed_noise': ('sample',),
  'game': ('logits',),
  'inception_distances': ('sample',),
  'likelihood': ('log_prob', 'log_weights'),
  'memorisation': ('sample',),
  'points': ('sample',),
  'probe': ('encode',),
  'sample_distances': ('sample',),
  'spearman': ('encode',),
}
