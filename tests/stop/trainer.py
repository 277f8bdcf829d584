"""A training for tests: it tells what it gets, and does what the words say. It starts nothing but the children it is told to.

    trainer.py DIRECTORY [NAME=VALUE]...

    on=TERM:save+exit0,USR1:save   what a signal makes it do, in order: save, exitN, crash, quiet; its name is told in any case
    takes=SECONDS                  how long a save takes
    saves=SECONDS                  a save each so many seconds
    beats=SECONDS                  touches $TRAINIT_RUN_DIR/heartbeat each so many seconds, talks=SECONDS prints a line
    stops=SECONDS                  after so many seconds it saves, beats and talks no more
    file=PATH                      saves when this appears, and takes it away
    ends=SECONDS:CODE              ends by itself
    goes_on=1                      its first step follows the one that it resumes from
    child=FLAGS                    a child that tells its signals as `child NAME`: g in this process group, s in a session of its own,
                                   i ignores TERM
    stacks=SIGNAL                  faulthandler tells stacks on this signal

A checkpoint is DIRECTORY/ckpt-N.npz, written as ckpt-N.npz.tmp before.
"""

import os
import signal
import sys
import time

LIFE = 100  # nobody outlives a test that failed
directory = sys.argv[1]
words = dict(word.split("=", 1) for word in sys.argv[2:])
begun = time.monotonic()
wanted = []
steps = int(os.environ.get("TRAINIT_RESUME_STEP", 0)) if "goes_on" in words else 0


def tell(*what):
    os.write(1, (" ".join(map(str, what)) + "\n").encode())


def number(name):
    return getattr(signal, "SIG" + name)


def name(number):
    return signal.Signals(number).name[3:]


def child(flags):
    ready, is_ready = os.pipe()
    if os.fork():
        os.close(is_ready)
        return os.read(ready, 1)
    if "s" in flags:
        os.setsid()
    for each in ("TERM", "INT", "USR1"):
        signal.signal(number(each), lambda n, _: tell("child", name(n)) or ("i" in flags or os._exit(0)))
    os.close(is_ready)
    while time.monotonic() < begun + LIFE:
        time.sleep(0.02)
    os._exit(0)


def save():
    global steps
    steps += 1
    path = os.path.join(directory, f"ckpt-{steps}.npz")
    with open(path + ".tmp", "wb") as file:
        file.write(b"x" * 1000)
    time.sleep(float(words.get("takes", 0)))
    os.rename(path + ".tmp", path)
    tell("saved", steps)


def do(what):
    if what == "save":
        save()
    elif what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif what.startswith("exit"):
        os._exit(int(what[4:]))


def handle(signum, _):
    tell(name(signum))
    wanted.extend(actions.get(name(signum), []))


actions = {}
for entry in filter(None, words.get("on", "").split(",")):
    which, _, does = entry.partition(":")
    actions[which] = does.split("+")
    signal.signal(number(which), handle)
if "stacks" in words:
    import faulthandler
    faulthandler.register(number(words["stacks"]))
for flags in filter(None, words.get("child", "").split(",")):
    child(flags)


def resumed():
    return os.environ.get("TRAINIT_RESUME_STEP", "-")


steps = int(os.environ.get("TRAINIT_RESUME_STEP", 0))
last = {what: begun for what in ("saves", "beats", "talks")}


def due(what):
    now = time.monotonic()
    quiet = "stops" in words and now - begun >= float(words["stops"])
    if what not in words or quiet or now - last[what] < float(words[what]):
        return False
    last[what] = now
    return True


tell("up", "attempt", os.environ.get("TRAINIT_ATTEMPT", "-"), "resumed", resumed())
while time.monotonic() < begun + LIFE:
    while wanted:
        do(wanted.pop(0))
    if due("saves"):
        save()
    if due("beats"):
        os.utime(os.path.join(os.environ["TRAINIT_RUN_DIR"], "heartbeat"))
    if due("talks"):
        tell("alive")
    if "file" in words and os.path.exists(words["file"]):
        os.unlink(words["file"])
        save()
    if "ends" in words:
        seconds, _, code = words["ends"].partition(":")
        if time.monotonic() - begun >= float(seconds):
            codes = code.split("/")  # one an attempt
            attempt = int(os.environ.get("TRAINIT_ATTEMPT", 1))
            os._exit(int(codes[min(attempt, len(codes)) - 1]))
    time.sleep(0.02)
