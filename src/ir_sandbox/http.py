"""An HTTP server in a thread, on a loopback port, for the local services."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from werkzeug.serving import make_server

WsgiApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]


class RunningServer:
    """Serves a WSGI application on 127.0.0.1 from its creation until `close`; also a context manager."""

    def __init__(self, application: WsgiApplication, port: int = 0) -> None:
        """Start serving; raises OSError if the port is in use. Port 0 selects a free port."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server("127.0.0.1", port, application, threaded=True)
        # By default, socketserver checks for its end twice a second, which is too slow for a server per test.
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self._server.server_port)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop listening and wait for the serving thread to end."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the server."""
        self.close()
