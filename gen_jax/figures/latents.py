"""The latent space: one latent moved alone, walks between two codes or samples, and a plane of two latents."""

import functools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from gen_jax.evaluation.needs import images, methods
from gen_jax.evaluation.samples import sampling_batch
from gen_jax.evaluation.source import Source, collect
from gen_jax.figures.factors import factor_names
from gen_jax.figures.figure import Output, Picture, Text, figure
from gen_jax.figures.inputs import decode_pixels, test_batch, test_batches
from gen_jax.networks import StandardNormal
from gen_jax.plots import grids, latent_plane, planar, response_maps, traversals
from gen_jax.runs import Run
from gen_jax.types import Batch

TRAVERSED = 3  # test images from which latents are moved
ROWS = 20  # latents that are moved, at most
PAIRS = 4  # of test images, between whose codes there are walks
WALKS, PLACES = 6, 10  # between two samples, and images on each
ROUNDS, CORNERS, STEPS = 4, 4, 12  # walks that move at once, samples on each, and pictures from one to the next
SECONDS = 0.12  # of each picture
PLANE_CODES, PLANE_SIDE = 5_000, 20  # test images in a plane, and places along a side of what it decodes to


def plain_codes(model: Any, source: Source) -> str | None:
  """Codes that say the image alone, between two of which lie others: not of a class, not of categories."""
  if getattr(model, 'conditional', False):
    return f'needs codes that say the image alone; {type(model).__name__} is conditional: a code is of one class'
  if hasattr(model, 'categories'):
    return f'needs codes that are numbers; {type(model).__name__} is of categories: there is nothing between two'
  return None


def something_between(model: Any, source: Source) -> str | None:
  """Codes between two of which lie others: those of images, or else z of samples, of one class where there are some."""
  drawn = hasattr(model, 'latents') and not hasattr(model, 'categories')
  return None if drawn else plain_codes(model, source)


def two_latents(model: Any, source: Source) -> str | None:
  """Codes that lie in a plane."""
  name, latents = type(model).__name__, getattr(model, 'latent_dim', None)
  if latents == 2:
    return None
  if latents is None:
    return f'needs a plane of codes; {name} has no latent_dim'
  return f'needs a plane of codes; {name} has {latents} latents, not 2: train with --config.model.latent_dim=2'


def has_kl_of_latents(run: Run) -> bool:
  """Whether each latent has a KL from the prior of its own."""
  model = run.model
  return 'encode' in model and 'per_example' in model and 'kl_dim' in model.per_example(test_batch(run))


def codes_and_kl(run: Run, batches: Iterable[Batch]) -> tuple[np.ndarray, np.ndarray]:
  """(codes [N,D], mean KL of each latent [D]) of all examples, of a model that `has_kl_of_latents`."""
  model = run.model
  values = collect(batches, codes=model.encode, kl=lambda batch: model.per_example(batch)['kl_dim'])
  return values['codes'], values['kl'].mean(0)


@figure(
  'one latent at a time is moved: figures/traversals_*.png',
  needs=(methods('encode'), methods('decode'), methods('per_example'), images),
  place=40,
  automatic=True,
)
def traverse(run: Run) -> Iterator[Output]:
  """Latents moved alone, from three test images; 20 latents at most, the most informative by their KL."""
  batch = test_batch(run)
  if has_kl_of_latents(run):
    codes, kl = codes_and_kl(run, [batch])
    scale = {'kl': kl}
  else:  # no N(0, I) to measure by: the moments of the codes themselves
    codes = collect([batch], codes=run.model.encode)['codes']
    deviations = codes.std(0)
    scale = {'mean': codes.mean(0), 'std': np.where(deviations > 0, deviations, 1)}  # 0 of one image
  information = run.arrays().get('factor_information')
  if information is not None:
    scale['follows'] = response_maps.followed_factors(information, codes.std(0), factor_names(run.source.data))
  for i in range(min(TRAVERSED, len(codes))):
    title = f'Latent traversals from test image {i + 1}: one latent moves, the others keep their value'
    decode = functools.partial(decode_pixels, run, label=int(batch['label'][i]) if run.model.classes else 0)
    if categories := getattr(run.module, 'categories', 0):
      one_hot = np.eye(categories)[codes[i].reshape(-1, categories).argmax(-1)]
      canvas = traversals.category_figure(decode, one_hot, scale['kl'], rows=ROWS, title=title)
    else:
      canvas = traversals.traversal_figure(decode, codes[i], rows=ROWS, title=title, **scale)
    yield Picture(f'traversals_{i + 1}', canvas, f'One latent at a time, from test image {i + 1}')


@figure(
  'walks between codes of test images, or between samples: figures/interpolations.png; of samples, moving, walk.png',
  needs=(methods('encode', 'latents'), methods('decode'), images, something_between),
  place=50,
  automatic=True,
  formerly=('walk',),
)
def interpolate(run: Run) -> Iterator[Output]:
  """Walks between test images; between samples where there are no codes of images, or none that say them alone."""
  encodes = 'encode' in run.model and not plain_codes(run.module, run.source)
  yield from between_images(run) if encodes else between_samples(run)


