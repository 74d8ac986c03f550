"""beta-VAE on rendered dSprites, whose latents open in two stages.

    python launch.py --config=experiments/beta_vae.py

The loss is E[-log p(x|z)] + beta sum_j max(KL_j, L) + w TC(q(z)): Higgins et al. (2017), free nats L of Kingma et al.
(2016), the total correlation of Chen et al. (2018), with schedules of beta, L, w and of how many latents are in use. At
the end beta = 1 and L = 0.

Two CPU cores, 9 min 46 s. On 20,000 unseen combinations of factors: -ELBO 58.1 nats (reconstruction 41.9, KL 16.2);
three latents follow x, y and scale with |Spearman rho| .998, .998 and .913, two carry turn, and shape has none of its
own. Of perfect codes and noise MIG is .896 and .000, here .439; FactorVAE's score 1.000 and .196, here .808. Two more
seeds: -ELBO 56.2 and 58.7, MIG .406 and .409, FactorVAE's score .808 and .808.

`falling`, the convolutional networks of Higgins et al. (2017) and beta from 200 to 4, 8 min 9 s: -ELBO 113.7, MIG .371,
three latents and no shape; with beta falling to 1 instead .337 (-ELBO 110.9), and with beta = 4 from the start .075 +-
.032 (three seeds), although -ELBO is 87.6 then: eight latents share what three could tell.

`faces`, 19 minutes beside another run: squared error 158.0 an image, 12 latents of together 13 nats alive; with
--config.model.beta=1.0 98.6 and all 32, of 133 nats. `experiments/pictures/faces_traversals.png`.
"""

from experiments.common import LOCATELLO, SPRITES
from gen_jax.config import UNSET, experiment, merge


def staged(steps, levels, **options):
  """A schedule of these levels at these steps."""
  return {'name': 'interpolated_schedule', 'steps': steps, 'levels': levels, **options}


# Three latents alone find x, y and scale, while beta falls from where little pays and their total correlation is held
# down; then two more join, whose first nats are free until they have found a use
STAGED = {
  'encoder': {'name': 'ConvEncoder', 'features': (16, 16, 32, 64), 'kernels': (4, 4, 4, 4), 'hidden': (256,)},
  'decoder': {'name': 'BroadcastDecoder', 'hidden': (128, 128, 32), 'features': (32,), 'patch': 4},
  'latent_dim': 5,
  'beta': staged((0, 1_500, 2_500), (60.0, 6.0, 1.0), logarithmic=True),
  'open_latents': staged((2_500, 2_800), (3.0, 5.0)),
  'free_nats': staged((2_500, 2_800, 5_000, 6_500), (0.0, 2.0, 2.0, 0.0)),
  'penalty': {'name': 'TotalCorrelation', 'weight': staged((2_000, 2_500, 5_000), (4.0, 1.0, 0.3))},
}
PLAIN = SPRITES | {  # the variants are of beta alone
  'model': SPRITES['model'] | dict.fromkeys(('open_latents', 'free_nats', 'penalty'), UNSET),
  'optimizer': {'learning_rate': 1e-3, 'warmup_steps': 0, 'schedule': 'cosine'},
  'eval_every': 1_000,
}

get_config = experiment(
  default=SPRITES
  | {
    'steps': 18_000,
    'eval_every': 2_000,
    'model': SPRITES['model'] | STAGED,
    'optimizer': {'learning_rate': 3e-3, 'warmup_steps': 1_500, 'schedule': 'cosine'},
  },
  falling=merge(PLAIN, {'model': {'beta': {'end_value': 4.0}}}),
  faces=merge(
    PLAIN,
    {  # UTKFace at 64x64, or any faces by --config.data.name
      'data': {'name': 'utkface64'},
      'model': {'likelihood': {'name': 'Gaussian', 'sigma': 0.1}, 'latent_dim': 32, 'beta': 250.0},
      'evals': ('means', 'active_units'),
      'test_examples': 0,
    },
  ),
  paper=merge(merge(PLAIN, LOCATELLO), {'model': {'beta': 4.0}}),
)
