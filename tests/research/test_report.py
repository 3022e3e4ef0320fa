"""The report of a comparison: what is on top, that nothing is missing, and that nothing in it breaks out."""

import json
import re
from dataclasses import asdict, replace

import pytest

from livebot.reporting.document import as_markdown
from livebot.research.decision import NO_ARM, decide, not_significant
from livebot.research.report import REFUSED_SHOWN, document
from livebot.research.report_page import data_of, page
from livebot.research.results import Decision, Results, Side
from livebot.research.rule import JudgingTerms, rule_of
from tests.research.told_arms import FIGURES, arm, side

TERMS = JudgingTerms()
REGISTERED = {
    "rule": list(rule_of(TERMS, ("one_hot_lr", "blind_gb"))),
    "strategy": "ema",
    "strategy_params": {"fast": 3, "slow": 8},
    "features": "model_own@1",
    "symbols": ["BTC/USDT"],
    "unseen": ["<b>&/USDT"],
    "from_ms": 0,
    "to_ms": 86_400_000,
    "arms": {
        "no_filter": {"special": "unfiltered"},
        "blind_lr": {"estimator": "logistic_regression", "params": {}},
        "blind_gb": {"estimator": "hist_gradient_boosting", "params": {"max_iter": 9}},
    },
    "walk_forward": {"train_days": 180, "test_days": 30, "step_days": 30, "embargo_days": 1.0},
    "combinatorial": {"groups": 6, "tested": 2},
    "judging": asdict(TERMS),
    "seed": 1,
    "data": "d" * 40,
    "candles": "e" * 40,
    "code": "c" * 40,
    "judge": "f" * 40,
    "libraries": {"numpy": "1", "scipy": "2"},
}


