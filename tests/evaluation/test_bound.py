import jax
import numpy as np
import pytest
from small import small_config

from gen_jax import build, evaluation
from gen_jax.errors import UserError
from gen_jax.evaluation.bound import Verbs
from gen_jax.evaluation.evaluate import evaluate
from gen_jax.training.loop import fresh_state


def start(**changes):
  config = small_config('digits', **changes)
  data = build.dataset(config, 'test')
  model = build.model(config, data)
  return config, data, model, fresh_state(config, data, model, build.optimizers(config, model))


def test_the_averaged_parameters_are_used_where_there_are_any():
  _, _, model, state = start()
  z, batch = np.ones((2, 3), np.float32), {'row': np.arange(2)}
  moved = state._replace(params=jax.tree.map(lambda x: x + 1, state.params))
  np.testing.assert_array_equal(Verbs(model, moved).decode(z, batch), Verbs(model, state).decode(z, batch))
  alone = moved._replace(ema={})
  assert not np.array_equal(Verbs(model, alone).decode(z, batch), Verbs(model, state).decode(z, batch))


def test_seeds_differ_and_repeat():
  _, _, model, state = start()
  batch = {'row': np.arange(5)}
  draw = lambda seed: np.asarray(Verbs(model, state, seed).latents(batch))
  np.testing.assert_array_equal(draw(1), draw(1))
  assert np.abs(draw(1) - draw(2)).min() > 0


def test_a_verb_that_the_model_lacks():
  _, _, model, state = start()
  verbs = Verbs(model, state)
  assert 'decode' in verbs and 'translate' not in verbs and 'latent_dim' not in verbs
  with pytest.raises(UserError, match="VAE has no verb 'translate'"):
    verbs.translate({})


def test_evaluation_does_not_see_the_noise_of_training(monkeypatch):
  config, data, model, state = start(data={'flip': True, 'crop': 6})
  seen, original = [], build.preprocess_with

  def spy(**options):
    seen.append(options['train'])
    return original(**options)

  monkeypatch.setattr(build, 'preprocess_with', spy)
  first = evaluate(config, Verbs(model, state), data, 50)
  assert set(seen) == {False} and first == evaluate(config, Verbs(model, state), data, 50)


def test_a_probe_is_given_the_whole_training_split_as_well(monkeypatch):
  def probe(verbs, batches, *, train_batches):
    for name, split in (('scored', batches), ('learned', train_batches)):
      yield name, sum(float(batch['mask'].sum()) for batch in split())

  monkeypatch.setattr(evaluation, 'probe', probe)
  config, data, model, state = start(evals=('probe',))
  assert evaluate(config, Verbs(model, state), data, 50) == {'scored': 50.0, 'learned': 1397.0}
