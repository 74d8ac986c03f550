"""All scores of images of a data set and of outliers, those first that need no model."""

import functools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.outliers.detection import combine, detection
from gen_jax.evaluation.outliers.images import images_of
from gen_jax.evaluation.outliers.model_free import MODEL_FREE, MOST_VALUES, OF_COVARIANCES
from gen_jax.evaluation.outliers.regret import likelihood_regret
from gen_jax.evaluation.outliers.scores import Score, Statistics, available
from gen_jax.evaluation.outliers.statistics import code_statistics, complexity, model_statistics
from gen_jax.evaluation.source import Source, collect
from gen_jax.types import Batch

FITTED = 10_000  # images at most that a score is fitted to; a neighbor is sought among all of training
INSIDE = 'inside'  # the images of the data set itself
COMBINED = ('complexity', 'nearest code', 'nearest features', 'denoising errors', 'DiffPath')


class Judge:
  """The scores of a model, fitted to images of its data set: to held-out ones, but for those of the nearest neighbor.

  model       a model of images that is unconditional, or has `outlier_statistics` without labels
  source      its data
  background  a model whose log p(x) is subtracted, of the same data with noise; None: no likelihood ratio
  """

  def __init__(self, model: BoundModel, source: Source, background: BoundModel | None = None):
    self._model, self._source, self._background = model, source, background
    if background and not {'log_prob', 'log_weights'} & set(dir(background.module)):
      raise UserError(f'--background: {type(background.module).__name__} has no log p(x)')

  def statistics(self, images: np.ndarray) -> dict[str, np.ndarray]:
    """What the model says of images uint8 [N,H,W,C], {name: [N] or [N,D]}."""
    # they are in the shape that the model sees already
    return self.statistics_of(lambda: self._source.batches_of({'image': images}, size=0, crop=0))

  def statistics_of(self, batches: Callable[[], Iterator[Batch]]) -> dict[str, np.ndarray]:
    """The same of batches as the model sees them."""
    of_model = functools.partial(self._model.compute, model_statistics)
    values = collect(batches(), statistics=of_model, seen=lambda batch: self._source.gray_values(batch['image']))
    statistics = dict(values['statistics'])
    if 'log_p' in statistics:
      statistics['bits'] = complexity(values['seen'])
      if self._background:
        of_other = functools.partial(self._background.compute, model_statistics)
        statistics['background_log_p'] = collect(batches(), statistics=of_other)['statistics']['log_p']
    return statistics

  @functools.cached_property
  def _training(self) -> np.ndarray:
    return images_of(self._source.of_split('train'), FITTED)

  @functools.cached_property
  def _codes_of_training(self) -> dict[str, np.ndarray]:
    of_model = functools.partial(self._model.compute, code_statistics)
    return collect(self._source.train(), codes=of_model)['codes']

  @functools.cached_property
  def _held_out(self) -> dict[str, np.ndarray]:
    return self.statistics(images_of(self._source.of_split('validation'), FITTED))

  @functools.cached_property
  def _model_free(self) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    large = self._training[0].size > MOST_VALUES
    return {name: fit(self._training) for name, fit in MODEL_FREE.items() if not (large and name in OF_COVARIANCES)}

  @functools.cached_property
  def _of_model(self) -> dict[str, Score]:
    fitted = {'validation': self._held_out}
    scores = {}
    for name, score in available(self._held_out).items():
      if score.split not in fitted:
        fitted[score.split] = self._codes_of_training
      scores[name] = score.of(fitted[score.split])
    return scores

  @functools.cached_property
  def _held_out_scores(self) -> dict[str, np.ndarray]:
    return {name: self._of_model[name](self._held_out) for name in COMBINED if name in self._of_model}

  def model_free_scores(self, images: np.ndarray) -> dict[str, np.ndarray]:
    """{name: [N]} of images uint8 [N,H,W,C], larger for what is more of an outlier."""
    return {name: score(images) for name, score in self._model_free.items()}

  def model_scores(self, images: np.ndarray) -> dict[str, np.ndarray]:
    """The same of the scores that need the model, and last the combination of some of them."""
    statistics = self.statistics(images)
    scores = {name: score(statistics) for name, score in self._of_model.items()}
    return scores | ({'combination': self.combination(statistics)} if self._held_out_scores else {})

  def regret(self, images: np.ndarray) -> np.ndarray:
    """The likelihood regret of images uint8 [N,H,W,C], [N] nats; slow. UserError where there is no encoder."""
    module = self._model.module
    if 'log_weights' not in self._model or not (hasattr(module, 'family') or 'scale_norm' in self._held_out):
      raise UserError(f'{type(module).__name__} has no encoder that could be trained for the regret of one image')
    of_model = functools.partial(self._model.compute, likelihood_regret)
    return collect(self._source.batches_of({'image': images}, size=0, crop=0), regret=of_model)['regret']

  def combination(self, statistics: Statistics) -> np.ndarray:
    """The mean surprise of COMBINED beside held-out images, [N], of what the model says of images."""
    if not self._held_out_scores:
      raise UserError(f'{type(self._model.module).__name__} has none of the scores {", ".join(COMBINED)}')
    return combine([(held_out, self._of_model[name](statistics)) for name, held_out in self._held_out_scores.items()])


def table_of_detection(scores: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[tuple[str, str, dict[str, float]]]:
  """(score, outliers, how well it detects them) of {score: {set: [N]}}, with equally many inside and outside."""
  for name, by_set in scores.items():
    for outliers, values in by_set.items():
      if outliers != INSIDE:
        number = min(len(by_set[INSIDE]), len(values))
        yield name, outliers, detection(by_set[INSIDE][:number], values[:number])
