"""A performance report as text, Markdown and JSON."""

import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.market import DAY_MS
from livebot.reporting.document import TEXT_COLUMNS, breadth, shortened
from livebot.reporting.figure import NotAvailable
from livebot.reporting.performance_formats import as_json, as_markdown, as_text
from livebot.reporting.performance_report import performance
from livebot.reporting.run_record import EquityCurve
from livebot.reporting.shown import money, percent, price, signed_money, signed_percent, span
from tests.reporting.records import HOUR_MS, START_MS, record, run, trade

RUN = run(feature_sets=("ema_cross@1 6f3a9c01",), notes=("Fees are those of the venue.",))
REPORT = performance(RUN)
FEW = performance(run(days=20, trades_each=3))
NONE = performance(record())


def test_the_comparison_of_symbols_is_the_first_thing_in_every_form():
    lines = as_text(REPORT).splitlines()
    assert (lines[0], lines[2]) == ("Backtest: demo", "Comparison of symbols")
    assert lines[3].split() == ["Symbol", "Signals", "Win", "rate", "Avg", "PNL", "Best", "PNL", "Worst", "PNL"]
    assert [line.split()[0] for line in lines[4:8]] == ["BTC/USDT", "ETH/USDT", "SOL/USDT", "All"]
    assert as_markdown(REPORT).splitlines()[4] == "| Symbol | Signals | Win rate | Avg PNL | Best PNL | Worst PNL |"
    made = as_json(REPORT)
    assert next(iter(made)) == "comparison"
    assert [row["symbol"] for row in made["comparison"]] == ["BTC/USDT", "ETH/USDT", "SOL/USDT", "All"]


def test_every_figure_has_its_place_in_the_text():
    text = as_text(REPORT)
    for name in (
        *("Equity", "Net PNL", "Win rate", "95% interval", "Expectancy", "Profit factor", "Sharpe", "Sortino"),
        *("Maximum drawdown", "Time in the market", "Turnover", "Longest losing streak", "Average holding time"),
        *("Symbols\n", "Strategies\n", "By side\n", "By close reason\n", "By month\n", "By volatility at entry\n"),
        *("Entries that were not approved\n", "ema_cross@1 6f3a9c01", "Fees are those of the venue."),
    ):
        assert name in text, name


@pytest.mark.parametrize("report", [REPORT, FEW, NONE], ids=["many", "few", "none"])
def test_the_text_is_never_broader_than_a_terminal(report):
    assert max(map(len, as_text(report).splitlines())) <= TEXT_COLUMNS


def test_long_names_and_large_amounts_fit_the_text():
    symbol = "1000000BABYDOGE/USDT:USDT-261225"
    trades = [
        trade(START_MS + n * HOUR_MS, START_MS + (n + 5) * HOUR_MS, "-1234567.891", symbol=symbol, strategy="s" * 60)
        for n in range(40)
    ]
    text = as_text(performance(record(trades, title="t" * 40)))
    assert max(map(len, text.splitlines())) <= TEXT_COLUMNS
    assert "261225" in text


def test_a_figure_that_the_sample_cannot_support_says_why():
    text = as_text(FEW)
    assert "Sharpe                 n/a" in text
    (line,) = [line for line in text.splitlines() if line.startswith("- Sharpe, Sortino of")]
    assert line == "- Sharpe, Sortino of BTC/USDT, ETH/USDT, SOL/USDT, ema_cross and 2 more: fewer than 30 whole days."
    made = as_json(FEW)
    assert made["pooled"]["sharpe"] is None
    assert made["pooled"]["not_available"]["sharpe"] == "fewer than 30 whole days"
    assert line[2:] in made["not_available"]


def test_what_is_available_has_no_reason():
    assert "Why figures are n/a" not in as_text(REPORT)
    assert as_json(REPORT)["not_available"] == []


def test_quiet_months_in_a_row_are_one_line():
    busy, later = trade(pnl="5"), trade(START_MS + 200 * DAY_MS, START_MS + 201 * DAY_MS, "5")
    text = as_text(performance(record([busy, later], days=300)))
    months = text.split("By month\n")[1].split("\n\n")[0].splitlines()[1:]
    assert [line.split("  ")[0] for line in months] == [
        "2026-01",
        "2026-02 to 2026-06",
        "2026-07",
        "2026-08 to 2026-10",
    ]
    assert months[1].endswith("0.00%")


def test_nothing_is_a_report_too():
    text = as_text(NONE)
    assert "No signal has closed." in text
    assert "Maximum drawdown       none" in text
    assert "- Volatility regimes: no signal has closed." in text
    assert as_json(NONE)["by_volatility"] is None


