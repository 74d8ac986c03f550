"""A GAN in the stages of its growth: what a stage more leaves as it was, and a training through all of them."""

import functools

import chex
import jax
import numpy as np
import optax
import pytest
from small import random_variables, small_config

from gen_jax import build, stages
from gen_jax.runs.workdir import claim_workdir
from gen_jax.schedules import step_variables
from gen_jax.training import loop
from gen_jax.training.carry_over import births_of_stages, lay_over
from gen_jax.training.step import train_step, updates_per_step

MODEL = {
  'name': 'GAN',
  'generator': {'name': 'ProgressiveGenerator', 'features': (6, 4)},
  'discriminator': {'name': 'ProgressiveDiscriminator', 'features': (6, 4), 'group': 2},
  'head': {'name': 'LinearHead', 'spectral': False, 'equalized': True},
  'critic_steps': 1,
  'latent_dim': 3,
  'loss': 'wasserstein',
  'penalty': 'wgan_gp',
  'penalty_weight': 10.0,
  'drift': 1e-3,
}
BOUNDARY, FADE, STEPS = 40, 8, 52


def config_of(**changes):
  """A run of 52 steps that grows at step 40 from 4x4 to 8x8, and fades that in until step 48."""
  growing = {'resolutions': (4, 8), 'fade_images': (8 * FADE,), 'stable_images': (16 * BOUNDARY,), 'batch_sizes': (16,)}
  few = {'steps': STEPS, 'save_every': 7, 'eval_every': STEPS, 'validation_examples': 16, 'test_examples': 16}
  return small_config('gan', **{'model': MODEL, 'stages': growing, 'ema_decay': 0.999} | few | changes)


def task_at(step, **changes):
  return build.task(config_of(**changes), step)


@functools.cache
def grown():
  """(the small model, its variables, the grown one, its variables, a batch) at the boundary."""
  small, large = task_at(0), task_at(BOUNDARY)
  batch = {name: x[:8] for name, x in build.example_batch(large.data, build.preprocessor(
    large.config, large.data, train=False), rows=8).items()}
  of_small, of_large = (
    random_variables(lambda key, model=task.model: model.init(key, batch)) for task in (small, large)
  )
  laid = {'params': lay_over(of_large['params'], of_small['params'])}
  return small.model, of_small, large.model, laid, batch


def value(model, variables, step, method, *arguments):
  apply = functools.partial(model.apply, method=method, rngs=jax.random.key(3))
  return jax.jit(apply)({**variables, **step_variables(step)}, *arguments)


def test_a_stage_has_images_of_its_size_and_samples_of_the_datas():
  small, _, large, laid, batch = grown()
  assert (small.shape, large.shape, large.image_shape) == ((4, 4, 1), (8, 8, 1), (8, 8, 1))
  assert small.stage == (0, BOUNDARY, 4, 0) and large.stage == (BOUNDARY, STEPS, 8, FADE)
  for model, variables in ((small, grown()[1]), (large, laid)):
    chex.assert_shape(value(model, variables, BOUNDARY + 2, 'sample', batch), (8, 8, 8, 1))
    chex.assert_shape([value(model, variables, BOUNDARY + 2, name, batch) for name in ('logits', 'fake_logits')], (8,))


@pytest.mark.parametrize('method', ['sample', 'logits', 'fake_logits'])
def test_at_the_boundary_nothing_changes(method):
  small, of_small, large, laid, batch = grown()
  before, at, later = (
    np.asarray(value(model, variables, step, method, batch))
    for model, variables, step in ((small, of_small, BOUNDARY), (large, laid, BOUNDARY), (large, laid, BOUNDARY + 4))
  )
  np.testing.assert_allclose(at, before, atol=1e-5)
  assert np.abs(later - before).max() > 1e-3


def test_at_the_boundary_the_losses_are_those_of_the_stage_before():
  """But for the penalty, whose gradients are those of larger images."""
  small, of_small, large, laid, batch = grown()
  for loss in ('discriminator_loss', 'generator_loss'):
    results = [
      value(model.clone(penalty='none', penalty_weight=0.0), variables, BOUNDARY, loss, batch, BOUNDARY)
      for model, variables in ((small, of_small), (large, laid))
    ]
    np.testing.assert_allclose(results[1][0], results[0][0], atol=1e-5)
  assert results[0][1]['resolution'] == 4 and results[1][1]['resolution'] == 8
  assert results[0][1]['fade'] == 1 and results[1][1]['fade'] == 0
  np.testing.assert_allclose(results[1][1]['diversity'], results[0][1]['diversity'], rtol=1e-4)


def train(workdir, config):
  claim_workdir(workdir, config)
  return loop.run(functools.partial(build.task, config), workdir)


def test_a_run_is_resumed_inside_a_fade_bit_by_bit(tmp_path, monkeypatch):
  config = config_of()
  state, _ = train(tmp_path / 'straight', config)
  assert state.step == STEPS and 'block_8' in state.params['generator']
  assert {int(path.stem) for path in (tmp_path / 'straight' / 'evaluations').iterdir()} == {BOUNDARY, STEPS}
  # the average of a new layer is of its own 12 steps; by the decays of steps 40 to 51 a fourth of the way were left
  of_new = lambda tree: np.concatenate([x.reshape(-1) for x in jax.tree.leaves(tree['generator']['block_8'])])
  first = of_new(loop.initial_state(build.task(config, BOUNDARY)).params)
  now, average = of_new(state.params), of_new(state.ema['ema']['params'])
  assert np.linalg.norm(average - now) < 0.1 * np.linalg.norm(first - now)
  original = loop.next_stop

  def interrupted(step, config, until):
    if step == 45:
      raise KeyboardInterrupt
    return original(step, config, until)

  monkeypatch.setattr(loop, 'next_stop', interrupted)
  with pytest.raises(KeyboardInterrupt):
    train(tmp_path / 'stopped', config)
  monkeypatch.setattr(loop, 'next_stop', original)
  assert build.task(config, 42).model.stage.start < 42 < BOUNDARY + FADE  # where it goes on
  resumed, _ = train(tmp_path / 'stopped', config)
  chex.assert_trees_all_equal(resumed, state)