def between_images(run: Run) -> Iterator[Output]:
  """Walks between the codes of pairs of test images, straight and, where there is a way, along the sphere."""
  codes = collect([test_batch(run)], codes=run.model.encode)['codes']
  pairs = min(PAIRS, len(codes) // 2)
  if not pairs:
    yield Text('no walks between codes: there is one test image, and they need two')
    return
  starts, ends = codes[:pairs], codes[pairs : 2 * pairs]
  spherical = all(map(traversals.has_arc, starts, ends))
  paths = (traversals.lerp, traversals.slerp) if spherical else (traversals.lerp,)
  canvas = traversals.interpolation_figure(functools.partial(decode_pixels, run), starts, ends, paths=paths)
  ways = 'straight and along the sphere' if spherical else 'straight, as there is no way along a sphere'
  yield Picture('interpolations', canvas, f'Walks between the codes of two test images, {ways}')


class Drawn(NamedTuple):
  """Latents of walks: between those of each, the numbers move and all else stays."""

  numbers: np.ndarray  # [walks,K,D]
  mode: np.ndarray  # [walks,M], of the first of each, beside the numbers; M = 0 of a model without `latent_modes`
  label: np.ndarray  # [walks], the classes in turn


def draw(run: Run, walks: int, each: int) -> Drawn:
  """Latents of samples for so many walks, `each` for every one."""
  label = np.arange(walks, dtype=np.int32) % max(run.model.classes, 1)
  batch = sampling_batch(np.arange(walks * each, dtype=np.int32), run.model.classes, np.repeat(label, each))
  z = np.asarray(run.model.latents(batch)).reshape(walks, each, -1)
  modes = getattr(run.module, 'latent_modes', 1)
  numbers, mode = np.split(z, [z.shape[-1] - (modes if modes > 1 else 0)], axis=-1)
  return Drawn(numbers, mode[:, 0], label)


def decode_walks(run: Run, numbers: np.ndarray, drawn: Drawn) -> np.ndarray:
  """Images uint8 [walks,P,H,W,C] of places [walks,P,D], each walk of its mode and its class."""
  walks, places, _ = numbers.shape
  z = np.concatenate([numbers, np.repeat(drawn.mode[:, None], places, axis=1)], axis=-1)
  pixels = decode_pixels(run, z.reshape(walks * places, -1), np.repeat(drawn.label, places))
  return pixels.reshape(walks, places, *pixels.shape[1:])


def between_samples(run: Run) -> Iterator[Output]:
  """Walks along the sphere from one sample to another, and, as an animation, through several and back to the first.

  The numbers of z ~ N(0, I) lie near a sphere, inside which a straight walk would meet codes that are rare in training
  (White, 2016). A walk is of one class, and of one mode where z has `latent_modes`, between which there is no z.
  """
  ends, corners, t = draw(run, WALKS, 2), draw(run, ROUNDS, CORNERS), np.linspace(0, 1, PLACES)
  spherical = all(traversals.has_arc(*pair) for pair in ends.numbers)
  path, way = (traversals.slerp, 'along the sphere') if spherical else (traversals.lerp, 'straight, as there is no arc')
  kept = ['class'] * bool(run.model.classes) + ['latent mode'] * bool(ends.mode.size)
  samples = f'samples of one {" and ".join(kept)}' if kept else 'samples'

  rows = decode_walks(run, np.stack([path(*pair, t) for pair in ends.numbers]), ends)
  names = run.source.data.names_of_classes
  labels = [names[label] if run.model.classes else '' for label in ends.label]
  title = f'Walks between two {samples}, {way}'
  canvas = grids.labeled_grid(rows, labels, title, column_labels=[f't = {x:.2g}' for x in t])
  yield Picture('interpolations', canvas, title)

  rounds = decode_walks(run, np.stack([traversals.closed_walk(z, STEPS, path) for z in corners.numbers]), corners)
  frames = [grids.png_bytes(grids.grid(moment, ROUNDS)) for moment in rounds.swapaxes(0, 1)]
  caption = f'Walks through {CORNERS} {samples} each, {way}, and back to the first, as an animation'
  yield Picture('walk', planar.animation(frames, SECONDS, pause=SECONDS), caption)


def plane_of(run: Run) -> latent_plane.Plane:
  """The codes of test images in a plane of two latents, and what its places decode to."""
  batches = list(test_batches(run, PLANE_CODES))
  parts = {'codes': run.model.encode} | ({'labels': 'label'} if 'label' in batches[0] else {})
  values = collect(batches, **parts)
  codes = values['codes']
  normal_prior = isinstance(getattr(run.module, 'prior', None), StandardNormal)
  quantiles = latent_plane.prior_quantiles(PLANE_SIDE)
  x, y = (quantiles, quantiles) if normal_prior else latent_plane.code_range(codes, PLANE_SIDE)
  decoded = latent_plane.decode_plane(functools.partial(decode_pixels, run), x, y)
  names = run.source.data.names_of_classes
  return latent_plane.Plane(type(run.module).__name__, codes, values.get('labels'), x, y, decoded, normal_prior, names)


@figure(
  'a 2-D latent space, encoded and decoded: figures/plane.png',
  needs=(methods('encode'), methods('decode'), images, plain_codes, two_latents),
  place=60,
  automatic=True,
)
def plane(run: Run) -> Iterator[Output]:
  """The codes of test images in the plane, and what its places decode to."""
  caption = 'The latent plane: codes of the test set, and what the plane decodes to'
  yield Picture('plane', latent_plane.planes([plane_of(run)]), caption)
