"""The scripts import each other as they do when they are run: their folder is on the path."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
