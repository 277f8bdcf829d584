"""A training without any library: a loader process feeds it, a flag set by SIGTERM ends it after the step, then it saves.
Neither starts nor stops anything but its own loader.

    plain.py DIRECTORY [RANK]    checkpoints to DIRECTORY (rank 0 alone), what it saw to DIRECTORY/ranks/RANK;
                                 resumed, it ends by itself after MORE steps
"""

import json
import multiprocessing
import os
import signal
import sys
import time

SAVING_S = 1.0
MORE = 20
signals = 0


def asked_to_stop(*_):
    global signals
    signals += 1


def feed(batches):
    """The loader: it has no handler, as PyTorch's has none that would help."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    batch = 0
    while True:
        batches.send(batch)
        batch += 1


def note(directory, rank, **what):
    """What it saw, for the test to read: never half of it."""
    path = os.path.join(directory, "ranks", rank)
    with open(path + ".tmp", "w") as file:
        json.dump({"pid": os.getpid(), "signals": signals, **what}, file)
    os.replace(path + ".tmp", path)


def save(directory, loader, step):
    path = os.path.join(directory, f"ckpt-{step}.json")
    with open(path + ".tmp", "w") as file:
        json.dump({"step": step}, file)
    time.sleep(SAVING_S)  # a large one takes a while
    if not loader.is_alive():
        sys.exit("the loader's process is gone")  # what PyTorch says as RuntimeError, at any point of the program
    os.replace(path + ".tmp", path)


def train(directory, rank):
    first = int(os.environ.get("TRAINIT_RESUME_STEP", 0)) + 1
    batches, sender = multiprocessing.Pipe(duplex=False)
    loader = multiprocessing.Process(target=feed, args=(sender,), daemon=True)
    loader.start()
    sender.close()
    step = first - 1
    while first == 1 or step < first + MORE:
        batches.recv()
        step += 1
        note(directory, rank, first=first, step=step)
        if signals:
            if rank == "0":
                save(directory, loader, step)
            print("leaves at step", step, flush=True)
            return note(directory, rank, first=first, step=step, left=True)
        time.sleep(0.05)


if __name__ == "__main__":
    rank = sys.argv[2] if len(sys.argv) > 2 else "0"
    os.makedirs(os.path.join(sys.argv[1], "ranks"), exist_ok=True)
    signal.signal(signal.SIGTERM, asked_to_stop)
    train(sys.argv[1], rank)
