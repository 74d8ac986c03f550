"""The sliced Wasserstein distance on Laplacian pyramids: how far samples are from the data at each scale of detail.

Karras et al. (2018), "Progressive Growing of GANs", section 5. It asks no network, and sees images of any content.
"""

from collections.abc import Iterator

import flax.linen as nn
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gen_jax.data.preprocess import to_uint8
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import examples, images, methods, needs
from gen_jax.evaluation.samples import draw_images, is_binary, like_samples, random_subset, unit_images
from gen_jax.evaluation.source import Source
from gen_jax.metrics import Metric, measures

COARSEST = 16  # no level has a smaller side, but that of an image which is smaller itself
PATCH, PATCHES = 7, 128  # pixels of a side; patches of an image at each level
REPEATS, DIRECTIONS = 4, 128
FAKE, REAL, ON_LINES = range(3)  # seeds, of patches and of directions
SCALE = 1_000  # by which published distances are multiplied
BINOMIAL = np.float32([1, 4, 6, 4, 1]) / 16
IMAGES_AT_ONCE, DIRECTIONS_AT_ONCE = 256, 16  # for the memory alone


def sides_of_a_patch(model: nn.Module, source: Source) -> str | None:
  """The images are as large as a patch at least."""
  del model
  height, width, _ = source.shapes['image']
  if min(height, width) >= PATCH:
    return None
  return f'needs images of at least {PATCH}x{PATCH} pixels, a patch; these of {source.name} have {height}x{width}'


@measures({
  'sliced_wasserstein': Metric(
    'how far patches of samples are from those of training images, on lines through their space; the mean over the '
    'levels of a Laplacian pyramid, times 1,000', '', 'lower', headline=True,
  ),
  'sliced_wasserstein_{level}': Metric(
    'how far patches of samples are from those of training images, at the level of the pyramid with so many pixels a '
    'side', better='lower',
  ),
  'sliced_wasserstein_unseen': Metric('unseen images', beside='sliced_wasserstein'),
  '{metric}_unseen': Metric('unseen images'),
  'sliced_wasserstein_protocol': Metric('how many images were measured, and which'),
})  # fmt: skip
@needs(images, methods('sample'), examples(2), sides_of_a_patch)
def sliced_wasserstein(model: BoundModel, source: Source) -> Iterator[tuple[str, float | str]]:
  """The distance of `settings.sample_count` samples from as many training images at each level, and its mean.

  Of both as many as the training split has, where that is less. `_unseen`: images of the split in the place of samples,
  or where these are fewer, all of them beside as many training images. Distances fall with the number of images, and
  compare at the same one alone; published ones are of 16,384.

  Binary samples stand beside the images as the model sees them, others beside gray ones, all of them as uint8.
  """
  samples = draw_images(model, source, source.settings.sample_count)
  source, binary = like_samples(samples, source), is_binary(samples)
  real, unseen = (
    random_subset(map(gray_values, unit_images(batches, source.value_range)), source.settings.sample_count)
    for batches in (source.train(), source.batches())
  )
  samples = gray_values(samples[: len(real)])
  unseen = unseen[: len(real)]
  for suffix, of in (('', samples), ('_unseen', unseen)):
    distances = pyramid_distances(of, real[: len(of)])
    yield from ((f'sliced_wasserstein_{level}{suffix}', distance) for level, distance in distances.items())
    yield f'sliced_wasserstein{suffix}', float(np.mean(list(distances.values())))
  yield (
    'sliced_wasserstein_protocol',
    f'{len(samples)} samples (rows from {source.first_row}) beside as many training images at random, {len(unseen)} '
    f'images of the split beside as many, {"binary" if binary else "not binary"}; {PATCHES} patches an image, '
    f'{REPEATS}x{DIRECTIONS} directions; seed 0',
  )


def gray_values(images: np.ndarray) -> np.ndarray:
  """uint8 of images in [0, 1]."""
  return np.asarray(to_uint8(images))


def pyramid_distances(fake: np.ndarray, real: np.ndarray) -> dict[int, float]:
  """{the smaller side of the level: the distance, times 1,000} of uint8 images [N,H,W,C] from as many others.

  Patches lie elsewhere in fake and real images of one row, as published, so that not even copies have a distance of 0.
  """
  height, width = real.shape[1:3]
  levels = number_of_levels(height, width)
  distances = {}
  for level in range(levels):
    a, b = (descriptors(x, level, levels, seed) for x, seed in ((fake, FAKE), (real, REAL)))
    distances[min(height, width) >> level] = SCALE * sliced_distance(a, b, (ON_LINES, level))
  return distances


