import importlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import small_config

from gen_jax import build, models
from gen_jax.errors import UserError
from gen_jax.training.optimizers import adam, learning_rate_schedule


def built(**changes):
  config = small_config('digits', **changes)
  data = build.dataset(config, 'train')
  return build.model(config, data), config, data


def test_a_model_is_sized_and_informed_by_the_data():
  model, _, _ = built(data={'size': 28, 'binarize': 'dynamic'})
  assert isinstance(model, models.VAE) and model.image_shape == (28, 28, 1)
  assert model.likelihood.binary and model.encoder.dtype == jnp.float32
  assert not built()[0].likelihood.binary
  assert built(precision='bfloat16')[0].decoder.dtype == jnp.bfloat16


def test_likelihoods_know_the_grey_values():
  symmetric = {'value_range': (-1.0, 1.0), 'dequantize': True}
  model, _, _ = built(data=symmetric, model={'likelihood': {'name': 'LearnedGaussian'}})
  assert model.likelihood.bin_width == 2 / 256
  assert built(model={'likelihood': {'name': 'LearnedGaussian'}})[0].likelihood.bin_width is None
  model, _, _ = built(data={'value_range': (-1.0, 1.0)}, model={'likelihood': {'name': 'DiscretizedLogistic'}})
  assert (model.likelihood.levels, model.likelihood.low) == (256, -1.0)


def pixelcnn(likelihood='Categorical', data=None, **fields):
  network = {'name': 'GatedPixelCNN', 'features': 4, 'layers': 2, 'kernel': 3, 'hidden': 4}
  model = {'name': 'PixelCNN', 'network': network, 'likelihood': {'name': likelihood}, **fields}
  return {'data': data or {}, 'model': model, 'evals': ('terms',), 'best': '', 'batch_size': 8}


def test_a_pixelcnn_is_sized_and_informed_by_the_data():
  model, _, _ = built(**pixelcnn(data={'size': 10, 'binarize': 'dynamic'}))
  assert (model.image_shape, model.num_classes, model.network.num_classes) == ((10, 10, 1), 10, 10)
  assert model.likelihood.levels == 2
  model, _, _ = built(**pixelcnn('DiscretizedLogisticMixture', {'value_range': (-1.0, 1.0)}))
  assert (model.likelihood.channels, model.likelihood.levels, model.likelihood.low) == (1, 256, -1.0)


