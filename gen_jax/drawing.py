"""The figures of a trained run, each a mode of launch.py; every one says which verbs of the model it needs."""

import functools
import math
import os
from collections.abc import Iterator

import jax
import numpy as np

from gen_jax import build
from gen_jax.data.batches import evaluation_batches
from gen_jax.data.preprocess import to_uint8
from gen_jax.errors import UserError
from gen_jax.evaluation import terms
from gen_jax.runs import Run
from gen_jax.training.evaluate import EVALUATION_BATCH
from gen_jax.types import Batch
from gen_jax.visualise import curves, figures, grids, plane, traversals

DECODE_BATCH = 64
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
  process = build.preprocessor(run.config, run.test, train=False)
  return evaluation_batches(run.test, process, EVALUATION_BATCH, examples)


def pixels(run: Run, images: jax.Array) -> np.ndarray:
  """Images in the model's range as uint8."""
  return np.asarray(to_uint8(images, run.config.data.value_range))


def decode(run: Run, z: np.ndarray) -> np.ndarray:
  """Codes [n,D] -> uint8 [n,H,W,C], in batches of one size."""
  verbs, rows = run.verbs(), np.arange(DECODE_BATCH, dtype=np.int32)
  padded = np.pad(np.asarray(z, np.float32), ((0, -len(z) % DECODE_BATCH), (0, 0)))
  parts = [pixels(run, verbs.decode(part, {'row': rows})) for part in padded.reshape(-1, DECODE_BATCH, z.shape[1])]
  return np.concatenate(parts)[: len(z)]


def sample(run: Run, number: int = 64, label: int | None = None, seed: int = 0) -> None:
  """Samples from the prior -> samples.npz and figures/samples.png."""
  require(run, 'sample')
  verbs, batch = run.verbs(seed), {'row': np.arange(number, dtype=np.int32)}
  classes = run.model.num_classes if getattr(run.model, 'conditional', False) else 0
  if label is not None and not 0 <= label < classes:
    kind = f'has classes 0 to {classes - 1}' if classes else 'is not conditional'
    raise UserError(f'--label={label}: {type(run.model).__name__} {kind}')
  if classes:
    batch['label'] = batch['row'] % classes if label is None else np.full(number, label, np.int32)
  arrays = {'images': pixels(run, verbs.sample(batch))}
  if 'latents' in verbs:
    arrays['latents'] = np.asarray(verbs.latents(batch))
  if 'label' in batch:
    arrays['labels'] = batch['label']
  fresh = run.workdir / 'samples.tmp.npz'
  np.savez_compressed(fresh, **arrays)
  os.replace(fresh, run.workdir / 'samples.npz')
  columns = classes if 0 < classes <= 20 else math.ceil(math.sqrt(number))
  grids.save_png(run.workdir / 'figures' / 'samples.png', grids.grid(arrays['images'], columns))


def reconstruct(run: Run) -> None:
  """Test images and their reconstructions -> figures/reconstructions.png."""
  require(run, 'reconstruct')
  batch = test_batch(run)
  originals, again = pixels(run, batch['image']), pixels(run, run.verbs().reconstruct(batch))
  shown = min(20, run.test.size)
  figure = grids.reconstructions(originals[:shown], again[:shown])
  figures.save_figure(run.workdir / 'figures' / 'reconstructions.png', figure)


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
  figures.save_figure(run.workdir / 'figures' / 'completions.png', figure)


def traverse(run: Run) -> None:
  """Every latent moved alone, from three test images -> figures/traversals_*.png; sorted by KL where there is one."""
  require(run, 'encode', 'decode', 'evaluate')
  verbs, batch = run.verbs(), test_batch(run)
  there = np.asarray(batch['mask']) > 0
  codes, evaluated = np.asarray(verbs.encode(batch))[there], verbs.evaluate(batch)
  if 'kl_dim' in evaluated:
    scale = {'kl': np.asarray(evaluated['kl_dim'])[there].mean(0)}
  else:  # no prior: the moments of the codes themselves
    scale = {'mean': codes.mean(0), 'std': codes.std(0)}
  for i in range(min(3, len(codes))):
    title = f'Latent traversals from test image {i + 1}: one latent moves, the others keep their value'
    figure = traversals.traversal_figure(
      functools.partial(decode, run), codes[i], rows=codes.shape[1], title=title, **scale
    )
    figures.save_figure(run.workdir / 'figures' / f'traversals_{i + 1}.png', figure)


