"""What a run says while it trains: metrics.jsonl, TensorBoard events, a progress bar or plain lines."""

import contextlib
import json
import pathlib
import sys
import time
from collections.abc import Mapping

import jax
import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar
from tqdm import tqdm

from gen_jax.errors import UserError
from gen_jax.files import naming, write_bytes

START = SessionLog.START


def read_metrics(path: pathlib.Path) -> list[dict[str, float]]:
  """The whole lines of a metrics.jsonl; one that a kill cut short, at the end, is left out.

  Raises:
    UserError: another line is damaged.
  """
  lines = path.read_text().split('\n')[:-1] if path.exists() else []
  records = []
  for number, line in enumerate(lines, start=1):
    try:
      records.append(json.loads(line))
    except ValueError:
      raise UserError(f'{path}: line {number} is damaged: remove it') from None
  return records


class MetricsLog:
  """Appends to metrics.jsonl and to TensorBoard events, from the restored `step` on."""

  def __init__(self, workdir: pathlib.Path, step: int):
    self._path = workdir / 'metrics.jsonl'
    kept = [json.dumps(record) + '\n' for record in read_metrics(self._path) if record['step'] <= step]
    write_bytes(self._path, ''.join(kept).encode())
    self._file = self._path.open('a')
    self._events = Events(workdir / 'tensorboard', step + 1)

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """One line; handed to the operating system before it returns."""
    with naming(self._path):
      self._file.write(json.dumps({'step': step, **scalars}) + '\n')
      self._file.flush()
    self._events.write(step, scalars)

  def close(self) -> None:
    """Closes both."""
    with contextlib.suppress(OSError):  # of a line that could not be written, which has been said
      self._file.close()
    self._events.close()


class Events:
  """TensorBoard's events, from `first_step` on, in a file of their own.

  Written at once: the thread of tensorboardX's own writer would not survive a full disk, and hold up the training.
  """

  def __init__(self, folder: pathlib.Path, first_step: int):
    self._folder = folder
    with naming(folder):
      folder.mkdir(exist_ok=True)
      self._file = EventsWriter(str(folder / 'events'), '')
      # TensorBoard then forgets what other files say of these steps
      self._file.write_event(Event(wall_time=time.time(), step=first_step, session_log=SessionLog(status=START)))

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """One event for each; handed to the operating system before it returns."""
    with naming(self._folder):
      for name, value in scalars.items():
        self._file.write_event(Event(wall_time=time.time(), step=step, summary=scalar(name, value)))
      self._file.flush()

  def close(self) -> None:
    """Closes the file."""
    with contextlib.suppress(OSError):
      self._file.close()


class Progress:
  """A bar with rate and time left on a terminal, a plain line every ten seconds elsewhere."""

  def __init__(self, start: int, stop: int):
    self._start, self._stop, self._begun, self._said = start, stop, time.monotonic(), float('-inf')
    self._bar = tqdm(initial=start, total=stop, unit='step', dynamic_ncols=True) if sys.stderr.isatty() else None

  def begin_stage(self, step: int) -> None:
    """The rate of plain lines is from now on that of larger networks; the bar's is of its last steps anyway."""
    self._start, self._begun = step, time.monotonic()

  def show(self, step: int, metrics: Mapping[str, float]) -> None:
    """Step, rate, time left and the main metrics, which are those without a '/' in their names."""
    main = {name: f'{value:.4g}' for name, value in metrics.items() if '/' not in name}
    if self._bar is not None:
      self._bar.set_postfix(main, refresh=False)
      self._bar.update(step - self._bar.n)
      return
    now = time.monotonic()
    if step == self._stop or now - self._said >= 10:
      self._said = now
      rate = (step - self._start) / max(now - self._begun, 1e-9)
      left = (self._stop - step) / max(rate, 1e-9)
      terms = '  '.join(f'{name} {value}' for name, value in main.items())
      print(f'step {step}/{self._stop}  {rate:.1f} steps/s  {left:.0f} s left  {terms}', flush=True)

  def close(self) -> None:
    """Leaves the bar as it is."""
    if self._bar is not None:
      self._bar.close()


def check_finite(history: Mapping[str, np.ndarray], start: int, saved: int | None = None) -> None:
  """Raises UserError that names the first step after `start`, and its metric, whose value [steps] is not finite.

  `saved`: the step of the last checkpoint, None where there is none.
  """
  bad = [(int(np.argmin(np.isfinite(x))), name) for name, x in history.items() if not np.isfinite(x).all()]
  if bad:
    offset, name = min(bad)
    kept = 'nothing has been saved yet' if saved is None else f'checkpoint {saved}, from before it, is kept'
    where = '' if saved is None else ' in another workdir'
    raise UserError(
      f'step {start + offset + 1}: {name} is {history[name][offset]}; {kept}: '
      f'try a lower learning_rate or a clip_norm{where}'
    )


class Recorder:
  """Checks every metric on every process; writes and shows them on the main one.

  saved: the step of the last checkpoint, None where there is none; whoever saves says it.
  """

  def __init__(
    self, workdir: pathlib.Path, start: int, stop: int, log_every: int, writes: bool, saved: int | None = None
  ):
    self._log_every, self.saved = log_every, saved
    self._outputs = (MetricsLog(workdir, start), Progress(start, stop)) if writes else None

  def window(self, start: int, stop: int, history: Mapping[str, jax.Array]) -> None:
    """Metrics {name: [>= stop - start]} of one dispatch, the first ones filled; a line has their means over it."""
    history = {name: np.asarray(x)[: stop - start] for name, x in history.items()}
    check_finite(history, start, self.saved)
    means = {name: float(x.mean(dtype=np.float64)) for name, x in history.items()}
    if self._outputs:
      log, progress = self._outputs
      if stop % self._log_every == 0:
        log.write(stop, means)
      progress.show(stop, means)

  def validation(self, step: int, values: Mapping[str, float]) -> None:
    """Values of the evaluators at one step."""
    check_finite({name: np.array([value]) for name, value in values.items()}, step - 1, self.saved)
    if self._outputs:
      self._outputs[0].write(step, values)

  def begin_stage(self, step: int) -> None:
    """Says at which step larger networks begin."""
    if self._outputs:
      self._outputs[1].begin_stage(step)

  def close(self) -> None:
    """Flushes and closes the outputs."""
    for output in self._outputs or ():
      output.close()
