"""Training as a whole: what is learned from, what is refused, what each mode is good for, and that it is the same each time."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livebot.errors import BadInput
from livebot.learning.estimators import MOST_BINS
from livebot.learning.fitting import fit, weighed
from livebot.learning.spec import (
    ClusterBasis,
    EstimatorSpec,
    HybridForm,
    SymbolBalance,
    SymbolEncoding,
    TrainingMode,
    TrainingSpec,
)
from livebot.learning.time_split import split
from livebot.learning.weights import weighted
from tests.learning.synthetic_rows import HOUR_MS, asked, later_auc, rows, truth

BLIND = TrainingSpec(mode=TrainingMode.MULTI_SYMBOL, encoding=SymbolEncoding.NONE)
ONE_HOT = replace(BLIND, encoding=SymbolEncoding.ONE_HOT)
EMBEDDED = replace(BLIND, encoding=SymbolEncoding.EMBEDDING)
OWN = replace(BLIND, mode=TrainingMode.PER_SYMBOL)
CLUSTERED = replace(BLIND, mode=TrainingMode.CLUSTERED)
POOLED = replace(BLIND, mode=TrainingMode.HYBRID)
SHRUNK = replace(POOLED, hybrid=HybridForm.SHRUNK_CALIBRATION)
SINGLE = TrainingSpec()
LINEAR = (SINGLE, BLIND, ONE_HOT, EMBEDDED, OWN, CLUSTERED, POOLED, SHRUNK)
TREES = EstimatorSpec(name="hist_gradient_boosting", params={"max_iter": 20, "min_samples_leaf": 10})
WITH_TREES = tuple(
    replace(spec, estimator=TREES)
    for spec in (SINGLE, ONE_HOT, replace(BLIND, encoding=SymbolEncoding.INDEX), EMBEDDED, OWN, CLUSTERED, SHRUNK)
)


def told(spec):
    return f"{spec.estimator.name[:8]}-{spec.mode.value}-{spec.encoding.value}-{spec.hybrid.value}"


def mixed(per_symbol=150, seed=1):
    return rows(truth("shared", 4, 5) + truth("own", 4, 5, 0.2), per_symbol, seed)


# ---------------------------------------------------------------- which mode is good for what


def test_where_each_symbol_has_its_own_truth_pooling_blindly_loses():
    own = truth("own", 6, 8, 0.4)
    data = rows(own, 400)
    blind, each, pooled = (later_auc(fit(data, spec), own) for spec in (BLIND, OWN, POOLED))
    assert each > blind + 0.05
    assert pooled > blind + 0.05


def test_where_all_share_one_truth_and_rows_are_few_a_model_for_each_symbol_loses():
    shared = truth("shared", 8, 20, 0.15)
    data = rows(shared, 130)
    blind, one_hot, each, pooled = (later_auc(fit(data, spec), shared) for spec in (BLIND, ONE_HOT, OWN, POOLED))
    assert min(blind, one_hot, pooled) > each + 0.03
    assert pooled > blind - 0.01


def test_where_the_truth_is_of_three_clusters_the_clustered_model_wins():
    truths = truth("clusters", 9, 12, 0.2)
    data = rows(truths, 150)  # stops are as wide as the third of the symbols is numbered
    clustered, blind, each = (later_auc(fit(data, spec), truths) for spec in (CLUSTERED, BLIND, OWN))
    assert clustered > max(blind, each) + 0.02


def test_an_embedding_learns_which_symbols_answer_alike():
    truths = truth("clusters", 9, 12, 0.3)
    data = rows(truths, 300)
    assert later_auc(fit(data, EMBEDDED), truths) > later_auc(fit(data, ONE_HOT), truths) + 0.03


@pytest.mark.parametrize("spec", [*LINEAR, replace(ONE_HOT, estimator=TREES)], ids=told)
def test_noise_foretells_nothing(spec):
    """The standard deviation of an AUC over n rows of noise is about 1 / sqrt(3 n)."""
    nothing = truth("noise", 4, 6)
    fitted = fit(rows(nothing, 300), spec)
    assert abs(later_auc(fitted, nothing) - 0.5) < 4 / np.sqrt(3 * 4 * 2_000)
    assert abs(fitted.metrics["auc"] - 0.5) < 4 / np.sqrt(3 * fitted.metrics["calibration_rows"])


def test_a_shrunk_calibration_learns_that_one_symbol_wins_more_often():
    shared = truth("shared", 4, 4)
    data = rows(shared, 1_500, level=(0.0, 0.0, 0.0, 1.5))
    spec = replace(SHRUNK, encoding=SymbolEncoding.NONE)
    fitted = fit(data, spec)
    assert {"", *data.symbols} == fitted.calibrators.keys()
    assert fitted.calibrators["S03/USDT"][1] > max(fitted.calibrators[symbol][1] for symbol in data.symbols[:3]) + 0.5
    assert fitted.metrics["log_loss"] < fit(data, BLIND).metrics["log_loss"] - 0.01
    assert {""} == fit(data, BLIND).calibrators.keys()


# ---------------------------------------------------------------- what is never learned from


@pytest.mark.untraced
@pytest.mark.parametrize("spec", [*LINEAR, *WITH_TREES], ids=told)
def test_what_comes_after_the_split_changes_nothing_that_was_learned(spec):
    """Scalers, encodings, clusters and models: of the earlier rows alone (calibrator and threshold are of the later)."""
    data = mixed()
    of_first = data.rows(data.symbol == 0)  # a single symbol has a span of its own
    later = data.end_ms >= max(split(part, 0.2, 0)[1].close_ms[0] for part in (data, of_first))
    features, gain, risk, weight = (np.array(a) for a in (data.features, data.gain, data.risk, data.weight))
    features[later] = features[later] * -50 + 1_000
    gain[later] = np.where(np.arange(later.sum()) % 3 == 0, 0.5, -0.5)
    risk[later] *= 100
    weight[later] *= 1 + np.arange(later.sum())
    corrupt = replace(data, features=features, gain=gain, risk=risk, weight=weight)
    before, after = (fit(one, spec) for one in (data, corrupt))
    fresh = mixed(20, 5)
    names = fresh.symbol_names.tolist()
    scores = [one.predictor.scores.logits(fresh.features, fresh.side, names) for one in (before, after)]
    assert np.array_equal(*scores)
    assert before.calibrators != after.calibrators


def test_rows_whose_outcome_reaches_into_the_later_part_are_in_neither():
    data = mixed()
    training, later = split(data, 0.2, 0)
    begins_ms = later.close_ms[0]
    assert training.end_ms.max() < begins_ms
    assert 0 < len(data) - len(training) - len(later) < 20
    assert begins_ms >= data.close_ms[-1] - 0.2 * (data.close_ms[-1] - data.close_ms[0])
    further = split(data, 0.2, 10 * HOUR_MS)[0]
    assert len(further) < len(training)
    assert further.end_ms.max() + 10 * HOUR_MS < begins_ms


def test_a_long_outcome_keeps_an_early_row_out():
    data = mixed()
    long = np.array(data.end_ms)
    long[0] = data.close_ms[-1]
    assert len(split(replace(data, end_ms=long), 0.2, 0)[0]) == len(split(data, 0.2, 0)[0]) - 1


def test_of_nothing_there_are_two_empty_parts():
    none = mixed().rows(np.zeros(600, dtype=bool))
    assert [0, 0] == [len(part) for part in split(none, 0.2, 0)]


def test_the_figures_are_of_the_later_part():
    data = mixed()
    fitted = fit(data, ONE_HOT)
    training, later = split(data, 0.2, 0)
    said = asked(fitted, later)
    taken = said >= fitted.threshold
    metrics = fitted.metrics
    assert (len(training), len(later)) == (metrics["training_rows"], metrics["calibration_rows"])
    assert metrics["hit_rate"] == pytest.approx(np.average(later.win[taken], weights=later.weight[taken]))
    assert metrics["mean_gain_taken"] == pytest.approx(np.average(later.gain[taken], weights=later.weight[taken]))
    assert metrics["mean_gain_taken"] >= metrics["mean_gain"]
    assert 0.3 <= metrics["taken_share"] <= 1


# ---------------------------------------------------------------- the same each time


CHILD = """
import sys
from tests.learning.test_fitting import LINEAR, WITH_TREES, mixed
from tests.learning.synthetic_rows import asked
from livebot.learning.fitting import fit
for spec in (*LINEAR, *WITH_TREES):
    sys.stdout.write(asked(fit(mixed(), spec), mixed(20, 5)).tobytes().hex() + chr(10))
