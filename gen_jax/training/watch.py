"""What the processes of a run know of each other, so that none waits in silence for one that is late, stuck or gone.

JAX does not say it: a collective waits for ever for a process that hangs, and the loss of one ends the others much
later, by a fatal error with a C++ stack. So there are connections beside JAX's own: process 0 listens at the address
of the run, the others call the roll there before JAX begins, and stay connected. Every second both ends tell each
other how often they have come to a place where all wait for all.
"""

import contextlib
import json
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gen_jax.errors import UserError, show

BEAT = 1.0  # seconds from one word to the next
PATIENCE = 15.0  # seconds after which waiting is said; then again at twice the time, four times, ...
LONGEST_WORD = 2**16  # bytes


class Link:
  """A connection to another process, in lines of JSON."""

  def __init__(self, connection: socket.socket):
    self._connection, self._rest, self._speaking = connection, b'', threading.Lock()
    connection.settimeout(PATIENCE)
    self.heard = self.moved = time.monotonic()  # when it last said something, and had last come to another meeting
    self.meetings, self.has_left = 0, False

  def fileno(self) -> int:
    """By which `selectors` waits for it."""
    return self._connection.fileno()

  def send(self, **word: Any) -> None:
    """Says something; whether the other end is there is seen by `receive`."""
    with self._speaking, contextlib.suppress(OSError):
      self._connection.sendall(json.dumps(word).encode() + b'\n')

  def receive(self) -> list[Mapping[str, Any]] | None:
    """What has been said since, once there is something; None where the other end is gone, or is none of ours."""
    try:
      received = self._connection.recv(LONGEST_WORD)
    except TimeoutError:
      return []
    except OSError:
      return None
    *lines, self._rest = (self._rest + received).split(b'\n')
    if not received or len(self._rest) > LONGEST_WORD:
      return None
    self.heard = time.monotonic()
    try:
      return [dict(json.loads(line)) for line in lines]
    except (ValueError, TypeError):
      return None

  def close(self) -> None:
    """Ends the connection."""
    self._connection.close()


class Waiting:
  """Says what is waited for, rarer and rarer, until a time is over."""

  def __init__(self, timeout: float):
    self._timeout, self.begun, self._said = timeout, time.monotonic(), PATIENCE / 2

  def seconds(self) -> float:
    """That have gone by."""
    return time.monotonic() - self.begun

  def say(self, text: str) -> None:
    """Shows the text, and for how long it has been so, if it is time to. UserError when the time is over."""
    seconds = self.seconds()
    if seconds >= self._timeout:
      raise UserError(f'{text} for {seconds:.0f} s: start it, or raise --process_timeout')
    if seconds >= 2 * self._said:
      show(f'{text} for {seconds:.0f} s')
      self._said = seconds


def call_roll(host: str, port: int, processes: int, index: int, timeout: float) -> tuple[dict[int, Link], int]:
  """Returns when all processes are there: ({index: link} of those that this one is connected to, a free port).

  Process 0 is connected to all others, which are connected to it; the port is of its host. Shows for which of them
  this one waits.

  Raises:
    UserError: some have not come in time; two have one ID; they disagree on how many they are; nobody can listen.
  """
  if index:
    return answer_roll(host, port, processes, index, timeout)
  links, waiting = {}, Waiting(timeout)
  with listen(port) as door:
    while len(links) < processes - 1:
      missing = [str(i) for i in range(1, processes) if i not in links]
      waiting.say(f'waiting for {len(missing)} of {processes} processes ({", ".join(missing[:10])})')
      for other, link in let_in(door, processes, links):
        links[other] = link
    free = free_port()
    for link in links.values():
      link.send(start=free)
  return links, free


def listen(port: int) -> socket.socket:
  """A socket to which others can connect, at all addresses of this host. UserError where the port is taken."""
  try:
    door = open_door(port)
  except OSError as error:
    raise UserError(f'--distributed: port {port} cannot be opened ({error.strerror}): name another') from None
  door.settimeout(BEAT)
  return door


def open_door(port: int) -> socket.socket:
  """A socket that listens at all addresses of this host, those of IPv6 too where there are any; OSError."""
  both = socket.has_dualstack_ipv6()
  family = socket.AF_INET6 if both else socket.AF_INET
  return socket.create_server(('', port), family=family, backlog=1024, dualstack_ipv6=both)


def free_port() -> int:
  """A port of this host that nobody uses."""
  with open_door(0) as free:
    return free.getsockname()[1]


def let_in(door: socket.socket, processes: int, links: Mapping[int, Link]) -> Iterator[tuple[int, Link]]:
  """(index, link) of a process that comes within a second; those that do not belong here are told so."""
  with contextlib.suppress(TimeoutError):
    link = Link(door.accept()[0])
    words = link.receive()
    index, number = (words[0].get(key) for key in ('index', 'processes')) if words else (None, None)
    if number != processes or not isinstance(index, int) or not 0 < index < processes:
      link.send(refused=f'process 0 is one of {processes} processes, and this is process {index} of {number}')
    elif index in links:
      link.send(refused=f'there are two processes with the ID {index}')
    else:
      yield index, link
      return
    link.close()


