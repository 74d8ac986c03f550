"""Explains metrics by their names: what whoever measures them has said of them by `metrics.measures`."""

from collections.abc import Iterable, Mapping

from gen_jax.evaluation.evaluate import Names, all_evaluators, as_tuple
from gen_jax.metrics import Explanation, explanations, metrics_of


def explain(
  names: Iterable[str],
  model: type | None = None,
  evaluators: Names = (),
  entry_names: Mapping[str, list[str]] | None = None,
) -> dict[str, Explanation]:
  """{name: Explanation} of the metrics that are explained; others, as those of the user's own, are left out.

  Args:
    names: of metrics, under their present names.
    model: the class of the model, which explains its own terms.
    evaluators: those that are asked first, then those that explain most, as several may give a metric of one name.
    entry_names: {placeholder: names}, as {'factor': ['shape', 'scale']}: how the data call what a metric is of.
  """
  names, every = list(names), all_evaluators()
  by_evaluator = {}
  for evaluator, function in every.items():
    metrics = metrics_of(function, model)
    found = {name: next(explanations(name, evaluator, metrics, entry_names or {}), None) for name in names}
    by_evaluator[evaluator] = {name: known for name, known in found.items() if known}
  first = as_tuple(evaluators)
  explained = {}
  for evaluator in sorted(every, key=lambda name: (name in first, len(by_evaluator[name]))):
    explained |= by_evaluator[evaluator]
  return {name: explained[name] for name in names if name in explained}
