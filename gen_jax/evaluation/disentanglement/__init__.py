"""Metrics of disentanglement as plain functions of codes and factors -> {name: float}; sizes and seeds are arguments.

The evaluators that give them codes of a model are in `suite`.
"""

from gen_jax.evaluation.disentanglement.dependence import unsupervised as unsupervised
from gen_jax.evaluation.disentanglement.explicitness import modularity_explicitness as modularity_explicitness
from gen_jax.evaluation.disentanglement.importances import dci as dci
from gen_jax.evaluation.disentanglement.importances import dci_fast as dci_fast
from gen_jax.evaluation.disentanglement.information_gap import mig as mig
from gen_jax.evaluation.disentanglement.information_gap import mig_density as mig_density
from gen_jax.evaluation.disentanglement.interventions import beta_vae_score as beta_vae_score
from gen_jax.evaluation.disentanglement.interventions import factor_vae_score as factor_vae_score
from gen_jax.evaluation.disentanglement.interventions import irs as irs
from gen_jax.evaluation.disentanglement.predictability import sap as sap
from gen_jax.evaluation.disentanglement.ranking import udr as udr
