"""The figures of a trained run, each a mode of launch.py; every one says which verbs of the model it needs."""

import functools
import math
import os
from collections.abc import Iterator, Mapping

import jax
import numpy as np

from gen_jax import build, randomness
from gen_jax.data.preprocess import to_uint8
from gen_jax.distributions import sample_rows, standard_normal
from gen_jax.errors import UserError, nearest
from gen_jax.evaluation import mixture
from gen_jax.evaluation.evaluate import EVALUATION_BATCH, split_batches
from gen_jax.evaluation.means import asked
from gen_jax.networks import StandardNormal
from gen_jax.plots import canvas, grids, latent_plane, response_maps, traversals
from gen_jax.runs.run import Run
from gen_jax.types import Batch

DECODE_BATCH = 64
SAMPLERS = ('prior', 'mixture')
MIXTURE_CODES = 10_000  # of the training split, that the mixture is fitted to
ROWS = 20  # latents of `traverse`
SHOWN = 12  # images in a row of a figure that compares samplers
COMPLETED = 12  # images of `complete`


def require(run: Run, *verbs: str) -> None:
  """Raises UserError where the model lacks a verb."""
  for verb in verbs:
    if verb not in run.verbs():
      raise UserError(f'{type(run.model).__name__} ({run.workdir}) has no verb {verb!r}, which this mode needs')


def test_batch(run: Run) -> Batch:
  """A preprocessed batch of test images, always the same, in the one size that is compiled for already."""
  return next(test_batches(run, EVALUATION_BATCH))


def test_batches(run: Run, examples: int) -> Iterator[Batch]:
  """Preprocessed batches with `examples` of the test images, always the same ones."""
  return split_batches(run.config, run.test, examples)


def pixels(run: Run, images: jax.Array) -> np.ndarray:
  """Images in the model's range as uint8. UserError where the data are points."""
  if run.test.levels == 0:
    raise UserError(f'{run.workdir} is of points, not of images, which this mode draws: use --mode=points')
  return np.asarray(to_uint8(images, run.config.data.value_range))


def decode(run: Run, z: np.ndarray, label: int = 0) -> np.ndarray:
  """Codes [n,D] -> uint8 [n,H,W,C], in batches of one size; all of class `label` where the model is conditional."""
  verbs, batch = run.verbs(), {'row': np.arange(DECODE_BATCH, dtype=np.int32)}
  batch['label'] = np.full(DECODE_BATCH, label, np.int32)
  padded = np.pad(np.asarray(z, np.float32), ((0, -len(z) % DECODE_BATCH), (0, 0)))
  parts = [pixels(run, verbs.decode(part, batch)) for part in padded.reshape(-1, DECODE_BATCH, z.shape[1])]
  return np.concatenate(parts)[: len(z)]


def sample(
  run: Run,
  number: int = 64,
  label: int | None = None,
  seed: int = 0,
  sampler: str = 'prior',
  components: int = 10,
) -> None:
  """Samples from the prior -> samples.npz and, of images, figures/samples.png; or those of `sample_mixture`."""
  if sampler not in SAMPLERS:
    raise UserError(f'--sampler={sampler} is unknown{nearest(sampler, SAMPLERS)}')
  if sampler == 'mixture':
    if label is not None:
      raise UserError(f'--label={label}: --sampler=mixture knows no classes')
    sample_mixture(run, number, seed, components)
    return
  require(run, 'sample')
  verbs = run.verbs(seed)
  classes = verbs.classes
  if label is not None and not 0 <= label < classes:
    kind = f'has classes 0 to {classes - 1}' if classes else 'is not conditional'
    raise UserError(f'--label={label}: {type(run.model).__name__} {kind}')
  batch = asked(np.arange(number, dtype=np.int32), classes)
  if label is not None:
    batch = {**batch, 'label': np.full(number, label, np.int32)}
  if run.test.levels == 0:
    save_arrays(run, 'samples', {'points': np.asarray(verbs.sample(batch)).reshape(number, -1)})
    return
  arrays = {'images': pixels(run, verbs.sample(batch))}
  if 'latents' in verbs:
    arrays['latents'] = np.asarray(verbs.latents(batch))
  if 'label' in batch:
    arrays['labels'] = batch['label']
  in_turn = classes or getattr(run.model, 'clusters', 0)
  columns = in_turn if 0 < in_turn <= 20 else math.ceil(math.sqrt(number))
  write_samples(run, 'samples', arrays, columns)


def save_arrays(run: Run, name: str, arrays: Mapping[str, np.ndarray]) -> None:
  """NAME.npz with the arrays, written whole or not at all."""
  fresh = run.workdir / f'{name}.tmp.npz'
  np.savez_compressed(fresh, **arrays)
  os.replace(fresh, run.workdir / f'{name}.npz')


