import numpy as np
import pytest

from gen_jax.errors import UserError
from gen_jax.evaluation.fairness import best_threshold, fairness, groups_of
from gen_jax.evaluation.needs import first_problem

RNG = np.random.default_rng(0)
ATTRIBUTES = {'race': ('a', 'b'), 'gender': ('m', 'f')}


def test_the_threshold_makes_the_fewest_errors():
  logits, is_positive = np.round(RNG.normal(size=200) * 4) / 4, RNG.random(200) < 0.4
  logits[is_positive] += 1
  errors = lambda t: (logits[is_positive] <= t).sum() + (logits[~is_positive] > t).sum()
  assert errors(best_threshold(logits, is_positive)) == min(errors(t) for t in np.linspace(-5, 6, 2_000))
  assert best_threshold(np.array([-3.0, -1, 2, 4]), np.array([False, False, True, True])) == 0.5


class Detector:
  """What `fairness` asks of a model and of a source: logits and groups as they are given."""

  positive = 1
  module = property(lambda self: self)

  def __init__(self, splits):
    self.splits = splits

  def class_logits(self, batch):
    return batch['logit']

  validation = lambda self: iter([self.splits[0]])
  batches = lambda self: iter([self.splits[1]])
  data = type('Data', (), {'attributes': ATTRIBUTES})
  name = 'made'


def made(n=400):
  label = (RNG.random(n) < 0.5).astype(int)
  group = {name: np.where(label == 1, RNG.integers(2, size=n), -1) for name in ATTRIBUTES}
  logit = RNG.normal(size=n) + 2 * label - 1 - 0.8 * (group['race'] == 1)
  return {'logit': logit, 'label': label, 'mask': np.ones(n), **group}


def test_rates_are_those_of_counts():
  splits = made(), made()
  detector = Detector(splits)
  values, test = dict(fairness(detector, detector)), splits[1]
  found = test['logit'] > values['threshold']
  others = test['label'] == 0
  race, gender = test['race'], test['gender']
  for name, members in (('a', race == 0), ('b', race == 1), ('b+f', (race == 1) & (gender == 1))):
    hits, count = found[members].sum(), members.sum()
    assert values[f'recall_{name}'] == pytest.approx(hits / count)
    alarms = found[others].sum() * count / others.sum()  # of as many others
    assert values[f'precision_{name}'] == pytest.approx(hits / (hits + alarms))
    assert values[f'accuracy_{name}'] == pytest.approx((hits + count - alarms) / (2 * count))
  recalls = values['recall_a'], values['recall_b']
  assert values['recall_of_worst_group'] == min(recalls) == values['recall_b']
  assert values['recall_gap'] == pytest.approx(abs(recalls[0] - recalls[1]))
  assert values['recall_variance'] == pytest.approx(np.var([100 * r for r in recalls]))
  assert values['precision'] == pytest.approx((found & ~others).sum() / found.sum())


def test_a_group_without_examples_is_none():
  examples = {'race': np.array([0, 0, -1]), 'gender': np.array([1, 1, -1])}
  assert set(groups_of(examples, ATTRIBUTES)) == {'a', 'a+f'}


def test_data_without_attributes_are_refused():
  source = type('Source', (), {'data': type('Data', (), {'attributes': {}}), 'name': 'digits'})
  assert first_problem(fairness.needs, None, source) == 'needs data whose groups are known; digits has no attributes'


def test_groups_of_another_class_than_the_positive_one_are_refused():
  class OfTheOthers(Detector):
    positive = 0

  detector = OfTheOthers((made(), made()))
  with pytest.raises(UserError, match='the examples of class 0 are of no group'):
    dict(fairness(detector, detector))
