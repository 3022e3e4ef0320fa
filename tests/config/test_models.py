"""The `model` section: what it becomes, and what is refused with which sentence."""

import sys
from decimal import Decimal
from pathlib import Path

import pytest

from livebot.config.load import check
from livebot.config.model_table import BEGIN, END, fields_of, model_table
from livebot.config.model_terms import (
    confidence_settings,
    drift_terms,
    floor_of,
    history_terms,
    judged_strategies,
    own_packages,
    plain_numbers,
    retrain_terms,
    serving_terms,
    training_spec,
    training_symbols,
)
from livebot.config.models import ModelConfig
from livebot.core.market import DAY_MS
from livebot.learning.champion import Floor, Undecided
from livebot.learning.drift import DriftTerms
from livebot.learning.due import RetrainTerms
from livebot.learning.history_needs import HistoryTerms
from livebot.learning.judging import ServingTerms, Untrained
from livebot.learning.spec import (
    ClusterBasis,
    EstimatorSpec,
    HybridForm,
    SymbolEncoding,
    TrainingMode,
    TrainingSpec,
)
from livebot.runtime.settings import ConfidenceSettings, OnDeadline
from tests.config.texts import MINIMAL, complaints

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
README = Path(__file__).parents[2] / "README.md"


def section_of(text: str) -> ModelConfig:
    section = check(f"{MINIMAL}model: {text}\n", "config.yaml").config.model
    assert section is not None
    return section


def of(text: str) -> list[str]:
    return [line.removeprefix("config.yaml:6: ") for line in complaints(f"{MINIMAL}model: {text}\n")]


def test_without_the_section_there_is_no_model():
    assert check(MINIMAL, "config.yaml").config.model is None
    assert judged_strategies(None, ["ema_cross"]) == ()


def test_the_keys_of_the_source_document_are_read_as_it_writes_them():
    section = section_of("{training_mode: multi_symbol, symbol_encoding: one_hot, multi_symbol_symbols: []}")
    spec = training_spec(section, (BTC, ETH))
    assert (spec.mode, spec.encoding, spec.symbols) == (TrainingMode.MULTI_SYMBOL, SymbolEncoding.ONE_HOT, (BTC, ETH))


def test_an_empty_section_is_a_careful_one_and_agrees_with_the_terms_of_learning():
    section = section_of("{}")
    assert section.training_mode == "single_symbol"
    assert training_spec(section, (BTC, ETH)) == TrainingSpec(symbols=(BTC,))
    assert history_terms(section) == HistoryTerms()
    assert serving_terms(section) == ServingTerms()
    assert confidence_settings(section.serving) == ConfidenceSettings()
    assert retrain_terms(section.retrain) == RetrainTerms()
    assert floor_of(section.retrain) == Floor()
    assert drift_terms(section) == DriftTerms()


def test_every_key_of_training_becomes_a_term():
    section = section_of(
        "{training_mode: clustered, symbol_encoding: index, multi_symbol_symbols: [ETH/USDT:USDT], fallback_to_shared: false, "
        "estimator: {name: hist_gradient_boosting, params: {learning_rate: 0.05, max_iter: 200}}, calibration_share: 0.3, "
        "clusters: {by: sector, sectors: {majors: [BTC/USDT:USDT]}}, minimum_events: 7, seed: 9}"
    )
    assert training_spec(section, (BTC, ETH), {BTC: 5.0}) == TrainingSpec(
        mode=TrainingMode.CLUSTERED,
        encoding=SymbolEncoding.INDEX,
        symbols=(ETH,),
        estimator=EstimatorSpec(name="hist_gradient_boosting", params={"learning_rate": 0.05, "max_iter": 200}),
        cluster_basis=ClusterBasis.SECTOR,
        sectors={BTC: "majors"},
        turnover={BTC: 5.0},
        fallback_to_shared=False,
        minimum_events=7,
        calibration_share=0.3,
        seed=9,
    )
    assert training_spec(section, (BTC, ETH), seed=4).seed == 4
    hybrid = section_of("{training_mode: hybrid, hybrid: {form: shrunk_calibration}}")
    assert training_spec(hybrid, (BTC,)).hybrid is HybridForm.SHRUNK_CALIBRATION


