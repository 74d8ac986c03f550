"""What several experiments share."""

MNIST = {'name': 'mnist', 'train_split': 'train[:58000]', 'validation_split': 'train[58000:]'}  # for `data`

# The convolutional networks that Higgins et al. (2017, table 1) have for faces and chairs (theirs for 2-D shapes are
# dense), a schedule of minutes
SPRITES = {
  'batch_size': 64,
  'steps': 10_000,
  'data': {'name': 'sprites'},
  'model': {
    'name': 'VAE',
    'encoder': {
      'name': 'ConvEncoder',
      'features': (32, 32, 64, 64),
      'kernels': (4, 4, 4, 4),
      'hidden': (256,),
    },
    'decoder': {'name': 'ConvDecoder', 'features': (64, 64, 32, 32), 'hidden': (256,)},
    'likelihood': {'name': 'Bernoulli'},
    'latent_dim': 10,
    # from a beta at which nothing pays, so that latents appear one after another
    'beta': {
      'name': 'exponential_decay',
      'init_value': 200.0,
      'end_value': 1.0,
      'transition_steps': 5_000,
      'decay_rate': 0.02,
    },
  },
  'optimizer': {'schedule': 'cosine'},
  'evals': ('means', 'active_units', 'spearman'),
  'validation_examples': 2_000,
  'test_examples': 20_000,
}
GAN_IMAGES = {  # GANs of embedded digits; MNIST and Fashion-MNIST are as large
  'batch_size': 64,
  'steps': 5_000,
  'data': {'name': 'digits', 'size': 28, 'value_range': (-1.0, 1.0)},
  'model': {
    'name': 'GAN',
    # three layers, after which a unit sees 22 pixels: two see strokes, and their samples are no digits
    'generator': {'name': 'ConvGenerator', 'features': (128, 64, 32)},
    'discriminator': {'name': 'ConvDiscriminator', 'features': (32, 64, 128), 'norm': 'none'},
    'latent_dim': 32,
  },
  'ema_decay': 0.999,
  'optimizer': {'learning_rate': 1e-3, 'schedule': 'linear', 'b1': 0.0, 'b2': 0.99},
  'evals': ('discriminator', 'fixed_noise'),
  'log_every': 100,
  'eval_every': 1_000,
  'save_every': 1_000,
  'validation_examples': 2_000,
}
RELATIVISTIC = {'loss': 'relativistic', 'penalty': 'r1_r2', 'penalty_weight': 0.3, 'penalty_every': 4}  # of R3GAN
UNPENALIZED = {'penalty': 'none', 'penalty_weight': 0.0, 'penalty_every': 1}
MEASURED = {  # samples of a set whose extractors there are; the best by the Frechet distance
  'evals': ('frechet', 'discriminator', 'fixed_noise'),
  'best': 'frechet_over_trace_cnn',
  'best_mode': 'min',
  'sample_count': 10_000,
  'final_evals': ('sample_distances', 'memorization'),
}
LOCATELLO = {  # the encoder and the schedule of Locatello et al. (2019), for SPRITES
  'steps': 300_000,
  'test_examples': 0,
  'model': {'encoder': {'kernels': (4, 4, 2, 2)}, 'beta': 1.0},
  'optimizer': {'learning_rate': 1e-4, 'schedule': 'constant'},
  'final_evals': ('disentanglement',),
  'log_every': 1_000,
  'eval_every': 20_000,
  'save_every': 10_000,
}
