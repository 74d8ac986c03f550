"""Outliers: scores that are large for images unlike those of a data set, and how well they tell the two apart.

`model_free` has scores that need no model and stand first in every table, `scores` those of a trained one,
`detection` measures them, `suite` gives them images. A score is an array [N], larger for what is more of an outlier.
"""