def test_one_symbol_is_the_chosen_or_the_first():
    assert training_symbols(section_of("{}"), (BTC, ETH)) == (BTC,)
    assert training_symbols(section_of("{single_symbol: 'ETH/USDT:USDT'}"), (BTC, ETH)) == (ETH,)
    assert training_symbols(section_of("{}"), ()) == ()


def test_every_key_of_serving_retraining_and_drift_becomes_a_term():
    section = section_of(
        "{threshold: 0.6, serving: {deadline_ms: 500, on_deadline: pass, coalesce_ms: 50, untrained: fallback, "
        "expiration_hours: 48, out_of_distribution: 0.5, hang_seconds: 3.5, shadow_batches: 7}, "
        "retrain: {every_hours: null, new_symbols: false, on_drift: false, "
        "pause_hours: 2, minimum_trades: 30, minimum_gain: 0.001, certainty: 0.8, undecided: in_use, "
        "undecided_margin: 0.002, maximum_loss_rise: 0.02, symbol_floor: null, keep_versions: 3}, drift: "
        "{trades: 900, minimum_trades: 90, stability: 0.2, cusum: 4, hit_rate_fall: 0.05, calibration_error: 0.1, symbols: 50}}"
    )
    hour_ms = DAY_MS // 24
    assert serving_terms(section) == ServingTerms(
        untrained=Untrained.FALLBACK, expiration_ms=48 * hour_ms, out_of_distribution=0.5, threshold=0.6
    )
    assert confidence_settings(section.serving) == ConfidenceSettings(
        coalesce_s=0.05, deadline_s=0.5, on_deadline=OnDeadline.PASS, hang_s=3.5, shadow_batches=7
    )
    assert retrain_terms(section.retrain) == RetrainTerms(
        every_ms=None, new_symbols=False, on_drift=False, pause_ms=2 * hour_ms
    )
    assert floor_of(section.retrain) == Floor(
        minimum_trades=30,
        minimum_gain=0.001,
        certainty=0.8,
        undecided=Undecided.IN_USE,
        undecided_margin=0.002,
        maximum_loss_rise=0.02,
        symbol_floor=None,
    )
    assert section.retrain.keep_versions == 3
    assert drift_terms(section) == DriftTerms(
        trades=900,
        minimum_trades=90,
        stability=0.2,
        cusum=4.0,
        hit_rate_fall=0.05,
        calibration_error=0.1,
        symbols=50,
    )
    assert drift_terms(section_of("{drift: {enabled: false}}")) is None


@pytest.mark.parametrize(("deadline_ms", "hang_s"), [(250, 10.0), (30_000, 60.0)])
def test_who_is_late_is_not_given_up_whatever_the_deadline(deadline_ms, hang_s):
    """A config of before keeps loading."""
    section = section_of(f"{{serving: {{deadline_ms: {deadline_ms}}}}}")
    assert confidence_settings(section.serving).hang_s == hang_s


def test_judged_are_all_strategies_or_those_that_are_named():
    ids = ("ema_cross", "breakout")
    assert judged_strategies(section_of("{strategies: all}"), ids) == ids
    assert judged_strategies(section_of("{strategies: [ema_cross]}"), ids) == ("ema_cross",)


def test_a_library_is_given_floats_however_deep_the_decimals_lie():
    given = {"a": Decimal("0.5"), "b": [Decimal(1), "x"], "c": {"d": Decimal(2)}, "e": 3, "f": None}
    made = plain_numbers(given)
    assert made == {"a": 0.5, "b": [1.0, "x"], "c": {"d": 2.0}, "e": 3, "f": None}
    assert type(made["a"]) is float


