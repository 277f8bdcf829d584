#!/usr/bin/env python3
"""Writes link/start.ld: which functions a start and PID 1's life call, in the order of their first call, and which constants they read,
so that the linker puts them side by side (pid1.ld says why). What PID 1 needs before it has a child comes first, in few pages.

    link/order.py            after larger changes of what a start does; x86_64, as root, some minutes for two builds

A list that is old costs only time at each start: names that there are no more match nothing. benches/init shows what it costs.
"""

import bisect
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import tempfile

from steps import disassembled, steps

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = "x86_64-unknown-linux-musl"
OUT = os.path.join(ROOT, "link", "start.ld")
# Words, and signals that PID 1 gets once the workload runs; with none it is a short command. What the first ones call comes first.
SCENES = [
    (["init", "--", "/bin/true"], []),
    (["--", "/bin/true"], []),
    (["init", "--", "/bin/sleep", "60"], [signal.SIGWINCH, signal.SIGTERM]),
    (["--", "/bin/sleep", "60"], [signal.SIGWINCH, signal.SIGTERM]),
    (["--", "/no/such/program"], []),
]
# A command's name is looked up in tables, where only names of its length are read.
COMMANDS = ["sh", "bash", "server", "python", "python3", "torchrun"]
# One name may stand for many functions (a generic's instances differ in a hash): all of them, if that is not much more.
MORE = 2
# What is called in the first of them lies in front of what is only called in a later one.
PHASES = ["PID 1 before it has a child", "around a short command", "around a long one", "a start"]
# Bytes; of what is larger only a part is read.
LARGEST = 16 << 10
# What the C library calls before main, and what has no section of its own.
BEGIN = """    *crt1.o(.text)
    *libc.a:memcpy.lo(.text) *libc.a:memmove.lo(.text) *libc.a:memset.lo(.text) *libc.a:__set_thread_area.lo(.text)
    *(.text.__libc_start_main .text.static_init_tls .text.default_malloc .text._Exit .text.__strchrnul)
    *(.rodata.cst4 .rodata.cst8 .rodata.cst16)
"""
HEAD = """/* Written by link/order.py. What PID 1 calls in an ordinary life, and what a start without checks calls before it is the workload. */
SECTIONS
{
"""


def build(*words):
    os.utime(os.path.join(ROOT, "src", "main.rs"))  # cargo does not look at what the linker reads
    command = ["cargo", "rustc", "--quiet", "--locked", "--release", "--bin", "trainit", "--target", TARGET]
    # Not by the profile: cargo makes the hashes in the symbols from it, and the list would fit no binary but this one.
    subprocess.run([*command, "--", "-C", "strip=none", *words], check=True, cwd=ROOT)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    return os.path.join(target, TARGET, "release", "trainit")


def functions(binary):
    """Address, size and name of each, by address."""
    listed = subprocess.run(["nm", "-nS", binary], check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [(int(row[0], 16), int(row[1], 16), row[3]) for row in rows if len(row) == 4 and row[2] in "tTW"]


def constants(chart):
    """The same of constants that have a section of their own, from the linker's map."""
    with open(chart) as file:
        found = re.findall(r"^ (\.rodata\.\S+)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) ", file.read(), re.MULTILINE)
    return sorted((int(at, 16), int(size, 16), name) for name, at, size in found if 0 < int(size, 16) <= LARGEST)


def met(addresses, listed):
    """The names of what lies at these addresses, in their order."""
    starts = [at for at, _, _ in listed]
    names = {}
    for address in addresses:
        at, size, name = listed[max(bisect.bisect_right(starts, address) - 1, 0)]
        if at <= address < at + size:
            names[name] = True
    return list(names)


def general(name):
    """The name without what differs from one compiler, or one instance, to the next."""
    name = re.sub(r"17h[0-9a-f]{16}E.*$", "17h*", name)
    name = re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", name)
    return re.sub(r"\.\d+$", "*", name)


def patterns(called, size):
    """In the order of what they stand for."""
    instances = {}
    for name in size:
        instances.setdefault(general(name), set()).add(name)
    chosen = {}
    for name in called:
        pattern = general(name)
        all_of_it = instances[pattern]
        of_it = all_of_it & set(called)
        few = sum(map(size.get, all_of_it)) <= MORE * sum(map(size.get, of_it))
        chosen[pattern if few else name] = True
    return list(chosen)


def lines(wanted, read):
    # A `$` may mean something else in a linker script. The compiler takes some for unlikely; the C library gives some another name,
    # of which this one is an alias. Tables of a function's jumps lie beside it.
    wanted = [pattern.replace("$", "?") for pattern in wanted]
    code = "".join(f"    *(.text.{name} .text.unlikely.{name} .text.__{name} .rodata.{name})\n" for name in wanted)
    # First what is little and all read: it shares the window of what lies before it.
    return "".join(f"    *({name})\n" for name in read) + code


def section(name, lines):
    return f"  {name} :\n  {{\n{lines}  }}\n"


def first_of(phases):
    """Of each phase's names those that no earlier one has."""
    return [[name for name in phase if not any(name in other for other in phases[:at])] for at, phase in enumerate(phases)]


def main():
    # Without an old list, which could keep what is called no more.
    with open(OUT, "w") as file:
        file.write(HEAD + "}\nINSERT BEFORE .text;\n")
    with tempfile.NamedTemporaryFile() as chart:
        binary = build("-C", f"link-arg=-Wl,-Map={chart.name}")
        code, read = functions(binary), constants(chart.name)
    instructions = disassembled(binary)
    called, used = [{} for _ in PHASES], [{} for _ in PHASES]
    directory = tempfile.mkdtemp()
    for name in COMMANDS:
        os.symlink("/bin/true", os.path.join(directory, name))
    for words, signals in SCENES + [(["--", os.path.join(directory, name)], []) for name in COMMANDS]:
        # In a process of its own, because a process can have the children of one namespace only.
        with multiprocessing.Pool(1) as pool:
            phases = pool.apply(steps, (binary, instructions, words, signals))
        for phase, seen in zip((0, 2 if signals else 1, 3), phases):
            called[phase].update(dict.fromkeys(met(seen, code)))
            used[phase].update(dict.fromkeys(met(seen, read)))
    shutil.rmtree(directory)
    size = {name: size for _, size, name in code}
    new, own = first_of(called), first_of(used)
    parts = [lines(patterns(names, size), constants) for names, constants in zip(new, own)]
    with open(OUT, "w") as file:
        file.write(HEAD + section(".text.first", BEGIN + "".join(parts[:3])) + section(".text.start", parts[3]))
        file.write("}\nINSERT BEFORE .text;\n")
    print(", ".join(f"{phase}: {sum(map(size.get, names)) >> 10} KiB" for phase, names in zip(PHASES, new)))
    build()


main()
