"""Checkpoints that are either whole or not there: written under another name, synced, then renamed."""

import os
import re

from safetensors import safe_open
from safetensors.numpy import save

NAME = re.compile(r"step-(\d{8})\.safetensors")
KEEP = 3


def write(directory, step, tensors, state):
    """Saves tensors and `state` (a dict of strings) as step-STEP.safetensors; older ones than the last few go."""
    path = os.path.join(directory, f"step-{step:08}.safetensors")
    partial = f"{path}.partial"
    with open(partial, "wb") as file:
        file.write(save(tensors, metadata=state))
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    sync(directory)
    for old in complete(directory)[:-KEEP]:
        os.unlink(old)
    return path


def sync(directory):
    """Makes the directory itself durable: without this a crash of the machine could still undo the rename."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def complete(directory):
    """The paths of all whole checkpoints, oldest first. What a killed run left half-written has another name."""
    return sorted(os.path.join(directory, name) for name in os.listdir(directory) if NAME.fullmatch(name))


def read(path):
    """Tensors and state of one checkpoint."""
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
