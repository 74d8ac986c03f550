"""Processes that are late, gone, silent or stuck are named in a line. Here they are threads, without JAX."""

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gen_jax.errors import UserError
from gen_jax.training import relay, watch


@pytest.fixture(autouse=True)
def quick(monkeypatch):
  monkeypatch.setattr(watch, 'BEAT', 0.02)
  monkeypatch.setattr(watch, 'PATIENCE', 0.2)
  links, watches = [], []

  def remembering(kind, instances):
    def make(*arguments):
      instances.append(kind(*arguments))
      return instances[-1]

    return make

  monkeypatch.setattr(watch, 'Link', remembering(watch.Link, links))
  monkeypatch.setattr(watch, 'Watch', remembering(watch.Watch, watches))
  yield
  for link in links:
    with contextlib.suppress(OSError):
      link._connection.shutdown(socket.SHUT_RDWR)
  for each in watches:
    each.join()
  for link in links:
    link.close()


@pytest.fixture
def port():
  return watch.free_port()


def roll(port, processes, timeout=20, indices=None):
  """What each process gets of the roll call."""
  with ThreadPoolExecutor(processes) as pool:
    call = lambda index: watch.call_roll('localhost', port, processes, index, timeout)
    return list(pool.map(call, range(processes) if indices is None else indices))


def start(links, meetings=lambda: 0, timeout=20):
  """(a watch over the links, the lines with which it has ended its process)."""
  lines = []
  each = watch.Watch(links, meetings, timeout, lines.append)
  each.start()
  return each, lines


def wait_until(condition, seconds=20):
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end, 'waited for too long'
    time.sleep(0.01)


def pair():
  """(a link to process 1, the socket of that process)."""
  ours, theirs = socket.socketpair()
  return watch.Link(ours), theirs


def test_all_begin_when_all_are_there(port):
  (links, first), *others = roll(port, 3)
  assert set(links) == {1, 2} and all(set(of_other) == {0} for of_other, _ in others)
  assert {first} == {free for _, free in others} and 0 < first != port


def test_what_is_waited_for_is_said_and_in_the_end_given_up(port, capsys):
  with pytest.raises(UserError, match=r'waiting for 1 of 2 processes \(1\) for \d+ s: start it, or raise --process_t'):
    roll(port, 2, timeout=1, indices=[0])
  said = capsys.readouterr().err.splitlines()
  assert 1 <= len(said) <= 3 and all(line.startswith('waiting for 1 of 2 processes (1) for ') for line in said)
  with pytest.raises(UserError, match=rf'waiting for process 0 of 2 at localhost:{port} for \d+ s: start it'):
    roll(port, 2, timeout=0.5, indices=[1])
  assert f'waiting for process 0 of 2 at localhost:{port}' in capsys.readouterr().err


def test_processes_that_disagree_are_told(port):
  with ThreadPoolExecutor(4) as pool:
    first = pool.submit(watch.call_roll, 'localhost', port, 3, 0, 20)
    second = pool.submit(watch.call_roll, 'localhost', port, 3, 1, 20)
    with pytest.raises(UserError, match='process 0 is one of 3 processes, and this is process 1 of 2'):
      watch.call_roll('localhost', port, 2, 1, 20)
    time.sleep(0.2)
    with pytest.raises(UserError, match='there are two processes with the ID 1'):
      watch.call_roll('localhost', port, 3, 1, 20)
    with socket.create_connection(('localhost', port)) as stranger:
      stranger.sendall(b'GET / HTTP/1.1\r\n')
    third = pool.submit(watch.call_roll, 'localhost', port, 3, 2, 20)
    assert first.result()[1] == second.result()[1] == third.result()[1]


def test_places_where_nobody_can_listen_and_hosts_that_are_none(port):
  with socket.create_server(('', port)), pytest.raises(UserError, match=f'port {port} cannot be opened'):
    watch.call_roll('localhost', port, 2, 0, 1)
  with pytest.raises(UserError, match=r"there is no host 'no\.such\.host\.invalid'"):
    watch.call_roll('no.such.host.invalid', port, 2, 1, 1)


def test_one_that_is_gone_is_named_on_all_others(port):
  links = [links for links, _ in roll(port, 3)]
  (_, first), (_, second) = start(links[0]), start(links[1])
  links[2][0].close()  # as when a process is killed
  wait_until(lambda: first and second)
  assert first == second == ['process 2 is gone: the same command on all of them resumes']


def test_one_that_fails_says_why(port):
  links = [links for links, _ in roll(port, 2)]
  (failing, _), (_, lines) = start(links[0]), start(links[1])
  failing.fail('the disk is full')
  wait_until(lambda: lines)
  assert lines == ['process 0 has stopped: the disk is full']


def test_one_that_is_silent_is_named_and_given_up(capsys):
  link, other = pair()
  _, lines = start({1: link}, timeout=0.8)
  wait_until(lambda: lines)
  assert lines == ['process 1 has not answered for 1 s, and is given up: the same command on all of them resumes']
  assert capsys.readouterr().err.startswith('process 1 has not answered for 0 s\n')
  other.close()


def test_one_that_answers_and_stands_still_is_named_and_waited_for(capsys):
  link, other = pair()
  _, lines = start({1: link}, meetings=lambda: 7, timeout=0.5)
  for _ in range(60):
    other.sendall(json.dumps({'meetings': 6}).encode() + b'\n')
    time.sleep(0.02)
  assert not lines and capsys.readouterr().err.startswith('process 1 answers, but has not gone on for 0 s\n')
  other.close()


def test_one_that_goes_on_is_not_named_though_it_is_behind(capsys):
  link, other = pair()
  _, lines = start({1: link}, meetings=lambda: 1000)
  for count in range(40):
    other.sendall(json.dumps({'meetings': count}).encode() + b'\n')
    time.sleep(0.02)
  assert not lines and capsys.readouterr().err == ''
  other.close()


def test_none_leaves_before_all_are_done(port):
  links = [links for links, _ in roll(port, 2)]
  (first, lines), (second, others) = start(links[0]), start(links[1])
  leaving = threading.Thread(target=second.leave)
  leaving.start()
  leaving.join(0.3)
  assert leaving.is_alive()  # while process 0 evaluates
  first.leave()
  leaving.join(20)
  assert not leaving.is_alive() and lines == others == []


def test_a_relay_passes_on_both_ways_and_keeps_silent_when_the_other_end_is_lost():
  with socket.create_server(('localhost', 0)) as server:
    inner = socket.create_connection(('127.0.0.1', relay.relay_to('localhost', server.getsockname()[1])))
    inner.sendall(b'question')
    outer, _ = server.accept()
    outer.settimeout(20)
    assert outer.recv(100) == b'question'
    outer.sendall(b'answer')
    assert inner.recv(100) == b'answer'
    outer.close()
  inner.settimeout(0.3)
  with pytest.raises(TimeoutError):
    inner.recv(100)
  inner.close()


def test_a_relay_waits_for_one_who_is_late_and_passes_on_the_end(port):
  inner = socket.create_connection(('127.0.0.1', relay.relay_to('localhost', port)))
  inner.sendall(b'early')
  time.sleep(0.2)
  with socket.create_server(('localhost', port)) as server:
    outer, _ = server.accept()
    outer.settimeout(20)
    assert outer.recv(100) == b'early'
    inner.close()
    assert outer.recv(100) == b''
    outer.close()