def test_the_package_of_an_estimator_of_your_own_is_the_top_one():
    assert own_packages(section_of("{estimator: {name: 'mine.models:Forest'}}")) == ("mine",)
    assert own_packages(section_of("{}")) == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "{training_mode: multi_symbols}",
            "model.training_mode: must be single_symbol, multi_symbol, per_symbol, clustered or hybrid, is 'multi_symbols'; "
            "did you mean multi_symbol?",
        ),
        (
            "{estimator: {name: hist_gradient}}",
            "model.estimator.name: must be logistic_regression, hist_gradient_boosting, lightgbm or package.module:Class of a "
            "scikit-learn classifier, is 'hist_gradient'; did you mean hist_gradient_boosting?",
        ),
        (
            "{hybrid: {form: partial_pooling}}",
            "model.hybrid: means nothing for training_mode: single_symbol; take it out or choose another mode",
        ),
        (
            "{clusters: {count: 4}}",
            "model.clusters: means nothing for training_mode: single_symbol; take it out or choose another mode",
        ),
        (
            "{training_mode: multi_symbol, single_symbol: 'BTC/USDT:USDT'}",
            "model.single_symbol: means nothing for training_mode: multi_symbol; take it out or choose another mode",
        ),
        (
            "{training_mode: multi_symbol, multi_symbol_symbols: ['BTC/USDT:USDT', 'BTC/USDT:USDT']}",
            "model.multi_symbol_symbols: BTC/USDT:USDT stands here twice; keep one",
        ),
        (
            "{multi_symbol_symbols: ['BTX/USDT:USDT']}",
            "model.multi_symbol_symbols[0]: BTX/USDT:USDT is not among the symbols; did you mean BTC/USDT:USDT?; add it there, "
            "or take it out",
        ),
        (
            "{strategies: [ema_crss]}",
            "model.strategies[0]: no strategy has the id ema_crss; did you mean ema_cross?",
        ),
        ("{strategies: []}", "model.strategies: must be all or a list of ids of strategies, is empty"),
        ("{strategies: some}", "model.strategies: must be all or a list of ids of strategies, is 'some'"),
        (
            "{model_path_pattern: '{strategy}_v{version}'}",
            "model.model_path_pattern: knows {strategy} and {symbol}, not {version}",
        ),
        (
            "{model_path_pattern: shared}",
            "model.model_path_pattern: must hold {strategy}, or two strategies would share a model",
        ),
        (
            "{model_path_pattern: 7}",
            "model.model_path_pattern: must be a folder below models/ such as {strategy}, is 7",
        ),
        (
            "{training_mode: hybrid, model_path_pattern: '{strategy}/{symbol}'}",
            "model.model_path_pattern: {symbol} gives each symbol a model of its own, and training_mode is hybrid; take it out",
        ),
        (
            "{training_mode: per_symbol, fallback_to_shared: false, serving: {untrained: fallback}}",
            "model.serving.untrained: fallback asks a shared model, and fallback_to_shared is false; set that to true",
        ),
        (
            "{serving: {coalesce_ms: 250}}",
            "model.serving.coalesce_ms: 250 leaves no time to answer; lower it below deadline_ms (250)",
        ),
        (
            "{serving: {hang_seconds: 0.25}}",
            "model.serving.hang_seconds: 0.25 is not above deadline_ms (250), so who is late would be given up; raise it",
        ),
        (
            "{history: {minimum_days: 800}}",
            "model.history.minimum_days: 800 is above target_days (730), so no symbol would do; lower it",
        ),
        (
            "{drift: {minimum_trades: 600}}",
            "model.drift.minimum_trades: 600 is above trades (500), so nothing would ever be said; lower it",
        ),
        (
            "{training_mode: clustered, clusters: {by: sector}}",
            "model.clusters.sectors: is empty, and by: sector goes by it; name at least one",
        ),
        (
            "{training_mode: clustered, clusters: {by: sector, count: 2, sectors: {a: ['BTC/USDT:USDT']}}}",
            "model.clusters.count: means nothing for by: sector; take it out",
        ),
        (
            "{training_mode: clustered, clusters: {sectors: {a: ['BTC/USDT:USDT']}}}",
            "model.clusters.sectors: means nothing for by: volatility; take it out or write by: sector",
        ),
        (
            "{training_mode: clustered, clusters: {by: sector, sectors: {a: ['BTC/USDT:USDT'], b: ['BTC/USDT:USDT']}}}",
            "model.clusters.sectors.b: BTC/USDT:USDT is in a already; keep it in one",
        ),
        (
            "{training_mode: clustered, clusters: {by: sector, sectors: {a: ['BTC/USDT:USDT', 'BTC/USDT:USDT']}}}",
            "model.clusters.sectors.a: BTC/USDT:USDT stands here twice; keep it in one",
        ),
        (
            "{training_mode: clustered, clusters: {by: sector, sectors: {A B: ['BTC/USDT:USDT']}}}",
            "model.clusters.sectors.A B: the name of a sector must be a name of at most 32 of a-z, 0-9, _ and -, the first a "
            "letter or digit, is 'A B'",
        ),
        (
            "{training_mode: clustered, clusters: {by: sector, sectors: {a: ['BTX/USDT:USDT']}}}",
            "model.clusters.sectors.a[0]: BTX/USDT:USDT is not among the symbols; did you mean BTC/USDT:USDT?; add it there, "
            "or take it out",
        ),
        (
            "{calibration_share: 0.6}",
            "model.calibration_share: must be a ratio from 0.05 to 0.5 (0.2 is the last fifth), is 0.6",
        ),
        ("{threshold: 1}", "model.threshold: must be a ratio above 0 and below 1 (0.05 is 5 %), is 1"),
        ("{serving: {deadline_ms: 0}}", "model.serving.deadline_ms: must be whole milliseconds from 1 to 30000, is 0"),
    ],
)
def test_what_cannot_be_is_refused_with_one_sentence(text, sentence):
    assert of(text) == [sentence]


