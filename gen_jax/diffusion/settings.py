"""How a finished model samples: what stands in config.sampler, and may be another at every use of it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from gen_jax.config import SAMPLER
from gen_jax.diffusion.samplers import CHURNED, SAMPLERS
from gen_jax.errors import nearest

COLLECTION = 'sampler'  # of a model's variables
WORSE = 'worse'  # the collection of the parameters that autoguidance leads away from


class Settings(NamedTuple):
  """Numbers that are traced: nothing is compiled anew when they move."""

  steps: jax.Array | int = 18
  guidance: jax.Array | float = 1.0  # 1: the model with its labels, 0: without
  low: jax.Array | float = 0.0  # guided where low < sigma <= high
  high: jax.Array | float = 1e6
  churn: jax.Array | float = 0.0

  @property
  def interval(self) -> tuple[jax.Array | float, jax.Array | float]:
    """(low, high]."""
    return self.low, self.high


def sampler_variables(section: Mapping[str, Any]) -> dict[str, dict[str, int | float]]:
  """What is added to a model's variables, so that its methods know the section config.sampler."""
  low, high = section['interval']
  numbers = Settings(section['steps'], section['guidance'], low, high, section['churn'])
  return {COLLECTION: numbers._asdict()}


def settings_of(model: nn.Module) -> Settings:
  """Those with which a model is applied; their defaults where it is applied without."""
  default = Settings()._asdict()
  return Settings(**{name: model.get_variable(COLLECTION, name, value) for name, value in default.items()})


def problems_of_settings(section: Mapping[str, Any], conditional: bool) -> Iterator[str]:
  """A line for what in config.sampler is unknown, or without effect on a model that is conditional or not."""
  name, guidance, interval, churn = (section[key] for key in ('name', 'guidance', 'interval', 'churn'))
  step = section['autoguidance']
  if name not in SAMPLERS:
    yield f'name={name!r} is unknown{nearest(name, SAMPLERS)}'
  if guidance != 1 and not conditional and not step:
    yield f'guidance={guidance}: needs a model with classes, config.model.conditional=True, or autoguidance'
  if step and guidance == 1:
    yield f'autoguidance={step}: has no effect with guidance=1'
  if tuple(interval) != SAMPLER['interval'].default and guidance == 1:
    yield f'interval={tuple(interval)}: has no effect with guidance=1'
  if churn and name not in CHURNED:
    yield f'churn={churn}: has no effect with name={name}; choose {" or ".join(CHURNED)}'
