# Prints what parts of a pyproject.toml require: its dependencies, those of extras, and dependency groups (PEP 621, PEP 735).
import json, re, sys
sys.path[:] = [p for p in sys.path if p]
def wrong(what):
    print("\ntrainit-wrong:" + what)
    sys.exit(1)
try:
    import tomllib
except ImportError:
    try:
        from pip._vendor import tomli as tomllib
    except ImportError:
        wrong("this Python cannot read TOML: 3.11 or newer can, or one with a newer pip")
def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()
def table(value):
    return {normal(str(name)): lines for name, lines in (value or {}).items()}
try:
    with open(sys.argv[1], "rb") as file:
        whole = tomllib.load(file)
    project, parts = whole.get("project"), json.loads(sys.argv[2])
    extras, groups = table((project or {}).get("optional-dependencies")), table(whole.get("dependency-groups"))
except Exception as error:
    wrong(str(error))
def pick(kind, known, name):
    if normal(name) not in known:
        wrong("it has no %s %s; it has %s" % (kind, name, ", ".join(sorted(known)) or "none"))
    return known[normal(name)]
def extra(name, seen):
    own = normal(str((project or {}).get("name", "")))
    for line in pick("extra", extras, name):
        # An extra may name others of the same project: all = ["mine[train,eval]"].
        again = re.fullmatch(r"([A-Za-z0-9._-]+)\s*\[([^]]*)\]\s*", str(line))
        if again and normal(again.group(1)) == own:
            for other in again.group(2).split(","):
                if normal(other.strip()) not in seen:
                    yield from extra(other.strip(), seen | {normal(other.strip())})
        else:
            yield line
def group(name, seen):
    for line in pick("group", groups, name):
        if isinstance(line, dict):
            other = str(line.get("include-group", ""))
            if normal(other) in seen:
                wrong("its group %s includes itself" % other)
            yield from group(other, seen | {normal(other)})
        else:
            yield line
asked = []
if parts["base"]:
    if not isinstance(project, dict):
        wrong("it has no table [project]")
    if "dependencies" in project.get("dynamic", ()):
        wrong("its dependencies are dynamic: only building the project tells them")
    asked.extend(project.get("dependencies", ()))
for name in parts["extras"]:
    asked.extend(extra(name, {normal(name)}))
for name in parts["groups"]:
    asked.extend(group(name, {normal(name)}))
for line in asked:
    print("\ntrainit-asks:" + str(line))
