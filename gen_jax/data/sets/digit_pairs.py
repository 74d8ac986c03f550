"""Pairs made of scikit-learn's digits, enlarged: outlines and hatched digits, maps of labels and colored digits."""

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from gen_jax.data.dataset import Dataset, Feature, from_arrays
from gen_jax.data.image_files import pixels_of
from gen_jax.data.palettes import Palette, colored, one_hot
from gen_jax.data.regions import filled, outlines
from gen_jax.data.sets import digits
from gen_jax.errors import UserError

ALL_TAKES = ('swap', 'palette_a')  # keys of config.data, see `takes`
SIZE, SMALLEST = 32, 16  # of the images, unless config.data.size says another; smaller outlines run together
LABELS = ('background', 'stroke', 'hole')
PALETTE = ((0, 0, 170), (255, 170, 0), (170, 255, 85))  # of LABELS, in image_a of 'digit_labels'
GROUND, HOLE = (40, 44, 52), (198, 70, 52)  # colors of image_b
STROKE = (96, 62, 20), (250, 222, 130)  # from where a stroke ends to where the digit is brightest
PERIOD, DEPTH = 13, 0.8  # of the hatching: pixels along a row, and the share of a gray value
TURN, SHRINK = 30, 0.6  # of a hatched digit: degrees at most, scale at least
COPIES = 8  # of a digit in training, each with a place and a hatching of its own
SPLITS = ('train', 'validation', 'test')
# the share of its largest gray value from which on a digit is stroke: the faint ends of a 0 close for labels
OF_EDGES, OF_LABELS = 0.5, 0.35


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` names one of the two sets."""
  return data.name in ('digit_edges', 'digit_labels')


def takes(data: ConfigDict) -> tuple[str, ...]:
  """Only a map of labels has a palette."""
  return ALL_TAKES if data.name == 'digit_labels' else ('swap',)


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split of the set that the section names."""
  size = size_of(data)
  return load_edges(split, size) if data.name == 'digit_edges' else load_labels(split, size, data.palette_a)


def load_edges(split: str, size: int = SIZE) -> Dataset:
  """'image_a' the outline of a digit, 0 or 255, 'image_b' the digit, hatched, both uint8 [N,size,size,1]; its label.

  An outline says nothing of where the dark lines of the hatching lie: the mean of all digits that it may stand for has
  none, and looks like none of them. Each digit is turned, shrunk and moved at random, in training COPIES times.
  """
  images, data = enlarged(split, size)
  rng = np.random.default_rng(SPLITS.index(split))
  copies = COPIES if split == 'train' else 1
  images, label = (np.repeat(values, copies, axis=0) for values in (images, data.arrays['label']))
  images = np.stack([place(image, rng) for image in images])
  edges = np.uint8(255) * outlines(strokes(images, OF_EDGES))
  hatched = hatch(images, rng.uniform(0, 2 * np.pi, len(images)))
  return paired(data, edges[..., None], hatched[..., None], label)


def load_labels(split: str, size: int = SIZE, palette: Palette = ()) -> Dataset:
  """'image_a' LABELS in colors of PALETTE, 'image_b' the digit in other colors, uint8 [N,size,size,3]; with its label.

  With a `palette`, such as PALETTE, image_a is one channel of 0 and 1 for each of its colors, that of the nearest 1.
  """
  images, data = enlarged(split, size)
  labels = label_maps(strokes(images, OF_LABELS))
  maps = colored(labels, PALETTE)
  maps = one_hot(maps, palette) if palette else maps
  opened = paired(data, maps, render(images, labels), data.arrays['label'])
  if palette:
    opened = opened._replace(features={**opened.features, 'image_a': Feature((size, size, len(palette)), levels=2)})
  return opened


def size_of(data: ConfigDict) -> int:
  """The side of the enlarged digits. UserError where it is too small for an outline."""
  if 0 < data.size < SMALLEST:
    raise UserError(f'config.data.size={data.size}: the digits of {data.name} need at least {SMALLEST}')
  return data.size or SIZE


def enlarged(split: str, size: int) -> tuple[np.ndarray, Dataset]:
  """(the digits of a split, uint8 [N,size,size], enlarged with antialiasing; the split of 8x8)."""
  data = digits.load(split)
  images = [pixels_of(Image.fromarray(image[..., 0]), size)[..., 0] for image in data.arrays['image']]
  return np.stack(images), data


def strokes(images: np.ndarray, share: float) -> np.ndarray:
  """Where digits uint8 [N,H,W] have at least this share of their largest gray value: bool [N,H,W]."""
  return images >= share * images.max((1, 2), keepdims=True)


def label_maps(masks: np.ndarray) -> np.ndarray:
  """The places in LABELS, int [N,H,W], of strokes bool [N,H,W]: a hole is background that strokes enclose."""
  return np.where(masks, 1, np.where(filled(masks), 2, 0))


def place(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """A digit uint8 [size,size], turned by TURN at most, shrunk to SHRINK at least, and moved where it has room."""
  size = len(image)
  angle, scale = np.deg2rad(rng.uniform(-TURN, TURN)), rng.uniform(SHRINK, 1)
  cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
  center = size / 2
  x, y = center + center * (1 - scale) * rng.uniform(-1, 1, 2)  # where the center comes to lie
  # PIL takes what each new pixel (u, v) is of: (c + cos (u - x) + sin (v - y), c - sin (u - x) + cos (v - y))
  whence = (cos, sin, center - cos * x - sin * y, -sin, cos, center + sin * x - cos * y)
  return np.asarray(
    Image.fromarray(image).transform((size, size), Image.Transform.AFFINE, whence, Image.Resampling.BICUBIC)
  )


def hatch(images: np.ndarray, phases: np.ndarray) -> np.ndarray:
  """Digits uint8 [N,H,W] under diagonal waves of these phases [N], which take up to DEPTH of their gray values."""
  rows, columns = np.indices(images.shape[1:])
  waves = (1 + np.cos(2 * np.pi * (rows + columns) / PERIOD + phases[:, None, None])) / 2
  return np.round(images * (1 - DEPTH * waves)).astype(np.uint8)


def render(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """RGB uint8 [N,H,W,3] of digits [N,H,W] and their labels: shaded strokes on GROUND, around HOLE."""
  most = images.max((1, 2), keepdims=True)
  shade = np.clip((images / most - OF_LABELS) / (1 - OF_LABELS), 0, 1)[..., None]
  dark, bright = np.array(STROKE, np.float64)
  flat = colored(np.where(labels == 2, 1, 0), (GROUND, HOLE))
  return np.where((labels == 1)[..., None], np.round(dark + (bright - dark) * shade), flat).astype(np.uint8)


def paired(data: Dataset, a: np.ndarray, b: np.ndarray, label: np.ndarray) -> Dataset:
  """A split with these pairs, made of the digits of `data`."""
  opened = from_arrays({'image_a': a, 'image_b': b, 'label': label}, num_classes=10)
  return opened._replace(about=data.about._replace(what=''))
