"""Device count changes nothing."""

import functools
import socket

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from forks import Process
from small import small_config, write_images
from two_players import points, two_players

from gen_jax import build
from gen_jax.errors import UserError
from gen_jax.training import dispatch, loop, parallel
from gen_jax.training.state import create_state
from gen_jax.training.step import train_step
from gen_jax.training.stopwatch import Stopwatch

STEPS = 20


def start_pair(workdir, data, how):
  """Two processes of one run, of two devices each."""
  with socket.socket() as free:
    free.bind(('localhost', 0))
    address = f'localhost:{free.getsockname()[1]}'
  logs = [workdir.with_suffix(f'.{i}.log') for i in range(2)]
  return [Process(log, 'training.worker', str(workdir), data, 2, f'{address},2,{i}', how) for i, log in enumerate(logs)]


def state_of(workdir, processes):
  for process in processes:
    assert process.wait() == 0, process.log.read_text()[-3000:]
  with np.load(workdir / 'state.npz') as saved:
    return {name: saved[name] for name in saved.files}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return str(write_images(tmp_path_factory.mktemp('data') / 'images'))


@pytest.fixture
def use_devices(monkeypatch):
  """Makes this process one of the first so many devices of its four."""

  def use(number):
    chosen = jax.devices()[:number]
    monkeypatch.setattr(jax, 'local_devices', lambda *_, **__: chosen)
    for name in ('device_count', 'local_device_count'):
      monkeypatch.setattr(jax, name, lambda: number)

  return use


@pytest.fixture
def on_devices(use_devices, tmp_path_factory, folder):
  """(kind of data, number of devices) -> the leaves of the state after 20 steps on so many, by their paths."""

  def run(kind, number):
    use_devices(number)
    config, workdir = small_config(folder if kind == 'streamed' else kind, steps=STEPS), tmp_path_factory.mktemp('run')
    state, _ = loop.run(functools.partial(build.task, config), workdir)
    leaves, _ = jax.tree.flatten_with_path(state)
    lines = (workdir / 'metrics.jsonl').read_text().count('\n')
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}, lines

  return run


def largest_difference(a, b):
  return max(float(np.abs(np.subtract(x, y, dtype=np.float64)).max()) for x, y in zip(a, b, strict=True))


def check_equal(a, b):
  """Parameters and their average within 1e-6; all else, in which squared gradients pass 60, to 1e-6 of its largest."""
  assert a.keys() == b.keys()
  for name, x in a.items():
    parameter = name.startswith(('.params', '.ema'))
    tolerance = 1e-6 if parameter else 1e-6 * max(1.0, float(np.abs(b[name]).max()))
    np.testing.assert_allclose(x, b[name], rtol=0, atol=tolerance, err_msg=name)


def test_devices_of_one_process(on_devices):
  alone, _ = on_devices('rendered', 1)
  for devices in (2, 4):
    check_equal(on_devices('rendered', devices)[0], alone)


@pytest.mark.parametrize('kind', ['resident', 'streamed'])
def test_two_processes_are_one_with_as_many_devices(kind, tmp_path, folder, on_devices):
  data = folder if kind == 'streamed' else kind
  pair = start_pair(tmp_path, data, 'report' if kind == 'resident' else 'shard_map')
  (one, lines), (alone, _) = on_devices(kind, 4), on_devices(kind, 1)
  together = state_of(tmp_path, pair)
  assert largest_difference(together.values(), one.values()) <= 1e-6
  check_equal(together, alone)
  assert (tmp_path / 'metrics.jsonl').read_text().count('\n') == lines > 0
  written = {path.name for path in tmp_path.iterdir()}
  assert kind == 'streamed' or {'evaluation.json', 'report.html'} <= written


def test_the_game_of_two_players_on_one_two_and_four_devices():
  model = two_players()
  optimizers = {name: optax.adam(1e-2) for name in model.players}
  first = jax.tree.map(lambda x: x[0], points(1, 1, 2))
  state = parallel.to_host(create_state(model, optimizers, jax.random.key(0), first))

  def step(state, batch, seed):
    options = {'preprocess': lambda batch, key: batch, 'rng': jax.random.key(seed), 'averages': {}}
    return train_step(state, batch, model=model, optimizers=optimizers, **options)

  images = np.stack([points(i, 4, 16)['image'] for i in range(20)])

  def batch_of(images, state, seed, i, rows):
    return {'image': images[state.step][:, rows], 'index': jnp.broadcast_to(rows, (4, *rows.shape))}

  run_steps, ends = dispatch.repeat_step(step, batch_of, 8), []
  for devices in (1, 2, 4):
    chosen = jax.local_devices()[:devices]
    run = jax.pmap(run_steps, 'batch', in_axes=(None, None, None, None, 0), out_axes=(None, None), devices=chosen)
    rows, current = np.arange(16, dtype=np.int32).reshape(devices, -1), state
    for count in (8, 8, 4):
      current, history = run(current, images, np.uint32(7), count, rows)
    current, history = parallel.to_host((current, history))
    ends.append(jax.tree.leaves((current, jax.tree.map(lambda x: x[:4], history))))
  assert ends[0][0] == 20
  assert largest_difference(ends[0], ends[1]) <= 1e-5
  assert largest_difference(ends[0], ends[2]) <= 1e-5


def test_rows_of_the_global_batch():
  np.testing.assert_array_equal(parallel.local_rows(12), np.arange(12).reshape(4, 3))
  with pytest.raises(UserError, match='batch_size=13 does not divide over 4 devices: choose a multiple of 4'):
    parallel.local_rows(13)


def test_host_copies_do_not_change_with_a_donated_buffer():
  x = parallel.replicate({'x': np.arange(4.0, dtype=np.float32)})
  host = parallel.to_host(x)
  step = jax.pmap(lambda x, _: x + 1, 'batch', in_axes=(None, 0), out_axes=None, donate_argnums=0)
  for _ in range(3):
    x = jax.tree.map(lambda x: step(x, np.arange(4)), x)
  np.testing.assert_array_equal(host['x'], np.arange(4.0))
  np.testing.assert_array_equal(x['x'], np.arange(4.0) + 3)


@pytest.mark.parametrize(('devices', 'kind'), [(1, 'resident'), (2, 'resident'), (4, 'resident'), (4, 'streamed')])
def test_pmap_and_shard_map_are_bit_equal(devices, kind, folder, use_devices):
  """A VAE, its batches streamed or not, its noise keyed by global rows."""
  use_devices(devices)
  ends, begin = [], None
  for how in parallel.BY_NAME:
    task = build.task(small_config(folder if kind == 'streamed' else kind, data_parallel=how, steps=STEPS))
    run_steps, inputs = loop.open_stage(task, 0, Stopwatch())
    begin = begin or loop.initial_state(task)
    state, history = begin, None
    window = next(inputs)
    for count in (3, 2):
      state, history = run_steps(state, window, count)
    inputs.close()
    assert len(jax.tree.leaves(state)[0].devices()) == devices
    ends.append(parallel.to_host((state, history)))
  chex.assert_trees_all_equal(*ends)
  assert ends[0][0].step == 5