def write_samples(run: Run, name: str, arrays: Mapping[str, np.ndarray], columns: int) -> None:
  """NAME.npz with the arrays, and figures/NAME.png with 'images' uint8 [N,H,W,C] in a grid."""
  save_arrays(run, name, arrays)
  grids.save_png(run.workdir / 'figures' / f'{name}.png', grids.grid(arrays['images'], columns))


def sample_mixture(run: Run, number: int, seed: int, components: int) -> None:
  """Codes from a mixture of Gaussians fitted to those of training images, decoded (Ghosh et al., 2020, section 4).

  Fitted to the codes of 10,000 training images, for a VAE to the means of q(z|x) -> samples_mixture.npz,
  figures/samples_mixture.png, and beside codes from N(0, I) figures/samplers.png.
  """
  require_plain_codes(run)
  verbs = run.verbs()
  parts = [
    np.asarray(verbs.encode(batch))[np.asarray(batch['mask']) > 0]
    for batch in split_batches(run.config, build.dataset(run.config, 'train'), MIXTURE_CODES)
  ]
  fitted = mixture.fit(np.concatenate(parts), components, seed)
  key, rows = randomness.key(seed), np.arange(max(number, 4 * SHOWN), dtype=np.int32)
  latents = {
    'N(0, I)': np.asarray(sample_rows(standard_normal((len(rows), fitted.means.shape[1])), key, rows)),
    f'mixture of {components}': np.asarray(fitted.sample(key, rows)),
  }
  images = {name: decode(run, z) for name, z in latents.items()}
  *_, name = images
  arrays = {'images': images[name][:number], 'latents': latents[name][:number]}
  write_samples(run, 'samples_mixture', arrays, math.ceil(math.sqrt(number)))
  lines = [(name, x[i : i + SHOWN]) for name, x in images.items() for i in range(0, 4 * SHOWN, SHOWN)]
  title = 'Decoded codes from N(0, I), and from a mixture of Gaussians fitted to codes of training images'
  figure = grids.labelled_grid([x for _, x in lines], [name for name, _ in lines], title, block=4)
  canvas.save_figure(run.workdir / 'figures' / 'samplers.png', figure)


def is_categorical(run: Run) -> bool:
  """Whether the latents are categories, between which there is nothing."""
  return hasattr(run.model, 'categories')


def reconstruct(run: Run) -> None:
  """Test images and their reconstructions -> figures/reconstructions.png."""
  require(run, 'reconstruct')
  batch = test_batch(run)
  originals, again = pixels(run, batch['image']), pixels(run, run.verbs().reconstruct(batch))
  shown = min(20, run.test.size)
  figure = grids.reconstructions(originals[:shown], again[:shown])
  canvas.save_figure(run.workdir / 'figures' / 'reconstructions.png', figure)


