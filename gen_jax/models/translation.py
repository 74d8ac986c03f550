"""What pix2pix and CycleGAN share: what they need of their data, and of a critic."""

from collections.abc import Iterator, Mapping

import flax.linen as nn

from gen_jax.adversarial import problems_of_clipping
from gen_jax.types import Facts

SLOWED = 0.5  # of a discriminator's loss, as both papers have it: Adam is but little slower for it, a penalty weaker


def problems_of_images(facts: Facts) -> Iterator[str]:
  """Images lie in [-1, 1], where the generators' tanh ends, and are seen as they are."""
  if facts.kind != 'image':
    return
  if facts.value_range != (-1.0, 1.0):
    yield f'config.data.value_range={facts.value_range}: images that are translated need (-1.0, 1.0)'
  if facts.binarize != 'none':
    yield f'config.data.binarize={facts.binarize!r}: images that are translated are seen as they are; set none'
  if facts.dequantize:
    yield 'config.data.dequantize=True: images that are translated are seen as they are; set False'


def problems_of_slope(loss: str, discriminators: Mapping[str, nn.Module], facts: Facts) -> Iterator[str]:
  """A Wasserstein critic's slope must be bounded, and clipping its weights must not clip the generator's."""
  clipped = facts.optimizers['discriminator']['clip_weights']
  for field, discriminator in discriminators.items():
    if loss == 'wasserstein' and not clipped and getattr(discriminator, 'norm', 'none') != 'spectral':
      yield (
        f"loss='wasserstein': nothing bounds the critic's slope; set {field}.norm='spectral', or "
        'config.player_optimizers.discriminator.clip_weights'
      )
  yield from problems_of_clipping(facts)