def stepping(task, devices=1, **options):
  """state -> the state after a step, always of one batch, split over virtual devices."""
  optimizers = options.pop('optimizers', task.optimizers)
  step = functools.partial(
    train_step, model=task.model, optimizers=optimizers, preprocess=task.preprocess, rng=jax.random.key(0),
    averages=task.averages, **options,
  )  # fmt: skip
  index = np.arange(updates_per_step(task.model) * 8, dtype=np.int32).reshape(-1, 8)
  raw = task.data.finish({**task.data.fetch(index.reshape(-1)), 'index': index.reshape(-1)})
  batch = {name: np.asarray(x).reshape(*index.shape, *x.shape[1:]) for name, x in raw.items()}
  batch['row'] = np.broadcast_to(np.arange(8, dtype=np.int32), index.shape)
  split = jax.tree.map(lambda x: np.moveaxis(x.reshape(len(x), devices, -1, *x.shape[2:]), 1, 0), batch)
  compiled = jax.jit(jax.vmap(step, (None, 0), axis_name='batch'))
  return lambda state: jax.tree.map(lambda x: np.asarray(x)[0], compiled(state, split)[0])


@pytest.mark.parametrize('group', [0, 2])
def test_devices_change_nothing(group):
  model = MODEL | {'discriminator': MODEL['discriminator'] | {'group': group}}
  task = task_at(BOUNDARY, model=model)
  sgd = dict.fromkeys(task.optimizers, optax.sgd(1.0))  # of which the parameters tell the gradients
  state = loop.initial_state(task)
  state = state._replace(
    step=np.int32(BOUNDARY + 3), opt_state={name: optimizer.init(()) for name, optimizer in sgd.items()}
  )
  one, four = (stepping(task, devices, optimizers=sgd)(state).params for devices in (1, 4))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), one, four)
  moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), one, state.params)
  assert max(jax.tree.leaves(moved)) > 1e-2


def test_the_average_of_a_new_layer_is_of_its_own_recent_steps():
  """50 steps after a boundary it lies near their mean, where without its birth it would lie near the initial value."""
  config = config_of(optimizer={'learning_rate': 3e-2, 'schedule': 'constant'})
  small, large = build.task(config, 0), build.task(config, BOUNDARY)
  late = 5_000
  births = births_of_stages([(0, loop.averaged_shapes(small)), (late, loop.averaged_shapes(large))])
  group = births['params']['generator']
  assert set(jax.tree.leaves(group['block_8'])) == {late} and set(jax.tree.leaves(group['block_4'])) == {0}
  state = loop.initial_state(large)
  step = stepping(large, births=births)
  new = lambda tree: np.concatenate([x.reshape(-1) for x in jax.tree.leaves(tree['generator']['block_8'])])
  of_births, path = state._replace(step=np.int32(late)), []
  for _ in range(50):
    of_births = step(of_births)
    path.append(new(of_births.params))
  first, recent = new(state.params), np.mean(path[-10:], axis=0)
  average = new(of_births.ema['ema']['params'])
  assert np.linalg.norm(average - recent) < 0.1 * np.linalg.norm(first - recent)


def test_the_births_of_a_run_are_the_starts_of_its_stages():
  config = config_of()
  task_of = functools.partial(build.task, config)
  assert loop.births_at(task_of, 0) is loop.births_at(task_of, BOUNDARY - 1) is None
  for step in (BOUNDARY, BOUNDARY + 3, STEPS - 1):
    born = loop.births_at(task_of, step)['params']['generator']
    assert set(jax.tree.leaves([born['block_4'], born['to_image_4']])) == {0}
    assert set(jax.tree.leaves([born['block_8'], born['to_image_8']])) == {BOUNDARY}


@pytest.mark.parametrize(
  ('changes', 'line'),
  [
    (
      {'model': MODEL | {'generator': {'name': 'ConvGenerator', 'features': (4,)}}},
      'config.model.generator: ConvGenerator does not grow; choose ProgressiveGenerator with skip=False, or set',
    ),
    (
      {'stages': {'resolutions': (4, 8, 16), 'fade_images': (16,), 'stable_images': (16,)}},
      'config.stages.resolutions=(4, 8, 16): the data have images of 8x8, at which they must end; config.data.size',
    ),
    (
      {'stages': {'resolutions': (4, 8), 'batch_sizes': (12,)}},
      'config.model.discriminator.group=2: does not divide a batch of 12 on each of 4 devices; 0 is all of the batch',
    ),
  ],
)
def test_what_cannot_grow_is_said(changes, line):
  config = config_of(**changes)
  first = stages.stages_of(config)[0]
  own = stages.config_of(config, first)
  data = build.dataset(config, 'train')
  assert any(each.startswith(line) for each in build.problems(own, data, build.model(own, data, first)))


def test_a_model_without_stages_does_not_grow():
  config = small_config(stages={'resolutions': (4, 8)})
  data = build.dataset(config, 'train')
  line = 'config.stages.resolutions=(4, 8): VAE does not grow; set ()'
  assert line in list(build.problems(config, data, build.model(config, data)))
