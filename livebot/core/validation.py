"""From what a strategy wants to prices on the instrument's ticks, or one sentence that says why not.

Rules of this file: rounding never adds risk or hope (stop and target move towards the entry price, a limit away from
the market); what is checked is what would be sent, after rounding; the first check that fails speaks.
"""

import math
from dataclasses import dataclass
from decimal import Decimal

from livebot.core.candidate import Refused
from livebot.core.entry import Entry
from livebot.core.market import Instrument, Side, decimal_of
from livebot.core.rules import EntryRules
from livebot.core.wording import duration, number, percent


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedEntry:
    """Prices on ticks.  `entry_price` is the limit price, or for a market entry the price it was checked against.

    `schedule_ms` is how long a limit entry may rest; it means nothing for a market entry.
    """

    side: Side
    entry_price: Decimal
    limit_price: Decimal | None
    stop_loss: Decimal
    take_profit: Decimal
    lifetime_ms: int
    schedule_ms: int

    @property
    def stop_distance(self) -> Decimal:
        """From the entry price to the stop, in quote; positive if the stop is on the right side."""
        return self.side.sign * (self.entry_price - self.stop_loss)

    @property
    def target_distance(self) -> Decimal:
        """From the entry price to the target, in quote; positive if the target is on the right side."""
        return self.side.sign * (self.take_profit - self.entry_price)


def validate(
    entry: Entry, price: Decimal, instrument: Instrument, rules: EntryRules, schedule_ms: int
) -> CheckedEntry | Refused:
    """The entry in exact prices, or why it cannot be traded.

    `price` is the present one in quote; `schedule_ms` the configured rest of a limit entry that names none itself.
    """
    refused = _not_a_price(entry, price) or _confidence(entry)
    if refused is not None:
        return refused
    checked = _on_ticks(entry, price, instrument, schedule_ms)
    return (
        _permission(checked, instrument)
        or _limit(checked, price, instrument)
        or _sides(checked, entry, instrument)
        or _distances(checked, rules)
        or _times(checked, rules)
        or checked
    )


def still_fits(side: Side, price: Decimal, stop_loss: Decimal, take_profit: Decimal, rules: EntryRules) -> bool:
    """Whether an entry at this price would have passed, with stop and target where they are."""
    checked = CheckedEntry(
        side=side,
        entry_price=price,
        limit_price=price,
        stop_loss=stop_loss,
        take_profit=take_profit,
        lifetime_ms=0,
        schedule_ms=0,
    )
    return min(checked.stop_distance, checked.target_distance) > 0 and _distances(checked, rules) is None


def _not_a_price(entry: Entry, price: Decimal) -> Refused | None:
    named = {
        "price": float(price),
        "limit_price": entry.limit_price,
        "stop_loss": entry.stop_loss,
        "take_profit": entry.take_profit,
    }
    for name, value in named.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            words = name.replace("_", " ")
            return Refused(f"bad_{name}", f"{words} {value} is not a price: it must be finite and above 0")
    return None


def _confidence(entry: Entry) -> Refused | None:
    value = entry.confidence
    if value is None or 0 <= value <= 1:  # what is no number is not between them
        return None
    return Refused("bad_confidence", f"confidence {value} is not a probability: it must be from 0 to 1")


def _on_ticks(entry: Entry, price: Decimal, instrument: Instrument, schedule_ms: int) -> CheckedEntry:
    up, down = instrument.round_price_up, instrument.round_price_down
    round_stop, round_other = (up, down) if entry.side is Side.LONG else (down, up)
    limit_price = None if entry.limit_price is None else round_other(decimal_of(entry.limit_price))
    return CheckedEntry(
        side=entry.side,
        entry_price=price if limit_price is None else limit_price,
        limit_price=limit_price,
        stop_loss=round_stop(decimal_of(entry.stop_loss)),
        take_profit=round_other(decimal_of(entry.take_profit)),
        lifetime_ms=entry.lifetime_ms,
        schedule_ms=schedule_ms if entry.schedule_ms is None else entry.schedule_ms,
    )


