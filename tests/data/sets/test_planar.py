import numpy as np
import pytest
from PIL import Image
from scipy import stats
from sklearn.datasets import make_moons, make_swiss_roll

from gen_jax.data.dataset import Feature
from gen_jax.data.sets import planar
from gen_jax.data.sets.grid_of_factors import split_rows
from gen_jax.errors import UserError

ROWS = np.random.default_rng(0).normal((5.0, -300.0), (2.0, 40.0), (57, 2)).round(3)


def target_of(name, **options):
  return planar.TARGETS[name] if name in planar.TARGETS else planar.load(name, 'test', **options).target


def sample(name, n=20_000, seed=7, **options):
  return target_of(name, **options).sample(np.random.default_rng(seed), n)


def write_csv(path, rows=ROWS, header=''):
  path.write_text(header + ''.join(','.join(map(str, row)) + '\n' for row in rows), encoding='utf-8')
  return str(path)


def write_picture(path, pixels):
  Image.fromarray(np.array(pixels, np.uint8)).save(path)
  return str(path)


@pytest.mark.parametrize(('name', 'modes', 'sigma', 'variance'), [
  ('ring', 8, 0.02 / 1.414, (2 / 1.414) ** 2 / 2),  # of the cosine of a uniform angle: 1/2
  ('grid', 25, 0.05 / 2.828, (2 / 2.828) ** 2 * 2),  # of -2, -1, 0, 1, 2: 2
])  # fmt: skip
def test_mixtures_have_their_modes_and_moments(name, modes, sigma, variance):
  target, points = planar.TARGETS[name], sample(name)
  assert target.modes.shape == (modes, 2)
  assert target.sigma == sigma
  np.testing.assert_allclose(np.cov(points.T), np.eye(2) * (variance + sigma**2), atol=0.02)
  distances = np.linalg.norm(points[:, None] - target.modes, axis=-1)
  counts = np.bincount(distances.argmin(axis=1), minlength=modes)
  assert stats.chisquare(counts).pvalue > 1e-3
  assert stats.kstest(distances.min(axis=1) / sigma, 'rayleigh').pvalue > 1e-3


def test_the_ring_has_a_mode_to_the_right():
  np.testing.assert_allclose(planar.TARGETS['ring'].modes[0], [2 / 1.414, 0])


@pytest.mark.parametrize(('name', 'theirs'), [
  ('swiss_roll', lambda n: make_swiss_roll(n, noise=0.25, random_state=0)[0][:, [0, 2]] / 7.5),
  ('moons', lambda n: 1.2 * (make_moons(n, noise=0.05, random_state=0)[0] - [0.5, 0.25])),
])  # fmt: skip
def test_the_swiss_roll_and_the_moons_are_those_of_scikit_learn(name, theirs):
  ours, theirs = sample(name), theirs(20_000)
  for direction in np.eye(2)[[0, 1]].tolist() + [[0.6, 0.8], [0.8, -0.6]]:
    assert stats.ks_2samp(ours @ direction, theirs @ direction).pvalue > 1e-3


def test_the_spirals_turn_with_their_radius():
  points = sample('spirals')
  radius, angle = np.linalg.norm(points, axis=1), np.arctan2(*points.T[::-1])
  outer = radius > 0.5
  off = np.sin(angle - 5 * radius)[outer]  # 0 on either arm
  assert np.abs(off).mean() < 0.3  # of points everywhere: 2 / pi
  assert abs((np.cos(angle - 5 * radius)[outer] > 0).mean() - 0.5) < 0.02  # both arms
  assert stats.kstest((5 * radius[outer] / (3 * np.pi)) ** 2, 'uniform').statistic < 0.1


@pytest.mark.parametrize('name', list(planar.TARGETS))
def test_splits_are_fixed_and_differ(name):
  splits = {split: planar.load(name, split) for split in planar.SPLITS}
  assert [data.size for data in splits.values()] == [100_000, 10_000, 10_000]
  points = {split: data.arrays['image'] for split, data in splits.items()}
  assert points['test'].dtype == np.float32
  assert points['test'].shape == (10_000, 1, 1, 2)
  assert splits['test'].features == {'image': Feature((1, 1, 2), 0, 'points')}
  every = np.concatenate(list(points.values())).reshape(-1, 2)
  assert len(np.unique(every, axis=0)) > 0.999 * len(every)
  assert np.abs(every).max() < 2.2
  np.testing.assert_array_equal(planar.load(name, 'test').arrays['image'], points['test'])


