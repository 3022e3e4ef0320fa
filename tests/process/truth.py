"""The checker of the kill test: holds state files, ledger and venue against each other, without livebot's own code.

`after_death` judges what a killed daemon left behind: nothing it did may be unknown to its files, whatever is still
open must be named in them.  `alive` judges a daemon that says it is ready: within a few seconds there must be a
moment at which files and venue agree, symbol by symbol.  `at_end` looks at all of it once more, from the beginning.
Each returns sentences; none means that all is well.
"""

import json
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b, blake2s
from pathlib import Path
from typing import Any

from tests.process.venue_client import Ordered, VenueBooks, VenueClient

Key = tuple[str, str]  # (strategy, symbol)
State = dict[str, Any]
Fact = dict[str, Any]

ZERO = Decimal(0)
ENDS = ("SignalClosed", "EntryCancelled")
BEGINNINGS = ("SignalOpening", "SignalScheduled")
LIVE = ("intended", "unknown", "working")
ENTERING = ("e", "a")
STOP = "s"
_EXACT_TO = Decimal("1e-12")
_SEAL = b',\n  "checksum": "'


@dataclass
class Looks:
    """Where everything is, and what trades there."""

    root: Path
    memory: Path
    system: str
    strategies: Sequence[str]
    symbols: Sequence[str]


@dataclass
class Told:
    """The facts of one (strategy, symbol) that the ledger holds, by sequence."""

    by_sequence: dict[int, Fact] = field(default_factory=dict)
    judged: int = 0
    number: int = 0  # of the last signal that began
    begun: bool = False


def owner_of(system: str, key: Key) -> str:
    """What all client order ids of a (strategy, symbol) begin with."""
    return f"lb{_digest(system, 3)}{_digest('|'.join(key), 4)}"


def facts_in(ledger: Path) -> list[Fact]:
    """All facts of a ledger that nobody writes, (strategy, symbol) by (strategy, symbol), in order."""
    connection = sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT payload FROM facts ORDER BY strategy, symbol, sequence").fetchall()
    finally:
        connection.close()
    return [json.loads(payload) for (payload,) in rows]


def number_of(fact: Fact) -> int:
    """Of the signal that the fact is about."""
    return int(fact["signal_id"].rpartition("#")[2])


def _digest(text: str, size: int) -> str:
    return blake2s(text.encode(), digest_size=size).hexdigest()


def read_state(path: Path) -> State:
    """A state file, whole and sealed.  Raises ValueError with the reason if it is not."""
    data = path.read_bytes()
    body, mark, rest = data.rpartition(_SEAL)
    if not mark:
        raise ValueError("there is no checksum at its end")
    seal = blake2b(body, digest_size=8).hexdigest().encode()
    if rest != seal + b'"\n}\n':
        raise ValueError("the checksum does not fit")
    state: State = json.loads(data)
    name = f"{state['symbol'].replace('/', '-').replace(':', '_')}.json"
    if (path.parent.name, path.name) != (state["strategy"], name):
        raise ValueError(f"it says that it is of {state['strategy']} {state['symbol']}")
    return state