@pytest.mark.parametrize(
    ("symbols", "more"),
    [("symbols: [BTC/USDT:USDT]", "list more under symbols"), ("universe: {top: 1}", "raise universe.top")],
)
def test_what_the_others_do_is_not_asked_where_there_are_none(symbols, more):
    """Every entry would lack those features, and be refused or skipped for it."""
    text = MINIMAL.replace("symbols: [BTC/USDT:USDT, ETH/USDT:USDT]", symbols)
    sentence = f"market looks at what the other symbols do, and there is only one: write own, or {more}"
    (complaint,) = complaints(f"{text}model: {{features: market}}\n")
    assert complaint.endswith(f": model.features: {sentence}")
    assert complaints(f"{text}model: {{features: own}}\n") == []
    for others in (MINIMAL, MINIMAL.replace("symbols: [BTC/USDT:USDT, ETH/USDT:USDT]", "universe: {top: 2}")):
        assert complaints(f"{others}model: {{features: market}}\n") == []


def test_with_a_universe_symbols_may_be_any():
    text = MINIMAL.replace("symbols: [BTC/USDT:USDT, ETH/USDT:USDT]", "universe: {top: 5}")
    assert complaints(f"{text}model: {{single_symbol: 'XRP/USDT:USDT'}}\n") == []


@pytest.mark.parametrize(("key", "field"), [pytest.param(*each, id=each[0]) for each in fields_of(ModelConfig)])
def test_every_key_says_what_it_is(key, field):
    assert field.description
    assert f"| `{key}` |" in model_table()


def test_the_table_in_the_readme_is_the_one_that_is_made_of_the_config():
    """Else: python -c 'from livebot.config.model_table import model_table; print(model_table())', and put it there."""
    text = README.read_text(encoding="utf-8")
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip() == model_table()


def test_reading_a_config_without_a_model_imports_nothing_heavy():
    import subprocess

    code = "import sys, livebot.config.load; print([m for m in ('sklearn', 'joblib', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
