"""The report over all symbols: what happened to every signal, and how well strategies and symbols did.

Rules of this file: rows in, figures out; a figure without a sample is None; what is not closed does not count as won or
lost; rows may come in any order, facts of one (strategy, symbol) in the order in which they happened.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from livebot.core.facts import EntryCancelled, Fact, SignalClosed, SignalClosing
from livebot.core.performance import Summary, summarise
from livebot.errors import BadInput

_ACTIONS: Mapping[str, str] = {
    "SignalScheduled": "SCHEDULED",
    "SignalOpening": "OPENING",
    "SignalOpened": "OPENED",
    "SignalClosing": "CLOSING",
    "SignalClosed": "CLOSED",
    "EntryCancelled": "CANCELLED",
}
_CLOSED = "CLOSED"
_APPROVED = "approved"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRow:
    """One fact of the ledger.  `kind` is the fact's class name; `reason` says why it closed or was cancelled.

    PnL is net of fees, in quote currency and as a ratio of the money put in; only a closed signal has it.
    """

    ts_ms: int
    kind: str
    strategy: str
    symbol: str
    signal_id: str
    side: str
    reason: str | None = None
    pnl_net: Decimal | None = None
    pnl_ratio: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """One decision of the ledger; `outcome` is approved, denied, refused or skipped, `code` says why."""

    ts_ms: int
    strategy: str
    symbol: str
    outcome: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows count; None is all, `since_ms` is included."""

    strategy: str | None = None
    symbol: str | None = None
    since_ms: int | None = None

    def takes(self, row: FactRow | DecisionRow) -> bool:
        """Whether a row counts."""
        return (
            self.strategy in (None, row.strategy)
            and self.symbol in (None, row.symbol)
            and (self.since_ms is None or row.ts_ms >= self.since_ms)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalLine:
    """One signal as of its last row: `action` is SCHEDULED, OPENING, OPENED, CLOSING, CLOSED or CANCELLED."""

    ts_ms: int
    strategy: str
    symbol: str
    action: str
    signal_id: str
    side: str
    pnl_ratio: Decimal | None
    pnl_net: Decimal | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One (strategy, symbol): how many facts there are, and the figures of its closed signals."""

    strategy: str
    symbol: str
    events: int
    summary: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """How many entries ended with this outcome (denied, refused, skipped) and code."""

    outcome: str
    code: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All figures.  `groups` by name, `denials` the most frequent first, `signals` the oldest first."""

    system: str
    selection: Selection
    events: int
    symbols: int
    summary: Summary
    groups: tuple[Group, ...]
    denials: tuple[Denial, ...]
    signals: tuple[SignalLine, ...]


@dataclass(frozen=True, slots=True)
class _Closed:
    ts_ms: int
    pnl_net: Decimal
    pnl_ratio: Decimal


def row_of(fact: Fact) -> FactRow:
    """A fact as a row."""
    row = FactRow(
        ts_ms=fact.ts_ms,
        kind=type(fact).__name__,
        strategy=fact.strategy,
        symbol=fact.symbol,
        signal_id=fact.signal_id,
        side=fact.side.value,
    )
    match fact:
        case SignalClosed():
            return replace(row, reason=fact.reason.value, pnl_net=fact.pnl_net, pnl_ratio=fact.pnl_ratio)
        case SignalClosing() | EntryCancelled():
            return replace(row, reason=fact.reason.value)
        case _:
            return row


def make_report(
    system: str,
    facts: Iterable[FactRow],
    decisions: Iterable[DecisionRow],
    selection: Selection | None = None,
) -> Report:
    """The report over the selected rows.

    Raises:
        BadInput: the row of a closed signal has no PnL.

    """
    chosen = selection or Selection()
    taken = [row for row in facts if chosen.takes(row)]
    closes: dict[tuple[str, str], list[_Closed]] = {}
    for row in taken:
        group = closes.setdefault((row.strategy, row.symbol), [])
        if _ACTIONS.get(row.kind) == _CLOSED:
            group.append(_closed(row))
    events = Counter((row.strategy, row.symbol) for row in taken)
    return Report(
        system=system,
        selection=chosen,
        events=len(taken),
        symbols=len({row.symbol for row in taken}),
        summary=summarise(closed for group in closes.values() for closed in group),
        groups=tuple(
            Group(strategy=strategy, symbol=symbol, events=events[strategy, symbol], summary=summarise(group))
            for (strategy, symbol), group in sorted(closes.items())
        ),
        denials=_denials(row for row in decisions if chosen.takes(row)),
        signals=_signals(taken),
    )


def _closed(row: FactRow) -> _Closed:
    if row.pnl_net is None or row.pnl_ratio is None:
        raise BadInput(f"the ledger's row of the closed signal {row.signal_id} has no PnL; the ledger is damaged")
    return _Closed(row.ts_ms, row.pnl_net, row.pnl_ratio)


def _denials(decisions: Iterable[DecisionRow]) -> tuple[Denial, ...]:
    counts = Counter((row.outcome, row.code) for row in decisions if row.outcome != _APPROVED)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Denial(outcome=outcome, code=code, count=count) for (outcome, code), count in ordered)


def _signals(facts: Sequence[FactRow]) -> tuple[SignalLine, ...]:
    lines: dict[str, SignalLine] = {}
    for row in facts:
        action = _ACTIONS.get(row.kind)
        if action is None:
            continue  # something happened to the signal, but it is where it was
        lines[row.signal_id] = SignalLine(
            ts_ms=row.ts_ms,
            strategy=row.strategy,
            symbol=row.symbol,
            action=action,
            signal_id=row.signal_id,
            side=row.side,
            pnl_ratio=row.pnl_ratio,
            pnl_net=row.pnl_net,
            reason=row.reason,
        )
    return tuple(sorted(lines.values(), key=lambda line: (line.ts_ms, line.signal_id)))
