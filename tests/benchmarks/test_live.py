"""The numbers of the benchmarks of a live daemon: what is made of notes and samples, and that nothing missing is called met."""

import pytest

from tests.benchmarks import order_wire, soak
from tests.benchmarks.frame import is_met

SECONDS = 200
NOTES = ("decided", "saving", "durable", "submitted", "signed", "sent", "arrived")


def way(number, *, took_ms=(0.3, 1.0, 0.2, 0.5, 0.6, 0.4), **more):
    """The notes of an entry, a second after the one before."""
    notes, at = {}, number * 1_000_000_000
    for name, ms in zip(NOTES, (0, *took_ms), strict=True):
        at += round(ms * 1_000_000)
        notes[name] = at
    return notes | more


def samples(grows_mb=0.0, above=()):
    """One a second; the first half grows a lot."""
    return [
        {
            "at_s": float(second),
            "resident_mb": 150.0 + min(second, SECONDS / 2) + max(second / SECONDS - 0.5, 0) * 2 * grows_mb,
            "blocks": 1_000_000,
            "objects": 5000,
            "heard": 1000 * second,
            "largest": 64,
            "above": list(above),
        }
        for second in range(SECONDS)
    ]


def test_the_way_of_an_order_is_divided_into_its_parts():
    notes = {str(number): way(number) for number in range(40)}
    slow = way(20, took_ms=(0.3, 50.0, 0.2, 0.5, 0.6, 0.4))
    found = order_wire.numbers_of(notes | {"20": slow})
    assert (found["p50_ms"], found["p99_ms"], found["orders"]) == pytest.approx((3.0, 52.0, 30))
    assert (found["out_p50_ms"], found["out_p99_ms"]) == pytest.approx((2.6, 51.6))
    assert (found["saving_p50_ms"], found["saving_p99_ms"], found["but_saving_p99_ms"]) == pytest.approx(
        (1.0, 50.0, 2.0)
    )
    assert sum(found[f"{part}_p50_ms"] for part in order_wire.PARTS) == pytest.approx(3.0)


def test_the_first_orders_and_what_is_no_entry_do_not_count():
    cold = {str(number): way(number, took_ms=(0.3, 900.0, 0.2, 0.5, 0.6, 0.4)) for number in range(order_wire.FORERUN)}
    warm = {str(number): way(number) for number in range(order_wire.FORERUN, 30)}
    others = {f"exit{number}": {"submitted": 1, "signed": 2, "arrived": 3} for number in range(20)}
    found = order_wire.numbers_of(warm | cold | others)
    assert (found["orders"], found["p99_ms"]) == pytest.approx((20, 3.0))


def test_a_request_was_out_before_it_arrived_however_late_that_was_noted():
    found = order_wire.numbers_of({str(number): way(number, took_ms=(0, 1, 0, 0, 5, -3)) for number in range(30)})
    assert (found["p50_ms"], found["out_p50_ms"], found["arriving_p50_ms"]) == pytest.approx((3.0, 3.0, 0.0))


def test_orders_that_never_arrive_are_an_error():
    notes = {str(number): way(number) for number in range(order_wire.FORERUN + 1)}
    with pytest.raises(RuntimeError, match="only 11 entries arrived"):
        order_wire.numbers_of(notes)


def test_a_bare_save_is_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(order_wire, "SAVE_EVERY_S", 0)
    took = order_wire.bare_saves(tmp_path / "bare")
    assert len(took) == order_wire.SAVES and min(took) > 0
    assert [file.name for file in (tmp_path / "bare").iterdir()] == ["state.json"]


@pytest.mark.parametrize(("grows_mb", "met"), [(0.0, True), (5.0, False)])
def test_only_the_second_half_counts_as_growth(grows_mb, met):
    found = soak.numbers_of(samples(grows_mb), 3.0)
    assert found["grown_mb"] == pytest.approx(0.8 * grows_mb, abs=0.1)
    assert found["messages_per_s"] == pytest.approx(1000)
    assert is_met(soak.BENCHMARK.target, found) is met


def test_a_cache_above_its_bound_is_not_met():
    found = soak.numbers_of(samples(above=["orders.orders 65"]), 3.0)
    assert not is_met(soak.BENCHMARK.target, found)


def test_a_soak_of_which_nothing_was_seen_is_an_error():
    with pytest.raises(RuntimeError, match="only 0 samples"):
        soak.numbers_of([], 3.0)
