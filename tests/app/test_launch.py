"""launch.py as a program: from anywhere, interrupted, without what it needs; its exit codes."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest
from command_line import error_of

import gen_jax
import launch
from gen_jax.app import arguments, modes
from gen_jax.errors import Interrupted
from gen_jax.training import loop

ROOT = pathlib.Path(__file__).parents[2]
EVERY = modes.all_modes()
TINY = """
import os
import signal

from small import small_config

{before}
periods = dict(log_every=2, eval_every=6, save_every=6, steps_per_dispatch=2)
get_config = lambda: small_config(steps=6, evals=(), best='', **periods)
"""


def write_experiment(folder, before=''):
  file = folder / 'tiny.py'
  file.write_text(TINY.format(before=before))
  return file


def run(capsys, *words):
  """(exit code, the lines on the error stream) of a command."""
  capsys.readouterr()
  code = launch.main(['launch.py', *map(str, words)])
  return code, capsys.readouterr().err.splitlines()


def config_of(*words):
  return arguments.parse(['launch.py', *words], EVERY['train'], EVERY)[1]


@pytest.mark.parametrize('spec', ['experiments/vae.py:smoke', 'vae.py:smoke'])
def test_experiments_of_the_repository_are_found_from_any_folder(spec, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  assert config_of(f'--config={spec}').experiment == 'vae:smoke'
  assert capsys.readouterr().err == f'--config: {ROOT}/experiments/vae.py\n'
  (tmp_path / 'experiments').mkdir()
  (tmp_path / 'experiments' / 'vae.py').write_text(TINY.format(before=''))
  assert config_of(f'--config={spec.partition(":")[0]}').steps == 6  # one's own comes first


@pytest.mark.parametrize(
  ('spec', 'expected'),
  [
    ('experimnts/vae.py', 'there is no folder experimnts; did you mean experiments?'),
    ('experiments', 'experiments is a folder: name a file in it; did you mean experiments/'),
    ('experiments/beta_vea.py', 'there is no file experiments/beta_vea.py; did you mean experiments/beta_vae.py?'),
    ('beta_vae', 'there is no file beta_vae; did you mean experiments/beta_vae.py?'),
    ('beta_vae:smoke', 'there is no file beta_vae:smoke; did you mean experiments/beta_vae.py?'),
    ('experiments/vae.py:smok', "experiments/vae.py has no variant 'smok'; did you mean smoke?"),
    ('runs/x/config.json:smoke', 'there is no folder runs/x'),
  ],
)
def test_a_mistyped_file_folder_or_variant_is_called_so(spec, expected, capsys):
  assert expected in error_of(capsys, f'--config={spec}')


def test_the_home_is_found_in_every_path(tmp_path, monkeypatch, capsys):
  monkeypatch.setenv('HOME', str(tmp_path))
  write_experiment(tmp_path)
  assert config_of('--config=~/tiny.py').steps == 6
  assert f'there is no folder {tmp_path}/none' in error_of(capsys, '--mode=sample', '--workdir=~/none')
  with pytest.raises(gen_jax.errors.UserError, match=f'there is no folder {tmp_path}/none'):
    gen_jax.load('~/none')
  (tmp_path / 'mine').mkdir()
  (tmp_path / 'mine' / 'notes.txt').write_text('')
  assert f'{tmp_path}/mine holds notes.txt' in error_of(capsys, '--config=~/tiny.py', '--workdir=~/mine')


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_before_the_first_step_is_one_line(number, code, tmp_path, capsys):
  file = write_experiment(tmp_path, f'os.kill(os.getpid(), {int(number)})')
  handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
  line = 'interrupted: what has been saved is kept, and the same command goes on'
  assert run(capsys, f'--config={file}', f'--workdir={tmp_path}/run') == (code, [line])
  assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
  assert not (tmp_path / 'run').exists()


@pytest.fixture
def stopped(monkeypatch):
  """SIGTERM arrives while the second window of a run is on its way."""
  original = loop.next_stop

  def next_stop(step, config, until):
    if step == 2 and sys._getframe(1).f_code.co_name == 'run':
      os.kill(os.getpid(), signal.SIGTERM)
    return original(step, config, until)

  monkeypatch.setattr(loop, 'next_stop', next_stop)


def test_a_signal_in_training_saves_and_is_the_exit_code(stopped, tmp_path, capfd):
  code = launch.main(['launch.py', f'--config={write_experiment(tmp_path)}', f'--workdir={tmp_path}/run'])
  lines = capfd.readouterr().err.splitlines()
  assert code == 143 and lines[-1] == 'stopped and saved at step 4: the same command resumes'
  assert lines[-2] == 'stopping as soon as this is saved; a second signal stops at once'


def test_a_script_is_interrupted_too(stopped, tmp_path):
  with pytest.raises(Interrupted, match='saved at step 4') as error:
    gen_jax.train(config_of(f'--config={write_experiment(tmp_path)}'), tmp_path / 'run')
  assert error.value.number == signal.SIGTERM and isinstance(error.value, KeyboardInterrupt)


@pytest.mark.parametrize(
  ('raised', 'line'),
  [
    ('MemoryError()', 'error: out of memory: lower --config.batch_size=; more under "Out of memory?" in README.md'),
    ('RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes")', 'error: out of memory: lower --config.b'),
    ('OSError(28, "No space left on device", "/x")', 'error: /x: No space left on device: free some space, and the '),
    ('PermissionError(13, "Permission denied", "/x")', 'error: /x: Permission denied: name a folder that may be w'),
  ],
)
def test_what_the_system_refuses_is_one_line(raised, line, capsys, monkeypatch):
  def fail(*_):
    raise eval(raised)

  monkeypatch.setattr(modes, 'run_mode', fail)
  code, lines = run(capsys, '--config=experiments/vae.py')
  assert code == 2 and len(lines) == 1 and lines[0].startswith(line)


def test_a_fault_of_the_program_shows_where_it_is(monkeypatch):
  monkeypatch.setattr(modes, 'run_mode', lambda *_: 1 // 0)
  with pytest.raises(ZeroDivisionError):
    launch.main(['launch.py', '--config=experiments/vae.py'])


def test_devices_that_are_not_there(capsys, monkeypatch, tmp_path):
  def fail():
    raise AssertionError

  monkeypatch.setattr(modes.jax, 'devices', fail)
  monkeypatch.setenv('JAX_PLATFORMS', 'cuda')
  line = error_of(capsys, f'--config={write_experiment(tmp_path)}', f'--workdir={tmp_path}/run')
  assert 'no device for JAX_PLATFORMS=cuda (AssertionError): unset it to use what there is' in line
  assert not (tmp_path / 'run').exists()


def python(code, **variables):
  environment = os.environ | {'PYTHONPATH': f'{ROOT}:{ROOT}/tests'} | variables
  command = [sys.executable, '-c', code]
  return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)


def test_where_files_cannot_be_locked_help_and_training_work(tmp_path):
  """As on Windows, which lacks these modules."""
  words = ['launch.py', f'--config={write_experiment(tmp_path)}', f'--workdir={tmp_path}/run']
  code = f"""
