"""The control API on a unix socket that only its owner can open.

Rules of this file: the socket's mode is 0600 from its first instant; a socket that somebody answers on, or anything
that is not a socket of ours, is never removed; connections, and the time each may idle, are bounded.
"""

import asyncio
import errno
import os
import socket
import stat
import struct
from pathlib import Path

from aiohttp import web

from livebot.errors import Fatal
from livebot.ops.control.app import ControlApi
from livebot.ops.control.guard import no_page
from livebot.ops.door import SERVER_LOG, Door

PATH_BYTES_MAX = 107  # sun_path is 108 bytes, the last one NUL
CONNECTIONS_MAX = 16
REQUEST_HEAD_SECONDS = 5.0
_NOT_OTHERS = 0o177
_PEER_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


class ControlServer:
    """Serves the control API at `path` between `start` and `close`."""

    def __init__(
        self,
        api: ControlApi,
        path: Path,
        *,
        connections_max: int = CONNECTIONS_MAX,
        head_seconds: float = REQUEST_HEAD_SECONDS,
    ) -> None:
        self._door = Door("control", connections_max, head_seconds)
        app = api.app(no_page, identify=peer_of, token=False)
        self._runner = runner_of(app, self._door, api.settings.command_seconds)
        self._path = path
        self._server: asyncio.Server | None = None
        self._inode: tuple[int, int] | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            Fatal: the path is too long, taken, or cannot be written; the text says what to do.

        """
        bound = bind_private(self._path)
        made = self._path.lstat()
        self._inode = (made.st_dev, made.st_ino)
        await self._runner.setup()
        self._door.server = self._runner.server
        self._server = await asyncio.get_running_loop().create_unix_server(
            self._door.connection, sock=bound, backlog=CONNECTIONS_MAX
        )

    async def close(self) -> None:
        """Take no more requests, answer those under way for a bounded time, remove the socket."""
        if self._server is not None:
            self._server.close()
        self._remove()
        await self._runner.cleanup()

    def _remove(self) -> None:
        try:
            present = self._path.lstat()
        except OSError:
            return
        if (present.st_dev, present.st_ino) == self._inode:
            self._path.unlink(missing_ok=True)


def runner_of(app: web.Application, door: Door, command_seconds: float) -> web.AppRunner:
    """What runs an application of the control API behind a door."""
    app.middlewares.insert(0, door.let_in)
    return web.AppRunner(
        app,
        access_log=None,  # the audit tells more
        logger=SERVER_LOG,
        auto_decompress=False,  # nobody compresses a command; what is not plain is not JSON
        lingering_time=1.0,
        shutdown_timeout=command_seconds,
    )


def peer_of(request: web.Request) -> str:
    """Who is at the other end of the unix socket, as the kernel tells it."""
    transport = request.transport
    connection = None if transport is None else transport.get_extra_info("socket")
    if connection is None or not hasattr(socket, "SO_PEERCRED"):
        return "unknown"
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    except OSError:  # it hung up meanwhile
        return "unknown"
    pid, uid, _ = _PEER_CREDENTIALS.unpack(raw)
    return f"uid={uid} pid={pid}"


def bind_private(path: Path) -> socket.socket:
    """A unix socket bound at `path` with mode 0600, in place of one that nobody answers on any more.

    Raises:
        Fatal: as `ControlServer.start`.

    """
    if len(os.fsencode(path)) > PATH_BYTES_MAX:
        raise Fatal(
            f"the control socket's path is longer than the {PATH_BYTES_MAX} bytes that the system allows: "
            f"{path}; choose a shorter --root"
        )
    _clear_stale(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(_NOT_OTHERS)
    try:
        made.bind(os.fspath(path))
    except OSError as error:
        made.close()
        raise Fatal(
            f"the control socket {path} cannot be made: {error.strerror}; "
            "see that its folder exists and that this user may write there"
        ) from error
    finally:
        os.umask(before)
    made.setblocking(False)
    return made


def _clear_stale(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise Fatal(f"the control socket {path} cannot be looked at: {error.strerror}") from error
    if not stat.S_ISSOCK(found.st_mode):
        raise Fatal(f"{path} is where the control socket belongs, but it is not a socket; move it away")
    if found.st_uid != os.geteuid():
        raise Fatal(
            f"the control socket {path} belongs to user id {found.st_uid}; "
            "run as that user, or remove it if no daemon of theirs uses it"
        )
    if _answers(path):
        raise Fatal(
            f"another daemon answers on {path}; stop it first (`livebot status` shows which), "
            "or give this one its own --root"
        )
    path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    """Whether anybody listens there; in doubt, yes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        knock.settimeout(1.0)
        result = knock.connect_ex(os.fspath(path))
    return result not in {errno.ECONNREFUSED, errno.ENOENT}
