"""Whether the invariants held, judged from outside: the venue as a stock client sees it, livebot's own files.

Rules of this file: pure; every judgement returns sentences, none means that all is well.  What the venue holds is asked
of the venue, what livebot knows is read from its files, and neither is ever asked about itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from livebot.core.facts import EntryCancelled, Fact, SignalClosed
from livebot.core.order import ZERO, Leg, owner_prefix
from livebot.core.signal import CloseReason, Idle
from livebot.rehearsal.sights import Key, SeenOrder, SeenTrade, Sight, States, System, symbol_quantity

INVARIANTS: Mapping[str, str] = {
    "I1": "an order the venue has is known to us",
    "I2": "a signal has one entry, and a filled one is never repeated",
    "I3": "a position has a stop on the venue, or is closed in time",
    "I4": "after recovery, files and venue agree to the lot step",
    "I5": "no limit of the portfolio is exceeded",
    "I6": "HALTED stays HALTED until it is lifted",
    "I8": "the ledger holds each fact once, in order",
    "I11": "the secret is in no file and no output",
    "I12": "whatever was wrong was told in a sentence, never as a traceback",
}
# They compare one run with another, or a run with the code: one run by itself cannot break them visibly.
NOT_JUDGED: Mapping[str, str] = {
    "I7": "a fault in one symbol changes no other symbol's facts: `make test` compares runs with and without",
    "I9": "same inputs, same facts: `make test` holds the daemon against the backtest",
    "I10": "nothing looks ahead: `livebot backtest --audit` tries your strategies",
}
_SENTENCES_MAX = 20  # kept for one invariant; the first ones say most
_PRICES_MOVED = Decimal("1.01")  # an order is approved at the price before it trades
TRACEBACK = "Traceback (most recent call last)"


class Verdict:
    """How often each invariant was looked at, and what was found."""

    def __init__(self) -> None:
        self.checked: dict[str, int] = dict.fromkeys(INVARIANTS, 0)
        self.broken: dict[str, list[str]] = {name: [] for name in INVARIANTS}

    def add(self, name: str, sentences: Iterable[str], *, times: int = 1) -> None:
        """One look, and what it found; the same finding is kept once."""
        self.checked[name] += times
        found = self.broken[name]
        for sentence in sentences:
            if sentence not in found and len(found) < _SENTENCES_MAX:
                found.append(sentence)

    @property
    def clean(self) -> bool:
        """Nothing was found."""
        return not any(self.broken.values())


# Orders


def judge_known(orders: Sequence[SeenOrder], states: States, system: System) -> list[str]:
    """I1, of a daemon that is dead: whatever the venue has of ours is in the file, or of a signal that has ended."""
    said = []
    for order in orders:
        ours = system.read(order)
        if ours is None:
            if system.is_ours(order):
                said.append(f"{order.symbol}: {order.client_id} begins like ours, and livebot makes no such id")
            continue
        key = system.owners.get(ours.owner)
        if key is None or key[1] != order.symbol:
            said.append(f"{order.symbol}: {order.client_id} is of no strategy that trades there")
            continue
        state = states.get(key)
        if state is None or ours.number > state.number:
            known = "there is no file" if state is None else f"the file knows signals up to #{state.number}"
            said.append(f"{_named(key, ours.number)}: the venue has {order.client_id}, {known}")
            continue
        present = ours.number == state.number and not isinstance(state.signal, Idle)
        if order.live and not present:
            said.append(f"{_named(key, ours.number)} has ended, and the venue still works {order.client_id}")
        ids = {record.request.client_order_id for record in state.orders}
        if present and order.live and order.client_id not in ids:
            said.append(f"{_named(key, ours.number)}: the venue works {order.client_id}, which is not in the file")
    return said


def judge_entries(orders: Sequence[SeenOrder], facts: Sequence[Fact], system: System) -> list[str]:
    """I2: never two live entries of a signal, and a signal that has closed was entered as often as it says."""
    said = []
    entered: dict[tuple[Key, int], Decimal] = defaultdict(lambda: ZERO)
    live: dict[tuple[Key, int], list[str]] = defaultdict(list)
    for order in orders:
        ours = system.read(order)
        key = system.owners.get(ours.owner) if ours else None
        if ours is None or key is None or not ours.leg.opens:
            continue
        entered[key, ours.number] += order.filled
        if order.live and ours.leg is Leg.ENTRY:
            live[key, ours.number].append(str(order.client_id))
    for (key, number), ids in live.items():
        if len(ids) > 1:
            said.append(f"{_named(key, number)}: two live entry orders: {', '.join(sorted(ids))}")
    for fact in facts:
        told = _entered_by(fact)
        key, number = (fact.strategy, fact.symbol), int(fact.signal_id.rpartition("#")[2])
        if told is not None and entered[key, number] != told:
            traded = entered[key, number]
            said.append(f"{_named(key, number)}: the ledger says {told} entered, the venue traded {traded}")
    return said


def _entered_by(fact: Fact) -> Decimal | None:
    if isinstance(fact, SignalClosed):
        return fact.quantity
    return ZERO if isinstance(fact, EntryCancelled) else None


# Positions


@dataclass(slots=True)
class _Bare:
    since_s: float
    told: bool = False


class ProtectionWatch:
    """I3, look by look: how long a symbol's position has not been covered by stops.

    `limit_s` is how long it may be so while a daemon is alive; nobody watches while none is, so `forget` then.  `shares` is
    how many strategies may hold a symbol.
    """

    def __init__(self, limit_s: float, shares: Mapping[str, int] | None = None) -> None:
        self._limit_s = limit_s
        self._shares = shares or {}
        self._bare: dict[str, _Bare] = {}

    def forget(self) -> None:
        """A daemon died, or stands again: what is bare is so from its next sight on."""
        self._bare.clear()

    def judge(self, sight: Sight, system_symbols: Iterable[str]) -> list[str]:
        """What has been bare for too long."""
        said = []
        for symbol in system_symbols:
            held, covered = sight.held(symbol), covered_by_stops(sight, symbol)
            left = sight.lot_step(symbol) * self._shares.get(symbol, 1)  # of coins each share may have less than a lot
            if covered >= abs(held) or abs(held) - covered < left:
                self._bare.pop(symbol, None)
                continue
            bare = self._bare.setdefault(symbol, _Bare(sight.at_s))
            lasted = sight.at_s - bare.since_s
            if lasted > self._limit_s and not bare.told:
                bare.told = True
                said.append(f"{symbol}: {held} is held, and stops have covered {covered} of it for {lasted:.1f} s")
        return said


def covered_by_stops(sight: Sight, symbol: str) -> Decimal:
    """How much of a position live stops would close."""
    leaving = "sell" if sight.held(symbol) > 0 else "buy"
    return sum((order.left for order in sight.of_symbol(symbol) if order.stop and order.side == leaving), ZERO)


def disagreements(symbol: str, states: States, sight: Sight, system: System) -> list[str]:
    """I4: what of a symbol is another thing at the venue than in the files."""
    said = []
    held, known = sight.held(symbol), symbol_quantity(states, symbol)
    if held != known:
        said.append(f"{symbol}: the venue holds {held}, the files say {known}")
    recorded = {
        record.request.client_order_id
        for (_, of), state in states.items()
        if of == symbol
        for record in state.orders
        if record.status.live
    }
    there = {str(order.client_id) for order in sight.of_symbol(symbol) if system.is_ours(order)}
    said += [f"{symbol}: the venue works {name}, the files do not know it as live" for name in sorted(there - recorded)]
    said += [f"{symbol}: the files call {name} live, the venue does not work it" for name in sorted(recorded - there)]
    return said


def judge_trades(states: States, trades: Sequence[SeenTrade]) -> list[str]:
    """I4, of what the files count as traded: the venue lists each, the same, and none is counted twice."""
    listed = {(trade.symbol, trade.trade_id): trade for trade in trades}
    said = []
    for key, state in states.items():
        position = getattr(state.signal, "position", None)
        counted: set[str] = set()
        for fill in () if position is None else (*position.entries, *position.exits):
            trade = listed.get((state.symbol, fill.trade_id))
            if trade is None and fill.client_order_id.startswith(owner_prefix(state.system)):
                said.append(
                    f"{_named(key, state.number)}: the file counts trade {fill.trade_id}, the venue has none such"
                )
            elif trade is not None and (trade.quantity, trade.price) != (fill.quantity, fill.price):
                told = f"{trade.quantity} at {trade.price}"
                said.append(f"{_named(key, state.number)}: trade {fill.trade_id} was {told}, the file says otherwise")
            if fill.trade_id in counted:
                said.append(f"{_named(key, state.number)}: trade {fill.trade_id} is counted twice")
            counted.add(fill.trade_id)
    return said


# The portfolio


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsTold:
    """The limits that can be seen from outside; exposures are ratios of equity, None is no limit."""

    open_signals: int | None = None
    open_signals_per_strategy: int | None = None
    gross_exposure: Decimal | None = None
    symbol_exposure: Decimal | None = None


def judge_exposure(sight: Sight, limits: LimitsTold, peak_equity: Decimal) -> list[str]:
    """I5 at the venue: positions at their entry prices, and entries that rest, against the equity's peak so far."""
    by_symbol: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for position in sight.positions:
        by_symbol[position.symbol] += abs(position.quantity) * position.price
    for order in sight.orders:
        if order.price is not None and not (order.stop or order.reduces):
            by_symbol[order.symbol] += order.left * order.price
    said = []
    gross = sum(by_symbol.values(), ZERO)
    if limits.gross_exposure is not None and gross > limits.gross_exposure * peak_equity * _PRICES_MOVED:
        said.append(f"{gross:.2f} is at stake; {limits.gross_exposure} of {peak_equity:.2f} is allowed")
    for symbol, notional in by_symbol.items():
        if limits.symbol_exposure is not None and notional > limits.symbol_exposure * peak_equity * _PRICES_MOVED:
            share = limits.symbol_exposure
            said.append(f"{symbol}: {notional:.2f} is at stake; {share} of {peak_equity:.2f} is allowed")
    held = [position for position in sight.positions if position.closable]
    if limits.open_signals is not None and len(held) > limits.open_signals:
        said.append(f"{len(held)} positions are open; {limits.open_signals} signals are allowed")
    return said


