"""One model a file; `labels`, `standardization`, `latent_variables` are shared, `penalties` are fields of a VAE."""

from gen_jax.models.autoencoder import Autoencoder as Autoencoder
from gen_jax.models.bridge import Bridge as Bridge
from gen_jax.models.categorical_vae import CategoricalVAE as CategoricalVAE
from gen_jax.models.cyclegan import CycleGAN as CycleGAN
from gen_jax.models.db_vae import DBVAE as DBVAE
from gen_jax.models.diffusion import Diffusion as Diffusion
from gen_jax.models.gan import GAN as GAN
from gen_jax.models.gm_vae import GMVAE as GMVAE
from gen_jax.models.iwae import IWAE as IWAE
from gen_jax.models.noisy_classifier import NoisyClassifier as NoisyClassifier
from gen_jax.models.pix2pix import Pix2Pix as Pix2Pix
from gen_jax.models.pixelcnn import PixelCNN as PixelCNN
from gen_jax.models.vae import VAE as VAE
from gen_jax.models.vdm import VDM as VDM
