"""What a manifest says, that it reads back exactly, and that nothing else reads at all."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from livebot.core.market import DAY_MS
from livebot.errors import BadInput
from livebot.learning.description import bins_of, described, reliability_of
from livebot.learning.manifest import SCHEMA, Manifest, ModelFormat, parsed, written
from livebot.learning.sealing import digest_of, unseal
from livebot.learning.spec import EstimatorSpec, TrainingMode, TrainingSpec
from tests.learning.predictors_for_tests import (
    HOUR_MS,
    START_MS,
    SYMBOLS,
    Linear,
    dataset,
    description,
    feature_set,
    fitted,
)

SCHEMA_1 = Path(__file__).parent / "schema_1" / "manifest.json"


def made(**changes) -> Manifest:
    return described(fitted(**changes), dataset(), description(), b"the model")


def changed(**changes) -> bytes:
    return json.dumps(json.loads(written(made())) | changes).encode()


def test_a_manifest_reads_back_equal():
    """To the last bit of every number."""
    manifest = made()
    assert manifest == parsed(written(manifest))


def test_it_says_what_the_model_was_trained_on():
    """Everything that a check or an operator asks later."""
    rows = dataset()
    spec = TrainingSpec(mode=TrainingMode.MULTI_SYMBOL, estimator=EstimatorSpec(params={"C": 0.5, "odd": [1]}), seed=7)
    told = description(spec=spec, short=("NEW/USDT",), label={"win": "net gain above 0"}, data={"BTC/USDT": "abc"})
    manifest = described(fitted(), rows, told, b"the model", parent="20230101T000000Z-00000000")
    assert manifest.name == f"ema_cross/20240222T220000Z-{digest_of(b'the model')[:8]}"
    assert (manifest.model_digest, manifest.model_bytes) == (digest_of(b"the model"), 9)
    assert manifest.feature_names == ("model_rsi_3", "model_rsi_5", "model_rsi_8")
    assert (manifest.feature_digest, digest_of(manifest.feature_set.encode())) == (feature_set().digest,) * 2
    assert set(manifest.libraries) == {"python", "numpy", "scikit-learn", "joblib"}
    assert list(manifest.symbols) == list(SYMBOLS)
    assert (manifest.symbols["BTC/USDT"].rows, manifest.symbols["BTC/USDT"].days) == (100, 300 / 24)
    assert manifest.train_start_ms == START_MS
    assert manifest.train_end_ms == START_MS + (299 + 3) * HOUR_MS  # the last outcome, not the last close
    assert manifest.estimator_params == {"C": 0.5, "odd": "[1]"}
    assert (manifest.short, manifest.parent, manifest.seed) == (("NEW/USDT",), "20230101T000000Z-00000000", 7)
    assert manifest.shared
    assert len(manifest.golden) == 32
    assert len(manifest.feature_bins) == len(manifest.bounds) == 3


def test_scores_are_measured_on_the_calibrating_rows_alone():
    """The last fifth of the time; the estimator has seen the others."""
    rows = dataset()
    scores = Linear().probabilities(rows.features, rows.side, rows.symbol_names.tolist())[-60:]
    manifest = made()
    assert manifest.score_bins == bins_of(scores)
    assert sum(each.rows for each in manifest.reliability) == 60


def test_features_are_measured_on_the_rows_of_covered_symbols():
    """A model of one symbol knows nothing of the others, however many rows there are of them."""
    rows = dataset()
    manifest = made(covered=("ETH/USDT",))
    assert manifest.feature_bins[0] == bins_of(rows.features[rows.symbol == 1][:, 0])
    assert manifest.bounds[2][1] == np.quantile(rows.features[rows.symbol == 1][:, 2], 0.999)
    with pytest.raises(BadInput, match="covers no symbol"):
        made(covered=("NEW/USDT",))


def test_per_symbol_models_without_a_fallback_share_nothing():
    """So nothing is there to fall back on."""
    spec = TrainingSpec(mode=TrainingMode.PER_SYMBOL, fallback_to_shared=False)
    assert not described(fitted(), dataset(), description(spec=spec), b"m").shared
    assert described(fitted(), dataset(), description(spec=TrainingSpec(mode=TrainingMode.PER_SYMBOL)), b"m").shared


def test_a_metric_that_is_no_number_is_left_out():
    """JSON has no such thing."""
    manifest = made(metrics={"auc": float("nan"), "brier": 0.2})
    assert parsed(written(manifest)).metrics == {"brier": 0.2}


def test_nothing_can_be_said_without_rows():
    """A version without golden rows could never be checked."""
    with pytest.raises(BadInput, match="there are no rows"):
        described(fitted(), dataset().rows(np.zeros(300, dtype=bool)), description(), b"m")


@settings(max_examples=50)
@given(arrays(np.float64, st.integers(1, 200), elements=st.floats(-1e6, 1e6)))
def test_bins_hold_every_value_once(values):
    """Whatever repeats."""
    bins = bins_of(values)
    assert list(bins.edges) == sorted(bins.edges)
    assert sum(bins.shares) == pytest.approx(1.0)


def test_ten_bins_of_many_values_are_equally_full():
    """As PSI wants them."""
    assert bins_of(np.arange(1000.0)).shares == (0.1,) * 10


def test_reliability_tells_what_was_said_and_what_came():
    """In tenths of probability, the last with 1 itself."""
    low, high = reliability_of(np.array([0.11, 0.19, 1.0]), np.array([True, False, True]))
    assert (low.rows, low.said, low.won) == (2, pytest.approx(0.15), 0.5)
    assert (high.rows, high.said, high.won) == (1, 1.0, 1.0)


def test_values_that_nothing_could_show_or_compare_with_are_refused():
    """A moment after the year 9999 would end every list of models; edges that fall put a value in any bin."""
    manifest = json.loads(written(made()))
    bins = manifest["score_bins"]
    for changes, cause in (
        ({"created_ms": 1 << 53}, "created_ms"),
        ({"train_end_ms": 253_402_300_800_000}, "train_end_ms"),
        ({"score_bins": bins | {"edges": bins["edges"][::-1]}}, "edges: they fall"),
        ({"bounds": [[2.0, 1.0]] * 3}, "above its greatest"),
    ):
        with pytest.raises(BadInput, match=cause):
            parsed(changed(**changes))


def test_a_manifest_of_schema_1_keeps_loading():
    """The file is one that the first version wrote, and is never made anew."""
    manifest = parsed(unseal(SCHEMA_1.read_bytes(), None))
    assert (manifest.schema_number, manifest.format) == (SCHEMA, ModelFormat.JOBLIB)
    assert manifest.name == "ema_cross/20240222T220000Z-9c41fc1f"
    assert manifest.created_ms == START_MS + 100 * DAY_MS


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"not json", "not JSON"),
        (b"[]", "no JSON object"),
        (b"{}", "its schema is None"),
        (b'{"schema": true}', "its schema is True"),
        (b'{"schema": 0}', "its schema is 0"),
        (b'{"schema": 2}', "by a later livebot"),
        (b'{"schema": 1}', "scope: Field required; .* and 3[0-9] more"),
        (changed(unknown=1), "unknown: Extra inputs"),
        (changed(scope="../outside"), "is no scope of models"),
        (changed(version="current"), "is no version of a model"),
        (changed(threshold=1.5), "threshold: Input should be less than or equal to 1"),
        (changed(threshold="0.5"), "threshold: Input should be a valid number"),
        (changed(model_digest="abc"), "model_digest: String should match"),
        (changed(feature_names=["a", "a", "b"]), "feature_names: one stands there twice"),
        (changed(feature_names=["a", "b"]), "feature_bins: 3 of them for 2 features"),
        (changed(bounds=[[0.0, 1.0]]), "bounds: 1 of them for 3 features"),
        (changed(golden=[]), "golden: Tuple should have at least 1 item"),
        (
            changed(golden=[{"features": [0.0], "side": 1, "symbol": "A", "probability": 0.5}]),
            "golden: a row has not 3 features",
        ),
        (changed(train_end_ms=0), "train_end_ms lies before"),
    ],
)
def test_anything_else_is_refused_with_the_place(body, cause):
    with pytest.raises(BadInput, match=cause):
        parsed(body)


def test_an_earlier_schema_is_brought_up_step_by_step(monkeypatch):
    """What one version changes, one function changes."""
    monkeypatch.setattr("livebot.learning.manifest.SCHEMA", 3)
    tree = json.loads(written(made())) | {"seed": 5}
    upgrades = {
        1: lambda old: old | {"seed": old["seed"] * 10},
        2: lambda old: old | {"seed": old["seed"] + 1},
    }
    assert parsed(json.dumps(tree).encode(), upgrades).seed == 51


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_no_bytes_do_anything_else(data):
    with pytest.raises(BadInput):
        parsed(data)