REFUSED = {  # what a PixelCNN cannot be trained on: (arguments, the answer)
  'no labels': (
    {'conditional': True, 'data': {'name': 'sprites'}},
    'config.model.conditional=True: sprites has no labels; choose a data set with classes',
  ),
  'grey values': ({'likelihood': 'Bernoulli'}, "config.data.binarize='none': Bernoulli is no distribution of grey"),
  'noise': ({'data': {'dequantize': True}}, 'config.data.dequantize=True: Categorical is a distribution of discrete'),
  'an even kernel': ({'network': {'kernel': 4}}, 'config.model cannot be built: kernel=4: must be odd and at least 3'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_what_a_pixelcnn_cannot_model_is_refused_in_one_line(case):
  arguments, expected = REFUSED[case]
  changes = pixelcnn(**{name: value for name, value in arguments.items() if name != 'network'})
  changes['model']['network'] |= arguments.get('network', {})
  with pytest.raises(UserError, match=re.escape(expected)) as error:
    build.check(small_config('digits', **changes))
  assert '\n' not in str(error.value)


def test_a_schedule_may_take_the_place_of_a_number():
  schedule = {'name': 'linear_schedule', 'init_value': 0.0, 'end_value': 8.0, 'transition_steps': 100}
  model, _, _ = built(model={'beta': schedule, 'capacity': 2.0})
  assert model.beta(50) == 4.0 and model.capacity == 2.0


def test_the_same_config_builds_an_equal_model():
  assert built()[0] == built()[0] and hash(built()[0]) == hash(built()[0])


def test_fields_that_a_class_lacks_are_named():
  with pytest.raises(UserError, match=r'config.model.encoder.hiden is no field of MLPEncoder; did you mean hidden\?'):
    built(model={'encoder': {'hiden': (3,)}})


def test_warm_up_and_cosine():
  schedule = learning_rate_schedule(2e-3, 'cosine', warmup_steps=10, decay_steps=110)
  found = [float(schedule(step)) for step in (0, 5, 10, 60, 110, 200)]
  np.testing.assert_allclose(found, [0, 1e-3, 2e-3, 1e-3, 0, 0], atol=1e-9)
  constant = learning_rate_schedule(2e-3, 'constant', 0, 100)
  np.testing.assert_allclose([constant(0), constant(10**6)], [2e-3, 2e-3])


def test_a_player_may_have_an_optimizer_of_its_own():
  config = small_config(model={'penalty': {'name': 'DensityRatio'}}, player_optimizers={'discriminator': {'b1': 0.5}})
  game = build.model(config, build.dataset(config, 'train'))
  params = {'w': jnp.array([3.0])}
  first, second = {'w': jnp.array([1.0])}, {'w': jnp.array([-3.0])}
  made = build.optimizers(config, game)
  for name, b1 in (('model', 0.9), ('discriminator', 0.5)):
    rate = learning_rate_schedule(config.optimizer.learning_rate, 'cosine', 0, config.steps)
    expected = adam(rate, b1, 0.999, 1e-8, 0.0, 0.0)
    states = [optimizer.init(params) for optimizer in (made[name], expected)]
    for gradient in (first, second):
      found = [o.update(gradient, s, params) for o, s in zip((made[name], expected), states, strict=True)]
      states = [state for _, state in found]
    np.testing.assert_allclose(found[0][0]['w'], found[1][0]['w'], rtol=1e-6)
  for changes, said in (
    ({'discriminatr': {'b1': 0.5}}, 'discriminatr: no player of this game; did you mean discriminator?'),
    ({'discriminator': {'learning_rat': 0.5}}, 'discriminator.learning_rat is no key; did you mean learning_rate?'),
    ({'discriminator': {'b1': 1.5}}, 'discriminator.b1=1.5: must lie in [0, 1)'),
  ):
    with pytest.raises(UserError, match=re.escape(said)):
      build.check(small_config(model={'penalty': {'name': 'DensityRatio'}}, player_optimizers=changes))


@pytest.mark.parametrize('name', ['annealed_vae', 'beta_tcvae', 'dip_vae', 'factor_vae'])
@pytest.mark.parametrize('variant', ['default', 'paper'])
def test_objectives_on_sprites_can_be_built(name, variant):
  config = importlib.import_module(f'experiments.{name}').get_config(variant)
  build.check(config)
  if name == 'beta_tcvae':
    said = 'batch_size=1000000: TotalCorrelation needs 2 to 589824'
    with config.unlocked(), pytest.raises(UserError, match=said):
      config.batch_size = 1_000_000
      build.check(config)


def test_clipping_and_decoupled_decay():
  params, gradient = {'w': jnp.array([3.0, 4.0])}, {'w': jnp.array([30.0, 40.0])}
  plain = optax.adam(0.1)
  clipped = adam(lambda step: 0.1, 0.9, 0.999, 1e-8, weight_decay=0.0, clip_norm=5.0)
  found, _ = clipped.update(gradient, clipped.init(params), params)
  expected, _ = plain.update({'w': jnp.array([3.0, 4.0])}, plain.init(params))
  np.testing.assert_allclose(found['w'], expected['w'], rtol=1e-6)
  decayed = adam(lambda step: 0.1, 0.9, 0.999, 1e-8, weight_decay=0.5, clip_norm=0.0)
  found, _ = decayed.update(gradient, decayed.init(params), params)
  expected, _ = plain.update(gradient, plain.init(params))
  np.testing.assert_allclose(found['w'], expected['w'] - 0.1 * 0.5 * params['w'], rtol=1e-6)


@pytest.mark.parametrize('split', ['train', 'validation', 'test'])
def test_splits_of_the_embedded_sets(split):
  for kind in ('rendered', 'resident'):
    data = build.dataset(small_config(kind), split)
    batch = build.example_batch(data, build.preprocessor(small_config(kind), data, train=False), rows=3)
    assert batch['image'].dtype == jnp.float32 and 0 <= batch['image'].min() <= batch['image'].max() <= 1
    assert jax.tree.all(jax.tree.map(lambda x: len(x) == 3, batch))


VAE = {'name': 'VAE', 'encoder': {'name': 'MLPEncoder'}, 'decoder': {'name': 'MLPDecoder'}}
VAE |= {'likelihood': {'name': 'Bernoulli'}, 'latent_dim': 3}
FLOW, VAMP = {'name': 'InverseAutoregressiveFlow'}, {'name': 'VampPrior', 'components': 5}
MOMENTS = {'name': 'Moments'}
FIELDS = {  # what leaves another field of a VAE without effect or meaning: (fields, the answer)
  'beta of a bound': ({'samples': 5, 'beta': 2.0}, 'samples=5: the importance weighted bound has no beta'),
  'capacity of a bound': ({'samples': 5, 'capacity': 1.0}, 'samples=5: the importance weighted bound has no beta'),
  'dreg of one sample': ({'dreg': True}, 'dreg=True: needs samples above 1'),
  'dreg of a flow': ({'dreg': True, 'samples': 5, 'family': FLOW}, 'dreg=True: needs the density of any z'),
  'vamp of a flow': ({'prior': VAMP, 'family': FLOW}, 'VampPrior is a mixture of posteriors that are DiagonalNormal'),
  'a penalty of a bound': ({'samples': 5, 'penalty': MOMENTS}, 'samples=5: the importance weighted bound has no pen'),
  'a penalty of a flow': ({'family': FLOW, 'penalty': MOMENTS}, 'needs a posterior of family DiagonalNormal'),
  'classes of a prior': ({'prior': {'name': 'ClassMixturePrior'}}, 'ClassMixturePrior is p(z|y); set conditional=True'),
  'vamp with labels': ({'prior': VAMP, 'conditional': True}, 'VampPrior has no labels'),
  'dreg of a common sigma': (
    {'dreg': True, 'samples': 5, 'likelihood': {'name': 'OptimalGaussian'}},
    'the sigma of OptimalGaussian depends on all',
  ),
  'no samples': ({'samples': 0}, 'config.model.samples=0: must be above 0'),
}


@pytest.mark.parametrize('fields', FIELDS)
def test_fields_of_a_vae_that_exclude_each_other(fields):
  changes, said = FIELDS[fields]
  with pytest.raises(UserError, match=re.escape(said)):
    build.check(small_config('digits', model=VAE | changes))


@pytest.mark.parametrize(
  ('names', 'said'),
  [('clustering', 'needs a data set with labels'), ('class_agreement', 'needs a data set with labels')],
)
def test_final_evaluators_are_checked_before_training(names, said):
  with pytest.raises(UserError, match=said):
    build.check(small_config('rendered', final_evals=(names,)))


PLAIN = {'model': VAE, 'data': {'binarize': 'dynamic'}}
UNTRUE = {  # what an evaluator would say something untrue of: (changes, evaluator, the answer)
  'no condition': (PLAIN, 'class_agreement', 'needs a conditional model'),
  'no clusters': (PLAIN, 'clustering', 'needs a model that has classify; VAE has not'),
  'grey': ({'model': VAE}, 'likelihood', 'Bernoulli is no distribution of grey values'),
  'labels in the codes': (PLAIN | {'model': VAE | {'conditional': True}}, 'probe', 'codes that have not seen'),
  'a flow': (PLAIN | {'model': VAE | {'family': FLOW}}, 'elbo_decomposition', 'needs a VAE of family DiagonalNormal'),
  'a learned prior': (PLAIN | {'model': VAE | {'prior': VAMP}}, 'elbo_decomposition', 'prior StandardNormal'),
}


@pytest.mark.parametrize('what', UNTRUE)
def test_evaluators_of_which_nothing_true_would_come(what):
  changes, name, said = UNTRUE[what]
  with pytest.raises(UserError, match=said):
    build.check(small_config('digits', final_evals=(name,), **changes))
