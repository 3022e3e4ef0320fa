"""Signal events: every close at which a strategy, asked as though it were idle, wants an entry.

Rules of this file: whoever is asked is asked by the backtest's own instance: the same view, features, warm-up and skipped
closes; nothing here looks past the close of an event.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from livebot.backtest.instance import Instance
from livebot.backtest.membership import Membership
from livebot.backtest.plan import BacktestPlan, StrategyRun
from livebot.backtest.tape import Tape
from livebot.core.candidate import Refused
from livebot.core.entry import NO_EXIT_PLAN, Entry
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, decimal_of
from livebot.core.order import OrderRequest
from livebot.core.propose import Circumstances, propose
from livebot.core.rules import FixedNotional
from livebot.core.signal import Signal
from livebot.errors import BadInput
from livebot.features.declaration import Feature
from livebot.strategies.evidence import with_evidence

NOTIONAL = Decimal("1e9")  # quote; so much that no minimum refuses it and no rounding of a fee shows in a ratio
WALLET = NOTIONAL * 1_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Event:
    """An entry that was wanted at the close of `minute` and that the config allows.

    `entry` has no exit plan of its own; `signal` is what would be opened, with stop and target on ticks, and `order` what
    would open it.
    """

    symbol: str
    minute: int
    entry: Entry
    signal: Signal
    order: OrderRequest

    @property
    def close_ms(self) -> int:
        """When it was decided, UTC."""
        return (self.minute + 1) * MINUTE_MS

    @property
    def risk(self) -> float:
        """The distance of the stop as a ratio of the price it was decided at."""
        price = self.signal.limit_price or self.signal.reference_price
        return float(abs(price - self.signal.stop_loss) / price)


def asking_plan(plan: BacktestPlan, strategy_id: str, features: tuple[Feature, ...]) -> BacktestPlan:
    """The plan under which this strategy is asked about every close, with these features as evidence.

    It is alone, of a fixed size, with no limit, no portfolio and no model to ask, and no management; orders fill whole.  Candles,
    instruments, fees, slippage, latency, entry checks and resting limit entries are those of `plan`.

    Raises:
        BadInput: there is no strategy of this id, or it has features with the names of these.

    """
    run = next((each for each in plan.strategies if each.id == strategy_id), None)
    if run is None:
        known = ", ".join(each.id for each in plan.strategies) or "none"
        raise BadInput(f"the plan has no strategy {strategy_id!r}; it has {known}")
    run = replace(run, strategy_class=with_evidence(run.strategy_class, features))
    _require_features(run)
    return replace(
        plan,
        strategies=(run,),
        wallet=WALLET,
        rules=replace(plan.rules, sizing=FixedNotional(NOTIONAL), exits=NO_EXIT_PLAN),
        limits=Limits(),
        loss_limit=None,
        win_rate=None,
        round=None,
        clusters=None,
        confidences=None,
        funding={},
        fills=replace(plan.fills, partial_probability=0.0),
        notes=(),
    )


def events_of(
    plan: BacktestPlan, instance: Instance, tape: Tape, dropped: Counter[str], progress: Callable[[int], None]
) -> Iterator[Event]:
    """All events of one symbol, in the order of time; `plan` is an `asking_plan`.

    Entries that the config refuses are counted in `dropped` by the code of the refusal; closes about which the strategy
    could not be asked (candles it looks at did not come) are no wishes and are passed over.  `progress` hears at which
    minute it is.

    Raises:
        BadInput: the strategy fails; naming it and the close.

    """
    membership = Membership(plan.members, instance.symbol)
    minute, end = max(plan.start_ms // MINUTE_MS, tape.first), min(plan.end_ms // MINUTE_MS, tape.stop)
    while minute < end:
        first, stop = membership.span_from(minute)
        minute = instance.next_wish(first, stop) if first < end else end
        if minute >= min(stop, end):
            minute = max(minute, stop)
            continue
        progress(minute)
        event = _event(instance, tape, minute, dropped)
        if event is not None:
            yield event
        minute += 1


def _event(instance: Instance, tape: Tape, minute: int, dropped: Counter[str]) -> Event | None:
    wish = instance.wish_at(minute)
    if wish is None or wish.entry is None:
        return None
    entry = wish.entry if wish.entry.exits is None else replace(wish.entry, exits=None)
    now = Circumstances(price=decimal_of(tape.last_close(minute)), equity=WALLET, ts_ms=(minute + 1) * MINUTE_MS)
    candidate = propose(instance.state, entry, now, instance.rules)
    if isinstance(candidate, Refused):
        dropped[candidate.code] += 1
        return None
    signal = candidate.signal
    assert signal is not None  # it is an entry
    return Event(symbol=instance.symbol, minute=minute, entry=entry, signal=signal, order=candidate.order)


def _require_features(run: StrategyRun) -> None:
    try:
        _ = run.make().features
    except ValueError as error:
        raise BadInput(f"strategy {run.id}: {error}") from error
