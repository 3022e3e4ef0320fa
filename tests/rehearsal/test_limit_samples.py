"""What a daemon says of its limits, again and again: kept with its gaps, and judged where the gate holds it."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from livebot.adapters.ledger.ledger import SqlLedger
from livebot.ops.control.client import DaemonNotReached
from livebot.ports import Decision
from livebot.rehearsal import limit_samples
from livebot.rehearsal.files import read_denials
from livebot.rehearsal.limit_samples import LimitSamples
from livebot.reporting.limits_page import Used


def status(equity: str = "1000", **limits: tuple[str, str | None]) -> dict[str, Any]:
    told = [{"name": name, "used": used, "allowed": allowed} for name, (used, allowed) in limits.items()]
    return {"equity": equity, "limits": told}


def of(*answers: dict[str, Any]) -> LimitSamples:
    samples = LimitSamples(Path("nowhere"))
    for place, answer in enumerate(answers):
        samples.take(float(place), answer)
    return samples


def test_limits_that_are_set_are_kept_and_single_orders_left_out() -> None:
    samples = of(status(open_signals=("3", "5"), gross_exposure=("0.2", None), order_notional=("9", "10")))
    assert samples.samples[0].uses == {"open_signals": Used(Decimal(3), Decimal(5))}
    assert list(samples.above) == []


@pytest.mark.parametrize("name", ["open_signals", "open_signals_per_strategy", "open_signals_per_cluster"])
def test_a_count_above_its_bound_is_told_once(name: str) -> None:
    samples = of(*[status(**{name: ("6", "5")})] * 3)
    assert list(samples.above) == [f"{name}: the daemon says 6 are used, 5 are allowed"]


def test_a_ratio_counts_against_the_highest_equity_so_far() -> None:
    # 0.6 of 1000; after a loss of 100 the same is 0.667 of what is left
    assert not of(status("1000", gross_exposure=("0.6", "0.6")), status("900", gross_exposure=("0.667", "0.6"))).above
    exceeded = of(status("1000", gross_exposure=("0.62", "0.6"))).above
    assert list(exceeded) == ["gross_exposure: the daemon says 0.6200 of 1000.00 is used, 0.6 is allowed"]


def test_while_equity_is_not_known_no_ratio_of_it_is() -> None:
    samples = of(status("0", gross_exposure=("0", "0.6"), open_signals=("3", "5")))
    assert samples.samples[0].uses == {"open_signals": Used(Decimal(3), Decimal(5))}


def test_a_loss_is_drawn_and_not_judged() -> None:
    samples = of(status(drawdown=("0.3", "0.2")))
    assert samples.samples[0].uses == {"drawdown": Used(Decimal("0.3"), Decimal("0.2"))}
    assert not samples.above


async def test_while_nobody_answers_there_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, answers = LimitSamples(Path("nowhere")), [status(open_signals=("1", "5")), None, status()]

    def ask() -> dict[str, Any]:
        answer = answers.pop(0)
        if answer is None:
            raise DaemonNotReached("nobody there")
        return answer

    monkeypatch.setattr(samples._client, "status", ask)
    monkeypatch.setattr(limit_samples, "SAMPLE_EVERY_S", 0.0)
    monkeypatch.setattr(limit_samples, "SAMPLES_MAX", 3)
    await asyncio.wait_for(samples.run(), 60)
    assert [each.uses is None for each in samples.samples] == [False, True, False]
    assert samples.answered == 2


async def test_denials_are_counted_by_code(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    assert read_denials(path) == {}
    ledger = SqlLedger(path, "demo")
    given = [("denied", "open_signals"), ("denied", "open_signals"), ("denied", "paused"), ("approved", "approved")]
    decisions = [
        Decision(
            strategy="s",
            symbol="A",
            close_ms=60_000 * place,
            ts_ms=0,
            outcome=outcome,
            code=code,
            text="",
            side="long",
            confidence=None,
        )
        for place, (outcome, code) in enumerate(given)
    ]
    await ledger.record((), decisions)
    await ledger.close()
    assert read_denials(path) == {"open_signals": 2, "paused": 1}
