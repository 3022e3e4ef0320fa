"""The frame of the benchmarks: what is made of several runs, and that nothing slow is called met."""

import asyncio
import json
import time

import pytest

from tests.benchmarks import __main__ as command
from tests.benchmarks.frame import Benchmark, LagProbe, Measured, NotHere, is_met, line_of, machine, over_runs, quantile


def benchmark(measure=lambda: over_runs([{"p99_ms": 4.0}]), name="quick"):
    return Benchmark(name=name, unit="ms", target={"p99_ms": 5}, measure=measure)


def test_a_quantile_is_one_of_the_values():
    hundred = list(range(100, 0, -1))
    assert (50, 99, 100) == (quantile(hundred, 0.5), quantile(hundred, 0.99), quantile(hundred, 1))
    assert quantile([7], 0.01) == 7


def test_of_several_runs_the_median_counts_and_the_spread_is_told():
    measured = over_runs([{"p99_ms": 3.0, "closes": 8}, {"p99_ms": 90.0, "closes": 8}, {"p99_ms": 4.0, "closes": 8}])
    assert measured == Measured(
        values={"p99_ms": 4.0, "closes": 8.0}, spread={"p99_ms": (3.0, 90.0), "closes": (8.0, 8.0)}, runs=3
    )


@pytest.mark.parametrize(("p50", "p99", "met"), [(60, 150, True), (60.1, 1, False), (1, 150.1, False)])
def test_nothing_may_be_above_its_target(p50, p99, met):
    assert met == is_met({"p50_ms": 60, "p99_ms": 150}, {"p50_ms": p50, "p99_ms": p99, "other": 1e9})


def test_a_line_is_one_json_object():
    line = line_of(benchmark(), over_runs([{"p99_ms": 4.0}]), {"cores": 2})
    assert "\n" not in line
    assert json.loads(line) == {
        "benchmark": "quick",
        "measured": {"p99_ms": 4.0, "unit": "ms", "spread": {"p99_ms": [4.0, 4.0]}},
        "target": {"p99_ms": 5},
        "met": True,
        "runs": 1,
        "machine": {"cores": 2},
    }


def test_the_machine_is_told():
    assert {"cores", "python", "load", "idle_lag_p99_ms"} == machine().keys()


async def test_a_loop_that_is_held_up_is_late_all_the_while():
    probe = LagProbe()
    watching = asyncio.create_task(probe.run())
    await asyncio.sleep(0.01)
    probe.forget()
    time.sleep(0.1)
    await asyncio.sleep(0.01)
    watching.cancel()
    assert probe.maximum_ms > 80
    assert 60 < probe.p99_ms <= probe.maximum_ms


def test_a_probe_that_saw_nothing_says_zero():
    assert (LagProbe().p99_ms, LagProbe().maximum_ms) == (0.0, 0.0)


def test_one_that_cannot_run_fails_the_command_and_not_the_others(monkeypatch, capsys):
    def broken():
        raise RuntimeError("no disk")

    monkeypatch.setattr(command, "ALL", (benchmark(broken, "broken"), benchmark()))
    assert command.main([]) == 1
    told = capsys.readouterr()
    assert "broken: RuntimeError: no disk" in told.err
    assert [json.loads(line)["benchmark"] for line in told.out.splitlines()] == ["quick"]
    assert command.main(["quick"]) == 0


def test_one_that_lacks_what_it_measures_is_left_out_by_name(monkeypatch, capsys):
    def lacking():
        raise NotHere("there are no candles")

    monkeypatch.setattr(command, "ALL", (benchmark(lacking, "real"), benchmark()))
    assert command.main([]) == 0
    told = capsys.readouterr()
    assert told.err == "real: left out, there are no candles\n"
    assert [json.loads(line)["benchmark"] for line in told.out.splitlines()] == ["quick"]


def test_a_name_that_there_is_not_is_told(capsys):
    assert command.main(["nothing"]) == command.EXIT_USAGE
    assert "candle_to_decision" in capsys.readouterr().err


def test_what_is_slow_fails_nothing(monkeypatch, capsys):
    monkeypatch.setattr(command, "ALL", (benchmark(lambda: over_runs([{"p99_ms": 5.5}])),))
    assert command.main([]) == 0
    assert json.loads(capsys.readouterr().out)["met"] is False
