#!/usr/bin/env python3
"""Writes link/start.ld: which functions a start and PID 1's life call, in the order of their first call, so that the linker puts them
side by side (pid1.ld says why).

    link/order.py            after larger changes of what a start does; x86_64, some minutes for two builds

A list that is old costs only time at each start: names that there are no more match nothing. benches/init shows what it costs.
"""

import bisect
import ctypes
import os
import re
import signal
import subprocess
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = "x86_64-unknown-linux-musl"
OUT = os.path.join(ROOT, "link", "start.ld")
CHECKS_OFF = "gpu=off host=off code=off data=off output=off user=off"
# Words, and signals that PID 1 gets once the workload runs. What the first ones call comes first.
SCENES = [
    (["init", "--", "/bin/true"], []),
    (["--", "/bin/true"], []),
    (["init", "--", "/bin/sleep", "60"], [signal.SIGWINCH, signal.SIGTERM]),
    (["--", "/bin/sleep", "60"], [signal.SIGWINCH, signal.SIGTERM]),
    (["--", "/no/such/program"], []),
]
# Seconds after which PID 1, step by step, has come to its sleep.
ASLEEP = 8
# One name may stand for many functions (a generic's instances differ in a hash): all of them, if that is not much more.
MORE = 2
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


def build():
    os.utime(os.path.join(ROOT, "src", "main.rs"))  # cargo does not look at what the linker reads
    command = ["cargo", "rustc", "--quiet", "--locked", "--release", "--bin", "trainit", "--target", TARGET]
    # Not by the profile: cargo makes the hashes in the symbols from it, and the list would fit no binary but this one.
    subprocess.run([*command, "--", "-C", "strip=none"], check=True, cwd=ROOT)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    return os.path.join(target, TARGET, "release", "trainit")


LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long
# <sys/ptrace.h>
TRACE_ME, PEEK_USER, SINGLE_STEP, DETACH, SET_OPTIONS = 0, 3, 9, 17, 0x4200
EVENT_EXEC = 4
FOLLOW_FORK_AND_EXEC = 1 << 1 | 1 << 2 | 1 << 3 | 1 << EVENT_EXEC | 1 << 20
INSTRUCTION_POINTER = 16 * 8  # in struct user, x86_64


def traced(binary, words, environment):
    """Starts the program, to be watched step by step."""
    pid = os.fork()
    if pid == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.chdir("/")
        LIBC.ptrace(TRACE_ME, 0, 0, 0)
        os.execve(binary, [binary, *words], environment)
    os.waitpid(pid, 0)
    LIBC.ptrace(SET_OPTIONS, pid, 0, FOLLOW_FORK_AND_EXEC)
    return pid


def steps(binary, words, signals):
    """Addresses of what runs, in the order of their first time: in PID 1, in its children up to their exec."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRAINIT")}
    environment |= {"TRAINIT_CHECKS": CHECKS_OFF, "TRAINIT_LOG_LEVEL": "error"}
    first = traced(binary, words, environment)
    for at, number in enumerate(signals, 1):
        timer = threading.Timer(ASLEEP * at, os.kill, (first, number))
        timer.daemon = True
        timer.start()
    ran = ({}, {})
    LIBC.ptrace(SINGLE_STEP, first, 0, 0)
    while True:
        pid, status = os.waitpid(-1, 0x40000000)  # __WALL
        if not os.WIFSTOPPED(status):
            if pid == first:
                return ran
            continue
        number = os.WSTOPSIG(status)
        if status >> 16 == EVENT_EXEC:
            LIBC.ptrace(DETACH, pid, 0, 0)
            continue
        ran[pid != first][LIBC.ptrace(PEEK_USER, pid, INSTRUCTION_POINTER, 0)] = True
        passed = 0 if number in (signal.SIGTRAP, signal.SIGSTOP) else number
        LIBC.ptrace(SINGLE_STEP, pid, 0, passed)


def functions(binary):
    """Address, size and name of each, by address."""
    listed = subprocess.run(["nm", "-nS", binary], check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [(int(row[0], 16), int(row[1], 16), row[3]) for row in rows if len(row) == 4 and row[2] in "tTW"]


def called(ran, listed):
    """The names of what ran, in order."""
    starts = [at for at, _, _ in listed]
    names = {}
    for address in ran:
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
    listed = functions(binary)
    first, others = {}, {}
    for words, signals in SCENES:
        for found, ran in zip((first, others), steps(binary, words, signals)):
            found.update(dict.fromkeys(called(ran, listed)))
    others = [name for name in others if name not in first]
    size = {name: size for _, size, name in listed}
    with open(OUT, "w") as file:
        file.write(HEAD + section(".text.first", patterns(first, size), BEGIN))
        file.write(section(".text.start", patterns(others, size)) + "}\nINSERT BEFORE .text;\n")
    print(f"PID 1 calls {sum(map(size.get, first)) >> 10} KiB, a start {sum(map(size.get, others)) >> 10} KiB")
    build()


main()
