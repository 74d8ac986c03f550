"""The data sets, one a file, and `SETS`, the order in which `sources.open_split` asks them for one of some name.

Each has `owns(data) -> bool`, whether the section `config.data` names it, and `open_split(data, split) -> Dataset`.
"""

from gen_jax.data.sets import digits, folder, planar, shapes, sprites, tfds

SETS = (digits, shapes, sprites, planar, folder, tfds)
