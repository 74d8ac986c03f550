"""Two classifiers that tell one speaker from another, both learned here, in closed form, from recordings alone.

Neither sees how loud a recording is or what its mean spectrum is, which any filter changes: cepstra are mean-free over
an utterance.

correlations   of cepstra, and of their differences: what is told by second moments. A linear map of frames with the
               right covariance is taken for the other speaker, so that the number alone proves nothing.
windows        short windows of cepstra that are white over the utterance, whose moments are those of any other: it
               sees what frames are like beyond a Gaussian, and how they follow each other. Linear maps fool it little.
"""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.fft

CEPSTRA = 24
PIECE, STEP = 125, 62  # frames of what the first classifier learns from, and from one to the next
RIDGE = 100.0  # of the regression, beside N standardized examples
CONTEXT = (-3, 0, 3)  # frames of a window
WAVES, WIDTH, WAVES_RIDGE = 1_000, 0.7, 10.0  # random cosines of a window, how fast they are
SINGULAR = 1e-3  # of the mean variance, added when cepstra are made white

Tell = Callable[[np.ndarray], float]  # frames [T,bands] -> above 0 where the second speaker is heard


def mean_free_cepstra(frames: np.ndarray) -> np.ndarray:
  """c1 to c24 [T,24] of log amplitudes [T,bands], less their means over the utterance."""
  cepstra = scipy.fft.dct(np.asarray(frames, np.float64), norm='ortho', axis=1)[:, 1 : CEPSTRA + 1]
  return cepstra - cepstra.mean(0)


def correlations(frames: np.ndarray) -> np.ndarray:
  """Those of each two mean-free cepstra, and of each two of their differences from frame to frame, [K (K - 1)]."""
  cepstra = mean_free_cepstra(frames)
  return np.concatenate([correlations_of(cepstra), correlations_of(np.diff(cepstra, axis=0))])


def correlations_of(x: np.ndarray) -> np.ndarray:
  """The correlations of columns [T,K] above the diagonal, [K (K - 1) / 2]; 0 of what does not vary."""
  x = x - x.mean(0)
  x = x / np.maximum(np.sqrt((x * x).sum(0)), 1e-12)
  return (x.T @ x)[np.triu_indices(x.shape[1], 1)]


def whitened_windows(frames: np.ndarray) -> np.ndarray:
  """[T,3 K]: three frames, 3 apart, of cepstra S^(-1/2) c, with their covariance S over the utterance."""
  cepstra = mean_free_cepstra(frames)
  covariance = cepstra.T @ cepstra / len(cepstra)
  values, vectors = np.linalg.eigh(covariance)
  scale = 1 / np.sqrt(values + SINGULAR * values.mean() + 1e-12)
  white = cepstra @ (vectors * scale) @ vectors.T
  reach = max(CONTEXT)
  padded = np.pad(white, [(reach, reach), (0, 0)], mode='symmetric')
  return np.concatenate([padded[reach + k : reach + k + len(white)] for k in CONTEXT], axis=1)


def fit_ridge(x: np.ndarray, y: np.ndarray, ridge: float) -> Callable[[np.ndarray], np.ndarray]:
  """The linear regression of y [N] of -1 and 1 on x [N,D], standardized: x [n,D] -> [n]. Both speakers weigh alike."""
  weight = np.where(y > 0, (y < 0).mean(), (y > 0).mean())[:, None] * 2
  mean = (weight * x).sum(0) / weight.sum()
  deviation = x.std(0) + 1e-6
  z = (x - mean) / deviation
  slope = np.linalg.solve((weight * z).T @ z + ridge * np.eye(z.shape[1]), (weight * z).T @ y)
  return lambda x: (x - mean) / deviation @ slope


def learn_correlations(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> Tell:
  """The first classifier, learned from pieces of the frames of both speakers."""
  pieces = [[piece for frames in of_speaker for piece in pieces_of(frames)] for of_speaker in (first, second)]
  x = np.array([correlations(piece) for of_speaker in pieces for piece in of_speaker])
  predict = fit_ridge(x, signs(*map(len, pieces)), RIDGE)
  return lambda frames: float(predict(correlations(frames)[None])[0])


def learn_windows(first: Sequence[np.ndarray], second: Sequence[np.ndarray], seed: int = 0) -> Tell:
  """The second one: of an utterance the mean over its windows. Random Fourier features (Rahimi and Recht, 2007)."""
  windows = [np.concatenate([whitened_windows(frames) for frames in of_speaker]) for of_speaker in (first, second)]
  x = np.float32(np.concatenate(windows))
  noise = np.random.default_rng(seed)
  matrix = np.float32(noise.normal(size=(x.shape[1], WAVES)) * (WIDTH / np.sqrt(x.shape[1])))
  phase = np.float32(noise.uniform(0, 2 * np.pi, WAVES))
  waves = lambda x: np.cos(np.float32(x) @ matrix + phase)
  predict = fit_ridge(waves(x), np.float32(signs(*map(len, windows))), WAVES_RIDGE)
  return lambda frames: float(predict(waves(whitened_windows(frames))).mean())


def pieces_of(frames: np.ndarray) -> list[np.ndarray]:
  """Pieces of 125 frames, 62 apart, of 2 s where frames are 16 ms apart; the whole where it is shorter."""
  return [frames[start : start + PIECE] for start in range(0, max(1, len(frames) - PIECE + 1), STEP)]


def signs(first: int, second: int) -> np.ndarray:
  """-1 for each example of the first speaker, then 1 for each of the second."""
  return np.repeat([-1.0, 1.0], [first, second])


CLASSIFIERS: dict[str, Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], Tell]] = {
  'correlations': learn_correlations,
  'windows': learn_windows,
}
