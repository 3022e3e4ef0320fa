"""OS signals: the first SIGINT or SIGTERM stops, the second hurries the stop; SIGHUP reloads the config.

Rules of this file: the entry gate closes before anything else hears of the stop, so that no order is placed during it;
hurrying skips waiting, never the saving of an intent; a third signal does nothing, because SIGKILL is safe at any time.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

import structlog

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_log = structlog.get_logger(__name__)
_Handler = Callable[[int, FrameType | None], Any] | int | None


@contextmanager
def surviving_hangups() -> Iterator[None]:
    """SIGHUP ends nobody meanwhile: a terminal may be closed, or a reload asked for before anyone can make one.

    Nor afterwards, while the process ends: that would change how it seems to have ended.
    """
    before = signal.signal(signal.SIGHUP, lambda *_: None)  # a handler, which no child inherits
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_IGN if before in (None, signal.SIG_DFL) else before)


class Shutdown:
    """A context manager that owns the process's signal handlers while it is entered (in the main thread, in a loop)."""

    def __init__(self, *, close_gate: Callable[[], None], reload: Callable[[], object] | None = None) -> None:
        """`close_gate` stops new entries, at once and synchronously; `reload` answers SIGHUP."""
        self.stopping = asyncio.Event()
        self.hurry = asyncio.Event()
        self._close_gate = close_gate
        self._reload = reload
        self._previous: dict[signal.Signals, _Handler] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.cause = ""

    def request(self, cause: str) -> None:
        """Stop, or hurry if already stopping.  `cause` is for the log, e.g. the signal's name."""
        if not self.stopping.is_set():
            self.cause = cause
            try:
                self._close_gate()
            finally:
                self.stopping.set()
        elif not self.hurry.is_set():
            self.hurry.set()
        else:
            _log.info("still_stopping", cause=cause)
            return
        _log.info("stop_requested", cause=cause, hurry=self.hurry.is_set())

    async def pause(self, timeout_s: float) -> bool:
        """Wait, but no longer than until `hurry`; says whether it was cut short."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.hurry.wait()
        except TimeoutError:
            return False
        return True

    def __enter__(self) -> Self:
        """Take the handlers over."""
        self._loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            self._handle(number, self.request, number.name)
        if self._reload is not None:
            self._handle(signal.SIGHUP, self._reload)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the handlers back as they were."""
        assert self._loop is not None
        for number, previous in self._previous.items():
            self._loop.remove_signal_handler(number)
            # None: it was not installed from Python and cannot be put back
            if previous is not None:
                signal.signal(number, previous)
        self._previous.clear()

    def _handle(self, number: signal.Signals, callback: Callable[..., object], *values: str) -> None:
        assert self._loop is not None
        self._previous[number] = signal.getsignal(number)
        self._loop.add_signal_handler(number, callback, *values)
