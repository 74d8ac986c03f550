"""beta-VAE on rendered dSprites.

    python launch.py --config=experiments/beta_vae.py

Two CPU cores, 8 min 9 s. On 20,000 unseen combinations of factors: -ELBO 113.7 nats (reconstruction 105.4, KL 8.4);
three latents, of 3.19, 3.17 and 2.00 nats, follow y, x and scale with |Spearman rho| .997, .997 and .910; the next has
.001 nats. Shape and orientation need a longer run. Half as many steps, beta falling twice as fast, end at 115.7.

Of perfect codes and noise MIG is .896 and .000; here .371, with beta falling to 1 instead .337 (-ELBO 110.9), and with
beta = 4 from the start .075 +- .032 (three seeds), although -ELBO is 87.6 then: eight latents share what three
could tell.

`faces`, 19 minutes beside another run: squared error 158.0 an image, 12 latents of together 13 nats alive; with
--config.model.beta=1.0 98.6 and all 32, of 133 nats. `experiments/pictures/faces_traversals.png`.

Other schedules of 5,000 steps, one run each: capacity annealed over 4,000 steps (gamma 30, C from 0 to 16) reached
-ELBO 114.6, but folded x and y over several latents (rho .68, .57); beta = 30, stopped after 1,500 steps, had folded x
(.60, y .92).
"""

from experiments.common import LOCATELLO, SPRITES
from gen_jax.config import experiment, merge

get_config = experiment(
  default=merge(SPRITES, {'model': {'beta': {'end_value': 4.0}}}),
  faces={  # UTKFace at 64x64, or any faces by --config.data.name
    'data': {'name': 'utkface64'},
    'model': {'likelihood': {'name': 'Gaussian', 'sigma': 0.1}, 'latent_dim': 32, 'beta': 250.0},
    'evals': ('means', 'active_units'),
    'test_examples': 0,
  },
  paper=merge(LOCATELLO, {'model': {'beta': 4.0}}),
)
