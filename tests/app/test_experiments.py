"""Every experiment of the repository: its variants are configs that can work, its smoke variant trains."""

import importlib
import json
import pathlib

import chex
import jax
import numpy as np
import pytest
import soundfile
from PIL import Image

from gen_jax import build
from gen_jax.app import arguments, check
from gen_jax.data import sources
from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.training import loop, parallel
from gen_jax.training.state import evaluated_variables

NAMES = sorted(path.stem for path in pathlib.Path('experiments').glob('*.py') if path.stem != 'common')
# one of each kind of model runs to its report here; of the others the step is traced, and they run with the slow tests,
# as what they add is tested where it stands
KINDS = {  # and metrics that its evaluators must give
  'autoencoder': {'squared_error'},
  'vae': {'elbo', 'squared_error', 'active_units'},
  'gan_2d': {'logit_fake', 'auc_train_vs_fake'},
  'conditional_gan': {'logit_fake', 'auc_train_vs_fake'},
}
GET_CONFIG = {name: importlib.import_module(f'experiments.{name}').get_config for name in NAMES}
VARIANTS = [(name, variant) for name, get_config in GET_CONFIG.items() for variant in get_config.variants]
VARIANTS += [('voices', 'folder,smoke'), ('voices', 'words,smoke')]


def write_sides(folder, layout):
  """A folder of a few pairs side by side, or of unpaired sides, or voices."""
  names = ('train', 'val', 'test') if layout == 'side_by_side' else ('trainA', 'trainB', 'testA', 'testB')
  width = 16 if layout == 'side_by_side' else 8
  for name in names:
    if layout == 'voices':
      write_words(folder / name)
      continue
    (folder / name).mkdir(parents=True)
    for i in range(6):
      pixels = np.random.default_rng(i).integers(0, 256, (8, width, 3)).astype(np.uint8)
      Image.fromarray(pixels).save(folder / name / f'{i}.png')
  return folder


def write_words(folder):
  """Recordings of noise, a fourth of a second and longer, that are named by words."""
  folder.mkdir(parents=True)
  for i in range(6):
    noise = np.random.default_rng(i).normal(scale=0.1, size=4_000 + 500 * i)
    soundfile.write(folder / f'{i}_said.wav', noise, 16_000)


@pytest.mark.parametrize(('name', 'variant'), VARIANTS)
def test_every_variant_passes_the_checks(name, variant, tmp_path):
  config = arguments.load_experiment(f'experiments/{name}.py:{variant}')
  assert config.is_locked and config.experiment == f'{name}:{variant}'
  with config.unlocked():
    if not config.data.outliers and not config.data.layout:
      config.data.resident_mib = 0  # prepared sets are opened, and not read into memory
    config.batch_size = max(config.batch_size, 4)  # those of one image are for one device
    if config.data.name == 'voices':
      config.data.sentences = 2  # each is rendered
    if config.data.layout:
      config.data.name = str(write_sides(tmp_path / 'sides', config.data.layout))
    if 'words_kept' in config.final_evals:
      write_words(tmp_path / 'words' / 'other')
      config.words = str(tmp_path / 'words')
  try:
    check.check(config)
  except UserError as error:  # of prepared data, which the tests do without
    if 'prepare' not in str(error):
      raise
    with config.unlocked():
      config.data.update({'name': 'digits', 'size': config.data.size or 28})
      config.data.update(sources.without_keys_of_others(config.data))
      config.data.outliers = 'digits' if config.data.outliers else ''
      config.update({'evals': (), 'final_evals': ()})
    check.check(config)


@pytest.mark.parametrize('name', [name for name in NAMES if name not in KINDS])
def test_the_step_of_every_other_experiment_can_be_traced(name):
  config = arguments.load_experiment(f'experiments/{name}.py:smoke')
  with config.unlocked():
    if config.data.name == 'voices':
      config.data.sentences = 2  # each is rendered
  task = build.task(config)
  state, rows = loop.shapes_of_state(task), parallel.local_rows(config.batch_size)
  after, history = jax.eval_shape(
    loop.compiled_steps(task), state, dict(task.data.arrays), np.uint32(0), np.int32(1), rows
  )
  chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
  assert {f'{player}/loss' for player in task.model.players} <= set(history)
  batch = build.example_batch(task.data, build.preprocessor(config, task.data, train=False), rows=4)
  of_state = lambda state: BoundModel(task.model, evaluated_variables(state)).per_example(batch)
  values = jax.eval_shape(of_state, state)
  assert values and all(value.shape == (4,) for value in values.values() if value.ndim < 2)


@pytest.mark.parametrize('name', [pytest.param(n, marks=[pytest.mark.slow] * (n not in KINDS)) for n in NAMES])
def test_experiments_run_to_their_report(name, smoke, trained):
  workdir = trained if name == 'vae' else smoke(name)
  written = {path.name for path in workdir.iterdir()}
  assert {'config.json', 'checkpoints', 'metrics.jsonl', 'evaluation.json', 'figures', 'report.html'} <= written
  records = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
  assert records[-1]['step'] == 20
  evaluation = json.loads((workdir / 'evaluation.json').read_text())
  numbers = {name: value for name, value in evaluation.items() if isinstance(value, float)}
  validated = {name.removeprefix('validation/') for name in records[-1]} - {'step'}
  assert evaluation['split'] == 'test' and validated <= numbers.keys()
  assert KINDS.get(name, set()) <= validated
  assert all(np.isfinite(value) for value in numbers.values())
  for figure in (workdir / 'figures').glob('*.png'):
    with Image.open(figure) as image:
      assert np.ptp(np.asarray(image.convert('L'))) > 50, f'{figure.name} is blank'
