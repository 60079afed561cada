"""An HTTP server on 127.0.0.1 that says nothing of what is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Quiet(BaseHTTPRequestHandler):
    """Answers without a log."""

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Say nothing of connections that a client drops when it is killed."""


@contextmanager
def local_server(handler: Callable[..., BaseHTTPRequestHandler], **known: Any) -> Iterator[str]:
    """Serve for as long as the block lasts, at the URL that is given; handlers have what is `known` as attributes."""
    server = _Server(("127.0.0.1", 0), type("Handler", (handler,), known) if known else handler)  # type: ignore[arg-type]
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
