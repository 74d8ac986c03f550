"""The VAE with a capacity that grows, gamma |KL - C(step)|, on rendered dSprites (Burgess et al., 2018, eq. 8).

    python launch.py --config=experiments/annealed_vae.py

Not run yet.
"""

from experiments.common import LOCATELLO, SPRITES
from gen_jax.config import experiment, merge


def capacity(end: float, steps: int) -> dict:
  """C from 0 to `end` nats in so many steps."""
  return {'name': 'linear_schedule', 'init_value': 0.0, 'end_value': end, 'transition_steps': steps}


get_config = experiment(
  default=SPRITES | {'model': SPRITES['model'] | {'beta': 30.0, 'capacity': capacity(16.0, 8_000)}},
  paper=merge(LOCATELLO, {'model': {'beta': 1_000.0, 'capacity': capacity(25.0, 100_000)}}),
)
