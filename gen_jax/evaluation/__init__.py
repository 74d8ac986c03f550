"""Evaluators `(verbs, batches) -> iterator of (name, value)`, named in `config.evals`, and what they are made of.

A keyword-only argument is the key of the config with its name. A value is a number, or an array [N] with one for each
example.
"""

from gen_jax.evaluation.clustering import clustering as clustering
from gen_jax.evaluation.factors import spearman as spearman
from gen_jax.evaluation.likelihood import elbo_decomposition as elbo_decomposition
from gen_jax.evaluation.likelihood import likelihood as likelihood
from gen_jax.evaluation.terms import active_units as active_units
from gen_jax.evaluation.terms import terms as terms

NEED_FACTORS = {'spearman'}
NEED_LABELS = {'clustering'}
