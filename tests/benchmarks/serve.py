"""The worker's end of the pipe: JSON lines; imports neither JAX nor PyTorch."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any


def serve(commands: Mapping[str, Callable[..., Any]]) -> None:
  """Answers each line {'do': NAME, **arguments} with {'answer': value} or {'error': text}, until the input ends."""
  answers = os.fdopen(os.dup(sys.stdout.fileno()), 'w')
  os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not mix with the answers
  for line in sys.stdin:
    question = json.loads(line)
    try:
      reply = {'answer': commands[question.pop('do')](**question)}
    except Exception as error:  # whatever it is, the table says it
      traceback.print_exc()
      first = next(iter(str(error).strip().splitlines()), '')
      reply = {'error': f'{type(error).__name__}: {first}'[:200]}
    print(json.dumps(reply), file=answers, flush=True)
