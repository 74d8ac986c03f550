"""CycleGAN of voices: one speaker into another, learned from sentences of which neither says what the other does.

    python launch.py --config=experiments/voices.py            # a synthetic man into a child, and back
    python launch.py --config=experiments/voices.py:folder --config.data.name=FOLDER   # trainA/, trainB/ ... of WAV
    python launch.py --config=experiments/voices.py:words --config.data.name=FOLDER --config.words=OTHERS   # WORD_*.wav
    python launch.py --mode=translate --workdir=runs/voices --input=FOLDER --output=NEW --to=b

The default, 6 min 25 s on two cores in all: mean absolute error of frames .18 to the child and .13 to the man (two
seeds), in deviations of a band; untranslated .437, .438, Gaussian transport .350, .321; of `images`, 9 minutes of one
core, .158 and .108 (one seed). `folder`, a woman (SF1) and a man (TM1) of the voice conversion challenge 2016, 11
minutes of one core: MCD to the man 6.53 and 6.62 dB (two seeds), to the woman 6.94 and 7.04; untranslated 8.41,
Gaussian transport 7.73, 7.78, drawn to the mean 6.88, 7.25. `words`, 4 minutes: of spoken digits .88 to .94 are
recognized to B and .92 to .94 to A, of recordings heard again .94 and .82, by Gaussian transport .92. `paper` has not
been run to its end. After Kaneko et al. (2019, 2021), with hinge losses and spectral norms.
"""

from gen_jax.config import experiment

both = lambda generator, discriminator: {
  'generator_a': generator,
  'generator_b': generator,
  'discriminator_a': discriminator,
  'discriminator_b': discriminator,
}
TRANSLATOR = {
  'name': 'GatedTranslator', 'features': (16, 32, 32), 'width': 128, 'blocks': 3, 'kernel': 3, 'reach': 5,
}  # fmt: skip
CRITIC = {'name': 'PatchDiscriminator', 'features': 32, 'halvings': 2, 'norm': 'spectral'}

get_config = experiment(
  default={
    'batch_size': 4,
    'steps': 3_000,
    'data': {'name': 'voices', 'bands': 24},
    'model': {
      'name': 'CycleGAN',
      **both(TRANSLATOR, CRITIC),
      'loss': 'hinge',
      'identity_weight': 5.0,
      'identity_steps': 1_000,
      'pool_size': 0,
    },
    'ema_decay': 0.998,
    'optimizer': {'learning_rate': 5e-4, 'schedule': 'constant_linear', 'b1': 0.5},
    'evals': ('means',),
    'final_evals': ('true_voice_errors', 'resynthesis'),
    'best': '',
    'log_every': 100,
    'eval_every': 1_000,
    'save_every': 1_000,
  },
  # a folder of recordings, heard by WORLD with the pitch of the wanted voice; without masks, translations move away
  # from true readings in the course of training
  folder={
    'steps': 2_000,
    'data': {'name': '~/tensorflow_datasets/folders/voice', 'layout': 'voices', 'features': 'world', 'bands': 40},
    'model': {'identity_steps': 0, 'masked_frames': 25},
    'optimizer': {'schedule': 'constant'},
    'final_evals': ('mel_cepstral_distortion', 'speaker_recognition', 'content_kept', 'resynthesis'),
  },
  # single words, such as spoken digits: an example is much of a word, whose means the published norm takes away
  words={
    'batch_size': 8,
    'steps': 1_500,
    'data': {
      'name': '~/tensorflow_datasets/folders/words', 'layout': 'voices', 'rate': 8_000, 'bands': 40,
      'frames': 16,  # a fourth of a second, as words that are shorter are filled up by their mirror images
    },
    'model': {**both({'norm': 'frame'}, {}), 'identity_steps': 0, 'identity_weight': 10.0},
    'final_evals': ('words_kept', 'speaker_recognition', 'resynthesis'),
  },
  # heard by WORLD, with the pitch of the wanted voice
  world={'data': {'features': 'world'}},
  # the translator and the losses of cyclegan.py: a spectrogram as an image
  images={
    'model': {
      **both(
        {'name': 'ResNetTranslator', 'features': (16, 32, 64), 'blocks': 3, 'bounded': False},
        {'name': 'PatchDiscriminator', 'features': 32, 'halvings': 2, 'norm': 'instance'},
      ),
      'loss': 'least_squares',
      'identity_steps': 0,
      'pool_size': 50,
    },
  },
  # Kaneko et al. (2021): masks of fewer than 25 frames, two-step adversarial losses, networks of 80 bands; by patches
  # of cyclegan.py in place of their gated discriminator
  paper={
    'batch_size': 1,
    'steps': 500_000,
    'data': {'name': '~/tensorflow_datasets/folders/voice', 'layout': 'voices', 'bands': 80},
    'model': {
      **both(
        {'features': (128, 256, 256), 'width': 256, 'blocks': 6, 'kernel': 5, 'reach': 15},
        {'features': 128, 'halvings': 3, 'norm': 'instance'},
      ),
      'second_discriminator_a': {'name': 'PatchDiscriminator', 'features': 128},
      'second_discriminator_b': {'name': 'PatchDiscriminator', 'features': 128},
      'loss': 'least_squares',
      'identity_steps': 10_000,
      'masked_frames': 25,
    },
    'ema_decay': 0.0,
    'optimizer': {'learning_rate': 2e-4},
    'player_optimizers': {'discriminator': {'learning_rate': 1e-4}},
    'final_evals': ('mel_cepstral_distortion', 'speaker_recognition', 'content_kept', 'resynthesis'),
    'log_every': 1_000,
    'eval_every': 10_000,
    'save_every': 10_000,
  },
  smoke={
    'data': {'bands': 16, 'frames': 16},
    'model': {'masked_frames': 0} | both({'features': (4, 4), 'width': 8, 'blocks': 1}, {'features': 4, 'halvings': 1}),
  },
)
