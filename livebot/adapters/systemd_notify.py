"""What a service tells systemd, by the protocol of sd_notify(3): assignments, a line each, in one datagram.

Rules of this file: where no service manager listens ($NOTIFY_SOCKET unset) nothing is sent and nothing is wrong; telling
never waits and never raises, because a daemon must not depend on who watches it; a status is one line without secrets.
"""

import os
import socket
import time
from collections.abc import Mapping

import structlog

from livebot.adapters.log.redaction import Redaction, secrets_of

SOCKET, WATCHDOG, WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
STATUS_CHARACTERS_MAX = 600  # systemctl shows a status on one line

_log = structlog.get_logger(__name__)


def runs_as_service(environ: Mapping[str, str]) -> bool:
    """Whether a service manager has started this process and listens to it."""
    return bool(environ.get(SOCKET))


class SystemdNotify:
    """The way to the service manager, of one process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """`environ` is where systemd says where it listens, and how often it wants to hear of progress."""
        self._address = _address(environ.get(SOCKET, ""))
        self._redaction = Redaction(secrets_of(environ))
        self._unheard = False
        self.watchdog_s = _watchdog_s(environ)

    @property
    def listens(self) -> bool:
        """Whether anybody hears what is told."""
        return bool(self._address)

    def ready(self) -> None:
        """The service does what it is for."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The service reads its config anew; `ready` says that it is done.

        The time is the monotonic clock's, by which systemd tells this reload from one that it asked for later.
        """
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service has begun to stop."""
        self._send("STOPPING=1")

    def status(self, sentence: str) -> None:
        """What `systemctl status` shows."""
        line = " ".join(self._redaction(sentence).split())
        if len(line) > STATUS_CHARACTERS_MAX:
            line = line[: STATUS_CHARACTERS_MAX - 3] + "..."
        self._send(f"STATUS={line}")

    def alive(self) -> None:
        """Pet the watchdog."""
        self._send("WATCHDOG=1")

    def extend(self, seconds: float) -> None:
        """The present start or stop may take so much longer, counted from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}")

    def _send(self, assignment: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(assignment.encode("utf-8", "replace"), self._address)
        except OSError as error:
            if not self._unheard:
                _log.warning("service_manager_not_reached", what=assignment.partition("=")[0], why=str(error))
            self._unheard = True
        else:
            self._unheard = False


def _address(text: str) -> str:
    """What the socket module takes: `@` begins a name in the abstract namespace; what is no unix socket is nobody."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else ""


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """How long systemd waits for progress; None: it does not, or it waits for another process."""
    microseconds, pid = environ.get(WATCHDOG, ""), environ.get(WATCHDOG_PID, "")
    if not microseconds.isdecimal() or int(microseconds) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(microseconds) / 1_000_000
