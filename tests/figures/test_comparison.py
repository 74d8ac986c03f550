"""Runs side by side."""

import json

import numpy as np
import pytest
from pictures import axes_image, cell, outputs

from gen_jax import runs
from gen_jax.errors import UserError
from gen_jax.figures import comparison
from gen_jax.figures.comparison import compare
from gen_jax.figures.inputs import test_batch as first_test_batch
from gen_jax.figures.inputs import to_pixels
from gen_jax.files import save_arrays

SEEDS = ('vae', 'vae of another seed')


def write_evaluation(run, scores, nll=None):
  """What an evaluation of the run's checkpoint leaves."""
  step = int(run.state.step)
  (run.workdir / 'evaluation.json').write_text(json.dumps({'step': step, 'examples': 3, 'split': 'test'} | scores))
  if nll is not None:
    save_arrays(run.workdir / 'evaluation.npz', {'step': step, 'nll_each': nll})


@pytest.fixture
def evaluated(run_of):
  """Two seeds of one setting and another setting, evaluated."""
  opened = [run_of(name) for name in (*SEEDS, 'vae of another beta')]
  nll = np.random.default_rng(0).normal(size=(3, 50))
  for i, run in enumerate(opened):
    write_evaluation(run, {'elbo': -100.0 - 3 * i, 'kl': 2.0, f'of_run_{i}': 1.0}, nll[i])
  yield opened, nll
  for run in opened:
    for name in ('evaluation.json', 'evaluation.npz'):
      (run.workdir / name).unlink()


def test_scores_of_a_setting_are_gathered_over_its_seeds(evaluated):
  opened, _ = evaluated
  by_setting = comparison.scores_by_setting(opened)
  assert list(by_setting) == ['model.beta=1.0', 'model.beta=2.0']
  runs_of_setting, scores, ranking = by_setting['model.beta=1.0']
  assert runs_of_setting == 2 and set(scores) == {'elbo', 'kl'}  # what all runs have
  np.testing.assert_array_equal(scores['elbo'], [-100, -103])
  assert set(ranking) == {'udr', 'udr_0', 'udr_1'}
  assert by_setting['model.beta=2.0'].ranking == {}


def test_the_table_says_mean_and_deviation(evaluated):
  opened, _ = evaluated
  lines = comparison.score_table(comparison.scores_by_setting(opened), {'kl': 'of a factor'}).splitlines()
  assert lines[0] == 'model.beta=1.0: 2 runs, mean and standard deviation'
  assert lines[1].split() == ['elbo', '-101.5000', '+-', f'{np.std([-100, -103], ddof=1):.4f}']
  assert lines[2].split() == ['kl', '2.0000', '+-', '0.0000', 'of', 'a', 'factor']
  assert sum('udr' in line for line in lines) == 1
  assert lines[-2].split() == ['elbo', '-106.0000']


def test_likelihoods_are_compared_example_by_example(evaluated, run_of):
  (first, second, _), nll = evaluated
  gain = comparison.likelihood_gain(first, second)
  assert gain.mean == pytest.approx((nll[1] - nll[0]).mean())
  assert gain.standard_error == pytest.approx((nll[1] - nll[0]).std(ddof=1) / 50**0.5)
  line = comparison.likelihood_line(first, second, gain)
  assert f'-log p(x) is {gain.mean:.3f} +- {gain.standard_error:.3f} nats below that of {second.workdir}' in line
  assert comparison.likelihood_gain(first, run_of('autoencoder')) is None  # which was not evaluated
  write_evaluation(second, {}, nll[1][:20])
  assert comparison.likelihood_gain(first, second) is None
  assert 'not compared' in comparison.likelihood_line(first, second, None)


def test_images_planes_and_traversals_of_runs_on_the_same_data(evaluated):
  opened, _ = evaluated
  first, *others = opened
  made = outputs(compare, first, others=[str(run.workdir) for run in others], checkpoint='last')
  names = {f'comparison_{name}' for name in ('images', 'error', 'plane', 'traversals')}
  assert set(made) == names | {'text'}
  grid, batch = axes_image(made['comparison_images']), first_test_batch(first)
  np.testing.assert_array_equal(cell(grid, 0, 11)[..., :1], to_pixels(first, batch['image'])[11])
  for row, run in enumerate(opened, start=1):
    image = to_pixels(run, run.model.reconstruct(batch))[11]
    np.testing.assert_array_equal(cell(grid, row, 11)[..., :1], image)
  assert [axes.get_title(loc='left') for axes in made['comparison_plane'].content.axes[:3]] == ['VAE'] * 3
  assert 'model.beta=2.0' in made['comparison_traversals'].content.texts[0].get_text().replace('\n', ' ')
  assert sum('-log p(x)' in line for line in made['text']) == 2
  errors = [line for line in made['text'] if 'squared error' in line]
  assert len(errors) == 3
  for line, run in zip(errors, opened, strict=True):
    error, sampled = comparison.squared_errors(run)
    assert f'an image {error:.4f} from the mean code, {sampled:.4f} from a sampled z' in line


def test_errors_stand_by_the_size_of_the_code(run_of):
  one, three = run_of('vae'), run_of('autoencoder')
  made = outputs(compare, one, others=[three.workdir])
  assert {'comparison_images', 'comparison_error'} == set(made) - {'text'}  # one of them has no plane
  lines = {line.get_label(): line for line in made['comparison_error'].content.axes[0].lines}
  test = np.concatenate([np.asarray(b['image'])[np.asarray(b['mask']) > 0] for b in one.source.batches(10_000)])
  codes = three.model.encode({'image': test})
  again = np.asarray(three.model.decode(codes, {}))
  np.testing.assert_array_equal(lines['Autoencoder on digits'].get_xdata(), [3])
  np.testing.assert_allclose(lines['Autoencoder on digits'].get_ydata(), [((test - again) ** 2).mean()], rtol=1e-4)


def test_the_errors_are_means_over_all_test_images(run_of):
  run = run_of('vae')
  of_mean, of_sample = [], []
  for batch in run.source.batches(0):
    for errors, images in ((of_mean, run.model.reconstruct(batch)), (of_sample, run.model.reconstruct_sampled(batch))):
      squares = np.square(np.asarray(batch['image'] - images)).sum((1, 2, 3))
      errors.append(squares[np.asarray(batch['mask']) > 0])
  expected = [np.concatenate(errors).mean() for errors in (of_mean, of_sample)]
  assert comparison.squared_errors(run) == pytest.approx(expected, rel=1e-5)
  assert comparison.squared_errors(run_of('autoencoder'))[1] is None


def test_others_must_be_named(run_of):
  with pytest.raises(UserError, match='--mode=compare needs --others'):
    outputs(compare, run_of('vae'))
  with pytest.raises(UserError, match='there is no folder nowhere'):
    outputs(compare, run_of('vae'), others=['nowhere'])
  with pytest.raises(UserError, match='choose best, last, or one of the steps'):
    outputs(compare, run_of('vae'), others=[runs.load(run_of('vae').workdir).workdir], checkpoint='3')
