"""Probability distributions as pytrees: element-wise `log_prob` in nats, `sample`, and closed-form divergences.

Every parameter may have any shape; `log_prob` and `kl_divergence` return one value an element, so that a model says
itself over which axes it sums; distributions of vectors return one value a vector. A batch of distributions is one
object whose leaves have a leading axis, so `jax.vmap` over it yields the distribution of one example.
"""

import math

import jax
import jax.numpy as jnp
from flax import struct

from gen_jax.randomness import row_keys


@jax.custom_jvp
def softplus(x: jax.Array) -> jax.Array:
  """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|); four times as fast on a CPU as that of JAX, which looks for NaNs."""
  return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


softplus.defjvps(lambda tangent, _, x: tangent * jax.nn.sigmoid(x))


def log_normal(eps: jax.Array) -> jax.Array:
  """log N(eps; 0, 1) of each element."""
  return -0.5 * eps**2 - 0.5 * math.log(2 * math.pi)


@struct.dataclass
class Normal:
  """N(mu, sigma^2), parametrized by log sigma."""

  mu: jax.Array
  log_sigma: jax.Array

  @property
  def mean(self) -> jax.Array:
    """mu."""
    return self.mu

  def log_prob(self, x: jax.Array) -> jax.Array:
    """-((x - mu) / sigma)^2 / 2 - log sigma - log(2 pi) / 2."""
    return log_normal((x - self.mu) * jnp.exp(-self.log_sigma)) - self.log_sigma

  def sample(self, key: jax.Array) -> jax.Array:
    """mu + sigma * eps, eps ~ N(0, 1): reparameterized (Kingma & Welling, 2014, section 2.4)."""
    return self.mu + jnp.exp(self.log_sigma) * jax.random.normal(key, self.mu.shape, self.mu.dtype)

  def reparameterize(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(z, log q(z) [B]) of noise eps ~ N(0, 1), all [B,D]."""
    return self.mu + jnp.exp(self.log_sigma) * eps, sum_dims(log_normal(eps) - self.log_sigma)


@struct.dataclass
class Laplace:
  """Density e^(-|x - mu| / b) / 2b, parametrized by log b."""

  mu: jax.Array
  log_scale: jax.Array

  @property
  def mean(self) -> jax.Array:
    """mu."""
    return self.mu

  def log_prob(self, x: jax.Array) -> jax.Array:
    """-|x - mu| / b - log 2b."""
    return -jnp.abs(x - self.mu) * jnp.exp(-self.log_scale) - self.log_scale - math.log(2)

  def sample(self, key: jax.Array) -> jax.Array:
    """mu + b * eps, eps of density e^-|eps| / 2."""
    return self.mu + jnp.exp(self.log_scale) * jax.random.laplace(key, self.mu.shape, self.mu.dtype)


@struct.dataclass
class MultivariateNormal:
  """N(mu, L L^T) of vectors [B,D], L [B,D,D] lower triangular with a positive diagonal."""

  mu: jax.Array
  scale_tril: jax.Array

  @property
  def mean(self) -> jax.Array:
    """mu."""
    return self.mu

  @property
  def _log_determinant(self) -> jax.Array:
    return jnp.log(jnp.diagonal(self.scale_tril, axis1=-2, axis2=-1)).sum(-1)

  def log_prob(self, z: jax.Array) -> jax.Array:
    """log N(L^-1 (z - mu); 0, I) - log det L, [B]."""
    eps = jax.lax.linalg.triangular_solve(self.scale_tril, (z - self.mu)[..., None], left_side=True, lower=True)
    return log_normal(eps[..., 0]).sum(-1) - self._log_determinant

  def reparameterize(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(z, log q(z) [B]) of noise eps ~ N(0, 1), both [B,D]."""
    z = self.mu + jnp.einsum('bij,bj->bi', self.scale_tril, eps)
    return z, log_normal(eps).sum(-1) - self._log_determinant


@struct.dataclass
class NormalMixture:
  """sum_k pi_k N(mu_k, diag sigma_k^2) of a vector [D]: log pi [K], components [K,D]."""

  log_weights: jax.Array
  components: Normal

  def log_prob(self, z: jax.Array) -> jax.Array:
    """log sum_k pi_k N(z; mu_k, sigma_k^2) of z [D], []."""
    z = jnp.broadcast_to(z, self.components.mu.shape)
    return jax.nn.logsumexp(self.log_weights + self.components.log_prob(z).sum(-1))

  def sample(self, key: jax.Array) -> jax.Array:
    """[D]; carries no gradient to the weights."""
    which, noise = jax.random.split(key)
    k = jax.random.categorical(which, self.log_weights)
    return jax.tree.map(lambda x: x[k], self.components).sample(noise)


@struct.dataclass
class Bernoulli:
  """Bernoulli(sigmoid(logits))."""

  logits: jax.Array

  @property
  def mean(self) -> jax.Array:
    """The probability of 1."""
    return jax.nn.sigmoid(self.logits)

  def log_prob(self, x: jax.Array) -> jax.Array:
    """x log p + (1 - x) log(1 - p); for x strictly between 0 and 1 the negative cross-entropy, not a density."""
    # log sigmoid(l) = l - softplus(l) and log(1 - sigmoid(l)) = -softplus(l)
    return x * self.logits - softplus(self.logits)

  def sample(self, key: jax.Array) -> jax.Array:
    """0 or 1, in the dtype of the logits; carries no gradient."""
    return jax.random.bernoulli(key, self.mean).astype(self.logits.dtype)


@struct.dataclass
class OneHotCategorical:
  """A one-hot vector in the last axis, with probabilities softmax(logits)."""

  logits: jax.Array

  @property
  def mean(self) -> jax.Array:
    """The probabilities."""
    return jax.nn.softmax(self.logits)

  def log_prob(self, z: jax.Array) -> jax.Array:
    """sum_k z_k log p_k over the last axis."""
    return (z * jax.nn.log_softmax(self.logits)).sum(-1)

  def sample(self, key: jax.Array) -> jax.Array:
    """One-hot; carries no gradient."""
    return jax.nn.one_hot(jax.random.categorical(key, self.logits), self.logits.shape[-1])

  def sample_relaxed(self, key: jax.Array, temperature: jax.Array | float) -> jax.Array:
    """softmax((log p + Gumbel noise) / temperature), reparameterized (Jang et al., 2017, eq. 2)."""
    noise = jax.random.gumbel(key, self.logits.shape, self.logits.dtype)
    return jax.nn.softmax((jax.nn.log_softmax(self.logits) + noise) / temperature)

  def kl_to_uniform(self) -> jax.Array:
    """sum_k p_k log(K p_k) over the last axis."""
    log_p = jax.nn.log_softmax(self.logits)
    return (jnp.exp(log_p) * log_p).sum(-1) + math.log(self.logits.shape[-1])


@struct.dataclass
class DiscretizedLogistic:
  """A logistic variable rounded to `levels` equidistant values in [low, 1]; the outer bins reach to infinity.

  P(x) = F((x + d - mu) / s) - F((x - d - mu) / s) with the logistic F and half a bin d (Salimans et al., 2017, eq. 2).
  """

  mu: jax.Array
  log_scale: jax.Array
  levels: int = struct.field(pytree_node=False, default=256)
  low: float = struct.field(pytree_node=False, default=0.0)

  @property
  def mean(self) -> jax.Array:
    """The mean before rounding, clipped to [low, 1]."""
    return jnp.clip(self.mu, self.low, 1.0)

  @property
  def half_bin(self) -> float:
    """Half the distance of neighboring values."""
    return 0.5 * (1.0 - self.low) / (self.levels - 1)

  def log_prob(self, x: jax.Array) -> jax.Array:
    """log P(x) for x on the grid of values."""
    inverse_scale = jnp.exp(-self.log_scale)
    upper = (x - self.mu + self.half_bin) * inverse_scale
    lower = (x - self.mu - self.half_bin) * inverse_scale
    # F(a) - F(b) = F(a) F(-b) (1 - e^(b - a)), so nothing cancels far out in the tails
    inside = (
      -softplus(-upper)
      - softplus(lower)
      + jnp.log(-jnp.expm1(-2 * self.half_bin * inverse_scale))
    )
    lowest = x < self.low + self.half_bin
    highest = x > 1.0 - self.half_bin
    return jnp.where(lowest, -softplus(-upper), jnp.where(highest, -softplus(lower), inside))

  def sample(self, key: jax.Array) -> jax.Array:
    """A value on the grid; carries no gradient."""
    x = self.mu + jnp.exp(self.log_scale) * jax.random.logistic(key, self.mu.shape, self.mu.dtype)
    steps = jnp.round((x - self.low) / (2 * self.half_bin))
    return self.low + 2 * self.half_bin * jnp.clip(steps, 0, self.levels - 1)


@struct.dataclass
class Categorical:
  """softmax(logits) over `levels` equidistant values in [low, 1]; logits [..., levels] for x [...]."""

  logits: jax.Array
  low: float = struct.field(pytree_node=False, default=0.0)

  @property
  def values(self) -> jax.Array:
    """The values [levels]."""
    return jnp.linspace(self.low, 1.0, self.logits.shape[-1], dtype=self.logits.dtype)

  @property
  def mean(self) -> jax.Array:
    """The sum of the values, each times its probability."""
    return jax.nn.softmax(self.logits) @ self.values

  def log_prob(self, x: jax.Array) -> jax.Array:
    """log P(x) for x on the grid of values."""
    level = jnp.round((x - self.low) * ((self.logits.shape[-1] - 1) / (1.0 - self.low))).astype(jnp.int32)
    return jnp.take_along_axis(jax.nn.log_softmax(self.logits), level[..., None], axis=-1)[..., 0]

  def sample(self, key: jax.Array) -> jax.Array:
    """A value on the grid; carries no gradient."""
    return self.values[jax.random.categorical(key, self.logits)]


@struct.dataclass
class DiscretizedLogisticMixture:
  """A mixture of K discretized logistics of the C channels of a pixel (PixelCNN++, Salimans et al., 2017, section 2).

  P(x) = sum_k softmax(logits)_k prod_c P_k(x_c | x_1, ..., x_(c-1)), where the mean of channel c is
  mu_c + sum_(d<c) a_cd x_d (eq. 3). For x [..., C]: logits [..., K], mu and log_scale [..., C, K], and
  coefficients a [..., C, C, K], zero where d >= c.
  """

  logits: jax.Array
  mu: jax.Array
  log_scale: jax.Array
  coefficients: jax.Array
  levels: int = struct.field(pytree_node=False, default=256)
  low: float = struct.field(pytree_node=False, default=0.0)

  @property
  def mean(self) -> jax.Array:
    """The mean before rounding, clipped to [low, 1]."""
    means = jnp.zeros_like(self.mu)
    for c in range(self.mu.shape[-2]):
      mean = self.mu[..., c, :] + (self.coefficients[..., c, :, :] * means).sum(-2)
      means = means.at[..., c, :].set(mean)
    weights = jax.nn.softmax(self.logits)[..., None, :]
    return jnp.clip((weights * means).sum(-1), self.low, 1.0)

  def log_prob(self, x: jax.Array) -> jax.Array:
    """log P(x_c | x_1, ..., x_(c-1)) [..., C] for x on the grid of values; their sum is log P(x)."""
    mu = self.mu + (self.coefficients * x[..., None, :, None]).sum(-2)
    channels = DiscretizedLogistic(mu, self.log_scale, self.levels, self.low).log_prob(x[..., None])
    # log sum_k w_k P_k(x_1, ..., x_c) for each c; what a channel adds to it is its conditional
    joint = jax.nn.log_softmax(self.logits)[..., None, :] + jnp.cumsum(channels, axis=-2)
    return jnp.diff(jax.nn.logsumexp(joint, axis=-1), axis=-1, prepend=0.0)

  def sample(self, key: jax.Array) -> jax.Array:
    """A value on the grid for each channel; carries no gradient."""
    component_key, key = jax.random.split(key)
    component = jax.random.categorical(component_key, self.logits)
    chosen = lambda a: jnp.take_along_axis(a, component[(..., *(None,) * (a.ndim - component.ndim))], -1)[..., 0]
    mu, log_scale, coefficients = chosen(self.mu), chosen(self.log_scale), chosen(self.coefficients)
    x = jnp.zeros_like(mu)
    for c in range(mu.shape[-1]):
      mean = mu[..., c] + (coefficients[..., c, :] * x).sum(-1)
      channel = DiscretizedLogistic(mean, log_scale[..., c], self.levels, self.low)
      x = x.at[..., c].set(channel.sample(jax.random.fold_in(key, c)))
    return x


def kl_divergence(q: Normal, p: Normal) -> jax.Array:
  """KL(q || p) = log(sigma_p / sigma_q) + (sigma_q^2 + (mu_q - mu_p)^2) / (2 sigma_p^2) - 1/2, nats an element."""
  log_ratio = q.log_sigma - p.log_sigma
  standardized = (q.mu - p.mu) * jnp.exp(-p.log_sigma)
  return 0.5 * (jnp.exp(2 * log_ratio) + standardized**2 - 1) - log_ratio


def standard_normal(shape: tuple[int, ...]) -> Normal:
  """N(0, 1) in every element of `shape`."""
  return Normal(jnp.zeros(shape), jnp.zeros(shape))


def sample_rows(distribution, key: jax.Array, rows: jax.Array) -> jax.Array:
  """One sample a row [B, ...]; the noise of a row depends on `key` and its entry of `rows` [B] alone."""
  return jax.vmap(lambda d, k: d.sample(k))(distribution, row_keys(key, rows))


def log_likelihood(distribution, x: jax.Array) -> jax.Array:
  """log p(x) of each row [B], summed over all axes of x but the first."""
  if any(a.shape != x.shape for a in jax.tree.leaves(distribution)):  # parameters with axes of their own
    return sum_dims(distribution.log_prob(x))
  # flat before anything is computed: sums that end in an axis of one channel are slow on a CPU
  rows = lambda a: a.reshape(a.shape[0], -1)
  return jax.tree.map(rows, distribution).log_prob(rows(x)).sum(-1)


def sum_dims(x: jax.Array) -> jax.Array:
  """Sums [B, ...] over all axes but the first -> [B]."""
  return x.reshape(x.shape[0], -1).sum(-1)


def log_mean_exp(log_w: jax.Array) -> jax.Array:
  """log 1/k sum_j exp(log_w_j) over the first axis: [k, ...] -> [...]."""
  return jax.nn.logsumexp(log_w, axis=0) - math.log(log_w.shape[0])
