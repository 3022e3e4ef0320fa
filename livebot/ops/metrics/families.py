"""Metric families from a status and from what is measured besides: what Prometheus is told of a daemon.

Rules of this file: nothing is kept but what makes a sum that may shrink a counter; a label's values are words of this code,
names in the config, or, up to a bound, symbols; money is in the system's quote currency, everything else in base units.
"""

import platform
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from importlib.metadata import version
from statistics import median

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from livebot.core.denial import DenialCode, TradingState
from livebot.ops.metrics.measurements import Measurements
from livebot.ops.metrics.model_families import model_families
from livebot.ops.metrics.rising import Rising
from livebot.ops.metrics.shapes import counter, gauge, histogram, labelled
from livebot.ops.metrics.tables import COUNTS, FEED, ORDER_OUTCOMES, OUTCOMES, WORKER_STATES
from livebot.ports import LimitUse, SymbolStatus, SystemStatus

SYMBOLS_MAX = 100
STRATEGIES_MAX = 50
OTHER = "other"
_SECOND_MS = 1000


class Families:
    """One for a daemon.  Every sample carries the label `system`, so that the series of two systems never mix."""

    def __init__(self, *, symbols_max: int = SYMBOLS_MAX, strategies_max: int = STRATEGIES_MAX) -> None:
        """A system of more symbols than `symbols_max` has no series by symbol.

        Of more strategies than `strategies_max` the last ones by name are told together, as `other`.
        """
        self._symbols_max = symbols_max
        self._strategies_max = strategies_max
        self._rising = Rising()
        self._build = {"version": version("livebot"), "python": platform.python_version()}

    def of(self, status: SystemStatus, measured: Measurements) -> Iterator[Metric]:
        """All of them, one after another; each name comes once."""
        for family in self._of(status, measured):
            yield labelled(family, status.system)

    def _of(self, status: SystemStatus, measured: Measurements) -> Iterator[Metric]:
        kept = self._kept(status, measured)
        yield from self._state(status)
        yield from _money(status, measured, kept)
        yield from _limits(status.limits)
        yield from _open(status, measured, kept)
        yield from self._symbols(status)
        yield from self._counters(status, measured)
        yield from _decisions(measured)
        yield from _inside(measured)
        yield from self._venue(measured)
        if measured.models is not None:
            yield from model_families(status, measured.models, self._symbols_max)

    def _kept(self, status: SystemStatus, measured: Measurements) -> frozenset[str]:
        """The strategies that have series of their own."""
        names = {signal.strategy for symbol in status.symbols for signal in symbol.signals} | measured.realised.keys()
        return frozenset(sorted(names)[: self._strategies_max])

    def _state(self, status: SystemStatus) -> Iterator[Metric]:
        info = {**self._build, "market": status.market, "mode": status.mode, "exchange": status.exchange}
        build = GaugeMetricFamily("livebot_build_info", "What runs; always 1.", labels=tuple(info))
        build.add_metric(tuple(info.values()), 1)
        yield build
        yield gauge("livebot_ready", "Whether it decides: 1, or 0 while it starts.", status.ready)
        started: float | dict[str, float] = status.started_ms / _SECOND_MS if status.started_ms else {}
        yield gauge("livebot_start_time_seconds", "When it started, by the venue's clock.", started)
        states = {state.value: float(state.value == status.trading_state) for state in TradingState}
        yield gauge("livebot_trading_state", "1 for the present trading state, 0 for the others.", states, "state")
        yield gauge("livebot_problems", "What is wrong now, as `livebot status` lists it.", len(status.problems))

    def _symbols(self, status: SystemStatus) -> Iterator[Metric]:
        symbols = status.symbols
        states = dict.fromkeys(WORKER_STATES, 0) | Counter(each.worker for each in symbols)
        yield gauge("livebot_symbols", "Symbols by what their worker does.", states, "state")
        blocked = Counter(code for each in symbols for code in each.blocks)
        codes = {code.value: blocked[code.value] for code in DenialCode}
        yield gauge("livebot_symbols_blocked", "Symbols on which nothing opens, by reason.", codes, "reason")
        ages = {
            each.symbol: max(status.now_ms - each.last_close_ms, 0) / _SECOND_MS
            for each in symbols
            if each.last_close_ms is not None
        }
        yield gauge("livebot_symbols_without_candle", "Symbols without any candle yet.", len(symbols) - len(ages))
        known = {"max": max(ages.values()), "median": median(ages.values())} if ages else {}
        yield gauge("livebot_candle_age_seconds", "Since a symbol's last candle closed.", known, "stat")
        if len(symbols) <= self._symbols_max:
            yield from _by_symbol(symbols, ages)

    def _counters(self, status: SystemStatus, measured: Measurements) -> Iterator[Metric]:
        for key, (name, text) in COUNTS.items():
            yield counter(name, text, self._rising.to(key, status.counts.get(key, 0)))
        yield counter("livebot_orders", "Answers to orders and to changes of them.", _all(measured), "outcome")
        yield counter(
            "livebot_ledger_decisions_dropped", "Decisions that the ledger never got.", measured.decisions_dropped
        )
        for event, text in (("heard", "heard"), ("dropped", "missed"), ("failed", "failed at")):
            told = {name: counts[event] for name, counts in measured.listeners.items()}
            yield counter(f"livebot_listener_{event}", f"Publications that a listener {text}.", told, "listener")

    def _venue(self, measured: Measurements) -> Iterator[Metric]:
        for key, (name, text) in FEED.items():
            if key in measured.feed:
                yield counter(name, text, self._rising.to(f"feed {key}", measured.feed[key]))
        waits = measured.waits
        if waits:
            counts = {what: each.count for what, each in waits.items()}
            seconds = {what: each.seconds for what, each in waits.items()}
            yield counter("livebot_rate_limit_waits", "Waits for the venue's rate limit.", counts, "what")
            yield counter("livebot_rate_limit_wait_seconds", "Time waited for the rate limit.", seconds, "what")


