"""Stands in for trainit-transfer where a test wants its store to fail: file:// only, one request after the other.

Files in the directory of STAND_IN say how:
    log      each request is told here: `put KEY`
    slow     seconds that each put takes
    fail     `DO KIND`: requests of this kind fail so (`put denied`)
    die      the program ends at this request, counted over all its lives
"""

import hashlib
import json
import os
import sys
import time
import uuid

CONTROL = os.environ.get("STAND_IN", "/nowhere")


def control(name):
    try:
        with open(os.path.join(CONTROL, name)) as file:
            return file.read().strip()
    except OSError:
        return ""


class Failed(Exception):
    pass


def say(number, **what):
    sys.stdout.write(json.dumps({"id": number, **what}) + "\n")
    sys.stdout.flush()


def path_of(url):
    if not url.startswith("file://"):
        raise Failed("bad", "only file:// here")
    return url[len("file://"):]


def piece(request):
    with open(request["path"], "rb") as file:
        file.seek(request["offset"])
        return file.read(request["length"])


def write(path, data, only_new=False):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if only_new and os.path.exists(path):
        raise Failed("changed", "it exists")
    draft = f"{path}.{uuid.uuid4().hex}.draft"
    with open(draft, "wb") as file:
        file.write(data)
    os.rename(draft, path)


def listed(top):
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            found = os.stat(path)
            yield {"key": os.path.relpath(path, top), "size": found.st_size, "tag": "t", "modified": int(found.st_mtime)}


def carry_out(number, request):
    what, path = request["do"], path_of(request["url"])
    if what == "list":
        count = 0
        for found in listed(path):
            say(number, object=found)
            count += 1
        return say(number, end=count)
    done = {}
    if what == "put":
        data = piece(request)
        begun, size = time.monotonic(), len(data)
        slow = float(control("slow") or 0)
        while time.monotonic() < begun + slow:
            time.sleep(0.05)
            say(number, progress=int(size * min(1, (time.monotonic() - begun) / slow)))
        write(path, data, request.get("only_new"))
        done = {"bytes": size}
    elif what == "put_text":
        write(path, request["text"].encode(), request.get("only_new"))
    elif what == "read":
        with open(path, encoding="utf-8") as file:
            done = {"text": file.read()}
    elif what == "get":
        with open(path, "rb") as file:
            file.seek(request["offset"])
            data = file.read(request["length"])
        with open(request["path"], "r+b") as file:
            file.seek(request["at"])
            file.write(data)
        done = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    elif what == "begin":
        done = {"upload": uuid.uuid4().hex}
        os.makedirs(os.path.join(CONTROL, "uploads", done["upload"]))
    elif what == "part":
        data = piece(request)
        write(os.path.join(CONTROL, "uploads", request["upload"], f"{request['number']:05}"), data)
        done = {"bytes": len(data), "tag": "t"}
    elif what in ("complete", "abort"):
        parts = os.path.join(CONTROL, "uploads", request["upload"])
        data = b""
        for name in sorted(os.listdir(parts)):
            with open(os.path.join(parts, name), "rb") as file:
                data += file.read()
            os.remove(os.path.join(parts, name))
        os.rmdir(parts)
        if what == "complete":
            write(path, data)
    elif what == "delete":
        if os.path.exists(path):
            os.remove(path)
    else:
        raise Failed("bad", f"no {what} here")
    say(number, done=done)


for line in sys.stdin:
    request = json.loads(line)
    number, what = request["id"], request["do"]
    log = os.path.join(CONTROL, "log")
    with open(log, "a") as file:
        file.write(f"{what} {request['url'].rsplit('/', 1)[-1]}\n")
    if control("die") and len(open(log).readlines()) >= int(control("die")):
        os._exit(9)
    wanted, _, kind = control("fail").partition(" ")
    try:
        if wanted in (what, "all"):
            raise Failed(kind, f"{what}: {kind}, as the test wants")
        carry_out(number, request)
    except Failed as failed:
        say(number, failed={"kind": failed.args[0], "text": failed.args[1]})
    except FileNotFoundError as error:
        say(number, failed={"kind": "gone", "text": str(error)})
