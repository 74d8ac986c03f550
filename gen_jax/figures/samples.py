"""Samples of a model, and codes from a mixture of Gaussians fitted to those of training images, decoded."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gen_jax import randomness
from gen_jax.distributions import sample_rows, standard_normal
from gen_jax.errors import UserError, nearest
from gen_jax.evaluation import mixture
from gen_jax.evaluation.needs import images, methods
from gen_jax.evaluation.source import collect
from gen_jax.figures.figure import Arrays, Flag, Output, Picture, Text, figure, require
from gen_jax.figures.inputs import decode_pixels, is_planar, rows_to_sample, to_pixels
from gen_jax.figures.latents import plain_codes
from gen_jax.plots import grids
from gen_jax.runs import Run

CODES = ('prior', 'mixture')
FITTED, COMPONENTS = 10_000, 10  # codes of training images that the mixture is fitted to, and its Gaussians
MOST_COLUMNS, LONGEST = 20, 14  # classes that have columns of their own, and letters of their names
COLUMNS, ROWS = 12, 4  # images of each kind of codes, where both are compared
SHOWN, SHOWN_PIXELS = 400, 2**22  # images in a picture, and their pixels together, at most


@figure(
  'samples: samples.npz, figures/samples.png; from the prior, or by --codes',
  needs=(methods('sample', 'encode'),),
  place=20,
  automatic=lambda run: 'sample' in run.model,
  flags={
    'number': Flag(64, 'how many samples', lower_bound=1),
    'label': Flag(None, 'the class of all samples, its name or number; each in turn by default', type=str),
    'seed': Flag(0, 'of the noise', lower_bound=0, upper_bound=2**32 - 1),
    'codes': Flag(
      'prior', 'where codes come from: prior, or mixture, fitted to those of training images', formerly=('sampler',)
    ),
    'gmm_components': Flag(
      None, f'Gaussians of --codes=mixture; {COMPONENTS} by default', 1, formerly=('components',), type=int
    ),
  },
)
def sample(
  run: Run, number: int, label: str | None, seed: int, codes: str, gmm_components: int | None
) -> Iterator[Output]:
  """Samples from the prior -> samples.npz, samples.png; or those of `sample_mixture`."""
  if codes not in CODES:
    raise UserError(f'--codes={codes} is unknown{nearest(codes, CODES)}')
  if codes == 'prior' and gmm_components is not None:
    raise UserError(f'--gmm_components={gmm_components}: is of --codes=mixture')
  if codes == 'prior':
    yield from sample_prior(run, number, label, seed)
  elif label is not None:
    raise UserError(f'--label={label}: --codes=mixture knows no classes')
  else:
    yield from sample_mixture(run, number, seed, gmm_components or COMPONENTS)


def sample_prior(run: Run, number: int, label: int | str | None, seed: int) -> Iterator[Output]:
  """Samples: images with their codes and labels, where there are any; or points, in the units of their user."""
  require(run, 'sample', methods('sample'))
  model, names = run.bound(seed), run.source.data.names_of_classes
  classes, label = model.classes, run.class_number(label)
  draw = model.sample if is_planar(run) else lambda batch: to_pixels(run, model.sample(batch))
  parts = {'samples': draw} | ({'latents': model.latents} if 'latents' in model else {})
  parts |= {'labels': 'label'} if classes else {}
  arrays = collect(rows_to_sample(number, classes, label), **parts)
  samples = arrays.pop('samples')
  if is_planar(run):
    yield Arrays('samples', {'points': run.source.data.in_units(samples.reshape(number, -1))})
    return
  in_turn = (classes if label is None else 0) or getattr(run.module, 'clusters', 0)
  named = classes and label is None and run.source.data.has_named_classes
  caption = 'Samples from the prior' if label is None else f'Samples of class {names[label]}'
  arrays = {'images': samples, **arrays}
  yield from arrays_and_grid('samples', arrays, caption, in_turn, names if named else ())


def arrays_and_grid(
  name: str, arrays: Mapping[str, np.ndarray], caption: str, in_turn: int = 0, names: Sequence[str] = ()
) -> Iterator[Output]:
  """All arrays, and a grid of as many of 'images' uint8 [N,H,W,C] as a picture holds, about a square.

  Where classes come `in_turn`, so many of them, a column is of one class, below its name where they have `names`.
  """
  number, height, width, _ = arrays['images'].shape
  shown = min(number, SHOWN, max(1, SHOWN_PIXELS // (height * width)))
  images, columns = arrays['images'][:shown], columns_of(shown, in_turn)
  yield Arrays(name, arrays)
  if shown < number:
    caption = f'{caption}: the first {shown} of {number:,}; all are in {name}.npz'
    yield Text(caption)
  if not names or columns % in_turn:
    yield Picture(name, grids.grid(images, columns), caption)
    return
  rows = [images[start : start + columns] for start in range(0, shown, columns)]
  labels = [each if len(each) <= LONGEST else f'{each[: LONGEST - 1]}…' for each in names * (columns // in_turn)]
  yield Picture(name, grids.labeled_grid(rows, [''] * len(rows), caption, column_labels=labels), caption)


def columns_of(number: int, in_turn: int) -> int:
  """The columns of a grid of so many images, about a square: a multiple of the classes that come in turn, if few."""
  side = math.ceil(math.sqrt(number))
  return in_turn * max(1, round(side / in_turn)) if 0 < in_turn <= MOST_COLUMNS else side


def sample_mixture(run: Run, number: int, seed: int, components: int) -> Iterator[Output]:
  """Codes from a mixture of Gaussians fitted to those of training images, decoded (Ghosh et al., 2020, section 4).

  Fitted to the codes of 10,000 training images, for a VAE to the means of q(z|x) -> samples_mixture.npz and .png; and
  beside codes from N(0, I), which is the same of every model, samplers.png.
  """
  require(run, 'sample', images, methods('encode'), methods('decode'), plain_codes)
  codes = collect(run.source.train(FITTED), codes=run.model.encode)['codes']
  if not 1 <= components <= len(codes):
    raise UserError(f'--gmm_components={components}: must lie between 1 and the number of codes, {len(codes)}')
  fitted = mixture.fit(codes, components, seed)
  key, rows = randomness.key(seed), np.arange(max(number, ROWS * COLUMNS), dtype=np.int32)
  normal = np.asarray(sample_rows(standard_normal((len(rows), codes.shape[1])), key, rows))
  latents = np.asarray(fitted.sample(key, rows))
  decoded = decode_pixels(run, latents)
  arrays = {'images': decoded[:number], 'latents': latents[:number]}
  caption = 'Samples from a mixture of Gaussians fitted to the codes of training images'
  yield from arrays_and_grid('samples_mixture', arrays, caption)
  by_codes = {'N(0, I)': decode_pixels(run, normal[: ROWS * COLUMNS]), f'mixture of {components}': decoded}
  lines = [(name, x[i * COLUMNS : (i + 1) * COLUMNS]) for name, x in by_codes.items() for i in range(ROWS)]
  title = 'Decoded codes from N(0, I), and from a mixture of Gaussians fitted to codes of training images'
  canvas = grids.labeled_grid([x for _, x in lines], [name for name, _ in lines], title, block=ROWS)
  yield Picture('samplers', canvas, 'Codes from N(0, I) beside those from the mixture, decoded')
