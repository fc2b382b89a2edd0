"""The world outside of the backup server, on loopback: a web server that is pinged, and a mail server."""

import socket
import threading
import time
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class WebServer:
    """Keeps what was posted to it, as (path, body). Answers with `status`; holds each answer back for `delay_s`."""

    def __init__(self) -> None:
        self.status, self.delay_s = 200, 0.0
        self.heard: list[tuple[str, str]] = []
        kept = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                kept.heard.append((self.path, body))
                try:
                    self._drip(time.monotonic() + kept.delay_s)
                    self.send_response(kept.status)
                    self.end_headers()
                    self.wfile.write(b"OK")
                except OSError:
                    return

            def _drip(self, deadline: float) -> None:
                # a byte now and then: a limit on silence alone would never end it
                rest = b"HTTP/1.0 200 OK\r\nX-Slow: "
                while time.monotonic() < deadline:
                    self.wfile.write(rest)
                    rest = b"x"
                    time.sleep(0.1)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Where it listens, with a path that nobody else knows."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/secret-7f3a"

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [path for path, _ in self.heard]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class MailServer:
    """Takes every mail, as SMTP wants it; keeps them."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        """A mailbox there, as apprise writes it."""
        port = self._listener.getsockname()[1]
        return f"mailto://127.0.0.1:{port}?from=backup@pavroto.ttu&to=ops@pavroto.ttu&mode=insecure&format=text"

    def texts(self) -> list[str]:
        """The mails' texts."""
        return [_text(mail) for mail in self.mails]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream:

            def say(line: bytes) -> None:
                stream.write(line + b"\r\n")
                stream.flush()

            say(b"220 sink")
            for line in stream:
                verb = line[:4].upper()
                if verb == b"DATA":
                    say(b"354 go on")
                    lines = iter(stream.readline, b".\r\n")
                    self.mails.append(message_from_bytes(b"".join(lines)))
                say(b"221 bye" if verb == b"QUIT" else b"250 fine")


def _text(mail: Message) -> str:
    parts = [p.get_payload(decode=True) for p in mail.walk() if p.get_content_type() == "text/plain"]
    return "\n".join(p.decode() for p in parts if isinstance(p, bytes))
