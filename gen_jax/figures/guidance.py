"""What guidance makes of points whose density is known for each class, and what adding two conditions' scores does."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax import gaussian_mixtures, randomness
from gen_jax.config import SAMPLER
from gen_jax.diffusion import grids, guidance, samplers
from gen_jax.diffusion.paths import SIGMA_MAX, SIGMA_MIN
from gen_jax.diffusion.samplers import Denoiser
from gen_jax.evaluation.needs import conditional, methods
from gen_jax.evaluation.planar import log_densities, outlier_limits, outlier_share, wasserstein
from gen_jax.evaluation.samples import draw_samples
from gen_jax.evaluation.source import Source
from gen_jax.figures.figure import Flag, Output, Picture, Text, figure
from gen_jax.gaussian_mixtures import GaussianMixture
from gen_jax.plots import planar
from gen_jax.plots.guidance import guidance_panels
from gen_jax.runs import Run
from gen_jax.training import snapshots

POINTS, BATCH, SIDE = 3_000, 1_000, 300  # samples of a sampler, made at a time; places along a side of a density
STEPS = 32  # of samplers of exact denoisers
EARLY = 16  # a worse model has had one such part of the training (Karras et al., 2024)
LEVELS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # of noise, at which the error of added scores is told


def known_classes(model: Any, source: Source) -> str | None:
  """Points whose density is known for each class."""
  del model
  known = getattr(source.data.target, 'classes', ())
  return None if known else f'needs points of classes whose densities are known, such as tree; {source.name} has none'


@figure(
  'a class of points with and without guidance, beside the truth: figures/guidance.png, added_scores.png',
  needs=(methods('denoiser_of'), conditional, known_classes),
  place=84,
  automatic=True,
  flags={'strength': Flag(3.0, 'of guidance, 1: none', lower_bound=0)},
)
def guide(run: Run, strength: float) -> Iterator[Output]:
  """Samples of the first class by the model, guided by its label and by its own snapshot, and by exact denoisers."""
  target = run.source.data.target
  own, whole = target.classes[0], gaussian_mixtures.mix(target.classes)
  by_model = lambda **changes: draw_samples(run.with_sampler(**changes).model, POINTS, BATCH, 0).reshape(-1, 2)
  panels = {
    'truth': own.sample(np.random.default_rng(1), POINTS),
    'unguided': by_model(guidance=1.0, autoguidance=0, interval=SAMPLER['interval'].default),
  }
  if strength != 1:
    panels['guided by the class'] = by_model(guidance=strength, autoguidance=0)
  if strength != 1 and (worse := early_snapshot(run)):
    panels[f'guided by step {worse}'] = by_model(guidance=strength, autoguidance=worse)
  exact = guidance.guide(own.denoise, whole.denoise, strength, (0.0, jnp.inf))
  panels |= {'exact, unguided': draw_exact(own.denoise), 'exact, guided': draw_exact(exact)}

  others = gaussian_mixtures.mix(target.classes[1:])
  yield Picture('guidance', panels_over(own, others, panels, f'One class, and guidance of strength {strength:g}'), (
    f'Samples of one class by the model and by exact denoisers, unguided and guided with strength {strength:g}'
  ))
  yield Text(table(panels, own, target))
  yield from compose(own, whole)


def early_snapshot(run: Run) -> int:
  """The step of the first snapshot after one part in EARLY of the training; 0 where there is none before its end."""
  end = int(run.state.step)
  return next((step for step in snapshots.steps_in(run.workdir) if step * EARLY >= end > step), 0)


def draw_exact(denoise: Denoiser) -> np.ndarray:
  """POINTS samples [N,2] by a denoiser that is no network's."""
  rows, key = jnp.arange(POINTS), randomness.key(0)
  noise = jax.random.normal(key, (POINTS, 2))
  run = jax.jit(functools.partial(samplers.sample, 'heun', denoise, grid=grids.karras(SIGMA_MIN, SIGMA_MAX)))
  return np.asarray(run(noise, steps=STEPS, key=key, rows=rows)[0])


def panels_over(own: GaussianMixture, others: GaussianMixture, panels: Mapping[str, np.ndarray], title: str) -> Any:
  """Panels of samples over the density of their class, and faintly over that of others."""
  extent = planar.extent_of(panels['truth'], margin=0.05)
  places = planar.lattice(extent, SIDE)
  of_class, of_others = (np.asarray(log_densities(each, places)).reshape(SIDE, SIDE) for each in (own, others))
  return guidance_panels(of_class, of_others, panels, extent, title=title, columns=3)


def table(panels: Mapping[str, np.ndarray], own: GaussianMixture, target: Any) -> str:
  """A line a sampler: how far its samples are from the truth, and the share of them where the class hardly ever is."""
  fresh, limits = own.sample(np.random.default_rng(2), POINTS), outlier_limits(target)
  outliers = lambda points: outlier_share(points, np.zeros(len(points), int), target, limits)
  rows = [f'  {name:22} {wasserstein(x, fresh):11.4f} {outliers(x):9.2%}' for name, x in panels.items()]
  return '\n'.join([f'  {"":22} Wasserstein  outliers', *rows])


def compose(own: GaussianMixture, whole: GaussianMixture) -> Iterator[Output]:
  """Two conditions by adding scores: the first class, and the right half of all branches, whose product is known."""
  right, both = right_half(whole), right_half(own)
  added = guidance.compose(whole.denoise, [own.denoise, right.denoise], [1.0, 1.0])
  panels = {'truth': both.sample(np.random.default_rng(1), POINTS), 'scores added': draw_exact(added)}
  title = 'Two conditions: the class, and the right half, by the exact scores of each'
  yield Picture('added_scores', panels_over(both, whole, panels, title), title)
  errors = [f'{level:g}: {score_error(added, both, level):.3f}' for level in LEVELS]
  distance = wasserstein(panels['scores added'], both.sample(np.random.default_rng(2), POINTS))
  floor = wasserstein(panels['truth'], both.sample(np.random.default_rng(2), POINTS))
  yield Text(f'  scores added: Wasserstein distance {distance:.4f} from the truth ({floor:.4f} of a fresh sample)')
  yield Text(f'  relative error of the added score at sigma {", ".join(errors)}')


def right_half(mixture: GaussianMixture) -> GaussianMixture:
  """The mixture of those components whose means lie on the right."""
  kept = np.asarray(mixture.means)[:, 0] > 0
  half = jax.tree.map(lambda leaf: np.asarray(leaf)[kept], mixture)
  return half.replace(log_weights=half.log_weights - np.log(np.exp(half.log_weights).sum()))


def score_error(denoise: Callable, truth: GaussianMixture, sigma: float) -> float:
  """sqrt(E |s - s*|^2 / E |s*|^2) of the score of a denoiser at x ~ the truth's p(x; sigma)."""
  rng = np.random.default_rng(3)
  x = truth.sample(rng, POINTS) + np.float32(sigma) * rng.standard_normal((POINTS, 2)).astype(np.float32)
  exact = np.asarray(truth.denoise(x, sigma))
  return float(np.sqrt(((np.asarray(denoise(x, jnp.float32(sigma))) - exact) ** 2).sum() / ((exact - x) ** 2).sum()))
