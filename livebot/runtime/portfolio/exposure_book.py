"""What all signals put at stake together, as running totals, so that asking costs the same at any number of them.

Rules of this file: every change goes through `put` or `mark`, so the totals always equal the sum over the stakes; sums
have 80 digits, so what an average price without end leaves behind in the last of them is nothing over months.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from math import inf
from typing import NamedTuple, TypeVar

from livebot.core.facts import NO_EXPOSURE, Exposure
from livebot.core.market import Side, base_asset, decimal_of
from livebot.core.order import ZERO

Key = tuple[str, str]  # (strategy, symbol)
N = TypeVar("N", int, Decimal)

_EXACT = Context(prec=80)
_OPPOSITE = {Side.LONG: Side.SHORT, Side.SHORT: Side.LONG}


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room kept for an approved order until a fact tells of it; `signal_id` None: it adds to a signal that is open.

    `risk` is its loss at the stop, in quote.
    """

    side: Side
    notional: Decimal
    signal_id: str | None
    risk: Decimal = ZERO


class Used(NamedTuple):
    """What is used beside one candidate's own reservation; notionals and risks in quote.

    `side` is the side opposite to the candidate's if the symbol holds any of that, else the candidate's own side, or
    None if the symbol holds nothing.  `net` is the worst case on the candidate's side: all that is open, pending and
    reserved there less what is open on the other.  `risk_of_signal` is of the (strategy, symbol)'s own signal.
    """

    side: Side | None
    open_signals: int
    open_signals_of_strategy: int
    open_signals_of_cluster: int
    notional: Decimal
    net: Decimal
    notional_of_symbol: Decimal
    notional_of_base: Decimal
    risk: Decimal
    risk_of_signal: Decimal


class _Stake:
    """One (strategy, symbol); `told` is the notional that facts tell of, `notional` and `risk` have what is reserved too."""

    __slots__ = ("exposure", "notional", "reservation", "risk", "told", "unrealised")

    def __init__(self, exposure: Exposure, reservation: Reservation | None, unrealised: Decimal) -> None:
        self.exposure = exposure
        self.reservation = reservation
        self.unrealised = unrealised
        self.told = self.notional = _EXACT.add(exposure.open_notional, exposure.pending_notional)
        self.risk = exposure.risk_to_stop
        if reservation is not None:
            self.notional = _EXACT.add(self.told, reservation.notional)
            self.risk = _EXACT.add(self.risk, reservation.risk)


class Carried(NamedTuple):
    """What closed positions of one (strategy, symbol) have left at the venue: coins, and what they cost in quote.

    `sequence`: facts up to this one are in it.
    """

    quantity: Decimal
    cost: Decimal
    sequence: int = 0


NOTHING_CARRIED = Carried(ZERO, ZERO)


class _SymbolTotal:
    """One symbol over all strategies."""

    __slots__ = ("notional", "sides", "stakes")

    def __init__(self) -> None:
        self.stakes: dict[Key, _Stake] = {}
        self.notional = ZERO
        self.sides = {Side.LONG: 0, Side.SHORT: 0}


_NO_TOTAL = _SymbolTotal()  # of a symbol that has nothing; never changed


