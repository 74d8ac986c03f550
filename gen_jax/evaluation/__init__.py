"""Evaluators `(verbs, batches) -> iterator of (name, value)`, named in `config.evals`, and what they are made of."""

from gen_jax.evaluation.factors import spearman as spearman
from gen_jax.evaluation.terms import active_units as active_units
from gen_jax.evaluation.terms import terms as terms

NEED_FACTORS = {'spearman'}
