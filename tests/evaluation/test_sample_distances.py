import functools

import numpy as np
import pytest
from sources import KnownSource, Repeats, digits_like_mnist, gray_source, padded_batches

from gen_jax.data.preprocess import resize
from gen_jax.data.sets import tfds
from gen_jax.errors import UserError
from gen_jax.evaluation import extractors, sample_distances, samples
from gen_jax.evaluation.distances import kernel_distance
from gen_jax.evaluation.reference import extractor_outputs, references_of
from gen_jax.evaluation.sample_distances import all_distances, frechet


@pytest.fixture(autouse=True, scope='module')
def kept(tmp_path_factory):
  """What real images look like is asked once for all tests."""
  folder = tmp_path_factory.mktemp('cache')
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('XDG_CACHE_HOME', str(folder))
    yield


@pytest.fixture(autouse=True)
def few_subsets(monkeypatch, request):
  if 'slow' not in request.keywords:
    monkeypatch.setattr(sample_distances, 'kernel_distance', functools.partial(kernel_distance, subsets=10))


TRAIN, LABELS = (rows[:800] for rows in digits_like_mnist('train'))
TEST = np.concatenate([digits_like_mnist(split)[0] for split in ('validation', 'test')])


def distances(model, train=TRAIN, test=TEST, **given):
  return dict(sample_distances.sample_distances(model, gray_source(train, test, **given)))


def frechet_of(model, train=TRAIN, **given):
  return dict(frechet(model, gray_source(train, TEST, **given)))


@functools.cache
def unseen():
  """Unseen images as samples."""
  return distances(Repeats(TEST))


def test_unseen_images_measure_as_unseen_images():
  results = unseen()
  for kind in extractors.NETWORKS:
    for name in ('frechet', 'frechet_over_trace', 'precision', 'recall', 'density', 'coverage'):
      # in another order, and moments do not mind
      assert results[f'{name}_{kind}'] == pytest.approx(results[f'{name}_{kind}_unseen'], rel=1e-4, abs=1e-6), name
    assert 0 < results[f'frechet_over_trace_{kind}'] < 0.03
    assert abs(results[f'kernel_{kind}']) < 6 * results[f'kernel_stderr_{kind}']
    assert results[f'precision_{kind}'] > 0.7 and results[f'recall_{kind}'] > 0.7
    assert results[f'extractor_{kind}'] == f'mnist-{kind} {extractors.load(kind).hash}'
  shares = [results[f'share_class_{c}'] for c in range(10)]
  assert sum(shares) == pytest.approx(1) and 0.5 < results['least_share_ratio'] < 1 < results['most_share_ratio'] < 1.5
  assert (results['sample_count'], results['unseen_count'], results['reference_count']) == (400, 400, len(TRAIN))
  assert results['sample_protocol'] == (
    '400 samples (rows from 0) and 400 images of the split, beside all 800 of train, 800 of them for the kernel '
    'distance; precision and the rest of at most 800 of each, k = 3; not binary, 28x28; seed 0'
  )


def test_what_goes_wrong_with_samples_is_seen():
  least = unseen()
  noise = np.random.default_rng(0).standard_normal(TEST.shape).astype(np.float32)
  noisy = distances(Repeats(np.clip(TEST + 0.3 * noise, 0, 1)))
  one = distances(Repeats(TRAIN[LABELS == 3]))
  copies = distances(Repeats(TRAIN[:40]))
  for kind in extractors.NETWORKS:
    assert noisy[f'frechet_{kind}'] > 3 * least[f'frechet_{kind}']
    assert one[f'frechet_{kind}'] > noisy[f'frechet_{kind}']  # a distance cannot say what is wrong, these can:
    assert noisy[f'precision_{kind}'] < 0.7 * least[f'precision_{kind}']
    assert one[f'precision_{kind}'] > 0.9 and one[f'recall_{kind}'] < 0.3 and one[f'coverage_{kind}'] < 0.3
    assert copies[f'precision_{kind}'] > 0.9 and copies[f'recall_{kind}'] < 0.1
    assert copies[f'kernel_{kind}'] > least[f'kernel_{kind}']
  assert one['share_class_3'] > 0.9 and one['least_share_ratio'] == 0 and one['most_share_ratio'] > 8


