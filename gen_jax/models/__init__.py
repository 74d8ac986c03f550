"""One game a file."""

from gen_jax.models.autoencoder import Autoencoder as Autoencoder
from gen_jax.models.categorical_vae import CategoricalVAE as CategoricalVAE
from gen_jax.models.gan import GAN as GAN
from gen_jax.models.gm_vae import GMVAE as GMVAE
from gen_jax.models.penalties import DensityRatio as DensityRatio
from gen_jax.models.penalties import Moments as Moments
from gen_jax.models.penalties import TotalCorrelation as TotalCorrelation
from gen_jax.models.pixelcnn import PixelCNN as PixelCNN
from gen_jax.models.vae import VAE as VAE
