"""The figures of a GAN's run: what its game looks like in the plane, over time, and beside the training images."""

import re

import numpy as np

from gen_jax import build
from gen_jax.errors import UserError
from gen_jax.evaluation.evaluate import split_batches
from gen_jax.evaluation.means import asked
from gen_jax.evaluation.planar import draw as draw_points
from gen_jax.evaluation.samples import is_binary, nearest_neighbours
from gen_jax.figures.drawing import pixels, require, test_batches
from gen_jax.figures.vanishing import LOSSES, generator_gradients
from gen_jax.models import GAN
from gen_jax.plots import canvas, gradient_norms, grids, planar
from gen_jax.runs.run import Run

SHOWN = 12  # images in a row
POINTS = 4_000  # in a picture of the plane
FINE = 120  # places along a side of the discriminator's surface
FRAMES = 40  # at most, of an animation
DISCRIMINATOR_STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 200)


def is_of_points(run: Run) -> bool:
  """Whether the data are points of the plane."""
  return run.test.levels == 0


def real_points(run: Run, number: int = POINTS) -> np.ndarray:
  """[N,2] of the test split."""
  parts = [np.asarray(batch['image'])[np.asarray(batch['mask']) > 0] for batch in test_batches(run, number)]
  return np.concatenate(parts).reshape(-1, 2)


def draw_plane_of_points(run: Run) -> None:
  """Samples over their target, the discriminator's surface, the generator's map of the noise plane.

  -> figures/points.png, surface.png, and where the noise has two dimensions transform.png.
  """
  require(run, 'sample')
  if not is_of_points(run):
    raise UserError(f'{run.workdir} is of images, not of points, which this mode draws')
  verbs, real, folder = run.verbs(), real_points(run), run.workdir / 'figures'
  fake, extent = draw_points(verbs, POINTS), planar.extent_of(real)
  canvas.save_figure(folder / 'points.png', planar.samples_over_target(real, fake, extent=extent))
  if 'logits' in verbs:
    places = planar.lattice(extent, FINE)
    logits = np.asarray(verbs.logits({'image': places.reshape(-1, 1, 1, 2)})).reshape(FINE, FINE)
    critic = run.model.loss not in ('minimax', 'non_saturating')
    title = 'What the discriminator takes for real'
    figure = planar.surface(logits, extent, real[:1_000], fake[:1_000], critic=critic, title=title)
    canvas.save_figure(folder / 'surface.png', figure)
  if 'decode' in verbs and run.model.latent_dim == 2 and getattr(run.model, 'components', 1) == 1:
    lines, rows = planar.noise_lines(), {'row': np.arange(POINTS, dtype=np.int32)}
    z = np.asarray(verbs.latents(rows))
    mapped = np.asarray(verbs.decode(lines.reshape(-1, 2), rows)).reshape(lines.shape)
    samples = np.asarray(verbs.decode(z, rows)).reshape(-1, 2)
    canvas.save_figure(folder / 'transform.png', planar.transform(lines, mapped, z, samples, extent=extent))


def fixed_noise_by_step(run: Run) -> dict[int, np.ndarray]:
  """{step: what fixed noise had become}, FRAMES of them at most."""
  files = sorted((run.workdir / 'fixed_noise').glob('*.npy'))
  steps = {int(file.stem): file for file in files if re.fullmatch(r'\d+', file.stem)}
  chosen = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), FRAMES)).round().astype(int))
  try:
    return {step: np.load(steps[step], allow_pickle=False) for step in np.array(list(steps))[chosen].tolist()}
  except (ValueError, OSError, EOFError) as error:
    raise UserError(f'{run.workdir}/fixed_noise is damaged ({error}): remove the damaged file') from None


def draw_progress(run: Run) -> None:
  """What fixed noise becomes in training: a strip, and an animation -> figures/progress.png, animation.png."""
  by_step, folder = fixed_noise_by_step(run), run.workdir / 'figures'
  if not by_step:
    raise UserError(f'{run.workdir} has no samples of fixed noise: train with fixed_noise among config.evals')
  title = 'What the same noise becomes over training'
  if is_of_points(run):
    real = real_points(run)
    extent = planar.extent_of(real)
    frames = [
      canvas.png(planar.samples_over_target(real, fake, f'Step {step:,}', extent)) for step, fake in by_step.items()
    ]
    strip = planar.strip(frames, title)
  else:
    frames = [frame_of_images(images) for images in by_step.values()]
    few = np.unique(np.linspace(0, len(by_step) - 1, 8).round().astype(int))
    steps = np.array(list(by_step))[few].tolist()
    strip = grids.labelled_rows({f'step {step:,}': by_step[step][:SHOWN] for step in steps}, title)
  canvas.save_figure(folder / 'progress.png', strip)
  canvas.write_bytes(folder / 'animation.png', planar.animation(frames))


def frame_of_images(images: np.ndarray) -> bytes:
  """uint8 [N,H,W,C] as a PNG of ten columns."""
  return grids.png_bytes(grids.grid(images, 10), scale=2)


def draw_neighbours(run: Run) -> None:
  """Samples, and below each the nearest training images in pixels -> figures/neighbours.png."""
  require(run, 'sample')
  verbs = run.verbs()
  samples = pixels(run, verbs.sample(asked(np.arange(SHOWN, dtype=np.int32), verbs.classes)))
  grey = {} if is_binary(samples / 255) else {'binarize': 'none'}  # what is not binary stands beside grey images
  batches = split_batches(run.config, build.dataset(run.config, 'train'), **grey)
  training = np.concatenate([pixels(run, each['image'])[np.asarray(each['mask']) > 0] for each in batches])
  nearest, _ = nearest_neighbours(samples, training, 3)
  rows = {'sample': samples} | {f'neighbour {i + 1}': training[nearest[:, i]] for i in range(3)}
  figure = grids.labelled_rows(rows, 'Samples, and the training images nearest to each')
  canvas.save_figure(run.workdir / 'figures' / 'neighbours.png', figure)


def draw_vanishing(run: Run) -> None:
  """The generator's gradient under both losses while only the discriminator learns -> figures/vanishing.png.

  From the start of the run's config: the generator stays as it is initialised.
  """
  if not isinstance(run.model, GAN) or run.model.loss not in LOSSES:
    raise UserError(f'{run.workdir} is no GAN of loss {" or ".join(LOSSES)}, of which this mode speaks')
  norms = generator_gradients(run.config, DISCRIMINATOR_STEPS)
  for loss, values in norms.items():
    print(f'{loss}: ' + ', '.join(f'{n}: {x:.3g}' for n, x in zip(DISCRIMINATOR_STEPS, values, strict=True)))
  figure = gradient_norms.gradient_curves(DISCRIMINATOR_STEPS, norms)
  canvas.save_figure(run.workdir / 'figures' / 'vanishing.png', figure)


def possible(run: Run) -> list:
  """The figures that this run's model and data allow."""
  verbs = run.verbs()
  chosen = [draw_plane_of_points] if is_of_points(run) and 'sample' in verbs else []
  chosen += [draw_progress] if fixed_noise_by_step(run) else []
  chosen += [draw_neighbours] if 'logits' in verbs and not is_of_points(run) else []
  return chosen
