"""What Prometheus is told of a status and of what is measured."""

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from prometheus_client import generate_latest

from livebot.core.denial import DenialCode
from livebot.ops.metrics.families import Families
from livebot.ops.metrics.page import _Only
from livebot.ports import LimitUse
from tests.ops.fake_control import IDLE, NOON_MS, a_crowd, a_signal, a_status, a_symbol
from tests.ops.metrics.samples import read, some_measurements


def told(status=None, measured=None, families=None, **bounds):
    families = families or Families(**bounds)
    made = families.of(status or a_status(), measured or some_measurements())
    return read(b"".join(generate_latest(_Only(each)) for each in made))


def of(found, name):
    """By the value of its only label, or the value."""
    rows = {key[1:]: value for key, value in found.items() if key[0] == name}
    if () in rows:
        return rows[()]
    return {labels[0][1]: value for labels, value in rows.items()}


# ------------------------------------------------------------------ safe?


@pytest.mark.parametrize("state", ["ACTIVE", "REDUCING", "HALTED"])
def test_the_trading_state_is_one_of_three(state):
    states = of(told(a_status(trading_state=state)), "livebot_trading_state")
    assert states == {"ACTIVE": 0, "REDUCING": 0, "HALTED": 0} | {state: 1}


def test_money_and_limits_are_the_status():
    found = told()
    assert of(found, "livebot_equity") == 10034.51
    assert of(found, "livebot_day_pnl") == 34.51
    assert of(found, "livebot_exposure") == pytest.approx(0.25 * 10034.51)
    assert of(found, "livebot_limit_used") == {"open_signals": 0, "gross_exposure": 0.25, "drawdown": 0.004}
    assert of(found, "livebot_limit_allowed") == {"open_signals": 5, "gross_exposure": 1.5}
    assert of(found, "livebot_limit_use_ratio") == {"open_signals": 0, "gross_exposure": pytest.approx(1 / 6)}


def test_a_limit_of_nothing_is_used_up_by_anything():
    limits = tuple(LimitUse(name=name, used=Decimal(used), allowed=Decimal(0)) for name, used in (("a", 0), ("b", 1)))
    assert of(told(a_status(limits=limits)), "livebot_limit_use_ratio") == {"a": 0, "b": 1}


def test_of_a_floor_more_is_less_of_it():
    floor = LimitUse(name="minimum_confidence", used=Decimal("0.8"), allowed=Decimal("0.4"), floor=True)
    assert of(told(a_status(limits=(floor,))), "livebot_limit_use_ratio") == {"minimum_confidence": 0.5}


def test_without_a_gross_exposure_there_is_no_exposure():
    assert of(told(a_status(limits=())), "livebot_exposure") == {}


def test_unprotected_unresolved_and_foreign_are_counted():
    found = told(a_status(unprotected=("a/B#1", "a/C#2"), problems=("something", "another", "more"), ready=False))
    assert of(found, "livebot_unprotected_positions") == 2
    assert of(found, "livebot_problems") == 3
    assert of(found, "livebot_ready") == 0
    assert of(found, "livebot_orders_unresolved") == 1
    assert of(found, "livebot_orders_in_flight") == 2
    assert of(found, "livebot_foreign_symbols") == 1
    assert (of(found, "livebot_reservations"), of(found, "livebot_reserved")) == (1, 99.5)


def test_its_start_is_told_once_it_has_started():
    """A moment of 0 before that would count as one more start."""
    assert of(told(a_status(started_ms=0)), "livebot_start_time_seconds") == {}
    assert of(told(a_status(started_ms=1500)), "livebot_start_time_seconds") == 1.5


# ------------------------------------------------------------------ open?


