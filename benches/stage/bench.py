#!/usr/bin/env python3
"""Measures what it costs to bring data, beside s5cmd, `aws s3 sync` and rclone, from the same server on this machine.

    benches/stage/bench.py [PATH OF TRAINIT] [ROUNDS] [DIRECTORY] [--small] [--large] [--unchanged]

--small: 10,000 objects of 4 to 64 kB. --large: four of 1 GiB (5 GiB of disk). --unchanged: what a start pays for data that is there.
All of them without an option. trainit-transfer lies beside trainit, or is built. The contenders take
turns in each round, so that a busy moment hits all of them; those that are not installed are left out. Figures are medians: the time until
the program ended, the time until all was on the disk as well (trainit ends only then; the others leave that to the kernel, and `sync -f`
runs behind them), processor time, and the most memory that all its processes had at a time. Needs rustc for the server. Prints Markdown.
"""

import hashlib
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import options  # it lies beside the benches that are one file

PARTS = ("--small", "--large", "--unchanged")
WORDS = options.read(__doc__, PARTS)
CHOSEN = [part for part in PARTS if part in sys.argv] or PARTS
ROUNDS = options.number(WORDS, 1, 5)
SMALL, LARGE = 10_000, 4


class Process:
    """Runs a program, and notes its time, its processor time, and the memory of all its processes together."""

    def __init__(self, words, environment):
        began = time.monotonic()
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        process = subprocess.Popen(words, env=environment, start_new_session=True, cwd="/", **pipes)
        self.memory, self.seen, ended = 0, {}, threading.Event()
        watcher = threading.Thread(target=self.watch, args=(process.pid, ended))
        watcher.start()
        said = process.stderr.read().decode(errors="replace")
        _, status, used = os.wait4(process.pid, 0)
        self.time, self.processor = time.monotonic() - began, used.ru_utime + used.ru_stime
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        watcher.join()
        # trainit's process that stages is no child of its own, so nobody waits for it: what was seen of it last counts.
        self.processor = max(self.processor, sum(self.seen.values()))
        if process.returncode:
            sys.exit(f"{' '.join(words)}: {process.returncode}\n{said[-2000:]}")

    def watch(self, session, ended):
        while not ended.wait(0.05):
            now = list(members(session))
            self.memory = max(self.memory, sum(map(memory, now)))
            self.seen.update({pid: used for pid in now if (used := processor(pid))})


def members(session):
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.getsid(int(name)) == session:
                yield name
        except OSError:
            pass


def memory(pid):
    """Returns what a process has for itself and its part of what it shares, in bytes."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0


def processor(pid):
    """Returns the processor time of a process so far, in seconds."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0


def install(name, binary, directory):
    """Copies trainit and trainit-transfer into one directory, as they are in an image."""
    beside = os.path.join(os.path.dirname(binary), "trainit-transfer")
    if not os.path.exists(beside):
        made = subprocess.run([f"{options.ROOT}/scripts/static-binary.sh", "--transfer"], check=True, stdout=subprocess.PIPE, text=True)
        beside = made.stdout.strip()
    os.makedirs(os.path.join(directory, name))
    for program, as_name in ((binary, "trainit"), (beside, "trainit-transfer")):
        shutil.copy(program, os.path.join(directory, name, as_name))
    return os.path.join(directory, name, "trainit")


