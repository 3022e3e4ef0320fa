"""What the daemon must not leave out, left out: each must be found by the simulation within few seeds.

Rules of this file: nothing here is reachable from the package; a sabotage is a patch that lasts as long as its context.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import Any
from unittest.mock import patch

from livebot.core import leaving
from livebot.core.facts import Fact
from livebot.core.inputs import OrderAbsent
from livebot.runtime.housekeeping import Housekeeping
from livebot.runtime.ledger_writer import LedgerWriter
from livebot.runtime.portfolio.exposure_book import ExposureBook
from livebot.runtime.supervision import workers
from livebot.runtime.symbol.follow_up import FollowUp
from livebot.runtime.symbol.symbol_states import SymbolStates
from livebot.runtime.venue import venue_watch
from livebot.runtime.venue.execution import Execution
from livebot.runtime.venue.venue_watch import VenueWatch
from tests.simulation.disk import SimulatedDisk


@contextmanager
def no_write_ahead() -> Iterator[None]:
    """Orders leave first, and are saved afterwards."""

    async def commit(self: Any) -> None:
        while self._dirty or self._requests or self._facts:
            dirty, self._dirty = self._dirty, []
            facts, self._facts = self._facts, []
            requests, self._requests = self._requests, []
            for instance, request in requests:
                await self._carry_out(instance, request)
            await self._save([instance.state for instance in dirty])
            if facts:
                self._shared.publish(facts)
        self._follow_up.watch(self.instances)

    with patch.object(SymbolStates, "commit", commit):
        yield


@contextmanager
def unknown_is_absent() -> Iterator[None]:
    """An order whose fate is unknown is taken for one that never arrived, without asking for it by its id."""

    async def ask(self: Any, request: Any) -> tuple[OrderAbsent, ...]:
        return (OrderAbsent(client_order_id=request.client_order_id, ts_ms=self._clock.now_ms()),)

    with patch.object(Execution, "ask", ask):
        yield


@contextmanager
def entries_left() -> Iterator[None]:
    """What rests is left to fill when trading is not ACTIVE any more."""
    with patch.object(Housekeeping, "_take_entries_back", lambda self: None):
        yield


@contextmanager
def no_window() -> Iterator[None]:
    """What the venue does not show at once is called absent."""
    with patch.object(Execution, "window_s", 0.0):
        yield


@contextmanager
def no_folder_sync() -> Iterator[None]:
    """A file's new name is not made durable."""
    with patch.object(SimulatedDisk, "fsync_folder", lambda self, folder: None):
        yield


@contextmanager
def no_folder_sync_felt() -> Iterator[None]:
    """As `no_folder_sync`, and nobody looks at the platter before the power goes: only what follows shows it."""

    def durable(self: Any, path: str) -> bytes | None:
        node = self.names.get(path)
        return None if node is None else node.data

    with no_folder_sync(), patch.object(SimulatedDisk, "durable", durable):
        yield


@contextmanager
def no_file_sync() -> Iterator[None]:
    """A file's content is not made durable."""
    with patch.object(SimulatedDisk, "fsync", lambda self, descriptor: None):
        yield


@contextmanager
def no_stops() -> Iterator[None]:
    """Positions have no stop at the venue."""

    def follow(*_: Any, **__: Any) -> bool:
        return True

    def watch(*_: Any) -> None:
        """No clock either."""

    with (
        patch.object(leaving, "follow", follow),
        patch.object(leaving, "follow_stop", follow),
        patch.object(FollowUp, "_watch_protection", watch),
    ):
        yield


@contextmanager
def no_reservations() -> Iterator[None]:
    """What was approved takes no room until a fact tells of it."""
    put = ExposureBook.put

    def forgetful(self: Any, key: Any, exposure: Any, reservation: Any) -> None:
        put(self, key, exposure, None)

    with patch.object(ExposureBook, "put", forgetful):
        yield


@contextmanager
def halt_in_memory() -> Iterator[None]:
    """What the portfolio must remember does not reach the disk."""

    async def save(self: Any) -> None:
        self._portfolio.saved(self._portfolio.memory())
        self._tell_all()

    with patch.object(Housekeeping, "save", save):
        yield


@contextmanager
def no_comparison() -> Iterator[None]:
    """Files are not compared with the venue while the daemon runs: not by the clock, and not when something looks odd."""

    async def compare(self: Any, wanted: Any = frozenset()) -> Any:
        return await self._execution.look()

    def never(self: Any) -> None:
        pass

    with patch.object(VenueWatch, "compare", compare), patch.object(FollowUp, "compare", never):
        yield


@contextmanager
def positions_believed() -> Iterator[None]:
    """What two looks in a row show of positions is acted on, as if the venue's list were never behind."""
    with patch.object(Execution, "lag_s", 0.0):
        yield


@contextmanager
def late_changes_unseen() -> Iterator[None]:
    """A change of an order that arrives after a newer one is not looked for."""

    def missing(states: Any, snapshot: Any) -> bool:
        return any(
            record.status.value == "working" and record.request.client_order_id not in snapshot.orders
            for state in states
            for record in state.orders
        )

    with (
        patch.object(FollowUp, "change_lost", FollowUp.ask_about),
        patch.object(venue_watch, "missing_orders", missing),
    ):
        yield


@contextmanager
def facts_dropped() -> Iterator[None]:
    """What the ledger refused to take is forgotten."""
    write = LedgerWriter._write_batch

    async def write_batch(self: Any) -> bool:
        batch = list(islice(self._queue, self._settings.batch_size))
        done = await write(self)
        if not done:
            for _ in batch:
                self._queue.popleft()
            self._acknowledged([item for item in batch if isinstance(item, Fact)])
        return True

    with patch.object(LedgerWriter, "_write_batch", write_batch):
        yield


@contextmanager
def two_exits_of_a_share() -> Iterator[None]:
    """Strategies that share a position leave as if each had its own."""

    async def may_leave(*_: Any) -> bool:
        return True

    with (
        patch.object(workers, "sharing_a_position", lambda rules: rules),
        patch.object(SymbolStates, "_may_leave", may_leave),
    ):
        yield


SABOTAGES: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    each.__name__: each
    for each in (
        no_write_ahead,
        unknown_is_absent,
        entries_left,
        no_window,
        no_folder_sync,
        no_folder_sync_felt,
        no_file_sync,
        no_stops,
        no_reservations,
        halt_in_memory,
        no_comparison,
        positions_believed,
        late_changes_unseen,
        facts_dropped,
        two_exits_of_a_share,
    )
}
