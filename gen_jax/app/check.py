"""What in a config cannot work, or would have no effect or no meaning: one line, before anything is trained."""

import math
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
from ml_collections import ConfigDict

from gen_jax import adversarial, augmentation, build, evaluation, models, networks, randomness
from gen_jax.data.dataset import Dataset
from gen_jax.data.sets import planar
from gen_jax.errors import UserError, nearest
from gen_jax.evaluation import extractors, inception
from gen_jax.training import parallel
from gen_jax.types import Model

POSITIVE = {'batch_size', 'steps', 'steps_per_dispatch', 'log_every', 'eval_every', 'save_every', 'keep', 'workers'}
POSITIVE |= {'samples', 'temperature', 'categories', 'clusters', 'components', 'importance_samples'}
POSITIVE |= {'latent_dim', 'sigma', 'learning_rate', 'eps', 'kernel', 'features', 'kernels', 'hidden'}
POSITIVE |= {'layers', 'dilations', 'critic_steps', 'penalty_every', 'sample_count'}
NON_NEGATIVE = {'seed', 'beta', 'capacity', 'weight_decay', 'clip_norm', 'warmup_steps', 'size', 'crop'}
NON_NEGATIVE |= {'blocks', 'weight', 'off_diagonal', 'diagonal', 'slope', 'halvings', 'clip_weights'}
NON_NEGATIVE |= {'penalty_weight', 'drift', 'discriminator_weight', 'generator_weight'}
NON_NEGATIVE |= {'resident_mib', 'validation_examples', 'test_examples'}
FRACTION = {'ema_decay', 'b1', 'b2', 'momentum'}
DISCRETE = networks.Categorical | networks.DiscretizedLogistic | networks.DiscretizedLogisticMixture
CHOICES = {
  'precision': ('float32', 'bfloat16'),
  'schedule': ('constant', 'cosine', 'linear'),
  'binarize': ('none', 'dynamic', 'static'),
  'best_mode': ('max', 'min'),
  'value_range': ((0.0, 1.0), (-1.0, 1.0)),
  'loss': tuple(adversarial.GAMES),
  'penalty': ('none', *adversarial.PENALTIES),
  'norm': ('batch', 'spectral', 'none'),
  'condition': ('embedding', 'batch_norm'),
}


def check_values(config: Mapping[str, Any], path: str = 'config') -> None:
  """Raises UserError where a number or a choice is outside what its key allows."""
  for key, value in config.items():
    where = f'{path}.{key}'
    if isinstance(value, ConfigDict):
      check_values(value, where)
      continue
    if key in CHOICES and value not in CHOICES[key]:
      raise UserError(f'{where}={value!r}: choose one of {", ".join(map(str, CHOICES[key]))}')
    if key in ('features', 'kernels') and value == ():
      raise UserError(f'{where}=(): name at least one layer')
    if key not in POSITIVE | NON_NEGATIVE | FRACTION:
      continue
    for number in value if isinstance(value, tuple) else (value,):
      if isinstance(number, bool) or not isinstance(number, int | float):
        raise UserError(f'{where}={value!r}: must be a number, or numbers')
      if key in POSITIVE and not number > 0:
        raise UserError(f'{where}={value}: must be above 0')
      if key in NON_NEGATIVE and not number >= 0:
        raise UserError(f'{where}={value}: must not be negative')
      if key in FRACTION and not 0 <= number < 1:
        raise UserError(f'{where}={value}: must lie in [0, 1)')
  if path == 'config' and config.seed >= 2**32:
    raise UserError(f'config.seed={config.seed}: must be below 2^32')
  if path == 'config':
    check_warmup(config, 'optimizer', config.optimizer)


def check_warmup(config: ConfigDict, section: str, optimizer: Mapping[str, Any]) -> None:
  """Raises UserError where the learning rate would rise until the end."""
  if optimizer.get('warmup_steps', 0) >= config.steps:
    raise UserError(f'config.{section}.warmup_steps={optimizer["warmup_steps"]}: must be below config.steps')