class Bench:
    def __init__(self, directory):
        self.directory = directory
        self.trainit = install("bin", options.trainit(WORDS), directory)
        self.source, self.index = self.path("source"), []
        self.small(), self.large()
        with open(self.path("index"), "w") as file:
            file.writelines(f"{tag}\t{size}\t{key}\n" for tag, size, key in self.index)
        subprocess.run(
            ["rustc", "-O", "--edition", "2024", "-A", "dead_code", "-C", "target-feature=+crt-static", "-o", self.path("server"), f"{HERE}/server.rs"],
            check=True,
        )
        self.server = subprocess.Popen([self.path("server"), self.path("index"), self.source], stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self.server.stdout.readline().split()[1]}"
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": self.path("home"), "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "TRAINIT_STAGE_ENDPOINT": self.url,
            # The version managers of Python look for their own files in there.
            **{name: os.environ[name] for name in ("PYENV_ROOT",) if name in os.environ},
        }
        os.makedirs(self.path("home"))

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def small(self):
        if {"--small", "--unchanged"}.isdisjoint(CHOSEN):
            return
        chance = random.Random(1)
        for number in range(SMALL):
            key, content = f"small/{number // 500:02}/{number:05}.bin", chance.randbytes(chance.randrange(4 << 10, 64 << 10))
            self.put(key, content, hashlib.md5(content).hexdigest())

    def large(self):
        if "--large" not in CHOSEN:
            return
        block = random.Random(2).randbytes(64 << 20)
        first = os.path.join(self.source, "large/0.bin")
        self.put("large/0.bin", block * 16, "0123456789abcdef0123456789abcdef-128")
        for number in range(1, LARGE):
            os.link(first, os.path.join(self.source, f"large/{number}.bin"))
            self.index.append((self.index[-1][0], self.index[-1][1], f"large/{number}.bin"))

    def put(self, key, content, tag):
        path = os.path.join(self.source, key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        self.index.append((tag, len(content), key))

    def contenders(self, name, target):
        """Returns the command lines by their names: each as its documentation has it, with as many requests at a time as it makes by itself,
        or as trainit makes if that is more."""
        known = {
            "s5cmd": ["s5cmd", "--endpoint-url", self.url, "--log", "error", "sync", f"s3://bench/{name}/*", f"{target}/"],
            "aws s3 sync": ["aws", "s3", "sync", f"s3://bench/{name}/", target, "--endpoint-url", self.url, "--only-show-errors"],
            "rclone": ["rclone", "--config", "", "copy", "--fast-list", "--transfers", "16", "--checkers", "16",
                       f":s3,provider=Minio,env_auth=true,region=us-east-1,endpoint='{self.url}':bench/{name}", target],
        }
        return {"trainit": [self.trainit, "stage"], **{name: words for name, words in known.items() if shutil.which(words[0])}}

    def bring(self, name, title):
        target = self.path("target")
        seen = {}
        for number in range(ROUNDS + 1):
            for who, words in self.contenders(name, target).items():
                shutil.rmtree(target, ignore_errors=True)
                subprocess.run(["sync", "-f", self.directory], check=True)
                done = Process(words, {**self.environment, "TRAINIT_DATA": f"{target}:from=s3://bench/{name}/"})
                began = time.monotonic()
                subprocess.run(["sync", "-f", self.directory], check=True)
                self.compare(name, target, who)
                # The first round warms the caches up.
                if number:
                    seen.setdefault(who, []).append((done.time, done.time + time.monotonic() - began, done.processor, done.memory))
        shutil.rmtree(target, ignore_errors=True)
        print(f"\n{title}, {ROUNDS} rounds, medians:\n\n| | done | on the disk | processor | memory |\n|---|---:|---:|---:|---:|")
        for who, rows in seen.items():
            done, disk, processor, most = (statistics.median(column) for column in zip(*rows))
            print(f"| {who} | {done:.2f} s | {disk:.2f} s | {processor:.2f} s | {most / 1e6:.0f} MB |", flush=True)

    def compare(self, name, target, who):
        """Fails unless all is there."""
        wanted = sorted((key[len(name) + 1:], size) for _, size, key in self.index if key.startswith(f"{name}/"))
        found = sorted(
            (os.path.relpath(os.path.join(directory, file), target), os.path.getsize(os.path.join(directory, file)))
            for directory, _, files in os.walk(target) for file in files if not file.startswith(".trainit")
        )
        if wanted != found:
            sys.exit(f"{who} did not bring all: {len(found)} of {len(wanted)} files")

    def unchanged(self):
        """What a start pays for data that is there, as the difference to a start without data."""
        target = self.path("target")
        data = {"TRAINIT_DATA": f"{target}:from=s3://bench/small/"}
        Process([self.trainit, "stage"], {**self.environment, **data})
        plain = {**self.environment, "TRAINIT_CHECKS": "gpu=off host=off code=off data=off output=off user=off", "TRAINIT_LOG_LEVEL": "error"}
        times = {"alone": [], "with": []}
        for _ in range(ROUNDS * 20):
            for kind, more in (("alone", {}), ("with", data)):
                began = time.monotonic()
                subprocess.run([self.trainit, "--", "true"], env={**plain, **more}, cwd="/", check=True, stderr=subprocess.DEVNULL)
                times[kind].append(time.monotonic() - began)
        added = statistics.median(with_data - alone for with_data, alone in zip(times["with"], times["alone"]))
        base = statistics.median(times["alone"])
        print(f"\n{SMALL:,} objects that are there add {added * 1000:.2f} ms to a start of {base * 1000:.2f} ms ({ROUNDS * 20} rounds).", flush=True)
        shutil.rmtree(target)

    def end(self):
        self.server.kill()
        self.server.wait()


def main():
    parent = WORDS[2] if len(WORDS) > 2 else None
    with tempfile.TemporaryDirectory(prefix="trainit-bench-stage-", dir=parent) as directory:
        bench = Bench(directory)
        try:
            if "--small" in CHOSEN:
                bench.bring("small", f"{SMALL:,} objects of 4 to 64 kB")
            if "--large" in CHOSEN:
                bench.bring("large", f"{LARGE} objects of 1 GiB")
            if "--unchanged" in CHOSEN:
                bench.unchanged()
        finally:
            bench.end()


main()
