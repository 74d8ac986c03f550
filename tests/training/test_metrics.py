import json

import numpy as np
import pytest

from gen_jax.errors import UserError
from gen_jax.training.metrics import Recorder, check_finite, read_metrics


def test_a_line_has_the_means_of_its_window(tmp_path, capsys):
  recorder = Recorder(tmp_path, 0, 20, log_every=10, writes=True)
  recorder.window(0, 5, {'elbo': np.array([1.0, 2, 3, 4, 5, 0, 0])})
  recorder.window(5, 10, {'elbo': np.array([-1.0, -2, -3, -4, -5, 0, 0])})
  recorder.validation(10, {'validation/elbo': -7.0})
  recorder.close()
  assert read_metrics(tmp_path / 'metrics.jsonl') == [
    {'step': 10, 'elbo': -3.0}, {'step': 10, 'validation/elbo': -7.0},
  ]  # fmt: skip
  assert 'step 5/20' in capsys.readouterr().out
  assert any((tmp_path / 'tensorboard').iterdir())


def test_lines_after_the_restored_step_and_half_lines_are_cut_off(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_text(''.join(json.dumps({'step': step, 'a': step / 3}) + '\n' for step in (10, 20, 30)) + '{"step": 4')
  Recorder(tmp_path, 20, 40, log_every=10, writes=True).close()
  assert path.read_text() == ''.join(json.dumps({'step': step, 'a': step / 3}) + '\n' for step in (10, 20))


def test_only_the_main_process_writes(tmp_path):
  recorder = Recorder(tmp_path, 0, 20, log_every=5, writes=False)
  recorder.window(0, 5, {'elbo': np.zeros(5)})
  recorder.validation(5, {'validation/elbo': 0.0})
  with pytest.raises(UserError):
    recorder.window(5, 10, {'elbo': np.full(5, np.nan)})
  recorder.close()
  assert not list(tmp_path.iterdir())


def test_the_first_step_that_is_not_finite_is_named():
  history = {'elbo': np.array([0, 0, 0, np.nan]), 'model/grad_norm': np.array([0, 0, np.inf, np.nan])}
  for saved, kept in (
    (60, 'checkpoint 60, from before it, is kept: try a lower learning_rate or a clip_norm in another workdir'),
    (None, 'nothing has been saved yet: try a lower learning_rate or a clip_norm'),
  ):
    with pytest.raises(UserError) as error:
      check_finite(history, 100, saved)
    assert str(error.value) == f'step 103: model/grad_norm is inf; {kept}'
  check_finite({'elbo': np.zeros(4)}, 100)
