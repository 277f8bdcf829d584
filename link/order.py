#!/usr/bin/env python3
"""Writes link/start.ld: which functions a start and PID 1's life call, so that the linker puts them side by side (pid1.ld says why).

    link/order.py            after larger changes of what a start does; needs valgrind, and some minutes for two builds

A list that is old costs only time at each start: names that there are no more match nothing. benches/init shows what it costs.
"""

import os
import re
import signal
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = "x86_64-unknown-linux-musl"
OUT = os.path.join(ROOT, "link", "start.ld")
CHECKS_OFF = "gpu=off host=off code=off data=off output=off user=off"
# What a start calls in the child and in PID 1: name, words, signals that PID 1 gets once the workload runs.
SCENES = [
    (["init", "--", "/bin/true"], []),
    (["init", "--", "/bin/sleep", "60"], [signal.SIGWINCH, signal.SIGTERM]),
    (["--", "/bin/true"], []),
    (["--", "/no/such/program"], []),  # an exec would take the child's record along
    (["--", "/bin/sleep", "60"], [signal.SIGWINCH, signal.SIGTERM]),
]
# One name may stand for many functions (a generic's instances differ in a hash): all of them, if that is not much more.
MORE = 2
# What the C library calls before main, and what has no section of its own: valgrind does not name it.
BEGIN = """    *crt1.o(.text)
    *libc.a:memcpy.lo(.text) *libc.a:memmove.lo(.text) *libc.a:memset.lo(.text) *libc.a:__set_thread_area.lo(.text)
    *(.text.__libc_start_main .text.static_init_tls .text.default_malloc .text._Exit .text.__strchrnul)
    *(.rodata.cst4 .rodata.cst8 .rodata.cst16)
"""
HEAD = """/* Written by link/order.py. What PID 1 calls in an ordinary life, and what a start without checks calls before it is the workload. */
SECTIONS
{
"""


def build():
    os.utime(os.path.join(ROOT, "src", "main.rs"))  # cargo does not look at what the linker reads
    command = ["cargo", "rustc", "--quiet", "--locked", "--release", "--bin", "trainit", "--target", TARGET]
    # Not by the profile: cargo makes the hashes in the symbols from it, and the list would fit no binary but this one.
    subprocess.run([*command, "--", "-C", "strip=none"], check=True, cwd=ROOT)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    return os.path.join(target, TARGET, "release", "trainit")


def trace(binary, words, signals, directory):
    """Names of the functions called: in PID 1, in its children."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRAINIT")}
    environment |= {"TRAINIT_CHECKS": CHECKS_OFF, "TRAINIT_LOG_LEVEL": "error"}
    valgrind = ["valgrind", "-q", "--tool=callgrind", "--demangle=no", f"--callgrind-out-file={directory}/%p"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*valgrind, binary, *words], env=environment, cwd="/", **quiet)
    for number in signals:
        time.sleep(3)
        process.send_signal(number)
    process.wait()
    called = {True: set(), False: set()}
    for name in os.listdir(directory):
        with open(os.path.join(directory, name)) as record:
            found = re.findall(r"^c?fn=\(\d+\) ([^\s']+)", record.read(), re.MULTILINE)
            called[name == str(process.pid)].update(found)
    return called[True], called[False]


def sizes(binary):
    listed = subprocess.run(["nm", "-S", binary], check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return {row[3]: int(row[1], 16) for row in rows if len(row) == 4 and row[2] in "tTW"}


def general(name):
    """The name without what differs from one compiler, or one instance, to the next."""
    name = re.sub(r"17h[0-9a-f]{16}E.*$", "17h*", name)
    name = re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", name)
    return re.sub(r"\.\d+$", "*", name)


def patterns(called, size):
    instances = {}
    for name in size:
        instances.setdefault(general(name), set()).add(name)
    chosen = set()
    for pattern, all_of_it in instances.items():
        of_it = all_of_it & called
        if of_it and sum(map(size.get, all_of_it)) <= MORE * sum(map(size.get, of_it)):
            chosen.add(pattern)
        else:
            chosen |= of_it
    return sorted(chosen)


def section(name, wanted, fixed=""):
    # A `$` may mean something else in a linker script. The compiler takes some for unlikely; the C library gives some another name,
    # of which this one is an alias. Tables of a function's jumps lie beside it.
    wanted = [pattern.replace("$", "?") for pattern in wanted]
    lines = "".join(f"    *(.text.{name} .text.unlikely.{name} .text.__{name} .rodata.{name})\n" for name in wanted)
    return f"  {name} :\n  {{\n{fixed}{lines}  }}\n"


def main():
    # Without an old list, which could keep what is called no more.
    with open(OUT, "w") as file:
        file.write(HEAD + "}\nINSERT BEFORE .text;\n")
    binary = build()
    first, others = set(), set()
    for words, signals in SCENES:
        with tempfile.TemporaryDirectory() as directory:
            found = trace(binary, words, signals, directory)
        first |= found[0]
        others |= found[1]
    size = sizes(binary)
    with open(OUT, "w") as file:
        file.write(HEAD + section(".text.first", patterns(first, size), BEGIN))
        file.write(section(".text.start", patterns(others - first, size)) + "}\nINSERT BEFORE .text;\n")
    print(f"PID 1 calls {sum(size.get(name, 0) for name in first) >> 10} KiB, a start {sum(size.get(name, 0) for name in others) >> 10} KiB")
    build()


main()
