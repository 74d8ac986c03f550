"""Walks through the latent space: one latent at a time, and from one code to another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gen_jax.plots.canvas import COLORS
from gen_jax.plots.grids import FRAME, labeled_grid

if TYPE_CHECKING:
  from matplotlib.figure import Figure

Decode = Callable[[np.ndarray], np.ndarray]  # z [n,D] -> uint8 [n,H,W,C]
SIGMAS = (-3.0, -2.25, -1.5, -0.75, 0.0, 0.75, 1.5, 2.25, 3.0)


def traversal(decode: Decode, code: np.ndarray, dims: Sequence[int], values: np.ndarray) -> np.ndarray:
  """Decodes `code` [D] with z[dims[i]] set to values[i, j], all else unchanged -> uint8 [len(dims),V,H,W,C].

  `values` is [V], the same for all dims, or [len(dims),V].
  """
  code, dims = np.asarray(code), np.asarray(dims, int)
  values = np.broadcast_to(values, (len(dims), np.shape(values)[-1]))
  z = np.broadcast_to(code, (*values.shape, code.size)).copy()  # [dims, V, D]
  z[np.arange(len(dims)), :, dims] = values
  images = np.asarray(decode(z.reshape(-1, code.size)))
  return images.reshape(*values.shape, *images.shape[1:])


def traversal_figure(
  decode: Decode,
  code: np.ndarray,
  kl: np.ndarray | None = None,
  *,
  rows: int = 10,
  sigmas: Sequence[float] = SIGMAS,
  mean: np.ndarray | float = 0.0,
  std: np.ndarray | float = 1.0,
  follows: Sequence[str] | None = None,
  title: str = 'Latent traversals: one latent moves, the others keep their value',
) -> Figure:
  """One row a latent of `code` [D], the `rows` most informative on top; the unchanged image first, framed.

  Column s shows z_d = mean_d + s std_d, of the standard normal prior by default; an autoencoder has none, so
  pass the moments [D] of its codes. A triangle marks the value that the code itself has.

  Args:
    decode: z [n,D] -> uint8 [n,H,W,C].
    code: where to start.
    kl: [D] nats, averaged over data; sorts and names the rows. None keeps the order of the latents.
    rows: at most so many latents.
    sigmas: ascending multiples of `std`.
    mean: [D] or a scalar.
    std: [D] or a scalar.
    follows: [D] the factor that each latent follows, '' for none; names the rows.
    title: says what is seen.
  """
  code, sigmas = np.asarray(code), np.asarray(sigmas)
  mean, std = np.broadcast_to(mean, code.shape), np.broadcast_to(std, code.shape)
  dims = np.arange(code.size) if kl is None else np.argsort(-np.asarray(kl), kind='stable')
  dims = dims[:rows]
  moved = traversal(decode, code, dims, mean[dims, None] + sigmas * std[dims, None])
  start = np.asarray(decode(code[None]))
  labels = [f'z{d}' if kl is None else f'z{d}  KL {kl[d]:.1f} nats' for d in dims]
  if follows:
    labels = [f'{label}  {follows[d]}'.rstrip() for label, d in zip(labels, dims, strict=True)]
  figure = labeled_grid(
    [np.concatenate([start, row]) for row in moved],
    labels,
    title,
    column_labels=['start', *(f'${s:+g}\\sigma$' if s else '0' for s in sigmas)],
    column_title='the latent in standard deviations; ▲ its value at the start',
  )
  height, width = (side + 2 * FRAME for side in start.shape[1:3])
  axes = figure.axes[0]
  for r, d in enumerate(dims):
    top, bottom, right = r * height + FRAME, (r + 1) * height - FRAME, width - FRAME
    axes.plot(
      [FRAME, right, right, FRAME, FRAME], [top, top, bottom, bottom, top], color=COLORS[1], linewidth=1.5,
      clip_on=False,
    )  # fmt: skip
    centers = (np.arange(len(sigmas)) + 1.5) * width
    x = np.interp((code[d] - mean[d]) / std[d], sigmas, centers)
    axes.plot(x, bottom, '^', color=COLORS[1], markersize=5, markeredgecolor='white', clip_on=False)
  return figure


def side_by_side(
  runs: Sequence[tuple[str, Decode, np.ndarray, np.ndarray]],
  *,
  rows: int = 8,
  sigmas: Sequence[float] = (-3.0, -1.5, 0.0, 1.5, 3.0),
) -> Figure:
  """`traversal_figure` of several runs from one image each, a block of columns a run, its most informative latents.

  Args:
    runs: for each (what sets it apart, z [n,D] -> uint8 [n,H,W,C], the code [D] to start from, KL [D] in nats).
    rows: at most so many latents of each.
    sigmas: ascending standard deviations of the prior.
  """
  rows = min(rows, *(len(kl) for *_, kl in runs))
  parts, names = [], []
  for _, decode, code, kl in runs:
    dims = np.argsort(-np.asarray(kl), kind='stable')[:rows]
    moved = traversal(decode, code, dims, np.asarray(sigmas))
    start = np.repeat(np.asarray(decode(np.asarray(code)[None]))[None], rows, axis=0)
    parts += [start, moved]
    names.append([f'z{d} {kl[d]:.1f}' for d in dims])
  columns = ['start', *(f'${s:+g}\\sigma$' if s else '0' for s in sigmas)]
  return labeled_grid(
    list(np.concatenate(parts, axis=1)),
    ['  '.join(row) for row in zip(*names, strict=True)],
    f'One latent moves, the others keep their value; from left to right: {"; ".join(name for name, *_ in runs)}',
    column_labels=columns * len(runs),
    column_title='each latent, its KL in nats, and its value in standard deviations',
    column_block=len(columns),
  )


def category_figure(
  decode: Decode, code: np.ndarray, kl: np.ndarray, *, rows: int = 10, title: str = 'One variable changes its category'
) -> Figure:
  """One row a categorical latent, the `rows` most informative on top; the unchanged image first, then every category.

  Args:
    decode: z [n, N K] -> uint8 [n,H,W,C].
    code: where to start, [N,K], one-hot.
    kl: [N] nats, averaged over data; sorts and names the rows.
    rows: at most so many latents.
    title: says what is seen.
  """
  variables, categories = code.shape
  dims = np.argsort(-np.asarray(kl), kind='stable')[:rows]
  moved = np.tile(code, (len(dims), categories, 1, 1))  # [rows,K,N,K]
  moved[np.arange(len(dims)), :, dims] = np.eye(categories)
  images = np.asarray(decode(moved.reshape(-1, variables * categories)))
  images = images.reshape(len(dims), categories, *images.shape[1:])
  start = np.asarray(decode(code.reshape(1, -1)))
  return labeled_grid(
    [np.concatenate([start, row]) for row in images],
    [f'z{d}  KL {kl[d]:.1f} nats' for d in dims],
    title,
    column_labels=['start', *map(str, range(categories))],
    column_title='the category of the latent',
  )


def lerp(z0: np.ndarray, z1: np.ndarray, t: np.ndarray) -> np.ndarray:
  """(1 - t) z0 + t z1 for t [n] -> [n,D]."""
  t = np.asarray(t)[:, None]
  return (1 - t) * z0[None] + t * z1[None]


def has_arc(z0: np.ndarray, z1: np.ndarray) -> bool:
  """Whether `slerp` is defined between codes [D]: not with one latent, whose sphere is two points, nor between
  opposite codes, nor at the origin."""
  norms = np.linalg.norm(z0) * np.linalg.norm(z1)
  return len(z0) > 1 and norms > 0 and bool(np.dot(z0, z1) / norms >= -1 + 1e-7)


def slerp(z0: np.ndarray, z1: np.ndarray, t: np.ndarray) -> np.ndarray:
  """sin((1 - t) w) / sin w z0 + sin(t w) / sin w z1 for t [n] -> [n,D], w the angle between z0 and z1.

  (Shoemake, 1985.) Keeps the norm where the ends share it, so that the path stays where a Gaussian prior of
  many dimensions has its mass (White, 2016). Raises ValueError where the arc is undefined: an end at the
  origin, or opposite ends.
  """
  norms = np.linalg.norm(z0) * np.linalg.norm(z1)
  if norms == 0:
    raise ValueError('slerp needs ends away from the origin')
  cosine = np.clip(np.dot(z0, z1) / norms, -1, 1)
  if cosine < -1 + 1e-7:
    raise ValueError('slerp between opposite codes is undefined: every great circle joins them')
  if cosine > 1 - 1e-7:
    return lerp(z0, z1, t)  # the limit w -> 0, where sin w cancels to nothing
  angle, t = np.arccos(cosine), np.asarray(t)[:, None]
  return (np.sin((1 - t) * angle) * z0[None] + np.sin(t * angle) * z1[None]) / np.sin(angle)


def closed_walk(corners: np.ndarray, n: int, path: Callable = slerp) -> np.ndarray:
  """From each corner [K,D] to the next and from the last to the first, along `path` in n even steps -> [K n, D].

  Each corner is there once, so that the first place follows the last as every place follows the one before.
  """
  t = np.linspace(0, 1, n, endpoint=False)
  return np.concatenate([path(z0, z1, t) for z0, z1 in zip(corners, np.roll(corners, -1, axis=0), strict=True)])


def interpolate(decode: Decode, z0: np.ndarray, z1: np.ndarray, n: int, path: Callable = lerp) -> np.ndarray:
  """`n` images from z0 to z1 [D], both included, along `path`, `lerp` or `slerp` -> uint8 [n,H,W,C]."""
  return np.asarray(decode(path(np.asarray(z0), np.asarray(z1), np.linspace(0, 1, n))))


def interpolation_figure(
  decode: Decode,
  starts: np.ndarray,
  ends: np.ndarray,
  n: int = 9,
  paths: Sequence[Callable] = (lerp, slerp),
  title: str = 'Interpolation between two codes',
) -> Figure:
  """One block a pair of codes, starts and ends [P,D], with a row for each path."""
  names = {lerp: 'linear', slerp: 'spherical'}
  rows = [interpolate(decode, z0, z1, n, path) for z0, z1 in zip(starts, ends, strict=True) for path in paths]
  return labeled_grid(
    rows,
    [names[path] for path in paths] * len(starts),
    title,
    column_labels=[f't = {t:.3g}' for t in np.linspace(0, 1, n)],
    block=len(paths) if len(paths) > 1 else 0,
  )
