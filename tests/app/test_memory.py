"""Freed memory is kept."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource, sys
from gen_jax.app import memory
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
if sys.argv[1] == 'keep':
  memory.keep_freed()
faults = []
for _ in range(2):
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  block = ctypes.c_void_p(libc.malloc(2**26))
  ctypes.memset(block, 1, 2**26)
  libc.free(block)
  faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(faults[1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc alone is told so')
def test_a_block_freed_and_taken_again_is_not_cleared_anew():
  def faults(what: str) -> int:
    return int(subprocess.run([sys.executable, '-c', PROGRAM, what], capture_output=True, check=True).stdout)

  assert faults('keep') * 10 < faults('default')
