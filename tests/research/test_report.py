"""The report of a comparison: what is on top, that nothing is missing, and that nothing in it breaks out."""

import json
import re
from dataclasses import replace

import pytest

from livebot.reporting.document import as_markdown
from livebot.research.decision import NO_ARM, decide, not_significant
from livebot.research.report import REFUSED_SHOWN, document
from livebot.research.report_page import data_of, page
from livebot.research.results import (
    ArmResult,
    Decision,
    Difference,
    Evenness,
    Figures,
    FoldLine,
    Forecast,
    Part,
    Results,
    Side,
)
from livebot.research.study import JudgingTerms

FIGURES = Figures(
    trades=100,
    win_rate=0.4,
    mean_gain=0.001,
    profit_factor=1.2,
    total_return=0.1,
    yearly=0.07,
    sharpe=0.9,
    sharpe_error=0.8,
    sortino=None,
    max_drawdown=0.05,
    exposure=0.3,
    turnover=20.0,
)
FORECAST = Forecast(
    rows=90,
    base_rate=0.4,
    confidence=0.41,
    log_loss=0.67,
    brier=0.24,
    auc=0.53,
    slope=None,
    intercept=None,
    curve=((0.3, 0.28, 45), (0.5, 0.52, 45)),
)
PART = Part(trades=3, win_rate=0.5, added=-0.011, mean_gain=-0.004)
REGISTERED = {
    "strategy": "ema",
    "features": "model_own@1",
    "symbols": ["BTC/USDT"],
    "unseen": ["<b>&/USDT"],
    "from_ms": 0,
    "to_ms": 86_400_000,
    "walk_forward": {"train_days": 180, "test_days": 30, "step_days": 30, "embargo_days": 1.0},
    "combinatorial": {"groups": 6, "tested": 2},
    "judging": {
        "baseline": "no_filter",
        "second_baseline": "single_lr",
        "margin": 0.02,
        "confidence": 0.95,
        "resamples": 2000,
        "beats_random": 0.95,
    },
    "seed": 1,
    "data": "d" * 40,
    "code": "c" * 40,
}


def side(yearly, low, high, *, doubled=None, figures=FIGURES):
    found = (Difference(against="no_filter", yearly=yearly, low=low, high=high, sharpe=0.3),)
    return Side(figures=figures, doubled=figures, differences=found, doubled_differences=doubled or found)


def arm(name, yearly=0.01, low=-0.03, high=0.05, *, beats=0.7, **changes):
    baseline = name == "no_filter"
    trained = not baseline and name != "random"
    own = (
        Side(figures=FIGURES, doubled=FIGURES, differences=(), doubled_differences=())
        if baseline
        else side(yearly, low, high)
    )
    even = Evenness(parts=5, worst_name="DOGE/USDT", worst=-0.03, median=0.01, above_zero=0.6)
    values = {
        "name": name,
        "sentence": f"what {name} is",
        "threshold": own,
        "matched": own,
        "forecast": FORECAST if trained else None,
        "cuts": {"symbol": {"BTC/USDT": PART}, "quarter": {"2025Q1": PART}},
        "symbols": even,
        "quarters": None,
        "unseen": own,
        "unseen_forecast": FORECAST if trained else None,
        "unseen_symbols": {"<b>&/USDT": PART},
        "turnover": None,
        "paths": (0.5, None, -0.2) if trained else (),
        "beats_random": beats,
        "deflated": 0.31,
        "folds": (
            FoldLine(fold="2025-01-01", trades=3, added=0.01, threshold=0.4),
            FoldLine(fold="2025-02-01", trades=2, added=-0.02, threshold=None),
        ),
        "importance": {"model_a": 0.002, "model_b": -0.001} if trained else {},
        "refused": (),
    }
    return ArmResult(**values | changes)


def results(*arms, **changes):
    arms = arms or (arm("no_filter"), arm("random"), arm("one_hot_lr", 0.05, 0.01, 0.09, beats=0.99), arm("blind_gb"))
    values = {
        "decision": decide(arms, JudgingTerms()),
        "arms": arms,
        "first_ms": 0,
        "stop_ms": 86_400_000,
        "entries": 900,
        "unseen_entries": 800,
        "folds": 2,
        "trials": 41,
        "overfitting": 0.43,
        "not_significant": not_significant(arms),
        "notes": (),
    }
    return Results(**values | changes)


def text(found):
    return as_markdown(document("It", found, REGISTERED, 5))


# ------------------------------------------------------------------ the decision


def test_an_arm_with_margin_interval_and_skill_wins():
    verdict = results().decision
    assert verdict.winner == "one_hot_lr"
    assert "+5.00% a year (interval +1.00% to +9.00%)" in verdict.sentence
    assert "still loses" not in verdict.sentence
    assert any("deflated Sharpe ratio of one_hot_lr is 31.0%" in line for line in verdict.more)


@pytest.mark.parametrize(
    "weak",
    [
        arm("one_hot_lr", 0.05, -0.001, 0.09, beats=0.99),
        arm("one_hot_lr", 0.019, 0.01, 0.09, beats=0.99),
        arm("one_hot_lr", 0.05, 0.01, 0.09, beats=0.94),
        arm("one_hot_lr", 0.05, 0.01, 0.09, beats=None),
    ],
    ids=["interval", "margin", "no better than chance", "nothing to draw"],
)
def test_an_arm_that_lacks_one_of_the_three_does_not(weak):
    verdict = decide((arm("no_filter"), weak), JudgingTerms())
    assert (verdict.winner, verdict.verdict) == (None, NO_ARM)
    assert "the nearest is one_hot_lr" in verdict.sentence


