"""What the connection says about itself, each thing once.

Rules of this file: a source says one thing at a time; what it said stands until it says something else; who listens late
hears what stands.
"""

import asyncio
from collections.abc import Callable

import structlog

from livebot.ports import VenueNotice

_log = structlog.get_logger(__name__)


class Health:
    """The notices of one connection's order side."""

    def __init__(self, venue: str) -> None:
        self.venue = venue
        self._standing: dict[tuple[str, str | None], VenueNotice] = {}
        self._deliver: Callable[[VenueNotice], None] | None = None

    @property
    def standing(self) -> tuple[VenueNotice, ...]:
        """What is wrong at present."""
        return tuple(self._standing.values())

    def listen(self, deliver: Callable[[VenueNotice], None]) -> None:
        """Hear all that stands, and all that is said from now on; replaces an earlier listener."""
        self._deliver = deliver
        for notice in self.standing:
            deliver(notice)

    def wrong(
        self, part: str, text: str, *, symbol: str | None = None, reconcile: bool = False, reduces: bool = False
    ) -> None:
        """Something stops entries until `right` is said of the same part; `reduces`: it moves the trading state."""
        self._say(
            VenueNotice(
                source=self._source(part),
                text=text,
                symbol=symbol,
                blocks_entries=True,
                reduces=reduces,
                reconcile=reconcile,
            )
        )

    def remark(self, part: str, text: str) -> None:
        """Something the operator should know, and that stops nothing."""
        self._say(VenueNotice(source=self._source(part), text=text))

    def right(self, part: str, *, symbol: str | None = None, reconcile: bool = False) -> None:
        """It has passed; nothing is said if nothing was wrong, unless a comparison is wanted."""
        if reconcile or (self._source(part), symbol) in self._standing:
            self._say(VenueNotice(source=self._source(part), text=None, symbol=symbol, reconcile=reconcile))

    def compare(self, symbol: str | None) -> None:
        """Events may have been missed, or something happened that no order of ours did; nothing is wrong with the line."""
        self._say(VenueNotice(source=self._source("events"), text=None, symbol=symbol, reconcile=True))

    def watch_over(self, task: asyncio.Task[None], part: str) -> None:
        """Say so, and stop entries for good, if a task that has to run for ever ends by an exception."""
        task.add_done_callback(lambda done: self._ended(done, part))

    def _ended(self, task: asyncio.Task[None], part: str) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("venue_task_ended", venue=self.venue, task=task.get_name(), error=repr(error), exc_info=error)
            text = f"{self.venue}: the {part} has stopped working ({type(error).__name__}, see the log)"
            self.wrong(part, f"{text}; restart the daemon, open positions keep their stops there", reconcile=True)

    def _source(self, part: str) -> str:
        return f"{self.venue} {part}"

    def _say(self, notice: VenueNotice) -> None:
        key = (notice.source, notice.symbol)
        if self._standing.get(key) == notice and not notice.reconcile:
            return
        if notice.text is None:
            self._standing.pop(key, None)
        else:
            self._standing[key] = notice
        if self._deliver is not None:  # not from here: what a listener raises would end ccxt's socket loop
            asyncio.get_running_loop().call_soon(self._deliver, notice)