def test_signals_and_open_pnl_are_told_by_strategy():
    symbols = (
        a_symbol("A", signals=(a_signal(1), a_signal(2, strategy="breakout", unrealised=Decimal(-3)))),
        a_symbol("B", signals=(a_signal(3), IDLE)),
    )
    found = told(a_status(symbols=symbols, open_signals=3))
    assert of(found, "livebot_open_signals") == 3
    assert of(found, "livebot_unrealised_pnl") == {"ema_cross": pytest.approx(24.6912), "breakout": -3}
    assert of(found, "livebot_realised_pnl") == {"ema_cross": 12.5}
    states = {key[1:]: value for key, value in found.items() if key[0] == "livebot_strategy_signals"}
    assert states == {
        (("state", "Open"), ("strategy", "ema_cross")): 2,
        (("state", "Idle"), ("strategy", "ema_cross")): 1,
        (("state", "Open"), ("strategy", "breakout")): 1,
    }


def test_many_strategies_are_told_together_and_nothing_is_lost():
    symbols = tuple(
        a_symbol(f"S{n}", signals=(a_signal(strategy=f"s{n:03}", unrealised=Decimal(1)),)) for n in range(80)
    )
    realised = {f"s{n:03}": Decimal(2) for n in range(80)}
    found = told(a_status(symbols=symbols), some_measurements(realised=realised), strategies_max=10)
    for name, total in (("livebot_realised_pnl", 160), ("livebot_unrealised_pnl", 80)):
        values = of(found, name)
        assert len(values) == 11
        assert sum(values.values()) == total
        assert values["other"] == total * 70 / 80
    assert sum(value for key, value in found.items() if key[0] == "livebot_strategy_signals") == 80


# ------------------------------------------------------------------ wrong?


def test_candles_are_as_old_as_the_last_close():
    ages = (12, 30, 300)
    symbols = tuple(a_symbol(f"S{age}", last_close_ms=NOON_MS - age * 1000) for age in ages)
    found = told(a_status(symbols=(*symbols, a_symbol("new", last_close_ms=None))))
    assert of(found, "livebot_candle_age_seconds") == {"max": 300, "median": 30}
    assert of(found, "livebot_symbol_candle_age_seconds") == {"S12": 12, "S30": 30, "S300": 300}
    assert of(found, "livebot_symbols_without_candle") == 1


def test_a_candle_of_the_future_is_new():
    """The venue's clock may be a little ahead."""
    found = told(a_status(symbols=(a_symbol(last_close_ms=NOON_MS + 500),)))
    assert of(found, "livebot_candle_age_seconds") == {"max": 0, "median": 0}


def test_without_symbols_there_is_no_age():
    found = told(a_status(symbols=()))
    assert of(found, "livebot_candle_age_seconds") == {}
    assert set(of(found, "livebot_symbols").values()) == {0}


@pytest.mark.parametrize(("count", "bound", "series"), [(100, 100, 100), (101, 100, 0), (500, 500, 500), (1, 0, 0)])
def test_series_by_symbol_end_at_the_bound(count, bound, series):
    symbols = tuple(replace(each, restarts=2) for each in a_crowd(count))
    found = told(a_status(symbols=symbols), symbols_max=bound)
    for name in ("livebot_symbol_candle_age_seconds", "livebot_symbol_restarts_total"):
        assert len(of(found, name)) == series
    assert of(found, "livebot_candle_age_seconds")["max"] == 12
    if not series:
        assert not any(label == "symbol" for key in found for label, _ in key[1:])


def test_a_symbol_that_never_was_restarted_has_no_series_for_it():
    """What is nothing for nearly all symbols is told of the others."""
    found = told(a_status(symbols=(a_symbol("A", restarts=3), a_symbol("B"))))
    assert of(found, "livebot_symbol_restarts_total") == {"A": 3}


def test_500_symbols_are_a_bounded_number_of_series():
    """Whatever the daemon does, a system has some hundred series."""
    assert len(told(a_status(symbols=a_crowd(500)))) < 250


def test_symbols_are_counted_by_worker_and_by_what_stops_them():
    symbols = (
        a_symbol("A", worker="quarantined", blocks=("quarantined", "paused")),
        a_symbol("B", blocks=("paused",)),
    )
    found = told(a_status(symbols=symbols))
    states = of(found, "livebot_symbols")
    assert (states["quarantined"], states["running"], states["guarded"]) == (1, 1, 0)
    blocked = of(found, "livebot_symbols_blocked")
    assert (blocked["paused"], blocked["quarantined"], blocked["foreign"]) == (2, 1, 0)


