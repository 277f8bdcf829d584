"""A git server for tests: `git http-backend` with Basic auth, TLS and Git LFS, or sshd for each connection. It prints its port.

    server.py http ROOT LOG [--token TOKEN] [--words TEXT] [--tls CERT KEY] [--old]
    server.py ssh LOG SSHD_CONFIG

`--old` speaks protocol 0 only. LOG gets a line for each request, with `token` if one came along.
"""
import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def option(name, count=1):
    if name not in sys.argv:
        return None
    at = sys.argv.index(name) + 1
    return sys.argv[at : at + count] if count else True


ROOT, LOG = sys.argv[2], sys.argv[3] if sys.argv[1] == "http" else sys.argv[2]
TOKEN, WORDS, TLS, OLD = option("--token"), option("--words"), option("--tls", 2), option("--old", 0)
LOCK = threading.Lock()


def log(line):
    with LOCK, open(LOG, "a") as file:
        file.write(line + "\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, body=b"", kind="text/plain", more=()):
        self.send_response(code)
        for name, value in [("Content-Type", kind), ("Content-Length", str(len(body))), *more]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def is_let_in(self):
        given = self.headers.get("Authorization", "")
        word = base64.b64decode(given[6:]).decode().partition(":")[2] if given.startswith("Basic ") else ""
        log(f"{self.command} {self.path}{' token' if given else ''}")
        return not TOKEN or word == TOKEN[0]

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_POST(self):
        self.do_GET()

    def do_GET(self):
        body = self.body()
        if not self.is_let_in():
            words = (WORDS[0] if WORDS else "no entry").encode()
            return self.answer(401, words, more=[("WWW-Authenticate", 'Basic realm="git"')])
        if self.path.endswith("/info/lfs/objects/batch"):
            return self.lfs_batch(json.loads(body))
        if "/lfs-object/" in self.path:
            return self.lfs_object(self.path.rpartition("/")[2])
        if "/hangs/" in self.path:
            threading.Event().wait()
        self.backend(body)

    def lfs_batch(self, asked):
        base = f"{'https' if TLS else 'http'}://{self.headers['Host']}/lfs-object/"
        found = [{**o, "actions": {"download": {"href": base + o["oid"]}}} for o in asked["objects"]]
        kind = "application/vnd.git-lfs+json"
        self.answer(200, json.dumps({"transfer": "basic", "objects": found}).encode(), kind)

    def lfs_object(self, oid):
        path = os.path.join(ROOT, "lfs", oid)
        if os.path.exists(path):
            self.answer(200, open(path, "rb").read(), "application/octet-stream")
        else:
            self.answer(404)

    def backend(self, body):
        path, _, query = self.path.partition("?")
        variables = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": ROOT,
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        if not OLD:
            variables["GIT_PROTOCOL"] = self.headers.get("Git-Protocol", "")
        done = subprocess.run(["git", "http-backend"], input=body, env=variables, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        code = next((int(value.split()[0]) for name, value in lines if name == "Status"), 200)
        more = [(name, value) for name, value in lines if name not in ("Status", "Content-Type", "Content-Length")]
        kind = next((value for name, value in lines if name == "Content-Type"), "text/plain")
        self.answer(code, content, kind, more)


def serve_http():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if TLS:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*TLS)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def serve_ssh():
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        log("connection")
        words = ["/usr/sbin/sshd", "-i", "-e", "-f", sys.argv[3]]
        subprocess.Popen(words, stdin=connection, stdout=connection, stderr=open(LOG + ".sshd", "a"))
        connection.close()


serve_http() if sys.argv[1] == "http" else serve_ssh()
