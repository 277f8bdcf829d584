"""Prints what `packaging`, the library that pip is made with, says about generated and real cases: one JSON object a line."""

import json
import random
import sys
from importlib.metadata import distributions

try:
    from packaging import __version__ as library
    from packaging.markers import Marker
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.utils import canonicalize_name
    from packaging.version import Version
except ImportError:
    from pip._vendor.packaging import __version__ as library
    from pip._vendor.packaging.markers import Marker
    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.specifiers import SpecifierSet
    from pip._vendor.packaging.utils import canonicalize_name
    from pip._vendor.packaging.version import Version

if int(library.split(".")[0]) < 24:
    sys.exit(f"packaging {library} is too old: it passes over epochs at times")

count, chance = int(sys.argv[1]), random.Random(int(sys.argv[2]))
pick = chance.choice


def number():
    return pick(["0", "1", "1", "2", "3", "10", "2024", "01"])


def maybe(share, make):
    return make() if chance.random() < share else ""


def version():
    tag = lambda words: pick(["", "", ".", "-", "_"]) + pick(words) + pick(["", "", ".", "-"]) + maybe(0.8, number)
    return "".join([
        maybe(0.05, lambda: "v"),
        maybe(0.05, lambda: number() + "!"),
        ".".join(number() for _ in range(pick([1, 2, 2, 3, 3, 4]))),
        maybe(0.2, lambda: tag(["a", "b", "rc", "alpha", "beta", "c", "pre", "preview", "RC"])),
        maybe(0.15, lambda: pick([tag(["post", "rev", "r"]), "-" + number()])),
        maybe(0.15, lambda: tag(["dev"])),
        maybe(0.15, lambda: "+" + pick([".", "-"]).join(pick(["cu124", "1", "nv25", "01", "ab"]) for _ in range(pick([1, 2])))),
    ])


def broken(text):
    """Mostly as it is; sometimes a character is gone, doubled or foreign."""
    at = chance.randrange(len(text) + 1)
    return pick([text] * 9 + [text[:at] + pick([" ", ".", "-", "x", "*", "=", ";", "(", ",", "'"]) + text[at:], text[:at] + text[at + 1:]])


def specifier():
    sign = pick(["==", "!=", "<=", ">=", "<", ">", "~=", ">=", "==", "==="])
    wild = sign in ("==", "!=") and chance.random() < 0.3
    simple = ".".join(number() for _ in range(pick([1, 2, 3])))
    return sign + maybe(0.1, lambda: " ") + (simple + ".*" if wild else pick([version(), simple]))


def specifiers():
    return broken(pick([",", " , "]).join(specifier() for _ in range(pick([1, 1, 1, 2, 3]))) + maybe(0.05, lambda: ","))


def name():
    return pick(["torch", "My.Odd_Name", "a", "zope.interface", "ruamel--yaml", "A1", "nvidia_cublas-cu12"])


def comparison():
    quote = pick(["'", '"'])
    variables = {
        "python_version": ["3.8", "3.10", "3.11", "3.*", "2.7", "4"], "python_full_version": ["3.11.7", "3.11.0rc1", "3.12"],
        "implementation_version": ["3.11"], "sys_platform": ["linux", "win32", "darwin"], "os_name": ["posix", "nt"],
        "platform_machine": ["x86_64", "aarch64", "arm64"], "platform_system": ["Linux", "Windows"],
        "platform_python_implementation": ["CPython", "PyPy"], "implementation_name": ["cpython"], "extra": ["dev", "test-all", "gpu"],
        "platform_release": ["5"],
    }
    variable = pick(list(variables))
    literal = quote + pick(variables[variable]) + quote
    if "version" in variable and chance.random() < 0.1:
        literal = quote + pick([" ", ", "]).join(variables[variable]) + quote
        return f"{variable} {pick(['in', 'not in'])} {literal}"
    sign = pick(["==", "!="] if variable == "extra" else ["==", "!=", "<", "<=", ">=", ">", "~=", "in", "not in"])
    parts = [variable, sign, literal] if chance.random() < 0.9 else [literal, sign, variable]
    return pick([" ", "  "]).join(parts)


def marker(depth=0):
    if depth > 2 or chance.random() < 0.5:
        return comparison()
    inner = pick([" and ", " or "]).join(marker(depth + 1) for _ in range(pick([2, 2, 3])))
    return pick([inner, f"({inner})"])


def requirement():
    extras = maybe(0.3, lambda: "[" + ", ".join(pick(["gpu", "Test_All", "x.y"]) for _ in range(pick([0, 1, 2]))) + "]")
    target = pick([specifiers, specifiers, lambda: "", lambda: f"({specifiers()})", lambda: " @ https://host/a.zip#egg=a"])()
    return broken(name() + maybe(0.2, lambda: " ") + extras + target + maybe(0.4, lambda: " ; " + marker()))


ENVIRONMENTS = [
    dict(os_name="posix", sys_platform="linux", platform_machine=machine, platform_python_implementation=implementation,
         platform_system="Linux", python_version=short, python_full_version=full, implementation_name=implementation.lower(),
         implementation_version=full, platform_release="6.1.0-aws", platform_version="#1 SMP")
    for machine in ("x86_64", "aarch64")
    for implementation in ("CPython", "PyPy")
    for short, full in (("3.8", "3.8.18"), ("3.11", "3.11.7"), ("3.14", "3.14.0rc2"))
]


def answer(function):
    """What the library says; none if it refuses."""
    try:
        return function()
    except Exception:
        return None


def tell(kind, expected, **case):
    print(json.dumps(dict(kind=kind, expected=expected, **case)))


def tell_requirement(text, kind="requirement"):
    def parts():
        found = Requirement(text)
        return [canonicalize_name(found.name), sorted({canonicalize_name(extra) for extra in found.extras}), found.url,
                found.marker is not None]

    tell(kind, answer(parts), text=text)


def tell_marker(text, environment, extra, kind="marker"):
    tell(kind, answer(lambda: Marker(text).evaluate({**environment, "extra": extra})), text=text, environment=environment, extra=extra)


print(json.dumps(dict(kind="library", text=library)))
for _ in range(count):
    one, other = broken(version()), version()
    tell("normal", answer(lambda: str(Version(one))), text=one)
    compare = lambda: (Version(one) > Version(other)) - (Version(one) < Version(other))
    tell("order", answer(compare), text=one, other=other)
    wanted, found = specifiers(), version()
    tell("contains", answer(lambda: SpecifierSet(wanted).contains(Version(found), prereleases=True)), text=wanted, version=found)
    # Versions that are close to each other, and to what is asked for.
    near = pick(["1", "1.0", "1.0.0"]) + pick(["", "", "a1", "rc1", ".post1", ".dev1", "+cu1", ".post1.dev2", "a1+x"])
    wanted = pick(["==", "!=", "<", "<=", ">", ">=", "~="]) + pick(["1", "1.0", "1.0.0"]) + pick(["", "", "a1", ".post1", ".dev1", ".post1.dev2"])
    tell("contains", answer(lambda: SpecifierSet(wanted).contains(Version(near), prereleases=True)), text=wanted, version=near)
    tell_marker(broken(marker()), pick(ENVIRONMENTS), pick(["", "", "dev", "test-all"]))
    tell_requirement(requirement())

for distribution in distributions():
    for text in distribution.requires or []:
        tell_requirement(text, "real requirement")
        _, _, condition = text.partition(";")
        for environment in ENVIRONMENTS if condition else []:
            tell_marker(condition.strip(), environment, "", "real marker")