def complete(run: Run) -> None:
  """The upper halves of test images, and what the model draws below them -> figures/completions.png."""
  require(run, 'complete')
  batch = jax.tree.map(lambda x: x[:COMPLETED], test_batch(run))
  originals = pixels(run, batch['image'])
  upper = originals.copy()
  upper[:, originals.shape[1] // 2 :] = 128
  rows = {'original': originals, 'upper half': upper}
  rows |= {f'completion {n + 1}': pixels(run, run.verbs(seed=n).complete(batch)) for n in range(4)}
  rows = {name: images[: run.test.size] for name, images in rows.items()}
  figure = grids.labelled_rows(rows, 'The lower halves of test images, drawn given the upper ones')
  canvas.save_figure(run.workdir / 'figures' / 'completions.png', figure)


def factor_names(run: Run) -> list[str]:
  """Those of the data set, or numbers."""
  names = run.test.factor_names or [f'factor {k}' for k in range(len(run.test.factor_sizes))]
  return list(names)


def draw_factors(run: Run) -> None:
  """Heat maps and response curves of an evaluation with `disentanglement` -> figures/factors.png, responses.png."""
  arrays, names = run.arrays(), factor_names(run)
  maps = {
    'mutual information / entropy of the factor': arrays['factor_information'],
    'importances, each factor of 1': arrays['factor_importances'],
  }
  folder = run.workdir / 'figures'
  canvas.save_figure(folder / 'factors.png', response_maps.heat_maps(maps, names))
  means, stds = ([arrays[f'response_{what}_{k}'] for k in range(len(names))] for what in ('mean', 'std'))
  spread = np.hypot(means[0].std(0), np.sqrt((stds[0] ** 2).mean(0)))  # of the codes: between values, and within
  latents = np.argsort(-spread, kind='stable')[: max(1, int((spread >= response_maps.MOVES).sum()))]
  canvas.save_figure(folder / 'responses.png', response_maps.response_curves(means, stds, names, latents))


def traverse(run: Run) -> None:
  """Latents moved alone, from three test images -> figures/traversals_*.png; by KL where there is one, 20 at most."""
  require(run, 'encode', 'decode', 'evaluate')
  verbs, batch = run.verbs(), test_batch(run)
  there = np.asarray(batch['mask']) > 0
  codes, evaluated = np.asarray(verbs.encode(batch))[there], verbs.evaluate(batch)
  if 'kl_dim' in evaluated:
    scale = {'kl': np.asarray(evaluated['kl_dim'])[there].mean(0)}
  else:  # no N(0, I) to measure by: the moments of the codes themselves
    scale = {'mean': codes.mean(0), 'std': codes.std(0)}
  if 'factor_information' in (arrays := run.arrays()):
    scale['follows'] = response_maps.followed(arrays['factor_information'], codes.std(0), factor_names(run))
  for i in range(min(3, len(codes))):
    title = f'Latent traversals from test image {i + 1}: one latent moves, the others keep their value'
    label = int(batch['label'][i]) if verbs.classes else 0
    image_of = functools.partial(decode, run, label=label)
    if is_categorical(run):
      one_hot = np.eye(run.model.categories)[codes[i].reshape(run.model.latent_dim, -1).argmax(-1)]
      figure = traversals.category_figure(image_of, one_hot, scale['kl'], rows=ROWS, title=title)
    else:
      figure = traversals.traversal_figure(image_of, codes[i], rows=ROWS, title=title, **scale)
    canvas.save_figure(run.workdir / 'figures' / f'traversals_{i + 1}.png', figure)


def has_plain_codes(run: Run) -> bool:
  """Whether what lies between two codes is a code: not of two classes, not of categories."""
  return not run.verbs().classes and not is_categorical(run)


def require_plain_codes(run: Run) -> None:
  """Raises UserError where codes alone do not say the image, or are no vectors of numbers."""
  require(run, 'encode', 'decode')
  if not has_plain_codes(run):
    kind = 'conditional: a code is of one class' if run.verbs().classes else 'of categories: there is nothing between'
    raise UserError(f'{type(run.model).__name__} ({run.workdir}) is {kind}, so this mode cannot draw it')


def interpolate(run: Run) -> None:
  """Walks between the codes of pairs of test images -> figures/interpolations.png."""
  require_plain_codes(run)
  codes = np.asarray(run.verbs().encode(test_batch(run)))
  pairs = min(4, run.test.size // 2)
  figure = traversals.interpolation_figure(functools.partial(decode, run), codes[:pairs], codes[pairs : 2 * pairs])
  canvas.save_figure(run.workdir / 'figures' / 'interpolations.png', figure)


def latent_plane_of(run: Run) -> latent_plane.Plane:
  """The codes of the test set and what the plane decodes to; only for 2-D latents."""
  require_plain_codes(run)
  if run.model.latent_dim != 2:
    raise UserError(f'{run.workdir} has {run.model.latent_dim} latents, not 2: train with --config.model.latent_dim=2')
  verbs, batches = run.verbs(), list(test_batches(run, 5000))
  there = np.concatenate([batch['mask'] for batch in batches]) > 0
  codes = np.concatenate([verbs.encode(batch) for batch in batches])[there]
  prior = isinstance(getattr(run.model, 'prior', None), StandardNormal)
  x, y = (latent_plane.prior_quantiles(20),) * 2 if prior else latent_plane.code_range(codes, 20)
  decoded = latent_plane.decode_plane(functools.partial(decode, run), x, y)
  labels = np.concatenate([batch['label'] for batch in batches])[there] if 'label' in batches[0] else None
  return latent_plane.Plane(type(run.model).__name__, codes, labels, x, y, decoded, prior)


def draw_plane(run: Run) -> None:
  """A 2-D latent space, encoded and decoded -> figures/plane.png."""
  canvas.save_figure(run.workdir / 'figures' / 'plane.png', latent_plane.planes([latent_plane_of(run)]))


def possible(run: Run) -> list:
  """The figures that this run's model has the verbs for."""
  verbs = run.verbs()
  chosen = [sample] if 'sample' in verbs else []
  if run.test.levels == 0:  # points, for which `drawing_games` has figures
    return chosen
  chosen += [reconstruct] if 'reconstruct' in verbs else []
  chosen += [complete] if 'complete' in verbs else []
  if 'encode' in verbs and 'decode' in verbs:
    # a walk between images of two classes has no one condition
    plain = has_plain_codes(run)
    chosen += [traverse] + plain * [interpolate] + (plain and run.model.latent_dim == 2) * [draw_plane]
  return chosen

