"""DIP-VAE on rendered dSprites: the covariance of the codes is held to the identity (Kumar et al., 2018).

    python launch.py --config=experiments/dip_vae.py         # DIP-VAE-I: of the posterior's means
    python launch.py --config=experiments/dip_vae.py:second  # DIP-VAE-II: of samples

Not run yet. The KL's weight falls from 200 to 1 first, which the paper has not; in the variant `paper` it is 1.
"""

from experiments.common import LOCATELLO, SPRITES
from gen_jax.config import experiment, merge

get_config = experiment(
  default=merge(SPRITES, {'model': {'penalty': {'name': 'DIPPenalty', 'off_diagonal': 10.0, 'diagonal': 100.0}}}),
  second={'model': {'penalty': {'diagonal': 10.0, 'of_samples': True}}},
  paper=LOCATELLO,
)