def test_the_range_of_the_model_and_the_size_of_the_batches_change_nothing(monkeypatch):
  once = unseen()
  monkeypatch.setattr(samples, 'BATCH', 150)
  again = distances(Repeats(TEST, (-1.0, 1.0)), value_range=(-1.0, 1.0))
  assert once.keys() == again.keys()
  for name, value in once.items():
    assert again[name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-3, abs=1e-5)), name


def test_binary_samples_stand_beside_binary_images():
  binary = lambda images: (images > 0.5).astype(np.float32)
  source = KnownSource(*(padded_batches(image=binary(images)) for images in (TEST, TRAIN)))  # no gray ones
  results = dict(sample_distances.sample_distances(Repeats(binary(TEST)), source))
  assert results['frechet_cnn'] == pytest.approx(results['frechet_cnn_unseen'], rel=1e-4)
  assert dict(frechet(Repeats(binary(TEST)), source)) == {
    f'frechet_over_trace_{kind}': results[f'frechet_over_trace_{kind}'] for kind in extractors.NETWORKS
  }
  beside_gray = np.concatenate([binary(TEST[1:]), TEST[:1]])  # not all binary
  assert frechet_of(Repeats(beside_gray))['frechet_over_trace_cnn'] > 2 * results['frechet_over_trace_cnn']


def test_the_short_form_says_the_same():
  results = frechet_of(Repeats(TEST))
  assert results.keys() == {'frechet_over_trace_cnn', 'frechet_over_trace_lenet'}
  assert results == {name: unseen()[name] for name in results}


def test_images_of_another_size_are_resized_to_what_the_network_knows():
  small = lambda images: np.asarray(resize(images * 255, 14, 256)) / 255
  results = distances(Repeats(small(TEST)), train=small(TRAIN), test=small(TEST))
  assert results['frechet_cnn'] == pytest.approx(results['frechet_cnn_unseen'], rel=1e-4)
  assert 'not binary, 14x14 resized to 28x28; seed 0' in results['sample_protocol']
  with pytest.raises(UserError, match='sees images of 28x28x1, not 28x28x3'):
    distances(Repeats(np.repeat(TEST, 3, axis=-1)), train=np.repeat(TRAIN, 3, axis=-1))


def test_what_cannot_be_measured_is_one_line():
  with pytest.raises(UserError, match=r'`python -m gen_jax.evaluation.extractors sprites`'):
    distances(Repeats(TEST), name='sprites')
  broken = TEST.copy()
  broken[:3, 0], broken[3, 0, 0] = np.nan, np.inf
  with pytest.raises(UserError, match='4 of 400 samples are not finite'):
    distances(Repeats(broken))
  with pytest.raises(UserError, match='2 rows of features are too few'):
    distances(Repeats(TEST), sample_count=2)


def test_few_samples_are_said_to_be_few(capsys):
  assert frechet_of(Repeats(TEST), sample_count=20).keys()
  message = capsys.readouterr().err
  assert 'covariance of 20 rows of 128 features is singular' in message and '20 rows of 84' in message


def mnist():
  """Train and test images in [0, 1], and their labels."""
  try:
    arrays = [tfds.load('mnist', split, None, 2**30).arrays for split in ('train', 'test')]
  except UserError as error:
    pytest.skip(str(error))
  return [part for rows in arrays for part in (rows['image'].astype(np.float32) / 255, rows['label'])]