def _all(measured: Measurements) -> Mapping[str, int]:
    return {outcome: measured.order_outcomes.get(outcome, 0) for outcome in ORDER_OUTCOMES}


def _money(status: SystemStatus, measured: Measurements, kept: frozenset[str]) -> Iterator[Metric]:
    yield gauge("livebot_equity", "What the account is worth, in quote currency.", status.equity)
    yield gauge("livebot_day_pnl", "PnL since the UTC day began, in quote currency.", status.day_pnl)
    realised: dict[str, Decimal] = defaultdict(Decimal)
    for strategy, pnl in measured.realised.items():
        realised[strategy if strategy in kept else OTHER] += pnl
    text = "Net PnL of all signals that ever closed, in quote currency."
    yield gauge("livebot_realised_pnl", text, realised, "strategy")
    unrealised: dict[str, Decimal] = defaultdict(Decimal)
    for signal in (signal for symbol in status.symbols for signal in symbol.signals):
        unrealised[signal.strategy if signal.strategy in kept else OTHER] += signal.unrealised or 0
    text = "PnL of open positions at the last prices, before fees, in quote currency."
    yield gauge("livebot_unrealised_pnl", text, unrealised, "strategy")
    exposure = next((limit.used for limit in status.limits if limit.name == "gross_exposure"), None)
    if exposure is not None:
        text = "Notional of all that is open, pending and reserved, in quote currency."
        yield gauge("livebot_exposure", text, exposure * status.equity)


def _limits(limits: Sequence[LimitUse]) -> Iterator[Metric]:
    used = {each.name: each.used for each in limits}
    yield gauge("livebot_limit_used", "What each limit counts, in the limit's own unit.", used, "limit")
    allowed = {each.name: each.allowed for each in limits if each.allowed is not None}
    yield gauge("livebot_limit_allowed", "What each limit allows; absent if it allows all.", allowed, "limit")
    shares = {
        each.name: each.share if each.allowed else float(each.used > 0) for each in limits if each.allowed is not None
    }
    yield gauge("livebot_limit_use_ratio", "Used over allowed: at 1 nothing more is let through.", shares, "limit")