@pytest.mark.parametrize('header', ['', 'height,weight\n', '\ufeffx,y\n\n'])
def test_the_rows_of_a_csv_are_divided_and_standardized(tmp_path, header):
  path = write_csv(tmp_path / 'points.csv', header=header)
  parts = {split: planar.load(path, split).arrays['image'].reshape(-1, 2) for split in planar.SPLITS}
  assert {split: len(part) for split, part in parts.items()} == {'train': 47, 'validation': 5, 'test': 5}
  np.testing.assert_allclose(parts['train'].mean(axis=0), 0, atol=1e-6)
  np.testing.assert_allclose(parts['train'].std(axis=0), 1, rtol=1e-6)
  train = ROWS[split_rows(57, 'train')]
  again = np.concatenate(list(parts.values())) * train.std(axis=0) + train.mean(axis=0)
  np.testing.assert_allclose(np.sort(again, axis=0), np.sort(ROWS, axis=0), rtol=1e-5)


def test_a_csv_is_resampled_from_its_training_rows(tmp_path):
  path = write_csv(tmp_path / 'points.csv')
  train = planar.load(path, 'train').arrays['image'].reshape(-1, 2)
  assert {tuple(row) for row in sample(path, 2000)} == {tuple(row) for row in train}
  assert target_of(path).modes is None


def test_of_more_columns_those_named_x_and_y_count(tmp_path):
  rows = [(i, 'name', y, x) for i, (x, y) in enumerate(ROWS)]
  wide = write_csv(tmp_path / 'wide.csv', rows, 'id,label, y,x\n')
  narrow = write_csv(tmp_path / 'narrow.csv')
  for split in planar.SPLITS:
    both = [planar.load(path, split).arrays['image'] for path in (wide, narrow)]
    np.testing.assert_array_equal(*both)


def test_the_units_of_a_csv_are_kept(tmp_path):
  path = write_csv(tmp_path / 'points.csv', header='height, weight\n')
  for standardize in (True, False):
    data = planar.load(path, 'test', standardize=standardize)
    assert data.units.names == ('height', 'weight') and 'columns height and weight' in data.about.what
    points = data.arrays['image'].reshape(-1, 2)
    rows = ROWS[split_rows(57, 'test')]
    np.testing.assert_allclose(data.in_units(points), rows, rtol=1e-5)
    np.testing.assert_allclose(data.from_units(rows), points, atol=1e-5)
    assert (abs(points - rows).max() < 1e-4) != standardize
  assert planar.load('ring', 'test').in_units(points) is points


def test_the_content_of_a_csv_is_its_numbers(tmp_path):
  first, wide = write_csv(tmp_path / 'a.csv'), write_csv(tmp_path / 'b.csv', header='x,y\n')
  content = [planar.load(path, 'test').hash_content() for path in (first, wide)]
  assert content[0] == content[1] == planar.load(first, 'test', standardize=False).hash_content()
  assert planar.load(write_csv(tmp_path / 'c.csv', ROWS + 1), 'test').hash_content() != content[0]


@pytest.mark.parametrize(('text', 'message'), [
  ('a,b,c\n' + '1,2,3\n' * 12, r'has 3 columns \(a, b, c\), not two separated by a comma: keep two, or head them x'),
  ('1;2\n' * 12, r'has 1 columns \(1;2\), not two separated by a comma'),
  ('x,y\n' + '1,2\n' * 6 + '3,abc\n' * 6, r"line 8 of .*points.csv: 'abc' is no finite number: mend or remove it"),
  ('1,2\n' * 6 + '\n3,inf\n' * 6, r"line 8 of .*points.csv: 'inf' is no finite number"),
  ('1,\n' * 12, r"line 1 of .*points.csv: '' is no finite number"),
  ('1,2\n' * 6 + '1,2,3\n' * 6, r'line 7 of .*points.csv has 3 cells, not 2'),
  ('x,y\n' + '1,2\n' * 9, r'points.csv has 9 rows of numbers: it needs at least 10'),
  ('', r'points.csv has 0 rows of numbers'),
  ('x,y\n', r'points.csv has 0 rows of numbers'),
  ('\n'.join(f'{i},7' for i in range(12)), r'points.csv has a column whose values are all equal'),
  ('\n'.join(f'{i},.1' for i in range(80)), r'points.csv has a column whose values are all equal'),
  (b'\xff\xfe\x00', r'points.csv cannot be read as CSV'),
])  # fmt: skip
def test_mistakes_in_a_csv_are_named(tmp_path, text, message):
  path = tmp_path / 'points.csv'
  path.write_bytes(text if isinstance(text, bytes) else text.encode())
  with pytest.raises(UserError, match=message) as error:
    planar.load(str(path), 'train')
  assert '\n' not in str(error.value)