class Truth:
    """Keeps what it has seen, so that each look costs only what is new."""

    def __init__(self, looks: Looks, client: VenueClient) -> None:
        self._looks = looks
        self._client = client
        self.books = VenueBooks(looks.memory, client)
        self._told: dict[Key, Told] = defaultdict(Told)
        self._rows = 0
        self._last_rowid = 0
        self.counts: Counter[str] = Counter()
        keys = [(strategy, symbol) for strategy in looks.strategies for symbol in looks.symbols]
        self._owners = {owner_of(looks.system, key): key for key in keys}

    # ------------------------------------------------------------ the three looks

    def after_death(self) -> list[str]:
        """What is wrong with what a dead daemon left."""
        said: list[str] = []
        states = self._states(said)
        self._read_ledger(said)
        self.books.refresh()
        said += self.books.problems
        orders = self._orders_by_key(said)
        for key in self._keys(states, orders):
            state = states.get(key)
            facts = self._facts_of(key, state, said)
            self._judge_facts(key, facts, orders.get(key, {}), said)
            _judge_orders(key, state, orders.get(key, {}), said)
        self.counts["looks at a dead daemon"] += 1
        return said

    def alive(self, seconds: float) -> list[str]:
        """What still differs between the files and the venue after so long, of a daemon that is ready."""
        waiting: dict[str, list[str]] = {symbol: ["never seen"] for symbol in self._looks.symbols}
        deadline = time.monotonic() + seconds
        while waiting and time.monotonic() < deadline:
            before = self._present()
            damaged: list[str] = []
            states = self._states(damaged)
            if damaged:
                return damaged
            after = self._present()
            for symbol in list(waiting):
                if _of_symbol(symbol, *before) != _of_symbol(symbol, *after):
                    continue
                waiting[symbol] = _differences(symbol, states, *after)
                if not waiting[symbol]:
                    del waiting[symbol]
            time.sleep(0.002)
        self.counts["looks at a living daemon"] += 1
        return [f"{symbol}: {text}" for symbol, texts in waiting.items() for text in texts]

    def at_end(self, *, wallet: Decimal) -> list[str]:
        """Everything from the beginning, after an orderly stop of a daemon that has closed all positions."""
        self._told.clear()
        self._rows = self._last_rowid = 0
        said = self.after_death()
        if positions := self._client.call("positions"):
            said.append(f"positions are left at the venue: {positions}")
        for key, state in self._states(said).items():
            if lacking := {fact["sequence"] for fact in state["outbox"]} - set(self._told[key].by_sequence):
                said.append(f"{key}: facts {sorted(lacking)} are not in the ledger after an orderly stop")
        facts = [fact for told in self._told.values() for fact in told.by_sequence.values()]
        earned = sum((Decimal(fact["pnl_net"]) for fact in facts if fact["type"] == "SignalClosed"), ZERO)
        paid = Decimal(self._client.call("account")["wallet"]) - wallet
        # the venue rounds each part of a position that it closes to ten decimals
        if abs(earned - paid) > Decimal("1e-6"):
            said.append(f"the ledger's signals made {earned}, the account at the venue {paid}")
        self.counts.update(f"facts: {fact['type']}" for fact in facts)
        self.counts.update(f"closed: {fact['reason']}" for fact in facts if fact["type"] == "SignalClosed")
        self.counts.update(f"cancelled: {fact['reason']}" for fact in facts if fact["type"] == "EntryCancelled")
        self.counts["orders"] = len(self.books.orders)
        self.counts["trades"] = sum(len(order.fills) for order in self.books.orders.values())
        return said

    # ------------------------------------------------------------ reading

    def _states(self, said: list[str]) -> dict[Key, State]:
        states = {}
        for path in sorted((self._looks.root / "signals").glob("*/*")):
            if path.name.endswith(".scratch"):
                continue
            if path.suffix != ".json":
                said.append(f"{path} was set aside")
                continue
            try:
                state = read_state(path)
            except ValueError as error:
                said.append(f"{path}: {error}")
                continue
            states[_key_of(state)] = state
        return states

    def _read_ledger(self, said: list[str]) -> None:
        path = self._looks.root / "state" / "ledger.sqlite"
        if not path.exists():
            return
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)
        try:
            query = "SELECT rowid, strategy, symbol, sequence, kind, payload FROM facts WHERE rowid > ? ORDER BY rowid"
            for rowid, strategy, symbol, sequence, kind, payload in connection.execute(query, (self._last_rowid,)):
                self._last_rowid = rowid
                self._rows += 1
                self._take_fact((strategy, symbol), sequence, kind, json.loads(payload), said)
            (rows,) = connection.execute("SELECT count(*) FROM facts").fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):  # it was killed before it had made any
                raise
            return
        finally:
            connection.close()
        if rows != self._rows:
            said.append(f"the ledger holds {rows} facts, and {self._rows} were seen in it")

    def _take_fact(self, key: Key, sequence: int, kind: str, fact: Fact, said: list[str]) -> None:
        told = self._told[key].by_sequence
        if (fact["strategy"], fact["symbol"], fact["sequence"], fact["type"]) != (*key, sequence, kind):
            said.append(f"{key}: the ledger holds {fact['type']} {fact['sequence']} as {kind} {sequence}")
        if sequence in told:
            said.append(f"{key}: fact {sequence} stands twice in the ledger")
        told[sequence] = fact

    def _present(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        orders, positions = self._client.calls([("open_orders", {}), ("positions", {})])
        return orders, positions

    def _orders_by_key(self, said: list[str]) -> dict[Key, dict[int, list[Ordered]]]:
        found: dict[Key, dict[int, list[Ordered]]] = defaultdict(lambda: defaultdict(list))
        for order in self.books.orders.values():
            key = self._owners.get(order.owner)
            if key is None or key[1] != order.symbol:
                said.append(f"{order.client_order_id} on {order.symbol}: the venue has an order that is nobody's")
            else:
                found[key][order.number].append(order)
        return found

    def _keys(self, *of: Iterable[Key]) -> list[Key]:
        return sorted({key for keys in (*of, self._told) for key in keys})

    # ------------------------------------------------------------ facts

    def _facts_of(self, key: Key, state: State | None, said: list[str]) -> dict[int, Fact]:
        """What the ledger and the outbox say together; gapless, and where they overlap the same."""
        told = self._told[key].by_sequence
        last = max(told, default=0)
        if len(told) != last:
            said.append(f"{key}: the ledger holds {len(told)} facts, the last one is {last}")
        outbox: dict[int, Fact] = {fact["sequence"]: fact for fact in (state["outbox"] if state else ())}
        end = state["sequence"] if state else 0
        if last > end:
            said.append(f"{key}: the ledger holds fact {last}, its state file ends at {end}")
        for sequence, fact in outbox.items():
            if told.get(sequence, fact) != fact:
                said.append(f"{key}: fact {sequence} is another one in the outbox than in the ledger")
        lacking = [sequence for sequence in range(last + 1, end + 1) if sequence not in outbox]
        if lacking:
            said.append(f"{key}: facts {lacking[:5]} are neither in the ledger nor in the outbox")
        return {**told, **outbox}

    def _judge_facts(
        self, key: Key, facts: Mapping[int, Fact], orders: Mapping[int, list[Ordered]], said: list[str]
    ) -> None:
        """Signals follow each other, each ends once, and what an end says is what the venue says."""
        told = self._told[key]
        # An outbox is written before anybody can know of it, so what was judged there once need not be again.
        for sequence in range(told.judged + 1, max(facts, default=0) + 1):
            fact = facts.get(sequence)
            if fact is None:
                return
            told.judged = sequence
            number = number_of(fact)
            _judge_course(key, told, fact, number, said)
            if fact["type"] in ENDS:
                judge_end(fact, orders.get(number, []), said)
            if "duplicate" in (fact.get("code") or "") or "was used before" in (fact.get("text") or ""):
                said.append(f"{key} #{number}: an order was sent again: {fact}")


def _judge_course(key: Key, told: Told, fact: Fact, number: int, said: list[str]) -> None:
    if fact["type"] in BEGINNINGS:
        if told.begun or number != told.number + 1:
            said.append(f"{key}: #{number} begins after #{told.number}, which has {'not ' if told.begun else ''}ended")
        told.number, told.begun = number, True
        return
    if not told.begun or number != told.number:
        said.append(
            f"{key}: {fact['type']} of #{number} while #{told.number} is{'' if told.begun else ' not'} going on"
        )
    if fact["type"] in ENDS:
        told.begun = False


def judge_end(fact: Fact, orders: Sequence[Ordered], said: list[str]) -> None:
    """Whether a signal ended as its fact says, by the venue's orders and trades of that signal."""
    name = fact["signal_id"]
    live = [order.client_order_id for order in orders if order.report["status"] == "working"]
    if live:
        said.append(f"{name} has ended, and the venue still works {live}")
    fills = [(order, fill) for order in orders for fill in order.fills]
    if fact["type"] == "EntryCancelled":
        if fills:
            said.append(f"{name} was cancelled, and it traded: {[fill['trade_id'] for _, fill in fills]}")
        if fact["reason"] == "absent" and orders:
            said.append(f"{name}: the venue is said never to have had {[order.client_order_id for order in orders]}")
        return
    if fact["reason"] == "venue":
        said.append(f"{name} is said to have been closed by somebody else, and nobody else trades there")
    sign = 1 if fact["side"] == "long" else -1
    sums = {True: [ZERO, ZERO], False: [ZERO, ZERO]}
    fees = ZERO
    for order, fill in fills:
        quantity = Decimal(fill["quantity"])
        sums[order.leg in ENTERING][0] += quantity
        sums[order.leg in ENTERING][1] += quantity * Decimal(fill["price"])
        fees += Decimal(fill["fee"])
    (bought, paid), (sold, got) = sums[True], sums[False]
    if not bought == sold == Decimal(fact["quantity"]):
        said.append(f"{name}: {fact['quantity']} says the ledger; in {bought}, out {sold} says the venue")
    net = sign * (got - paid) - fees
    if abs(Decimal(fact["pnl_net"]) - net) > _EXACT_TO or Decimal(fact["fees"]) != fees:
        said.append(f"{name}: the ledger says {fact['pnl_net']} with fees {fact['fees']}, the venue {net} with {fees}")


# ---------------------------------------------------------------- orders and positions


def _judge_orders(key: Key, state: State | None, orders: Mapping[int, list[Ordered]], said: list[str]) -> None:
    """Whatever the venue has of a (strategy, symbol) is in its file, or belongs to a signal that has ended."""
    last = state["number"] if state else 0
    signal = state["signal"] if state else {"type": "Idle"}
    present = last if signal["type"] != "Idle" else None
    records = {record["request"]["client_order_id"]: record for record in state["orders"]} if state else {}
    for number, placed in orders.items():
        entries = [order.client_order_id for order in placed if order.leg == "e"]
        if len(entries) > 1:
            said.append(f"{key} #{number}: more than one entry order: {entries}")
        if number > last:
            names = [order.client_order_id for order in placed]
            said.append(f"{key} #{number}: the venue has {names}, the file knows signals up to #{last}")
        elif number != present:
            live = [order.client_order_id for order in placed if order.report["status"] == "working"]
            if live:
                said.append(f"{key} #{number}: it has ended, and the venue still works {live}")
        else:
            _judge_present(f"{key} #{number}", signal, records, placed, said)


def _judge_present(
    name: str, signal: State, records: Mapping[str, State], placed: Sequence[Ordered], said: list[str]
) -> None:
    position = signal.get("position") or {"entries": [], "exits": []}
    applied = {fill["trade_id"]: fill for fill in (*position["entries"], *position["exits"])}
    happened = {fill["trade_id"]: fill for order in placed for fill in order.fills}
    for trade_id, fill in applied.items():
        if happened.get(trade_id) != fill:
            said.append(f"{name}: the file knows trade {trade_id}, the venue {happened.get(trade_id, 'nothing of it')}")
    for order in placed:
        record = records.get(order.client_order_id)
        if record is None:
            later = [each for each in records.values() if each["request"]["leg"] == order.leg]
            if order.report["status"] == "working" or all(
                each["request"]["attempt"] <= order.attempt for each in later
            ):
                said.append(f"{name}: the venue has {order.client_order_id}, which is not in the file")
                continue
        settled = record is None or _settled(record)
        if settled and order.report["status"] == "working":
            said.append(f"{name}: the venue works {order.client_order_id}, the file calls it ended")
        for fill in order.fills:
            if settled and fill["trade_id"] not in applied:
                said.append(f"{name}: the file will not ask for trade {fill['trade_id']} and does not have it")


def _settled(record: State) -> bool:
    return record["status"] not in LIVE and Decimal(record["filled"]) >= Decimal(record["reported_filled"])


def _differences(
    symbol: str, states: Mapping[Key, State], orders: Sequence[State], positions: Sequence[State]
) -> list[str]:
    """Files against the venue at one moment: quantity, live orders by id, and that stops cover the position."""
    said = []
    held = sum((Decimal(each["quantity"]) for each in positions if each["symbol"] == symbol), ZERO)
    known, live = ZERO, set()
    for (_, of), state in states.items():
        if of != symbol:
            continue
        position = state["signal"].get("position")
        if position:
            sign = 1 if position["side"] == "long" else -1
            known += sign * (Decimal(position["entry_quantity"]) - Decimal(position["exit_quantity"]))
        live |= {each["request"]["client_order_id"] for each in state["orders"] if each["status"] in LIVE}
    if held != known:
        said.append(f"the venue holds {held}, the files say {known}")
    there = {order["client_order_id"] for order in orders if order["symbol"] == symbol}
    if live != there:
        said.append(f"orders only in files {sorted(live - there)}, only at the venue {sorted(there - live)}")
    covered = sum(
        (Decimal(each["quantity"]) - Decimal(each["filled"]) for each in orders if _is_stop_of(each, symbol, held)),
        ZERO,
    )
    if covered < abs(held):
        said.append(f"stops cover {covered} of {held}")
    return said


def _of_symbol(symbol: str, orders: Sequence[State], positions: Sequence[State]) -> list[State]:
    return [each for each in (*orders, *positions) if each["symbol"] == symbol]


def _is_stop_of(order: State, symbol: str, held: Decimal) -> bool:
    leaving = "sell" if held > 0 else "buy"
    return bool(order["symbol"] == symbol and order["kind"] == "stop_market" and order["side"] == leaving)


def _key_of(state: State) -> Key:
    return state["strategy"], state["symbol"]