def judge_open_signals(states: States, limits: LimitsTold) -> list[str]:
    """I5 in the files of a dead daemon: how many signals are going on."""
    going_on = [key for key, state in states.items() if not isinstance(state.signal, Idle)]
    said = []
    if limits.open_signals is not None and len(going_on) > limits.open_signals:
        said.append(f"{len(going_on)} signals are going on; {limits.open_signals} are allowed")
    for strategy in sorted({strategy for strategy, _ in going_on}):
        count = sum(of == strategy for of, _ in going_on)
        if limits.open_signals_per_strategy is not None and count > limits.open_signals_per_strategy:
            said.append(f"{strategy}: {count} signals are going on; {limits.open_signals_per_strategy} are allowed")
    return said


def judge_halt(*, was_halted: bool, state_now: str) -> list[str]:
    """I6, after a restart."""
    if was_halted and state_now != "HALTED":
        return [f"it was HALTED when it died, and came back {state_now}"]
    return []


# The books


def judge_facts(facts: Sequence[Fact], states: States) -> list[str]:
    """I8: facts are numbered from 1 without a gap, none twice, and none beyond what the file says.

    `facts` are of the ledger, `states` of files that nobody writes any more: what lacks must wait in the outbox.
    """
    said = []
    numbers: dict[Key, list[int]] = defaultdict(list)
    for fact in facts:
        numbers[fact.strategy, fact.symbol].append(fact.sequence)
    for key in sorted(numbers.keys() | states.keys()):
        told, state = numbers.get(key, []), states.get(key)
        if sorted(told) != list(range(1, len(told) + 1)):
            said.append(f"{key[0]}/{key[1]}: the ledger holds facts {_shown(told)}")
            continue
        waiting = {fact.sequence for fact in state.outbox} if state else set()
        end = state.sequence if state else 0
        lacking = sorted(set(range(len(told) + 1, end + 1)) - waiting)
        if len(told) > end:
            said.append(f"{key[0]}/{key[1]}: the ledger holds fact {len(told)}, the file ends at {end}")
        if lacking:
            said.append(f"{key[0]}/{key[1]}: facts {_shown(lacking)} are neither in the ledger nor in the outbox")
    return said


