"""Daemons that are broken on purpose, each in one way, to show that the checks of these tests would see it; and daemons
that are killed at one step and no other.

Only the launcher does this, in the child that it forks: nothing of livebot knows of it.
"""

import functools
import inspect
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from sqlalchemy import Connection, insert

from livebot.adapters.ledger import ledger
from livebot.adapters.ledger.ledger_tables import FACTS
from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.adapters.state_files.signal_store import FileSignalStore
from livebot.core.facts import Fact
from livebot.core.inputs import OrderEvent, SymbolState
from livebot.core.order import OrderRequest, OrderStatus
from livebot.runtime.venue.execution import Execution
from livebot.simulator.remote import RemoteExchange

# Where a daemon can be killed: the steps of a durable write, of an order's way, and of a fact's
STEPS: dict[str, tuple[type, str]] = {
    "create": (SystemFiles, "create"),
    "write": (SystemFiles, "write"),
    "fsync": (SystemFiles, "fsync"),
    "rename": (SystemFiles, "rename"),
    "fsync the folder": (SystemFiles, "fsync_folder"),
    "save": (FileSignalStore, "save"),
    "submit": (RemoteExchange, "submit"),
    "amend": (RemoteExchange, "amend"),
    "cancel": (RemoteExchange, "cancel"),
    "ask": (RemoteExchange, "fetch_order"),
    "record": (ledger.SqlLedger, "record"),
}


def apply(name: str) -> None:
    """Break the livebot of this process."""
    SABOTAGES[name]()


def die(step: str, when: int, *, after: bool) -> None:
    """Have SIGKILL end this process at the `when`-th time it comes to this step, before it or right after it."""
    owner, name = STEPS[step]
    original = getattr(owner, name)
    times = count(1)

    def end(number: int) -> None:
        if number == when:
            os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(original)
    def plain(*args: Any, **options: Any) -> Any:
        number = next(times)
        if not after:
            end(number)
        value = original(*args, **options)
        end(number)
        return value

    @functools.wraps(original)
    async def waiting(*args: Any, **options: Any) -> Any:
        number = next(times)
        if not after:
            end(number)
        value = await original(*args, **options)
        end(number)
        return value

    setattr(owner, name, waiting if inspect.iscoroutinefunction(original) else plain)


def _send_before_saving() -> None:
    """An order is on its way before a file knows it: what is only intended is not saved."""
    save = FileSignalStore.save

    async def careless(self: FileSignalStore, state: SymbolState) -> None:
        if not any(record.status is OrderStatus.INTENDED for record in state.orders):
            await save(self, state)

    FileSignalStore.save = careless  # type: ignore[method-assign]


def _forget_outbox() -> None:
    """Facts are not kept with the state until the ledger has them."""
    save = FileSignalStore.save

    async def forgetful(self: FileSignalStore, state: SymbolState) -> None:
        await save(self, replace(state, outbox=()))

    FileSignalStore.save = forgetful  # type: ignore[method-assign]


def _record_again() -> None:
    """The ledger takes a fact without asking whether it has it, under the next free number."""

    def blind(connection: Connection, facts: Iterable[Fact]) -> list[Any]:
        for fact in facts:
            sequence = connection.exec_driver_sql(
                "SELECT coalesce(max(sequence), 0) + 1 FROM facts WHERE strategy = ? AND symbol = ?",
                (fact.strategy, fact.symbol),
            ).scalar_one()
            connection.execute(insert(FACTS), [{**ledger._row_of_fact(fact), "sequence": sequence}])
        return []

    ledger._insert_facts = blind


def _ask_nothing() -> None:
    """What became of an order is not asked for: neither after a start nor after a lost answer."""

    async def silent(self: Execution, request: OrderRequest) -> Sequence[OrderEvent]:
        return ()

    Execution.ask = silent  # type: ignore[method-assign,assignment]


SABOTAGES: dict[str, Callable[[], None]] = {
    "send before saving": _send_before_saving,
    "forget the outbox": _forget_outbox,
    "record again": _record_again,
    "ask nothing": _ask_nothing,
}