def check(config: ConfigDict) -> None:
  """Raises UserError for whatever cannot work, before anything is written or trained."""
  check_values(config)
  parallel.local_rows(config.batch_size)
  data = {split: build.dataset(config, split) for split in ('train', 'validation', 'test')}['train']
  game = build.model(config, data)
  check_players(config, game)
  check_evaluators(config, data, game)
  check_likelihood(config, game)
  check_labels(config, game, data)
  if isinstance(game, models.VAE):
    check_vae(game)
    check_penalty(config, game)
  if isinstance(game, models.GAN):
    check_gan(config, game, data)
  batch = jax.eval_shape(lambda: build.example_batch(data, build.preprocessor(config, data, train=True), rows=1))
  try:
    jax.eval_shape(game.init, randomness.key(0), batch)
  except Exception as error:  # whatever a misshapen network makes Flax raise
    raise UserError(f'config.model cannot be built: {" ".join(str(error).split())[:200]}') from None


def check_players(config: ConfigDict, game: Model) -> None:
  """Raises UserError where `config.player_optimizers` names no player of the game, or no key of `config.optimizer`."""
  for player, changes in config.player_optimizers.items():
    if player not in game.players:
      raise UserError(f'config.player_optimizers.{player}: no player of this game{nearest(player, game.players)}')
    for key in changes:
      if key not in config.optimizer:
        raise UserError(f'config.player_optimizers.{player}.{key} is no key{nearest(key, config.optimizer)}')
    check_warmup(config, f'player_optimizers.{player}', changes)


def check_evaluators(config: ConfigDict, data: Dataset, game: Model) -> None:
  """Raises UserError where `config.evals` or `config.final_evals` name what the data or the model are not made for."""
  for name in build.evaluators(config, final=True):
    check_data_for(name, config, data)
    check_evaluator(name, game)
    if name in evaluation.NEED_EXTRACTORS:
      check_extractors(name, config, data)


def check_extractors(name: str, config: ConfigDict, data: Dataset) -> None:
  """Raises UserError where the frozen networks of an evaluator are not there, or of other images or classes."""
  for kind in extractors.NETWORKS:
    judge = extractors.load(kind, config.data.name, config.extractors)
    channels = data.image_shape[-1], judge.image_shape[-1]
    if channels[0] != channels[1]:
      raise UserError(
        f'config.evals: {name} needs an extractor of images of {channels[0]} channels, and {judge.name} sees '
        f'{channels[1]}; name another in config.extractors'
      )
    if name in evaluation.NEED_LABELS and judge.classes != data.num_classes:
      raise UserError(
        f'config.evals: {name} needs an extractor of the {data.num_classes} classes of {config.data.name}, and '
        f'{judge.name} knows {judge.classes}; name another in config.extractors'
      )


def check_data_for(name: str, config: ConfigDict, data: Dataset) -> None:
  """Raises UserError where an evaluator cannot work on these data, or lacks a file."""
  if name in evaluation.NEED_FACTORS and not data.factor_sizes:
    raise UserError(f'config.evals: {name} needs a data set with factors, such as sprites')
  if name in evaluation.NEED_GRID:
    check_grid(config, name)
  if name in evaluation.NEED_TARGET and planar.target(config.data.name) is None:
    raise UserError(f'config.evals: {name} needs points of a known distribution, such as ring')
  if name in evaluation.NEED_IMAGES and not data.levels:
    raise UserError(f'config.evals: {name} needs images; {config.data.name} holds points')
  if name in evaluation.NEED_LABELS and not data.num_classes:
    raise UserError(f'config.evals: {name} needs a data set with labels, such as digits')
  if name == 'inception_distances':
    check_inception(config)


def check_inception(config: ConfigDict) -> None:
  """Raises UserError where Inception's weights are not there or damaged, or the images too few for its features."""
  if not pathlib.Path(config.inception_weights).is_file():
    raise UserError(
      f'config.inception_weights={config.inception_weights!r} is no file: inception_distances needs weights, which '
      'gen_jax/evaluation/inception.py says how to make'
    )
  if (images := min(config.sample_count, build.dataset(config, 'train').size)) <= inception.WIDTH:
    raise UserError(
      f'config.sample_count={config.sample_count}: {images} images have no covariance of {inception.WIDTH} features; '
      'use more'
    )
  inception.load(config.inception_weights)


def check_grid(config: ConfigDict, name: str) -> None:
  """Raises UserError where the splits have fewer images than there are combinations of the factors."""
  splits = [build.dataset(config, split) for split in ('train', 'validation', 'test')]
  images, combinations = sum(data.size for data in splits), math.prod(splits[0].factor_sizes)
  if images < combinations:
    raise UserError(
      f'config.evals: {name} needs an image of each of the {combinations} combinations of the factors; '
      f'the splits of {config.data.name} have {images} in all'
    )