def judge_ends(facts: Sequence[Fact], orders: Sequence[SeenOrder], system: System) -> list[str]:
    """I8: a signal that is said to have been closed outside was: an order that is not ours traded there.

    That can be somebody else's, or the stop that travelled with our entry, which has no id of ours.
    """
    strange = {order.symbol for order in orders if order.filled and not system.is_ours(order)}
    return [
        f"{fact.signal_id} is said to have been closed outside, and only our own orders traded there"
        for fact in facts
        if isinstance(fact, SignalClosed) and fact.reason is CloseReason.VENUE and fact.symbol not in strange
    ]


def judge_stopped(facts: Sequence[Fact], states: States) -> list[str]:
    """I8, after an orderly stop: the ledger ends where the files do."""
    last: dict[Key, int] = defaultdict(int)
    for fact in facts:
        last[fact.strategy, fact.symbol] = max(last[fact.strategy, fact.symbol], fact.sequence)
    return [
        f"{key[0]}/{key[1]}: facts {last[key] + 1} to {state.sequence} are not in the ledger after an orderly stop"
        for key, state in states.items()
        if last[key] < state.sequence
    ]


# Text


def judge_secret(name: str, content: bytes, secrets: Iterable[str]) -> list[str]:
    """I11, of one file or output."""
    return [f"{name}: holds the secret" for secret in secrets if secret.encode() in content][:1]


def judge_output(name: str, content: bytes) -> list[str]:
    """I12, of one output."""
    count = content.count(TRACEBACK.encode())
    return [f"{name}: {count} tracebacks"] if count else []


def _named(key: Key, number: int) -> str:
    return f"{key[0]}/{key[1]}#{number}"


def _shown(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")  # noqa: PLR2004
