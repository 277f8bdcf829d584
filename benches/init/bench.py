#!/usr/bin/env python3
"""Measures PID 1 beside other inits: the cost of a start, the delay of signals, the cost of reaping, and the memory while nothing happens.

    benches/init/bench.py [PATH OF TRAINIT] [--quick]

All inits take turns in each round, so that a busy moment hits all of them. The figures are medians, and ratios to tini-static. Each init is
PID 1 of a fresh pid namespace. `--quick` runs fewer rounds. Needs root (or user namespaces), python3 and rustc; inits that are not installed
are left out. Prints Markdown.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import options  # it lies beside the benches that are one file

WORDS = options.read(__doc__, ["--quick"])
QUICK = "--quick" in sys.argv
ROUNDS = 60 if QUICK else 600
LAUNCHES, WARM = (10, 50) if QUICK else (60, 200)
ORPHANS, STORMS = (1000, 1) if QUICK else (10000, 5)
IDLE_SECONDS = 5 if QUICK else 60
MEMORY_LAUNCHES = 3 if QUICK else 7
# A whole start with all checks off: configuration, mode, user, dependencies and the last line of the log. The variables are set for all
# inits, as an image's ENV is.
WHOLE = "trainit, checks off"
SETTINGS = {
    "TRAINIT_CHECKS": "gpu=off host=off code=off data=off output=off user=off",
    "TRAINIT_LOG_LEVEL": "error",
}
# Seconds until PID 1 has written its state file and given back the memory that only the start needed.
SETTLED = 2.5


def build_driver(directory):
    path = os.path.join(directory, "driver")
    source = os.path.join(HERE, "driver.rs")
    subprocess.run(["rustc", "-O", "--edition", "2024", "-C", "target-feature=+crt-static", "-o", path, source], check=True)
    return path


def unpacked(program, directory):
    """Copies a program in pieces, as an engine unpacks a layer. The pieces decide how large the file's pages in the page cache are, and a
    large page is mapped, and counts, as a whole."""
    path = os.path.join(directory, os.path.basename(program))
    with open(program, "rb") as source, open(path, "wb") as copy:
        shutil.copyfileobj(source, copy, 32 << 10)
    os.chmod(path, 0o755)
    return path


def contenders(binary, directory):
    """Returns the names of the contenders, each with its words before the command."""
    words = {"tini-static": ["--"], "tini": ["--"], "dumb-init": [], "catatonit": ["--"]}
    found = {name: [unpacked(shutil.which(name), directory), *rest] for name, rest in words.items() if shutil.which(name)}
    binary = unpacked(binary, directory)
    found["trainit init"] = [binary, "init", "--"]
    found[WHOLE] = [binary, "--"]
    return found


def interleave(inits, words):
    """Returns one command line with `--next` between the contenders."""
    line = []
    for init in inits.values():
        line += ["--next", *init, *words]
    return line[1:]


def run(words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words[:3])} …: {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def starts(driver, inits):
    """Returns the microseconds that each init adds to a program that does nothing."""
    alone = {"alone": []}
    out = run([driver, "start", str(ROUNDS), *interleave({**alone, **inits}, [driver, "true"])])
    columns = list(zip(*[map(float, line.split()) for line in out.splitlines()]))
    base = statistics.median(columns[0])
    # Differences within each round: other load that slows the round down is in both terms.
    added = [statistics.median(a - b for a, b in zip(column, columns[0])) for column in columns[1:]]
    # On a machine with other load, the quietest rounds tell more.
    tenth = lambda column: statistics.quantiles(column, n=10)[0]
    quiet = [tenth(column) - tenth(columns[0]) for column in columns[1:]]
    return base, dict(zip(inits, added)), dict(zip(inits, quiet))


def latencies(driver, inits, launches, warm):
    out = run([driver, "latency", str(launches), str(warm), *interleave(inits, [driver, "receive"])])
    samples = {name: [] for name in inits}
    names = list(inits)
    for line in out.splitlines():
        at, _, value = line.split()
        samples[names[int(at)]].append(float(value))
    return {name: statistics.median(values) for name, values in samples.items()}


class Below:
    """Runs one init with a workload that reports over pipes."""

    def __init__(self, driver, init, words):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen([driver, "below", *init, *words], text=True, **pipes)
        self.pid = int(self.process.stderr.readline())

    def line(self):
        return self.process.stdout.readline().strip()

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def read(self, name):
        with open(f"/proc/{self.pid}/{name}") as file:
            return file.read()

    def on_cpu(self):
        """Returns the processor time so far in microseconds."""
        return int(self.read("schedstat").split()[0]) / 1000

    def field(self, file, name):
        return next(int(line.split()[1]) for line in self.read(file).splitlines() if line.startswith(name))

    def end(self):
        os.kill(self.pid, 9)
        self.process.wait()


def reaping(driver, inits, kind):
    """Returns the microseconds of processor time for each orphan, and the milliseconds until all orphans are gone."""
    cpu, wall = {name: [] for name in inits}, {name: [] for name in inits}
    for _ in range(STORMS):
        for name, init in inits.items():
            below = Below(driver, init, [driver, kind, str(ORPHANS)])
            if below.line() != "there":
                sys.exit(f"{name}: the orphans could not be made: {below.process.stderr.read()[-500:]}")
            before = below.on_cpu()
            below.go()
            wall[name].append(int(below.line()) / 1000)
            cpu[name].append((below.on_cpu() - before) / ORPHANS)
            below.end()
    return {name: (statistics.median(cpu[name]), statistics.median(wall[name])) for name in inits}


def memory(driver, inits):
    """Returns private dirty memory, PSS and RSS in kB. One init at a time, because a second copy of a program would lower its PSS."""
    names = ("Private_Dirty", "Pss:", "Rss")
    rows = {name: [] for name in inits}
    for _ in range(MEMORY_LAUNCHES):
        for name, init in inits.items():
            below = Below(driver, init, [driver, "pause"])
            time.sleep(SETTLED)
            rows[name].append([below.field("smaps_rollup", field) for field in names])
            below.end()
    return {name: [int(statistics.median(column)) for column in zip(*values)] for name, values in rows.items()}


def wakeups(driver, inits):
    """Returns how often each init woke up while nothing happened. All run at once, because idle inits do not disturb each other."""
    running = {name: Below(driver, init, [driver, "pause"]) for name, init in inits.items()}
    time.sleep(SETTLED)
    switches = lambda: {name: below.field("status", "voluntary_ctxt_switches") for name, below in running.items()}
    before = switches()
    time.sleep(IDLE_SECONDS)
    after = switches()
    for below in running.values():
        below.end()
    return {name: after[name] - before[name] for name in inits}


def sizes(inits):
    return {name: os.path.getsize(os.path.realpath(init[0])) for name, init in inits.items()}


def table(head, rows):
    print(f"\n| {' | '.join(head)} |\n|{'---|' + '---:|' * (len(head) - 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def ratio(values, name):
    peer = values.get("tini-static")
    return f"{values[name] / peer:.2f}" if peer else "–"


def main():
    for name in [name for name in os.environ if name.startswith("TRAINIT")]:
        del os.environ[name]
    binary = options.trainit(WORDS)
    os.chdir("/")
    with tempfile.TemporaryDirectory(prefix="trainit-bench.") as directory:
        os.environ.update(SETTINGS)
        driver, inits = build_driver(directory), contenders(binary, directory)
        os.sync()  # Pages that are not yet on the disk count as dirty.
        base, added, quiet = starts(driver, inits)
        warm = latencies(driver, inits, max(LAUNCHES // 10, 3), WARM)
        first = latencies(driver, inits, LAUNCHES, 0)
        burst, stream = reaping(driver, inits, "crowd"), reaping(driver, inits, "stream")
        held, woken, size = memory(driver, inits), wakeups(driver, inits), sizes(inits)
    print(f"{ROUNDS} starts each (the program alone: {base:.0f} µs), {LAUNCHES} first and {max(LAUNCHES // 10, 3) * WARM} later")
    print(f"signals, {STORMS} storms of {ORPHANS} orphans, {IDLE_SECONDS} s of idling; medians, everything in turn.")
    head = ["", "start adds", "of tini-static's", "in the quietest tenth", "of tini-static's", "first signal", "later signals"]
    head += ["burst: CPU per zombie", "stream"]
    table(head, [
        [name, f"{added[name]:.0f} µs", ratio(added, name), f"{quiet[name]:.0f} µs", ratio(quiet, name),
         f"{first[name]:.0f} µs", f"{warm[name]:.0f} µs", f"{burst[name][0]:.1f} µs", f"{stream[name][0]:.1f} µs"]
        for name in inits
    ])
    head = ["", "private dirty", "PSS", "RSS", f"wake-ups in {IDLE_SECONDS} s", "size"]
    table(head, [
        [name, *(f"{kB} kB" for kB in held[name]), str(woken[name]), f"{size[name] / 1000:.0f} kB"] for name in inits
    ])


main()
