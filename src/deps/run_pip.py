# Runs pip, by `python -c`. A line with PINS precedes this text: the protected versions by normalized name.
import runpy
import sys

# The code in the working directory may have a module of any name.
sys.path[:] = [p for p in sys.path if p]


def keep(pins):
    """Replaces the versions in every requirement for a pinned name. uv calls that an override, and pip has no option for it."""
    import re

    from pip._vendor.packaging.requirements import Requirement

    read = Requirement.__init__

    def read_kept(self, *args, **kwargs):
        read(self, *args, **kwargs)
        version = pins.get(re.sub(r"[-_.]+", "-", self.name).lower())
        if version:
            self.specifier = type(self.specifier)("==" + version)
            self.url = None

    Requirement.__init__ = read_kept


try:
    if PINS:
        keep(PINS)
except ImportError:
    pass  # The versions are constraints as well, so they stay; a requirement that contradicts them then fails.
runpy.run_module("pip", run_name="__main__", alter_sys=True)
