"""Every test runs on four virtual CPU devices, stricter than production."""

import os

os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['XLA_FLAGS'] = os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=4'
os.environ['JAX_NUMPY_RANK_PROMOTION'] = 'raise'
