"""Goes through a start of trainit step by step, as a container's first process: which addresses run, and which are read. Knows nothing of
names. x86_64, as root."""

import ctypes
import os
import re
import signal
import subprocess
import threading

CHECKS_OFF = "gpu=off host=off code=off data=off output=off user=off"
# A working directory as images have it; in the root nobody looks for requirements.
ELSEWHERE = "/usr/share"
# Seconds after which PID 1, step by step, has come to its sleep.
ASLEEP = 8
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long
# <sys/ptrace.h>
TRACE_ME, SINGLE_STEP, GET_REGISTERS, DETACH, SET_OPTIONS = 0, 9, 12, 17, 0x4200
EVENT_FORK, EVENT_EXEC = 1, 4
# <sched.h>, <sys/mount.h>
NEW_PID, NEW_MOUNTS, PRIVATE = 0x20000000, 0x20000, 0x44000
FOLLOW_FORK_AND_EXEC = 1 << 1 | 1 << 2 | 1 << 3 | 1 << EVENT_EXEC | 1 << 20
# struct user_regs_struct, x86_64
NAMES = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs".split()
OPERAND = re.compile(r"(%[cdefgs]s:)?(-?0x[0-9a-f]+)?\((%\w+)?(?:,(%\w+),([1248]))?\)|(%[cdefgs]s:)?(?<![$\w])(0x[0-9a-f]+)$")


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in NAMES]


def operands(text):
    """Where an instruction reads or writes: a base, another register, its factor, a distance."""
    mnemonic, _, rest = text.partition(" ")
    if mnemonic.startswith(("lea", "nop", "j", "prefetch")) or mnemonic == "call" and "*" not in rest:
        return []
    found = []
    for match in OPERAND.finditer(rest.split("<")[0].split("#")[0].strip()):
        segment, distance, base, index, scale, other, absolute = match.groups()
        if segment in ("%fs:", "%gs:") or other in ("%fs:", "%gs:"):
            continue
        name = lambda register: register and register[1:]
        found.append((name(base), name(index), int(scale or 0), int(distance or absolute or "0", 16)))
    return found


def disassembled(binary):
    """Of each instruction's address: the next one's, and its operands; none for a system call, whose operands are arguments."""
    listed = subprocess.run(["objdump", "-d", "--no-show-raw-insn", binary], check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = [line.split(":", 1) for line in listed.splitlines() if line.startswith("  ") and ":" in line]
    known = [(int(at, 16), text.strip()) for at, text in lines]
    following = [at for at, _ in known[1:]] + [0]
    return {at: (after, None if text == "syscall" else operands(text)) for (at, text), after in zip(known, following)}


def accesses(registers, following, wanted):
    """Addresses that an instruction is about to use."""
    if wanted is None:
        return [registers.rdi, registers.rsi, registers.rdx, registers.r10]
    value = lambda name: following if name == "rip" else getattr(registers, name, 0) if name else 0
    return [(value(base) + value(index) * scale + distance) % 2**64 for base, index, scale, distance in wanted]


def traced(binary, words, environment):
    """Starts the program, to be watched step by step, as a container's first process."""
    LIBC.unshare(NEW_PID | NEW_MOUNTS)
    pid = os.fork()
    if pid == 0:
        LIBC.mount(b"none", b"/", None, PRIVATE, None)
        LIBC.mount(b"proc", b"/proc", b"proc", 0, None)
        LIBC.mount(b"none", b"/run", b"tmpfs", 0, None)
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.chdir(ELSEWHERE)
        LIBC.ptrace(TRACE_ME, 0, 0, 0)
        os.execve(binary, [binary, *words], environment)
    os.waitpid(pid, 0)
    LIBC.ptrace(SET_OPTIONS, pid, 0, FOLLOW_FORK_AND_EXEC)
    return pid


def steps(binary, code, words, signals):
    """Addresses of what runs or is used, in the order of their first time: in PID 1 before it has a child, in PID 1, in its children up
    to their exec."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRAINIT")}
    environment |= {"TRAINIT_CHECKS": CHECKS_OFF, "TRAINIT_LOG_LEVEL": "error"}
    # Before the namespace is there: with one for its children, a process can have no more threads.
    begun = []
    for at, number in enumerate(signals, 1):
        timer = threading.Timer(ASLEEP * at, lambda number=number: os.kill(begun[0], number))
        timer.daemon = True
        timer.start()
    first = traced(binary, words, environment)
    begun.append(first)
    before, seen, registers = {}, ({}, {}), Registers()
    LIBC.ptrace(SINGLE_STEP, first, 0, 0)
    while True:
        pid, status = os.waitpid(-1, 0x40000000)  # __WALL
        if not os.WIFSTOPPED(status):
            if pid == first:
                return before, *seen
            continue
        number = os.WSTOPSIG(status)
        if status >> 16 == EVENT_FORK and not before:
            before = dict(seen[0])
        if status >> 16 == EVENT_EXEC:
            LIBC.ptrace(DETACH, pid, 0, 0)
            continue
        LIBC.ptrace(GET_REGISTERS, pid, 0, ctypes.addressof(registers))
        own = seen[pid != first]
        own[registers.rip] = True
        own.update(dict.fromkeys(accesses(registers, *code.get(registers.rip, (0, ())))))
        passed = 0 if number in (signal.SIGTRAP, signal.SIGSTOP) else number
        LIBC.ptrace(SINGLE_STEP, pid, 0, passed)
