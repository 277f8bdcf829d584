"""What a browser does with a Jupyter server, by its HTTP and websocket API. Prints what it found as JSON.

    client.py URL execute CODE [TOKEN]     runs code in a new kernel; without a token only asks who may
    client.py URL terminal LINE TOKEN      types a line in a new terminal, and waits for `end`
    client.py URL ask                      asks as probes do, without a token
    client.py URL login PASSWORD           logs in with the form
    client.py URL through HOST ORIGIN TOKEN    as a browser behind a proxy that is called HOST: logs in, opens a terminal and a kernel
    client.py URL user TOKEN               has a hub start a server for jane, uses it with her token, and has it stopped
"""

import http.cookiejar
import json
import ssl
import sys
import time
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


def terminal(url, line, token):
    import websocket

    headers = {"Authorization": f"token {token}"}
    create = urllib.request.Request(url + "api/terminals", data=b"{}", method="POST", headers=headers)
    answer = status(create)
    if answer[0] != 200:
        return {"out": f"{answer}"}
    name = json.loads(answer[1])["name"]
    channel = websocket.create_connection(f"ws{url[4:]}terminals/websocket/{name}", header=headers, timeout=60)
    channel.send(json.dumps(["stdin", line + "\r"]))
    out = ""
    while "end\r\n" not in out:
        kind, *content = json.loads(channel.recv())
        out += content[0] if kind == "stdout" else ""
    return {"out": out}


def ask(url):
    return {name: status(urllib.request.Request(f"{url}api/{name}"))[0] for name in ("kernels", "status")}


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


def through(url, host, origin, token):
    """A token in a header would skip the check of the origin, so this logs in with a cookie, as a browser does."""
    import websocket

    cookies = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    headers = {"Host": host, "Origin": origin}
    status(urllib.request.Request(f"{url}lab?token={token}", headers={"Host": host}), opener)
    headers["X-XSRFToken"] = next((cookie.value for cookie in cookies if cookie.name == "_xsrf"), "")

    def opened(what, path):
        answer = status(urllib.request.Request(f"{url}api/{what}", data=b"{}", method="POST", headers=headers), opener)
        if answer[0] not in (200, 201):
            return answer[0]
        made = json.loads(answer[1])
        cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)
        address = f"ws{url[4:]}" + path.format(made.get("id", made["name"]))
        try:
            channel = websocket.create_connection(address, host=host, origin=origin, cookie=cookie, timeout=60)
        except websocket.WebSocketBadStatusException as refused:
            return refused.status_code
        channel.send(json.dumps(["stdin", "echo e''nd\r"] if what == "terminals" else kernel_info()))
        while True:
            said = channel.recv()
            if "end\\r\\n" in said or "kernel_info_reply" in said:
                return "answers"

    return {"terminal": opened("terminals", "terminals/websocket/{}"), "kernel": opened("kernels", "api/kernels/{}/channels")}


def kernel_info():
    header = {"msg_id": str(uuid.uuid4()), "msg_type": "kernel_info_request", "username": "", "session": "s", "version": "5.3"}
    return {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": {}}


def user(hub, admin):
    def asked(method, path, token=admin, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{hub}api/{path}", data, {"Authorization": f"token {token}"}, method=method)
        code, answer, _ = status(request)
        assert code < 400, (path, code, answer)
        return json.loads(answer or "null")

    def until(what, holds):
        for _ in range(600):
            jane = asked("GET", "users/jane")
            if holds(jane["servers"].get("", {})):
                return
            time.sleep(0.1)
        raise TimeoutError(f"{what}: {jane}")

    asked("POST", "users/jane")
    asked("POST", "users/jane/server", body={})
    until("a server that is ready", lambda server: server.get("ready"))
    hers = asked("POST", "users/jane/tokens", body={})["token"]
    route = next(route for spec, route in asked("GET", "proxy").items() if spec.rstrip("/").endswith("/user/jane"))
    server = route["target"] + "/user/jane/"
    found = {"nobody": ask(server), "jane": execute(server, "print(6 * 7)", hers)["out"]}
    asked("DELETE", "users/jane/server")
    until("its end", lambda server: not server)
    return found


def main(where, what, *words):
    tasks = {"execute": execute, "login": login, "ask": ask, "terminal": terminal, "through": through, "user": user}
    print(json.dumps(tasks[what](where, *words)), flush=True)


main(*sys.argv[1:])
