"""Traversals, interpolations and planes of a run's latents."""

import io

import numpy as np
import pytest
from pictures import axes_image, cell, outputs
from PIL import Image

from gen_jax.errors import UserError
from gen_jax.figures import latents
from gen_jax.figures.inputs import decode_pixels, to_pixels
from gen_jax.figures.inputs import test_batch as first_test_batch
from gen_jax.figures.latents import codes_and_kl, has_kl_of_latents, interpolate, plane, plane_of, traverse
from gen_jax.figures.write import check_needs
from gen_jax.plots import traversals


@pytest.fixture
def codes_as(monkeypatch):
  """A function that makes every run's codes of its test images those that are given; what they decode to is gray."""

  def give(codes):
    monkeypatch.setattr(latents, 'collect', lambda batches, **quantities: {'codes': codes})
    gray = lambda run, z, label=0: np.tile(np.uint8(np.clip(100 + 20 * z[:, :1, None, None], 0, 255)), (1, 8, 8, 1))
    monkeypatch.setattr(latents, 'decode_pixels', gray)

  return give


@pytest.mark.parametrize('codes', [[[-1.0], [2.0], [3.0], [-2.0]], [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, -1.0]]])
def test_without_a_way_along_the_sphere_walks_are_straight(codes, codes_as, run_of):
  codes_as(np.array(codes))
  picture = outputs(interpolate, run_of('vae'))['interpolations']
  assert {'linear', 'spherical'} & set(texts(picture)) == {'linear'}
  assert picture.caption.endswith('straight, as there is no way along a sphere')


def test_of_one_test_image_there_are_no_walks_and_a_latent_that_does_not_vary_is_moved(codes_as, run_of):
  codes_as(np.array([[1.0, -1.0, 0.5]]))
  made = outputs(interpolate, run_of('vae'))
  assert made == {'text': ['no walks between codes: there is one test image, and they need two']}
  grid = axes_image(outputs(traverse, run_of('autoencoder'))['traversals_1'])
  assert cell(grid, 0, 1)[0, 0, 0] < cell(grid, 0, 0)[0, 0, 0] < cell(grid, 0, 9)[0, 0, 0]


def texts(picture):
  return [text.get_text() for text in picture.content.texts]


def test_one_latent_moves_from_each_of_three_test_images(run_of):
  run = run_of('vae')
  made, batch = outputs(traverse, run), first_test_batch(run)
  codes, kl = codes_and_kl(run, [batch])
  assert set(made) == {'traversals_1', 'traversals_2', 'traversals_3', 'text'}
  grid, order = axes_image(made['traversals_2']), np.argsort(-kl)
  assert [f'z{d}  KL {kl[d]:.1f} nats' for d in order] == texts(made['traversals_2'])[1:3]
  for row, d in enumerate(order):
    moved = codes[1].copy()
    moved[d] = -3.0
    np.testing.assert_array_equal(cell(grid, row, 0)[..., :1], decode_pixels(run, codes[1:2])[0])
    np.testing.assert_array_equal(cell(grid, row, 1)[..., :1], decode_pixels(run, moved[None])[0])


def test_without_a_prior_the_codes_themselves_are_the_measure(run_of):
  run = run_of('autoencoder')
  assert not has_kl_of_latents(run)
  picture, batch = outputs(traverse, run)['traversals_1'], first_test_batch(run)
  codes = np.asarray(run.model.encode(batch))
  assert texts(picture)[1:4] == ['z0', 'z1', 'z2']
  moved = codes[0].copy()
  moved[1] = codes[:, 1].mean() - 3 * codes[:, 1].std()
  image = decode_pixels(run, moved[None])[0].astype(int)
  assert np.abs(cell(axes_image(picture), 1, 1)[..., :1] - image).max() <= 1


