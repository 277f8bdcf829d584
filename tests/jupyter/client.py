"""What a browser does with a Jupyter server, by its HTTP and websocket API. Prints what it found as JSON.

    client.py URL execute CODE [TOKEN]     runs code in a new kernel; without a token only asks who may
    client.py URL login PASSWORD           logs in with the form
    client.py PORT hub                     is a hub: answers what a single-user server asks it
"""

import http.cookiejar
import http.server
import json
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid

OPEN = ssl._create_unverified_context()


def status(request, opener=None):
    opener = opener or urllib.request.build_opener(urllib.request.HTTPSHandler(context=OPEN))
    try:
        with opener.open(request, timeout=30) as answer:
            return answer.status, answer.read(), answer.url
    except urllib.error.HTTPError as error:
        return error.code, error.read(), request.full_url


def execute(url, code, token=None):
    import websocket

    headers = {"Authorization": f"token {token}"} if token else {}
    create = urllib.request.Request(url + "api/kernels", data=b"{}", method="POST", headers=headers)
    if token is None:
        return {"without": status(create)[0], "api": status(urllib.request.Request(url + "api"))[0]}
    kernel = json.loads(status(create)[1])["id"]
    address = f"ws{url[4:]}api/kernels/{kernel}/channels"
    channel = websocket.create_connection(address, header=headers, timeout=60)
    message = str(uuid.uuid4())
    header = {"msg_id": message, "msg_type": "execute_request", "username": "", "session": str(uuid.uuid4()), "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    request = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
    channel.send(json.dumps(request))
    out = []
    while True:
        answer = json.loads(channel.recv())
        if answer["parent_header"].get("msg_id") != message:
            continue
        if answer["msg_type"] == "stream":
            out.append(answer["content"]["text"])
            if "goes on" in answer["content"]["text"]:
                break
        if answer["msg_type"] == "error":
            out.append("\n".join(answer["content"]["traceback"]))
        if answer["msg_type"] == "status" and answer["content"]["execution_state"] == "idle":
            break
    return {"out": "".join(out)}


def login(url, password):
    cookies = http.cookiejar.CookieJar()
    handlers = [urllib.request.HTTPCookieProcessor(cookies), urllib.request.HTTPSHandler(context=OPEN)]
    opener = urllib.request.build_opener(*handlers)
    page = urllib.request.Request(url + "login")
    status(page, opener)
    xsrf = next(cookie.value for cookie in cookies if cookie.name == "_xsrf")
    form = urllib.parse.urlencode({"password": password, "_xsrf": xsrf}).encode()
    status(urllib.request.Request(url + "login", data=form), opener)
    return {"kernels": status(urllib.request.Request(url + "api/kernels"), opener)[0]}


class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"version": "5.0.0"})

    def do_POST(self):
        self.answer({})

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())
        print(json.dumps({"asked": f"{self.command} {self.path}"}), flush=True)

    def log_message(self, *_):
        pass


def main(where, what, *words):
    if what == "hub":
        http.server.ThreadingHTTPServer(("127.0.0.1", int(where)), Hub).serve_forever()
    print(json.dumps({"execute": execute, "login": login}[what](where, *words)), flush=True)


main(*sys.argv[1:])