import sys
for name in ('fcntl', 'resource'):
  sys.modules[name] = None
import launch
from gen_jax.training import loop
loop.run = lambda *_: (_ for _ in ()).throw(launch.UserError('as far as this'))
print(launch.main(['launch.py', '--help']), launch.main({words!r}))
"""
  ended = python(code)
  assert ended.returncode == 0 and ended.stdout.splitlines()[-1] == '0 2', ended.stderr
  first, *_, last = ended.stderr.splitlines()
  assert first.startswith(f'{tmp_path}/run cannot be locked (') and last == 'error: as far as this'


def test_the_exit_code_is_that_of_the_process(tmp_path):
  file = write_experiment(tmp_path, f'os.kill(os.getpid(), {int(signal.SIGINT)})')
  command = [sys.executable, ROOT / 'launch.py', f'--config={file}']
  environment = os.environ | {'PYTHONPATH': f'{ROOT}/tests'}
  ended = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
  assert (ended.returncode, ended.stderr.count('\n')) == (130, 1) and ended.stderr.startswith('interrupted: ')


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path):
  read, write = os.pipe()
  os.close(read)
  with open(write, 'w') as pipe:
    ended = subprocess.run(
      [sys.executable, ROOT / 'launch.py', '--help'], stdout=pipe, stderr=subprocess.PIPE, cwd=tmp_path, check=False
    )
  assert (ended.returncode, ended.stderr) == (141, b'')


def test_what_is_not_installed_is_said(monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, 'gen_jax.app', None)
  monkeypatch.delitem(sys.modules, 'gen_jax.app.modes')
  code, lines = run(capsys, '--help')
  assert code == 2 and len(lines) == 1 and 'pip install -r requirements.txt' in lines[0]
