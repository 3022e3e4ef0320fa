"""The same figures as Markdown, text, HTML and JSON, and no text from outside can break out of its cell."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.reporting.formats import as_html, as_json, as_markdown, as_text
from livebot.reporting.signals_report import Selection, make_report
from tests.reporting.rows import DECISIONS, FACTS, NOON_MS, closed, decision

GOLDEN = Path(__file__).parent / "golden"
REPORT = make_report("demo", FACTS, DECISIONS)
EMPTY = make_report("demo", [], [], Selection(strategy="trend", symbol="BTC/USDT", since_ms=NOON_MS))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (as_markdown(REPORT), "report.md"),
        (as_text(REPORT), "report.txt"),
        (as_html(REPORT), "report.html"),
        (json.dumps(as_json(REPORT), indent=2) + "\n", "report.json"),
        (as_markdown(EMPTY), "empty.md"),
        (as_text(EMPTY), "empty.txt"),
        (as_html(EMPTY), "empty.html"),
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
    assert "Win rate         n/a (0W / 0L)" in text
    assert "Average PNL      n/a" in text
    assert as_json(EMPTY)["win_rate"] is None


def test_a_tiny_loss_is_no_negative_zero():
    assert "-0.00" not in as_text(make_report("demo", [closed(0, "-0.000001", "-0.001")], []))


def test_json_keeps_every_digit_of_the_ledger():
    made = as_json(make_report("demo", [closed(0, "0.1234567890123456789", "12345678901234.123456789")], []))
    (line,) = json.loads(json.dumps(made))["signals"]
    assert (line["pnl_ratio"], line["pnl_net"]) == ("0.1234567890123456789", "12345678901234.123456789")


def test_an_absurd_amount_can_still_be_written():
    assert "+1" in as_text(make_report("demo", [closed(0, "1e30", "1e30")], []))


class Tags(HTMLParser):
    """Collects tags, and the text of cells."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.cells = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *attrs))
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "td":
            self.cells[-1] += data


HOSTILE = "<script>alert('x')</script>|</td>&amp;\"\n\x1b[31m`*"
NASTY = st.text(alphabet="<>&\"'|`*_[]\\\n\r\t\x1b#-ab", min_size=1, max_size=20)


def test_html_needs_nothing_from_outside_and_runs_nothing():
    page = as_html(make_report(HOSTILE, [closed(0, "0", "0", HOSTILE, symbol=HOSTILE)], [decision("denied", HOSTILE)]))
    parsed = Tags(page)
    assert {tag for tag, *_ in parsed.tags}.isdisjoint({"script", "link", "img", "iframe"})
    assert "http" not in page
    assert "<script>alert('x')</script>|</td>&amp;\"??[31m`*" in parsed.cells


@given(NASTY)
def test_html_has_the_same_tags_whatever_the_text(text):
    def tags(word):
        return Tags(as_html(make_report(word, [closed(0, "0", "0", word, symbol=word)], [decision(word, word)]))).tags

    assert tags(text) == tags("plain")


@given(NASTY)
def test_a_table_has_the_same_rows_and_columns_whatever_the_text(text):
    def shape(word):
        made = make_report("demo", [closed(0, "0", "0", word, symbol=word)], [decision("denied", word)])
        rows = [line for line in as_markdown(made).splitlines() if line.startswith("|")]
        return [row.count("|") for row in rows], len(as_text(made).splitlines())

    assert shape(text) == shape("plain")


@given(st.text())
def test_a_terminal_gets_no_control_character(text):
    made = make_report(text, [closed(0, "0", "0", text, symbol=text)], [decision("denied", text)])
    assert as_text(made).replace("\n", "").isprintable()
