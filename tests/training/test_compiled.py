"""The training steps are compiled once."""

import contextlib

import chex
import jax
import numpy as np
import pytest
from small import small_config, write_images

from gen_jax import build
from gen_jax.training import loop, parallel
from gen_jax.training.compiled import options_for
from gen_jax.training.stopwatch import Stopwatch


@contextlib.contextmanager
def compilations():
  """Collects the names of what is compiled inside."""
  results = []

  def note(event, duration, **details):
    if event == '/jax/core/compile/backend_compile_duration':
      results.append(details.get('fun_name'))

  jax.monitoring.register_event_duration_secs_listener(note)
  try:
    yield results
  finally:
    jax.monitoring.unregister_event_duration_listener(note)


@pytest.fixture(scope='module', params=['rendered', 'streamed'])
def parts(request, tmp_path_factory):
  """(compiled steps, the same under pmap, state, two windows of inputs, rows) of 5 and 3 steps."""
  streamed = request.param == 'streamed'
  data = str(write_images(tmp_path_factory.mktemp('data') / 'images')) if streamed else 'rendered'
  config = small_config(data, steps=8)
  task = build.task(config)
  run_steps, inputs = loop.open_stage(task, 0, Stopwatch())
  windows = [next(inputs), next(inputs)]
  inputs.close()
  steps, rows = loop.compiled_steps(task), parallel.local_rows(config.batch_size)
  return run_steps, steps, loop.initial_state(task), windows, rows


def test_windows_of_two_lengths_are_one_compilation_and_what_pmap_computes(parts, capsys):
  run_steps, steps, state, windows, rows = parts
  with compilations() as first:
    after, _ = run_steps(state, windows[0], 5)
  assert '_fun' in str(first) and capsys.readouterr().err.count('first step after') == 1
  with compilations() as second:
    after, history = run_steps(after, windows[1], 3)
  assert second == []
  expected, _ = steps(state, windows[0], np.uint32(0), np.int32(5), rows)
  expected, expected_history = steps(expected, windows[1], np.uint32(0), np.int32(3), rows)
  chex.assert_trees_all_equal(parallel.to_host((after, history)), parallel.to_host((expected, expected_history)))
  assert after.step == 8 and capsys.readouterr().err == ''


def test_a_state_of_another_shape_or_dtype_is_refused(parts):
  run_steps, _, state, windows, _ = parts
  run_steps(state, windows[0], 1)
  halves = jax.tree.map(lambda x: x.astype(np.float16) if x.dtype == np.float32 else x, state)
  with compilations() as compiled:
    for other in (
      state._replace(step=np.zeros(2, np.int32)),
      state._replace(step=np.float32(0)),
      halves,
      state._replace(ema={}),
    ):
      with pytest.raises(TypeError):
        run_steps(other, windows[0], 1)
  assert compiled == []


def test_the_state_is_donated(parts):
  run_steps, _, state, windows, _ = parts
  before, _ = run_steps(state, windows[0], 1)
  run_steps(before, windows[0], 1)
  assert all(x.is_deleted() for x in jax.tree.leaves(before.params))


@pytest.mark.parametrize(
  ('platform', 'devices', 'size', 'any_option'),
  [('cpu', 1, 128, True), ('cpu', 1, 512, False), ('cpu', 4, 128, False), ('gpu', 1, 128, False)],
)
def test_small_products_on_one_cpu_have_an_option_that_xla_knows(monkeypatch, platform, devices, size, any_option):
  monkeypatch.setattr(jax, 'default_backend', lambda: platform)
  monkeypatch.setattr(jax, 'device_count', lambda: devices)
  options = options_for({'kernel': np.zeros((size, size))})
  assert bool(options) == any_option
  x = np.ones((4, 4), np.float32)
  assert jax.jit(lambda x: x @ x).lower(x).compile(options)(x)[0, 0] == 4