def test_a_categorical_latent_takes_every_category(run_of):
  run = run_of('categorical vae')
  picture, batch = outputs(traverse, run)['traversals_1'], first_test_batch(run)
  codes, kl = codes_and_kl(run, [batch])
  z, first = np.eye(4)[codes[0].reshape(3, 4).argmax(-1)], np.argmax(kl)
  z[first] = np.eye(4)[2]
  np.testing.assert_array_equal(
    cell(axes_image(picture), 0, 3)[..., :1], decode_pixels(run, z.reshape(1, -1))[0]
  )
  assert texts(picture)[1] == f'z{first}  KL {kl[first]:.1f} nats'


def test_a_conditional_model_keeps_the_class_of_the_image(run_of):
  run = run_of('conditional vae')
  grid, batch = axes_image(outputs(traverse, run)['traversals_3']), first_test_batch(run)
  codes, label = np.asarray(run.model.encode(batch)), int(batch['label'][2])
  np.testing.assert_array_equal(cell(grid, 0, 0)[..., :1], decode_pixels(run, codes[2:3], label)[0])
  assert (decode_pixels(run, codes[2:3], (label + 1) % 10) != decode_pixels(run, codes[2:3], label)).any()


def test_walks_begin_and_end_at_the_codes_of_test_images(run_of):
  run = run_of('vae')
  grid = axes_image(outputs(interpolate, run)['interpolations'])
  ends = decode_pixels(run, np.asarray(run.model.encode(first_test_batch(run)))[:8])
  for pair in range(4):
    for path in (0, 1):
      row = 2 * pair + path
      for column, image in ((0, ends[pair]), (8, ends[4 + pair])):
        assert np.abs(cell(grid, row, column, block=2)[..., :1].astype(int) - image).max() <= 1


def ends_of_walks(run):
  """Latents [walks,2,D] as `sample` draws them for the rows in order, and labels [walks] of the classes in turn."""
  labels = np.arange(latents.WALKS, dtype=np.int32) % max(run.model.classes, 1)
  batch = {'row': np.arange(2 * latents.WALKS, dtype=np.int32), 'label': np.repeat(labels, 2)}
  return np.asarray(run.model.latents(batch)).reshape(latents.WALKS, 2, -1), labels


@pytest.mark.parametrize('name', ['gan', 'growing gan', 'diffusion', 'conditional vae'])
def test_where_codes_of_images_are_none_walks_go_from_sample_to_sample(name, run_of):
  run = run_of(name)
  made, (ends, labels) = outputs(interpolate, run), ends_of_walks(run)
  rows = np.arange(2 * latents.WALKS, dtype=np.int32)
  samples = to_pixels(run, run.model.sample({'row': rows, 'label': np.repeat(labels, 2)}))
  grid = axes_image(made['interpolations'])
  for walk, pair in enumerate(ends):
    for place, sample in ((0, samples[2 * walk]), (latents.PLACES - 1, samples[2 * walk + 1])):
      np.testing.assert_allclose(cell(grid, walk, place)[..., :1].astype(int), sample, atol=1)
    z = traversals.slerp(*pair, [4 / 9])
    np.testing.assert_allclose(cell(grid, walk, 4)[..., :1], decode_pixels(run, z, labels[walk])[0], atol=1)
  of_class = ' of one class' if run.model.classes else ''
  assert made['interpolations'].caption == f'Walks between two samples{of_class}, along the sphere'
  named = [text for text in texts(made['interpolations']) if text in run.source.data.names_of_classes]
  assert named == ([str(label) for label in labels] if run.model.classes else [])


def test_a_walk_is_of_one_class_and_one_latent_mode(run_of):
  run = run_of('conditional gan')
  made, (ends, labels) = outputs(interpolate, run), ends_of_walks(run)
  grid = axes_image(made['interpolations'])
  assert (ends[:, 0, -3:] != ends[:, 1, -3:]).any()  # what a walk between these would leave
  for walk, (start, end) in enumerate(ends):
    for place in (0, 3, 9):
      z = np.concatenate([traversals.slerp(start[:-3], end[:-3], [place / 9])[0], start[-3:]])
      image = decode_pixels(run, z[None], labels[walk])[0].astype(int)
      np.testing.assert_allclose(cell(grid, walk, place)[..., :1], image, atol=1)
  assert made['interpolations'].caption == 'Walks between two samples of one class and latent mode, along the sphere'


