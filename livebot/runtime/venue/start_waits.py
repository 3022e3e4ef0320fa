"""What a start waits for: the ledger, and room on the disk; each for a time that has a name, and then it says why.

Rules of this file: a start that gives up has changed nothing at the venue, and says what is open there and keeps its stop;
whoever restarts us (systemd, by its own limits) gives the next try.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from livebot.core.facts import Fact, SignalClosed
from livebot.core.inputs import SymbolState
from livebot.core.signal import Closing, Open
from livebot.errors import Fatal, Transient
from livebot.ports import Ledger, LedgerHistory
from livebot.runtime.settings import RuntimeSettings

LEDGER_S = 60.0  # for one attempt to write or read it all

T = TypeVar("T")


class StartWaits:
    """One for each start: the waits for the ledger together have `ledger.start_s`, those for the disk `start_disk_s`."""

    def __init__(self, settings: RuntimeSettings, ledger: Ledger, history: LedgerHistory) -> None:
        """Nothing was waited for."""
        self._settings = settings
        self._ledger = ledger
        self._history = history
        self._open = ""
        self._until: dict[str, float] = {}

    def found(self, states: Iterable[SymbolState]) -> None:
        """What the files say is open."""
        symbols = sorted({state.symbol for state in states if isinstance(state.signal, Open | Closing)})
        self._open = f"; {', '.join(symbols)} open there keep their stops at the venue" if symbols else ""

    async def numbers(self) -> Mapping[tuple[str, str], tuple[int, int]]:
        """As the ledger's `last_numbers`.  Raises Fatal when it has not said it in time, as do all below."""
        return await self._of_ledger(self._history.last_numbers)

    async def closes(self) -> Sequence[SignalClosed]:
        """As the ledger's `closes`."""
        return await self._of_ledger(self._history.closes)

    async def entries(self, since_ms: int) -> Sequence[Fact]:
        """As the ledger's `entries`."""
        return await self._of_ledger(lambda: self._history.entries(since_ms))

    async def record(self, facts: Sequence[Fact]) -> None:
        """Have the ledger take them."""
        await self._of_ledger(lambda: self._ledger.record(facts, ()))

    async def _of_ledger(self, call: Callable[[], Awaitable[T]]) -> T:

        async def attempt() -> T:
            try:
                async with asyncio.timeout(LEDGER_S):
                    return await call()
            except TimeoutError:
                raise Transient(f"the ledger has not answered within {LEDGER_S:g} s") from None

        mend = "see to its file or server, then start again (runtime.ledger.start_seconds is how long a start waits)"
        return await self._retried(attempt, Transient, "ledger", self._settings.ledger.start_s, mend)

    async def disk(self, save: Callable[[], Awaitable[None]]) -> None:
        """Save something.  Raises Fatal when it could not be saved in time."""
        mend = "then start again (runtime.start_disk_seconds is how long a start waits)"
        await self._retried(save, Fatal, "disk", self._settings.start_disk_s, mend)

    async def _retried(
        self, call: Callable[[], Awaitable[T]], failure: type[Exception], what: str, patience_s: float, mend: str
    ) -> T:
        loop, settings = asyncio.get_running_loop(), self._settings.ledger
        wait_s = settings.backoff_s
        while True:
            try:
                return await call()
            except failure as error:
                until = self._until.setdefault(what, loop.time() + patience_s)
                if loop.time() + wait_s > until:
                    raise Fatal(f"{error}; after {patience_s:g} s the start is given up{self._open}; {mend}") from error
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, settings.backoff_maximum_s)
