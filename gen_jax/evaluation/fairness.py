"""Fairness of a detector: how much of each group of the positive class it finds, and at what price."""

import itertools
from collections.abc import Iterator, Mapping

import flax.linen as nn
import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import methods, needs
from gen_jax.evaluation.source import Source, collect
from gen_jax.metrics import Metric, measures

Values = Iterator[tuple[str, float]]


def attributes_of_data(model: nn.Module, source: Source) -> str | None:
  """The groups of the positives are known."""
  del model
  return None if source.data.attributes else f'needs data whose groups are known; {source.name} has no attributes'


@measures({
  'precision': Metric('the share of what is found that is of the positive class', better='higher'),
  'recall': Metric('the share of the positive class that is found', better='higher'),
  'balanced_accuracy': Metric('the mean of the shares of positives and of others that are told right', '', 'higher'),
  'recall_{group}': Metric('the share of the positives of one group that is found', better='higher'),
  'precision_{group}': Metric(
    'the share of what is found that is of the positive class, of the positives of one group and as many others',
    better='higher',
  ),
  'accuracy_{group}': Metric('the share told right, of the positives of one group and as many others', '', 'higher'),
  'recall_of_worst_group': Metric('the least recall of a group', '', 'higher', headline=True),
  'recall_gap': Metric('the largest recall of a group less the least', '', 'lower'),
  'recall_variance': Metric('the variance of recall over groups, in squared percentage points', '', 'lower'),
  'threshold': Metric('the logit above which an example counts as found, chosen on the validation split'),
})
@needs(attributes_of_data, methods('class_logits'))
def fairness(model: BoundModel, source: Source) -> Values:
  """Recall, precision and accuracy of each group of positives, at the threshold that errs least on validation.

  Groups are the values of the first attribute; with a second one, also each pair of values. The negatives have no
  groups: a group's precision and accuracy are those beside as many of them as it has positives.
  """
  positive, attributes = model.module.positive, source.data.attributes
  columns = {'logit': model.class_logits, 'label': 'label', **{name: name for name in attributes}}
  validation, test = (collect(batches, **columns) for batches in (source.validation(), source.batches()))
  threshold = best_threshold(validation['logit'], validation['label'] == positive)
  found, is_positive = test['logit'] > threshold, test['label'] == positive
  false = found[~is_positive].mean()  # of the others, the share that is found
  recall = found[is_positive].mean()
  yield 'threshold', float(threshold)
  yield 'recall', float(recall)
  yield 'precision', float(found[is_positive].sum() / max(found.sum(), 1))
  yield 'balanced_accuracy', float((recall + 1 - false) / 2)
  groups = {name: members & is_positive for name, members in groups_of(test, attributes).items()}
  if not any(members.any() for members in groups.values()):
    raise UserError(f'fairness: the examples of class {positive} are of no group: config.model.positive is another one')
  groups = {name: members for name, members in groups.items() if members.any()}
  for name, members in groups.items():
    recall = found[members].mean()
    yield f'recall_{name}', float(recall)
    yield f'precision_{name}', float(recall / max(recall + false, 1e-9))
    yield f'accuracy_{name}', float((recall + 1 - false) / 2)
  recalls = np.array([found[members].mean() for name, members in groups.items() if '+' not in name])
  yield 'recall_of_worst_group', float(recalls.min())
  yield 'recall_gap', float(np.ptp(recalls))
  yield 'recall_variance', float((100 * recalls).var())


def groups_of(examples: Mapping[str, np.ndarray], attributes: Mapping[str, tuple[str, ...]]) -> dict[str, np.ndarray]:
  """{name: whether an example belongs to it, [N]} of each value of the first attribute, and of its pairs with others.

  A group without examples is none.
  """
  first, *others = attributes
  groups = {value: examples[first] == i for i, value in enumerate(attributes[first])}
  for other in others:
    for (i, value), (j, second) in itertools.product(enumerate(attributes[first]), enumerate(attributes[other])):
      groups[f'{value}+{second}'] = (examples[first] == i) & (examples[other] == j)
  return {name: members for name, members in groups.items() if members.any()}


def best_threshold(logits: np.ndarray, is_positive: np.ndarray) -> float:
  """The threshold with the fewest errors, half way between two logits; of several the one nearest to 0."""
  order = np.sort(np.unique(logits.astype(np.float64)))
  candidates = np.concatenate([[order[0] - 1], (order[1:] + order[:-1]) / 2, [order[-1] + 1]])
  missed = np.searchsorted(np.sort(logits[is_positive]), candidates, 'right')
  false = (~is_positive).sum() - np.searchsorted(np.sort(logits[~is_positive]), candidates, 'right')
  errors = missed + false
  best = candidates[errors == errors.min()]
  return float(best[np.abs(best).argmin()])