def interpolate(run: Run) -> None:
  """Walks between the codes of pairs of test images -> figures/interpolations.png."""
  require(run, 'encode', 'decode')
  codes = np.asarray(run.verbs().encode(test_batch(run)))
  pairs = min(4, run.test.size // 2)
  figure = traversals.interpolation_figure(functools.partial(decode, run), codes[:pairs], codes[pairs : 2 * pairs])
  figures.save_figure(run.workdir / 'figures' / 'interpolations.png', figure)


def latent_plane(run: Run) -> plane.Plane:
  """The codes of the test set and what the plane decodes to; only for 2-D latents."""
  require(run, 'encode', 'decode')
  if run.model.latent_dim != 2:
    raise UserError(f'{run.workdir} has {run.model.latent_dim} latents, not 2: train with --config.model.latent_dim=2')
  verbs, batches = run.verbs(), list(test_batches(run, 5000))
  there = np.concatenate([batch['mask'] for batch in batches]) > 0
  codes = np.concatenate([verbs.encode(batch) for batch in batches])[there]
  prior = 'latents' in verbs
  x, y = (plane.prior_quantiles(20),) * 2 if prior else plane.code_range(codes, 20)
  decoded = plane.decode_plane(functools.partial(decode, run), x, y)
  labels = np.concatenate([batch['label'] for batch in batches])[there] if 'label' in batches[0] else None
  return plane.Plane(type(run.model).__name__, codes, labels, x, y, decoded, prior)


def draw_plane(run: Run) -> None:
  """A 2-D latent space, encoded and decoded -> figures/plane.png."""
  figures.save_figure(run.workdir / 'figures' / 'plane.png', plane.planes([latent_plane(run)]))


def compare(run: Run, others: list[Run]) -> None:
  """This run beside others -> figures/comparison_*.png: images, errors by latent size, 2-D planes.

  Images are compared where the data are the same, planes where all runs have two latents.
  """
  if not others:
    raise UserError('--mode=compare needs --others=WORKDIR[,WORKDIR]')
  runs, folder = [run, *others], run.workdir / 'figures'
  for each in runs:
    require(each, 'reconstruct', 'evaluate')

  def name(each: Run) -> str:
    return f'{type(each.model).__name__}, {each.model.latent_dim} latents'

  rows = {'original': pixels(run, test_batch(run)['image'])[:12]}
  same = [each for each in runs if each.config.data == run.config.data]
  rows |= {name(each): pixels(each, each.verbs().reconstruct(test_batch(each)))[:12] for each in same}
  figures.save_figure(folder / 'comparison_images.png', grids.labelled_rows(rows, 'The same test images by each run'))

  lines = {}
  for each in sorted(runs, key=lambda each: each.model.latent_dim):
    error = dict(terms(each.verbs(), functools.partial(test_batches, each, 10_000)))['squared_error']
    sizes, errors = lines.setdefault(f'{type(each.model).__name__} on {each.config.data.name}', ([], []))
    sizes.append(each.model.latent_dim)
    errors.append(error / math.prod(each.model.image_shape))
    print(f'{name(each)}: squared error {error:.4f} an image, {errors[-1]:.5f} a pixel ({each.workdir})')
  figures.save_figure(folder / 'comparison_error.png', curves.error_curve(lines))

  if all(each.model.latent_dim == 2 for each in runs):
    figures.save_figure(folder / 'comparison_plane.png', plane.planes([latent_plane(each) for each in runs]))


def possible(run: Run) -> list:
  """The figures that this run's model has the verbs for."""
  verbs = run.verbs()
  chosen = [sample] if 'sample' in verbs else []
  chosen += [reconstruct] if 'reconstruct' in verbs else []
  chosen += [complete] if 'complete' in verbs else []
  if 'encode' in verbs and 'decode' in verbs:
    chosen += [traverse, interpolate] + ([draw_plane] if run.model.latent_dim == 2 else [])
  return chosen

