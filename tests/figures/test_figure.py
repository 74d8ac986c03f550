"""What the decorators say of a function, and that all figures say it."""

import types

import pytest

from gen_jax import figures
from gen_jax.errors import UserError
from gen_jax.figures.figure import Flag, by_all_names, figure, missing, mode, require, with_defaults


def has_data(model, source):
  return None if source == 'data' else f'needs data; {model} is all that there is'


def draws_something(run, number):
  """Its docstring."""
  yield number


def run(source='data'):
  return types.SimpleNamespace(module='a model', source=source, workdir='runs/x')


def test_a_decorator_sets_attributes_and_nothing_else():
  flags = {'number': Flag(3, 'how many', lower_bound=1, formerly=('count',))}
  decorated = figure(
    'help', place=5, needs=(has_data,), automatic=True, after_evaluation='array', flags=flags, formerly=('older',)
  )(draws_something)
  assert decorated is draws_something and decorated.__doc__ == 'Its docstring.'
  assert (decorated.help, decorated.place, decorated.automatic) == ('help', 5, True)
  assert (decorated.needs, decorated.flags, decorated.formerly) == ((has_data,), flags, ('older',))
  assert decorated.after_evaluation == 'array'
  assert list(decorated(run(), **with_defaults(decorated, {}))) == [3]
  assert list(decorated(run(), **with_defaults(decorated, {'number': 7}))) == [7]


def test_a_mode_that_is_no_figure_has_no_place():
  decorated = mode('help')(lambda run: None)
  assert (decorated.needs, decorated.flags, decorated.formerly) == ((), {}, ())
  assert not hasattr(decorated, 'place')


@pytest.mark.parametrize(
  ('flag', 'expected'),
  [(Flag(64, ''), int), (Flag(None, '', type=int), int), (Flag('a', ''), str), (Flag((), ''), tuple)],
)
def test_the_values_of_a_flag_have_the_type_of_its_default(flag, expected):
  assert flag.value_type is expected


def test_what_is_missing_is_said_in_one_line():
  assert missing(run(), has_data) is None
  require(run(), 'draw', has_data)
  with pytest.raises(UserError, match=r'^runs/x: --mode=draw needs data; a model is all that there is$'):
    require(run('nothing'), 'draw', has_data)
  with pytest.raises(UserError, match=r'^runs/x: --mode=draw: no file$'):
    require(run(), 'draw', has_data, lambda model, source: 'no file')


def test_figures_are_found_in_the_order_of_the_report():
  names = list(figures.all_figures())
  assert names[:4] == ['reconstruct', 'translations', 'paths', 'hear_voices']
  assert names[-1] == 'compare' and len(names) == 23
  assert all(name == function.__name__ for name, function in figures.all_figures().items())


@pytest.mark.parametrize('name', figures.all_figures())
def test_every_figure_says_what_its_mode_does(name):
  function = figures.all_figures()[name]
  parameters = function.__code__.co_varnames[1 : function.__code__.co_argcount]
  assert function.help and '\n' not in function.help and len(function.help) <= 120
  assert function.__doc__ and list(function.flags) == list(parameters)
  assert all(flag.help for flag in function.flags.values())


def test_old_names_of_modes_are_answered():
  names = by_all_names(figures.all_figures())
  assert names['neighbours'] is names['neighbors'] is figures.neighbors
  assert names['walk'] is figures.interpolate
  assert set(names) == {*figures.all_figures(), 'neighbours', 'walk'}
