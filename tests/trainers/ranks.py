"""A data-parallel training as many are: gloo, a DataLoader with worker processes, a flag that SIGTERM sets, which all ranks agree on
after each step; then rank 0 saves and all of them leave. Only what PID 1 cannot do: it neither starts nor stops other processes.

    torchrun … ranks.py DIRECTORY    checkpoints to DIRECTORY, what each rank saw to DIRECTORY/ranks
"""

import json
import os
import signal
import sys
import time

import torch
import torch.distributed as dist
from torch.utils.data import DataLoader, Dataset

SAVING_S = 1.0
signals = 0


class Numbers(Dataset):
    def __len__(self):
        return 1_000_000

    def __getitem__(self, index):
        return torch.full((8,), float(index % 7))


def asked_to_stop(*_):
    global signals
    signals += 1


def note(directory, rank, **what):
    """What a rank saw, for the test to read: never half of it."""
    path = os.path.join(directory, "ranks", str(rank))
    with open(path + ".tmp", "w") as file:
        json.dump({"pid": os.getpid(), "signals": signals, **what}, file)
    os.replace(path + ".tmp", path)


def save(directory, model, step):
    path = os.path.join(directory, f"ckpt-{step}.pt")
    torch.save({"step": step, "model": model.state_dict()}, path + ".tmp")
    time.sleep(SAVING_S)  # a large one takes a while
    os.replace(path + ".tmp", path)


def train(directory):
    rank = dist.get_rank()
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    first = 1
    if resume := os.environ.get("TRAINIT_RESUME_PATH"):
        state = torch.load(resume)
        model.load_state_dict(state["model"])
        first = state["step"] + 1
    timeout = os.environ.get("TORCH_ELASTIC_SHUTDOWN_TIMEOUT")
    for step, batch in enumerate(DataLoader(Numbers(), batch_size=4, num_workers=2), first):
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()
        stop = torch.tensor([signals])
        dist.all_reduce(stop, dist.ReduceOp.MAX)
        note(directory, rank, first=first, step=step, timeout=timeout)
        if stop.item():
            if rank == 0:
                save(directory, model, step)
            dist.barrier()
            return note(directory, rank, first=first, step=step, timeout=timeout, left=True)
        time.sleep(0.05)


if __name__ == "__main__":
    os.makedirs(os.path.join(sys.argv[1], "ranks"), exist_ok=True)
    signal.signal(signal.SIGTERM, asked_to_stop)
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    train(sys.argv[1])
