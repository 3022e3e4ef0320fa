"""Reading a ledger, also while the daemon writes it: for reports, and for rules that look back over closed signals."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Column, RowMapping, Select, Table, func, select

from livebot.adapters.ledger.ledger import FACT
from livebot.adapters.ledger.ledger_tables import (
    DECISIONS,
    FACTS,
    SCHEMA,
    columns_of,
    meta_of,
    named,
    reading_engine,
    told_apart,
    url_of,
)
from livebot.core.facts import (
    ORDER_KINDS,
    EntryCancelled,
    Fact,
    RemainderGone,
    SignalClosed,
    SignalOpening,
    SignalScheduled,
)
from livebot.errors import BadInput, Transient
from livebot.ports import Decision

ROWS_AT_ONCE = 1000
OUTCOME_KINDS: tuple[type[Fact], ...] = (SignalScheduled, SignalOpening, EntryCancelled, SignalClosed)


@dataclass(frozen=True, slots=True)
class SymbolTally:
    """A symbol's closed signals over all strategies: how many, how many with a net gain, and their sum in quote."""

    trades: int
    wins: int
    pnl_net: Decimal


class LedgerReader:
    """Read-only and blocking.  Every reader sees one moment of the ledger, and holds up nobody who writes.

    Filters: `strategy` and `symbol` are exact, `since_ms` is the first moment that counts.  Every call raises Transient
    if the database cannot be reached now, and BadInput if a row cannot be what a livebot wrote.
    """

    def __init__(self, target: str | Path) -> None:
        """Open a ledger; `target` is a path or a database URL.

        Raises:
            BadInput: there is none, or it is of another version.
            Transient: it cannot be reached now.

        """
        self._url = url_of(target)
        self._engine = reading_engine(self._url)
        try:
            self.system = self._checked_system()
        except BaseException:
            self._engine.dispose()
            raise

    def facts(
        self, *, strategy: str | None = None, symbol: str | None = None, since_ms: int | None = None
    ) -> Iterator[Fact]:
        """Facts, one (strategy, symbol) after the other, each in the order in which they happened."""
        query = _filtered(select(FACTS.c.payload), FACTS, strategy, symbol, since_ms)
        for row in self._rows(query.order_by(FACTS.c.strategy, FACTS.c.symbol, FACTS.c.sequence)):
            yield FACT.from_json(row["payload"])

    def closed_signals(
        self, *, strategy: str | None = None, symbol: str | None = None, since_ms: int | None = None
    ) -> Iterator[SignalClosed]:
        """Closed signals in the order of their closing."""
        query = _filtered(select(FACTS.c.payload), FACTS, strategy, symbol, since_ms)
        query = query.where(FACTS.c.kind == SignalClosed.__name__)
        order = (FACTS.c.ts_ms, FACTS.c.strategy, FACTS.c.symbol, FACTS.c.sequence)
        for row in self._rows(query.order_by(*order)):
            fact = FACT.from_json(row["payload"])
            if isinstance(fact, SignalClosed):
                yield fact

    def entries(self, since_ms: int) -> Iterator[Fact]:
        """What tells of orders that add exposure, from then on, in the order of time."""
        query = select(FACTS.c.payload).where(FACTS.c.kind.in_([kind.__name__ for kind in ORDER_KINDS]))
        query = query.where(FACTS.c.ts_ms >= since_ms)
        for row in self._rows(query.order_by(FACTS.c.ts_ms, FACTS.c.strategy, FACTS.c.symbol, FACTS.c.sequence)):
            yield FACT.from_json(row["payload"])

    def outcomes(self, since_ms: int | None = None) -> Iterator[Fact]:
        """What tells how signals began and ended, in the order of time."""
        query = _filtered(select(FACTS.c.payload), FACTS, None, None, since_ms)
        query = query.where(FACTS.c.kind.in_([kind.__name__ for kind in OUTCOME_KINDS]))
        for row in self._rows(query.order_by(FACTS.c.ts_ms, FACTS.c.strategy, FACTS.c.symbol, FACTS.c.sequence)):
            yield FACT.from_json(row["payload"])

    def decisions(
        self, *, strategy: str | None = None, symbol: str | None = None, since_ms: int | None = None
    ) -> Iterator[Decision]:
        """Decisions in the order of the closes that they are about."""
        query = _filtered(select(*self._decision_columns()), DECISIONS, strategy, symbol, since_ms)
        order = (DECISIONS.c.close_ms, DECISIONS.c.strategy, DECISIONS.c.symbol)
        for row in self._rows(query.order_by(*order)):
            yield Decision(**row)

    def tallies(self, since_ms: Mapping[str, int] | None = None) -> dict[str, SymbolTally]:
        """How each symbol has done; `since_ms` says, by symbol, from when on its closed signals count."""
        since = since_ms or {}
        counts: dict[str, SymbolTally] = {}
        query = select(FACTS.c.symbol, FACTS.c.ts_ms, FACTS.c.pnl_net)
        for row in self._rows(query.where(FACTS.c.kind == SignalClosed.__name__)):
            if row["ts_ms"] < since.get(row["symbol"], row["ts_ms"]):
                continue
            # the sum is made here, in Decimal: the database would add up floats
            pnl_net = Decimal(row["pnl_net"])
            tally = counts.get(row["symbol"], SymbolTally(0, 0, Decimal(0)))
            counts[row["symbol"]] = SymbolTally(tally.trades + 1, tally.wins + (pnl_net > 0), tally.pnl_net + pnl_net)
        return counts

    def realised(self, first_ms: int, stop_ms: int) -> Decimal:
        """What all signals that closed in [first_ms, stop_ms) made, net of fees, in quote, and what is gone of what they left."""
        query = select(FACTS.c.pnl_net).where(FACTS.c.kind.in_((SignalClosed.__name__, RemainderGone.__name__)))
        query = query.where(FACTS.c.ts_ms >= first_ms, FACTS.c.ts_ms < stop_ms)
        return sum((Decimal(row["pnl_net"]) for row in self._rows(query)), Decimal(0))

    def denials(self, first_ms: int, stop_ms: int) -> dict[str, int]:
        """How many entries were denied in [first_ms, stop_ms), by code."""
        query = select(DECISIONS.c.code, func.count().label("count")).where(DECISIONS.c.outcome == "denied")
        query = query.where(DECISIONS.c.ts_ms >= first_ms, DECISIONS.c.ts_ms < stop_ms)
        return {row["code"]: row["count"] for row in self._rows(query.group_by(DECISIONS.c.code))}

    def last_numbers(self) -> dict[tuple[str, str], tuple[int, int]]:
        """By (strategy, symbol): the last fact's sequence and the highest signal number."""
        numbers: dict[tuple[str, str], tuple[int, int]] = {}
        columns = (FACTS.c.strategy, FACTS.c.symbol)
        latest = select(*columns, func.max(FACTS.c.sequence).label("sequence")).group_by(*columns).subquery()
        same = (FACTS.c.strategy == latest.c.strategy) & (FACTS.c.symbol == latest.c.symbol)
        query = select(*columns, FACTS.c.sequence, FACTS.c.signal_id)
        query = query.join(latest, same & (FACTS.c.sequence == latest.c.sequence))
        for row in self._rows(query):
            number = int(row["signal_id"].rpartition("#")[2])
            numbers[row["strategy"], row["symbol"]] = (row["sequence"], number)
        return numbers

    def close(self) -> None:
        """Let go."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _decision_columns(self) -> list[Column[Any]]:
        """Those that this ledger has: one that no daemon has opened since lacks those that were added."""
        with told_apart(self._url), self._engine.connect() as connection:
            there = columns_of(connection, DECISIONS)
        return [column for column in DECISIONS.columns if column.name in there]

    def _checked_system(self) -> str:
        try:
            with told_apart(self._url), self._engine.connect() as connection:
                meta = meta_of(connection)
        except Transient as error:
            if "no such table" not in str(error):
                raise
            meta = {}
        if meta.get("schema") != SCHEMA or "system" not in meta:
            message = f"{named(self._url)} is not a ledger that this version of livebot reads (schema {SCHEMA})"
            raise BadInput(message)
        return meta["system"]

    def _rows(self, query: Select[Any]) -> Iterator[RowMapping]:
        with told_apart(self._url), self._engine.connect() as connection:
            rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query)
            yield from rows.mappings()


def _filtered(
    query: Select[Any], table: Table, strategy: str | None, symbol: str | None, since_ms: int | None
) -> Select[Any]:
    if strategy is not None:
        query = query.where(table.c.strategy == strategy)
    if symbol is not None:
        query = query.where(table.c.symbol == symbol)
    if since_ms is not None:
        query = query.where(table.c.ts_ms >= since_ms)
    return query
