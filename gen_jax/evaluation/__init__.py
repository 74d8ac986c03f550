"""Evaluators `(verbs, batches) -> iterator of (name, value)`, named in `config.evals`, and what they are made of.

Those of `NEED_TRAIN` get `train_batches` as well. A value may be a text, which is kept out of training's metrics.
"""

from gen_jax.evaluation.agreement import class_agreement as class_agreement
from gen_jax.evaluation.factors import spearman as spearman
from gen_jax.evaluation.probe import probe as probe
from gen_jax.evaluation.terms import active_units as active_units
from gen_jax.evaluation.terms import terms as terms

NEED_FACTORS = {'spearman'}
NEED_LABELS = {'class_agreement', 'probe'}
NEED_CONDITION = {'class_agreement'}
NEED_TRAIN = {'probe'}