def check_evaluator(name: str, game: Model) -> None:
  """Raises UserError where an evaluator cannot work, or says something untrue, of this model."""
  conditional, kind = getattr(game, 'conditional', False), type(game).__name__
  verbs = evaluation.NEED_VERBS.get(name, ())
  if verbs and not any(hasattr(game, verb) for verb in verbs):
    raise UserError(f'config.evals: {name} needs a model that has {" or ".join(verbs)}; {kind} has not')
  if name in evaluation.NEED_CONDITION and not conditional:
    raise UserError(f'config.evals: {name} needs a conditional model')
  if name in evaluation.NEED_NO_CONDITION and conditional:
    raise UserError(f'config.evals: {name} needs codes that have not seen the label; this model is conditional')
  likelihood = getattr(game, 'likelihood', None)
  if name == 'likelihood' and isinstance(likelihood, networks.Bernoulli) and not likelihood.binary:
    raise UserError("config.data.binarize='none': Bernoulli is no distribution of grey values; log p(x) needs binary")
  if name == 'elbo_decomposition':
    parts = (getattr(game, 'family', None), getattr(game, 'prior', None))
    if not isinstance(parts[0], networks.DiagonalNormal) or not isinstance(parts[1], networks.StandardNormal):
      raise UserError('config.evals: elbo_decomposition needs a VAE of family DiagonalNormal and prior StandardNormal')


def check_likelihood(config: ConfigDict, game: Model) -> None:
  """Raises UserError where p(x|z) is no distribution of the data as they are preprocessed."""
  likelihood = getattr(game, 'likelihood', None)
  name = type(likelihood).__name__
  if isinstance(likelihood, networks.Bernoulli) and config.data.value_range != (0.0, 1.0):
    raise UserError(f'config.data.value_range={config.data.value_range}: {name} needs (0.0, 1.0)')
  if isinstance(likelihood, networks.Bernoulli | DISCRETE) and config.data.dequantize:
    raise UserError(f'config.data.dequantize=True: {name} is a distribution of discrete values; choose a Gaussian')
  if isinstance(game, models.PixelCNN) and isinstance(likelihood, networks.Bernoulli) and not likelihood.binary:
    raise UserError(
      f"config.data.binarize='none': {name} is no distribution of grey values; binarise, or choose Categorical"
    )


def check_labels(config: ConfigDict, game: Model, data: Dataset) -> None:
  """Raises UserError where a model is conditional on labels that the data lack."""
  if getattr(game, 'conditional', False) and not data.num_classes:
    raise UserError(f'config.model.conditional=True: {config.data.name} has no labels; choose a data set with classes')


def check_vae(game: models.VAE) -> None:
  """Raises UserError where one field of a VAE would leave another without effect or meaning."""
  if game.samples > 1 and (game.beta != 1 or game.capacity != 0):
    raise UserError(
      f'config.model.samples={game.samples}: the importance weighted bound has no beta and no capacity; '
      'set beta=1 and capacity=0, or samples=1'
    )
  if game.dreg and game.samples == 1:
    raise UserError('config.model.dreg=True: needs samples above 1')
  if game.dreg and isinstance(game.likelihood, networks.OptimalGaussian):
    raise UserError('config.model.dreg=True: the sigma of OptimalGaussian depends on all samples; choose another one')
  if game.dreg and isinstance(game.family, networks.InverseAutoregressiveFlow):
    raise UserError('config.model.dreg=True: needs the density of any z, which InverseAutoregressiveFlow has not')
  if isinstance(game.prior, networks.ClassMixturePrior) and not game.conditional:
    raise UserError('config.model.prior: ClassMixturePrior is p(z|y); set conditional=True, or choose MixturePrior')
  if isinstance(game.prior, networks.VampPrior):
    if not isinstance(game.family, networks.DiagonalNormal):
      raise UserError('config.model.prior: VampPrior is a mixture of posteriors that are DiagonalNormal')
    if game.conditional:
      raise UserError('config.model.prior: VampPrior has no labels for its pseudo-inputs; set conditional=False')


def check_penalty(config: ConfigDict, game: models.VAE) -> None:
  """Raises UserError where the penalty of a VAE could not be computed."""
  if not game.penalty:
    return
  if game.samples > 1:
    raise UserError(f'config.model.samples={game.samples}: the importance weighted bound has no penalty; set samples=1')
  if not isinstance(game.family, networks.DiagonalNormal):
    raise UserError('config.model.penalty: needs a posterior of family DiagonalNormal')
  examples = getattr(game.penalty, 'num_examples', config.batch_size)
  if not 2 <= config.batch_size <= examples:
    raise UserError(f'config.batch_size={config.batch_size}: {type(game.penalty).__name__} needs 2 to {examples}')


