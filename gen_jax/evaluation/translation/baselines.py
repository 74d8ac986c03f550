"""Translations from A to B that need no model, and stand first in every table.

A baseline is fitted to training images: `fit(a, b) -> (images of A -> images of B)`, uint8 [N,H,W,C] each. It raises
UserError where it does not apply. Those in `OF_PAIRS` take pairs, b[n] being the true translation of a[n].
"""

import contextlib
from collections.abc import Callable

import numpy as np

from gen_jax.data.image_files import conform
from gen_jax.errors import UserError
from gen_jax.evaluation.memorization import nearest_neighbors
from gen_jax.evaluation.translation.errors import Translate

Fit = Callable[[np.ndarray, np.ndarray], Translate]

SINGULAR = 1e-8  # of the largest variance of colors: directions of less do not vary


def identity(a: np.ndarray, b: np.ndarray) -> Translate:
  """Images as they are: gray repeated as RGB, RGB to gray by luma, in the size of B.

  Applies where A and B have equally many channels, or 1 and 3; a label map of K channels has no counterpart.
  """
  shape, channels = b.shape[1:], (a.shape[-1], b.shape[-1])
  if a.shape[1:] == shape:
    return lambda images: images
  if not set(channels) <= {1, 3}:
    raise UserError(f'images of {channels[0]} channels have no counterpart among those of {channels[1]}')
  return lambda images: conform(images, shape)


def mean_of_b(a: np.ndarray, b: np.ndarray) -> Translate:
  """The mean image of B, whatever the image. Applies always."""
  del a
  mean = to_uint8(b.mean(0, dtype=np.float64))
  return lambda images: np.broadcast_to(mean, (len(images), *mean.shape))


def nearest_in_b(a: np.ndarray, b: np.ndarray) -> Translate:
  """The image of B that is nearest in pixels to the image itself. Applies where A and B have one shape."""
  if a.shape[1:] != b.shape[1:]:
    raise UserError(f'images {list(a.shape[1:])} have no distance to those of B {list(b.shape[1:])}')
  return lambda images: b[nearest_neighbors(images, b)[0][:, 0]]


def translation_of_nearest(a: np.ndarray, b: np.ndarray) -> Translate:
  """The true translation of the training image that is nearest in pixels. Applies to pairs."""
  check_pairs(a, b)
  return lambda images: b[nearest_neighbors(images, a)[0][:, 0]]


def color_transfer(a: np.ndarray, b: np.ndarray) -> Translate:
  """Each channel brought to the mean and deviation that it has in B: m_b + (s_b / s_a) (x - m_a), clipped.

  Applies where A and B are both gray or both RGB. In RGB, not in the decorrelated axes of Reinhard et al. (2001).
  """
  check_colors(a, b)
  (mean_a, covariance_a), (mean_b, covariance_b) = color_moments(a), color_moments(b)
  deviation_a, deviation_b = np.sqrt(np.diag(covariance_a)), np.sqrt(np.diag(covariance_b))
  gain = np.where(deviation_a > 0, deviation_b / np.where(deviation_a > 0, deviation_a, 1), 0)
  return lambda images: to_uint8(mean_b + (images - mean_a) * gain)


def color_covariance_transfer(a: np.ndarray, b: np.ndarray) -> Translate:
  """Colors brought to the mean and covariance that they have in B by the optimal transport of Gaussians, clipped.

  m_b + T (x - m_a) with T = S_a^(-1/2) (S_a^(1/2) S_b S_a^(1/2))^(1/2) S_a^(-1/2), which is symmetric (Dowson and
  Landau, 1982; of colors Pitie and Kokaram, 2007). Applies where A and B are both gray or both RGB; where colors of A
  do not vary in a direction, T is 0 along it.
  """
  check_colors(a, b)
  (mean_a, covariance_a), (mean_b, covariance_b) = color_moments(a), color_moments(b)
  map_of_colors = transport(covariance_a, covariance_b)
  return lambda images: to_uint8(mean_b + (images - mean_a) @ map_of_colors)


def color_of_class(a: np.ndarray, b: np.ndarray) -> Translate:
  """The mean color that a class has in B. Applies to pairs where A is a label map of K one-hot channels."""
  colors = colors_of_classes(a, b, rows=False)
  return lambda images: colors[images.argmax(-1), 0]


def color_of_class_and_row(a: np.ndarray, b: np.ndarray) -> Translate:
  """The mean color of a class in a row of B, or in all rows where it never lies in that one. As `color_of_class`."""
  colors, rows = colors_of_classes(a, b, rows=True), np.arange(a.shape[1])[:, None]
  return lambda images: colors[images.argmax(-1), rows]


