"""A server that speaks as the Hugging Face hub does, as far as `hf download` asks, with the data set team/digits. Tells its port."""

import hashlib
import http.server
import json

FILES = {"train/1.txt": b"one\n", "README.md": b"digits\n"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, code, body, headers):
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        name = path.removeprefix("/datasets/team/digits/resolve/").partition("/")[2]
        tags = {key: hashlib.sha1(body).hexdigest() for key, body in FILES.items()}
        if path.startswith("/api/datasets/team/digits"):
            tree = [{"type": "file", "path": key, "size": len(body), "oid": tags[key]} for key, body in FILES.items()]
            info = {"id": "team/digits", "sha": COMMIT, "siblings": [{"rfilename": key} for key in FILES], "tags": []}
            info |= {"private": False, "gated": False, "disabled": False, "downloads": 0, "likes": 0}
            body = json.dumps(tree if "/tree/" in path else info).encode()
            self.answer(200, body, {"Content-Type": "application/json"})
        elif name in FILES:
            self.answer(200, FILES[name], {"ETag": f'"{tags[name]}"', "X-Repo-Commit": COMMIT})
        else:
            self.answer(404, b"{}", {})

    do_HEAD = do_GET


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
print(server.server_port, flush=True)
server.serve_forever()