def check_gan(config: ConfigDict, game: models.GAN, data: Dataset) -> None:
  """Raises UserError where one field of a GAN would leave another without effect or meaning."""
  norm = getattr(game.discriminator, 'norm', 'none')
  if game.penalty == 'none' and (game.penalty_weight > 0 or game.penalty_every > 1):
    raise UserError(
      f"config.model.penalty='none': penalty_weight={game.penalty_weight} and penalty_every={game.penalty_every} have "
      'no penalty; set them to 0 and 1, or choose one'
    )
  if game.penalty != 'none' and game.penalty_weight == 0:
    raise UserError(f'config.model.penalty_weight=0: penalty={game.penalty!r} needs a weight, or choose none')
  if game.penalty != 'none' and norm == 'batch':
    raise UserError(
      f'config.model.penalty={game.penalty!r}: takes the gradient of each example alone, which batch normalisation '
      "couples to the others; set config.model.discriminator.norm='none' or 'spectral'"
    )
  clipped = config.player_optimizers.get('discriminator', {}).get('clip_weights', config.optimizer.clip_weights)
  spectral = norm == 'spectral' and getattr(game.head, 'spectral', False)
  if game.loss == 'wasserstein' and game.penalty == 'none' and not clipped and not spectral:
    raise UserError(
      "config.model.loss='wasserstein': nothing bounds the critic's slope; set penalty='wgan_gp', "
      "player_optimizers.discriminator.clip_weights, or discriminator.norm='spectral' and head.spectral=True"
    )
  if config.player_optimizers.get('generator', {}).get('clip_weights', config.optimizer.clip_weights):
    key = 'optimizer' if config.optimizer.clip_weights else 'player_optimizers.generator'
    raise UserError(
      f'config.{key}.clip_weights: would clip the generator too; '
      'set config.player_optimizers.discriminator.clip_weights'
    )
  knows_labels = isinstance(game.head, networks.ProjectionHead | networks.ClassifierHead)
  if knows_labels != game.conditional:
    head = type(game.head).__name__
    raise UserError(
      f'config.model.conditional={game.conditional}: {head} {"needs" if knows_labels else "sees no"} labels; '
      + ('set conditional=True, or choose LinearHead' if knows_labels else 'choose ProjectionHead or ClassifierHead')
    )
  if unknown := set(game.augment) - set(augmentation.AUGMENTATIONS):
    word = min(unknown)
    raise UserError(f'config.model.augment: {word!r} is unknown{nearest(word, augmentation.AUGMENTATIONS)}')
  if game.augment and not data.levels:
    raise UserError('config.model.augment: knows images, not points; set augment=()')
  if data.levels and config.data.value_range != (-1.0, 1.0):
    raise UserError(f'config.data.value_range={config.data.value_range}: a GAN of images needs (-1.0, 1.0)')
  check_gan_networks(game, data)


def check_gan_networks(game: models.GAN, data: Dataset) -> None:
  """Raises UserError where a GAN's networks do not fit the data, or one of their fields would have no effect."""
  generator, discriminator = game.generator, game.discriminator
  if getattr(generator, 'bounded', True) != bool(data.levels):
    kind = 'images lie in [-1, 1]' if data.levels else 'points have no bounds'
    choose = 'set generator.bounded=True' if data.levels else 'choose MLPGenerator with bounded=False'
    raise UserError(f'config.model.generator: {kind}; {choose}')
  if getattr(generator, 'condition', 'embedding') == 'batch_norm' and not game.conditional:
    raise UserError("config.model.generator.condition='batch_norm': needs labels; set conditional=True, or 'embedding'")
  if isinstance(discriminator, networks.ResNetDiscriminator):
    if discriminator.norm == 'batch':
      raise UserError("config.model.discriminator.norm='batch': ResNetDiscriminator knows spectral and none")
    if discriminator.halvings > (blocks := len(discriminator.features)):
      raise UserError(f'config.model.discriminator.halvings={discriminator.halvings}: there are {blocks} blocks')
    if min(game.image_shape[:2]) < 2**discriminator.halvings:
      raise UserError(
        f'config.model.discriminator.halvings={discriminator.halvings}: nothing is left of images '
        f'{game.image_shape[0]}x{game.image_shape[1]}; use fewer'
      )
