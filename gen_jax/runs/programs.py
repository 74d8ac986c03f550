"""Programs of a run: the files in which a user's own classes stand, and whether opening the run may run them.

A config names such a class FILE.py:CLASS or MODULE:CLASS. Whoever trains has named the program, so it is run. The
run's config.json then records {'programs': {FILE or MODULE: SHA-256 of its text}}, by which the run is opened later.

What is guaranteed: opening a run by its workdir alone runs a program only where all of this holds, or where the user
says that the run is trusted.

  owner      config.json, the workdir and the program belong to the user who opens the run
  content    the program lies where the record says, and its text has the recorded hash. Of a file, the text that was
             hashed is what is run, whatever becomes of the file meanwhile; compiled copies are not looked at
  knowledge  this user has trained with that text at that place before: that is noted in a folder of the user's home,
             to which nobody else can write. An archive that somebody unpacks is owned by whoever unpacks it, and a hash
             may be written by anyone; a note cannot

So what is run is what its user has run before. What such a program itself imports, reads or runs is not looked at; a
module is imported as Python imports it, compiled copies included, once the text of it and of its packages is known.
"""

import hashlib
import importlib
import os
import pathlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from gen_jax import files
from gen_jax.errors import UserError

OTHERS_WRITE = 0o022  # bits of a file's mode: its group or all others may write to it


def programs_of(section: Mapping[str, Any]) -> set[str]:
  """The files and modules of the classes that the section of a config names, at any depth."""
  programs = {str(section.get('name', '')).rpartition(':')[0]}
  for value in section.values():
    if isinstance(value, Mapping):
      programs |= programs_of(value)
  return programs - {''}


def is_open(program: str) -> bool:
  """Whether it has been run in this process."""
  return bool(files.opened_module(program) if program.endswith('.py') else program in sys.modules)


def sources(program: str) -> list[pathlib.Path]:
  """The files of a program: FILE.py; or that of a MODULE, after those of the packages that it lies in.

  Found without running any of them. [] where there is no such file, or a module is not made of one.
  """
  if program.endswith('.py'):
    return [pathlib.Path(program)] if os.path.isabs(program) and os.path.isfile(program) else []
  found, folders = [], [pathlib.Path(folder).resolve() for folder in sys.path]
  for part in program.split('.'):
    file, folders = source_in(folders, part)
    if file:
      found.append(file)
    elif not folders:
      return []
  return found


def source_in(folders: list[pathlib.Path], name: str) -> tuple[pathlib.Path | None, list[pathlib.Path]]:
  """(the file of the module or package of this name in the first of the folders that has it, where its parts lie).

  Folders of this name without a file of their own make a package too, together.
  """
  for folder in folders:
    package, module = folder / name / '__init__.py', folder / f'{name}.py'
    if package.is_file():
      return package, [package.parent]
    if module.is_file():
      return module, []
  return None, [folder / name for folder in folders if (folder / name).is_dir()]


def hash_of(texts: list[bytes]) -> str:
  """The SHA-256 of a program's files."""
  return hashlib.sha256(b''.join(hashlib.sha256(text).digest() for text in texts)).hexdigest()


def record(section: Mapping[str, Any]) -> dict[str, str]:
  """{program: hash of its text} of a section whose programs this user runs; they are noted as known."""
  hashes = {}
  for program in sorted(programs_of(section)):
    if found := sources(program):
      hashes[program] = hash_of([path.read_bytes() for path in found])
      note_as_known(found, hashes[program])
  return hashes


def note_of(paths: list[pathlib.Path], digest: str) -> pathlib.Path:
  """The file that says that this user has run the program of these files with this hash."""
  name = hashlib.sha256('\0'.join([*map(str, paths), digest]).encode()).hexdigest()
  return files.cache_folder('programs') / name


def note_as_known(paths: list[pathlib.Path], digest: str) -> None:
  """Leaves that note. Where the user has no home that can be written, runs are opened by being trusted."""
  try:
    note = note_of(paths, digest)
    note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    note.write_text(f'{paths[-1]}\n{digest}\n')
  except (OSError, RuntimeError):  # RuntimeError: there is no home
    return


def is_known(paths: list[pathlib.Path], digest: str) -> bool:
  """Whether there is such a note, in a folder to which nobody else can write."""
  try:
    note = note_of(paths, digest)
    return note.is_file() and belongs_to_user(note) and belongs_to_user(note.parent)
  except (OSError, RuntimeError):
    return False


def belongs_to_user(path: pathlib.Path) -> bool:
  """Whether the present user owns a file or folder to which nobody else can write."""
  status = path.stat()
  return is_owned(path) and (os.name == 'nt' or not status.st_mode & OTHERS_WRITE)


def is_owned(path: pathlib.Path) -> bool:
  """Whether the present user owns a file or a folder; where the system cannot tell, as Windows, True."""
  return not hasattr(os, 'getuid') or path.stat().st_uid == os.getuid()


def open_programs(content: Mapping[str, Any], workdir: pathlib.Path, trust: bool = False) -> None:
  """Runs the programs that the config.json of a run names, and that this process has not run yet.

  Args:
    content: that of config.json.
    workdir: the folder in which it lies.
    trust: whether the user trusts the run, so that nothing needs to be known of its programs.

  Raises:
    UserError: one of them may not be run, with the reason and the flag that trusts the run; or cannot be run.
  """
  hashes = content.get('programs')
  hashes = hashes if isinstance(hashes, Mapping) else {}
  for program in sorted(programs_of(content.get('model', {}))):
    if is_open(program):
      continue
    found = sources(program)
    if not found and (program.endswith('.py') or not trust):
      raise UserError(f'{workdir} is of a class in {program}, which is not there: {remedy(program)}')
    texts = [path.read_bytes() for path in found]
    reasons = reasons_to_ask(workdir, found, hash_of(texts), hashes.get(program))
    if not trust and (reason := next(reasons, None)):
      raise UserError(
        f'{workdir} is of a class in {program}, which is not run unasked, as {reason}: '
        f'trust the run by --trust_workdir, from Python by trust=True; or {remedy(program)}'
      )
    run(program, texts)


def reasons_to_ask(
  workdir: pathlib.Path, paths: list[pathlib.Path], digest: str, recorded: str | None
) -> Iterator[str]:
  """Why a program is not run without being asked for; see the top of this file."""
  if not all(map(is_owned, (workdir, workdir / 'config.json', *paths))):
    yield "it or the run is another user's"
  if recorded is None:
    yield 'the run has recorded no hash of it'
  elif recorded != digest:
    yield 'it has changed since the run was made'
  if not is_known(paths, digest):
    yield 'you have not trained with it here before'


def remedy(program: str) -> str:
  """What else makes it be run."""
  if program.endswith('.py'):
    return f'name it, --config={program}, or where it lies now'
  return f'name its experiment, --config=FILE.py, which imports {program}'


def run(program: str, texts: list[bytes]) -> None:
  """Runs the text of a file, or imports a module. UserError where that fails."""
  try:
    if program.endswith('.py'):
      files.open_module(program, texts[0])
    else:
      importlib.import_module(program)
  except Exception as error:  # it is the user's own
    raise UserError(f'{program} cannot be run: {type(error).__name__}: {error}') from None
