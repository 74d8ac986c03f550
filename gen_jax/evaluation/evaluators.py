"""All evaluators, which `config.evals` and `config.final_evals` name: one line each, besides the file of its own."""

from gen_jax.evaluation.agreement import class_agreement as class_agreement
from gen_jax.evaluation.clustering import clustering as clustering
from gen_jax.evaluation.discriminator import discriminator as discriminator
from gen_jax.evaluation.discriminator import fixed_noise as fixed_noise
from gen_jax.evaluation.disentanglement.suite import boosted_dci as boosted_dci
from gen_jax.evaluation.disentanglement.suite import disentanglement as disentanglement
from gen_jax.evaluation.fairness import fairness as fairness
from gen_jax.evaluation.fid import inception_distances as inception_distances
from gen_jax.evaluation.generative_classifier import generative_classifier as generative_classifier
from gen_jax.evaluation.likelihood import elbo_decomposition as elbo_decomposition
from gen_jax.evaluation.likelihood import likelihood as likelihood
from gen_jax.evaluation.means import active_units as active_units
from gen_jax.evaluation.means import means as means
from gen_jax.evaluation.memorization import memorization as memorization
from gen_jax.evaluation.ode_likelihood import ode_likelihood as ode_likelihood
from gen_jax.evaluation.planar import points as points
from gen_jax.evaluation.probe import probe as probe
from gen_jax.evaluation.sample_distances import frechet as frechet
from gen_jax.evaluation.sample_distances import sample_distances as sample_distances
from gen_jax.evaluation.spearman import spearman as spearman
from gen_jax.evaluation.translation.suite import fixed_translations as fixed_translations
from gen_jax.evaluation.translation.suite import label_consistency as label_consistency
from gen_jax.evaluation.translation.suite import side_recognition as side_recognition
from gen_jax.evaluation.translation.suite import translation_distances as translation_distances
from gen_jax.evaluation.translation.suite import translation_errors as translation_errors
from gen_jax.evaluation.translation.suite import true_map_errors as true_map_errors