class ExposureBook:
    """Exposures from facts, reservations from the gate, marks from candles.

    What is carried counts in what it is all worth, and in no limit: nobody can sell it.
    """

    def __init__(self) -> None:
        """Nothing at stake."""
        self._stakes: dict[Key, _Stake] = {}
        self._symbols: dict[str, _SymbolTotal] = {}
        self._of_strategy: dict[str, int] = {}
        self._of_cluster: dict[str, int] = {}
        self._clusters: Mapping[str, str] = {}
        self._of_base: dict[str, Decimal] = {}  # notional
        self._at_stake = {Side.LONG: ZERO, Side.SHORT: ZERO}  # open, pending and reserved
        self._open = {Side.LONG: ZERO, Side.SHORT: ZERO}
        self._marks: dict[str, float] = {}
        self._carried: dict[Key, Carried] = {}
        self._of_carried: dict[str, Carried] = {}  # by symbol
        self.notional = ZERO  # open, pending and reserved
        self.risk = ZERO  # the same, lost at the stops
        self.booked = ZERO  # realised less fees, of signals that are still open
        self.unrealised = ZERO  # at the last marks

    @property
    def open_signals(self) -> int:
        """How many (strategy, symbol) have a signal or room reserved for one."""
        return len(self._stakes)

    @property
    def reserved(self) -> tuple[int, Decimal]:
        """How many approved orders no fact tells of yet, and their notional."""
        waiting = [stake.reservation.notional for stake in self._stakes.values() if stake.reservation is not None]
        return len(waiting), sum(waiting, ZERO)

    @property
    def valued(self) -> bool:
        """Whether every open position has a mark."""
        return self._symbols.keys() <= self._marks.keys()

    @property
    def invested(self) -> Decimal:
        """What all open positions cost at their entry prices (shorts are negative), and what is carried."""
        sides = ((stake.exposure.side, stake.exposure.open_notional) for stake in self._stakes.values())
        carried = sum((each.cost for each in self._carried.values()), ZERO)
        return sum((side.sign * cost for side, cost in sides if side is not None), carried)

    def exposure(self, key: Key) -> Exposure:
        """What was last put."""
        stake = self._stakes.get(key)
        return NO_EXPOSURE if stake is None else stake.exposure

    def reservation(self, key: Key) -> Reservation | None:
        """The room kept for an approved order."""
        stake = self._stakes.get(key)
        return None if stake is None else stake.reservation

    def put(self, key: Key, exposure: Exposure, reservation: Reservation | None) -> None:
        """What is at stake from now on; replaces what was."""
        present = self._stakes.pop(key, None)
        if present is not None:
            self._count(key, present, -1)
        if exposure.side is not None or reservation is not None:
            unrealised = _unrealised(exposure, self._marks.get(key[1]))
            self._stakes[key] = stake = _Stake(exposure, reservation, unrealised)
            self._count(key, stake, 1)

    def carried(self, key: Key) -> Carried:
        """What was last said to be carried."""
        return self._carried.get(key, NOTHING_CARRIED)

    def carry(self, key: Key, carried: Carried) -> None:
        """What closed positions have left from now on; replaces what was."""
        symbol, before = key[1], self._carried.pop(key, NOTHING_CARRIED)
        if carried.quantity:
            self._carried[key] = carried
        elif before is NOTHING_CARRIED:
            return
        total = self._of_carried.pop(symbol, NOTHING_CARRIED)
        self.unrealised = _EXACT.subtract(self.unrealised, _gain(total, self._marks.get(symbol)))
        quantity = _EXACT.add(total.quantity, _EXACT.subtract(carried.quantity, before.quantity))
        total = Carried(quantity, _EXACT.add(total.cost, _EXACT.subtract(carried.cost, before.cost)))
        if total.quantity:
            self._of_carried[symbol] = total
            self.unrealised = _EXACT.add(self.unrealised, _gain(total, self._marks.get(symbol)))

    def last_price(self, symbol: str) -> float | None:
        """The last mark; None if there was none yet."""
        return self._marks.get(symbol)

    def mark(self, symbol: str, price: float) -> None:
        """Value what a symbol holds at this price.  What is no price (not above 0, not finite) is ignored."""
        if not 0.0 < price < inf:
            return
        carried = self._of_carried.get(symbol)
        if carried is not None:
            moved = _EXACT.subtract(_gain(carried, price), _gain(carried, self._marks.get(symbol)))
            self.unrealised = _EXACT.add(self.unrealised, moved)
        self._marks[symbol] = price
        total = self._symbols.get(symbol)
        if total is None:
            return
        for stake in total.stakes.values():
            before, stake.unrealised = stake.unrealised, _unrealised(stake.exposure, price)
            self.unrealised = _EXACT.add(self.unrealised, _EXACT.subtract(stake.unrealised, before))

    def beside(self, key: Key, side: Side) -> Used:
        """What is used when this key's own reservation is not counted."""
        total, stake = self._symbols.get(key[1], _NO_TOTAL), self._stakes.get(key)
        own = None if stake is None else stake.reservation
        opposite = _OPPOSITE[side]
        held, against = total.sides[side], total.sides[opposite]
        signals, reserved, reserved_here, risk = 0, ZERO, ZERO, ZERO
        if stake is not None and own is not None:
            reserved, risk = own.notional, own.risk
            held, against = held - (own.side is side), against - (own.side is not side)
            reserved_here = reserved if own.side is side else ZERO
            signals = stake.exposure.side is None
        less = _EXACT.subtract
        return Used(
            side=opposite if against else side if held else None,
            open_signals=len(self._stakes) - signals,
            open_signals_of_strategy=self._of_strategy.get(key[0], 0) - signals,
            open_signals_of_cluster=self._of_cluster.get(self.cluster_of(key[1]), 0) - signals,
            notional=less(self.notional, reserved),
            net=less(less(self._at_stake[side], reserved_here), self._open[opposite]),
            notional_of_symbol=less(total.notional, reserved),
            notional_of_base=less(self._of_base.get(base_asset(key[1]), ZERO), reserved),
            risk=less(self.risk, risk),
            risk_of_signal=ZERO if stake is None else stake.exposure.risk_to_stop,
        )

    # Clusters

    def set_clusters(self, clusters: Mapping[str, str]) -> None:
        """By symbol the cluster that its signals count in from now on; a symbol that is not there is one by itself."""
        self._clusters = dict(clusters)
        self._of_cluster = Counter(self.cluster_of(symbol) for _, symbol in self._stakes)

    def cluster_of(self, symbol: str) -> str:
        """Its cluster; one by itself is called as the symbol is."""
        return self._clusters.get(symbol, symbol)

    # The largest of each kind

    def largest_of_cluster(self) -> int:
        """Signals of the cluster that has most."""
        return max(self._of_cluster.values(), default=0)

    def largest_net(self) -> Decimal:
        """The worse of both sides: all that is at stake there less what is open on the other."""
        long, short = Side.LONG, Side.SHORT
        nets = (self._at_stake[long] - self._open[short], self._at_stake[short] - self._open[long])
        return max(ZERO, *nets)

    def largest_notional_of_base(self) -> Decimal:
        """Notional of the base asset that has most."""
        return max(self._of_base.values(), default=ZERO)

    def largest_risk(self) -> Decimal:
        """Loss at the stop of the signal that may lose most."""
        return max((stake.risk for stake in self._stakes.values()), default=ZERO)

    def largest_of_strategy(self) -> int:
        """Signals of the strategy that has most."""
        return max(self._of_strategy.values(), default=0)

    def largest_notional_of_symbol(self) -> Decimal:
        """Notional of the symbol that has most."""
        return max((total.notional for total in self._symbols.values()), default=ZERO)

    def _count(self, key: Key, stake: _Stake, sign: int) -> None:
        """Take a stake into the totals (sign 1) or out of them (-1)."""
        strategy, symbol = key
        add = _EXACT.add if sign > 0 else _EXACT.subtract
        total = self._symbols.get(symbol)
        if total is None:
            total = self._symbols[symbol] = _SymbolTotal()
        exposure, reservation, notional = stake.exposure, stake.reservation, stake.notional
        self.notional = add(self.notional, notional)
        self.risk = add(self.risk, stake.risk)
        self.booked = add(self.booked, exposure.booked)
        self.unrealised = add(self.unrealised, stake.unrealised)
        total.notional = add(total.notional, notional)
        _keep(self._of_base, base_asset(symbol), add(self._of_base.get(base_asset(symbol), ZERO), notional))
        if exposure.side is not None:
            side = exposure.side
            total.sides[side] += sign
            self._at_stake[side] = add(self._at_stake[side], stake.told)
            self._open[side] = add(self._open[side], exposure.open_notional)
        if reservation is not None:
            total.sides[reservation.side] += sign
            self._at_stake[reservation.side] = add(self._at_stake[reservation.side], reservation.notional)
        cluster = self.cluster_of(symbol)
        _keep(self._of_cluster, cluster, self._of_cluster.get(cluster, 0) + sign)
        _keep(self._of_strategy, strategy, self._of_strategy.get(strategy, 0) + sign)
        if sign > 0:
            total.stakes[key] = stake
            return
        del total.stakes[key]
        if not total.stakes:
            del self._symbols[symbol]


def _keep(totals: dict[str, N], name: str, total: N) -> None:
    """Keep a total, and none of what is nothing: who comes and goes leaves no trace."""
    if total:
        totals[name] = total
    else:
        totals.pop(name, None)


def _gain(carried: Carried, mark: float | None) -> Decimal:
    """What it would bring at the mark less what it cost; 0 without a mark."""
    return ZERO if mark is None else _EXACT.subtract(_EXACT.multiply(decimal_of(mark), carried.quantity), carried.cost)


def _unrealised(exposure: Exposure, mark: float | None) -> Decimal:
    """PnL of the open part at the mark, before fees, in quote; 0 without a mark or a position."""
    if mark is None or exposure.side is None or not exposure.quantity:
        return ZERO
    gain = _EXACT.subtract(decimal_of(mark), exposure.entry_price)
    return _EXACT.multiply(gain, _EXACT.multiply(exposure.quantity, exposure.side.sign))
