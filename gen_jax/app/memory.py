"""The memory that a CPU's operations take for a moment."""

import ctypes
import sys

# of glibc's malloc.h
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
MOST = 2**31 - 1


def keep_freed() -> None:
  """Has glibc keep what is freed, where the next step needs it again.

  By default large blocks go back to Linux at once, and it clears every page of them anew: a tenth of a step with
  convolutions. Other C libraries are left as they are.
  """
  mallopt = getattr(ctypes.CDLL(None), 'mallopt', None) if sys.platform == 'linux' else None
  if mallopt is not None:
    for parameter, value in ((TRIM_THRESHOLD, MOST), (TOP_PAD, 2**26), (MMAP_THRESHOLD, MOST)):
      mallopt(parameter, value)
