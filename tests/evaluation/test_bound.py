import jax
import numpy as np
import pytest

from gen_jax import models, networks
from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel, apply

MODEL = models.VAE(networks.MLPEncoder((4,)), networks.MLPDecoder((4,)), networks.Bernoulli(), (4, 4, 1), 3)
BATCH = {'image': np.zeros((2, 4, 4, 1), np.float32), 'row': np.arange(2, dtype=np.int32)}


@pytest.fixture(scope='module')
def variables():
  return jax.jit(MODEL.init)(jax.random.key(0), BATCH)


def test_a_method_is_the_modules_at_the_variables(variables):
  z = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
  results = BoundModel(MODEL, variables).decode(z, BATCH)
  np.testing.assert_allclose(results, MODEL.apply(variables, z, BATCH, method='decode'), rtol=1e-5)
  moved = jax.tree.map(lambda x: x + 1, variables)
  before = apply._cache_size()
  assert not np.array_equal(BoundModel(MODEL, moved).decode(z, BATCH), results)
  assert apply._cache_size() == before  # other variables are not compiled anew
  both = BoundModel(MODEL, variables).compute(lambda model, batch: model.encode(batch) + 1, BATCH)
  np.testing.assert_allclose(both, BoundModel(MODEL, variables).encode(BATCH) + 1, rtol=1e-5)


def test_seeds_differ_and_repeat(variables):
  batch = {'row': np.arange(5, dtype=np.int32)}
  draw = lambda seed: np.asarray(BoundModel(MODEL, variables, seed).latents(batch))
  np.testing.assert_array_equal(draw(1), draw(1))
  assert np.abs(draw(1) - draw(2)).min() > 0


def test_a_method_that_the_model_lacks(variables):
  model = BoundModel(MODEL, variables)
  assert 'decode' in model and 'translate' not in model and 'latent_dim' not in model
  with pytest.raises(UserError, match="VAE has no method 'translate'"):
    model.translate({})


def test_the_number_of_classes_is_that_of_the_condition(variables):
  conditional = MODEL.clone(conditional=True, num_classes=7)
  assert BoundModel(MODEL, variables).classes == 0 and BoundModel(conditional, variables).classes == 7
  assert BoundModel(MODEL.clone(num_classes=7), variables).classes == 0  # of the data, which the model does not see
  assert BoundModel(conditional, variables).module is conditional
