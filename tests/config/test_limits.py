"""`risk.limits`: what of it makes no sense together, and its table in the README."""

from pathlib import Path

import pytest

from livebot.config import terms
from livebot.config.limit_table import BEGIN, END, limit_table
from livebot.config.limits import LimitsConfig
from livebot.core.denial import DenialCode
from tests.config.texts import MINIMAL, complaints

README = Path(__file__).parents[2] / "README.md"


def of(limits: str) -> list[str]:
    return complaints(MINIMAL + f"risk:\n  limits: {limits}\n")


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (
            "{open_signals_per_cluster: 11}",
            "open_signals_per_cluster: 11 is above open_signals (10), so it could never bind; lower it or raise open_signals",
        ),
        (
            "{net_exposure: 2.5}",
            "net_exposure: 2.5 is above gross_exposure (2), so it could never bind; lower it or raise gross_exposure",
        ),
        (
            "{base_exposure: 2.5}",
            "base_exposure: 2.5 is above gross_exposure (2), so it could never bind; lower it or raise gross_exposure",
        ),
        (
            "{symbol_exposure: 1, base_exposure: 0.5}",
            "symbol_exposure: 1 is above base_exposure (0.5), so it could never bind; lower it or raise base_exposure",
        ),
        (
            "{risk_per_trade: 0.02, risk_in_all: 0.01}",
            "risk_per_trade: 0.02 is above risk_in_all (0.01), so it could never bind; lower it or raise risk_in_all",
        ),
        (
            "{orders_per_second: 61}",
            "orders_per_second: 61 is above orders_per_minute (60), so it could never bind; lower it or raise orders_per_minute",
        ),
        (
            "{orders_per_minute: 61, orders_per_second: 1}",
            "orders_per_minute: 61 could never bind: with orders_per_second 1 there are at most 60; lower it",
        ),
        (
            "{orders_per_day: 86401}",
            "orders_per_day: 86401 could never bind: with orders_per_minute 60 there are at most 86400; lower it",
        ),
        ("{losing_streak: {losses: 3}}", "losing_streak.cooldown_minutes: is missing"),
        (
            "{repeated_executions: {maximum: 0, window_hours: 1}}",
            "repeated_executions.maximum: must be a whole number from 1",
        ),
        ("{price_collar: 1}", "price_collar: must be a ratio above 0 and below 1"),
        ("{minimum_confidence: 1.1}", "minimum_confidence: must be a ratio above 0 and at most 1"),
    ],
)
def test_a_limit_that_could_never_bind_or_means_nothing_is_refused(limits: str, sentence: str) -> None:
    (said,) = of(limits)
    assert f"risk.limits.{sentence}" in said


@pytest.mark.parametrize(
    "limits",
    [
        "{orders_per_day: 50}",  # the minute's limit stands as by default, and nobody wrote it
        "{orders_per_minute: 60, orders_per_second: 1, orders_per_day: 86400}",
        "{open_signals: null, open_signals_per_strategy: 50}",
        "{gross_exposure: null, net_exposure: 5}",
        "{risk_per_trade: 0.02, risk_in_all: 0.02}",
    ],
)
def test_what_can_bind_is_taken(limits: str) -> None:
    assert [] == of(limits)


def test_times_become_milliseconds_and_what_is_null_is_no_limit() -> None:
    section = LimitsConfig.model_validate(
        {
            "stale_data_seconds": 90,
            "duplicate_order_seconds": 2,
            "repeated_executions": {"maximum": 5, "window_hours": 24},
            "losing_streak": {"losses": 4, "cooldown_minutes": 30, "scope": "symbol"},
        }
    )
    made = terms.limits(section)
    assert (90_000, 2000) == (made.stale_data_ms, made.duplicate_order_ms)
    assert made.repeated_executions is not None and made.losing_streak is not None
    assert (5, 86_400_000) == (made.repeated_executions.maximum, made.repeated_executions.window_ms)
    assert (4, 1_800_000, "symbol") == (
        made.losing_streak.losses,
        made.losing_streak.cooldown_ms,
        made.losing_streak.scope.value,
    )
    nothing = terms.limits(LimitsConfig())
    assert {None} == {
        nothing.stale_data_ms,
        nothing.duplicate_order_ms,
        nothing.repeated_executions,
        nothing.losing_streak,
        nothing.net_exposure,
    }


def test_the_table_in_the_readme_is_the_one_that_is_made_of_the_config() -> None:
    """Else: python -c 'from livebot.config.limit_table import limit_table; print(limit_table())', and put it there."""
    text = README.read_text(encoding="utf-8")
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip() == limit_table()


def test_every_limit_has_a_row_and_a_code_of_its_own() -> None:
    rows = [row.split(" | ") for row in limit_table().splitlines()[2:]]
    assert {f"| `risk.limits.{name}`" for name in LimitsConfig.model_fields} <= {row[0] for row in rows}
    codes = [row[3].strip("`") for row in rows]
    assert len(set(codes)) == len(codes)
    assert set(codes) <= {code.value for code in DenialCode}
