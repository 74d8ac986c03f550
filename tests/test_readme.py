"""What the READMEs say: their links, pictures, commands, modes and code."""

import pathlib
import re
import shlex

import flax.linen as nn
import jax
import pytest

import gen_jax
from gen_jax import build, randomness, runs
from gen_jax.app import arguments, check, modes
from gen_jax.config import common, flatten

ROOT = pathlib.Path(__file__).parents[1]
README = ROOT / 'README.md'
FOLDERS = ('experiments', 'gen_jax', 'tests')
READMES = [README, *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob('README.md')))]
MOST_LINES = 130
CODE = r'```(\w*)\n(.*?)```'

every_readme = pytest.mark.parametrize('path', READMES, ids=lambda path: str(path.relative_to(ROOT)))


def blocks(path, language):
  """Its blocks of code in a language."""
  return [code for of, code in re.findall(CODE, path.read_text(), re.DOTALL) if of == language]


def without(text, language=r'\w*'):
  """The text less its blocks of code in a language, or in any."""
  return re.sub(rf'```{language}\n.*?```', '', text, flags=re.DOTALL)


def anchors(path):
  """What links to the headings of a file end with, as GitHub makes them."""
  headings = re.findall(r'^#+ (.*)$', without(path.read_text()), re.MULTILINE)
  return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def commands(path):
  """The arguments of every whole command line with launch.py."""
  text = re.sub(r' \\\n *', ' ', without(path.read_text(), 'diff'))  # lines that go on
  for rest in re.findall(r'launch\.py( --[^`\n]*)', text):
    words = shlex.split(rest, comments=True)
    if all(re.fullmatch(r'--[\w.]+(=.*[^/.])?', word) for word in words):  # no '...' and no folder alone
      yield words


def test_the_readme_can_be_read_at_a_sitting():
  assert len(README.read_text().splitlines()) <= MOST_LINES


@every_readme
def test_links_and_pictures_are_there(path):
  text = path.read_text()
  for link in re.findall(r'\]\(([^)\s]+)\)', text) + re.findall(r'(?:src|href)="([^"]+)"', text):
    if re.match('https?://', link):
      continue
    file, _, anchor = link.partition('#')
    target = path.parent / file if file else path
    assert target.exists(), f'{link}: no such file'
    assert not anchor or anchor in anchors(target), f'{link}: no such heading'


def test_every_picture_is_shown():
  shown = ' '.join(path.read_text() for path in READMES)
  assert [picture.name for picture in (ROOT / 'experiments/pictures').iterdir() if picture.name not in shown] == []


@every_readme
def test_experiments_have_the_variants_that_are_named(path):
  named = re.findall(r'(?<![\w./])(experiments/)?(\w+)\.py(?::(\w+(?:,\w+)*))?', without(path.read_text(), 'diff'))
  for folder, name, variants in named:
    file = ROOT / 'experiments' / f'{name}.py'
    if folder or file.exists():
      arguments.load_experiment(f'{file}:{variants}' if variants else str(file))  # raises what is wrong


@every_readme
def test_modes_and_keys_exist(path):
  text, keys = path.read_text(), flatten(common())
  assert set(re.findall(r'--mode=(\w+)', text)) <= set(modes.all_modes())
  for key in re.findall(r'--config\.([a-z_.]+)=', text):
    assert key in keys or key.split('.')[0] in ('model', 'player_optimizers', 'averages'), key


@every_readme
def test_command_lines_are_taken(path, monkeypatch):
  monkeypatch.chdir(ROOT)
  every = modes.all_modes()
  for words in commands(path):
    argv = ['launch.py', *words]
    mode, spec = arguments.find_mode(argv, every), arguments.option_value(words, 'config')
    if spec and spec.startswith('experiments/'):
      arguments.parse(argv, mode, every)  # raises what is wrong
    else:  # of a run, or of the reader's own file
      flags = arguments.define_flags(mode)
      names = {word.lstrip('-').partition('=')[0] for word in words} - {'config'}
      assert [name for name in names if name not in flags and not name.startswith('config.')] == [], words


def test_ci_installs_and_tests_as_the_readme_says():
  line = next(line for line in README.read_text().splitlines() if line.endswith('-m pytest'))
  ci = (ROOT / '.ci/run').read_text().replace('python3.11', 'python').replace('"$environment"', '.venv').splitlines()
  assert [step for step in ci if step in line.split(' && ')] == line.split(' && ')


def test_code_speaks_of_what_there_is():
  code = '\n'.join(blocks(README, 'python'))
  compile(code, 'README.md', 'exec')
  assert [name for name in re.findall(r'\brun\.(\w+)', code) if not hasattr(runs.Run, name)] == []
  assert [name for name in re.findall(r'\bgen_jax\.(\w+)\(', code) if not hasattr(gen_jax, name)] == []
  for file, change in re.findall(r'^\+\+\+ (\S+).*\n((?:[-+](?!\+\+).*\n)*)', blocks(README, 'diff')[0], re.MULTILINE):
    removed = [line[1:] for line in change.splitlines() if line.startswith('-')]
    if removed or '+from' in change:  # a file that there is
      assert set(removed) <= set((ROOT / file).read_text().splitlines()), file


def test_the_readers_own_model_can_be_built(tmp_path):
  file = tmp_path / 'mine.py'
  file.write_text(next(code for code in blocks(README, 'python') if 'get_config =' in code))
  config = arguments.load_experiment(str(file))
  check.check(config)
  data = build.dataset(config, 'train')
  model = build.model(config, data)
  batch = build.example_batch(data, build.preprocessor(config, data, train=True), rows=2)
  for player in model.players.values():
    loss = nn.init(lambda model, player=player: getattr(model, player.loss)(batch, 0)[0], model)
    variables = jax.eval_shape(loss, randomness.key(0))
    assert set(variables['params']) == set(player.trains)
