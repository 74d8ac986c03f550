"""Evaluators `(verbs, batches) -> iterator of (name, value)`, named in `config.evals`, and what they are made of.

A keyword-only argument is the key of the config with its name; or `train_batches`, those of the training split; or
`grey_batches`, those of the same split, not binarised. A value is a number, a text, or an array [N] with one number for
each example; training's metrics take numbers only.
"""

from gen_jax.evaluation.agreement import class_agreement as class_agreement
from gen_jax.evaluation.clustering import clustering as clustering
from gen_jax.evaluation.factors import spearman as spearman
from gen_jax.evaluation.likelihood import elbo_decomposition as elbo_decomposition
from gen_jax.evaluation.likelihood import likelihood as likelihood
from gen_jax.evaluation.probe import probe as probe
from gen_jax.evaluation.terms import active_units as active_units
from gen_jax.evaluation.terms import terms as terms

NEED_FACTORS = {'spearman'}
NEED_LABELS = {'class_agreement', 'clustering', 'probe'}
NEED_CONDITION = {'class_agreement'}
NEED_NO_CONDITION = {'clustering', 'probe', 'spearman'}
NEED_VERBS = {  # one of them
  'active_units': ('encode',),
  'clustering': ('classify',),
  'likelihood': ('log_prob', 'log_weights'),
  'probe': ('encode',),
  'spearman': ('encode',),
}