BASELINES: dict[str, Fit] = {
  'identity': identity,
  'mean of B': mean_of_b,
  'nearest in B': nearest_in_b,
  'translation of nearest': translation_of_nearest,
  'color transfer': color_transfer,
  'color covariance transfer': color_covariance_transfer,
  'color of class': color_of_class,
  'color of class and row': color_of_class_and_row,
}
OF_PAIRS = ('translation of nearest', 'color of class', 'color of class and row')
OF_IMAGES = ('identity', 'nearest in B', 'color transfer', 'color covariance transfer')  # on both sides, not maps
OF_MAPS = ('color of class', 'color of class and row')  # of labels, as A


def fit_baselines(
  a: np.ndarray, b: np.ndarray, paired: bool, maps: tuple[bool, bool] = (False, False)
) -> dict[str, Translate]:
  """{name: translation} of the baselines that apply to training images of A and B; `maps`: which are maps of labels."""
  left_out = {*(() if paired else OF_PAIRS), *(OF_IMAGES if any(maps) else ()), *(() if maps[0] else OF_MAPS)}
  if maps[1]:
    left_out |= {'mean of B', *OF_MAPS}  # a mean of classes is none
  fitted = {}
  for name in BASELINES.keys() - left_out:
    with contextlib.suppress(UserError):
      fitted[name] = BASELINES[name](a, b)
  return {name: fitted[name] for name in BASELINES if name in fitted}


# Colors


def color_moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The mean [C] and the covariance [C,C] of the colors of all pixels."""
  number, channels = images.size // images.shape[-1], images.shape[-1]
  mean = images.mean((0, 1, 2), dtype=np.float64)
  centered = (image.reshape(-1, channels) - mean for image in images)
  return mean, sum(x.T @ x for x in centered) / number


def transport(covariance_a: np.ndarray, covariance_b: np.ndarray) -> np.ndarray:
  """T [C,C], symmetric, with T S_a T = S_b where S_a is regular."""
  root, inverse = power(covariance_a, 0.5), power(covariance_a, -0.5)
  return inverse @ power(root @ covariance_b @ root, 0.5) @ inverse


def power(matrix: np.ndarray, exponent: float) -> np.ndarray:
  """A power of a symmetric matrix that is nowhere negative; on its kernel 0."""
  values, vectors = np.linalg.eigh(matrix)
  live = values > SINGULAR * max(values.max(), 1e-12)
  return (vectors[:, live] * values[live] ** exponent) @ vectors[:, live].T


def colors_of_classes(a: np.ndarray, b: np.ndarray, rows: bool) -> np.ndarray:
  """The mean color in B of each class of A in each row, uint8 [K,H,C], or in all rows alike, [K,1,C].

  A class that never occurs in a row has its color in all rows, and one that never occurs the mean color of B.
  """
  check_pairs(a, b)
  check_one_hot(a)
  if a.shape[1:3] != b.shape[1:3]:
    raise UserError(f'label maps {list(a.shape[1:3])} are not of the size of their images {list(b.shape[1:3])}')
  counts, sums = np.zeros((a.shape[-1], a.shape[1])), np.zeros((a.shape[-1], a.shape[1], b.shape[-1]))
  for labels, image in zip(a, b, strict=True):
    marks = (labels > 0).astype(np.float64)
    counts += marks.sum(1).T
    sums += np.einsum('hwk,hwc->khc', marks, image.astype(np.float64))
  of_class = mean_or(counts.sum(1, keepdims=True), sums.sum(1, keepdims=True), b.mean((0, 1, 2)))
  return to_uint8(mean_or(counts, sums, of_class) if rows else of_class)


def mean_or(counts: np.ndarray, sums: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
  """sums [...,C] / counts [...], and `otherwise` where there is nothing to count."""
  counts = counts[..., None]
  return np.where(counts > 0, sums / np.maximum(counts, 1), otherwise)


def to_uint8(values: np.ndarray) -> np.ndarray:
  """Rounded and clipped gray values."""
  return np.clip(np.round(values), 0, 255).astype(np.uint8)


# Where baselines apply


def check_pairs(a: np.ndarray, b: np.ndarray) -> None:
  """UserError where there are not as many images of A as of B."""
  if len(a) != len(b):
    raise UserError(f'{len(a)} images of A and {len(b)} of B are no pairs')


def check_colors(a: np.ndarray, b: np.ndarray) -> None:
  """UserError where A and B are not both gray or both RGB."""
  if a.shape[-1] != b.shape[-1] or a.shape[-1] not in (1, 3):
    raise UserError(f'colors of {a.shape[-1]} channels cannot be brought to those of {b.shape[-1]}')


def check_one_hot(a: np.ndarray) -> None:
  """UserError where A is no label map: where a pixel has not one channel alone that is not 0."""
  if a.shape[-1] < 2 or not all((np.count_nonzero(image, axis=-1) == 1).all() for image in a):
    raise UserError('A is no label map: of its channels one alone must be on at each pixel')
