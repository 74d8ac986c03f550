"""Which place --distributed gives a process."""

import pytest
from command_line import error_of

from gen_jax.app import cluster

VAE = '--config=experiments/vae.py:smoke'


@pytest.mark.parametrize(
  ('spec', 'place'),
  [
    ('10.0.0.1:1234,4,3', ('10.0.0.1', 1234, 4, 3)),
    ('node-7.cluster:65535,1,0', ('node-7.cluster', 65535, 1, 0)),
    ('[::1]:80,2,1', ('::1', 80, 2, 1)),
  ],
)
def test_address_processes_and_id(spec, place):
  assert cluster.parse(spec, 1)[:4] == place


@pytest.mark.parametrize(
  ('spec', 'expected'),
  [
    ('127.0.0.1,2,0', "write 'auto' or ADDRESS:PORT,PROCESSES,ID"),
    ('2,0,127.0.0.1:1234', "write 'auto' or ADDRESS:PORT,PROCESSES,ID"),
    ('localhost:1234,2', "write 'auto' or ADDRESS:PORT,PROCESSES,ID"),
    ('localhost:port,2,0', "write 'auto' or ADDRESS:PORT,PROCESSES,ID"),
    ('localhost:1234,2,-1', "write 'auto' or ADDRESS:PORT,PROCESSES,ID"),
    ('localhost:0,2,0', 'the port must lie between 1 and 65535'),
    ('localhost:65536,2,0', 'the port must lie between 1 and 65535'),
    ('localhost:1234,2,2', 'of 2 processes, IDs are 0 to 1'),
    ('localhost:1234,0,0', 'there is at least one process'),
    ('auto', 'no cluster is found'),
    ('here', "write 'auto' or ADDRESS:PORT,PROCESSES,ID"),
  ],
)
def test_what_is_no_place_is_one_line(spec, expected, capsys, tmp_path, monkeypatch):
  monkeypatch.setattr(cluster, 'call_roll', None)
  line = error_of(capsys, VAE, f'--workdir={tmp_path}/run', f'--distributed={spec}')
  assert expected in line and f'--distributed={spec}' in line and not (tmp_path / 'run').exists()


def test_a_time_to_wait_is_of_several_processes(capsys, tmp_path):
  line = error_of(capsys, VAE, f'--workdir={tmp_path}/run', '--process_timeout=9')
  assert '--process_timeout=9: is of several processes, --distributed=' in line


def test_slurm_says_who_is_who(monkeypatch):
  names = {'SLURM_JOB_ID': '77', 'SLURM_STEP_NODELIST': 'node3', 'SLURM_NTASKS': '2', 'SLURM_PROCID': '1'}
  for name, value in {**names, 'SLURM_LOCALID': '1'}.items():
    monkeypatch.setenv(name, value)
  place = cluster.parse('auto', 1)
  assert (place.host, place.processes, place.index, place.local_devices) == ('node3', 2, 1, [1])
  assert 0 < place.port < 2**16


def test_a_proxy_of_the_network_is_not_asked_for_this_host(monkeypatch):
  for name in ('http_proxy', 'https_proxy', 'grpc_proxy', 'no_proxy', 'no_grpc_proxy'):
    monkeypatch.delenv(name, raising=False)
  cluster.bypass_proxies('127.0.0.1')
  assert 'no_grpc_proxy' not in cluster.os.environ
  monkeypatch.setenv('HTTPS_PROXY', 'http://proxy:3128')
  monkeypatch.setenv('no_proxy', 'localhost')
  monkeypatch.setenv('no_grpc_proxy', '')  # so that it is restored
  monkeypatch.delenv('no_grpc_proxy')
  cluster.bypass_proxies('127.0.0.1')
  assert cluster.os.environ['no_grpc_proxy'] == 'localhost,127.0.0.1'
