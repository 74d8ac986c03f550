"""A run from Python: uint8 images and NumPy arrays in and out."""

import numpy as np
import pytest
from small import small_config

import gen_jax
from gen_jax.data.preprocess import to_uint8
from gen_jax.errors import UserError
from gen_jax.evaluation import evaluate


def images_of(run, number):
  """The first test images, as they lie in memory."""
  return run.source.data.arrays['image'][:number], run.source.data.arrays['label'][:number]


def test_a_run_is_loaded_with_its_config_module_and_state(run_of):
  run = gen_jax.load(run_of('vae').workdir)
  assert run.config.model.latent_dim == 2 and run.state.step == 4 and type(run.module).__name__ == 'VAE'
  assert gen_jax.load(run.workdir, 2).state.step == 2


def test_samples_of_a_row_depend_on_the_seed_and_the_row_alone(run_of):
  run = run_of('vae')
  samples = run.sample(5, seed=3)
  assert samples.dtype == np.uint8 and samples.shape == (5, 8, 8, 1) and np.ptp(samples) > 0
  np.testing.assert_array_equal(run.sample(70, seed=3)[:5], samples)
  assert np.any(run.sample(5, seed=4) != samples)
  points = run_of('plane').sample(7)
  assert points.shape == (7, 2) and points.dtype == np.float32


