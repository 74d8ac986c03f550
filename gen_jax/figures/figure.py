"""What a figure says of itself: its mode's line of help, needs and flags, its place in the report, when it is made.

A figure is a function of a run whose name is that of its mode. It yields what it shows and writes nothing:

  @figure('test images and their reconstructions', needs=(methods('reconstruct'), images), place=10, automatic=True)
  def reconstruct(run):
    yield Picture('reconstructions', canvas, 'Test images and their reconstructions')

The decorators only set attributes, which the command line, `write` and the report read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gen_jax.errors import MOST_INTEGER, UserError
from gen_jax.evaluation.needs import Condition, first_problem

if TYPE_CHECKING:
  import matplotlib.figure

  from gen_jax.runs import Run


class Flag(NamedTuple):
  """A flag of the command line that a mode takes: --NAME=VALUE."""

  default: Any
  help: str
  lower_bound: int | None = None
  upper_bound: int = MOST_INTEGER
  formerly: tuple[str, ...] = ()  # names by which it still is answered
  type: type | None = None  # of its values; by default that of `default`, where a tuple is a list of words

  @property
  def value_type(self) -> type:
    """bool, int, float, str or tuple."""
    return self.type or type(self.default)


class Picture(NamedTuple):
  """An image file: WORKDIR/figures/NAME.png."""

  name: str
  content: matplotlib.figure.Figure | np.ndarray | bytes  # np.ndarray: uint8 [H,W,C]; bytes: those of a PNG
  caption: str  # in the report


class Sound(NamedTuple):
  """A sound file: WORKDIR/figures/NAME.flac, which the report plays."""

  name: str
  wave: np.ndarray  # float32 [T], in [-1, 1]; what lies beyond is cut
  rate: int  # Hz
  caption: str  # in the report
  group: str = ''  # the players of one group stand side by side in the report, under its name


class Arrays(NamedTuple):
  """A file of arrays: WORKDIR/NAME.npz."""

  name: str
  arrays: Mapping[str, np.ndarray]


class Text(NamedTuple):
  """Lines for the user, printed."""

  text: str


Output = Picture | Sound | Arrays | Text

# of the run, and of others beside it
CHECKPOINT = Flag('best', 'which checkpoint to read: best, last, or a step')
TRUST = Flag(False, "run the programs of own classes that the run names, whosever they are")


def mode(
  help: str,
  *,
  needs: Iterable[Condition] = (),
  flags: Mapping[str, Flag] | None = None,
  formerly: Iterable[str] = (),
  of_run: bool = True,
  writes: bool = True,
) -> Callable[[Callable], Callable]:
  """Decorates a function that is a mode of launch.py, by its own name: --mode=NAME.

  Args:
    help: one line of --help.
    needs: conditions `(model, source) -> None, or what is missing`, as those of `gen_jax.evaluation.needs`.
    flags: {name: Flag}, passed to the function by these names.
    formerly: older names of the mode.
    of_run: whether it is called `(run, **flags)`, with a finished run; else `(config, workdir, watch, **flags)`.
    writes: whether it writes into the workdir.
  """

  def decorate(function: Callable) -> Callable:
    function.help, function.needs, function.formerly = help, tuple(needs), tuple(formerly)
    function.flags, function.of_run, function.writes = dict(flags or {}), of_run, writes
    return function

  return decorate


def figure(
  help: str,
  *,
  place: float,
  needs: Iterable[Condition] = (),
  automatic: bool | Callable[[Run], bool] = False,
  after_evaluation: str = '',
  flags: Mapping[str, Flag] | None = None,
  formerly: Iterable[str] = (),
) -> Callable[[Callable[..., Iterator[Output]]], Callable[..., Iterator[Output]]]:
  """Decorates a function `(run, **flags) -> iterator of Picture, Sound, Arrays, Text`, which then is a mode too.

  Args:
    help: one line of --help.
    place: in the report, where figures stand in ascending order.
    needs: as those of `mode`.
    automatic: whether it is made at the end of training, where its needs are met; or a function that says so of a run.
    after_evaluation: the array of an evaluation that it shows; made again whenever an evaluation gives that array.
    flags: as those of `mode`.
    formerly: as that of `mode`.
  """

  def decorate(function: Callable[..., Iterator[Output]]) -> Callable[..., Iterator[Output]]:
    function = mode(help, needs=needs, flags=flags, formerly=formerly)(function)
    function.place, function.automatic, function.after_evaluation = place, automatic, after_evaluation
    return function

  return decorate


def missing(run: Run, *conditions: Condition) -> str | None:
  """The first of the conditions that the run's model and data do not meet, in words: 'needs ...'; else None."""
  return first_problem(conditions, run.module, run.source)


def require(run: Run, name: str, *conditions: Condition) -> None:
  """Raises UserError where the run's model and data do not meet the conditions of the mode `name`."""
  if problem := missing(run, *conditions):
    raise UserError(f'{run.workdir}: --mode={name}{" " if problem.startswith("needs") else ": "}{problem}')


def with_defaults(function: Callable, options: Mapping[str, Any]) -> dict[str, Any]:
  """{name: value} of all flags of a mode: those of `options`, the rest at their defaults."""
  return {name: flag.default for name, flag in function.flags.items()} | dict(options)


def by_all_names(functions: Mapping[str, Callable]) -> dict[str, Callable]:
  """{name: mode} of modes, by their older names too."""
  older = {name: function for function in functions.values() for name in function.formerly}
  return older | dict(functions)
