"""An S3 server with the objects of the tests in the bucket `bkt`. Tells its port, then goes on until its input ends; a line on stderr for each
request."""

import os
import sys
import threading

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

moto = DomainDispatcherApplication(create_backend_app)


def told(environ, start_response):
    os.write(2, f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}\n".encode())  # one write, so that lines stay whole
    return moto(environ, start_response)


server = make_server("127.0.0.1", 0, told, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_port
s3 = boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{port}",
    region_name="us-east-1",
    aws_access_key_id="a",
    aws_secret_access_key="b",
)
s3.create_bucket(Bucket="bkt")
for number in range(20):
    s3.put_object(Bucket="bkt", Key=f"imagenet/train/{number}.bin", Body=bytes([number]) * 1000)
s3.put_object(Bucket="bkt", Key="imagenet/big", Body=b"x" * (40 << 20))
for key in ["coco/a", "two/a", "two/a/b", "out/../../x"]:
    s3.put_object(Bucket="bkt", Key=key, Body=b"1")
print(f"port {port}", flush=True)
sys.stdin.read()
