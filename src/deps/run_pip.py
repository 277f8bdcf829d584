# Runs pip, by `python -c`. Lines precede this text: PINS, the protected versions by normalized name; SKIPPED, normalized names that are
# left out; SHARED, normalized names that are built without isolation, or None for all.
import re
import runpy
import sys

# The code in the working directory may have a module of any name.
sys.path[:] = [p for p in sys.path if p]


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def keep(pins, skipped):
    """Replaces the versions in every requirement for a pinned name. uv calls that an override, and pip has no option for it."""
    from pip._vendor.packaging.markers import Marker
    from pip._vendor.packaging.requirements import Requirement

    read = Requirement.__init__

    def read_kept(self, *args, **kwargs):
        read(self, *args, **kwargs)
        version = pins.get(normal(self.name))
        if version:
            self.specifier = type(self.specifier)("==" + version)
            self.url = None
        if normal(self.name) in skipped:
            self.marker = Marker("sys_platform == 'never'")

    Requirement.__init__ = read_kept


def share(names):
    """Builds packages without isolation, so that their builds see what is installed. pip's option is for all packages or none."""
    import inspect

    from pip._internal.distributions.sdist import SourceDistribution

    prepare = SourceDistribution.prepare_distribution_metadata
    signature = inspect.signature(prepare)

    def prepare_shared(self, *args, **kwargs):
        given = signature.bind(self, *args, **kwargs)
        if names is None or normal(self.req.name or "") in names:
            # A switch in older pips, the name of a mode in newer ones.
            is_mode = isinstance(given.arguments["build_isolation"], str)
            given.arguments["build_isolation"] = "off" if is_mode else False
        return prepare(*given.args, **given.kwargs)

    SourceDistribution.prepare_distribution_metadata = prepare_shared


def ask_keyring():
    """Lets pip ask a keyring as it does for a person, but no person. With --no-input alone it asks only a keyring that a setting names."""
    from pip._internal.network.auth import MultiDomainBasicAuth

    MultiDomainBasicAuth.prompting = property(lambda self: True, lambda self, value: None)
    MultiDomainBasicAuth._prompt_for_password = lambda self, netloc: (None, None, False)


try:
    ask_keyring()
except ImportError:
    pass  # Then pip asks only a keyring that a setting names.
try:
    if PINS or SKIPPED:
        keep(PINS, SKIPPED)
except ImportError:
    pass  # The versions are constraints as well, so they stay; a requirement that contradicts them then fails.
try:
    if SHARED is None or SHARED:
        share(SHARED)
except ImportError:
    sys.argv.append("--no-build-isolation")
runpy.run_module("pip", run_name="__main__", alter_sys=True)
