"""A page to draw on, and the small server behind it.

The page sends what was drawn or dropped, as a picture, to the same `Reader` that Python code calls and that reads as
`mnist predict` does. A page that runs the exported ONNX file in the browser would need the cleaning of photographs a
second time, in JavaScript, and could then disagree with the other two; it would also need 12 MB of somebody else's
runtime. Python's own server needs nothing.
"""

import errno
import html
import io
import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from mnist_cli.errors import UserError
from mnist_cli.use.reader import Reader

_PAGE = files("mnist_cli.use") / "page"
_KINDS = {"index.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
_LARGEST = 32 * 2**20  # bytes of a picture
_HEADERS = {
    # Nothing from elsewhere, and nothing to elsewhere.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_LOOPBACK = ("127.0.0.1", "localhost")


def serve(reader: Reader, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve the page until Ctrl-C.

    Args:
        reader: Reads what is drawn.
        host: Address to listen at.
        port: Port of the page; 0 takes a free one.

    Raises:
        UserError: If nothing can listen there.
    """
    with make_server(reader, host, port) as server:
        print(f"Draw a digit at {address(server)} (Ctrl-C ends)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def make_server(reader: Reader, host: str, port: int) -> ThreadingHTTPServer:
    """The server of the page, listening but not yet answering.

    Raises:
        UserError: If the port is in use, or the address is not this machine's.
    """
    try:
        server = ThreadingHTTPServer((host, port), _Handler)
    except OverflowError as error:
        raise UserError(f"--port {port}: ports go from 0 to 65535.") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"--port {port}: another program is using this port; end it, or take another with --port {port + 1}."
            ) from error
        raise UserError(f"--host {host} --port {port}: nothing can listen there ({error.strerror}).") from error
    server.reader, server.lock = reader, Lock()  # type: ignore[attr-defined]
    server.daemon_threads = True
    return server


def address(server: ThreadingHTTPServer) -> str:
    """Where the page is."""
    host, port = server.server_address[:2]
    return f"http://{host!s}:{port}/"


class _Handler(BaseHTTPRequestHandler):
    """Answers GET with the page's files, and POST /read with what the network says to a picture."""

    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a connection may be silent
    server: Any

    def do_GET(self) -> None:
        name = urlsplit(self.path).path.removeprefix("/") or "index.html"
        if self._is_foreign():
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"this page is served to this machine only\n")
        elif name not in _KINDS:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"there is no such page\n")
        else:
            text = (_PAGE / name).read_text(encoding="utf-8")
            reader: Reader = self.server.reader
            text = text.replace("{{network}}", html.escape(f"{reader.title}, from {reader.source}"))
            self._answer(HTTPStatus.OK, _KINDS[name], text.encode())

    do_HEAD = do_GET

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal():
            self.close_connection = True  # what comes is not read
            self._answer_json(HTTPStatus.LENGTH_REQUIRED, {"error": "There is no picture, or its length is not given."})
            return
        if int(size) > _LARGEST:
            self.close_connection = True
            problem = {"error": f"The picture is too large; {_LARGEST // 2**20} MB is the most."}
            self._answer_json(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, problem)
            return
        body = self.rfile.read(int(size))
        if self._is_foreign() or self.path != "/read":
            self._answer_json(HTTPStatus.FORBIDDEN, {"error": "This request does not come from the page."})
            return
        try:
            with self.server.lock:
                answer = _read(self.server.reader, body)
        except UserError as error:
            self._answer_json(HTTPStatus.UNPROCESSABLE_ENTITY, {"error": str(error)})
        else:
            self._answer_json(HTTPStatus.OK, answer)

    def _is_foreign(self) -> bool:
        """Whether another site asks: through a name of its own for this machine, or from a page of its own."""
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        local = self.server.server_address[0] in _LOOPBACK
        try:
            return (local and urlsplit(f"//{host}").hostname not in _LOOPBACK) or (
                origin is not None and urlsplit(origin).netloc != host
            )
        except ValueError:  # neither is the address of a page
            return True

    def _answer_json(self, status: HTTPStatus, answer: dict[str, Any]) -> None:
        self._answer(status, "application/json", json.dumps(answer).encode())

    def _answer(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: drawings are private."""


def _read(reader: Reader, body: bytes) -> dict[str, Any]:
    """What the page shows; `seen` are the 784 pixels, row by row, 0 to 255."""
    try:
        picture = Image.open(io.BytesIO(body))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UserError("This file is not a picture that can be read.") from error
    reading = reader.read(picture)
    return {
        "digit": reading.digit,
        "probability": round(reading.probability, 6),
        "probabilities": [round(float(share), 6) for share in reading.probabilities],
        "seen": np.rint(reading.seen * 255).astype(int).ravel().tolist(),
        "note": reading.note,
    }
