"""Asks the running daemon over its control socket.

Rules of this file: standard library only at import, so that a command answers at once; a request is sent once and
never again by itself.
"""

import contextlib
import http.client
import json
import os
import socket
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from livebot.errors import LivebotError, Rejected

ANSWER_SECONDS = 40.0  # longer than the daemon lets a command take before it answers "still under way"
ANSWER_BYTES_MAX = 64 * 1024 * 1024


class DaemonNotReached(LivebotError):
    """Nobody answers at the control socket; the text says what that may mean."""


class ControlClient:
    """One request per call, each over a connection of its own."""

    def __init__(self, path: Path, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._path = path
        self._answer_seconds = answer_seconds

    def status(self) -> dict[str, Any]:
        """The daemon's status as it sent it; `status_json.decode_status` makes a SystemStatus of it.

        Raises:
            DaemonNotReached: nobody answers.
            Rejected: the daemon refused.

        """
        return self._ask("GET", "/v1/status", None)

    def command(self, name: str, arguments: Mapping[str, Sequence[str] | str | None]) -> str:
        """Have a command run; the daemon's sentence about what it did.

        Raises:
            DaemonNotReached: nobody answers.
            Rejected: the daemon refused, or could not.

        """
        answer = self._ask("POST", f"/v1/{name}", json.dumps(arguments).encode())
        return str(answer.get("message", "done"))

    def _ask(self, method: str, target: str, body: bytes | None) -> dict[str, Any]:
        connection = _UnixConnection(self._path, self._answer_seconds)
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            # a daemon that turns us away says so and hangs up without listening to the end
            with contextlib.suppress(BrokenPipeError):
                connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
            raw = response.read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException) as error:
            raise DaemonNotReached(_why(error, self._path, self._answer_seconds)) from error
        finally:
            connection.close()
        return _read_answer(response.status, raw)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self._path))


def _why(error: Exception, path: Path, seconds: float) -> str:
    match error:
        case FileNotFoundError():
            return f"no daemon runs here: there is no {path}; start one, or say with --root where it is"
        case ConnectionRefusedError():
            return f"no daemon answers on {path}: it was killed; start it again"
        case PermissionError():
            return f"this user may not open {path}; run the command as the user that the daemon runs as"
        case TimeoutError() | BlockingIOError():
            return f"the daemon does not answer on {path} within {seconds:g} s: it is overloaded or hangs"
        case _:
            return f"the daemon cannot be asked over {path}: {str(error) or type(error).__name__}"


def _read_answer(status: int, raw: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise Rejected(f"the daemon answered {status} without saying why; its log has the details")
    if status != HTTPStatus.OK:
        raise Rejected(str(answer.get("error", f"the daemon answered {status}")))
    return answer
