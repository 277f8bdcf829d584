"""Learns to read handwritten digits, and can be stopped at any time without losing work.

It knows nothing of trainit. What it does is what any trainer has to do to be stopped and started again:
  start     go on from the newest whole checkpoint, in the middle of an epoch if that is where it stopped
  SIGTERM   finish the batch, write a checkpoint, exit 0
  the end   write a last checkpoint and the file DONE, exit 0
"""

import argparse
import os
import signal
import sys
import time

import numpy

import checkpoints
import dataset
from model import Network

SEED = 1
BATCH = 32
RATE = 0.05


class Stop:
    """Set by the first SIGTERM (or Ctrl-C) and looked at after every batch."""

    def __init__(self):
        self.asked = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, number, _frame):
        self.asked = signal.Signals(number).name


class Run:
    """How far the training is: the network, the epoch (from 0), the batch in it, and the epoch's loss so far."""

    def __init__(self, directory, inputs):
        self.directory = directory
        found = checkpoints.complete(directory)
        if found:
            tensors, state = checkpoints.read(found[-1])
            self.network = Network(tensors)
            self.step, self.epoch, self.batch = (int(state[name]) for name in ("step", "epoch", "batch"))
            self.loss = float(state["loss"])
            say(f"resuming from {found[-1]}: epoch {self.epoch + 1}, batch {self.batch + 1}")
        else:
            self.network = Network.new(inputs, SEED)
            self.step, self.epoch, self.batch, self.loss = 0, 0, 0, 0.0
            say("starting from nothing: no checkpoint yet")

    def save(self):
        state = {"step": self.step, "epoch": self.epoch, "batch": self.batch, "loss": repr(self.loss)}
        tensors = self.network.tensors
        return checkpoints.write(self.directory, self.step, tensors, {name: str(value) for name, value in state.items()})


def say(line):
    print(line, flush=True)


def batches(count, epoch):
    """The epoch's batches, as rows of the training set. Its order depends on the epoch alone, so it can be repeated."""
    order = numpy.random.default_rng([SEED, epoch]).permutation(count)
    return [order[start : start + BATCH] for start in range(0, count, BATCH)]


def train_epoch(run, images, stop, pace):
    """Trains until the epoch ends or a stop is asked for; true when it ended. `pace` is the least time it takes."""
    pixels, labels = images
    todo = batches(len(labels), run.epoch)
    while run.batch < len(todo):
        rows = todo[run.batch]
        run.loss += run.network.learn(pixels[rows], labels[rows], RATE)
        run.batch += 1
        run.step += 1
        time.sleep(pace / len(todo))
        if stop.asked:
            return False
    return True


def train(args, stop):
    train_images, test_images = (dataset.load(os.path.join(args.data, f"{name}.csv.gz")) for name in ("train", "test"))
    run = Run(args.checkpoints, dataset.PIXELS)
    while run.epoch < args.epochs:
        if not train_epoch(run, train_images, stop, args.pace):
            say(f"{stop.asked}: saved {run.save()} in the middle of epoch {run.epoch + 1}")
            return
        per_epoch = run.batch
        accuracy = run.network.accuracy(*test_images)
        say(f"epoch {run.epoch + 1:3}/{args.epochs}  loss {run.loss / per_epoch:.4f}  test accuracy {accuracy:.2%}")
        run.epoch, run.batch, run.loss = run.epoch + 1, 0, 0.0
        run.save()
    accuracy = run.network.accuracy(*test_images)
    mark_done(args.checkpoints, accuracy)
    say(f"done: {run.epoch} epochs, {run.step} steps, test accuracy {accuracy:.2%}")


def mark_done(directory, accuracy):
    """Says that training is complete: trainit's `stop.done_file`, and what a later start looks at."""
    with open(os.path.join(directory, "DONE"), "w") as file:
        file.write(f"{accuracy:.4f}\n")
        file.flush()
        os.fsync(file.fileno())
    checkpoints.sync(directory)


def options(words):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="/data", help="where train.csv.gz and test.csv.gz are")
    parser.add_argument("--checkpoints", default="/checkpoints", help="where checkpoints go, and the file DONE")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--pace", type=float, default=0.0, help="the least number of seconds that an epoch takes")
    return parser.parse_args(words)


def main(words):
    stop = Stop()
    args = options(words)
    if os.path.exists(os.path.join(args.checkpoints, "DONE")):
        say(f"nothing to do: {args.checkpoints} says that training is complete")
        return
    train(args, stop)


if __name__ == "__main__":
    main(sys.argv[1:])
