"""A Jupyter server for tests, as far as trainit asks one: it leaves the file that a server leaves, and lists one kernel.

    kernels.py jupyter DIRECTORY TOKEN [CERTIFICATE]

The kernel is `busy` while DIRECTORY/busy is there. Who has another token than the file says gets 403.
"""

import http.server
import json
import os
import ssl
import sys

_, _, directory, token, *certificate = sys.argv


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        allowed = self.headers["Authorization"] == "token " + token
        right = self.path == "/nb/api/kernels"
        self.send_response(200 if allowed and right else 403 if right else 404)
        self.end_headers()
        state = "busy" if os.path.exists(os.path.join(directory, "busy")) else "idle"
        self.wfile.write(json.dumps([{"id": "1", "execution_state": state}]).encode())

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
if certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[0])
    server.socket = context.wrap_socket(server.socket, server_side=True)
about = {"port": server.server_address[1], "hostname": "127.0.0.1", "base_url": "/nb/", "token": "right", "secure": bool(certificate)}
with open(os.path.join(directory, f"jpserver-{os.getpid()}.json"), "w") as file:
    json.dump(about, file)
os.write(1, b"up\n")
server.serve_forever()