def number_of_levels(height: int, width: int) -> int:
  """How many levels the pyramid has: an image is halved while its sides are even and their halves 16 or more.

  A square whose side is a power of two gets the levels published; one of 28 or of 33 pixels is its own and only level.
  """
  if height % 2 or width % 2 or min(height, width) < 2 * COARSEST:
    return 1
  return 1 + number_of_levels(height // 2, width // 2)


def blur(images: np.ndarray) -> np.ndarray:
  """Images [B,H,W,C] by the filter [1, 4, 6, 4, 1] / 16 along both sides, mirrored about the pixels of the border."""
  for axis in (1, 2):
    size = images.shape[axis]
    padded = np.pad(images, [(2, 2) if a == axis else (0, 0) for a in range(4)], 'reflect')
    shifted = (padded[(slice(None),) * axis + (slice(k, k + size),)] for k in range(5))
    images = sum(weight * part for weight, part in zip(BINOMIAL, shifted, strict=True))
  return images


def downsample(images: np.ndarray) -> np.ndarray:
  """[B,H,W,C] of even sides -> [B,H/2,W/2,C]: blurred, then every second pixel (Burt & Adelson, 1983, REDUCE)."""
  return blur(images)[:, ::2, ::2]


def upsample(images: np.ndarray) -> np.ndarray:
  """[B,H,W,C] -> [B,2H,2W,C]: zeros between the pixels, blurred, times 4 (Burt & Adelson, 1983, EXPAND)."""
  batch, height, width, channels = images.shape
  spread = np.zeros((batch, 2 * height, 2 * width, channels), images.dtype)
  spread[:, ::2, ::2] = images
  return 4 * blur(spread)


def laplacian(images: np.ndarray, level: int, levels: int) -> np.ndarray:
  """A level of the Laplacian pyramid of images float32 [B,H,W,C], [B,H/2^level,W/2^level,C]: its finest is level 0.

  It is what is lost when the image of this size is halved; of the last level the image itself.
  """
  for _ in range(level):
    images = downsample(images)
  return images - upsample(downsample(images)) if level < levels - 1 else images


def descriptors(images: np.ndarray, level: int, levels: int, seed: int) -> np.ndarray:
  """128 random patches of a level of each of uint8 images [N,H,W,C], float32 [128 N,49 C], standardized.

  Each channel has mean 0 and standard deviation 1 over all patches and their pixels; 0 throughout where it is
  constant. Gray images have one channel, which the published code repeats: on lines of unit length that is nearly the
  same. Where patches lie is drawn by NumPy's default_rng((seed, level)): for one image after another, their rows and
  columns.
  """
  rng, channels = np.random.default_rng((seed, level)), images.shape[-1]
  results = np.empty((len(images), PATCHES, channels, PATCH * PATCH), np.float32)
  for start in range(0, len(images), IMAGES_AT_ONCE):
    part = laplacian(images[start : start + IMAGES_AT_ONCE].astype(np.float32), level, levels)
    windows = sliding_window_view(part, (PATCH, PATCH), axis=(1, 2))  # [B,H-6,W-6,C,7,7]
    most = np.array(windows.shape[1:3])[None, :, None]
    rows, columns = rng.integers(most, size=(len(part), 2, PATCHES)).swapaxes(0, 1)
    patches = windows[np.arange(len(part))[:, None], rows, columns]
    results[start : start + len(part)] = patches.reshape(*patches.shape[:3], -1)
  results = results.reshape(-1, channels, PATCH * PATCH)
  results -= results.mean((0, 2), dtype=np.float64).astype(np.float32)[None, :, None]
  deviation = np.sqrt(np.einsum('nck,nck->c', results, results, dtype=np.float64) / (len(results) * PATCH**2))
  results /= np.where(deviation > 0, deviation, 1).astype(np.float32)[None, :, None]
  return results.reshape(len(results), -1)


def sliced_distance(a: np.ndarray, b: np.ndarray, seed: int | tuple[int, ...] = 0) -> float:
  """The mean over 4 x 128 random unit vectors u of the 1-Wasserstein distance of a.u and b.u, both float32 [N,d].

  On a line the best transport of equally many points pairs them in order (Rabin et al., 2011). Distances of N points
  of one distribution are not 0, and fall with N.
  """
  rng, distances = np.random.default_rng(seed), []
  for _ in range(REPEATS * DIRECTIONS // DIRECTIONS_AT_ONCE):
    u = rng.standard_normal((DIRECTIONS_AT_ONCE, a.shape[1]))
    u = (u / np.linalg.norm(u, axis=1, keepdims=True)).astype(np.float32)
    on_a, on_b = (np.sort(u @ x.T, axis=1) for x in (a, b))
    distances.append(np.abs(on_a - on_b).mean(dtype=np.float64))
  return float(np.mean(distances))
