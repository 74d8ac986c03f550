"""Every test runs on four virtual CPU devices, stricter than production."""

import atexit
import ctypes
import gc
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import pytest

os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['OMP_NUM_THREADS'] = os.environ['OPENBLAS_NUM_THREADS'] = '1'  # there is a worker for each core
# most programs run once: compiling takes longer, with XLA's newer emitters of fusions twice as long
os.environ['XLA_FLAGS'] = (
  '--xla_force_host_platform_device_count=4 --xla_cpu_parallel_codegen_split_count=1 '
  '--xla_backend_extra_options=xla_cpu_disable_new_fusion_emitters'
)
os.environ['JAX_DISABLE_MOST_OPTIMIZATIONS'] = '1'
os.environ['JAX_NUMPY_RANK_PROMOTION'] = 'raise'
if 'GEN_JAX_TEST_CACHE' not in os.environ:
  # what one test compiles, the others and the processes that they start need not compile again
  os.environ['GEN_JAX_TEST_CACHE'] = os.environ['JAX_COMPILATION_CACHE_DIR'] = tempfile.mkdtemp()
  os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
  atexit.register(shutil.rmtree, os.environ['GEN_JAX_TEST_CACHE'], ignore_errors=True)

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as of a command in the background; its children inherit that
  signal.signal(signal.SIGINT, signal.default_int_handler)

MOST_BYTES = 15 * 2**27  # of a worker's memory, above which it forgets what it has compiled


@pytest.fixture(autouse=True, scope='module')
def forget_compiled_programs():
  """After the tests of a file; the cache on the disk has them."""
  yield
  pages = pathlib.Path('/proc/self/statm')
  if not pages.exists() or int(pages.read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') < MOST_BYTES:
    return
  if 'jax' in sys.modules:
    sys.modules['jax'].clear_caches()
  gc.collect()
  ctypes.CDLL(None).malloc_trim(0)
