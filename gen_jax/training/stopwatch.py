"""A timer of the start-up: where the time goes before the first step."""

import time


class Stopwatch:
  """Seconds of one phase after another, from the moment that it is made."""

  def __init__(self):
    self.phases: dict[str, float] = {}
    self._last = time.perf_counter()

  def lap(self, phase: str) -> None:
    """Counts the time since the lap before as `phase`."""
    now = time.perf_counter()
    self.phases[phase] = self.phases.get(phase, 0.0) + now - self._last
    self._last = now

  def __str__(self) -> str:
    phases = ', '.join(f'{phase} {seconds:.1f}' for phase, seconds in self.phases.items())
    return f'{sum(self.phases.values()):.1f} s: {phases}'
