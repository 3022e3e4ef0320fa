"""What an operator reads: what happened, to which symbol, what the daemon has done already, what to do.

Rules of this file: pure; one event is one line; numbers stand as in the reports, money in quote currency.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from livebot.core.facts import Fact, SignalClosed, SignalOpened
from livebot.core.signal import CloseReason
from livebot.core.wording import about, duration, number, percent
from livebot.ops.alerts.kinds import TITLES, Kind, Level, Source

SHOWN_MAX = 8  # codes, symbols or kinds named in one line
LINE_LENGTH_MAX = 600
_HALTED = (
    "Nothing opens, over any restart; entries that rest are taken back, what is open keeps its stops and is managed on "
    "(`livebot flatten --all` closes it).  Look into the cause, then `livebot unhalt --reason ...`."
)
_REASONS = {
    CloseReason.TAKE_PROFIT: "at its target",
    CloseReason.STOP_LOSS: "at its stop",
    CloseReason.TRAILING_STOP: "at its trailing stop",
    CloseReason.TIME_EXPIRED: "because its time was over",
    CloseReason.STRATEGY_EXIT: "by its strategy",
    CloseReason.OPERATOR: "by the operator",
    CloseReason.PORTFOLIO_HALT: "by the halt",
    CloseReason.VENUE: "at the venue, not by the daemon",
    CloseReason.UNPROTECTED: "because the venue would not take or keep its stop",
}
_REDUCING = (
    "Nothing opens and entries that rest are taken back; what is open is managed on.  It ends by itself: a loss of the day "
    "with the next UTC day, anything else when that has passed."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing to be told.

    `key` names what it is about: within a while, each `variant` of it is told once.  What does not wake is held back in
    quiet hours whatever its level.  The channel `not_over` is the one that cannot tell it.
    """

    kind: Kind
    level: Level
    text: str
    key: str
    variant: str = ""
    wakes: bool = False
    not_over: str | None = None
    at_ms: int = 0


def opened_text(fact: SignalOpened) -> str:
    """A signal's first fill."""
    return (
        f"{fact.symbol}: {fact.strategy} opened {fact.side.value}, {number(fact.quantity)} at {number(fact.price)}; "
        f"stop {number(fact.stop_loss)}, target {number(fact.take_profit)} ({fact.signal_id})"
    )


def closed_text(fact: SignalClosed) -> str:
    """A signal's end, with what it made."""
    return (
        f"{fact.symbol}: {fact.strategy} closed {fact.side.value} {_REASONS[fact.reason]}: net {signed(fact.pnl_net)} "
        f"({'+' if fact.pnl_ratio > 0 else ''}{percent(round(fact.pnl_ratio, 4))}) after fees of {money(fact.fees)}; "
        f"{number(fact.quantity)} from {number(fact.entry_price)} to {number(fact.exit_price)}, "
        f"open for {about(fact.ts_ms - fact.opened_ms)} ({fact.signal_id})"
    )


def fact_text(fact: Fact) -> tuple[Kind, str] | None:
    """What is told of a fact; None: nothing."""
    if isinstance(fact, SignalOpened):
        return Kind.OPENED, opened_text(fact)
    if isinstance(fact, SignalClosed):
        return Kind.CLOSED, closed_text(fact)
    return None


def state_text(sentence: str | None) -> tuple[Kind, str]:
    """The trading state, from its problem's sentence."""
    if sentence is None:
        return (
            Kind.LIFTED,
            "trading is ACTIVE again: entries are allowed as far as the limits go.  Nothing needs to be done.",
        )
    if sentence.startswith("trading is REDUCING"):
        return Kind.REDUCING, f"{stop(sentence)}  {_REDUCING}"
    return Kind.HALTED, f"{stop(sentence)}  {_HALTED}"


def problem_text(source: Source, sentence: str) -> str:
    """A problem, with what has been done and what to do."""
    return stop(sentence) if not source.advice else f"{stop(sentence)}  {source.advice}"


def passed_text(sentence: str) -> str:
    """A problem that is none any more."""
    return f"this has passed, nothing needs to be done any more: {sentence}"


