"""What the daemon's alerts are made of, and how they begin and end with it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from livebot import bootstrap
from livebot.adapters.ledger.ledger import SqlLedger
from livebot.bootstrap import alerts as wiring
from livebot.bootstrap.alerts import DaemonAlerts, channels_of, send_tests
from livebot.config.alerts import AlertsConfig
from livebot.core.denial import TradingState
from livebot.errors import BadInput, Fatal
from livebot.ops.alerts.sentences import DayFigures
from livebot.runtime.problems import Problems
from livebot.runtime.shutdown import Shutdown
from tests.adapters.webhook import Webhook
from tests.config.texts import MINIMAL
from tests.ops.alerts.told import NOW_MS, closed, denied
from tests.runtime.harness import BTC, World, always, never, run
from tests.virtual_loop import settle

PLANTED = "Pl4ntedT0ken"
PHONE = "LIVEBOT_ALERT_PHONE"
NOWHERE = Path("no-such-folder/last_failure")
SECTION = AlertsConfig.model_validate(
    {"channels": [{"name": "phone", "url_from": PHONE}], "gather_seconds": 0, "grace_seconds": 0}
)


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with Webhook() as made:
        yield made


def nothing(source: str, sentence: str | None) -> None:
    """A log that nobody reads."""


def test_without_channels_nothing_is_there():
    async def main() -> None:
        async with DaemonAlerts("spot-1", AlertsConfig(), {}, NOWHERE) as alerts:
            assert alerts.listeners == ()
            assert alerts.changed(nothing) is nothing
            system: Any = SimpleNamespace()
            alerts.watch(system, system, Path("nowhere"))

    asyncio.run(main())


def test_all_that_is_wrong_with_channels_is_told_at_once():
    section = AlertsConfig.model_validate(
        {
            "channels": [
                {"name": "a", "url_from": "LIVEBOT_ALERT_A"},
                {"name": "b", "url_from": "LIVEBOT_ALERT_B"},
                {"name": "c", "url_from": "LIVEBOT_ALERT_C"},
            ]
        }
    )
    urls = {"LIVEBOT_ALERT_B": f"nothing://{PLANTED}", "LIVEBOT_ALERT_C": "json://127.0.0.1"}
    with pytest.raises(BadInput) as refused:
        channels_of(section, urls)
    first, second = str(refused.value).splitlines()
    assert first.startswith("alerts: channel a has no URL; set LIVEBOT_ALERT_A")
    assert second.startswith("b: URL 1 is not one that apprise understands")
    assert PLANTED not in str(refused.value)


def test_check_says_what_is_wrong_with_channels_and_sends_nothing(
    tmp_path: Path, hook: Webhook, monkeypatch: pytest.MonkeyPatch
):
    config = tmp_path / "config.yaml"
    config.write_text(MINIMAL + f"alerts: {{channels: [{{name: phone, url_from: {PHONE}}}]}}\n")
    assert bootstrap.check(config, None) == [
        f"alerts: channel phone has no URL; set {PHONE} in the environment, or as a credential of the service (systemd "
        "LoadCredential=); never write it into the config"
    ]
    monkeypatch.setenv(PHONE, f"nothing://{PLANTED}")
    (said,) = bootstrap.check(config, None)
    assert "not one that apprise understands" in said and PLANTED not in said
    monkeypatch.setenv(PHONE, hook.url())
    assert bootstrap.check(config, None) == []
    assert hook.tries == 0


def test_a_test_says_what_came_of_each_channel(hook: Webhook):
    with Webhook() as broken:
        broken.code = 500
        section = AlertsConfig.model_validate(
            {
                "channels": [
                    {"name": "phone", "url_from": PHONE, "minimum": "critical"},
                    {"name": "mail", "url_from": "LIVEBOT_ALERT_MAIL"},
                ]
            }
        )
        environ = {PHONE: hook.url(), "LIVEBOT_ALERT_MAIL": broken.url()}
        phone, mail = send_tests("spot-1", section, None, environ)
        assert (phone.channel, phone.why) == ("phone", None)
        assert mail.channel == "mail" and mail.why is not None and "error=500" in mail.why
        (only,) = send_tests("spot-1", section, "phone", environ)
        assert only.why is None
        assert hook.taken[0]["title"] == "livebot spot-1: test"
        assert len(hook.taken) == 2


@pytest.mark.parametrize(
    ("section", "channel", "sentence"),
    [
        (AlertsConfig(), None, "alerts.channels is empty"),
        (SECTION, "mail", "alerts: there is no channel mail; there is phone"),
    ],
)
def test_a_test_of_nothing_is_refused(section: AlertsConfig, channel: str | None, sentence: str):
    with pytest.raises(BadInput, match=sentence):
        send_tests("spot-1", section, channel, {PHONE: "json://127.0.0.1:1"})


class Told:
    """A channel that keeps what it is told; takes the place of apprise."""

    name = "phone"

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def send(self, title: str, body: str, level: str) -> None:
        self.lines += body.splitlines()

    def has(self, text: str) -> bool:
        return any(text in line for line in self.lines)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    channel = Told()

    def channels(section: AlertsConfig, environ: Mapping[str, str]) -> list[Told]:
        return [channel]

    monkeypatch.setattr(wiring, "channels_of", channels)
    return channel


def with_daemon(
    world: World, told: Told, story: Callable[[DaemonAlerts, Any, Shutdown], Any], section: AlertsConfig = SECTION
) -> None:
    """A daemon in memory with the alerts of the section, ready when the story begins."""

    async def main() -> None:
        shutdown = Shutdown(close_gate=lambda: None)
        with capture_logs():
            async with DaemonAlerts("spot-1", section, {}, NOWHERE) as alerts:
                process = world.process(listeners=alerts.listeners)
                system = process.system
                system.problems._changed = alerts.changed(nothing)
                alerts.watch(system, shutdown, Path("no-ledger.sqlite"))
                await process.until_ready()
                await story(alerts, process, shutdown)
                if not process.task.done():
                    await process.end()
                shutdown.cause = shutdown.cause or "SIGTERM"

    run(main())


def test_what_a_daemon_lives_through_is_told_from_its_start_to_its_end(told: Told):
    async def story(alerts: DaemonAlerts, process: Any, shutdown: Shutdown) -> None:
        await asyncio.sleep(30)
        await process.control.halt("the operator's wish")
        await asyncio.sleep(5)
        await process.control.unhalt("all is well")
        await asyncio.sleep(5)

    with_daemon(World(strategies={"always": always}, speed=60), told, story)
    text = "\n".join(told.lines)
    assert "the daemon runs: perpetual on" in text
    assert "opened long" in text
    assert "trading is HALTED: the operator's wish" in text
    assert "trading is ACTIVE again" in text
    assert told.lines[-1].split(" ", 1)[1].startswith("WARNING the daemon stops (SIGTERM); ")


def test_a_worker_that_fails_and_comes_back_is_told_and_one_in_quarantine_as_that(told: Told):
    async def story(alerts: DaemonAlerts, process: Any, shutdown: Shutdown) -> None:
        process.portfolio.blocks.quarantine(BTC, "too often")
        process.system.observations.failed(BTC, "KeyError: yes")
        await asyncio.sleep(5)
        assert not told.has("KeyError: yes")
        process.portfolio.blocks.lift_quarantine(BTC)
        process.system.observations.failed(BTC, "ValueError: no")
        await asyncio.sleep(5)
        assert told.has(f"{BTC}: its worker failed (ValueError: no)")

    with_daemon(World(strategies={"never": never}, speed=60), told, story)


def test_a_day_without_a_ledger_is_told_to_be_missing(told: Told):
    """And nobody else notices."""

    async def story(alerts: DaemonAlerts, process: Any, shutdown: Shutdown) -> None:
        await asyncio.sleep(1500)
        assert told.has("the day cannot be summed up")

    with_daemon(World(strategies={"never": never}, speed=60), told, story)


def test_a_day_is_summed_up_from_the_ledger(tmp_path: Path):
    """Of that day alone, also what an earlier process did; what is open and worth is as of now."""
    path = tmp_path / "ledger.sqlite"
    day_ms = 86_400_000
    moments = (NOW_MS - 1, NOW_MS, NOW_MS + day_ms - 1, NOW_MS + day_ms)
    facts = [
        replace(closed(number=number, pnl=pnl), ts_ms=ts_ms)
        for number, (pnl, ts_ms) in enumerate(zip(("100", "7", "-2", "100"), moments, strict=True), start=1)
    ]
    codes = ("paused", "open_signals", "open_signals", "paused")
    decisions = [
        replace(denied(code=code), ts_ms=ts_ms, close_ms=ts_ms) for code, ts_ms in zip(codes, moments, strict=True)
    ]
    decisions.append(replace(denied(code="", outcome="approved"), ts_ms=NOW_MS, close_ms=NOW_MS + 5))

    async def main() -> DayFigures:
        ledger = SqlLedger(path, "spot-1")
        await ledger.record(facts, decisions)
        await ledger.close()
        portfolio = SimpleNamespace(equity=Decimal(1000), open_signals=3, trading_state=TradingState.REDUCING)
        system: Any = SimpleNamespace(portfolio=portfolio)
        return await wiring._Days(system, path).figures(NOW_MS, NOW_MS + day_ms)

    assert asyncio.run(main()) == DayFigures(
        trades=2,
        wins=1,
        pnl_net=Decimal(5),
        best=Decimal(7),
        worst=Decimal(-2),
        denials={"open_signals": 2},
        equity=Decimal(1000),
        open_signals=3,
        trading_state="REDUCING",
    )


def test_an_end_by_an_error_is_told_with_the_error(told: Told):
    async def main(error: Exception) -> None:
        with pytest.raises(type(error)):
            async with DaemonAlerts("spot-1", SECTION, {}, NOWHERE):
                raise error

    run(main(Fatal("candles have stopped: no route")))
    run(main(ValueError("a bug")))
    first, second = told.lines
    assert "CRITICAL candles have stopped: no route.  The daemon has ended;" in first
    assert "CRITICAL ValueError: a bug." in second


def test_a_service_that_fails_at_each_start_tells_it_now_and_then(told: Told, tmp_path: Path):
    """And at once if it fails for another reason; a damaged memory makes it news, and the memory holds no text."""
    memory = tmp_path / "last_failure"

    async def start(why: str) -> None:
        with pytest.raises(Fatal):
            async with DaemonAlerts("spot-1", SECTION, {}, memory):
                raise Fatal(why)

    for why in ("a", "a", "b", "b"):
        run(start(why))
    assert [line.split()[2] for line in told.lines] == ["a.", "b."]
    memory.write_text("nonsense")
    run(start("b"))
    digest, told_ms = memory.read_text().split()
    memory.write_text(f"{digest} {int(told_ms) - SECTION.repeat_minutes * 60_000}")
    run(start("b"))
    assert len(told.lines) == 4


def test_a_fault_in_the_alerts_is_a_problem_and_passes(told: Told):
    """It ends nothing: it is told, and a minute later they begin anew."""

    async def main() -> None:
        async with DaemonAlerts("spot-1", SECTION, {}, NOWHERE) as alerts:
            problems = Problems()
            alerts._report = problems.report
            calls = 0

            async def work() -> None:
                nonlocal calls
                calls += 1
                if calls == 1:
                    raise KeyError("x")

            alerts._begin("work", work)
            await settle()
            (said,) = problems.sentences()
            assert said.startswith("alerts have failed (KeyError, see the log)")
            await asyncio.sleep(61)
            assert problems.sentences() == ()
            assert calls == 2

    with capture_logs():
        run(main())


def test_a_fault_before_there_is_a_daemon_is_survived(told: Told):
    async def main() -> None:
        async with DaemonAlerts("spot-1", SECTION, {}, NOWHERE) as alerts:

            async def work() -> None:
                raise KeyError("x")

            alerts._begin("work", work)
            await asyncio.sleep(1)

    with capture_logs():
        run(main())


def test_a_hurried_stop_hardly_waits(monkeypatch: pytest.MonkeyPatch, told: Told):
    async def hang(title: str, body: str, level: str) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(told, "send", hang)

    async def main() -> None:
        async with DaemonAlerts("spot-1", SECTION, {}, NOWHERE) as alerts:
            alerts._shutdown = Shutdown(close_gate=lambda: None)
            alerts._shutdown.hurry.set()
            alerts.changed(nothing)("trading_state", "trading is HALTED: x")
            await asyncio.sleep(2)
            begun = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - begun < 1

    with capture_logs():
        run(main())
