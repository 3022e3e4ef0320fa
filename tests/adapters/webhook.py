"""A real HTTP server on loopback that takes what apprise's json:// sends, and answers as the test says."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.virtual_loop import REAL_WAIT_S


class Webhook:
    """`code` is what it answers, `held` keeps it from answering while it is not set."""

    def __init__(self) -> None:
        self.code = 200
        self.held = threading.Event()
        self.held.set()
        self.taken: list[dict[str, Any]] = []
        self.tries = 0
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["content-length"])))
                hook.tries += 1
                hook.held.wait(REAL_WAIT_S)
                if hook.code == 200:
                    hook.taken.append(content)
                self.send_response(hook.code)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def url(self, path: str = "hook") -> str:
        return f"json://127.0.0.1:{self._server.server_port}/{path}"

    @property
    def text(self) -> str:
        return "\n".join(each["message"] for each in self.taken)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.held.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