def test_points_fall_where_a_picture_is_bright(tmp_path):
  path = write_picture(tmp_path / 'picture.png', [[0, 100, 0, 0], [200, 0, 0, 50]])
  points = sample(path)
  assert points.dtype == np.float32
  pixels = np.floor(points * [1, -1] + [2, 1]).astype(int)  # a pixel is 1 wide, as the longer side is 4
  assert {tuple(pixel) for pixel in pixels} == {(1, 0), (0, 1), (3, 1)}  # column, row
  counts = [(pixels == pixel).all(axis=1).sum() for pixel in ((1, 0), (0, 1), (3, 1))]
  assert stats.chisquare(counts, 20_000 * np.array([2, 4, 1]) / 7).pvalue > 1e-3
  for within in (points[(pixels == (0, 1)).all(axis=1)] + [2, 1]).T:
    assert stats.kstest(within, 'uniform').pvalue > 1e-3


def test_points_fall_where_a_picture_is_dark_if_it_is_inverted(tmp_path):
  path = write_picture(tmp_path / 'picture.png', [[255, 155, 255, 255], [55, 255, 255, 205]])
  inverse = write_picture(tmp_path / 'inverse.png', [[0, 100, 0, 0], [200, 0, 0, 50]])
  np.testing.assert_array_equal(sample(path, invert=True), sample(inverse))
  for invert, tone in ((True, 'dark'), (False, 'bright')):
    (note,) = planar.load(path, 'test', invert=invert).about.notes
    assert note.startswith(f'{tone} pixels are dense, --config.data.invert={not invert} ')
  with pytest.raises(UserError, match=r'white.png is all white, or transparent: dark pixels are dense'):
    planar.load(write_picture(tmp_path / 'white.png', np.full((4, 4), 255)), 'train', invert=True)


def test_no_points_fall_where_a_picture_is_transparent(tmp_path):
  path = write_picture(tmp_path / 'picture.png', [[[255, 255, 255, 0], [255, 255, 255, 255]]])
  assert sample(path)[:, 0].min() >= 0


def test_a_picture_has_three_splits(tmp_path):
  path = write_picture(tmp_path / 'picture.png', np.full((8, 8), 9))
  assert [planar.load(path, split).size for split in planar.SPLITS] == [100_000, 10_000, 10_000]
  assert np.abs(planar.load(path, 'test').arrays['image']).max() <= 2


def test_mistakes_in_a_picture_are_named(tmp_path):
  message = r'black.png is all black, or transparent: bright pixels are dense: set config.data.invert=True'
  with pytest.raises(UserError, match=message):
    planar.load(write_picture(tmp_path / 'black.png', np.zeros((4, 4))), 'train')
  (tmp_path / 'text.png').write_text('no image')
  with pytest.raises(UserError, match=r'text.png cannot be read as an image'):
    planar.load(str(tmp_path / 'text.png'), 'train')


@pytest.mark.parametrize('name', ['nowhere.csv', 'nowhere.png'])
def test_a_missing_file_is_named(tmp_path, name):
  with pytest.raises(UserError, match=f'there is no file .*{name}'):
    planar.load(str(tmp_path / name), 'train')


def test_other_names_are_no_distributions():
  assert all(map(planar.names_points, ['ring', 'a/b.CSV', 'x.jpeg']))
  assert not any(map(planar.names_points, ['mnist', 'sprites', 'folder/of/images']))
  with pytest.raises(UserError, match="there is no split 'val': use one of train, validation, test"):
    planar.load('ring', 'val')
