"""One model a file. What they share is in `labels` and `latent_variables`; `penalties` are fields of a VAE."""

from gen_jax.models.autoencoder import Autoencoder as Autoencoder
from gen_jax.models.categorical_vae import CategoricalVAE as CategoricalVAE
from gen_jax.models.cyclegan import CycleGAN as CycleGAN
from gen_jax.models.db_vae import DBVAE as DBVAE
from gen_jax.models.gan import GAN as GAN
from gen_jax.models.gm_vae import GMVAE as GMVAE
from gen_jax.models.iwae import IWAE as IWAE
from gen_jax.models.pix2pix import Pix2Pix as Pix2Pix
from gen_jax.models.pixelcnn import PixelCNN as PixelCNN
from gen_jax.models.vae import VAE as VAE
