import jax
import jax.numpy as jnp
import numpy as np
import optax

from gen_jax import models, networks

KEY = jax.random.key(0)


def autoencoder(latent_dim, low=0.0):
  return models.Autoencoder(networks.MLPEncoder((16,)), networks.MLPDecoder((16,)), (4, 4, 1), latent_dim, low)


def test_the_loss_is_the_squared_error_summed_over_pixels():
  batch = {'image': jax.random.uniform(KEY, (5, 4, 4, 1))}
  model = autoencoder(3)
  variables = model.init(KEY, batch)
  loss, _ = model.apply(variables, batch, 0, method='loss')
  again = model.apply(variables, batch, method='reconstruct')
  errors = [((x - y) ** 2).sum() for x, y in zip(batch['image'], again, strict=True)]
  np.testing.assert_allclose(loss, np.mean(errors), rtol=1e-5)
  code = model.apply(variables, batch, method='encode')
  assert code.shape == (5, 3)
  np.testing.assert_array_equal(model.apply(variables, code, batch, method='decode'), again)


def test_reconstructions_lie_in_the_range():
  batch = {'image': 50 * jax.random.normal(KEY, (5, 4, 4, 1))}
  for low in (0.0, -1.0):
    model = autoencoder(3, low)
    again = np.asarray(model.apply(model.init(KEY, batch), batch, method='reconstruct'))
    assert again.min() >= low and again.max() <= 1 and again.min() < low + 0.5


def test_a_wider_bottleneck_reconstructs_better():
  # data on a 3-dimensional surface
  z = jax.random.normal(KEY, (256, 3))
  image = jax.nn.sigmoid(2 * z @ jax.random.normal(jax.random.key(1), (3, 16))).reshape(-1, 4, 4, 1)
  errors = []
  for latent_dim in (1, 2, 3):
    model, optimizer = autoencoder(latent_dim), optax.adam(1e-2)
    params = model.init(KEY, {'image': image})

    def update(carry, _, model=model, optimizer=optimizer):
      params, opt_state = carry
      loss, gradients = jax.value_and_grad(lambda p: model.apply(p, {'image': image}, 0, method='loss')[0])(params)
      moves, opt_state = optimizer.update(gradients, opt_state)
      return (optax.apply_updates(params, moves), opt_state), loss

    _, losses = jax.jit(lambda p, s: jax.lax.scan(update, (p, s), length=400))(params, optimizer.init(params))
    errors.append(float(losses[-1]))
  assert errors[0] > 1.3 * errors[1] > 1.3 * errors[2] and jnp.isfinite(errors[2])
