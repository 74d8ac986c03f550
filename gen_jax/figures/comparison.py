"""Several runs side by side: their scores, -log p(x), images, errors, traversals and planes."""

import functools
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gen_jax.config import flatten, keys_that_may_differ
from gen_jax.errors import UserError
from gen_jax.evaluation.disentanglement import udr
from gen_jax.evaluation.explain import explain
from gen_jax.evaluation.source import collect
from gen_jax.figures.factors import entry_names
from gen_jax.figures.figure import CHECKPOINT, TRUST, Flag, Output, Picture, Text, figure, missing
from gen_jax.figures.inputs import decode_pixels, name_of_originals, test_batch, test_batches, to_pixels
from gen_jax.figures.latents import codes_and_kl, has_kl_of_latents, plain_codes, plane_of, two_latents
from gen_jax.plots import curves, grids, latent_plane, traversals
from gen_jax.runs import Run, load

RANKED = 1_000  # test images whose codes the disentanglement ranking compares
ERRORS = 10_000  # test images over which the squared error is averaged
SHOWN = 12  # test images that are shown beside each other


class SettingScores(NamedTuple):
  """The scores of the runs whose configs differ in the seed alone."""

  runs: int
  scores: dict[str, np.ndarray]  # {name: [runs]}
  ranking: dict[str, float]  # `udr` and that of each run, where there are several runs with a KL of each latent; or {}


class LikelihoodGain(NamedTuple):
  """How much less -log p(x) is than that of another run, nats an example."""

  mean: float
  standard_error: float


@figure(
  'this run beside --others: figures/comparison_*.png, and scores as text',
  place=120,
  flags={
    'others': Flag((), 'the workdirs that stand beside --workdir'), 'checkpoint': CHECKPOINT, 'trust_workdir': TRUST
  },
)
def compare(
  run: Run, others: Sequence[str | pathlib.Path], checkpoint: str, trust_workdir: bool
) -> Iterator[Output]:
  """This run beside others: scores, -log p(x), and of those that reconstruct images, errors, traversals, planes.

  Images and traversals are compared where the data are the same, planes where all runs have two latents.
  """
  if not others:
    raise UserError('--mode=compare needs --others=WORKDIR[,WORKDIR]')
  others = [load(other, checkpoint, trust=trust_workdir) for other in others]
  by_setting = scores_by_setting([run, *others])
  explained = explain(scores_of(run), type(run.module), (), entry_names(run.source.data))
  yield Text(score_table(by_setting, {name: known.entry for name, known in explained.items()}))
  for other in others:
    yield Text(likelihood_line(run, other, likelihood_gain(run, other)))
  if runs := [each for each in (run, *others) if 'reconstruct' in each.model]:
    yield from compare_reconstructions(runs)


def compare_reconstructions(runs: Sequence[Run]) -> Iterator[Output]:
  """Images, errors, planes and traversals of runs that reconstruct images."""
  same_data = [run for run in runs if data_of(run) == data_of(runs[0])]
  rows = [to_pixels(runs[0], test_batch(runs[0])['image'])]
  rows += [to_pixels(run, run.model.reconstruct(test_batch(run))) for run in same_data]
  names = [name_of_originals(runs[0]), *map(run_name, same_data)]  # not unique: folders may be called alike
  caption = 'The same test images, reconstructed by each run from its code, of a VAE the mean code'
  canvas = grids.labeled_grid([row[:SHOWN] for row in rows], names, caption)
  yield Picture('comparison_images', canvas, caption)

  lines = {}
  for run in sorted(runs, key=code_size):
    error, sampled = squared_errors(run)
    sizes, errors = lines.setdefault(f'{type(run.module).__name__} on {run.config.data.name}', ([], []))
    sizes.append(code_size(run))
    errors.append(error / test_batch(run)['image'][0].size)
    both = '' if sampled is None else f' from the mean code, {sampled:.4f} from a sampled z'
    yield Text(f'{run_name(run)}: squared error an image {error:.4f}{both}; {errors[-1]:.5f} a pixel ({run.workdir})')
  canvas = curves.error_curve(lines)
  yield Picture('comparison_error', canvas, 'The error of reconstructions by the size of the code, beside other runs')

  if all(missing(run, plain_codes, two_latents) is None for run in runs):
    canvas = latent_plane.planes([plane_of(run) for run in runs])
    yield Picture('comparison_plane', canvas, 'The latent plane beside those of other runs')
  yield from compare_traversals(same_data)


def data_of(run: Run) -> tuple[str, dict[str, object]]:
  """What tells whether runs are on the same data, seen alike: a user's own images are known wherever they lie."""
  ignored = {'data.name', *keys_that_may_differ()}
  seen = {key: value for key, value in flatten(run.config.data, 'data.').items() if key not in ignored}
  return run.source.own_key or run.source.name, seen