def test_ties_go_to_the_simpler_arm():
    better = [arm(name, yearly, 0.01, 0.2, beats=1.0) for name, yearly in (("native_gb", 0.09), ("one_hot_lr", 0.075))]
    assert decide((arm("no_filter"), *better), JudgingTerms()).winner == "one_hot_lr"
    apart = [better[0], arm("one_hot_lr", 0.06, 0.01, 0.2, beats=1.0)]
    assert decide((arm("no_filter"), *apart), JudgingTerms()).winner == "native_gb"


def test_a_winner_that_loses_money_and_a_losing_strategy_are_told():
    losing = replace(FIGURES, yearly=-0.04)
    base = arm("no_filter", threshold=Side(figures=losing, doubled=losing, differences=(), doubled_differences=()))
    winner = arm("one_hot_lr", beats=1.0, threshold=side(0.05, 0.01, 0.09, figures=losing))
    verdict = decide((base, winner), JudgingTerms())
    assert "It still loses money, -4.00% a year" in verdict.sentence
    assert "to trade less is a gain by itself" in verdict.more[0]


def test_an_arm_that_trades_nothing_is_no_answer():
    nothing = arm("per_symbol_alone_lr", unseen=side(0.2, 0.1, 0.3, figures=replace(FIGURES, trades=0)))
    verdict = decide((arm("no_filter"), nothing), JudgingTerms())
    assert "Better on unseen symbols: no arm trades on enough days for an interval." in verdict.more


# ------------------------------------------------------------------ Markdown


def test_the_decision_is_on_top_and_every_section_is_there():
    found = text(results())
    titles = re.findall(r"^## (.*)$", found, re.MULTILINE)
    assert titles[:2] == ["Decision", "Registered before the first fold"]
    for wanted in ("own thresholds", "2x costs", "matched", "Forecasts", "Stability", "no model has seen", "By symbol",
                   "By quarter", "Drift of the winners", "permutation", "Not significant", "Luck"):  # fmt: skip
        assert any(wanted in title for title in titles), wanted
    assert "| 2025-01-01 | no_filter |" in found or "| 2025-01-01 |" in found
    assert "-1.1% (3)" in found and "+0.00200" in found and "43.0%" in found and "41, of this" in found


def test_what_is_not_supported_is_told_so():
    found = text(results(overfitting=None, notes=("short history",)))
    assert "n/a: too few days" in found and "- short history" in found
    assert "\\[-3.0%, +5.0%\\]" in found


def test_what_is_not_significant_is_listed():
    found = text(results())
    section = found.split("## Not significant")[1].split("##")[0]
    assert "blind\\_gb against" in section or "blind_gb against" in section
    assert "one_hot_lr" not in section


def test_folds_without_a_model_are_told_up_to_a_bound():
    refused = tuple((f"fold {place}", "too few rows") for place in range(REFUSED_SHOWN + 3))
    found = text(results(arm("no_filter"), arm("one_hot_lr", refused=refused)))
    assert "one_hot_lr was not trained for fold 0: too few rows" in found
    assert "and 3 more folds" in found and f"fold {REFUSED_SHOWN}:" not in found


# ------------------------------------------------------------------ HTML


def test_the_page_has_the_same_sections_and_its_charts():
    made = page("It <i>", results(), REGISTERED, 5)
    for title in re.findall(r"^## (.*)$", text(results()), re.MULTILINE):
        assert title.replace("&gt;", ">").replace("\\", "") in made.replace("&gt;", ">"), title
    for name in ("forest", "folds", "reliability", "features"):
        assert f'id="{name}-chart"' in made
    assert "<i>" not in made.split("<script>")[0].split("<body>")[1].replace('<i class="', "")
    assert "<b>&amp;" not in made and "&lt;b&gt;&amp;/USDT" in made
    assert page("It <i>", results(), REGISTERED, 5) == made


def test_what_is_drawn_is_bounded_and_json():
    many = [arm("no_filter"), *(arm(name) for name in ("single_lr", "blind_lr", "one_hot_lr", "embedding_lr", "clustered_lr",
                                                        "per_symbol_lr", "native_gb", "blind_gb"))]  # fmt: skip
    data = json.loads(json.dumps(data_of(results(*many), "no_filter"), allow_nan=False))
    assert len(data["folds"]["arms"]) == 6 and data["folds"]["arms"][0]["name"] == "no_filter"
    assert len(data["reliability"]) == 4
    assert len(data["forest"]) == 8
    assert data["features"][0] == {"name": "model_a", "value": 0.002}


def test_a_comparison_without_a_winner_shows_the_best_model():
    none = Decision(verdict=NO_ARM, sentence="None.", winner=None, more=())
    data = data_of(results(decision=none), "no_filter")
    assert data["features"]


def test_names_that_read_as_markup_are_escaped_for_the_charts():
    hostile = arm("one_hot_lr", importance={"<img src=x>": 0.1})
    assert data_of(results(arm("no_filter"), hostile), "no_filter")["features"][0]["name"] == "&lt;img src=x&gt;"