def test_without_capital_nothing_is_measured_against_it():
    flat = EquityCurve(ts_ms=RUN.equity.ts_ms, equity=np.linspace(0.0, 5.0, len(RUN.equity)))
    text = as_text(performance(replace(RUN, equity=flat)))
    assert "Equity                 n/a" in text
    assert "Turnover               n/a" in text
    assert "nobody knows the capital at the start" in " ".join(text.split())


def test_a_drawdown_without_capital_is_an_amount():
    values = np.concatenate(([0.0, 40.0, 15.5], np.linspace(20, 30, len(RUN.equity) - 3)))
    text = as_text(performance(replace(RUN, equity=EquityCurve(ts_ms=RUN.equity.ts_ms, equity=values))))
    assert "Maximum drawdown       (24.50) from 2026-01-02 to 2026-01-03, not recovered" in text


def test_json_has_money_as_text_and_ratios_as_numbers():
    made = json.loads(json.dumps(as_json(REPORT), allow_nan=False))
    pooled = made["pooled"]
    assert Decimal(pooled["pnl_net"]) == sum(each.pnl_net for each in RUN.trades)
    assert Decimal(pooled["expectancy"]) == pytest.approx(Decimal(pooled["pnl_net"]) / pooled["signals"])
    assert len(pooled["expectancy"]) < 20
    assert isinstance(pooled["win_rate"], float)
    assert pooled["drawdown"].keys() == {"depth", "amount", "from_ms", "to_ms", "recovered_ms"}
    assert made["by_month"][0]["return"] == pytest.approx(REPORT.by_month[0].equity_return)
    assert "return" not in made["by_side"][0]
    assert [each["signal_id"] for each in made["trades"]] == [each.signal_id for each in REPORT.trades]
    assert (len(made["daily_equity"]), made["feature_sets"]) == (121, ["ema_cross@1 6f3a9c01"])
    assert as_json(NONE)["pooled"]["expectancy"] is None


def test_json_of_a_trade_without_levels():
    made = as_json(performance(record([trade(stop_loss=None, take_profit=None)])))
    assert (made["trades"][0]["stop_loss"], made["trades"][0]["take_profit"]) == (None, None)


def test_a_short_run_is_told_in_hours():
    assert "(1.5 h)" in as_text(performance(record(end_ms=START_MS + HOUR_MS * 3 // 2)))


# ------------------------------------------------------------------ how a value looks


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (signed_percent(Decimal("-0.00001")), ">-0.01%"),
        (signed_percent(Decimal("0.00001")), "<+0.01%"),
        (signed_percent(Decimal(0)), "0.00%"),
        (signed_percent(Decimal("-0")), "0.00%"),
        (signed_percent(-0.0), "0.00%"),
        (signed_percent(Decimal("0.0123")), "+1.23%"),
        (signed_percent(Decimal("-12.345")), "-1,234%"),
        (percent(Decimal("0.6249"), 1), "62.5%"),
        (percent(1e-9, 1), "<0.1%"),
        (money(Decimal("10034.505")), "10,034.50"),
        (signed_money(Decimal("-99999.5")), "-99,999.50"),
        (signed_money(Decimal(-123_456)), "-123,456"),
        (signed_money(Decimal("1e30")), "+1.00e+30"),
        (signed_money(None), "n/a"),
        (signed_money(NotAvailable("why")), "n/a"),
        (price(Decimal("0.0000123456789")), "0.000012345679"),
        (price(Decimal("64000.00")), "64000"),
        (price(None), "n/a"),
        (span(500.0), "500 ms"),
        (span(5_400_000.0), "1.5 h"),
    ],
)
def test_how_a_value_looks(shown, text):
    assert shown == text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20))
def test_a_loss_shows_its_sign_and_a_gain_its_own(value):
    for shown in (signed_percent(value), signed_money(value)):
        assert ("-" in shown.replace("e-", "")) == (value < 0)
        assert (shown.startswith(("+", "<+"))) == (value > 0)
        assert len(shown) <= 22


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(9, 40))
def test_a_shortened_text_keeps_its_begin_and_its_end(text, width):
    made = shortened(text, width)
    assert breadth(made) <= width
    assert made[:2] == text[:2]
    assert made[-2:] == text[-2:]


def test_ideographs_take_two_columns():
    symbols = ("\u5e01\u5b89\u4eba\u751f/USDT", "BTC/USDT")
    lines = as_text(performance(record([trade(symbol=symbol) for symbol in symbols]))).splitlines()[3:6]
    assert len({breadth(line) for line in lines}) == 1
    assert [len(line) - len(lines[0]) for line in lines] == [0, 0, -4]
