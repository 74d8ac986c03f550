"""What networks, likelihoods, posteriors and priors refuse, word for word."""

import pytest
from facts import problems

from gen_jax import networks

WIDTHS = "hidden=('a',): must be a number, or numbers"
REFUSED = {  # (the module, changes of the facts, the line)
  'no number': (networks.MLPEncoder(('a',)), {}, WIDTHS),
  'a width of 0': (networks.MLPDecoder((5, 0)), {}, 'hidden=(5, 0): must be above 0'),
  'no layers': (networks.ConvEncoder((), (4,)), {}, 'features=(): name at least one layer'),
  'blocks': (networks.ConvDecoder(blocks=-1), {}, 'blocks=-1: must not be negative'),
  'no layers of a generator': (networks.ConvGenerator(()), {}, 'features=(): name at least one layer'),
  'a condition': (
    networks.ResNetGenerator(condition='norm'), {}, "condition='norm': choose one of embedding, batch_norm"
  ),
  'a norm': (networks.ConvDiscriminator(norm='group'), {}, "norm='group': choose one of batch, spectral, none"),
  'a norm of another network': (
    networks.ResNetDiscriminator(norm='batch'), {}, "norm='batch': ResNetDiscriminator knows spectral and none"
  ),
  'halvings': (networks.ResNetDiscriminator((8,), halvings=2), {}, 'halvings=2: there are 1 blocks'),
  'too many halvings': (
    networks.ResNetDiscriminator((8,) * 4, halvings=4), {}, 'halvings=4: nothing is left of images 8x8; use fewer'
  ),
  'a weight': (
    networks.ClassifierHead(3, generator_weight=-1.0), {}, 'generator_weight=-1.0: must not be negative'
  ),
  'an even kernel': (networks.GatedPixelCNN(kernel=4), {}, 'kernel=4: must be odd and at least 3'),
  'a small kernel': (networks.GatedPixelCNN(kernel=1), {}, 'kernel=1: must be odd and at least 3'),
  'skipped pixels': (
    networks.GatedPixelCNN(dilations=(2, 1)), {},
    'dilations=(2, 1): the first must be 1, or the nearest pixels are not seen',
  ),
  'no dilations': (networks.GatedPixelCNN(dilations=()), {}, 'dilations=(): name at least one layer'),
  'steps': (networks.InverseAutoregressiveFlow(steps=0), {}, 'steps=0: must be above 0'),
  'components': (networks.MixturePrior(0), {}, 'components=0: must be above 0'),
  'sigma': (networks.Gaussian(0.0), {}, 'sigma=0.0: must be above 0'),
  'momentum': (networks.OptimalGaussian(1.0), {}, 'momentum=1.0: must lie in [0, 1)'),
  'a range': (
    networks.Bernoulli(), {'value_range': (-1.0, 1.0)},
    'config.data.value_range=(-1.0, 1.0): Bernoulli needs (0.0, 1.0)',
  ),
  **{
    f'noise of {type(likelihood).__name__}': (
      likelihood, {'dequantize': True},
      f'config.data.dequantize=True: {type(likelihood).__name__} is a distribution of discrete values; '
      'choose a Gaussian',
    )
    for likelihood in (
      networks.Bernoulli(), networks.Categorical(), networks.DiscretizedLogistic(),
      networks.DiscretizedLogisticMixture(),
    )
  },
}  # fmt: skip


@pytest.mark.parametrize('case', REFUSED)
def test_what_cannot_work_has_one_problem(case):
  module, changes, line = REFUSED[case]
  assert problems(module, **changes) == [line]


def test_the_defaults_have_no_problems():
  sizes = {'image_shape': (8, 8, 1), 'num_classes': 10}
  tested = 0
  for name in dir(networks):
    cls = getattr(networks, name)
    if hasattr(cls, 'problems'):
      module = cls(**{field: x for field, x in sizes.items() if field in cls.__dataclass_fields__})
      large = {'shapes': {'image_a': (64, 64, 3)}} if 'Translator' in name or 'Patch' in name else {}
      points = ('MLPTranslator', 'MLPDenoiser', 'PointDiscriminator')
      kind = {'kind': 'points'} if name in points else {'kind': 'sound'} if name == 'GatedTranslator' else {}
      grown = {'image_shape': (32, 32, 1), 'batch_size': 16} if name.startswith('Progressive') else {}
      assert problems(module, **large, **kind, **grown) == [], name
      tested += 1
  assert tested > 15
