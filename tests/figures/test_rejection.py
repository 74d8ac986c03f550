import numpy as np
import pytest
from pictures import outputs

from gen_jax.app.modes import evaluate
from gen_jax.errors import UserError
from gen_jax.evaluation.generative_classifier import rejection_curve
from gen_jax.figures.rejection import reject


@pytest.mark.parametrize('name', ['pixelcnn', 'conditional vae, binarized'])
def test_the_curve_is_that_of_the_evaluation(run_of, name):
  run = run_of(name)
  with pytest.raises(UserError, match='of this checkpoint, which comes first'):
    outputs(reject, run)
  with run.config.unlocked():
    run.config.evals, run.config.final_evals = ('generative_classifier',), ()
  written = evaluate(run)
  assert 'rejection.png' in {path.name for path in written}
  made, arrays = outputs(reject, run), run.arrays()
  shares, accuracies = rejection_curve(arrays['bayes_confidence'], arrays['bayes_right'])
  line = made['rejection'].content.axes[0].lines[0]
  np.testing.assert_allclose(line.get_xdata(), 100 * shares[shares >= 0.2])
  np.testing.assert_allclose(line.get_ydata(), 100 * accuracies[shares >= 0.2])
  assert made['text'][0].startswith(f'100 %: {arrays["bayes_right"].mean():.4f}')
