"""The ledger: every fact and every decision once, for ever, in a database (a SQLite file unless the config says else).

Facts come from the outboxes of the state files, which give them again until the ledger has confirmed them; so a
repeated one is ignored, and one that says something else under the same (strategy, symbol, sequence) is an alarm.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select, tuple_

from livebot.adapters.ledger.ledger_tables import (
    DECISIONS,
    FACTS,
    META,
    METADATA,
    SCHEMA,
    add_missing_columns,
    meta_of,
    named,
    told_apart,
    url_of,
    writing_engine,
)
from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.file_workers import ThreadWorkers, Workers
from livebot.core.facts import Fact, RemainderGone, SignalClosed
from livebot.errors import Fatal, Transient
from livebot.ports import Decision

FACT: Codec[Fact] = Codec(Fact)
KEYS_PER_QUERY = 300

FactKey = tuple[str, str, int]
Row = dict[str, object]


class SqlLedger:
    """The daemon's Ledger.  All of its work is done on one thread, one transaction per call."""

    def __init__(self, target: str | Path, system: str, workers: Workers | None = None) -> None:
        """Open the ledger, making it if need be; blocking.  `target` is a path or a database URL.

        Raises:
            BadInput: not a database URL.
            Fatal: another system's or version's ledger, or it cannot be opened.

        """
        self._url = url_of(target)
        self._system = system
        self._engine: Engine = writing_engine(self._url)
        try:
            with told_apart(self._url), self._engine.begin() as connection:
                METADATA.create_all(connection)
                self._check_owner(connection)
                add_missing_columns(connection)
        except Transient as error:
            self._engine.dispose()
            message = f"{error}. Mend: see that its folder or server is there, writable and not full"
            raise Fatal(message) from error
        except Fatal:
            self._engine.dispose()
            raise
        self._workers: Workers = workers or ThreadWorkers(1, "ledger")
        self._closed = False

    async def record(self, facts: Sequence[Fact], decisions: Sequence[Decision]) -> None:
        """Durable when it returns; rows it already has are ignored.

        Raises:
            Transient: nothing was written; try again later.
            Fatal: a fact differs from the one recorded under its key (everything else was written), or the database
                is broken, or the ledger is closed.

        """
        if self._closed:
            message = f"the ledger {named(self._url)} is closed: livebot is stopping"
            raise Fatal(message)
        await self._workers.submit(partial(self._record, tuple(facts), tuple(decisions)))

    async def close(self) -> None:
        """Finish what is under way and let go; more than once does no harm."""
        if self._closed:
            return
        self._closed = True
        await self._workers.submit(self._engine.dispose)
        self._workers.close()

    def _check_owner(self, connection: Connection) -> None:
        meta = meta_of(connection)
        if not meta:
            rows = [{"name": "schema", "value": SCHEMA}, {"name": "system", "value": self._system}]
            connection.execute(insert(META), rows)
            return
        if meta.get("schema") != SCHEMA:
            message = (
                f"the ledger {named(self._url)} has schema {meta.get('schema')}, and this version of livebot reads "
                f"{SCHEMA}: start the version that wrote it"
            )
            raise Fatal(message)
        if meta.get("system") != self._system:
            message = (
                f"the ledger {named(self._url)} belongs to system {meta.get('system')}, and this is {self._system}: "
                "give each system a ledger of its own"
            )
            raise Fatal(message)

    # ------------------------------------------------------------ beside the loop

    def _record(self, facts: tuple[Fact, ...], decisions: tuple[Decision, ...]) -> None:
        with told_apart(self._url), self._engine.begin() as connection:
            conflicts = _insert_facts(connection, facts)
            _insert_decisions(connection, decisions)
        if conflicts:
            names = "; ".join(f"{strategy} {symbol} {sequence}" for strategy, symbol, sequence in conflicts)
            message = (
                f"the ledger {named(self._url)} holds another fact than the one now told under (strategy, symbol, "
                f"sequence) {names}: its state file is older than the ledger, as after restoring a backup of one "
                "without the other. Mend: stop livebot and restore both from the same moment, or move the ledger away"
            )
            raise Fatal(message)


def _insert_facts(connection: Connection, facts: Iterable[Fact]) -> list[FactKey]:
    """Insert the new ones; the keys of those that differ from what stands under them already."""
    rows: dict[FactKey, Row] = {}
    conflicts = []
    for fact in facts:
        key = (fact.strategy, fact.symbol, fact.sequence)
        row = _row_of_fact(fact)
        if rows.setdefault(key, row)["payload"] != row["payload"]:
            conflicts.append(key)
    recorded = _payloads(connection, rows)
    conflicts += [key for key, payload in recorded.items() if rows[key]["payload"] != payload]
    new = [row for key, row in rows.items() if key not in recorded]
    if new:
        connection.execute(insert(FACTS), new)
    return conflicts


def _payloads(connection: Connection, keys: Iterable[FactKey]) -> dict[FactKey, str]:
    found: dict[FactKey, str] = {}
    rest = iter(keys)
    while some := list(islice(rest, KEYS_PER_QUERY)):
        key = tuple_(FACTS.c.strategy, FACTS.c.symbol, FACTS.c.sequence)
        query = select(FACTS.c.strategy, FACTS.c.symbol, FACTS.c.sequence, FACTS.c.payload).where(key.in_(some))
        for row in connection.execute(query):
            found[row.strategy, row.symbol, row.sequence] = row.payload
    return found


def _insert_decisions(connection: Connection, decisions: Iterable[Decision]) -> None:
    """Insert the new ones.  After a restart a close may be decided anew, later: the first decision stands."""
    rows: dict[FactKey, Row] = {}
    for decision in decisions:
        rows.setdefault((decision.strategy, decision.symbol, decision.close_ms), _row_of_decision(decision))
    rest = iter(list(rows))
    while some := list(islice(rest, KEYS_PER_QUERY)):
        key = (DECISIONS.c.strategy, DECISIONS.c.symbol, DECISIONS.c.close_ms)
        for row in connection.execute(select(*key).where(tuple_(*key).in_(some))):
            del rows[row.strategy, row.symbol, row.close_ms]
    if rows:
        connection.execute(insert(DECISIONS), list(rows.values()))


def _row_of_fact(fact: Fact) -> Row:
    closed = fact if isinstance(fact, SignalClosed) else None
    booked = fact if isinstance(fact, SignalClosed | RemainderGone) else None
    return {
        "strategy": fact.strategy,
        "symbol": fact.symbol,
        "sequence": fact.sequence,
        "ts_ms": fact.ts_ms,
        "kind": type(fact).__name__,
        "signal_id": fact.signal_id,
        "side": fact.side.value,
        "payload": FACT.to_json(fact).decode(),
        "close_reason": closed and closed.reason.value,
        "pnl_net": booked and str(booked.pnl_net),
        "pnl_ratio": closed and str(closed.pnl_ratio),
        "fees": closed and str(closed.fees),
        "opened_ms": closed and closed.opened_ms,
    }


def _row_of_decision(decision: Decision) -> Row:
    row: Row = {column.name: getattr(decision, column.name) for column in DECISIONS.columns}
    # a venue's words may hold half characters and NULs, which databases refuse
    row["text"] = decision.text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    return row
