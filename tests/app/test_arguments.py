"""From the command line to a config: overrides, former names, the flags of each mode, help."""

import pathlib
import subprocess
import sys

import pytest
from command_line import error_of

from gen_jax.app import arguments, check, modes
from gen_jax.errors import UserError

ROOT = pathlib.Path(__file__).parents[2]
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


def test_a_schedule_may_take_the_place_of_a_number():
  fields = ('init_value=0', 'end_value=4.5', 'transition_steps=1000')
  words = [f'--config.model.beta.{field}' for field in (*fields, 'name=linear_schedule')]  # in any order
  schedule = {'name': 'linear_schedule', 'init_value': 0.0, 'end_value': 4.5, 'transition_steps': 1000}
  for spec in (VAE, '--config=experiments/vae.py:mnist,smoke'):
    beta = parse(spec, *words).model.beta
    assert beta.to_dict() == schedule and isinstance(beta.transition_steps, int)
  assert parse(VAE, '--config.model.beta=2').model.beta == 2.0
  other = ('--config.model.beta.name=exponential_decay', '--config.model.beta.end_value=2')
  decay = parse('--config=experiments/beta_vae.py', *other).model.beta  # which has one already
  assert (decay.name, decay.end_value) == ('exponential_decay', 2.0)
  inner = ('--config.model.penalty.weight.value=3', '--config.model.penalty.weight.name=constant_schedule')
  penalty = parse(VAE, '--config.model.penalty.name=DensityRatio', *inner).model.penalty
  assert penalty.weight.to_dict() == {'name': 'constant_schedule', 'value': 3.0}
  ours = {'name': 'interpolated_schedule', 'steps': (0, 5), 'levels': (9.0, 1.0), 'logarithmic': True}
  beta = parse(VAE, *(f'--config.model.beta.{field}={value}' for field, value in ours.items())).model.beta
  assert beta.to_dict() == ours
  slow = [f'--config.averages.slow.{field}' for field in ('name=constant_schedule', 'value=.9')]
  assert parse(VAE, *slow).averages.slow.to_dict() == {'name': 'constant_schedule', 'value': 0.9}


def test_a_rule_of_resampling_may_be_named_and_its_fields_set():
  rule = parse('--config=experiments/db_vae.py', '--config.resampling.form=product').resampling
  assert rule.to_dict() == {'name': 'LatentRarity', 'form': 'product'}
  other = ('--config.resampling.attribute=turn', '--config.resampling.name=GroupBalance')
  rule = parse('--config=experiments/db_vae.py', *other).resampling
  assert rule.to_dict() == {'name': 'GroupBalance', 'attribute': 'turn'}
  assert parse(VAE, '--config.resampling.name=Uniform').resampling.to_dict() == {'name': 'Uniform'}


def test_former_names_of_classes_fields_evaluators_and_metrics_are_read():
  model = parse('--config=experiments/gan.py', '--config.model.components=3').model
  assert model.latent_modes == 3 and 'components' not in model
  penalty = parse('--config=experiments/beta_vae.py', '--config.model.penalty.name=Moments').model.penalty
  assert penalty.name == 'DIPPenalty'
  config = parse(VAE, "--config.evals=('terms','memorisation')", '--config.best=named_right')
  assert (config.evals, config.best) == (('means', 'memorization'), 'class_accuracy')
  assert parse(VAE, '--config.evals=terms').evals == ('means',)


def test_words_after_commas_are_a_tuple():
  for given in ('means,probe', 'terms,probe', ' means , probe ', "('means','probe')", "means,probe,"):
    assert parse(VAE, f'--config.evals={given}').evals == ('means', 'probe')
  assert parse(VAE, '--config.final_evals=likelihood,elbo_decomposition').final_evals == (
    'likelihood', 'elbo_decomposition',
  )  # fmt: skip
  assert parse(VAE, '--config.evals=').evals == ()
  gan = parse('--config=experiments/gan.py', '--config.model.augment=color,translation')
  assert gan.model.augment == ('color', 'translation')
  assert parse(VAE, '--config.model.encoder.hidden=64,32').model.encoder.hidden == (64, 32)
  assert parse(VAE, '--config.data.value_range=-1.0,1.0').data.value_range == (-1.0, 1.0)
  assert parse(VAE, '--config.data.attributes=race,').data.attributes == ('race',)


def test_keys_of_an_experiments_own_data_are_not_those_of_others(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'photos').mkdir()
  vae = f'--config={ROOT}/experiments/vae.py:mnist'
  assert parse(vae).data.train_split == 'train[:55000]'
  data = parse(vae, '--config.data.name=photos').data
  assert (data.name, data.train_split, data.test_split) == (str(tmp_path / 'photos'), '', '')
  assert parse(vae, '--config.data.name=fashion_mnist').data.train_split == 'train[:55000]'
  assert parse(vae, '--config.data.name=digits').data.validation_split == ''


@pytest.mark.parametrize(
  ('words', 'message'),
  [
    ('--config.data.train_split=train[:50%]', "config.data.train_split='train[:50%]': has no effect on digits"),
    ('--config.data.label=digit', "config.data.label='digit': has no effect on digits"),
    ('--config.data.dir=somewhere', 'has no effect on digits'),
    ('--config.data.background=black', "config.data.background='black': has no effect on digits"),
    ('--config.data.name=ring --config.data.invert=True', 'config.data.invert=True: has no effect on ring'),
    ('--config.data.name=/x --config.data.test_split=test[:9]', 'of such keys, it takes background and class_order'),
    ('--config.data.name=x.csv --config.data.invert=True', 'of such keys, it takes standardize'),
    ('--config.data.name=x.png --config.data.standardize=False', 'of such keys, it takes invert'),
  ],
)
def test_a_key_without_effect_on_the_data_is_refused(words, message):
  with pytest.raises(UserError) as error:
    check.check_keys(parse(VAE, *words.split()))
  assert message in str(error.value) and '\n' not in str(error.value)


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

