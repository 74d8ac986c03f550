import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import pixelcnn, small_config

from gen_jax import build, models
from gen_jax.errors import UserError
from gen_jax.optimizers import adam, learning_rate_schedule


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


def test_a_pixelcnn_is_sized_and_informed_by_the_data():
  model, _, _ = built(**pixelcnn(data={'size': 10, 'binarize': 'dynamic'}))
  assert (model.image_shape, model.num_classes, model.network.num_classes) == ((10, 10, 1), 10, 10)
  assert model.likelihood.levels == 2
  model, _, _ = built(**pixelcnn('DiscretizedLogisticMixture', {'value_range': (-1.0, 1.0)}))
  assert (model.likelihood.channels, model.likelihood.levels, model.likelihood.low) == (1, 256, -1.0)


def test_a_schedule_may_take_the_place_of_a_number():
  schedule = {'name': 'linear_schedule', 'init_value': 0.0, 'end_value': 8.0, 'transition_steps': 100}
  model, _, _ = built(model={'beta': schedule, 'capacity': 2.0})
  assert model.beta(50) == 4.0 and model.capacity == 2.0


def test_of_a_finished_run_only_what_may_differ_is_refused():
  diffusion = {'name': 'Diffusion', 'denoiser': {'name': 'UNet', 'features': (4,)}, 'conditional': True}

  def lines(sampler=None, **fields):
    changes = {'data': {'value_range': (-1.0, 1.0)}, 'sampler': sampler or {}}
    model, config, data = built(model=diffusion | fields, **changes)
    return list(build.problems_of_finished(config, data, model))

  assert lines() == lines(label_dropout=2.0) == []  # which training refuses
  assert lines(class_screening=20)[0].startswith('config.model.class_screening=20: must be from 0 to below')
  assert lines({'steps': 0}) == ['config.sampler.steps=0: must be above 0']


def test_the_same_config_builds_an_equal_model():
  assert built()[0] == built()[0] and hash(built()[0]) == hash(built()[0])


def test_fields_that_a_class_lacks_are_named():
  with pytest.raises(UserError, match=r'config.model.encoder.hiden is no field of MLPEncoder; did you mean hidden\?'):
    built(model={'encoder': {'hiden': (3,)}})


def test_warm_up_and_cosine():
  schedule = learning_rate_schedule(2e-3, 'cosine', warmup_steps=10, decay_steps=110)
  results = [float(schedule(step)) for step in (0, 5, 10, 60, 110, 200)]
  np.testing.assert_allclose(results, [0, 1e-3, 2e-3, 1e-3, 0, 0], atol=1e-9)
  constant = learning_rate_schedule(2e-3, 'constant', 0, 100)
  np.testing.assert_allclose([constant(0), constant(10**6)], [2e-3, 2e-3])


def test_a_player_may_have_an_optimizer_of_its_own():
  config = small_config(model={'penalty': {'name': 'DensityRatio'}}, player_optimizers={'discriminator': {'b1': 0.5}})
  model = build.model(config, build.dataset(config, 'train'))
  params = {'w': jnp.array([3.0])}
  first, second = {'w': jnp.array([1.0])}, {'w': jnp.array([-3.0])}
  made = build.optimizers(config, model)
  for name, b1 in (('model', 0.9), ('discriminator', 0.5)):
    rate = learning_rate_schedule(config.optimizer.learning_rate, 'cosine', 0, config.steps)
    expected = adam(rate, b1, 0.999, 1e-8, 0.0, 0.0)
    states = [optimizer.init(params) for optimizer in (made[name], expected)]
    for gradient in (first, second):
      results = [o.update(gradient, s, params) for o, s in zip((made[name], expected), states, strict=True)]
      states = [state for _, state in results]
    np.testing.assert_allclose(results[0][0]['w'], results[1][0]['w'], rtol=1e-6)


def test_clipping_and_decoupled_decay():
  params, gradient = {'w': jnp.array([3.0, 4.0])}, {'w': jnp.array([30.0, 40.0])}
  plain = optax.adam(0.1)
  clipped = adam(lambda step: 0.1, 0.9, 0.999, 1e-8, weight_decay=0.0, clip_norm=5.0)
  results, _ = clipped.update(gradient, clipped.init(params), params)
  expected, _ = plain.update({'w': jnp.array([3.0, 4.0])}, plain.init(params))
  np.testing.assert_allclose(results['w'], expected['w'], rtol=1e-6)
  decayed = adam(lambda step: 0.1, 0.9, 0.999, 1e-8, weight_decay=0.5, clip_norm=0.0)
  results, _ = decayed.update(gradient, decayed.init(params), params)
  expected, _ = plain.update(gradient, plain.init(params))
  np.testing.assert_allclose(results['w'], expected['w'] - 0.1 * 0.5 * params['w'], rtol=1e-6)


@pytest.mark.parametrize('split', ['train', 'validation', 'test'])
def test_splits_of_the_embedded_sets(split):
  for kind in ('rendered', 'resident'):
    data = build.dataset(small_config(kind), split)
    batch = build.example_batch(data, build.preprocessor(small_config(kind), data, train=False), rows=3)
    assert batch['image'].dtype == jnp.float32 and 0 <= batch['image'].min() <= batch['image'].max() <= 1
    assert jax.tree.all(jax.tree.map(lambda x: len(x) == 3, batch))


def test_a_model_of_single_images_needs_such():
  config = small_config(data={'name': 'digit_edges'})
  with pytest.raises(UserError, match=r'config.model.name=VAE: reads image, and digit_edges has image_a and'):
    build.model(config, build.dataset(config, 'train'))


def test_a_model_of_two_sides_needs_such(monkeypatch):
  monkeypatch.setattr(models.VAE, 'reads', ('image_a', 'image_b'), raising=False)
  config = small_config('digits')
  with pytest.raises(UserError, match=r'VAE: reads image_a and image_b, and digits has image; .* config.data.layout'):
    build.model(config, build.dataset(config, 'train'))
  config = small_config(data={'name': 'digit_edges'})
  assert build.model(config, build.dataset(config, 'train')).image_shape == (32, 32, 1)


def test_classes_and_facts_know_the_shapes_of_both_sides():
  palette = ((0, 0, 170), (255, 170, 0), (170, 255, 85), (9, 9, 9))
  config = small_config(data={'name': 'digit_labels', 'palette_a': palette, 'crop': 24})
  data = build.dataset(config, 'train')
  known = build.known_fields(config, data)
  assert (known['channels_a'], known['channels_b'], known['image_shape']) == (4, 3, (24, 24, 4))
  assert build.facts(config, data, {}).shapes == {'image_a': (24, 24, 4), 'image_b': (24, 24, 3)}
  assert list(build.describe_changes(config, data)) == ['images of 32x32 become 24x24, by config.data.crop=24']
  single = small_config('digits')
  assert 'channels_a' not in build.known_fields(single, build.dataset(single, 'train'))
  assert build.facts(single, build.dataset(single, 'train'), {}).shapes == {'image': (8, 8, 1)}
