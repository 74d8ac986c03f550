"""What a run can show: every figure by its name, which is that of its mode.

A figure is exported here by one line; nothing else need know of it.
"""

from collections.abc import Callable

from gen_jax.figures.comparison import compare as compare
from gen_jax.figures.composition import compose as compose
from gen_jax.figures.diffusion import denoise as denoise
from gen_jax.figures.diffusion import trajectories as trajectories
from gen_jax.figures.factors import factors as factors
from gen_jax.figures.guidance import guide as guide
from gen_jax.figures.latents import interpolate as interpolate
from gen_jax.figures.latents import plane as plane
from gen_jax.figures.latents import traverse as traverse
from gen_jax.figures.neighbors import neighbors as neighbors
from gen_jax.figures.outliers import outliers as outliers
from gen_jax.figures.planar import points as points
from gen_jax.figures.progress import progress as progress
from gen_jax.figures.progress import resolutions as resolutions
from gen_jax.figures.reconstructions import complete as complete
from gen_jax.figures.reconstructions import reconstruct as reconstruct
from gen_jax.figures.rejection import reject as reject
from gen_jax.figures.resampling import resampled as resampled
from gen_jax.figures.samples import sample as sample
from gen_jax.figures.translations import paths as paths
from gen_jax.figures.translations import translations as translations
from gen_jax.figures.vanishing import vanish as vanish
from gen_jax.figures.voices import hear_voices as hear_voices


def all_figures() -> dict[str, Callable]:
  """{name: figure} of all that are exported here, in the order of the report."""
  figures = {name: value for name, value in globals().items() if hasattr(value, 'place')}
  return dict(sorted(figures.items(), key=lambda item: item[1].place))
