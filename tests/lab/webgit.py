"""Repositories over the network by git itself: `git daemon`, and `git http-backend` behind a small web server."""

import os
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.lab.processes import Process, free_port, plain_environment, run


class WebServer:
    """Serves what lies below `top` by http, or by https with a certificate of its own, at `url`, until `close`."""

    def __init__(self, top: Path, scheme: str, certificate: Path | None = None) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(top))
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{scheme}://localhost:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class Daemon:
    """`git daemon` for what lies below `top`, at `url`, until `close`."""

    def __init__(self, top: Path, directory: Path) -> None:
        port, self._process = free_port(), Process()
        self.url = f"git://localhost:{port}"
        argv = ["git", "daemon", "--export-all", f"--base-path={top}", f"--port={port}", "--listen=127.0.0.1", str(top)]
        self._process.start(argv, directory / "daemon.log", plain_environment(directory))

        def answers() -> bool:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        self._process.wait_ready(answers, 10, "git daemon")

    def close(self) -> None:
        """End it."""
        self._process.stop()


def certificate(directory: Path) -> Path:
    """A key and a certificate for `localhost` that nobody has signed, in one file."""
    file, key = directory / "server.pem", directory / "server.key"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            *subject,
            "-keyout",
            key,
            "-out",
            file,
        ]
    )
    file.write_bytes(key.read_bytes() + file.read_bytes())
    return file


def _handler(top: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Hands every request to git http-backend (CGI, RFC 3875)."""

        def do_GET(self) -> None:
            """A request without a body."""
            self._answer(b"")

        def do_POST(self) -> None:
            """A request with one."""
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _answer(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            variables = {
                "GIT_PROJECT_ROOT": str(top),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "PATH": os.environ["PATH"],
            }
            done = subprocess.run(["git", "http-backend"], input=body, env=variables, capture_output=True, check=False)
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    return Handler
