"""A metadata service for tests, as a cloud's answers are documented.

    metadata.py KIND DIRECTORY

Prints its port. Each request is a line of DIRECTORY/asked: method, path, and a header where it matters. The notice begins when
DIRECTORY/notice appears. KIND is aws, gcp, azure, silent (takes connections and says nothing) or garbage.
"""

import datetime
import http.server
import json
import os
import sys
import time
import urllib.parse

kind, directory = sys.argv[1:]
tokens = {"given": 0, "uses": 0}


def noticed():
    return os.path.exists(os.path.join(directory, "notice"))


def later(seconds):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body="", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_PUT(self):
        self.asked()
        if kind != "aws" or self.path != "/latest/api/token" or "X-aws-ec2-metadata-token-ttl-seconds" not in self.headers:
            return self.answer(403)
        tokens["given"] += 1
        tokens["uses"] = 0
        self.answer(200, f"token-{tokens['given']}")

    def do_GET(self):
        self.asked()
        if kind == "silent":
            return time.sleep(100)
        if kind == "garbage":
            return self.wfile.write(b"\0\xff\r\n\r\n" * 5000)
        getattr(self, kind)()

    def asked(self):
        with open(os.path.join(directory, "asked"), "a") as asked:
            asked.write(f"{self.command} {self.path}\n")

    def aws(self):
        # A token is good for one question here; a real one is for hours.
        tokens["uses"] += 1
        if self.headers.get("X-aws-ec2-metadata-token") != f"token-{tokens['given']}" or tokens["uses"] > 1:
            return self.answer(401)
        if self.path.endswith("/rebalance"):
            return self.answer(200, json.dumps({"noticeTime": later(0).strftime("%Y-%m-%dT%H:%M:%SZ")}))
        if not noticed() or self.path != "/latest/meta-data/spot/instance-action":
            return self.answer(404)
        self.answer(200, json.dumps({"action": "terminate", "time": later(118).strftime("%Y-%m-%dT%H:%M:%SZ")}))

    def gcp(self):
        if self.headers.get("Metadata-Flavor") != "Google":
            return self.answer(403)
        url = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if query.get("wait_for_change") == "true" and query.get("last_etag") == "a1":
            end = time.monotonic() + float(query["timeout_sec"])
            while time.monotonic() < end and not noticed():
                time.sleep(0.05)
        values = {"/computeMetadata/v1/instance/preempted": ("FALSE", "TRUE"),
                  "/computeMetadata/v1/instance/maintenance-event": ("NONE", "NONE")}
        self.answer(200, values[url.path][noticed()], ETag="b2" if noticed() else "a1", Metadata_Flavor="Google")

    def azure(self):
        if self.headers.get("Metadata") != "true":
            return self.answer(400)
        if self.path.startswith("/metadata/instance/compute/name"):
            return self.answer(200, "set_7")
        machines = ["set_3"] + (["set_7"] if noticed() else [])
        event = {"EventId": "x", "EventStatus": "Scheduled", "EventType": "Preempt", "ResourceType": "VirtualMachine",
                 "NotBefore": later(40).strftime("%a, %d %b %Y %H:%M:%S GMT"), "Description": "", "EventSource": "Platform"}
        events = [{**event, "Resources": [machine]} for machine in machines]
        self.answer(200, json.dumps({"DocumentIncarnation": 2, "Events": events}))


service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
service.daemon_threads = True
print(service.server_address[1], flush=True)
service.serve_forever()
