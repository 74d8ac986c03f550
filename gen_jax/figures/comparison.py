"""Several runs side by side: their scores, -log p(x), images, errors and planes."""

import functools
import math
import pathlib
from collections.abc import Sequence

import numpy as np

from gen_jax.config import flatten, keys_that_may_differ
from gen_jax.errors import UserError
from gen_jax.evaluation import means
from gen_jax.evaluation.disentanglement import udr
from gen_jax.figures import drawing
from gen_jax.figures.drawing import decode, has_plain_codes, pixels, test_batch, test_batches
from gen_jax.plots import canvas, curves, grids, latent_plane, traversals
from gen_jax.runs.run import Run

RANKED = 1_000  # test images whose codes the disentanglement ranking compares


def compare(run: Run, others: list[Run]) -> None:
  """This run beside others -> figures/comparison_*.png: images, errors, traversals, 2-D planes; scores as text.

  Images and traversals are compared where the data are the same, planes where all runs have two latents.
  """
  if not others:
    raise UserError('--mode=compare needs --others=WORKDIR[,WORKDIR]')
  compare_scores([run, *others])
  compare_likelihoods(run, others)
  folder = run.workdir / 'figures'
  runs = [each for each in (run, *others) if 'reconstruct' in each.verbs()]
  if not runs:
    return

  def name(each: Run) -> str:
    return f'{type(each.model).__name__}, {each.model.latent_dim} latents, {each.workdir.name}'

  rows = {'original': pixels(runs[0], test_batch(runs[0])['image'])[:12]}
  same = [each for each in runs if each.config.data == runs[0].config.data]
  rows |= {name(each): pixels(each, each.verbs().reconstruct(test_batch(each)))[:12] for each in same}
  canvas.save_figure(folder / 'comparison_images.png', grids.labelled_rows(rows, 'The same test images by each run'))

  lines = {}
  for each in sorted(runs, key=lambda each: each.model.latent_dim):
    error = dict(means.terms(each.verbs(), functools.partial(test_batches, each, 10_000)))['squared_error']
    sizes, errors = lines.setdefault(f'{type(each.model).__name__} on {each.config.data.name}', ([], []))
    sizes.append(each.model.latent_dim)
    errors.append(error / math.prod(each.model.image_shape))
    print(f'{name(each)}: squared error {error:.4f} an image, {errors[-1]:.5f} a pixel ({each.workdir})')
  canvas.save_figure(folder / 'comparison_error.png', curves.error_curve(lines))

  if all(each.model.latent_dim == 2 and has_plain_codes(each) for each in runs):
    planes = latent_plane.planes([drawing.latent_plane_of(each) for each in runs])
    canvas.save_figure(folder / 'comparison_plane.png', planes)

  compare_traversals(folder / 'comparison_traversals.png', same)


def compare_traversals(path: pathlib.Path, runs: Sequence[Run]) -> None:
  """The most informative latents of the runs on one data set, from the first test image; without a KL there is none."""
  runs = [run for run in runs if has_kl_of_latents(run) and has_plain_codes(run)]
  if len(runs) < 2:
    return
  walks = []
  for run, setting in zip(runs, settings_of(runs), strict=True):
    codes, kl = codes_and_kl(run)
    walks.append((setting or run.workdir.name, functools.partial(decode, run), codes[0], kl))
  canvas.save_figure(path, traversals.side_by_side(walks))


def settings_of(runs: Sequence[Run]) -> list[str]:
  """What sets the config of each run apart from the others, the seed left out: 'model.beta=4.0'."""
  flat = [flatten(run.config) for run in runs]
  keys = {key for config in flat for key in config} - {'seed'} - keys_that_may_differ()
  differing = sorted(key for key in keys if len({repr(config.get(key)) for config in flat}) > 1)
  return [', '.join(f'{key}={config[key]}' for key in differing if key in config) for config in flat]


def scores_of(run: Run) -> dict[str, float]:
  """The numbers of evaluation.json, where they are of the opened checkpoint."""
  found = run.evaluation()
  return {name: x for name, x in found.items() if name not in ('step', 'examples') and isinstance(x, int | float)}


def compare_scores(runs: Sequence[Run]) -> None:
  """Prints mean and standard deviation over the seeds of each setting, of every score that all runs have.

  And of settings with several runs, the disentanglement ranking `udr`.
  """
  by_setting: dict[str, list[Run]] = {}
  for run, setting in zip(runs, settings_of(runs), strict=True):
    by_setting.setdefault(setting, []).append(run)
  scores = {setting: [scores_of(run) for run in group] for setting, group in by_setting.items()}
  every = [found for group in scores.values() for found in group]
  names = [name for name in every[0] if all(name in found for found in every)]
  width = max(map(len, [*names, 'udr']))
  for setting, group in by_setting.items():
    found = {name: np.array([one[name] for one in scores[setting]]) for name in names}
    print(f'{setting or "the same setting"}: {len(group)} runs, mean and standard deviation')
    for name, values in found.items():
      spread = f' +- {values.std(ddof=1):.4f}' if len(values) > 1 else ''
      print(f'  {name:{width}}  {values.mean():10.4f}{spread}')
    if len(group) > 1 and all(map(has_kl_of_latents, group)):
      ranking = udr(*zip(*map(codes_and_kl, group), strict=True), points=min(RANKED, group[0].test.size))
      print(f'  {"udr":{width}}  {ranking["udr"]:10.4f}; of each run', *(
        f'{ranking[f"udr_{i}"]:.4f}' for i in range(len(group))
      ))  # fmt: skip


def has_kl_of_latents(run: Run) -> bool:
  """Whether each latent has a KL of its own."""
  verbs = run.verbs()
  return 'encode' in verbs and 'evaluate' in verbs and 'kl_dim' in verbs.evaluate(test_batch(run))


def codes_and_kl(run: Run) -> tuple[np.ndarray, np.ndarray]:
  """(codes [n,D], mean KL [D]) of test images, the same for all runs on one data set."""
  verbs, codes, kl = run.verbs(), [], []
  for batch in test_batches(run, RANKED):
    there = np.asarray(batch['mask']) > 0
    codes.append(np.asarray(verbs.encode(batch))[there])
    kl.append(np.asarray(verbs.evaluate(batch)['kl_dim'])[there])
  return np.concatenate(codes), np.concatenate(kl).mean(0)


def compare_likelihoods(run: Run, others: list[Run]) -> None:
  """Prints how much less -log p(x) is here, example by example, with its standard error.

  Of the runs on the same data whose opened checkpoints have been evaluated with `likelihood` on as many test examples.
  """
  mine = run.arrays().get('nll_each')
  for other in others:
    theirs = other.arrays().get('nll_each')
    if mine is None or theirs is None or mine.shape != theirs.shape or run.config.data != other.config.data:
      print(f'{other.workdir}: -log p(x) not compared; evaluate both with --config.evals=likelihood on the same data')
      continue
    gain = theirs - mine
    error = gain.std(ddof=1) / math.sqrt(len(gain))
    print(f'{run.workdir}: -log p(x) is {gain.mean():.3f} +- {error:.3f} nats below that of {other.workdir}')
