"""Opens JupyterLab in headless Chromium, types a line in a terminal of it, and prints as JSON what the terminal then shows. The page is
steered by the DevTools protocol; a picture of it is kept.

    browser.py URL HOME LINE UNTIL PICTURE     HOME is Jupyter's; UNTIL is a regular expression of what the terminal shows at the end
"""

import base64
import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.request

import websocket

PATIENCE = 90  # seconds
# The screen-reader mode of JupyterLab's terminal puts its rows into the page, where they can be read; else they are only painted.
SETTINGS = {
    "terminal-extension/plugin": {"screenReaderMode": True},
    "apputils-extension/notification": {"fetchNews": "false"},
}
CARD = ".jp-LauncherCard[data-category=Other][title*=terminal i]"
ROWS = "[...document.querySelectorAll('.jp-Terminal .xterm-accessibility-tree > div')].map(row => row.textContent).join('\\n')"


class Page:
    def __init__(self, port):
        targets = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=PATIENCE))
        address = next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page")
        self.channel = websocket.create_connection(address, timeout=PATIENCE, suppress_origin=True)
        self.number = 0

    def asks(self, method, **parameters):
        self.number += 1
        self.channel.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.channel.recv())
            if answer.get("id") == self.number:
                return answer.get("result", {})

    def evaluates(self, script):
        return self.asks("Runtime.evaluate", expression=script, returnByValue=True).get("result", {}).get("value")

    def shows(self, what, script, holds=bool):
        begun = time.monotonic()
        while not holds(seen := self.evaluates(script)):
            if time.monotonic() - begun > PATIENCE:
                raise TimeoutError(f"{what}: {seen!r}; {self.evaluates('document.body.innerText')}")
            time.sleep(0.1)
        return seen

    def types(self, text):
        # Key by key, because a text that is put in at once is no input to a terminal in screen-reader mode.
        for letter in text + "\r":
            key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13} if letter == "\r" else {"key": letter}
            self.asks("Input.dispatchKeyEvent", type="keyDown", text=letter, **key)
            self.asks("Input.dispatchKeyEvent", type="keyUp", **key)


def settle(home):
    for name, values in SETTINGS.items():
        file = pathlib.Path(home, ".jupyter/lab/user-settings/@jupyterlab", name + ".jupyterlab-settings")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))


def main(url, home, line, until, picture):
    settle(home)
    profile = pathlib.Path(home, "browser")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,800"]
    options += [f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"]
    browser = subprocess.Popen(["chromium", *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        file, begun = pathlib.Path(profile, "DevToolsActivePort"), time.monotonic()
        while not (file.exists() and "\n" in file.read_text()):
            if browser.poll() is not None or time.monotonic() - begun > PATIENCE:
                raise RuntimeError(f"no browser: {browser.poll()}")
            time.sleep(0.1)
        page = Page(file.read_text().split("\n")[0])
        page.asks("Page.navigate", url=url)
        page.shows("the launcher", f"Boolean(document.querySelector('{CARD}'))")
        page.evaluates(f"document.querySelector('{CARD}').click()")
        page.shows("a prompt", ROWS, lambda rows: rows and rows.strip())
        page.evaluates("document.querySelector('.jp-Terminal .xterm-helper-textarea').focus()")
        page.types(line)
        rows = page.shows("the answer", ROWS, lambda rows: re.search(until, rows or ""))
        pathlib.Path(picture).write_bytes(base64.b64decode(page.asks("Page.captureScreenshot", format="png")["data"]))
        print(json.dumps({"rows": rows}))
    finally:
        browser.terminate()
        browser.wait()


main(*sys.argv[1:])
