"""Servers in threads of their own, over any SystemControl."""

import asyncio
import contextlib
import json
import socket
import threading

import uvloop

from livebot.ops.control_client import ControlClient
from livebot.ops.control_server import ControlServer


class InThread:
    """A server in a thread of its own, on uvloop as in the daemon; who inherits says how it is made and reached."""

    def __init__(self, control, **options):
        self.control = control
        self.loop = uvloop.new_event_loop()
        self._options = options
        self._thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self):
        self._thread.start()
        self.server = self.made(**self._options)
        try:
            self.run(self.server.start())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_):
        self.run(self.server.close())
        self._stop()

    def _stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def send(self, raw):
        """Everything that comes back for these bytes, until the server hangs up."""
        with self.connect() as caller:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                caller.sendall(raw)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := caller.recv(65536):
                    answer += piece
        return answer


class Served(InThread):
    """A control server, and all that was audited."""

    def __init__(self, path, control, **options):
        super().__init__(control, **options)
        self.path = path
        self.audited = []

    def made(self, **options):
        return ControlServer(self.control, self.path, audit=lambda *told: self.audited.append(told), **options)

    def connect(self):
        caller = socket.socket(socket.AF_UNIX)
        caller.settimeout(15)
        caller.connect(str(self.path))
        return caller

    def client(self, **options):
        return ControlClient(self.path, **options)

    def post(self, target, body, method="POST"):
        """Status and JSON body of one request."""
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        top, _, rest = self.send(head.encode() + body).partition(b"\r\n\r\n")
        return int(top.split()[1]), json.loads(rest)
