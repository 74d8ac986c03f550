"""What a generative classifier tells, the less sure images rejected."""

from collections.abc import Iterator

from gen_jax.errors import UserError
from gen_jax.evaluation.generative_classifier import accuracy_at, rejection_curve
from gen_jax.evaluation.needs import conditional, labels, methods
from gen_jax.figures.figure import Output, Picture, Text, figure
from gen_jax.plots import rejection
from gen_jax.runs import Run


@figure(
  'accuracy of the generative classifier against the share of images kept: figures/rejection.png',
  needs=(labels, conditional, methods('class_log_prob', 'log_prob', 'log_weights')),
  place=96,
  after_evaluation='bayes_confidence',
)
def reject(run: Run) -> Iterator[Output]:
  """The rejection curve of what `generative_classifier` has left in evaluation.npz."""
  arrays = run.arrays()
  if 'bayes_confidence' not in arrays:
    raise UserError(
      f'{run.workdir}: --mode=reject shows --mode=evaluate --config.evals=generative_classifier of this checkpoint, '
      'which comes first'
    )
  confidence, right = arrays['bayes_confidence'], arrays['bayes_right']
  shares, accuracies = rejection_curve(confidence, right)
  title = "Told by Bayes' rule, the least sure images rejected"
  canvas = rejection.rejection_curve(shares, accuracies, title)
  yield Picture('rejection', canvas, f'{title}: {len(right):,} of the test split')
  points = (100, 95, 90, 80, 50)
  yield Text('  '.join(f'{percent} %: {accuracy_at(percent / 100, confidence, right):.4f}' for percent in points))