def calibration_sets():
  """Training images, and sets of which it is known what is wrong with them."""
  from scipy.ndimage import gaussian_filter

  train, train_labels, test, _ = mnist()
  noise = np.random.default_rng(0)
  normal = noise.standard_normal(test.shape).astype(np.float32)
  order = noise.permutation(len(train))
  drawn, labels = train[order], train_labels[order]
  return train, {
    'test': test,
    '1000 of test': test[noise.permutation(len(test))[:1000]],
    'noise .1': np.clip(test + 0.1 * normal, 0, 1),
    'noise .4': np.clip(test + 0.4 * normal, 0, 1),
    'blur 1': np.clip(gaussian_filter(test, (0, 1, 1, 0)), 0, 1),
    'binarized': (test > 0.5).astype(np.float32),
    '1 digit missing': drawn[labels < 9][:10_000],
    '5 digits missing': drawn[labels < 5][:10_000],
    '1000 repeated': drawn[noise.integers(1000, size=10_000)],
    '10 repeated': drawn[noise.integers(10, size=10_000)],
    'black': np.zeros_like(test),
  }


CALIBRATION = {  # Frechet distances by a LeNet and a CNN that were trained elsewhere, traces 46 and 635
  'test': (0.060, 0.97),
  '1000 of test': (0.32, 4.5),
  'noise .1': (1.51, 22.5),
  'noise .4': (26, 325),
  'blur 1': (1.09, 267),
  '1 digit missing': (1.21, 11.4),
  '5 digits missing': (11.3, 133),
  '1000 repeated': (0.24, 3.6),
  '10 repeated': (30, 340),
  'black': (91, 1555),
}


@pytest.mark.data
@pytest.mark.slow
def test_calibration_on_mnist():
  from scipy.stats import spearmanr

  train, sets = calibration_sets()
  networks = {kind: extractors.load(kind) for kind in ('lenet', 'cnn')}
  references = references_of(networks, padded_batches(image=train), (0.0, 1.0))
  by_trace = {}
  for column, (kind, network) in enumerate(networks.items()):
    reference = references[kind]
    results = {name: dict(all_distances(extractor_outputs(network, x)[1], reference)) for name, x in sets.items()}
    for name, values in results.items():
      print(kind, name, ' '.join(f'{key} {value:.4g}' for key, value in values.items()))
    by_trace[kind] = {name: values['frechet_over_trace'] for name, values in results.items()}
    distances = np.array([by_trace[kind][name] for name in CALIBRATION])
    wanted = np.array([row[column] for row in CALIBRATION.values()]) / (46, 635)[column]
    ratio = dict(zip(CALIBRATION, distances / wanted, strict=True))
    # one architecture differs by .53 to 1.27 between two seeds; this CNN is another one, and blurs more of a blur
    least, most = ((0.53, 1.27), (0.5, 1.5))[column]
    blur = ratio.pop('blur 1')
    assert (0.53, 0.3)[column] < blur < most
    assert least < min(ratio.values()) and max(ratio.values()) < most, ratio
    assert spearmanr(distances, wanted).statistic > (0.95, 0.84)[column]
    floor = results['test']
    assert 0.001 < floor['frechet_over_trace'] < 0.0025 and abs(floor['kernel']) < 4 * floor['kernel_stderr'] < 0.01
    assert 3 < results['1000 of test']['frechet'] / floor['frechet'] < 8  # the bias of few samples
    # there of LeNet alone, and asked of both here
    near = lambda name, precision, recall, results=results: (
      results[name]['precision'] == pytest.approx(precision, abs=0.1)
      and results[name]['recall'] == pytest.approx(recall, abs=0.1)
    )
    assert near('test', 0.89, 0.87) and near('1 digit missing', 0.90, 0.83)
    assert near('5 digits missing', 0.90, 0.55)  # .63 there, of which digits is not known
    assert near('noise .1', 0.82, 0.69) and near('1000 repeated', 0.95, 0.27) and near('black', 0, 0)
    assert results['10 repeated']['recall'] < 0.01
  # what a tanh LeNet hardly sees, and the reason for two
  assert by_trace['lenet']['blur 1'] < 0.03 and by_trace['cnn']['blur 1'] > 0.05
  # the CNN here has learned binarized images too, that of the table has not (26.8 / 635)
  assert by_trace['lenet']['binarized'] < 0.005 and by_trace['cnn']['binarized'] < 26.8 / 635
