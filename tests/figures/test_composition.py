"""The mode of composition: what it measures, chooses and shows, and what it refuses."""

import dataclasses

import numpy as np
import pytest
from pictures import axes_image, cell, outputs

from gen_jax.errors import UserError
from gen_jax.evaluation.source import VALIDATION_ROWS
from gen_jax.figures import composition
from gen_jax.figures.composition import check_classifier, compose, pixels
from gen_jax.figures.write import check_needs


def test_a_strength_is_chosen_on_other_samples_than_are_reported(run_of, monkeypatch):
  run, other = run_of('diffusion'), run_of('noisy classifier')
  seen, drawn, measure = [], [], composition.measure

  def watched(model, source):
    measured, samples, wanted = measure(model, source)
    seen.append((model.strength, source.first_row))
    drawn.append((samples, wanted))
    return measured, samples, wanted

  monkeypatch.setattr(composition, 'measure', watched)
  made = outputs(compose, run, classifier=str(other.workdir), strengths=('1', '30'))
  chosen = seen[-1][0]
  choice = [(0.0, VALIDATION_ROWS), (1.0, VALIDATION_ROWS), (30.0, VALIDATION_ROWS)]
  assert seen == [*choice, (0.0, 0), (chosen, 0)] and chosen in (1.0, 30.0)
  arrays = made['composition', 'npz']
  np.testing.assert_array_equal(arrays['strength'], [0, 1, 30])
  assert arrays['reported'].shape == (2, 6) and arrays['reported'][1, 0] == chosen
  line = made['composition'].content.axes[0].lines[0]
  np.testing.assert_allclose(line.get_xdata(), arrays['distance'][1:])
  np.testing.assert_allclose(line.get_ydata(), arrays['accuracy'][1:])
  assert made['text'][-1].startswith(f'strength {chosen:g}, chosen on other samples: accuracy ')
  grid = axes_image(made['composition_samples'])
  for row in range(3):  # a row of images for each strength, 0 first; a column for each class
    samples, wanted = drawn[row]
    np.testing.assert_array_equal(cell(grid, row, 7)[..., :1], pixels(samples)[wanted.tolist().index(7)])
  assert np.abs(drawn[3][0] - drawn[0][0]).max() > 0.01  # fresh noise
  both = outputs(compose, run, classifier=str(other.workdir), both=('3', '8'))
  assert set(both) == {'text', 'composition_both'} and both['text'] == []


def test_what_cannot_be_composed_is_one_line(run_of, tmp_path):
  run, other = run_of('diffusion'), run_of('noisy classifier')
  with pytest.raises(UserError, match='--mode=compose needs --classifier=WORKDIR'):
    outputs(compose, run)
  with pytest.raises(UserError, match='--strengths=many: must be numbers above 0'):
    outputs(compose, run, classifier=str(other.workdir), strengths=('many',))
  with pytest.raises(UserError, match='--interval=3,1: must be two noise levels'):
    outputs(compose, run, classifier=str(other.workdir), interval=('3', '1'))
  with pytest.raises(UserError, match='--both=12: digits has classes 0 to 9'):
    outputs(compose, run, classifier=str(other.workdir), both=('12',))
  with pytest.raises(UserError, match='VAE is no classifier of noisy images'):
    check_classifier(run, run_of('vae'))
  with pytest.raises(UserError, match=r'has no checkpoint|no run|config\.json'):
    outputs(compose, run, classifier=str(tmp_path))
  with pytest.raises(UserError, match='needs a model that has sample_guided; VAE has not'):
    check_needs(compose, run_of('vae'))


def test_a_classifier_of_other_data_is_refused(run_of):
  run, other = run_of('diffusion'), run_of('noisy classifier')
  statistics = other.state.variables['statistics']

  def with_statistics(**moved):
    state = other.state._replace(variables={**other.state.variables, 'statistics': {**statistics, **moved}})
    return dataclasses.replace(other, state=state)

  with pytest.raises(UserError, match=r'its data have another mean, .* the same config.data'):
    check_classifier(run, with_statistics(mean=statistics['mean'] + 0.1))
  check_classifier(run, with_statistics(deviation=np.float32(0.3)))  # as where config.model.sigma_data is given
