"""A real S3-compatible server, and a network before it that may fail."""

import http.client
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest


def never(number, method, path):
    return False


class Network(ThreadingHTTPServer):
    """Passes requests on to a server; `fails` says of each, by its number and method, whether it is lost."""

    daemon_threads = True

    def __init__(self, behind):
        super().__init__(("127.0.0.1", 0), Passing)
        self.behind = behind
        self.fails = never
        self.seen = 0
        self.lost = 0


class Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        network = self.server
        network.seen += 1
        body = self.body()
        if network.fails(network.seen, self.command, self.path):
            network.lost += 1
            if network.lost % 2:
                self.close_connection = True  # dropped without a word
                return
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
        body = body if self.command in ("PUT", "POST") else None
        behind = http.client.HTTPConnection(network.behind)
        with closing(behind):
            behind.request(self.command, self.path, body, headers)
            answer = behind.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            length = answer.headers.get("Content-Length") if self.command == "HEAD" else str(len(data))
            for name, value in answer.headers.items():
                if name.lower() not in ("transfer-encoding", "content-length", "connection", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = pass_on  # noqa: N815

    def body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while length := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def s3_server():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def network(s3_server, monkeypatch):
    """An S3 server with a bucket named `lab`, behind a network that works until it is told not to."""
    network = Network(s3_server)
    thread = threading.Thread(target=network.serve_forever, daemon=True)
    thread.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{network.server_port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)  # ours alone are tested
    s3 = fsspec.filesystem("s3")
    if not s3.exists("lab"):
        s3.mkdir("lab")
    yield network
    if s3.exists("lab"):
        s3.rm("lab", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()
    network.shutdown()
    network.server_close()
