"""What pip says of one requirement file after the other, in one process: a path a line comes in, a line of JSON goes out with whether
everything is there, and with what was said. Nothing is installed and no index is asked."""

import contextlib
import importlib
import io
import json
import sys

from pip._internal.cli.main import main

WORDS = ["install", "--dry-run", "--no-index", "--disable-pip-version-check", "-r"]

for line in sys.stdin:
    importlib.invalidate_caches()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main([*WORDS, line.rstrip("\n")])
    print(json.dumps([code == 0 and "Would install" not in said.getvalue(), said.getvalue()]), flush=True)
