import importlib
import re
import types

import pytest
from small import pixelcnn, small_config

from gen_jax.app import check
from gen_jax.errors import UserError
from gen_jax.evaluation import extractors, inception

REFUSED = {  # what a PixelCNN cannot be trained on: (arguments, the answer)
  'no labels': (
    {'conditional': True, 'data': {'name': 'sprites'}},
    'config.model.conditional=True: sprites has no labels; choose a data set with classes',
  ),
  'grey values': ({'likelihood': 'Bernoulli'}, "config.data.binarize='none': Bernoulli is no distribution of gray"),
  'noise': ({'data': {'dequantize': True}}, 'config.data.dequantize=True: Categorical is a distribution of discrete'),
  'an even kernel': ({'network': {'kernel': 4}}, 'config.model.network.kernel=4: must be odd and at least 3'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_what_a_pixelcnn_cannot_model_is_refused_in_one_line(case):
  arguments, expected = REFUSED[case]
  changes = pixelcnn(**{name: value for name, value in arguments.items() if name != 'network'})
  changes['model']['network'] |= arguments.get('network', {})
  with pytest.raises(UserError, match=re.escape(expected)) as error:
    check.check(small_config('digits', **changes))
  assert '\n' not in str(error.value)


def test_players_and_their_optimizers_are_named_rightly():
  for changes, message in (
    ({'discriminatr': {'b1': 0.5}}, 'discriminatr: no player of this model; did you mean discriminator?'),
    ({'discriminator': {'learning_rat': 0.5}}, 'discriminator.learning_rat is no key; did you mean learning_rate?'),
    ({'discriminator': {'b1': 1.5}}, 'discriminator.b1=1.5: must lie in [0, 1)'),
  ):
    with pytest.raises(UserError, match=re.escape(message)):
      check.check(small_config(model={'penalty': {'name': 'FactorVAEPenalty'}}, player_optimizers=changes))


@pytest.mark.parametrize('name', ['annealed_vae', 'beta_tcvae', 'dip_vae', 'factor_vae'])
@pytest.mark.parametrize('variant', ['default', 'paper'])
def test_objectives_on_sprites_can_be_built(name, variant):
  config = importlib.import_module(f'experiments.{name}').get_config(variant)
  check.check(config)
  if name == 'beta_tcvae':
    message = 'batch_size=1000000: TotalCorrelation needs 2 to 589824'
    with config.unlocked(), pytest.raises(UserError, match=message):
      config.batch_size = 1_000_000
      check.check(config)


VAE = {'name': 'VAE', 'encoder': {'name': 'MLPEncoder'}, 'decoder': {'name': 'MLPDecoder'}}
VAE |= {'likelihood': {'name': 'Bernoulli'}, 'latent_dim': 3}
FLOW, VAMP = {'name': 'InverseAutoregressiveFlow'}, {'name': 'VampPrior', 'components': 5}
DIP = {'name': 'DIPPenalty'}
IWAE = {'name': 'IWAE', 'samples': 5}
FIELDS = {  # what leaves another field of a VAE without effect or meaning: (fields, the answer)
  'beta of a bound': (IWAE | {'beta': 2.0}, 'config.model.beta is no field of IWAE'),
  'capacity of a bound': (IWAE | {'capacity': 1.0}, 'config.model.capacity is no field of IWAE'),
  'dreg of one sample': (IWAE | {'dreg': True, 'samples': 1}, 'dreg=True: needs samples above 1'),
  'dreg of a flow': (IWAE | {'dreg': True, 'family': FLOW}, 'dreg=True: needs the density of any z'),
  'vamp of a flow': ({'prior': VAMP, 'family': FLOW}, 'VampPrior is a mixture of posteriors that are DiagonalNormal'),
  'a penalty of a bound': (IWAE | {'penalty': DIP}, 'config.model.penalty is no field of IWAE'),
  'a penalty of a flow': ({'family': FLOW, 'penalty': DIP}, 'needs a posterior of family DiagonalNormal'),
  'classes of a prior': ({'prior': {'name': 'ClassMixturePrior'}}, 'ClassMixturePrior is p(z|y); set conditional=True'),
  'vamp with labels': ({'prior': VAMP, 'conditional': True}, 'VampPrior has no labels'),
  'dreg of a common sigma': (
    IWAE | {'dreg': True, 'likelihood': {'name': 'OptimalGaussian'}},
    'the sigma of OptimalGaussian depends on all',
  ),
  'no samples': (IWAE | {'samples': 0}, 'config.model.samples=0: must be above 0'),
}


@pytest.mark.parametrize('fields', FIELDS)
def test_fields_of_a_vae_that_exclude_each_other(fields):
  changes, message = FIELDS[fields]
  with pytest.raises(UserError, match=re.escape(message)):
    check.check(small_config('digits', model=VAE | changes))


@pytest.mark.parametrize(
  ('names', 'message'),
  [('clustering', 'needs a data set with labels'), ('class_agreement', 'needs a data set with labels')],
)
def test_final_evaluators_are_checked_before_training(names, message):
  with pytest.raises(UserError, match=message):
    check.check(small_config('rendered', final_evals=(names,)))


def test_networks_that_judge_are_of_such_images_and_classes(monkeypatch, tmp_path):
  message = 'class_agreement needs an extractor of the 10 classes of digits, and x-cnn knows 3'
  judges = types.SimpleNamespace(name='x-cnn', image_shape=(8, 8, 1), classes=3)
  monkeypatch.setattr(extractors, 'load', lambda *_, **__: judges)
  conditional = {'model': VAE | {'conditional': True}, 'data': {'binarize': 'dynamic'}}
  with pytest.raises(UserError, match=message):
    check.check(small_config('digits', final_evals=('class_agreement',), **conditional))
  check.check(small_config('digits', final_evals=('sample_distances',), **conditional))
  judges.image_shape = (8, 8, 3)
  with pytest.raises(UserError, match='an extractor of images of 1 channels, and x-cnn sees 3'):
    check.check(small_config('digits', final_evals=('sample_distances',), **conditional))


def test_weights_of_inception_are_read_before_training(monkeypatch, tmp_path):
  weights = tmp_path / 'inception.npz'
  weights.write_bytes(b'no archive')
  monkeypatch.setattr(inception, 'WIDTH', 50)
  given = {'final_evals': ('inception_distances',), 'inception_weights': str(weights)}
  with pytest.raises(UserError, match=r'inception.npz is damaged'):
    check.check(small_config('digits', sample_count=51, **given))
  with pytest.raises(UserError, match='sample_count=50: 50 images have no covariance of 50 features'):
    check.check(small_config('digits', sample_count=50, **given))


PLAIN = {'model': VAE, 'data': {'binarize': 'dynamic'}}
UNTRUE = {  # what an evaluator would say something untrue of: (changes, evaluator, the answer)
  'no condition': (PLAIN, 'class_agreement', 'needs a conditional model'),
  'no clusters': (PLAIN, 'clustering', 'needs a model that has classify; VAE has not'),
  'grey': ({'model': VAE}, 'likelihood', 'Bernoulli is no distribution of gray values'),
  'labels in the codes': (PLAIN | {'model': VAE | {'conditional': True}}, 'probe', 'codes that have not seen'),
  'a flow': (PLAIN | {'model': VAE | {'family': FLOW}}, 'elbo_decomposition', 'needs a VAE of family DiagonalNormal'),
  'a learned prior': (PLAIN | {'model': VAE | {'prior': VAMP}}, 'elbo_decomposition', 'prior StandardNormal'),
}


@pytest.mark.parametrize('what', UNTRUE)
def test_evaluators_of_which_nothing_true_would_come(what):
  changes, name, message = UNTRUE[what]
  with pytest.raises(UserError, match=message):
    check.check(small_config('digits', final_evals=(name,), **changes))
