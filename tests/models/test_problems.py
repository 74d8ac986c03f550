"""What models and penalties refuse: the lines, word for word, and that nothing else is refused."""

import optax
import pytest
from facts import OPTIMIZER, problems
from models.test_gan import IMAGES as GANS
from models.test_vae import PARTS, vae

from gen_jax import models, networks
from gen_jax.models import penalties

BINARY = {'levels': 2, 'binarize': 'dynamic'}
IMAGES = {'value_range': (-1.0, 1.0)}
FLOW, VAMP = networks.InverseAutoregressiveFlow(), networks.VampPrior((8, 8, 1), 5)
CLASSES = {'conditional': True, 'num_classes': 10}


def iwae(likelihood=PARTS[2], **fields):
  return models.IWAE(*PARTS[:2], likelihood, *PARTS[3:], **fields)


def pixelcnn(likelihood=PARTS[2], **fields):
  return models.PixelCNN(networks.GatedPixelCNN(), likelihood, (8, 8, 1), **fields)


def gan(**fields):
  return GANS['spectral'].clone(**fields)


def test_what_can_work_has_no_problems():
  schedule = optax.linear_schedule(4.0, 1.0, 10)
  flow = penalties.TotalCorrelation(60)
  for model in (
    vae(), vae(beta=schedule, capacity=2.0), vae(penalty=flow), vae(prior=VAMP), vae(family=FLOW), iwae(dreg=True),
    iwae(family=FLOW), vae(prior=networks.ClassMixturePrior(10), **CLASSES), pixelcnn(**CLASSES), pixelcnn(),
    models.Autoencoder(*PARTS[:2], (8, 8, 1)), models.GMVAE(*PARTS), models.CategoricalVAE(*PARTS),
  ):  # fmt: skip
    assert problems(model, **BINARY) == []
  for model in GANS.values():
    assert problems(model, **IMAGES) == []
  points = models.GAN(networks.MLPGenerator(), networks.MLPDiscriminator(), (1, 1, 2))
  assert problems(points, kind='points', levels=0) == []


