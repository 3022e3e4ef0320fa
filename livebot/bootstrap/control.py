"""Where the control API is served, and what it is made of.

Rules of this file: the socket is what an operator can always reach, so that a daemon without it does not start; that the
port cannot be served stops nobody from trading, but without a sound token nothing starts.
"""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from livebot.adapters.clock import SystemClock
from livebot.adapters.ledger.journal import Journal, line_of
from livebot.config.running import ControlConfig
from livebot.config.secrets import control_token
from livebot.control_ports import SystemControl
from livebot.errors import Fatal
from livebot.ops.control.answers import Handler
from livebot.ops.control.app import ApiSettings, ControlApi
from livebot.ops.control.events import Events, EventSettings
from livebot.ops.control.port import ControlPort
from livebot.ops.control.server import ControlServer
from livebot.ports import Listener
from livebot.runtime.problems import Report

_log = structlog.get_logger(__name__)

PROBLEM = "control.http"


class DaemonControl:
    """The daemon's control API: hears what happens from the beginning, and is served once there is a system."""

    def __init__(self, section: ControlConfig, environ: Mapping[str, str]) -> None:
        """Nothing is served yet.  Raises BadInput if control.http is set and there is no sound token for it."""
        self._section = section
        self._token = control_token(environ) if section.http is not None else ""
        clock = SystemClock()
        room = min(section.event_clients, section.connections - 1)  # a halt must find a place at any time
        settings = EventSettings(kept=section.events_kept, clients_max=room)
        self._events = Events(line_of, clock.now_ms, clock.now_ms(), settings)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Who is to hear the bus."""
        return (self._events,)

    def changed(self, report: Report) -> Report:
        """Who is to hear of problems: the streams of events after `report`."""

        def both(source: str, sentence: str | None) -> None:
            report(source, sentence)
            self._events.problem(source, sentence)

        return both

    async def serve(
        self,
        control: SystemControl,
        journal: Journal,
        metrics: Handler,
        socket: Path,
        opened: AsyncExitStack,
        report: Callable[[str, str | None], None],
    ) -> None:
        """Serve it at the socket, and at the port if there is one; `opened` ends it.

        Raises:
            Fatal: the socket cannot be served; the text says why and what to do.

        """
        section = self._section
        settings = ApiSettings(command_seconds=float(section.command_seconds), keys_kept=section.keys_kept)
        api = ControlApi(control, audit=journal.note, events=self._events, settings=settings, metrics=metrics)
        server = ControlServer(api, socket, connections_max=section.connections)
        await server.start()
        opened.push_async_callback(server.close)
        if section.http is None:
            return
        port = ControlPort(
            api, self._token, section.http.port, address=section.http.host, connections_max=section.connections
        )
        try:
            await port.start()
        except Fatal as error:
            report(PROBLEM, f"{error}, and restart livebot; it trades without, and its socket answers")
            return
        opened.push_async_callback(port.close)
        _log.info("control_served", address=section.http.host, port=port.port)
