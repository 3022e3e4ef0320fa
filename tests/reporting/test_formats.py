"""The live report as Markdown, text, HTML and JSON, and no text from outside can break out of its cell."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.reporting.document import TEXT_COLUMNS
from livebot.reporting.formats import as_json, as_markdown, as_text
from livebot.reporting.signals_report import Selection
from tests.reporting.rows import DECISIONS, FACTS, NOON_MS, closed, decision, live

GOLDEN = Path(__file__).parent / "golden"
REPORT = live("demo", FACTS, DECISIONS)
EMPTY = live("demo", [], [], Selection(strategy="trend", symbol="BTC/USDT", since_ms=NOON_MS))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (as_markdown(REPORT), "report.md"),
        (as_text(REPORT), "report.txt"),
        (json.dumps(as_json(REPORT), indent=2) + "\n", "report.json"),
        (as_markdown(EMPTY), "empty.md"),
        (as_text(EMPTY), "empty.txt"),
        (json.dumps(as_json(EMPTY), indent=2) + "\n", "empty.json"),
    ],
)
def test_golden_output(written, name):
    """Look at the difference; if it is wanted, write the file anew."""
    assert written == (GOLDEN / name).read_text("utf-8")


def test_the_header_of_the_source_document():
    lines = as_markdown(REPORT).splitlines()
    assert lines[0] == "# Live Trading Report: demo"
    assert "Total events: 10 (2 symbols)  " in lines
    assert "Closed signals: 3  " in lines
    assert "Win rate: 66.67% (2W / 1L)  " in lines
    assert "Average PNL: +0.93%  " in lines


def test_a_figure_without_a_sample_is_not_available():
    text = as_text(EMPTY)
    assert "Win rate        n/a (0W / 0L)" in text
    assert "Average PNL     n/a" in text
    assert as_json(EMPTY)["win_rate"] is None


def test_the_comparison_of_symbols_is_the_first_thing():
    lines = as_text(REPORT).splitlines()
    assert lines[2:4] == ["Comparison of symbols", "Symbol    Signals  Win rate  Avg PNL  Best PNL  Worst PNL"]
    assert [line.split()[0] for line in lines[4:7]] == ["BTC/USDT", "ETH/USDT", "All"]
    assert next(iter(as_json(REPORT))) == "comparison"


def test_a_tiny_loss_is_neither_a_negative_zero_nor_a_gain():
    text = as_text(live("demo", [closed(0, "-0.000001", "-0.001")], []))
    assert ">-0.01%" in text
    assert "-0.00" not in text
    assert "+0.00" not in text


@pytest.mark.parametrize("quote", ["USDT:USDT", "USDT:USDT-261225"])
def test_long_names_fit_the_lines_of_a_terminal(quote):
    symbol = f"1000000MOG/{quote}"
    rows = [
        closed(
            number, "-0.0123456", "-12345.67", "portfolio_halt", symbol=symbol, strategy="mean_reversion", number=number
        )
        for number in range(12)
    ]
    lines = as_text(live("demo", rows, [decision("denied", "x" * 60)])).splitlines()
    assert max(map(len, lines)) <= TEXT_COLUMNS
    assert any("#11" in line and "CLOSED" in line and "portfolio_halt" in line for line in lines)


def test_json_keeps_every_digit_of_the_ledger():
    made = as_json(live("demo", [closed(0, "0.1234567890123456789", "12345678901234.123456789")], []))
    (line,) = json.loads(json.dumps(made))["signals"]
    assert (line["pnl_ratio"], line["pnl_net"]) == ("0.1234567890123456789", "12345678901234.123456789")


def test_an_absurd_amount_can_still_be_written():
    assert "+1" in as_text(live("demo", [closed(0, "1e30", "1e30")], []))


NASTY = st.text(alphabet="<>&\"'|`*_[]\\\n\r\t\x1b#-ab", min_size=1, max_size=20)


@pytest.mark.untraced
@given(NASTY)
def test_a_table_has_the_same_rows_and_columns_whatever_the_text(text):
    def shape(word):
        made = live("demo", [closed(0, "0", "0", word, symbol=word)], [decision("denied", word)])
        rows = [line for line in as_markdown(made).splitlines() if line.startswith("|")]
        return [row.count("|") for row in rows], as_text(made).split("\nWhy ")[0].count("\n")

    assert shape(text) == shape("plain")


@pytest.mark.untraced
@given(st.text())
def test_a_terminal_gets_no_control_character(text):
    made = live(text, [closed(0, "0", "0", text, symbol=text)], [decision("denied", text)])
    assert as_text(made).replace("\n", "").isprintable()