def restart_text(symbol: str, error: str) -> str:
    """A worker that ended by an exception and comes back."""
    return (
        f"{symbol}: its worker failed ({error}) and is started again from its state file; an open position keeps its stop "
        "at the venue.  If it goes on failing it is put into quarantine; the log says where it failed."
    )


def started_text(market: str, symbols: int, open_signals: int, trading_state: str) -> str:
    """The daemon is ready."""
    left = _open(open_signals) if open_signals else "nothing open"
    return f"the daemon runs: {market}, {symbols} symbol{'s' * (symbols != 1)}, {left}, trading is {trading_state}"


def stopped_text(cause: str, open_signals: int) -> str:
    """It stops in order."""
    left = (
        f"{_open(open_signals)}, each with its stop at the venue, and not managed until the daemon runs again"
        if open_signals
        else "nothing is open"
    )
    return f"the daemon stops ({cause}); {left}."


def failed_text(why: str) -> str:
    """It ends because it cannot go on."""
    return f"{stop(why)}  The daemon has ended; what is open keeps its stops at the venue.  The log says more."


def denied_text(codes: Mapping[str, int], symbols: Mapping[str, int], span_ms: int) -> str:
    """All denials of a while, in one line."""
    count = sum(codes.values())
    return (
        f"{count} {'entry was' if count == 1 else 'entries were'} denied within {duration(span_ms)}: {counted(codes)}; on "
        f"{counted(symbols)}.  `livebot status` shows the limits and their use."
    )


def summary_text(day: str, figures: "DayFigures") -> str:
    """One UTC day."""
    trades = figures.trades
    if trades:
        closed = (
            f"{trades} closed, net {signed(figures.pnl_net)}, {percent(round(Decimal(figures.wins) / trades, 4))} won, "
            f"best {signed(figures.best)}, worst {signed(figures.worst)}"
        )
    else:
        closed = "no signal closed"
    denied = f"; denied: {counted(figures.denials)}" if figures.denials else "; nothing was denied"
    return (
        f"{day} (UTC): {closed}; equity {money(figures.equity)}, {figures.open_signals} open, trading is "
        f"{figures.trading_state}{denied}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFigures:
    """What one UTC day came to; money in quote currency, `denials` by code."""

    trades: int
    wins: int
    pnl_net: Decimal
    best: Decimal
    worst: Decimal
    denials: Mapping[str, int]
    equity: Decimal
    open_signals: int
    trading_state: str


def repeated_text(text: str, count: int, span_ms: int) -> str:
    """The latest of what was counted instead of told."""
    return f"{text}  ({count} more like it within {duration(span_ms)})"


def left_out_text(kinds: Mapping[Kind, int]) -> str:
    """What a channel was not told."""
    named = counted({TITLES[kind]: count for kind, count in kinds.items()})
    count = sum(kinds.values())
    return (
        f"{count} {'alert was' if count == 1 else 'alerts were'} left out here, because too many came or because this "
        f"channel failed: {named}.  The log has them all."
    )


def counted(counts: Mapping[str, int]) -> str:
    """`12 open_signals, 3 paused`, the most frequent first."""
    ordered = Counter(counts).most_common()
    shown = [f"{count} {_words(name)}" for name, count in ordered[:SHOWN_MAX]]
    rest = sum(count for _, count in ordered[SHOWN_MAX:])
    return ", ".join((*shown, f"{rest} others") if rest else shown)


def signed(amount: Decimal) -> str:
    """Money with its sign."""
    return f"{'+' if amount > 0 else ''}{money(amount)}"


def money(amount: Decimal) -> str:
    """To two places, or to as many as a small amount needs to be one."""
    return number(round(amount, 2) if abs(amount) >= 1 else round(amount, 2 - (amount.adjusted() if amount else 0)))


def line(text: str) -> str:
    """One line that fits: texts of others may hold anything."""
    plain = "".join(each if each.isprintable() else " " for each in text)
    return plain if len(plain) <= LINE_LENGTH_MAX else f"{plain[: LINE_LENGTH_MAX - 3]}..."


def stop(sentence: str) -> str:
    """With a full stop, if it lacks one."""
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def _open(signals: int) -> str:
    return "1 signal open" if signals == 1 else f"{signals} signals open"


def _words(name: str) -> str:
    return name.replace("_", " ")