"""


@pytest.mark.slow
def test_the_same_rows_spec_and_seed_give_the_same_bytes_in_another_process():
    there = subprocess.run(
        [sys.executable, "-c", CHILD],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "PYTHONHASHSEED": "7"},
    ).stdout.split()
    here = [asked(fit(mixed(), spec), mixed(20, 5)).tobytes().hex() for spec in (*LINEAR, *WITH_TREES)]
    assert there == here


@pytest.mark.slow
@pytest.mark.parametrize("spec", [OWN, replace(OWN, estimator=TREES)], ids=told)
def test_more_jobs_give_the_same_model(spec):
    one, two = (fit(mixed(), spec, jobs=jobs) for jobs in (1, 2))
    assert np.array_equal(asked(one, mixed(20, 5)), asked(two, mixed(20, 5)))
    assert one.threshold == two.threshold


def test_the_seed_reaches_what_there_is_of_chance():
    forest = EstimatorSpec(name="sklearn.ensemble:RandomForestClassifier", params={"n_estimators": 5, "max_depth": 3})
    specs = [replace(BLIND, estimator=forest, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (asked(fit(mixed(), spec), mixed(20, 5)) for spec in specs)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


# ---------------------------------------------------------------- whom it covers


def scarce(data, symbol, kept):
    """Only the first `kept` rows of that symbol."""
    of_it = np.flatnonzero(data.symbol_names == symbol)
    gone = np.zeros(len(data), dtype=bool)
    gone[of_it[kept:]] = True
    return data.rows(~gone)


@pytest.mark.parametrize("spec", [OWN, CLUSTERED, ONE_HOT, POOLED, SHRUNK], ids=told)
def test_a_symbol_with_few_rows_falls_back_or_is_not_covered_and_is_named(spec):
    data = scarce(mixed(), "S02/USDT", 10)
    fitted = fit(data, spec)
    assert data.symbols == fitted.covered
    assert any("S02/USDT" in note and "fewer than 50" in note for note in fitted.notes)
    strict = fit(data, replace(spec, fallback_to_shared=False))
    assert ("S00/USDT", "S01/USDT", "S03/USDT") == strict.covered
    assert any("S02/USDT" in note and "not covered" in note for note in strict.notes)


def test_one_that_has_no_model_of_its_own_is_judged_by_the_shared_one():
    data = scarce(mixed(), "S02/USDT", 10)
    fitted, fresh = fit(data, OWN), mixed(20, 5)
    logits = fitted.predictor.scores.logits
    few, unseen, own = (
        logits(fresh.features, fresh.side, [name] * len(fresh)) for name in ("S02/USDT", "NEW", "S00/USDT")
    )
    shared = fit(data, BLIND).predictor.scores.logits(fresh.features, fresh.side, ["any"] * len(fresh))
    assert np.array_equal(few, unseen)
    assert np.allclose(few, shared, atol=1e-12)
    assert not np.allclose(few, own, atol=0.05)


def test_a_symbol_that_always_won_has_no_model_of_its_own():
    data = mixed()
    gain = np.where(data.symbol == 1, np.abs(data.gain), data.gain)
    fitted = fit(replace(data, gain=gain), replace(OWN, fallback_to_shared=False))
    assert "S01/USDT" not in fitted.covered
    assert any("S01/USDT" in note for note in fitted.notes)


def test_the_single_symbol_is_the_first_that_is_asked_for():
    data = mixed()
    assert ("S00/USDT",) == fit(data, SINGLE).covered
    fitted = fit(data, replace(SINGLE, symbols=("S02/USDT", "S00/USDT")))
    assert ("S02/USDT",) == fitted.covered
    alone = data.rows(data.symbol == 2)
    assert fitted.metrics["training_rows"] == len(split(alone, 0.2, 0)[0])


def test_symbols_that_are_not_asked_for_are_not_learned_from():
    data = mixed()
    fitted = fit(data, replace(ONE_HOT, symbols=("S00/USDT", "S03/USDT", "GONE/USDT")))
    assert ("S00/USDT", "S03/USDT") == fitted.covered
    assert any("GONE/USDT" in note for note in fitted.notes)
    assert fitted.metrics["training_rows"] < 0.6 * len(data)


@pytest.mark.parametrize(
    ("spec", "learned", "across"),
    [
        (replace(SINGLE, symbols=("S01/USDT",)), (1,), True),
        (replace(ONE_HOT, symbols=("S00/USDT", "S03/USDT", "GONE/USDT")), (0, 3), True),
        (ONE_HOT, (0, 1, 2, 3), True),
        (OWN, (0, 1, 2, 3), False),
    ],
    ids=["single", "chosen", "all", "own"],
)
def test_rows_are_weighed_among_those_that_are_learned_from(spec, learned, across):
    """Whatever other symbols wanted at the same time."""
    data = mixed()
    alone = data.rows(np.isin(data.symbol, learned))
    found = weighed(data, spec, SymbolBalance.SQUARE_ROOT)
    of_them = np.isin(data.symbol, learned)
    assert np.array_equal(
        found.weight[of_them], weighted(alone, SymbolBalance.SQUARE_ROOT, across_symbols=across).weight
    )
    assert not found.weight[~of_them].any()
    assert np.array_equal(
        asked(fit(found, spec), alone), asked(fit(weighed(alone, spec, SymbolBalance.SQUARE_ROOT), spec), alone)
    )


def test_where_none_is_wanted_nothing_is_weighed():
    assert not weighed(mixed(), replace(ONE_HOT, symbols=("GONE/USDT",)), SymbolBalance.NONE).weight.any()


def test_few_rows_to_calibrate_with_are_told():
    few = mixed().rows(np.arange(90))
    count = len(split(few, 0.2, 0)[1])
    assert 10 < count < 30
    assert any(note.startswith(f"only {count} rows calibrate") for note in fit(few, BLIND).notes)
    assert not any("calibrate" in note for note in fit(mixed(), BLIND).notes)


def test_a_scale_of_all_weights_is_no_matter():
    data = mixed()
    doubled = replace(data, weight=data.weight * 2)
    assert np.allclose(asked(fit(data, ONE_HOT), data), asked(fit(doubled, ONE_HOT), data), atol=1e-9)


# ---------------------------------------------------------------- clusters


def test_sectors_are_those_of_the_config_and_know_symbols_that_were_never_seen():
    data = rows(truth("clusters", 6, 6, 0.8), 300)
    sectors = {f"S{number:02}/USDT": f"sector {number % 3}" for number in range(5)} | {"NEW/USDT": "sector 1"}
    fitted = fit(data, replace(CLUSTERED, cluster_basis=ClusterBasis.SECTOR, sectors=sectors))
    names = {
        name: fitted.predictor.scores.logits(data.features, data.side, [name] * len(data))
        for name in ("NEW/USDT", "S01/USDT", "S04/USDT", "S00/USDT", "S05/USDT", "OTHER/USDT")
    }
    assert np.array_equal(names["NEW/USDT"], names["S01/USDT"])
    assert np.array_equal(names["S04/USDT"], names["S01/USDT"])
    assert not np.allclose(names["S00/USDT"], names["S01/USDT"])
    assert np.array_equal(names["S05/USDT"], names["OTHER/USDT"])  # without a sector: the shared one
    assert any("S05/USDT" in note and "shared model" in note for note in fitted.notes)
    assert "sector 1: NEW/USDT, S01/USDT, S04/USDT" in fitted.notes


def test_clusters_by_liquidity_take_a_new_symbol_to_the_nearest():
    data = rows(truth("clusters", 6, 6, 0.8), 300)
    turnover = {f"S{number:02}/USDT": 10.0 ** (6 + number % 3) for number in range(6)}
    spec = replace(CLUSTERED, cluster_basis=ClusterBasis.LIQUIDITY, turnover=turnover | {"NEW/USDT": 4e7})
    fitted = fit(data, spec)
    assert "liquidity 2 of 3: S01/USDT, S04/USDT" in fitted.notes
    assert "liquidity 3 of 3: NEW/USDT, S02/USDT, S05/USDT" in fitted.notes


def test_clusters_by_volatility_go_by_the_width_of_the_stops():
    fitted = fit(rows(truth("clusters", 6, 6, 0.8), 300), CLUSTERED)
    assert "volatility 1 of 3: S00/USDT, S03/USDT" in fitted.notes


def test_a_cluster_with_too_few_rows_is_left_to_the_shared_model():
    data = scarce(mixed(), "S02/USDT", 30)  # its stops are wider than all others'
    fitted = fit(data, CLUSTERED)
    assert not any(note.startswith("volatility 3") for note in fitted.notes)
    assert any("S02/USDT" in note and "shared model" in note for note in fitted.notes)


@pytest.mark.parametrize("odd", [0.0, np.inf, np.nan])
def test_a_symbol_whose_volatility_or_turnover_is_no_number_is_left_to_the_shared_model(odd):
    data = mixed()
    wide = replace(data, risk=np.where(data.symbol == 1, odd, data.risk))
    turnover = {"S00/USDT": 1e6, "S01/USDT": odd, "S02/USDT": 1e8, "S03/USDT": 1e6}
    liquid = replace(CLUSTERED, cluster_basis=ClusterBasis.LIQUIDITY, turnover=turnover)
    for given, spec in ((wide, CLUSTERED), (data, liquid)):
        fitted = fit(given, spec)
        assert any("S01/USDT" in note and "shared model" in note for note in fitted.notes)
        assert sum(": S0" in note and " of " in note for note in fitted.notes) >= 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cluster_basis": ClusterBasis.SECTOR}, "clusters by sector: nothing is known"),
        ({"cluster_basis": ClusterBasis.LIQUIDITY}, "clusters by liquidity: nothing is known"),
        ({"cluster_count": 0}, "clusters.count 0"),
    ],
)
def test_clusters_that_cannot_be_are_refused(changes, said):
    with pytest.raises(BadInput, match=said):
        fit(mixed(), replace(CLUSTERED, **changes))


# ---------------------------------------------------------------- what is refused


def nowhere(data):
    return data.rows(np.zeros(len(data), dtype=bool))


def with_bad_features(data):
    features = np.array(data.features)
    features[3, 1], features[[4, 5], 2] = np.nan, np.inf
    return replace(data, features=features)


def changed(data, column, value):
    values = np.array(getattr(data, column))
    values[[2, -2]] = value
    return replace(data, **{column: values})


@pytest.mark.parametrize(
    ("change", "spec", "said"),
    [
        (nowhere, ONE_HOT, "there are no rows to train on"),
        (with_bad_features, ONE_HOT, r"model_1 \(1 rows\), model_2 \(2 rows\)"),
        (
            lambda data: changed(data, "gain", np.nan),
            BLIND,
            "2 of 600 rows have a gain that nothing can be learned from",
        ),
        (lambda data: changed(data, "weight", np.inf), BLIND, "2 of 600 rows have a weight that"),
        (lambda data: changed(data, "weight", 0.0), BLIND, "2 of 600 rows have a weight that"),
        (lambda data: replace(data, gain=np.abs(data.gain)), ONE_HOT, "are wins only"),
        (lambda data: replace(data, gain=-np.abs(data.gain)), ONE_HOT, "are losses only"),
        (lambda data: data.rows(np.arange(45)), ONE_HOT, "minimum_events is 50"),
        (
            lambda data: data,
            replace(SINGLE, symbols=("BTC/USDT",)),
            "no rows of BTC/USDT to train on; there are of S00",
        ),
        (lambda data: data, replace(ONE_HOT, symbols=()), "no rows of any symbol"),
        (lambda data: data, replace(ONE_HOT, calibration_share=0.0), "calibration_share"),
        (lambda data: data, replace(ONE_HOT, calibration_share=1.0), "calibration_share"),
        (lambda data: data, replace(BLIND, encoding=SymbolEncoding.INDEX), "index is a code"),
        (lambda data: data, replace(POOLED, estimator=TREES), "partial_pooling is a linear model"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_with_the_cause(change, spec, said):
    with pytest.raises(BadInput, match=said):
        fit(change(mixed()), spec)


def test_a_later_part_of_one_kind_cannot_calibrate():
    data = mixed()
    later = data.close_ms >= split(data, 0.2, 0)[1].close_ms[0]
    with pytest.raises(BadInput, match="rows to calibrate with are losses only"):
        fit(replace(data, gain=np.where(later, -0.01, data.gain)), ONE_HOT)


def test_more_symbols_than_there_are_categories_are_refused():
    symbols = MOST_BINS + 5
    data = rows(truth("noise", symbols, 2), 10)
    with pytest.raises(BadInput, match="up to 255 symbols, these are 260"):
        fit(data, replace(BLIND, encoding=SymbolEncoding.INDEX, estimator=TREES))


def test_long_lists_of_symbols_are_cut():
    data = rows(truth("noise", 30, 2), 20)
    fitted = fit(data, OWN)
    assert any(note.endswith("and 20 more") for note in fitted.notes)


@pytest.mark.parametrize("spec", [ONE_HOT, OWN, POOLED], ids=told)
def test_a_fit_that_did_not_converge_is_said(spec):
    impatient = EstimatorSpec(params={"max_iter": 1})
    assert any("did not converge" in note for note in fit(mixed(), replace(spec, estimator=impatient)).notes)
    assert not any("did not converge" in note for note in fit(mixed(), spec).notes)
