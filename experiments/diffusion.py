"""Diffusion: images of any class out of noise. EDM by default; DDPM and flow matching are a few words away.

    python launch.py --config=experiments/diffusion.py[:mnist|fashion_mnist][,ddpm|,flow]
    python launch.py --workdir=runs/diffusion-mnist --mode=sample --config.sampler.steps=10 --config.sampler.guidance=2

MNIST, 57 minutes at the rate of two free cores, seed 0, 10,000 samples by 10 steps of DPM-Solver++(2M), 3 minutes:
Frechet distance by trace .0025 (CNN) and .0017 (LeNet), precision .770 and .795, recall .882 and .917, class accuracy
.964; by 18 steps of Heun's method, 35 evaluations, .0039 and .0016. With EDM's own noise, time_mean -1.2, and
label_dropout .1: .0040 and .0027, and by Heun's 18 steps .0056 and .0028. Fashion-MNIST by 10 steps: .0032 and .0021,
precision .752 and .785, recall .884 and .899. The default, embedded digits, takes 13 minutes of one core. DDPM and flow
matching have no numbers yet.
"""

from experiments.common import MEASURED, MNIST
from gen_jax.config import UNSET, experiment

LONG = {
  'steps': 4_500,
  # more of the high noise at which digits get their class than about EDM's e^-1.2, and more images without labels
  'model': {'time_mean': -0.4, 'label_dropout': 0.2},
  # samples of thousands of images take minutes: at the end, and by the mode `evaluate`
  'final_evals': (*MEASURED['final_evals'], 'class_agreement'),
}

get_config = experiment(
  default={
    'batch_size': 128,
    'steps': 2_000,
    'data': {'name': 'digits', 'size': 16, 'value_range': (-1.0, 1.0)},
    'model': {
      'name': 'Diffusion',
      'denoiser': {'name': 'UNet', 'features': (64, 128), 'blocks': 1, 'patch': 2},
      'path': 'edm',
      'target': 'edm',
      'time': 'log_normal',
      'conditional': True,
    },
    'sampler': {'name': 'heun', 'steps': 18},
    'ema_decay': 0.999,
    'optimizer': {'learning_rate': 1e-3, 'schedule': 'cosine', 'warmup_steps': 200, 'b2': 0.99},
    'evals': ('means',),
    'log_every': 50,
    'eval_every': 1_000,
    'save_every': 500,
    'validation_examples': 2_000,
  },
  mnist={**LONG, 'data': {**MNIST, 'size': 0}},
  fashion_mnist={**LONG, 'data': {**MNIST, 'name': 'fashion_mnist', 'size': 0}},
  # Ho et al. (2020), in continuous time (Song et al., 2021)
  ddpm={
    'model': {'path': 'variance_preserving', 'target': 'epsilon', 'time': 'uniform', 'time_mean': UNSET},
    'sampler': {'name': 'ancestral', 'steps': 250},
  },
  # Lipman et al. (2023), with the times of Esser et al. (2024)
  flow={
    'model': {
      'path': 'linear', 'target': 'velocity', 'time': 'logit_normal', 'time_mean': 0.0, 'time_deviation': 1.0,
    },
  },
  # The schedule of Karras et al. (2022) for CIFAR-10, whose augmentation and wider networks are not here; not run
  paper={
    'batch_size': 512,
    'steps': 390_000,
    'data': {'name': 'cifar10', 'size': 0, 'flip': True},
    'model': {
      'denoiser': {
        'features': (128, 256, 256, 256), 'blocks': 4, 'attention': (1,), 'patch': 1, 'group': 8, 'dropout': 0.13,
      },
    },
    'ema_decay': 0.9993,
    'optimizer': {'schedule': 'constant', 'warmup_steps': 19_500, 'b2': 0.999},
  },
  smoke={'sampler': {'steps': 3}, 'model': {'denoiser': {'features': (8,)}}},
)
