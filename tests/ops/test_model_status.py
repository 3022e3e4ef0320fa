"""Models in the status: over JSON without loss, on the screen, and as metrics."""

from dataclasses import replace

import orjson

from livebot.ops.alerts.kinds import Kind, source_of
from livebot.ops.metrics.measurements import Models
from livebot.ops.status_json import decode_status, encode_status
from livebot.ports import ModelStatus
from tests.cli.test_views import screen_of
from tests.ops.fake_control import NOON_MS, a_signal, a_status, a_symbol
from tests.ops.metrics.samples import distribution, some_measurements
from tests.ops.metrics.test_families import of, told

HOUR_MS = 3_600_000
MODEL = ModelStatus(
    scope="ema_cross",
    strategy="ema_cross",
    version="20260101T000000Z-0123abcd",
    shadow=None,
    created_ms=NOON_MS - 10 * HOUR_MS,
    train_end_ms=NOON_MS - 12 * HOUR_MS,
    stale=False,
    covered=5,
    uncovered=(),
)
ASKED = Models(
    answers={"judged": 7, "model_stale": 2, "another": 1},
    sizes=distribution(3, 7),
    waits=distribution(0.02),
    late=4,
    differences=distribution(0.05),
    drift={"ema_cross": {"hit_rate": 0.4, "cusum": 3.5}, "gone": {"cusum": 1.0}},
)


def screen(*models: ModelStatus, **changes: object) -> str:
    return " ".join(" ".join(screen_of(a_status(models=models, **changes), width=250)).split())


def test_it_travels_without_loss() -> None:
    signal = a_signal(confidence=0.75, model="ema_cross/1")
    for models in (None, (), (replace(MODEL, uncovered=("SOL/USDT:USDT",)),)):
        status = a_status(models=models, symbols=(a_symbol(signals=(signal,)),))
        assert decode_status(orjson.loads(encode_status(status))) == status


def test_a_status_of_a_daemon_that_knows_no_models_is_read() -> None:
    data = orjson.loads(encode_status(a_status()))
    del data["models"]
    for name in ("confidence", "model"):
        del data["symbols"][0]["signals"][0][name]
    assert decode_status(data) == a_status()


def test_a_scope_is_one_line() -> None:
    """Its version, its age and whom it covers."""
    assert "Models ema_cross 20260101T000000Z-0123abcd, trained up to 12 h 0 min ago, 5 symbols covered" in screen(
        MODEL
    )
    ahead = screen(replace(MODEL, train_end_ms=MODEL.train_end_ms + 13 * 3_600_000))
    assert "trained on the next 1 h 0 min: what it says of them is no forecast" in ahead
    text = screen(replace(MODEL, stale=True, shadow="20260102T000000Z-0123abcd", uncovered=tuple("ABCDEFG")))
    assert "stale: it is refused, 5 symbols covered, not covered: A, B, C, D, E and 2 more" in text
    assert "in shadow 20260102T000000Z-0123abcd" in text
    assert "ema_cross no model in use" in screen(replace(MODEL, version=None, train_end_ms=None))
    assert "none was looked at yet" in screen()
    assert "Models" not in " ".join(screen_of(a_status(), width=250))


def test_many_scopes_are_cut_and_counted() -> None:
    text = screen(*(replace(MODEL, scope=f"scope_{number}") for number in range(14)))
    assert "scope_9 " in text
    assert "scope_10" not in text
    assert "... and 4 more" in text


def test_an_open_signal_shows_its_confidence() -> None:
    """If any has one."""
    judged = a_symbol(signals=(a_signal(confidence=0.756, model="ema_cross/1"),))
    plain = a_symbol("ETH/USDT:USDT", signals=(a_signal(2),))
    assert "Conf" in screen(symbols=(judged, plain))
    assert "0.76" in screen(symbols=(judged, plain))
    assert "Conf" not in screen(symbols=(plain,))


# ---------------------------------------------------------------- metrics


def test_a_daemon_without_models_has_no_families_of_them() -> None:
    assert not [name for name, *_ in told(measured=some_measurements(models=None)) if name.startswith("livebot_model_")]


def test_versions_ages_and_answers_are_told() -> None:
    found = told(a_status(models=(MODEL,)), some_measurements(models=ASKED))
    assert of(found, "livebot_model_scopes") == 1
    assert of(found, "livebot_model_age_seconds") == {"ema_cross": 12 * 3600}
    assert found["livebot_model_info", ("scope", "ema_cross"), ("version", MODEL.version)] == 1
    answers = of(found, "livebot_model_answers_total")
    assert (answers["judged"], answers["model_stale"], answers["another"], answers["model_late"]) == (7, 2, 1, 0)
    assert of(found, "livebot_model_late_total") == 4
    assert found["livebot_model_batch_entries_count",] == 2
    assert found["livebot_model_answer_seconds_count",] == 1
    assert found["livebot_model_shadow_difference_count",] == 1
    assert of(found, "livebot_model_hit_rate") == {"ema_cross": 0.4}
    assert of(found, "livebot_model_cusum") == {"ema_cross": 3.5}


def test_what_is_missing_stale_or_uncovered_is_counted() -> None:
    """A symbol that waits in two scopes of one strategy counts once."""
    models = (
        replace(MODEL, scope="a", version=None, train_end_ms=None, uncovered=("X", "Y")),
        replace(MODEL, scope="b", stale=True, uncovered=("X",)),
    )
    found = told(a_status(models=models), some_measurements(models=ASKED))
    assert of(found, "livebot_model_scopes_without_model") == 1
    assert of(found, "livebot_model_scopes_stale") == 1
    assert of(found, "livebot_model_symbols_uncovered") == 2
    assert of(found, "livebot_model_age_seconds") == {"b": 12 * 3600}


def test_series_by_scope_are_bounded() -> None:
    """The others are counted still."""
    models = tuple(replace(MODEL, scope=f"scope_{number:03}") for number in range(50))
    found = told(a_status(models=models), some_measurements(models=ASKED), symbols_max=10)
    assert len(of(found, "livebot_model_age_seconds")) == 10
    assert of(found, "livebot_model_scopes") == 50
    assert not [labels for name, *labels in found if name == "livebot_model_hit_rate"]


# ---------------------------------------------------------------- alerts


def test_a_stale_or_worn_model_is_an_alert_of_its_kind() -> None:
    assert source_of("model-stale:ema_cross").kind is Kind.MODEL_STALE
    assert source_of("drift:ema_cross").kind is Kind.MODEL_STALE
    assert source_of("model:ema_cross").kind is Kind.DAEMON
