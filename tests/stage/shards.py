"""A training of several nodes that saves as torch.distributed.checkpoint does: each node its shard, and then the first one `.metadata`.
The nodes meet at cluster.port, as ranks do; argv has the directory of checkpoints and how many steps there are (0: until SIGTERM)."""

import os
import pickle
import signal
import socket
import sys
import time

directory, last = sys.argv[1], int(sys.argv[2])
node, nodes = int(os.environ["TRAINIT_NODE"]), int(os.environ["TRAINIT_NODES"])
meeting = ("127.0.0.1", int(os.environ["SHARDS_PORT"]))
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))


def content(of, step):
    return f"shard {of} at step {step}\n" * 1000


def connect():
    while True:
        try:
            return socket.create_connection(meeting)
        except OSError:
            time.sleep(0.05)


def meet(word):
    """The first node hears from all, and then answers all with its word."""
    if node == 0:
        for peer in peers:
            assert peer.readline()
        for peer in peers:
            peer.write(word + "\n")
            peer.flush()
        return word
    peers[0].write("here\n")
    peers[0].flush()
    return peers[0].readline().strip()


if node == 0:
    server = socket.create_server(meeting)
    peers = [server.accept()[0].makefile("rw") for _ in range(nodes - 1)]
else:
    peers = [connect().makefile("rw")]

step = int(os.environ.get("TRAINIT_RESUME_STEP", 0))
for of in range(nodes if step else 0):
    with open(os.path.join(os.environ["TRAINIT_RESUME_PATH"], f"__{of}_0.distcp")) as shard:
        assert shard.read() == content(of, step)
print(f"begins at step {step}", flush=True)
end = step + last
while meet("stop" if asked or (last and step >= end) else "go") == "go":
    step += 1
    place = os.path.join(directory, f"step-{step}")
    os.makedirs(place, exist_ok=True)
    with open(os.path.join(place, f"__{node}_0.distcp"), "w") as shard:
        shard.write(content(node, step))
    meet("saved")
    if node == 0:
        with open(os.path.join(place, ".metadata"), "wb") as index:
            index.write(pickle.dumps([f"__{of}_0.distcp" for of in range(nodes)]))
    time.sleep(1)