def _permission(checked: CheckedEntry, instrument: Instrument) -> Refused | None:
    if checked.side is Side.SHORT and not instrument.can_short:
        return Refused("short_not_possible", f"{instrument.symbol} cannot be sold short on this market")
    return None


def _limit(checked: CheckedEntry, price: Decimal, instrument: Instrument) -> Refused | None:
    limit_price = checked.limit_price
    if limit_price is None:
        return None
    if limit_price <= 0:
        return Refused("bad_limit_price", f"limit price is below one tick of {number(instrument.tick_size)}")
    if checked.side.sign * (limit_price - price) > 0:
        where = "above" if checked.side is Side.LONG else "below"
        return Refused(
            "limit_side",
            f"a {checked.side.value} limit price of {number(limit_price)} is {where} the present price "
            f"{number(price)} and would execute at once; leave it out to enter at the market",
        )
    return None


def _sides(checked: CheckedEntry, entry: Entry, instrument: Instrument) -> Refused | None:
    below, above = ("below", "above") if checked.side is Side.LONG else ("above", "below")
    for name, where, distance, wanted, rounded in (
        ("stop", below, checked.stop_distance, entry.stop_loss, checked.stop_loss),
        ("target", above, checked.target_distance, entry.take_profit, checked.take_profit),
    ):
        if distance <= 0:
            return Refused(
                f"{name}_side",
                f"the {name} of a {checked.side.value} must be {where} the entry price "
                f"{number(checked.entry_price)}; wanted is {number(decimal_of(wanted))}, which is "
                f"{number(rounded)} on ticks of {number(instrument.tick_size)}",
            )
    return None


def _distances(checked: CheckedEntry, rules: EntryRules) -> Refused | None:
    price, stop, target = checked.entry_price, checked.stop_distance, checked.target_distance
    if stop < rules.minimum_stop_distance * price:
        return _too("stop", "close", checked.stop_loss, checked, rules.minimum_stop_distance)
    if stop > rules.maximum_stop_distance * price:
        return _too("stop", "far", checked.stop_loss, checked, rules.maximum_stop_distance)
    if target < rules.minimum_target_distance * price:
        return _too("target", "close", checked.take_profit, checked, rules.minimum_target_distance)
    if target < rules.minimum_reward_to_risk * stop:
        return Refused(
            "reward_to_risk",
            f"the target is {number(target)} away and the stop {number(stop)}: reward to risk is "
            f"{number(target / stop)}, at least {number(rules.minimum_reward_to_risk)} is required",
        )
    return None


def _too(name: str, how: str, level: Decimal, checked: CheckedEntry, bound: Decimal) -> Refused:
    distance = abs(level - checked.entry_price)
    which = "least" if how == "close" else "most"
    return Refused(
        f"{name}_too_{how}",
        f"the {name} {number(level)} is {number(distance)} ({percent(distance / checked.entry_price)}) from the "
        f"entry price {number(checked.entry_price)}; the {which} allowed is "
        f"{number(bound * checked.entry_price)} ({percent(bound)})",
    )


def _times(checked: CheckedEntry, rules: EntryRules) -> Refused | None:
    lifetime_ms = checked.lifetime_ms
    if lifetime_ms < rules.minimum_lifetime_ms:
        least = duration(rules.minimum_lifetime_ms)
        return Refused("lifetime_too_short", f"lifetime {duration(lifetime_ms)} is under the least allowed, {least}")
    if lifetime_ms > rules.maximum_lifetime_ms:
        most = duration(rules.maximum_lifetime_ms)
        return Refused("lifetime_too_long", f"lifetime {duration(lifetime_ms)} is over the most allowed, {most}")
    if checked.limit_price is not None and checked.schedule_ms <= 0:
        return Refused(
            "schedule_too_short", f"a limit entry that may rest for {checked.schedule_ms} ms expires at once"
        )
    return None
