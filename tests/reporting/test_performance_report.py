"""All figures of a run together: what adds up, and what must not matter."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.market import DAY_MS, Side
from livebot.reporting.figure import NO_CAPITAL, NO_SIGNALS, NotAvailable
from livebot.reporting.performance_json import as_json
from livebot.reporting.performance_report import NO_CANDLES, month_of, performance
from livebot.reporting.run_record import EquityCurve
from tests.reporting.records import CAPITAL, HOUR_MS, START_MS, record, run, trade

RUN = run()
REPORT = performance(RUN)


def test_parts_add_up_to_the_whole():
    whole = REPORT.pooled.trades
    cuts = (REPORT.symbols, REPORT.strategies, REPORT.by_side, REPORT.by_reason, REPORT.by_month, REPORT.by_regime)
    for cut in cuts:
        for name in ("signals", "wins", "losses", "pnl_net", "fees", "traded"):
            assert sum(getattr(part.trades, name) for part in cut) == getattr(whole, name), name


def test_what_parts_gained_is_what_the_account_gained():
    gained = sum(part.equity.end_equity - CAPITAL for part in REPORT.symbols)
    assert CAPITAL + gained == pytest.approx(REPORT.pooled.equity.end_equity)
    returns = np.prod([1 + month.equity_return for month in REPORT.by_month]) - 1
    assert returns == pytest.approx(REPORT.pooled.equity.total_return)


def test_a_month_pays_what_closed_in_it():
    """Also what closed with its last candle, at the first instant of the next."""
    february = START_MS + 31 * DAY_MS
    made = performance(record([trade(START_MS, february, "50"), trade(february, february + HOUR_MS, "30")]))
    assert [(month.name, month.trades.pnl_net) for month in made.by_month] == [
        ("2026-01", 50),
        ("2026-02", 30),
        ("2026-03", 0),
    ]
    assert [month.equity_return for month in made.by_month] == pytest.approx([0.005, 30 / 10_050, 0])


def test_symbols_and_strategies_stand_by_name_and_those_without_a_trade_too():
    made = performance(replace(RUN, symbols=("ZEN/USDT", *RUN.symbols)))
    assert [part.symbol for part in made.symbols] == ["BTC/USDT", "ETH/USDT", "SOL/USDT", "ZEN/USDT"]
    assert [part.strategy for part in made.strategies] == ["ema_cross", "trend"]
    idle = made.symbols[-1]
    assert (idle.trades.signals, idle.exposure, idle.turnover, idle.trades.win_rate) == (0, 0, 0, NO_SIGNALS)


SMALL = run(days=40, trades_each=6)
SMALL_JSON = as_json(performance(SMALL))


@pytest.mark.untraced
@given(st.permutations(SMALL.symbols), st.randoms())
def test_the_order_of_symbols_and_trades_changes_nothing(symbols, random):
    trades = list(SMALL.trades)
    random.shuffle(trades)
    candles = {symbol: SMALL.candles[symbol] for symbol in symbols}
    made = performance(replace(SMALL, symbols=tuple(symbols), trades=tuple(trades), candles=candles))
    assert as_json(made) == SMALL_JSON


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(1, 72), st.integers(-900, 900)), max_size=15))
def test_any_trades_give_figures_within_their_bounds(drawn):
    trades = [
        trade(START_MS + day * DAY_MS, min(START_MS + day * DAY_MS + hours * HOUR_MS, START_MS + 60 * DAY_MS), pnl)
        for day, hours, pnl in drawn
    ]
    made = performance(record(trades))
    for part in (made.pooled, *made.symbols, *made.strategies):
        assert 0 <= part.exposure <= 1
        assert 0 <= part.equity.drawdown.depth <= 1
        assert part.turnover == NotAvailable("equity fell to 0 or below") or part.turnover >= 0


def test_turnover_is_what_was_traded_over_the_mean_equity():
    made = performance(record([trade(pnl="100")], days=10))
    traded = 10 * (100 + 110)
    assert made.pooled.turnover == pytest.approx(traded / ((CAPITAL + 10 * (CAPITAL + 100)) / 11))


def test_turnover_of_a_symbol_is_over_the_equity_of_all():
    one, two = trade(symbol="BTC/USDT", pnl="100"), trade(symbol="ETH/USDT", pnl="5000", signal_id="trend/ETH/USDT#1")
    made = performance(record([one, two], days=10))
    assert sum(part.turnover for part in made.symbols) == pytest.approx(made.pooled.turnover)


def test_without_candles_there_are_no_regimes():
    assert performance(replace(RUN, candles={})).by_regime == NO_CANDLES
    assert performance(replace(RUN, trades=())).by_regime == NO_SIGNALS


def test_trades_whose_regime_nobody_knows_are_a_cut_of_their_own():
    made = performance(replace(RUN, candles={"BTC/USDT": RUN.candles["BTC/USDT"]}))
    assert [each.name for each in made.by_regime] == ["low", "medium", "high", "unknown"]
    assert made.by_regime[-1].trades.signals == sum(trade.symbol != "BTC/USDT" for trade in RUN.trades)


def test_without_capital_what_needs_none_is_still_there():
    flat = EquityCurve(ts_ms=RUN.equity.ts_ms, equity=RUN.equity.equity - CAPITAL)
    made = performance(replace(RUN, equity=flat))
    pooled = made.pooled
    assert pooled.turnover == pooled.equity.sharpe == made.by_month[0].equity_return == NO_CAPITAL
    assert pooled.trades == REPORT.pooled.trades
    assert pooled.equity.drawdown.amount == pytest.approx(
        float(np.max(np.maximum.accumulate(RUN.equity.equity) - RUN.equity.equity))
    )


def test_a_ruined_account_has_no_turnover():
    flat = EquityCurve(ts_ms=RUN.equity.ts_ms, equity=np.concatenate(([1.0], np.full(len(RUN.equity) - 1, -9.0))))
    assert isinstance(performance(replace(RUN, equity=flat)).pooled.turnover, NotAvailable)


def test_sides_and_reasons_are_cuts():
    short = replace(trade(pnl="-3"), side=Side.SHORT)
    made = performance(record([short, trade(pnl="5")]))
    assert [(each.name, each.trades.pnl_net) for each in made.by_side] == [("long", 5), ("short", -3)]
    assert [(each.name, each.trades.pnl_net) for each in made.by_reason] == [("stop_loss", -3), ("take_profit", 5)]


def test_the_equity_of_each_day_is_kept():
    made = performance(record([trade(pnl="5")], days=2))
    assert made.daily.equity.tolist() == [CAPITAL, CAPITAL + 5, CAPITAL + 5]
    assert month_of(START_MS - 1) == "2025-12"


def test_pooled_figures_are_of_the_runs_own_equity():
    """Which knows of marks, funding and open positions; trades do not."""
    marked = EquityCurve(ts_ms=RUN.equity.ts_ms, equity=RUN.equity.equity - np.linspace(0, 500, len(RUN.equity)))
    made = performance(replace(RUN, equity=marked))
    assert made.pooled.equity.end_equity == pytest.approx(REPORT.pooled.equity.end_equity - 500)
    assert made.pooled.trades.pnl_net == REPORT.pooled.trades.pnl_net
    assert isinstance(made.pooled.trades.pnl_net, Decimal)
