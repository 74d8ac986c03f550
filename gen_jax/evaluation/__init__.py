"""Evaluation: evaluators `(model, source) -> iterator of (name, value)`; README.md says what each of them is.

model is a `bound.BoundModel`, source a `source.Source`. What an evaluator needs of them it says by `needs.needs`. A
value is a number, a text, or an array, such as one number for each example; training's metrics take numbers only.
Whatever is imported in `evaluators` can be named in a config.
"""