def results(*arms, **changes):
    arms = arms or (arm("no_filter"), arm("random"), arm("one_hot_lr", 0.05, 0.01, 0.09, chance=0.01), arm("blind_gb"))
    values = {
        "decision": decide(arms, JudgingTerms(), 0.43),
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


def test_an_arm_that_meets_the_whole_rule_is_confirmed():
    verdict = results().decision
    assert verdict.winner == "one_hot_lr"
    assert verdict.verdict == "one_hot_lr is confirmed to beat the unfiltered strategy"
    for said in ("+5.00% a year (interval +1.00% to +9.00%)", "p = 0.01", "overfitting 43%", "Sharpe ratio 96.0%"):
        assert said in verdict.sentence
    assert "still loses" not in verdict.sentence
    assert verdict.lacking == {"one_hot_lr": (), "blind_gb": ("gain", "interval", "chance")}


GOOD = {"yearly": 0.05, "low": 0.01, "high": 0.09, "chance": 0.01}


@pytest.mark.parametrize(
    ("change", "overfitting", "lacks"),
    [
        ({}, 0.5, None),
        ({"low": -0.001}, 0.4, "interval"),
        ({"low": 0.0}, 0.4, "interval"),
        ({"yearly": 0.019}, 0.4, "gain"),
        ({"chance": 0.051}, 0.4, "chance"),
        ({"chance": None}, 0.4, "chance"),
        ({}, 0.51, "overfitting"),
        ({}, None, "overfitting"),
        ({"deflated": 0.949}, 0.4, "trials"),
        ({"deflated": None}, 0.4, "trials"),
    ],
)
def test_an_arm_that_lacks_a_single_condition_is_not_confirmed(change, overfitting, lacks):
    verdict = decide((arm("no_filter"), arm("one_hot_lr", **GOOD | change)), JudgingTerms(), overfitting)
    if lacks is None:
        assert verdict.winner == "one_hot_lr"
        return
    assert (verdict.winner, verdict.verdict) == (None, NO_ARM)
    assert verdict.lacking == {"one_hot_lr": (lacks,)}
    assert "the nearest is one_hot_lr" in verdict.sentence and f"it does not meet: {lacks}." in verdict.sentence


def test_an_arm_without_an_interval_is_never_confirmed():
    bare = replace(arm("one_hot_lr", **GOOD), threshold=replace(side(0.05, 0.01, 0.09), differences=()))
    verdict = decide((arm("no_filter"), bare), JudgingTerms(), 0.1)
    assert verdict.winner is None and "none trades on enough days" in verdict.sentence
    assert verdict.lacking == {"one_hot_lr": ("gain", "interval")}


def test_the_nearest_is_who_lacks_least():
    rich, near = arm("blind_gb", 0.3, -0.1, 0.7), arm("one_hot_lr", **GOOD | {"chance": 0.2})
    assert "the nearest is one_hot_lr" in decide((arm("no_filter"), rich, near), JudgingTerms(), 0.1).sentence


def test_ties_go_to_the_simpler_arm():
    better = [
        arm(name, yearly, 0.01, 0.2, chance=0.01) for name, yearly in (("native_gb", 0.09), ("one_hot_lr", 0.075))
    ]
    assert decide((arm("no_filter"), *better), JudgingTerms(), 0.1).winner == "one_hot_lr"
    apart = [better[0], arm("one_hot_lr", 0.06, 0.01, 0.2, chance=0.01)]
    assert decide((arm("no_filter"), *apart), JudgingTerms(), 0.1).winner == "native_gb"
    assert decide((arm("no_filter"), *apart), JudgingTerms(margin=0.0), 0.1).winner == "native_gb"


def test_a_winner_that_loses_money_and_a_losing_strategy_are_told():
    losing = replace(FIGURES, yearly=-0.04)
    base = arm("no_filter", threshold=Side(figures=losing, doubled=losing, differences=(), doubled_differences=()))
    winner = arm("one_hot_lr", chance=0.01, threshold=side(0.05, 0.01, 0.09, figures=losing))
    verdict = decide((base, winner), JudgingTerms(), 0.1)
    assert "It still loses money, -4.00% a year" in verdict.sentence
    assert "to trade less is a gain by itself" in verdict.more[0]


def test_what_so_few_days_could_have_shown_is_told():
    said = decide((arm("no_filter"), arm("one_hot_lr", 0.01, -0.03, 0.05)), JudgingTerms(), 0.1).more
    assert any("tell gains from luck that are above +4.00% a year at best" in line for line in said)


def test_matched_counts_are_held_against_random_filters():
    only = tuple(each for each in side(0.5, 0.4, 0.6).differences if each.against == "no_filter")
    clear = replace(side(0.05, 0.01, 0.09), differences=only + side(-0.01, -0.05, 0.03).differences[1:])
    said = decide((arm("no_filter"), arm("one_hot_lr", matched=clear)), JudgingTerms(), 0.1).more
    (line,) = [each for each in said if each.startswith("Better than random filters at a matched trade count")]
    assert "none of 1 arms; the nearest is one_hot_lr, -1.00% a year" in line


def test_an_arm_that_trades_nothing_is_no_answer():
    nothing = arm("per_symbol_alone_lr", unseen=side(0.2, 0.1, 0.3, figures=replace(FIGURES, trades=0)))
    verdict = decide((arm("no_filter"), nothing), JudgingTerms(), 0.1)
    assert "Better on unseen symbols: no arm trades on enough days for an interval." in verdict.more


# ------------------------------------------------------------------ Markdown


def test_the_decision_is_on_top_and_every_section_is_there():
    found = text(results())
    titles = re.findall(r"^## (.*)$", found, re.MULTILINE)
    assert titles[:3] == [
        "Decision",
        "The rule, as registered before the first fold",
        "Registered before the first fold",
    ]
    for wanted in ("own thresholds", "2x costs", "matched", "Forecasts", "Stability", "no model has seen", "By symbol",
                   "By quarter", "Drift of the winners", "permutation", "Not significant", "Luck"):  # fmt: skip
        assert any(wanted in title for title in titles), wanted
    assert "| 2025-01-01 | no_filter |" in found or "| 2025-01-01 |" in found
    assert "-1.1% (3)" in found and "+0.00200" in found and "43.0%" in found and "41, each once" in found


def test_the_rule_and_what_decides_beside_it_are_on_top():
    found = text(results())
    top = found.split("## Arms by their own")[0]
    for sentence in REGISTERED["rule"]:
        assert sentence.replace("*", "\\*") in top.replace("\\(", "(").replace("\\)", ")"), sentence
    for said in ("fast 3, slow 8", "hist_gradient_boosting (max_iter 9)", "numpy 1, scipy 2", "f" * 12 + " judges"):
        assert said in top, said


def test_each_arm_is_told_against_each_condition():
    section = text(results()).split("## The rule, arm by arm")[1].split("##")[0]
    assert "| one_hot_lr | +5.0% | \\[+1.0%, +9.0%\\] | 0.0100 | 43% | 96.0% | nothing: confirmed |" in section
    assert "gain, interval, chance" in section and "no_filter |" not in section.split("|\n", 2)[2]


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
    none = Decision(verdict=NO_ARM, sentence="None.", winner=None, lacking={}, more=())
    data = data_of(results(decision=none), "no_filter")
    assert data["features"]


def test_names_that_read_as_markup_are_escaped_for_the_charts():
    hostile = arm("one_hot_lr", importance={"<img src=x>": 0.1})
    assert data_of(results(arm("no_filter"), hostile), "no_filter")["features"][0]["name"] == "&lt;img src=x&gt;"
