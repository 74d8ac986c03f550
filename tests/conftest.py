"""Every test runs on four virtual CPU devices, stricter than production."""

import atexit
import os
import shutil
import tempfile

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
  os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.1'
  atexit.register(shutil.rmtree, os.environ['GEN_JAX_TEST_CACHE'], ignore_errors=True)