def _open(status: SystemStatus, measured: Measurements, kept: frozenset[str]) -> Iterator[Metric]:
    text = "Signals that are not Idle, and room reserved for such."
    yield gauge("livebot_open_signals", text, status.open_signals)
    states: Counter[tuple[str, str]] = Counter()
    for signal in (signal for symbol in status.symbols for signal in symbol.signals):
        states[signal.strategy if signal.strategy in kept else OTHER, signal.state] += 1
    family = GaugeMetricFamily(
        "livebot_strategy_signals", "Signals by strategy and state.", labels=("strategy", "state")
    )
    for (strategy, state), count in sorted(states.items()):
        family.add_metric((strategy, state), count)
    yield family
    yield gauge("livebot_reservations", "Approved orders that nothing is heard of yet.", measured.reservations)
    yield gauge("livebot_reserved", "Their notional, in quote currency.", measured.reserved)
    text = "Open positions without a confirmed stop on the venue."
    yield gauge("livebot_unprotected_positions", text, len(status.unprotected))
    text = "Symbols where the venue holds something that is not ours, dismissed or not."
    yield gauge("livebot_foreign_symbols", text, measured.foreign_symbols)
    yield gauge("livebot_orders_in_flight", "Orders sent and not answered yet.", measured.orders_in_flight)
    yield gauge("livebot_orders_unresolved", "Orders whose fate is being asked for.", measured.orders_unresolved)


def _by_symbol(symbols: Sequence[SymbolStatus], ages: Mapping[str, float]) -> Iterator[Metric]:
    yield gauge("livebot_symbol_candle_age_seconds", "Since the symbol's last candle closed.", ages, "symbol")
    restarts = {each.symbol: each.restarts for each in symbols if each.restarts}
    text = "How often the symbol's worker was restarted; absent while it never was."
    yield counter("livebot_symbol_restarts", text, restarts, "symbol")


def _decisions(measured: Measurements) -> Iterator[Metric]:
    outcomes: Counter[str] = Counter()
    denials: Counter[str] = Counter({code.value: 0 for code in DenialCode})
    others = CounterMetricFamily(
        "livebot_refusals", "Entries refused or not asked for, by code.", labels=("outcome", "code")
    )
    for (outcome, code), count in sorted(measured.decisions.items()):
        outcomes[outcome] += count
        if outcome == "denied":
            denials[code] += count
        elif outcome != "approved":
            others.add_metric((outcome, code), count)
    told = {outcome: outcomes[outcome] for outcome in OUTCOMES}
    yield counter("livebot_decisions", "What became of the entries that strategies wanted.", told, "outcome")
    yield counter("livebot_denials", "Entries that the portfolio denied, by code.", denials, "code")
    yield others
    text = "From the close of a candle until the strategy was asked, by the venue's clock."
    yield histogram("livebot_decision_delay_seconds", text, measured.delays)
    yield histogram("livebot_decision_seconds", "What strategies took to answer.", measured.calls)


def _inside(measured: Measurements) -> Iterator[Metric]:
    lag = measured.lag
    late = {"p50": lag.p50_s, "p99": lag.p99_s, "max": lag.maximum_s}
    yield gauge("livebot_loop_lag_seconds", "By how much timers came late lately.", late, "stat")
    text = "Until a group of state files was durable, fsync included."
    yield histogram("livebot_save_seconds", text, measured.saves)
    yield gauge("livebot_ledger_queue_rows", "Rows that wait for the ledger.", measured.ledger_queue)
    text = "How many may wait; beyond that nothing opens."
    yield gauge("livebot_ledger_queue_limit_rows", text, measured.ledger_queue_limit)
