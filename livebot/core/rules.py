"""The fixed terms under which the kernel works for one (strategy, symbol): sizing, entry checks, exits, retries."""

from dataclasses import dataclass, replace
from decimal import Decimal

from livebot.core.entry import ExitPlan
from livebot.core.market import MINUTE_MS, Instrument

ATR_PERIOD = 14  # Wilder's own


@dataclass(frozen=True, slots=True)
class FixedNotional:
    """The same quote amount for each signal."""

    notional: Decimal


@dataclass(frozen=True, slots=True)
class FractionOfEquity:
    """A fraction of equity for each signal (0.1 is 10 %)."""

    fraction: Decimal


@dataclass(frozen=True, slots=True)
class RiskToStop:
    """A size whose loss at the stop is this fraction of equity, with at most `maximum_fraction` of it as notional."""

    fraction: Decimal
    maximum_fraction: Decimal


@dataclass(frozen=True, slots=True)
class VolatilityParity:
    """A size that a move of one average true range changes by this fraction of equity, so that all positions weigh alike.

    The range is that of the last `period` candles of the strategy's own timeframe; `maximum_fraction` of equity at most.
    """

    fraction: Decimal
    maximum_fraction: Decimal
    period: int = ATR_PERIOD


@dataclass(frozen=True, slots=True)
class CappedKelly:
    """A size whose loss at the stop is `kelly_fraction` of what Kelly's criterion stakes on the entry's confidence.

    With at most `maximum_fraction` of equity as notional.
    """

    kelly_fraction: Decimal
    maximum_fraction: Decimal


Sizing = FixedNotional | FractionOfEquity | RiskToStop | VolatilityParity | CappedKelly


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRules:
    """What an entry must satisfy.  Distances are ratios of its entry price; reward_to_risk is a ratio of distances."""

    minimum_stop_distance: Decimal = Decimal("0.0005")
    maximum_stop_distance: Decimal = Decimal("0.5")
    minimum_target_distance: Decimal = Decimal("0.0005")
    minimum_reward_to_risk: Decimal = Decimal(0)
    minimum_lifetime_ms: int = MINUTE_MS
    maximum_lifetime_ms: int = 30 * 24 * 60 * MINUTE_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitEntries:
    """How an entry at the market is sent as a resting limit order instead.

    It rests `offset` (ratio) on the better side of the price for `timeout_ms`; what has not filled then is priced anew
    from the present close, at most `reprices` times and never worse than the first price by more than `chase` (ratio).
    """

    offset: Decimal
    timeout_ms: int
    reprices: int = 0
    chase: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All of it.  `protection_attempts` bounds how often a refused stop is placed before the position is closed.

    `limit_entries` None: an entry is sent as the strategy says; `post_only` limit entries never take.  A stop or target
    is changed at most once in `amend_interval_ms`.  What the venue can do: `attached_stop`, a stop travels with the
    entry; `resting_target`, a stop and another exit may stand side by side; `replaces_stops`, a stop that moves is another
    order, which is placed before the old one is taken back (only where `resting_target` holds).
    """

    system: str
    strategy: str
    instrument: Instrument
    sizing: Sizing
    entry: EntryRules
    exits: ExitPlan
    schedule_ms: int
    protection_attempts: int = 3
    limit_entries: LimitEntries | None = None
    post_only: bool = False
    amend_interval_ms: int = 0
    attached_stop: bool = False
    resting_target: bool = True
    replaces_stops: bool = False


def sharing_a_position(rules: Rules) -> Rules:
    """The rules of one of several strategies on a symbol, whose positions a venue nets.

    What only reduces the net position does not stop at one strategy's share of it.  So never two orders that could close
    the same share may live at once: no target beside the stop, no stop beside the one that came with the entry.
    """
    return replace(rules, attached_stop=False, resting_target=False, replaces_stops=False)
