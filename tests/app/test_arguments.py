"""From the command line to a config: overrides, former names, the flags of each mode, help."""

import subprocess
import sys

import pytest
from command_line import error_of

from gen_jax.app import arguments, modes

EVERY = modes.all_modes()
VAE = '--config=experiments/vae.py'


def parse(*words):
  """The config of a command line."""
  return arguments.parse(['launch.py', *words], arguments.find_mode(['launch.py', *words], EVERY), EVERY)[1]


def test_fields_that_an_experiment_leaves_at_their_defaults_can_be_set():
  config = parse(VAE, '--config.model.capacity=5', '--config.model.encoder.activation=tanh')
  assert config.model.capacity == 5.0 and config.model.encoder.activation == 'tanh'
  assert parse('--config=experiments/beta_vae.py', '--config.model.beta=16').model.beta == 16.0
  other = ('--config.model.prior.components=7', '--config.model.prior.name=VampPrior')  # of the class named after it
  prior = parse('--config=experiments/iwae.py', *other).model.prior
  assert (prior.name, prior.components) == ('VampPrior', 7)
  head = parse('--config=experiments/gan.py', '--config.model.head.spectral=True').model.head
  assert head.to_dict() == {'name': 'LinearHead', 'spectral': True}
  penalty = parse('--config=experiments/beta_vae.py', '--config.model.penalty.name=Moments').model.penalty
  assert penalty.to_dict() == {'name': 'DIPPenalty'}
  other = ('--config.model.penalty.name=Moments', '--config.model.penalty.diagonal=3')
  penalty = parse('--config=experiments/factor_vae.py', *other).model.penalty
  assert penalty.to_dict() == {'name': 'DIPPenalty', 'diagonal': 3.0}  # no field of the class that it replaces
  own = parse(VAE, '--config.player_optimizers.model.b1=0.5', '--config.player_optimizers.model.eps=1e-4')
  assert own.player_optimizers.to_dict() == {'model': {'b1': 0.5, 'eps': 1e-4}} and own.optimizer.b1 == 0.9


def test_former_names_of_classes_fields_evaluators_and_metrics_are_read():
  model = parse('--config=experiments/gan.py', '--config.model.components=3').model
  assert model.latent_modes == 3 and 'components' not in model
  penalty = parse('--config=experiments/beta_vae.py', '--config.model.penalty.name=Moments').model.penalty
  assert penalty.name == 'DIPPenalty'
  config = parse(VAE, "--config.evals=('terms','memorisation')", '--config.best=named_right')
  assert (config.evals, config.best) == (('means', 'memorization'), 'class_accuracy')
  assert parse(VAE, '--config.evals=terms').evals == ('means',)


def test_a_mode_takes_its_own_flags_and_refuses_others(capsys):
  values, _ = arguments.parse(['launch.py', VAE, '--seed=3', '--number=5'], EVERY['sample'], EVERY)
  assert (values.seed, values.number, values.checkpoint) == (3, 5, 'best')
  former = ['launch.py', VAE, '--sampler=mixture', '--components', '7']
  values, _ = arguments.parse(former, EVERY['sample'], EVERY)
  assert (values.codes, values.gmm_components) == ('mixture', 7)
  for words, expected in (
    (['--seed=1'], '--seed=1: --mode=train takes no such flag; sample does'),
    (['--checkpoint=10'], '--checkpoint=10: --mode=train takes no such flag; modes on a finished run do'),
    (['--number', '5', '--mode=benchmark'], '--number: --mode=benchmark takes no such flag'),
    (['--others=a', '--mode=report'], 'compare does'),
    (['--sampler=mixture', '--mode=traverse'], '--sampler=mixture: --mode=traverse takes no such flag; sample does'),
  ):
    assert expected in error_of(capsys, VAE, *words)


def test_former_names_of_modes_are_answered():
  assert arguments.find_mode(['launch.py', '--mode=neighbours'], EVERY) is EVERY['neighbors']
  assert arguments.find_mode(['launch.py', '--mode', 'sample'], EVERY) is EVERY['sample']
  assert arguments.find_mode(['launch.py'], EVERY) is EVERY['train']


def test_help_lists_every_mode_and_flag_and_starts_no_device():
  code = (
    'import launch, jax; code = launch.main(["launch.py", "--help"]);'
    'heavy = {"matplotlib", "sklearn", "tensorflow_datasets"} & set(__import__("sys").modules);'
    'print(code, jax._src.xla_bridge.backends_are_initialized(), heavy)'
  )
  out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout
  for name, function in EVERY.items():
    assert f'  {name} ' in out and function.help in out
    assert all(f'--{flag}' in out for flag in function.flags)
  assert '--[no]compilation_cache' in out and '--checkpoint' in out and 'beta_vae' in out
  assert out.strip().endswith('0 False set()'), out[-300:]


@pytest.mark.parametrize('words', [['-h'], ['--help'], []])
def test_what_asks_for_help(words):
  assert arguments.is_help(['launch.py', *words])


def test_keys_are_set_with_a_space_too():
  config = parse(VAE, '--config.model.beta', '4', '--config.model.encoder.name', 'MLPEncoder', '--config.steps', '7')
  assert (config.model.beta, config.steps, config.model.encoder.hidden) == (4.0, 7, (500,))
  assert parse(VAE, '--config.averages.slow=0.99', '--config.evaluated_average=slow').averages.slow == 0.99


def test_a_field_of_another_model_names_that_model(capsys):
  message = error_of(capsys, VAE, '--config.model.samples=5')
  assert 'there is no such key; it is of IWAE: --config.model.name=IWAE' in message
  assert parse(VAE, '--config.model.name=IWAE', '--config.model.samples=7').model.samples == 7

