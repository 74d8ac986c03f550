"""Flax modules that know no loss."""

from gen_jax.networks.decoders import ConvDecoder as ConvDecoder
from gen_jax.networks.decoders import MLPDecoder as MLPDecoder
from gen_jax.networks.encoders import ConvEncoder as ConvEncoder
from gen_jax.networks.encoders import MLPEncoder as MLPEncoder
from gen_jax.networks.likelihoods import Bernoulli as Bernoulli
from gen_jax.networks.likelihoods import Categorical as Categorical
from gen_jax.networks.likelihoods import DiscretizedLogistic as DiscretizedLogistic
from gen_jax.networks.likelihoods import DiscretizedLogisticMixture as DiscretizedLogisticMixture
from gen_jax.networks.likelihoods import Gaussian as Gaussian
from gen_jax.networks.likelihoods import LearnedGaussian as LearnedGaussian
from gen_jax.networks.likelihoods import OptimalGaussian as OptimalGaussian
from gen_jax.networks.likelihoods import PixelGaussian as PixelGaussian
from gen_jax.networks.pixelcnn import GatedPixelCNN as GatedPixelCNN
