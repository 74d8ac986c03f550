"""What a user can get wrong."""


class UserError(Exception):
  """A mistake of the user's: one line that names the thing and the remedy. `launch.py` prints it and exits with 2."""
