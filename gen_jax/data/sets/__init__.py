"""The data sets, one a file, and `SETS`, the order in which `sources.open_split` asks them for one of some name.

Each has `owns(data) -> bool`, whether the section `config.data` names it, and `open_split(data, split) -> Dataset`. It
may have `TAKES`, the keys of the section that have an effect on it and not on every set (where that depends on the
section, `takes(data)` and `ALL_TAKES`); `path_of(data) -> str`, the folder or file of the section, '' for none; and
`in_files(data) -> bool`, whether it is read from files, which may be moved, changed or lost.
"""

from gen_jax.data.sets import (
  detection,
  digit_pairs,
  digit_twins,
  digits,
  folder,
  pairs,
  planar,
  rare_hearts,
  shapes,
  sprite_styles,
  sprites,
  tfds,
  unpaired,
  unpaired_planes,
  voice_folder,
  voices,
)

OF_TWO_SIDES = (digit_pairs, digit_twins, sprite_styles, unpaired_planes, voices)
NAMED = (digits, shapes, sprites, rare_hearts, detection, *OF_TWO_SIDES)
SETS = (*NAMED, planar, pairs, unpaired, voice_folder, folder, tfds)
