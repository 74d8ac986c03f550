"""Command lines of launch.py, run in this process."""

import launch


def run_command(*arguments):
  """Runs a command that must succeed."""
  assert launch.main(['launch.py', *map(str, arguments)]) == 0


def error_of(capsys, *arguments):
  """The one line with which a command that is refused ends."""
  capsys.readouterr()  # what commands before it said
  assert launch.main(['launch.py', *map(str, arguments)]) == 2
  line = capsys.readouterr().err
  assert line.startswith('error: ') and line.count('\n') == 1, line
  return line
