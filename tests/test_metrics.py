"""How metrics are explained by their names."""

import pytest

from gen_jax.metrics import Metric, explanations, matches, measures, metrics_of


@pytest.mark.parametrize(
  ('family', 'name', 'found'),
  [
    ('nll', 'nll', ('', '')),
    ('nll', 'nll_stderr', None),
    ('mig_{factor}', 'mig_3', ('factor', '3')),
    ('mig_{factor}', 'mig_density', None),
    ('mig_{factor}', 'mig_', None),
    ('kl_dim_{latent}', 'kl_dim_07', ('latent', '07')),
    ('share_{class}', 'share_3', ('class', '3')),
    ('share_{class}', 'share_my_cat', ('class', 'my_cat')),
    ('frechet_{network}', 'frechet_cnn', ('network', 'cnn')),
    ('frechet_{network}', 'frechet_over_trace_cnn', None),
    ('frechet_{network}', 'frechet_cnn_floor', None),
    ('{metric}_floor', 'frechet_cnn_floor', ('metric', 'frechet_cnn')),
    ('perfect_{metric}', 'perfect_mig', ('metric', 'mig')),
    ('a{x}a', 'aa', None),
    ('a{x}a', 'a', None),  # before and after may not be one character
  ],
)
def test_names_and_their_families(family, name, found):
  assert matches(family, name) == found


METRICS = {
  '{metric}_real': Metric('a fresh sample'),
  'spearman_{factor}': Metric('of a factor', better='higher'),
  'nearest_real': Metric('of real images'),
  'distance': Metric('how far', 'nats', 'lower', headline=True),
}


def explained(name, **entry_names):
  return next(explanations(name, 'points', METRICS, entry_names), None)


def test_a_metric_stands_by_itself_in_a_family_or_beside_another():
  assert explained('distance').metric is METRICS['distance'] and explained('distance').better == 'lower is better'
  fresh = explained('distance_real')
  assert (fresh.beside, fresh.family, fresh.metric.meaning) == ('distance', 'distance_real', 'a fresh sample')
  assert explained('nearest_real').beside == ''  # of its own, although it ends so
  assert explained('unknown_real') is None and explained('unknown') is None  # beside nothing that there is


def test_entries_are_called_as_the_data_call_them():
  assert explained('spearman_1', factor=['shape', 'scale']).entry == 'scale'
  assert explained('spearman_2', factor=['shape', 'scale']).entry == 'factor 2'
  assert explained('spearman_2').label == 'spearman'
  latent = next(explanations('kl_dim_07', 'means', {'kl_dim_{latent}': Metric('a KL')}, {}))
  assert (latent.label, latent.entry) == ('kl dim', 'z7')
  entries = [next(explanations(f'share_{c}', 'of', {'share_{class}': Metric('')}, {})).entry for c in ('3', 'a_cat')]
  assert entries == ['class 3', 'a_cat']
  network = next(explanations('frechet_cnn', 'samples', {'frechet_{network}': Metric('a distance')}, {}))
  assert network.entry == 'cnn'


def test_a_metric_may_name_the_one_beside_which_it_is_shown():
  metrics = {'kernel_{network}': Metric('a distance'), 'error_{network}': Metric('of it', beside='kernel_{network}')}
  found = next(explanations('error_cnn', 'samples', metrics, {}))
  assert (found.beside, found.entry, found.label) == ('kernel_cnn', 'cnn', 'error')


def test_metrics_of_other_functions_and_of_the_model():
  @measures({'one': Metric('1')})
  def one():
    pass

  @measures(one, {'two': Metric('2')}, of_method='per_example')
  def both():
    pass

  class Model:
    @measures({'three': Metric('3')})
    def per_example(self):
      pass

  assert set(metrics_of(both)) == {'one', 'two'} and set(metrics_of(both, Model)) == {'one', 'two', 'three'}
  assert metrics_of(lambda: None, Model) == {}
