import types

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from small import small_config
from sources import KnownSource

from gen_jax import build
from gen_jax.data.dataset import from_arrays
from gen_jax.evaluation import probe as probe_lib
from gen_jax.evaluation.probe import DEFAULT_C, GRID, accuracies, choose_c, draw_stratified, fit_linear, probe
from gen_jax.evaluation.source import Source

NOISE = np.random.default_rng(0)


@pytest.fixture
def short_grid(monkeypatch):
  """Two values of C to choose from, in a third of the time."""
  monkeypatch.setattr(probe_lib, 'GRID', (0.1, 1.0))


def clusters(number, spread, seed=0):
  """Three clusters in the plane, far apart where `spread` is small, and a constant beside."""
  noise = np.random.default_rng(seed)
  labels = np.arange(number) % 3
  centers = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
  codes = centers[labels] + spread * noise.normal(size=(number, 2))
  return np.concatenate([codes, np.full((number, 1), 0.1)], axis=1), labels


def test_codes_that_tell_the_label_and_codes_that_do_not(short_grid):
  codes, labels = clusters(300, 0.5)
  test_codes, test_labels = clusters(150, 0.5, seed=1)
  results = dict(accuracies(codes, labels, test_codes, test_labels, (3, 30, None)))
  assert {name: value for name, value in results.items() if not name.endswith(('_sd', '_c'))} == {
    'linear_3': 1.0, 'knn_3': 1.0, 'linear_30': 1.0, 'knn_30': 1.0, 'linear_all': 1.0, 'knn_all': 1.0,
  }  # fmt: skip
  assert results['linear_3_sd'] == results['knn_30_sd'] == 0 and 'linear_all_sd' not in results
  nothing = NOISE.normal(size=(450, 3))
  chance = dict(accuracies(nothing[:300], labels, nothing[300:], test_labels, (None,)))
  assert all(abs(chance[name] - 1 / 3) < 0.12 for name in ('linear_all', 'knn_all'))  # 3 standard errors


def test_neighbors_find_what_is_not_linear():
  x = NOISE.uniform(-1, 1, (900, 2))
  labels = (x[:, 0] * x[:, 1] > 0).astype(int)
  results = dict(accuracies(x[:600], labels[:600], x[600:], labels[600:], (None,)))
  assert results['knn_all'] > 0.95 and results['linear_all'] < 0.65


def test_it_is_what_scikit_learn_says_of_standardized_codes():
  codes, labels = clusters(400, 6.0)
  codes *= np.array([[1.0, 1000.0, 1.0]])
  results = dict(accuracies(codes[:300], labels[:300], codes[300:], labels[300:], (None,)))
  mean, sd = codes[:300, :2].mean(0, keepdims=True), codes[:300, :2].std(0, keepdims=True)
  standard = (codes[:, :2] - mean) / sd
  drawn = draw_stratified(labels[:300], 300, np.random.default_rng(0))
  line = LogisticRegressionCV(
    Cs=GRID, cv=StratifiedKFold(5), l1_ratios=(0,), use_legacy_attributes=False, scoring='neg_log_loss'
  )
  line.fit(standard[drawn], labels[drawn])
  assert results['linear_all_c'] == line.C_ and GRID[0] < line.C_ < GRID[-1]
  assert results['linear_all'] == pytest.approx((line.predict(standard[300:]) == labels[300:]).mean(), abs=0.011)
  near = KNeighborsClassifier(5).fit(codes[:300], labels[:300])
  assert results['knn_all'] == pytest.approx(near.score(codes[300:], labels[300:]), abs=0.011)


def test_more_labels_help_and_the_spread_is_that_of_the_draws(short_grid):
  codes, labels = clusters(600, 4.0)
  test_codes, test_labels = clusters(300, 4.0, seed=1)
  give = lambda seed: dict(accuracies(codes, labels, test_codes, test_labels, (3, 300), seed, repeats=5))
  results = give(0)
  assert results['linear_3'] < results['linear_300'] and results['knn_3'] < results['knn_300']
  assert results['linear_3_sd'] > 2 * results['linear_300_sd'] > 0
  assert give(0) == results != give(1)


def test_numbers_that_cannot_be_drawn_are_left_out(short_grid):
  codes, labels = clusters(30, 1.0)
  names = lambda examples: [name for name, _ in accuracies(codes, labels, codes, labels, examples)]
  assert names((2, 31)) == []
  of = lambda n: [f'{name}_{n}{end}' for name, end in (('linear', ''), ('linear', '_sd'), ('linear', '_c'))]
  knn = lambda n: [f'knn_{n}', f'knn_{n}_sd']
  assert names((3, 30)) == of(3) + knn(3) + of(30) + knn(30)


def like_pixels(number, size=150, seed=0):
  """Neighbors that say almost the same, as pixels do, and labels that a direction of little variance tells."""
  noise = np.random.default_rng(seed)
  x = np.cumsum(noise.normal(size=(number, size)), axis=1)
  x = (x - x.mean(0, keepdims=True)) / x.std(0, keepdims=True)
  return x, (np.diff(x[:, ::15], axis=1) @ [1, -1, 1, -1, 1, -1, 1, -1, 1] + noise.normal(size=number) > 0).astype(int)


