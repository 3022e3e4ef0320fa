"""The page as a file: whole by itself, and nothing that is written in it can break out of its place."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebot.reporting.performance_page import BARS_MAX, as_html, live_page
from livebot.reporting.performance_report import performance
from livebot.reporting.script_page import plotly_script
from livebot.reporting.shown import minute
from tests.reporting.records import HOUR_MS, START_MS, record, run, trade
from tests.reporting.rows import DECISIONS, FACTS, closed, decision, live

RUN = run(trades_each=12)
LIBRARY = plotly_script()


class Page(HTMLParser):
    """Collects tags, the text of cells, and what script elements hold."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.scripts, self.headings = [], [], [], []
        self._inside = ""
        self.feed(text.replace(LIBRARY, "plotly"))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *(name for name, _ in attrs)))
        self._inside = tag
        if tag in {"h2", "table"}:
            self.headings.append("" if tag == "h2" else tag)
        if tag == "td":
            self.cells.append("")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        taken = {"td": self.cells, "script": self.scripts, "h2": self.headings}.get(self._inside)
        if taken is not None:
            taken[-1] += data


def page(made=RUN):
    return as_html(made, performance(made))


def test_the_same_record_gives_the_same_bytes():
    assert page() == page()


def test_the_comparison_comes_first_and_every_part_has_its_title():
    headings = Page(page()).headings
    assert headings[:2] == ["Comparison of symbols", "table"]
    for title in (
        *("All symbols together", "Equity and drawdown", "Net PNL by symbol (quote currency)", "Trades", "Symbols"),
        *("Strategies", "By side", "By close reason", "By month", "By volatility at entry", "Notes"),
    ):
        assert title in headings, title


def test_the_policy_lets_nothing_run_but_our_own_scripts_and_nothing_be_fetched():
    text = page()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-eval" not in policy
    digests = re.findall(r"'sha256-([^']*)'", policy)
    _, library, *ours = Page(text).scripts
    assert (library, len(ours)) == ("plotly", 2)
    made = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in (LIBRARY, *ours)]
    assert digests == made
    assert {tag for tag, *_ in Page(text).tags}.isdisjoint({"link", "img", "iframe", "object"})
    assert not re.search(r"\s(src|srcset|href)=", text.split("<script")[0])


def test_the_charts_are_drawn_by_the_script_of_the_installed_plotly_as_it_is():
    from plotly.offline import get_plotlyjs

    assert get_plotlyjs() == LIBRARY
    assert f"<script>{LIBRARY}</script>" in page()
    # nothing in it ends its element, and a parser changes none of its bytes, so that its digest is what the policy says
    assert not re.search("</script|<!--|\r|\0", LIBRARY)


def test_a_page_takes_about_five_megabytes():
    assert len(page().encode()) < 7_000_000


def test_nothing_of_plotly_is_imported_for_a_page():
    program = (
        "import sys; from livebot.reporting.script_page import plotly_script; plotly_script(); "
        "print([name for name in sys.modules if name.startswith('plotly')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_trades_are_listed_newest_first():
    listed = re.findall(r"<tr><td>([^<]*)</td><td>([^<]*)</td><td>(?:LONG|SHORT)</td>", page())
    newest = sorted(RUN.trades, key=lambda each: -each.closed_ms)
    assert [symbol for _, symbol in listed] == [each.symbol for each in newest]
    assert [closed for closed, _ in listed] == [minute(each.closed_ms) for each in newest]


def test_a_part_says_that_it_is_one():
    many = [
        trade(START_MS + n * HOUR_MS, START_MS + n * HOUR_MS, str(n - 200), symbol=f"S{n % 50}/USDT")
        for n in range(400)
    ]
    text = page(record(many))
    assert "300 of 400 trades: the 50 best, the 50 worst and the newest (the JSON report has all)." in text
    assert f"The {BARS_MAX} largest of 50 symbols." in text
    assert text.count('class="track"') == BARS_MAX
    assert "All 36 trades. Choose one to see it on its candles." in page()


def test_without_candles_trades_are_listed_only():
    text = page(replace(RUN, candles={}))
    assert "There are no candles of these symbols here" in text
    assert 'id="trade-chart"' not in text


def test_without_trades_there_is_still_a_page():
    text = page(record())
    assert "No signal has closed." in text
    assert 'class="track"' not in text
    assert 'id="trades"' not in text


def test_bars_grow_to_the_right_for_gains_and_to_the_left_for_losses():
    trades = [trade(pnl=pnl, symbol=symbol) for symbol, pnl in (("A/USDT", "30"), ("B/USDT", "-10"), ("C/USDT", "0"))]
    styles = re.findall(r'<i class="(\w+)" style="margin-left:([\d.]+)%;width:([\d.]+)%"', page(record(trades)))
    assert styles == [("gain", "25.00", "75.00"), ("loss", "25.00", "0.00"), ("loss", "0.00", "25.00")]
    nothing = page(record([trade(pnl="0")]))
    assert "width:0.00%" in nothing


HOSTILE = "</script><script>alert('x')</script>|</td>&amp;\"\n\x1b[31m`*<!--"


def test_hostile_names_stay_text():
    made = live(HOSTILE, [closed(0, "0", "0", HOSTILE, symbol=HOSTILE)], [decision("denied", HOSTILE)])
    parsed = Page(live_page(made))
    assert "</script><script>alert('x')</script>|</td>&amp;\"??[31m`*<!--" in parsed.cells
    assert len(parsed.scripts) == 4
    assert json.loads(parsed.scripts[0])["trades"][0]["symbol"] == HOSTILE


@pytest.mark.untraced
@settings(max_examples=25)
@given(st.text(alphabet="<>&\"'|`*_[]\\\n\r\t\x1b#-ab/!", min_size=1, max_size=20))
def test_the_page_has_the_same_tags_whatever_the_text(text):
    def tags(word):
        return Page(live_page(live(word, [closed(0, "0", "0", word, symbol=word)], [decision(word, word)]))).tags

    assert tags(text) == tags("plain")


def test_the_page_of_a_ledger_tells_of_every_signal():
    text = live_page(live("demo", FACTS, DECISIONS))
    headings = Page(text).headings
    assert headings[:4] == ["Comparison of symbols", "table", "What happened", "All symbols together"]
    for title in ("Strategies and symbols", "Signals (times in UTC)", "Entries that were not approved"):
        assert title in headings
    assert "<td>other/BTC/USDT#1</td>" in text