def test_an_animation_of_walks_comes_back_to_where_it_began(run_of):
  run = run_of('conditional gan')
  made, drawn = outputs(interpolate, run), latents.draw(run, latents.ROUNDS, latents.CORNERS)
  with Image.open(io.BytesIO(made['walk'].content)) as moving:
    frames, wait = [], set()
    for i in range(1, moving.n_frames):
      moving.seek(i)
      frames.append(np.asarray(moving.convert('L'), int))
      wait.add(round(moving.info['duration']))
  assert len(frames) == latents.CORNERS * latents.STEPS
  assert wait == {1000 * latents.SECONDS}  # none is held
  for corner in range(latents.CORNERS):
    images = latents.decode_walks(run, drawn.numbers[:, corner : corner + 1], drawn)[:, 0]
    shown = frames[corner * latents.STEPS]
    size = shown.shape[0]
    for i, image in enumerate(images):
      one = shown[:, i * size : (i + 1) * size]
      each = size // 10
      np.testing.assert_allclose(one[each:-each:each, each:-each:each], image[..., 0], atol=1)


def test_codes_of_one_number_are_joined_by_a_line(run_of, monkeypatch):
  run = run_of('gan')
  one = latents.Drawn(np.arange(8.0).reshape(2, 4, 1), np.zeros((2, 0)), np.zeros(2, int))
  monkeypatch.setattr(latents, 'draw', lambda run, walks, each: one._replace(numbers=one.numbers[:, :each]))
  gray = lambda run, z, label: np.tile(np.uint8(30 * z[:, :, None, None]), (1, 8, 8, 1))
  monkeypatch.setattr(latents, 'decode_pixels', gray)
  picture = outputs(interpolate, run)['interpolations']
  assert picture.caption == 'Walks between two samples, straight, as there is no arc'
  np.testing.assert_allclose(axes_image(picture)[15, 5::10, 0], np.linspace(120, 150, 10), atol=1)


def test_a_plane_holds_the_codes_of_test_images_and_what_its_places_decode_to(run_of):
  run = run_of('vae')
  picture, shown = outputs(plane, run)['plane'], plane_of(run)
  np.testing.assert_array_equal(np.asarray(picture.content.axes[0].collections[0].get_offsets()), shown.codes)
  assert shown.prior and len(shown.codes) == run.source.data.size and len(shown.labels) == len(shown.codes)
  corner = np.array([[shown.x[0], shown.y[-1]]])  # above on the left
  np.testing.assert_array_equal(axes_image(picture, 1)[:8, :8], decode_pixels(run, corner)[0, ..., 0])


@pytest.mark.parametrize(
  ('figure', 'name', 'message'),
  [
    (plane, 'autoencoder', 'Autoencoder has 3 latents, not 2: train with --config.model.latent_dim=2'),
    (plane, 'conditional vae', 'VAE is conditional: a code is of one class'),
    (interpolate, 'plane', '--mode=interpolate needs images; ring holds points'),
    (interpolate, 'categorical vae', 'CategoricalVAE is of categories'),
    (plane, 'categorical vae', 'CategoricalVAE is of categories'),
    (plane, 'gan', '--mode=plane needs a model that has encode; GAN has not'),
    (traverse, 'plane', '--mode=traverse needs a model that has encode; GAN has not'),
  ],
)
def test_runs_without_such_codes_are_refused(figure, name, message, run_of):
  with pytest.raises(UserError, match=message):
    check_needs(figure, run_of(name))