def test_the_linear_probe_converges():
  x, labels = like_pixels(2_000)

  def slope(model):
    """The largest entry of the gradient of the mean loss, |w|^2 / (2 C N) included."""
    error = model.predict_proba(x)[:, 1] - labels
    return np.abs(x.T @ error / 2_000 + model.coef_[0] / (model.C * 2_000)).max()

  assert slope(fit_linear(x, labels, 1.0)) < 1.5e-4
  with pytest.warns(match='failed to converge'):
    assert slope(LogisticRegression(max_iter=20).fit(x, labels)) > 3e-4


def test_c_is_chosen_by_the_labeled_examples_alone():
  x, labels = like_pixels(400)
  noise = np.random.default_rng(1)
  few = np.concatenate([x[:60, :5], noise.normal(size=(60, 300))], axis=1)  # where a strong fit is one of the noise
  assert choose_c(few, (x[:60, 0] > 0).astype(int)) < 0.1
  assert choose_c(noise.normal(size=(9, 2)), np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])) == DEFAULT_C  # none to hold out
  assert choose_c(np.array([[0.0], [0], [0], [9], [9]]), np.array([0, 0, 0, 1, 1])) in GRID  # two folds
  c = lambda test_labels: dict(accuracies(x[:200], labels[:200], x[200:], test_labels, (None,)))['linear_all_c']
  assert c(labels[200:]) == c(1 - labels[200:]) == choose_c(np.float32(x[:200]), labels[:200])


def test_draws_are_stratified():
  labels = np.repeat([0, 1, 2], [50, 30, 4])
  noise = np.random.default_rng(0)
  drawn = draw_stratified(labels, 9, noise)
  assert np.bincount(labels[drawn]).tolist() == [3, 3, 3] and len(set(drawn.tolist())) == 9
  assert np.bincount(labels[draw_stratified(labels, 44, noise)]).tolist() == [20, 20, 4]  # where a class has no more
  extra = [np.bincount(labels[draw_stratified(labels, 4, noise)]).argmax() for _ in range(40)]
  assert set(extra) == {0, 1, 2}  # the one beyond is of any class
  assert sorted(draw_stratified(labels, 84, noise)) == list(range(84))


def test_the_evaluator_learns_from_the_training_split_and_scores_the_other(short_grid):
  noise = np.random.default_rng(0)
  labels = np.arange(120) % 2
  # the label is the code's sign, the difference of two pixels, and not in the largest principal component
  images = np.zeros((120, 2, 2, 1), np.float32)
  images[:, 0, 0, 0] = 10 * noise.normal(size=120)
  images[:, 1, 0, 0] = 2 * labels - 1
  model = types.SimpleNamespace(encode=lambda batch: batch['image'][:, 1, 0] * np.array([[1.0]]))

  def batches_of(rows, sign=1):
    def batches():
      for part in np.array_split(rows, 2):
        mask = np.append(np.ones(len(part), np.float32), 0)
        padded = np.append(part, part[0])
        label = np.append(labels[part], 1 - labels[part[0]])  # the padding would teach the wrong thing
        yield {'image': sign * images[padded], 'label': label, 'mask': mask}

    return batches

  results = dict(probe(model, KnownSource(batches_of(np.arange(80, 120)), batches_of(np.arange(80)))))
  assert results['probe_linear_all'] == results['probe_linear_10'] == results['probe_knn_all'] == 1.0
  assert results['probe_pixels_linear_all'] == 1.0 and results['probe_pca_linear_all'] < 0.75
  assert {'probe_pixels_knn_10_sd', 'probe_pca_knn_all', 'probe_linear_10_c'} <= set(results)
  assert 'probe_linear_100' not in results
  opposite = dict(probe(model, KnownSource(batches_of(np.arange(80, 120), sign=-1), batches_of(np.arange(80)))))
  assert opposite['probe_linear_all'] == 0.0


def test_training_examples_of_one_class_teach_no_probe():
  source = Source.of(small_config('digits'), build.dataset(small_config('digits'), 'test'))
  assert probe_lib.two_training_classes(None, source) is None
  for counts, answer in (
    ((5, 0, 0), 'needs training examples of two classes or more; those of digits are of one'),
    ((5, 1, 0), None),
    (None, None),  # not known before they are read
  ):
    split = from_arrays({'image': np.zeros((1, 8, 8, 1), np.uint8)})._replace(class_counts=counts)
    source = types.SimpleNamespace(name='digits', split=lambda name, split=split: split)
    assert probe_lib.two_training_classes(None, source) == answer


def test_the_probe_learns_from_the_whole_training_split_and_scores_the_examples_of_the_source(monkeypatch):
  config = small_config('digits')
  source = Source.of(config, build.dataset(config, 'test'), 50)
  lengths = []

  def accuracies(codes, labels, test_codes, test_labels):
    lengths.append((len(codes), len(labels), len(test_codes), len(test_labels)))
    yield 'knn_all', 1.0

  class Pixels:
    encode = staticmethod(lambda batch: np.asarray(batch['image']).reshape(len(batch['image']), -1)[:, :5])

  monkeypatch.setattr(probe_lib, 'accuracies', accuracies)
  names = ('probe_knn_all', 'probe_pixels_knn_all', 'probe_pca_knn_all')
  assert dict(probe_lib.probe(Pixels, source)) == dict.fromkeys(names, 1.0)
  assert lengths == [(1397, 1397, 50, 50)] * 3
