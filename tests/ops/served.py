"""Servers in threads of their own, over any SystemControl."""

import asyncio
import contextlib
import json
import socket
import threading

import uvloop

from livebot.adapters.ledger.journal import line_of
from livebot.ops.control.app import ApiSettings, ControlApi
from livebot.ops.control.client import ControlClient
from livebot.ops.control.events import Events, EventSettings
from livebot.ops.control.guard import GuardSettings
from livebot.ops.control.port import ControlPort
from livebot.ops.control.server import ControlServer
from tests.ops.fake_control import NOON_MS
from tests.virtual_loop import REAL_WAIT_S

TOKEN = "0123456789abcdefghijklmnopqrstuvwxyz"


class InThread:
    """A server in a thread of its own, on uvloop as in the daemon; who inherits says how it is made and reached."""

    def __init__(self, control, **options):
        self.control = control
        self.loop = uvloop.new_event_loop()
        self._options = options
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

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
        try:
            self.run(self.server.close())
        finally:
            self._stop()

    def _stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(REAL_WAIT_S)

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


class ServedApi(InThread):
    """The control API, and all that was audited: `audited` when it began, `outcomes` when it had ended."""

    def __init__(self, control, **options):
        super().__init__(control, **options)
        self.audited, self.outcomes, self.repeated = [], [], []

    def audit(self, kind, fields):
        fields = dict(fields)
        if kind == "command":
            assert fields.pop("number") == len(self.audited) + 1
            self.audited.append((fields.pop("command"), {k: v for k, v in fields.items() if k != "who"}, fields["who"]))
        else:
            {"command_outcome": self.outcomes, "command_repeated": self.repeated}[kind].append(fields)

    def api(self, *, metrics=None, events=None, **settings):
        self.events = Events(line_of, lambda: NOON_MS, 0xABC, events or EventSettings())
        self.served_api = ControlApi(
            self.control, audit=self.audit, events=self.events, settings=ApiSettings(**settings), metrics=metrics
        )
        return self.served_api

    def post(self, target, body, method="POST", more=""):
        """Status and JSON body of one request."""
        return self.ask(target, method, body, f"Content-Type: application/json\r\n{more}")[::2]

    def ask(self, target, method="GET", body=b"", more=""):
        """Status, head and JSON body of one request."""
        length = f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
        head = f"{method} {target} HTTP/1.1\r\n{self.host()}{length}{more}\r\n"
        top, _, rest = self.send(head.encode() + body).partition(b"\r\n\r\n")
        return int(top.split()[1]), top.decode(), json.loads(rest)


class Served(ServedApi):
    """On a unix socket."""

    def __init__(self, path, control, **options):
        super().__init__(control, **options)
        self.path = path

    def made(self, *, head_seconds=REAL_WAIT_S, connections_max=16, **options):
        return ControlServer(self.api(**options), self.path, head_seconds=head_seconds, connections_max=connections_max)

    def host(self):
        return "Host: x\r\n"

    def connect(self):
        caller = socket.socket(socket.AF_UNIX)
        caller.settimeout(REAL_WAIT_S)
        caller.connect(str(self.path))
        return caller

    def client(self, **options):
        return ControlClient(self.path, **options)


class ServedPort(ServedApi):
    """On a port; whoever asks by `ask` and `post` holds the token."""

    token = TOKEN

    def made(self, *, guard=None, address="127.0.0.1", **options):
        guard = guard or GuardSettings(delay_s=0.01)
        return ControlPort(self.api(**options), TOKEN, 0, address=address, guard=guard, head_seconds=REAL_WAIT_S)

    def host(self):
        token = f"Authorization: Bearer {self.token}\r\n" if self.token else ""
        return f"Host: 127.0.0.1:{self.server.port}\r\n{token}"

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=REAL_WAIT_S)
