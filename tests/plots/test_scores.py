"""Results as HTML: which stand on top, how they are grouped, named and explained."""

import numpy as np
import pytest
from page import Page

from gen_jax.evaluation.explain import explain
from gen_jax.metrics import Explanation, Metric, explanations
from gen_jax.models import VAE
from gen_jax.plots.scores import cards, format_number, headlines, tiles

METRICS = {
  'distance_{network}': Metric('how far samples are', 'pixels', 'lower', headline=True),
  '{metric}_floor': Metric('unseen images'),
  'kl_dim_{latent}': Metric('the KL of each latent', 'nats', off_below=0.01),
  'share_{class}': Metric('the share of each class'),
  'protocol': Metric('what was measured'),
  'examples': Metric('how many examples'),
}


def explained_of(scores, **entry_names):
  found = {name: next(explanations(name, 'samples', METRICS, entry_names), None) for name in scores}
  return {name: known for name, known in found.items() if known}


def page_of(scores, **entry_names):
  return Page(cards(scores, explained_of(scores, **entry_names)))


@pytest.mark.parametrize(
  ('value', 'text'),
  [
    (0.0, '0'),
    (-98.1234, '-98.12'),
    (-98.0, '-98'),
    (25.0, '25'),
    (0.18056, '0.1806'),
    (0.9999999, '1.0000'),
    (1234567, '1,234,567'),
    (52034.7, '52,035'),
    (3.2e-5, '3.200e-05'),
    (2e9, '2.000e+09'),
    (float('inf'), 'inf'),
    (float('nan'), 'nan'),
    (True, 'True'),
    ('text', 'text'),
    (np.float32(1.5), '1.500'),
  ],
)
def test_numbers_read_well(value, text):
  assert format_number(value) == text


def test_results_stand_on_top_one_of_a_family():
  scores = {'examples': 64.0, 'distance_cnn': 0.5, 'distance_cnn_floor': 0.1, 'distance_lenet': 0.4, 'share_0': 1.0}
  assert headlines(scores, explained_of(scores)) == ['distance_cnn']
  assert headlines(scores, explained_of(scores), best='distance_lenet') == ['distance_lenet']
  assert headlines(scores, explained_of(scores), best='examples') == ['examples', 'distance_cnn']
  assert headlines(scores, explained_of(scores), best='elbo') == ['distance_cnn']  # which this evaluation lacks


def test_without_known_results_the_first_numbers_are():
  scores = {'protocol': 'a text'} | {f'own_{i}': float(i) for i in range(9)}
  assert headlines(scores, {}) == ['own_0', 'own_1', 'own_2', 'own_3', 'own_4']
  assert headlines({}, {}) == []


def test_a_tile_says_what_a_number_is_and_what_stands_beside_it():
  scores = {'distance_cnn': 0.5, 'distance_cnn_floor': 0.1}
  page = Page(tiles(scores, explained_of(scores), steps=1234))
  assert page.texts['b'] == ['0.5000', '1,234']
  assert page.texts['span'] == ['distance, cnn, pixels', 'training steps']
  assert page.texts['small'] == ['lower is better', 'unseen images: 0.1000']
  ratio = Explanation(Metric('near 0 is a collapse', headline=True), 'discriminator', 'ratio')
  assert Page(tiles({'ratio': 0.5}, {'ratio': ratio})).texts['small'] == ['near 0 is a collapse']
  assert page.of('div')[0]['title'] == 'how far samples are'


def test_each_evaluator_has_a_card_and_each_metric_its_explanation():
  scores = {'examples': 64.0, 'of_my_own': 3.5}
  page = page_of(scores)
  assert page.texts['h3'] == ['samples', 'others']
  assert page.texts['th'] == ['examples' + 'how many examples', 'of my own'] and page.texts['td'] == ['64', '3.500']


def test_what_stands_beside_a_metric_has_no_row_of_its_own():
  page = page_of({'distance_cnn': 0.5, 'distance_cnn_floor': 0.1})
  assert len(page.of('tr')) == 1 and page.texts['dt'] == ['cnn']
  assert page.texts['dd'] == ['0.5000' + 'unseen images: 0.1000']
  alone = page_of({'distance_cnn_floor': 0.1})
  assert alone.texts['td'] == ['0.1000']  # not lost where what it stands beside is not there


def test_what_stands_beside_what_stands_beside_has_a_row():
  metrics = {'kid': Metric('a distance'), 'error': Metric('its error', beside='kid')}
  metrics |= {'{metric}_floor': Metric('unseen')}
  scores = {'kid': 1.0, 'error': 2.0, 'kid_floor': 3.0, 'error_floor': 4.0}
  page = Page(cards(scores, {name: next(explanations(name, 'fid', metrics, {})) for name in scores}))
  assert page.texts['td'] == ['1its error: 2unseen: 3', '4'] and page.texts['th'][1] == 'error floor' + 'unseen'


def test_a_long_text_takes_a_line_of_its_own():
  text = 'many words that would push every number out of sight ' * 5
  page = page_of({'protocol': text, 'examples': 64.0})
  assert page.texts['p'] == [text] and page.of('th')[0]['colspan'] == '2' and len(page.of('td')) == 1
  assert page_of({'protocol': 'abc 123'}).texts['td'] == ['abc 123']


def test_latents_that_are_off_are_folded():
  scores = {f'kl_dim_{i:02d}': kl for i, kl in enumerate([1.5, 0.001, 0.01, 0.0099, -1e-9])}
  page = page_of(scores)
  assert page.texts['summary'] == ['3 of 5 are off, below 0.01 nats']
  assert page.texts['dt'] == ['z0', 'z2', 'z1', 'z3', 'z4']
  assert page.texts['details'] == ['3 of 5 are off, below 0.01 natsz1' + '0.001000z3' + '0.009900z4' + '-1.000e-09']


def test_long_families_are_folded_and_short_ones_are_not():
  few, many = ({f'share_{c}': c / 100 for c in range(n)} for n in (12, 13))
  assert 'details' not in page_of(few).texts and len(page_of(few).texts['dt']) == 12
  page = page_of(many)
  assert page.texts['summary'] == ['13 values, from 0 to 0.1200'] and len(page.texts['dt']) == 13


def test_entries_have_the_names_of_the_data():
  assert page_of({'share_0': 0.4, 'share_1': 0.6}, **{'class': ['cat', 'dog']}).texts['dt'] == ['cat', 'dog']
  assert page_of({'share_0': 0.4}).texts['dt'] == ['class 0']


def test_everything_is_escaped():
  evil = '<script>'
  known = {'a': Explanation(Metric(evil, evil, evil), evil, evil)}
  known |= {'b': Explanation(Metric(evil), evil, 'x', entry=evil)}
  known |= {'c': Explanation(Metric(evil), evil, 'y', beside='a')}
  scores = {'a': 1.0, 'b': 2.0, 'c': 3.0, evil: evil, evil * 9: evil * 9}
  assert evil not in cards(scores, known) + tiles(scores, known, best='a') + tiles(scores, known, best=evil)


def test_a_vae_shows_its_elbo():
  scores = {'importance_samples': 60.0, 'elbo': -98.0, 'kl': 20.0, 'active_units': 3.0}
  assert headlines(scores, explain(scores, VAE)) == ['elbo']
