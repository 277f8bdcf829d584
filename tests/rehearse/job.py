"""A training of many short steps for tests of the second start.

    job.py DIRECTORY KIND [WRITES]

    KIND    goes-on   goes on at $TRAINIT_RESUME_STEP
            anew      never reads it
            same      goes on, and saves last.npz, whose name has no step
            crashes   ends with 9 when it is given something
            hangs     waits when it is given something, and does not hear SIGTERM
            deeper    saves in DIRECTORY/run/checkpoints
            elsewhere saves beside DIRECTORY
            cut       saves half a file
    WRITES  each step that it does, as `step N`
"""

import os
import signal
import sys
import time

directory, kind, writes = sys.argv[1], sys.argv[2], sys.argv[3:]
LIFE = 100  # the job ends with a test that failed
begun = time.monotonic()
stop = False


def on_term(*_):
    global stop
    stop = True


def save():
    end = b"PK\5\6" + bytes(18)
    place = {"deeper": directory + "/run/checkpoints", "elsewhere": directory + "-beside"}.get(kind, directory)
    os.makedirs(place, exist_ok=True)
    path = os.path.join(place, "last.npz" if kind == "same" else f"ckpt-{step}.npz")
    with open(path + ".tmp", "wb") as file:
        file.write(b"PK\3\4" + bytes(60) if kind == "cut" else end)
    os.rename(path + ".tmp", path)


given = "TRAINIT_RESUME_PATH" in os.environ
if kind == "hangs" and given:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while time.monotonic() < begun + LIFE:
        time.sleep(0.02)
if kind == "crashes" and given:
    sys.exit(9)
signal.signal(signal.SIGTERM, on_term)
step = 0 if kind == "anew" else int(os.environ.get("TRAINIT_RESUME_STEP", 0))
while not stop and time.monotonic() < begun + LIFE:
    step += 1
    if writes:
        print("step", step, flush=True)
    time.sleep(0.05)
save()