NO_LABELS = 'conditional=True: digits has no labels; choose a data set with classes'
REFUSED = {  # (the model, changes of the facts, the line)
  'latents': (vae().clone(latent_dim=0), {}, 'latent_dim=0: must be above 0'),
  'beta': (vae(beta=-1.0), {}, 'beta=-1.0: must not be negative'),
  'capacity': (vae(capacity=-1.0), {}, 'capacity=-1.0: must not be negative'),
  'labels of a vae': (vae(**CLASSES), {'num_classes': 0}, NO_LABELS),
  'labels of an iwae': (iwae(**CLASSES), {'num_classes': 0}, NO_LABELS),
  'labels of a pixelcnn': (pixelcnn(**CLASSES), {'num_classes': 0}, NO_LABELS),
  'labels of a gan': (GANS['projection'], IMAGES | {'num_classes': 0}, NO_LABELS),
  'classes of a prior': (
    vae(prior=networks.ClassMixturePrior(10)), {},
    'prior: ClassMixturePrior is p(z|y); set conditional=True, or choose MixturePrior',
  ),
  'vamp of a flow': (
    vae(prior=VAMP, family=FLOW), {}, 'prior: VampPrior is a mixture of posteriors that are DiagonalNormal'
  ),
  'vamp with labels': (
    iwae(prior=VAMP, **CLASSES), {}, 'prior: VampPrior has no labels for its pseudo-inputs; set conditional=False'
  ),
  'a penalty of a flow': (
    vae(family=FLOW, penalty=penalties.DIPPenalty()), {}, 'penalty: needs a posterior of family DiagonalNormal'
  ),
  'samples': (iwae(samples=0), {}, 'samples=0: must be above 0'),
  'dreg of one sample': (iwae(dreg=True, samples=1), {}, 'dreg=True: needs samples above 1'),
  'dreg of a flow': (
    iwae(dreg=True, family=FLOW), {},
    'dreg=True: needs the density of any z, which InverseAutoregressiveFlow has not',
  ),
  'dreg of a common sigma': (
    iwae(networks.OptimalGaussian(), dreg=True), {},
    'dreg=True: the sigma of OptimalGaussian depends on all samples; choose another one',
  ),
  'clusters': (models.GMVAE(*PARTS, clusters=0), {}, 'clusters=0: must be above 0'),
  'temperature': (models.CategoricalVAE(*PARTS, temperature=0.0), {}, 'temperature=0.0: must be above 0'),
  'grays': (
    pixelcnn(networks.Bernoulli()), {},
    "config.data.binarize='none': Bernoulli is no distribution of gray values; binarize, or choose Categorical",
  ),
  'a large batch': (
    penalties.TotalCorrelation(60), {'batch_size': 61}, 'config.batch_size=61: TotalCorrelation needs 2 to 60'
  ),
  'one example': (
    penalties.TotalCorrelation(1), {},
    "config.data.name='digits': TotalCorrelation needs at least 2 training examples, and there are 1",
  ),
  'a batch of one': (penalties.DIPPenalty(), {'batch_size': 1}, 'config.batch_size=1: DIPPenalty needs at least 2'),
  'weight': (penalties.FactorVAEPenalty(weight=-1.0), {}, 'weight=-1.0: must not be negative'),
  'loss': (
    gan(loss='minmax'), IMAGES,
    "loss='minmax': choose one of minimax, non_saturating, least_squares, hinge, wasserstein, relativistic",
  ),
  'penalty': (gan(penalty='r3'), IMAGES, "penalty='r3': choose one of none, wgan_gp, r1, r2, r1_r2"),
  'modes': (gan(latent_modes=0), IMAGES, 'latent_modes=0: must be above 0'),
  'critic steps': (gan(critic_steps=0), IMAGES, 'critic_steps=0: must be above 0'),
  'a weight of no penalty': (
    gan(penalty='none', penalty_every=1), IMAGES,
    "penalty='none': penalty_weight=10.0 and penalty_every=1 have no penalty; set them to 0 and 1, or choose one",
  ),
  'a penalty without weight': (
    gan(penalty_weight=0.0), IMAGES, "penalty_weight=0: penalty='r1' needs a weight, or choose none"
  ),
  'a penalty beside batch norm': (
    gan(discriminator=networks.ConvDiscriminator()), IMAGES,
    "penalty='r1': takes the gradient of each example alone, which batch normalization couples to the others; "
    "set config.model.discriminator.norm='none' or 'spectral'",
  ),
  'a critic without a bound': (
    GANS['plain'].clone(loss='wasserstein'), IMAGES,
    "loss='wasserstein': nothing bounds the critic's slope; set penalty='wgan_gp', "
    "player_optimizers.discriminator.clip_weights, or discriminator.norm='spectral' and head.spectral=True",
  ),
  'clipping the generator': (
    GANS['plain'], IMAGES | {'optimizers': {'discriminator': OPTIMIZER, 'generator': {'clip_weights': 0.1}}},
    'config.player_optimizers.generator.clip_weights: would clip the generator too; '
    'set config.player_optimizers.discriminator.clip_weights',
  ),
  'clipping both': (
    GANS['plain'],
    IMAGES | {'shared_optimizer': {'clip_weights': 0.1},
              'optimizers': {player: {'clip_weights': 0.1} for player in ('discriminator', 'generator')}},
    'config.optimizer.clip_weights: would clip the generator too; '
    'set config.player_optimizers.discriminator.clip_weights',
  ),
  'a head without labels': (
    GANS['plain'].clone(**CLASSES), IMAGES,
    'conditional=True: LinearHead sees no labels; choose ProjectionHead or ClassifierHead',
  ),
  'labels for the head alone': (
    GANS['plain'].clone(head=networks.ProjectionHead(10)), IMAGES,
    'conditional=False: ProjectionHead needs labels; set conditional=True, or choose LinearHead',
  ),
  'labels for no norm': (
    GANS['plain'].clone(generator=networks.ConvGenerator(condition='batch_norm')), IMAGES,
    "generator.condition='batch_norm': needs labels; set conditional=True, or 'embedding'",
  ),
  'augmentation': (gan(augment=('translaton',)), IMAGES, "augment: 'translaton' is unknown; did you mean translation?"),
  'range': (gan(), {}, 'config.data.value_range=(0.0, 1.0): a GAN of images needs (-1.0, 1.0)'),
  'an unbounded generator': (
    gan(generator=networks.MLPGenerator()), IMAGES, 'generator: images lie in [-1, 1]; set generator.bounded=True'
  ),
  'a bounded generator': (
    gan(augment=()), {'kind': 'points'}, 'generator: points have no bounds; choose MLPGenerator with bounded=False'
  ),
  'augmented points': (
    gan(generator=networks.MLPGenerator()), {'kind': 'points'},
    'augment: knows images, not points; set augment=()',
  ),
}  # fmt: skip


@pytest.mark.parametrize('case', REFUSED)
def test_what_cannot_work_has_one_problem(case):
  model, changes, line = REFUSED[case]
  assert problems(model, **changes) == [line]


def test_a_bound_of_the_slope_is_enough():
  free = GANS['plain'].clone(loss='wasserstein')
  clipped = {'optimizers': {'discriminator': {'clip_weights': 0.01}, 'generator': OPTIMIZER}}
  assert problems(free, **IMAGES, **clipped) == []
  assert problems(gan(loss='wasserstein', penalty='none', penalty_weight=0.0, penalty_every=1), **IMAGES) == []
