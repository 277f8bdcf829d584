"""Reads the command lines of the benches: `--help` prints the text of a bench, and what cannot be understood ends with 64."""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
USAGE = 64  # EX_USAGE of sysexits.h, as trainit itself has it


def fail(message):
    """Ends a bench that was called wrongly, with a hint."""
    name = os.path.relpath(os.path.abspath(sys.argv[0]), ROOT)
    print(f"{name}: {message}; see: {name} --help", file=sys.stderr)
    sys.exit(USAGE)


def read(text, known=()):
    """Returns the words of the command line that are no options; `--help` prints the text instead, and ends."""
    if "--help" in sys.argv[1:] or "-h" in sys.argv[1:]:
        print(text.strip())
        sys.exit(0)
    for word in sys.argv[1:]:
        if word.startswith("-") and word not in known:
            fail(f"there is no option {word}")
    return [word for word in sys.argv[1:] if not word.startswith("-")]


def number(words, at, default):
    """Returns a word as a number of rounds, or `default` where the command line has no such word."""
    if len(words) <= at:
        return default
    if not words[at].isdigit() or int(words[at]) < 1:
        fail(f"{words[at]} is no number of rounds")
    return int(words[at])


def trainit(words):
    """Returns the path of trainit: the first word, or a binary that is built now."""
    if words:
        return os.path.abspath(words[0])
    made = subprocess.run([os.path.join(ROOT, "scripts", "static-binary.sh")], check=True, stdout=subprocess.PIPE, text=True)
    return made.stdout.strip()
