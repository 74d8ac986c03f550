"""Translations of images of a domain A into a domain B: how far from the truth they are, and what needs no model.

`errors` measures images against images, `segmentation` label maps against label maps, `segmenter` reads label maps off
photos, `baselines` are translations that stand first in every table, `statistics` are intervals over images. All are
functions of arrays: images uint8 [N,H,W,C], label maps int [N,H,W].
"""
