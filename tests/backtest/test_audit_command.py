"""`livebot backtest --audit` as an operator and as a script call it."""

import json
from dataclasses import replace

from livebot.backtest.audit.audit import Audit, Finding
from livebot.backtest.audit.compare import Kind, Peek
from livebot.backtest.audit.warmup import WarmUp
from livebot.cli.audit import as_tree, document, verdict
from livebot.reporting.document import as_text
from tests.backtest.command import PEEKING, backtest, prepare

PEEK = Peek(Kind.FEATURE, "s", "AAA/USDT", 60_000, "f", "1.0", "x" * 400)
FINDING = Finding(first=PEEK, moment_ms=120_000, change="cut off", count=2)


def made(**changes):
    values = {"points": (120_000,), "seed": 1, "decisions": 4, "findings": (), "warm_ups": (), "untried": ()}
    return Audit(**values | changes)


def warm_up(**changes):
    values = {
        "strategy": "s",
        "timeframe": "1m",
        "feature": "f",
        "declared": 20,
        "error": 0.0,
        "needed": 20,
        "tried": 90,
    }
    return WarmUp(**values | changes)


def test_a_clean_audit_ends_with_success(tmp_path):
    prepare(tmp_path)
    text = backtest(tmp_path, "--audit", "--audit-points", 3)
    assert "Nothing: every decision, feature and fill was the same" in text
    assert "Clean at 3 moments" in text
    assert "fast" in text and "yes" in text


def test_a_peek_ends_with_3_and_is_named(tmp_path):
    prepare(tmp_path, PEEKING)
    text = backtest(tmp_path, "--audit", "--audit-points", 4, code=3)
    assert "Something looks ahead in next_close" in text
    assert "decision decide" in text


def test_for_programs(tmp_path):
    prepare(tmp_path, PEEKING)
    tree = json.loads(backtest(tmp_path, "--audit", "--audit-points", 4, "--json", code=3))
    assert tree["clean"] is False
    (first, *_) = tree["findings"]
    assert first["strategy"] == "next_close" and first["symbol"] in ("AAA/USDT", "BBB/USDT")
    assert first["before"] != first["after"] and first["ts_ms"] <= first["future_from_ms"]


def test_points_are_bounded(tmp_path):
    prepare(tmp_path)
    assert "--audit-points" in backtest(tmp_path, "--audit", "--audit-points", 513, code=2)


def test_what_was_found_fits_a_screen():
    text = as_text(document(made(findings=(FINDING,), untried=("other prices could not be tried: why",))))
    assert "feature f" in text and "1970-01-01 00:01" in text and "x ..." in text
    assert "other prices could not be tried" in text
    assert max(map(len, text.splitlines())) <= 120


def test_what_follows_from_a_changed_answer_is_counted_and_not_listed():
    cause = replace(FINDING, first=replace(PEEK, kind=Kind.DECISION, ts_ms=60_000, name="decide"))
    later = replace(FINDING, first=replace(PEEK, kind=Kind.FACT, strategy="honest", ts_ms=60_000, name="SignalOpening"))
    earlier = replace(FINDING, first=replace(PEEK, kind=Kind.FACT, ts_ms=59_000, name="SignalClosed"))
    text = as_text(document(made(findings=(cause, later, earlier))))
    assert "fact SignalClosed" in text and "SignalOpening" not in text and "honest" not in text
    assert "1 verdicts and facts that changed after these are in --json" in text
    assert len(as_tree(made(findings=(cause, later)))["findings"]) == 2
    assert "fact SignalOpening" in as_text(document(made(findings=(later,))))


def test_warm_ups_are_told_in_words():
    rows = (
        warm_up(),
        warm_up(error=0.5, needed=None),
        warm_up(error=float("inf"), needed=30),
        warm_up(error=None, needed=None),
    )
    found = made(warm_ups=rows)
    text = as_text(document(found))
    for words in ("5.0e-01", "over 90", "no value yet", "too few candles to tell", "2 of 4 features have not settled"):
        assert words in text.replace("\n", " ")
    assert [each["holds"] for each in as_tree(found)["warm_ups"]] == [True, False, False, True]
    assert [each["error"] for each in as_tree(found)["warm_ups"]] == [0.0, 0.5, None, None]


def test_an_audit_of_nothing_says_so():
    assert "choose a longer range" in verdict(made(points=()))
    assert "Moments" in as_text(document(made(points=())))