def compare_traversals(runs: Sequence[Run]) -> Iterator[Output]:
  """The most informative latents of runs on one data set, from the first test image; runs without a KL are left out."""
  runs = [run for run in runs if has_kl_of_latents(run) and missing(run, plain_codes) is None]
  if len(runs) < 2:
    return
  walks = []
  for run, setting in zip(runs, settings_of(runs), strict=True):
    codes, kl = codes_and_kl(run, test_batches(run, RANKED))
    walks.append((setting or run.workdir.name, functools.partial(decode_pixels, run), codes[0], kl))
  yield Picture('comparison_traversals', traversals.side_by_side(walks), 'One latent at a time, beside other runs')


@functools.cache
def code_size(run: Run) -> int:
  """The number of numbers in a code; 0 where the model has none."""
  return run.model.encode(test_batch(run)).shape[1] if 'encode' in run.model else 0


def run_name(run: Run) -> str:
  """What a run is called in a figure."""
  return f'{type(run.module).__name__}, {code_size(run)} latents, {run.workdir.name}'


def squared_errors(run: Run) -> tuple[float, float | None]:
  """The mean squared error of the reconstruction of a test image, summed over its pixels.

  From its code, of a VAE the mean code, and from a sample of the posterior, None where the model has none.
  """
  errors_of = lambda batch: {name: x for name, x in run.model.per_example(batch).items() if 'squared_error' in name}
  errors = collect(test_batches(run, ERRORS), errors=errors_of)['errors']
  means = {name: float(x.mean(dtype=np.float64)) for name, x in errors.items()}
  return means['squared_error'], means.get('squared_error_sampled')


def settings_of(runs: Sequence[Run]) -> list[str]:
  """What sets the config of each run apart from the others, the seed left out: 'model.beta=4.0'."""
  configs = [flatten(run.config) for run in runs]
  keys = {key for config in configs for key in config} - {'seed'} - keys_that_may_differ()
  differing = sorted(key for key in keys if len({repr(config.get(key)) for config in configs}) > 1)
  return [', '.join(f'{key}={config[key]}' for key in differing if key in config) for config in configs]


def scores_of(run: Run) -> dict[str, float]:
  """The numbers of evaluation.json, where they are of the run's checkpoint."""
  known = run.evaluation()
  return {name: x for name, x in known.items() if name not in ('step', 'examples') and isinstance(x, int | float)}


def scores_by_setting(runs: Sequence[Run]) -> dict[str, SettingScores]:
  """{setting: every score that all runs have, and the disentanglement ranking `udr` of several runs of one setting}."""
  scores = [scores_of(run) for run in runs]
  names = [name for name in scores[0] if all(name in others for others in scores)]
  settings, by_setting = settings_of(runs), {}
  for setting in dict.fromkeys(settings):
    places = [i for i, other in enumerate(settings) if other == setting]
    group, ranking = [runs[i] for i in places], {}
    if len(group) > 1 and all(map(has_kl_of_latents, group)):
      codes = [codes_and_kl(run, test_batches(run, RANKED)) for run in group]
      ranking = udr(*zip(*codes, strict=True), points=min(RANKED, group[0].source.data.size))
    values = {name: np.array([scores[i][name] for i in places]) for name in names}
    by_setting[setting] = SettingScores(len(group), values, ranking)
  return by_setting


def score_table(by_setting: dict[str, SettingScores], entries: Mapping[str, str]) -> str:
  """Mean and standard deviation over the seeds of each setting, a line a score; `entries`: what of a family each is."""
  width, lines = max(len(name) for table in by_setting.values() for name in (*table.scores, 'udr')), []
  for setting, (runs, scores, ranking) in by_setting.items():
    lines.append(f'{setting or "the same setting"}: {runs} runs, mean and standard deviation')
    for name, values in scores.items():
      deviation = f' +- {values.std(ddof=1):.4f}' if runs > 1 else ''
      entry = f'  {entries[name]}' if entries.get(name) else ''
      lines.append(f'  {name:{width}}  {values.mean():10.4f}{deviation}{entry}')
    if ranking:
      of_each = ' '.join(f'{ranking[f"udr_{i}"]:.4f}' for i in range(runs))
      lines.append(f'  {"udr":{width}}  {ranking["udr"]:10.4f}; of each run {of_each}')
  return '\n'.join(lines)


def likelihood_gain(run: Run, other: Run) -> LikelihoodGain | None:
  """How much less -log p(x) is here, example by example, with its standard error; None where that cannot be told.

  Both runs must be on the same data, and their checkpoints evaluated with `likelihood` on as many test examples.
  """
  own, theirs = run.arrays().get('nll_each'), other.arrays().get('nll_each')
  if own is None or theirs is None or own.shape != theirs.shape or data_of(run) != data_of(other):
    return None
  if len(own) < 2:  # which have no standard error
    return None
  gain = theirs - own
  return LikelihoodGain(float(gain.mean()), float(gain.std(ddof=1) / math.sqrt(len(gain))))


def likelihood_line(run: Run, other: Run, gain: LikelihoodGain | None) -> str:
  """The gain in words."""
  if gain is None:
    return f'{other.workdir}: -log p(x) not compared; evaluate both with --config.evals=likelihood on the same data'
  return (
    f'{run.workdir}: -log p(x) is {gain.mean:.3f} +- {gain.standard_error:.3f} nats below that of {other.workdir}'
  )
