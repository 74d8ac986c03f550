"""Imports go down only: each file may import from its own floor and from those below."""

import ast
import pathlib

import pytest

FLOORS = (  # from the top; what stands side by side may import each other where the second test finds no circle
  ('launch',),
  ('gen_jax.app', 'gen_jax'),
  ('gen_jax.figures',),
  ('gen_jax.runs',),
  ('gen_jax.training', 'gen_jax.plots'),
  ('gen_jax.evaluation',),
  ('gen_jax.build',),
  ('gen_jax.classes',),
  ('gen_jax.models',),
  (
    'gen_jax.networks',
    'gen_jax.diffusion',
    'gen_jax.data',
    'gen_jax.optimizers',
    'gen_jax.augmentation',
    'gen_jax.adversarial',
  ),
  ('gen_jax.distributions', 'gen_jax.gaussian_mixtures', 'gen_jax.config', 'gen_jax.audio'),
  ('gen_jax.randomness', 'gen_jax.schedules', 'gen_jax.power_ema', 'gen_jax.stages', 'gen_jax.progress'),
  ('gen_jax.files', 'gen_jax.signals', 'gen_jax.errors', 'gen_jax.types', 'gen_jax.metrics'),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted([pathlib.Path('launch.py'), *pathlib.Path('gen_jax').rglob('*.py')])


def module_of(path):
  parts = path.with_suffix('').parts
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


MODULES = {module_of(path) for path in FILES}


def imported(path):
  """The modules of this code base that a file imports, wherever in it."""
  results = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      results |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      for alias in node.names:
        whole = f'{node.module}.{alias.name}'
        results.add(whole if whole in MODULES else node.module)
  return {name for name in results if name.split('.')[0] in ('gen_jax', 'launch')}


def floor_of(module):
  """That of the longest of the rooms' names with which a module's begins."""
  rooms = [room for room in FLOOR if module == room or (module.startswith(f'{room}.') and room != 'gen_jax')]
  assert rooms, f'{module} has no floor: name it in FLOORS'
  return FLOOR[max(rooms, key=len)]


@pytest.mark.parametrize('path', FILES, ids=str)
def test_imports_go_down(path):
  upward = {name for name in imported(path) if floor_of(name) < floor_of(module_of(path))}
  assert not upward, f'{path} imports {sorted(upward)}, which stand above it'


def test_no_circle():
  arrows = {module_of(path): imported(path) - {module_of(path)} for path in FILES}
  # a package's names are those of its files, which themselves import from the package's own
  arrows = {name: {to for to in targets if not name.startswith(f'{to}.')} for name, targets in arrows.items()}
  done, open_ = set(), []

  def visit(name):
    assert name not in open_, ' -> '.join([*open_[open_.index(name) :], name])
    if name not in done:
      open_.append(name)
      for to in sorted(arrows.get(name, ())):
        visit(to)
      done.add(open_.pop())

  for name in sorted(arrows):
    visit(name)


def test_no_file_is_longer_than_400_lines():
  long = {str(path): text.count('\n') for path in FILES if (text := path.read_text()).count('\n') > 400}
  assert not long