def answer_roll(host: str, port: int, processes: int, index: int, timeout: float) -> tuple[dict[int, Link], int]:
  """`call_roll` of another process than 0."""
  waiting, link = Waiting(timeout), None
  while True:
    if link is None:
      waiting.say(f'waiting for process 0 of {processes} at {host}:{port}')
      link = connect(host, port)
      if link:
        link.send(index=index, processes=processes)
      continue
    waiting.say(f'waiting for the others of {processes} processes')
    words = link.receive() if is_readable(link) else []
    if words is None:  # process 0 has given up, or was another program
      link.close()
      link = None
    for word in words or ():
      if 'refused' in word:
        raise UserError(f'--distributed: {word["refused"]}')
      if 'start' in word:
        return {0: link}, int(word['start'])


def connect(host: str, port: int) -> Link | None:
  """A link to process 0, or after a second None where it is not there yet. UserError where there is no such host."""
  try:
    return Link(socket.create_connection((host, port), timeout=PATIENCE))
  except socket.gaierror as error:
    raise UserError(f'--distributed: there is no host {host!r} ({error.strerror})') from None
  except OSError:
    time.sleep(BEAT)
    return None


def is_readable(link: Link) -> bool:
  """Whether there is something to receive, within a second."""
  with selectors.DefaultSelector() as selector:
    selector.register(link, selectors.EVENT_READ)
    return bool(selector.select(BEAT))


class Watch(threading.Thread):
  """Looks after the processes that this one is connected to, as long as the run goes on.

  links     {index: link} of them
  meetings  () -> how often this process has come to a place where all wait for all
  timeout   seconds without a word after which a process is given up
  end       (line) -> ends this process, after the line
  """

  def __init__(
    self, links: Mapping[int, Link], meetings: Callable[[], int], timeout: float, end: Callable[[str], None]
  ):
    super().__init__(name='watch', daemon=True)
    self._links, self._meetings, self._timeout, self._end = dict(links), meetings, timeout, end
    self._late = {}  # {index: Waiting} of those that are silent, or behind
    self._leaving, self._over = threading.Event(), threading.Event()

  def run(self) -> None:
    """Until all have left, or the end."""
    while not self._over.is_set():
      with selectors.DefaultSelector() as selector:
        for index, link in self._links.items():
          selector.register(link, selectors.EVENT_READ, index)
        for key, _ in selector.select(BEAT):
          self._hear(key.data)
      leaving = self._leaving.is_set()  # once: who ends here has said so
      for index, link in self._links.items():
        link.send(meetings=self._meetings(), leaving=leaving)
        self._judge(index, link)
      if leaving and all(link.has_left for link in self._links.values()):
        self._over.set()
    for link in self._links.values():
      link.close()

  def leave(self, timeout: float | None = None) -> None:
    """Returns when all have come to the end, so that none goes while another needs it; or after so many seconds."""
    self._leaving.set()
    self._over.wait(timeout)

  def fail(self, reason: str) -> None:
    """Tells the others that this process ends, and why."""
    for link in self._links.values():
      link.send(failed=reason)

  def _hear(self, index: int) -> None:
    """Takes in what another process says."""
    link = self._links[index]
    words = link.receive()
    if words is None and not link.has_left:
      self._tell_and_end(index, f'process {index} is gone: the same command on all of them resumes')
    if words is None:
      self._links.pop(index).close()
    for word in words or ():
      if word.get('meetings', link.meetings) != link.meetings:
        link.meetings, link.moved = word['meetings'], time.monotonic()
      link.has_left = link.has_left or bool(word.get('leaving'))
      if 'failed' in word:
        time.sleep(BEAT)  # in which this one may come to the same end by itself
        self._tell_and_end(index, f'process {index} has stopped: {word["failed"]}')
      if 'end' in word:
        self._end_with(word['end'])

  def _judge(self, index: int, link: Link) -> None:
    """Says of a process that it is silent, or alive and behind this one; gives up one that is silent for too long."""
    now = time.monotonic()
    silent, stands = now - link.heard, now - link.moved
    behind = link.meetings < self._meetings() and stands >= 3 * BEAT and not link.has_left
    if silent < 3 * BEAT and not behind:
      self._late.pop(index, None)
      return
    waiting = self._late.setdefault(index, Waiting(float('inf')))
    if silent >= self._timeout:
      text = f'process {index} has not answered for {silent:.0f} s, and is given up'
      self._tell_and_end(index, f'{text}: the same command on all of them resumes')
    waiting.say(f'process {index} {"has not answered" if silent >= 3 * BEAT else "answers, but has not gone on"}')

  def _tell_and_end(self, index: int, line: str) -> None:
    """Ends this process because of another one, after telling the others."""
    for other, link in self._links.items():
      if other != index:
        link.send(end=line)
    self._end_with(line)

  def _end_with(self, line: str) -> None:
    """Ends this process."""
    self._over.set()
    self._end(line)