def test_codes_are_those_of_the_model_for_any_number_of_images(run_of):
  run = run_of('vae')
  images, _ = images_of(run, 200)
  codes = run.encode(images)
  batch = next(run.source.batches())  # of the same images in another order
  expected = np.asarray(run.model.encode(batch))
  np.testing.assert_allclose(codes[batch['index']], expected, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(run.encode(images[:1]), codes[:1], rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(run.encode(images[..., 0]), codes, rtol=1e-5, atol=1e-6)
  np.testing.assert_array_equal(run.decode(codes), run.reconstruct(images))
  decoded = np.asarray(run.model.decode(codes[:64], {'row': np.arange(64, dtype=np.int32)}))
  np.testing.assert_array_equal(run.decode(codes[:64]), np.asarray(to_uint8(decoded)))


def test_classes_of_a_conditional_model(run_of):
  run = run_of('conditional vae')
  images, labels = images_of(run, 6)
  assert run.encode(images, labels).shape == (6, 2) and run.sample(3, label=9).shape == (3, 8, 8, 1)
  assert np.any(run.encode(images, labels) != run.encode(images, (labels + 1) % 10))
  assert np.any(run.sample(3, label=9) != run.sample(3, label=1))
  assert np.any(run.decode(np.zeros((1, 2)), label=3) != run.decode(np.zeros((1, 2)), label=4))
  np.testing.assert_array_equal(run.sample(20)[13], run.sample(14, label=3)[13])  # by default each class in turn
  with pytest.raises(UserError, match='VAE is conditional: give labels'):
    run.encode(images)
  with pytest.raises(UserError, match='--label=10: VAE has classes 0 to 9'):
    run.sample(3, label=10)
  with pytest.raises(UserError, match='--label=1: VAE is not conditional'):
    run_of('vae').sample(3, label=1)


def test_log_probabilities_are_those_of_the_evaluation(run_of):
  run = run_of('pixelcnn')
  nll = evaluate.run(('likelihood',), run.model, run.source)['nll_each']
  labels = np.concatenate([np.asarray(b['label'])[np.asarray(b['mask']) > 0] for b in run.source.batches()])
  binary = np.concatenate([np.asarray(b['image'])[np.asarray(b['mask']) > 0] for b in run.source.batches()])
  images = (255 * binary).astype(np.uint8)  # which binarizing leaves as they are
  np.testing.assert_allclose(run.log_prob(images, labels), -nll, rtol=1e-5)
  bound = run_of('vae').log_prob(images_of(run_of('vae'), 3)[0], samples=20)
  assert bound.shape == (3,) and np.all(bound < 0)
  with pytest.raises(UserError, match='GAN has no likelihood'):
    run_of('gan').log_prob(images)


def test_a_latent_is_moved_alone(run_of):
  run = run_of('vae')
  image = images_of(run, 1)[0][0]
  walk = run.traverse(image, latent=1, values=(-2.0, 0.0, 2.0))
  code = run.encode(image[None])[0]
  np.testing.assert_array_equal(walk[2], run.decode(np.array([[code[0], 2.0]]))[0])
  assert walk.shape == (3, 8, 8, 1) and np.any(walk[0] != walk[2])
  with pytest.raises(UserError, match='latent=2: the code has the latents 0 to 1'):
    run.traverse(image, latent=2)
  with pytest.raises(UserError, match='--label=1: VAE is not conditional'):
    run.traverse(image, latent=1, label=1)
  conditional = run_of('conditional vae')
  walks = [conditional.traverse(image, latent=1, label=label) for label in (None, 0, 3)]
  np.testing.assert_array_equal(walks[0], walks[1])
  assert np.any(walks[0] != walks[2])


def test_binary_images_are_told_from_gray_ones(run_of):
  run = run_of('sprites')  # stored as 0 and 1, given as 0 to 255
  batch = next(run.source.batches())
  images = np.asarray(to_uint8(batch['image'][:5]))
  assert set(np.unique(images)) == {0, 255}
  for given in (images, images // 255):
    np.testing.assert_allclose(run.encode(given), np.asarray(run.model.encode(batch))[:5], rtol=1e-4, atol=1e-5)


def test_what_is_no_image_of_this_model_is_refused(run_of):
  run = run_of('vae')
  for images, expected in (
    (np.zeros((2, 8, 8, 1), np.float32), r'images must be uint8 \[N,H,W,C\] or \[N,H,W\], of 0 to 255, not float32'),
    (np.zeros((8, 8), np.uint8), r'images must be uint8'),
    (np.zeros((2, 9, 8, 1), np.uint8), r'this model sees images of \[8, 8, 1\], not \[9, 8, 1\]'),
    (np.zeros((8, 8, 1), np.uint8), r'images must be uint8 \[N,H,W,C\]'),
    (np.zeros((0, 8, 8, 1), np.uint8), r'images must be uint8'),
    (np.zeros((2, 8, 8, 3), np.uint8), r'this model sees images of \[8, 8, 1\], not \[8, 8, 3\]'),
  ):
    with pytest.raises(UserError, match=expected):
      run.encode(images)
  for codes in (np.zeros(2), np.zeros((0, 2))):
    with pytest.raises(UserError, match='codes must have the shape'):
      run.decode(codes)
  with pytest.raises(UserError, match='0 samples: ask for at least 1'):
    run.sample(0)
  with pytest.raises(UserError, match='samples=0: must be above 0'):
    run.log_prob(images_of(run, 1)[0], samples=0)
  with pytest.raises(UserError, match=r'codes \[N,D\] of this model have another D than 5'):
    run.decode(np.zeros((1, 5)))
  with pytest.raises(UserError, match='codes must be finite'):
    run.decode(np.array([[0, np.nan]]))
  for seed in (-1, 2**32, 1.5):
    with pytest.raises(UserError, match=f'seed={seed}: must'):
      run.sample(2, seed=seed)
  assert run.sample(2, seed=2**32 - 1).shape == (2, 8, 8, 1)
  for points in (np.zeros((2, 3)), np.zeros(2), np.array([[0, np.inf]]), np.array([['a', 'b']])):
    with pytest.raises(UserError, match=r'points must be finite numbers \[N,2\], not'):
      next(run_of('plane').batches(points))
  assert next(run_of('plane').batches(np.zeros((3, 2))))['image'].shape == (3, 1, 1, 2)
  for labels in ([0, 1], [99] * 6):
    with pytest.raises(UserError, match='labels must be 6 of the classes 0 to 9'):
      run_of('conditional vae').encode(images_of(run, 6)[0], labels)
  assert repr(run).startswith('Run(VAE at step 4, ')
  with pytest.raises(UserError, match="Autoencoder has no method 'sample'"):
    run_of('autoencoder').sample(3)


def test_training_from_a_script_gives_the_run(tmp_path):
  config = small_config(steps=2, steps_per_dispatch=2, eval_every=2, save_every=2, best='')
  run = gen_jax.train(config, tmp_path / 'run')
  assert run.state.step == 2 and (tmp_path / 'run' / 'report.html').exists()
  np.testing.assert_array_equal(gen_jax.load(tmp_path / 'run').sample(3), run.sample(3))
