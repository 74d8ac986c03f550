"""Errors of translated images beside the true ones, both uint8 [N,H,W,C]: an array [N], one number an image."""

from collections.abc import Callable

import numpy as np
import scipy.ndimage

from gen_jax.errors import UserError

Translate = Callable[[np.ndarray], np.ndarray]  # images uint8 [N,H,W,C] -> uint8 [N,H',W',C']

SIGMA, RADIUS = 1.5, 5  # of the Gaussian window of SSIM, 11 x 11 pixels
K1, K2 = 0.01, 0.03


def l1(images: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """The mean absolute difference of values in [-1, 1], from 0 to 2, as pix2pix and CycleGAN minimize it."""
  check_shapes(images, truth)
  return np.array([np.abs(a.astype(np.int16) - b).mean() for a, b in zip(images, truth, strict=True)]) * (2 / 255)


def psnr(images: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """The peak signal-to-noise ratio 10 log10(255^2 / mean squared difference), dB.

  Identical images, whose ratio is infinite, count as if one value differed by 1: 10 log10(255^2 H W C), which no other
  images exceed. So a mean over images stays finite.
  """
  check_shapes(images, truth)
  squares = [np.square(a.astype(np.int32) - b).sum() for a, b in zip(images, truth, strict=True)]
  return 10 * np.log10(255.0**2 * images[0].size / np.maximum(squares, 1))


def ssim(images: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """Structural similarity, from -1 to 1 for identical images (Wang et al., 2004, eq. 13), the mean over channels.

  (2 m_a m_b + C1) (2 s_ab + C2) / ((m_a^2 + m_b^2 + C1) (s_a^2 + s_b^2 + C2)), of means, variances and covariance in a
  Gaussian window of 11 x 11 pixels, averaged over the places where it lies whole in the image. C = (255 K)^2.
  UserError where an image is smaller than the window.
  """
  check_shapes(images, truth)
  if min(images.shape[1:3]) < 2 * RADIUS + 1:
    height, width = images.shape[1:3]
    raise UserError(f'SSIM needs images of {2 * RADIUS + 1}x{2 * RADIUS + 1} pixels at least, not {height}x{width}')
  return np.array([ssim_of_image(*pair) for pair in zip(images, truth, strict=True)])


def ssim_of_image(image: np.ndarray, truth: np.ndarray) -> float:
  """`ssim` of one image, uint8 [H,W,C]."""
  a, b = image.astype(np.float64), truth.astype(np.float64)
  mean_a, mean_b, square_a, square_b, product = (window_mean(x) for x in (a, b, a * a, b * b, a * b))
  variances, covariance = square_a - mean_a**2 + square_b - mean_b**2, product - mean_a * mean_b
  c1, c2 = (255 * K1) ** 2, (255 * K2) ** 2
  similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
  return float((similarity / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))).mean())


def window_mean(x: np.ndarray) -> np.ndarray:
  """The mean in the Gaussian window around each pixel, [H,W,C] -> [H-10,W-10,C]."""
  smooth = scipy.ndimage.gaussian_filter(x, SIGMA, radius=RADIUS, axes=(0, 1))
  return smooth[RADIUS:-RADIUS, RADIUS:-RADIUS]


def cycle_error(images: np.ndarray, there: Translate, back: Translate) -> np.ndarray:
  """`l1` of images of A translated to B and back. In between they are uint8, which hides less than floats would."""
  return l1(back(there(images)), images)


def true_map_errors(images: np.ndarray, truth: np.ndarray, translate: Translate) -> tuple[np.ndarray, np.ndarray]:
  """`l1` of the translation beside the known true one; and of the images as they are, which a translation must beat."""
  return l1(translate(images), truth), l1(images, truth)


def check_shapes(images: np.ndarray, truth: np.ndarray) -> None:
  """UserError where the two are not alike, or there is no image."""
  if images.shape != truth.shape or not len(images):
    raise UserError(f'images {list(images.shape)} cannot be compared with {list(truth.shape)}')