def test_decisions_and_denials_are_told_by_code():
    found = told()
    assert of(found, "livebot_decisions_total") == {"approved": 4, "denied": 3, "refused": 2, "skipped": 0}
    denials = of(found, "livebot_denials_total")
    assert set(denials) == {code.value for code in DenialCode}  # also those that have not happened yet
    assert denials.pop("paused") == 3
    assert set(denials.values()) == {0}
    refused = {key[1:]: value for key, value in found.items() if key[0] == "livebot_refusals_total"}
    assert refused == {(("code", "no_equity"), ("outcome", "refused")): 2}


def test_orders_are_told_by_outcome():
    assert of(told(), "livebot_orders_total") == {
        "accepted": 7,
        "rejected": 0,
        "unknown": 1,
        "absent": 0,
        "not_sent": 0,
    }


def test_a_histogram_ends_with_all_there_is():
    found = told()
    buckets = of(found, "livebot_decision_delay_seconds_bucket")
    assert buckets == {"0.01": 0, "0.1": 1, "1.0": 2, "+Inf": 3}
    assert of(found, "livebot_decision_delay_seconds_count") == 3
    assert of(found, "livebot_decision_delay_seconds_sum") == pytest.approx(5.25)


def test_what_is_inside_is_told():
    found = told()
    assert of(found, "livebot_loop_lag_seconds") == {"p50": 0.0001, "p99": 0.004, "max": 0.02}
    assert (of(found, "livebot_ledger_queue_rows"), of(found, "livebot_ledger_queue_limit_rows")) == (5, 20_000)
    assert of(found, "livebot_listener_dropped_total") == {"journal": 2}
    assert of(found, "livebot_listener_failed_total") == {"journal": 1}
    assert of(found, "livebot_rate_limit_waits_total") == {"orders": 3, "requests": 8}
    assert of(found, "livebot_rate_limit_wait_seconds_total") == {"orders": 1.5, "requests": 20.25}
    assert of(found, "livebot_feed_reconnects_total") == 2
    assert of(found, "livebot_signals_opened_total") == 12
    assert of(found, "livebot_worker_failures_total") == 0


def test_a_venue_without_streams_and_limits_tells_of_none():
    found = told(measured=some_measurements(feed={}, waits={}))
    assert not [key for key in found if key[0].startswith(("livebot_feed", "livebot_rate_limit"))]


def test_a_counter_never_falls():
    """A symbol leaves the universe and takes its restarts with it: Prometheus would count the others again."""
    families = Families()
    restarts = []
    for now in (3, 5, 2, 4):
        found = told(a_status(counts={"restarts": now}), families=families)
        restarts.append(of(found, "livebot_worker_restarts_total"))
    assert restarts == [3, 5, 5, 7]


def test_what_runs_is_told_once():
    (key,) = [key for key in told() if key[0] == "livebot_build_info"]
    labels = dict(key[1:])
    assert (labels["market"], labels["mode"], labels["exchange"]) == ("perpetual", "paper", "simulator")
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", labels["version"])
    assert re.fullmatch(r"3\.\d+\.\d+", labels["python"])


def test_nothing_an_outsider_words_becomes_a_label():
    """Errors, reasons and signal ids may hold anything; only names of the config and words of the code are labels."""
    planted = "planted secret"
    status = a_status(
        state_reason=planted,
        problems=(planted,),
        unprotected=(planted,),
        symbols=(a_symbol(last_error=planted, signals=(a_signal(signal_id=planted),)),),
    )
    assert planted not in str(told(status))


def test_a_name_with_quotes_stays_one_label():
    name = 'A"B\\C\nD'
    found = told(a_status(symbols=(a_symbol(name),)))
    assert name in of(found, "livebot_symbol_candle_age_seconds")


def test_every_series_of_two_systems_is_told_apart():
    one, other = (list(Families().of(replace(a_status(), system=name), some_measurements())) for name in ("a", "b"))
    labels = [{sample.labels["system"] for family in made for sample in family.samples} for made in (one, other)]
    assert labels == [{"a"}, {"b"}]
