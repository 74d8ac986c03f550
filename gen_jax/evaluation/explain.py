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
    evaluators: those that are asked first, as several may give a metric of one name.
    entry_names: {placeholder: names}, as {'factor': ['shape', 'scale']}: how the data call what a metric is of.
  """
  every = all_evaluators()
  order = dict.fromkeys([*(name for name in as_tuple(evaluators) if name in every), *every])
  metrics = {name: metrics_of(every[name], model) for name in order}
  explained = {}
  for name in names:
    found = (x for evaluator in order for x in explanations(name, evaluator, metrics[evaluator], entry_names or {}))
    if first := next(found, None):
      explained[name] = first
  return explained
