"""The drift watch in a daemon: what it is fed, what it tells, and what it asks the training for."""

import asyncio
import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import structlog

from livebot.adapters.ledger.ledger import SqlLedger
from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.bootstrap.drift_looks import OVERDUE, DriftLooks
from livebot.bootstrap.model_drift import FILE_SOURCE, TOLD_FOR_MS, ModelDrift
from livebot.bootstrap.models import DaemonModels
from livebot.core.facts import NO_EXPOSURE, Fact, SignalClosed, SignalOpening
from livebot.core.market import Side
from livebot.core.signal import CloseReason
from livebot.errors import Fatal
from livebot.learning.drift import DriftTerms
from livebot.learning.due import Trigger, read_triggers, write_triggers
from livebot.learning.registry import Registry
from livebot.model_ports import Judgement, Question
from tests.test_bootstrap_models import BTC, ETH, NAME, Scene, about
from tests.trained_models import END_MS, HOUR_MS
from tests.virtual_loop import REAL_WAIT_S

WHERE = f"drift:{NAME}"


def trade(number: int, model: str, *, won: bool, confidence: float = 0.7) -> tuple[Fact, ...]:
    """A signal from its beginning to its end."""
    shared = {"strategy": NAME, "symbol": BTC, "ts_ms": END_MS + number, "signal_id": f"{NAME}/{BTC}#{number}"}
    shared |= {"side": Side.LONG, "exposure": NO_EXPOSURE}
    opening = SignalOpening(
        **shared,
        sequence=2 * number - 1,
        quantity=Decimal(1),
        reference_price=Decimal(10),
        stop_loss=Decimal(9),
        take_profit=Decimal(12),
        confidence=confidence,
        reason="",
        model=model,
    )
    closed = SignalClosed(
        **shared,
        sequence=2 * number,
        reason=CloseReason.TAKE_PROFIT if won else CloseReason.STOP_LOSS,
        opened_ms=END_MS + number,
        quantity=Decimal(1),
        entry_price=Decimal(10),
        exit_price=Decimal(11),
        fees=Decimal(0),
        pnl_net=Decimal(1 if won else -1),
        pnl_ratio=Decimal("0.1"),
    )
    return opening, closed


def watch(folder: Path) -> ModelDrift:
    folder.mkdir(exist_ok=True)
    return ModelDrift(DriftTerms(), Registry(folder / "models"), folder, "demo")


@pytest.fixture
def named(tmp_path: Path) -> str:
    return Scene(tmp_path, "{strategies: [ema_cross]}").save()


def test_a_model_that_loses_is_told_asks_for_a_training_and_is_mended_by_a_new_version(
    tmp_path: Path, named: str
) -> None:
    drift = watch(tmp_path)
    for number in range(1, 61):
        drift.hear(trade(number, named, won=number % 3 == 0))
    found = drift.look(77)
    sentence = found[WHERE]
    assert sentence is not None
    assert named in sentence
    assert drift.figures[NAME]["hit_rate"] == pytest.approx(1 / 3)
    assert drift.figures[NAME]["expected_hit_rate"] == pytest.approx(0.7)
    (trigger,) = read_triggers(tmp_path, "demo")
    assert (trigger.strategy, trigger.model, trigger.since_ms) == (NAME, named, 77)
    drift.look(99)
    assert read_triggers(tmp_path, "demo") == (trigger,)
    newer = Scene(tmp_path, "{strategies: [ema_cross]}").save(seed=2, number=2)
    drift.hear(trade(70, newer, won=True))
    assert drift.look(111)[WHERE] is None
    assert read_triggers(tmp_path, "demo") == ()


def test_the_figures_in_what_is_told_change_once_an_hour_and_not_with_each_trade(tmp_path: Path, named: str) -> None:
    drift, numbers = watch(tmp_path), iter(range(1, 1_000))

    def look(now_ms: int, trades: int = 30) -> str | None:
        for _ in range(trades):
            number = next(numbers)
            drift.hear(trade(number, named, won=number % 3 == 0 and number <= 60))
        return drift.look(now_ms)[WHERE]

    first = look(0, 60)
    assert first is not None
    assert look(TOLD_FOR_MS - 1) == first
    assert look(TOLD_FOR_MS) not in (first, None)


def test_one_that_wins_as_often_as_it_says_is_left_alone(tmp_path: Path, named: str) -> None:
    drift = watch(tmp_path)
    for number in range(1, 61):
        drift.hear(trade(number, named, won=number % 10 < 7))
    assert drift.look(77) == {WHERE: None, FILE_SOURCE: None}
    assert not (tmp_path / "drift.json").exists()


def test_what_it_looks_at_is_compared_with_its_training(tmp_path: Path, named: str) -> None:
    """Here one of them stands still where it used to move; a model that is not there is passed over."""
    drift = watch(tmp_path)
    for number in range(400):
        answer = Judgement(confidence=0.5 + number % 7 / 100, model=named)
        drift.saw((about(BTC),), (answer,))
        drift.saw((about(BTC),), (Judgement(confidence=0.5, model="ema_cross2/20260101T000000Z-0123abcd"),))
    sentence = drift.look(77)[WHERE]
    assert sentence is not None
    assert "has moved away from its training" in sentence
    assert drift.figures[NAME]["feature_stability"] > 0.25


async def record(ledger: Path, facts: list[Fact]) -> None:
    made = SqlLedger(ledger, "demo")
    await made.record(facts, ())
    await made.close()


def losses(model: str, since: int = 0) -> list[Fact]:
    return [fact for number in range(since + 1, since + 61) for fact in trade(number, model, won=number % 3 == 0)]


def test_what_was_traded_before_a_restart_counts(tmp_path: Path, named: str) -> None:
    """From the ledger, once; without one nothing does."""
    ledger = tmp_path / "ledger.sqlite"
    drift = watch(tmp_path)
    drift.recall(ledger, {named: END_MS}, END_MS + HOUR_MS)
    assert drift.look(77) == {FILE_SOURCE: None}
    asyncio.run(record(ledger, losses(named)))
    drift.recall(ledger, {named: END_MS}, END_MS + HOUR_MS)
    assert drift.look(77)[WHERE] is not None
    late = watch(tmp_path / "late")
    late.recall(ledger, {named: END_MS + 1_000_000}, END_MS + HOUR_MS)
    assert late.look(77) == {FILE_SOURCE: None}


def test_a_market_from_before_the_training_is_recalled_whole(tmp_path: Path, named: str) -> None:
    """Such as one that is replayed with a model of today."""
    ledger = tmp_path / "ledger.sqlite"
    asyncio.run(record(ledger, losses(named)))
    drift = watch(tmp_path)
    drift.recall(ledger, {named: END_MS + 1_000 * HOUR_MS}, END_MS + HOUR_MS)
    assert drift.look(77)[WHERE] is not None


def test_hours_that_were_replayed_under_another_version_do_not_drive_out_what_is_recalled(
    tmp_path: Path, named: str
) -> None:
    """In the order of the market's time the trades of both stand in turn."""
    ledger, older = tmp_path / "ledger.sqlite", f"{NAME}/20200101T000000Z-0123abcd"
    facts = losses(named)
    again = [replace(fact, symbol=ETH, signal_id=f"other#{fact.signal_id}") for fact in losses(older)]
    asyncio.run(record(ledger, [*facts, *again]))
    drift = watch(tmp_path)
    drift.recall(ledger, {named: END_MS}, END_MS + HOUR_MS)
    assert drift.look(77)[WHERE] is not None
    assert drift.figures[NAME]["hit_rate"] == pytest.approx(1 / 3)


async def test_a_daemon_recalls_by_the_markets_time_not_by_when_a_version_was_made(tmp_path: Path) -> None:
    """Its market is years behind the clock on the wall, at which its model was made."""
    scene = Scene(tmp_path, "{strategies: [ema_cross]}")
    async with scene.opened:
        name = scene.save(number=3 * 365 * 24 * 60)
        assert Registry(scene.paths.models).manifest(*name.split("/")).created_ms > scene.clock.now_ms()
        await record(scene.paths.ledger, losses(name))
        models = scene.make()
        await models.begin()
        await models.begin()
        sentence = scene.problems.of(WHERE)
        assert sentence is not None
        assert "wins less often than it says" in sentence


class Held:
    """Stands in a call of ModelDrift's until it may go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
        self.go, self.calls, self.ended = threading.Event(), 0, 0
        self._do, have = getattr(ModelDrift, what), DriftLooks._have
        # and not LOOK_S: a busy machine takes longer than that to load a model
        monkeypatch.setattr(DriftLooks, "_have", lambda looks, work, what, _: have(looks, work, what, 0.05))
        monkeypatch.setattr(ModelDrift, what, lambda *given: self(*given))

    def __call__(self, *given: object) -> object:
        self.calls += 1
        self.go.wait(REAL_WAIT_S)
        self.ended += 1
        return self._do(*given)


def in_use(models: DaemonModels) -> str:
    (status,) = models.status()
    return f"{status.scope}/{status.version}"


async def test_a_ledger_that_takes_long_to_read_does_not_hold_up_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open positions wait to be managed; what it tells in the end counts as ever."""
    held = Held(monkeypatch, "recall")
    scene = Scene(tmp_path, "{strategies: [ema_cross], threshold: 0.01, serving: {poll_seconds: 0.01}}")
    async with scene.opened:
        name = scene.save()
        await record(scene.paths.ledger, losses(name))
        models = scene.make()
        async with asyncio.timeout(REAL_WAIT_S):
            await models.begin()
        sentence = scene.problems.of(OVERDUE)
        assert sentence is not None
        assert "takes longer than 0.05 s" in sentence
        assert "ledger" in sentence
        assert in_use(models) == name
        watching = asyncio.create_task(models.run())
        newer = scene.save(seed=2, number=2)
        async with asyncio.timeout(REAL_WAIT_S):
            while in_use(models) != newer:
                await asyncio.sleep(0.01)
        assert (scene.problems.of(OVERDUE), held.calls) == (sentence, 1)
        held.go.set()
        async with asyncio.timeout(REAL_WAIT_S):
            while scene.problems.of(OVERDUE) is not None or scene.problems.of(WHERE) is None:
                await asyncio.sleep(0.01)
        watching.cancel()
    assert held.calls == 1


async def test_a_ledger_that_cannot_be_read_is_logged_and_the_watch_begins_anew(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "{strategies: [ema_cross], threshold: 0.01}")
    async with scene.opened:
        trigger = asked_before(scene.paths.state, scene.save())
        scene.paths.ledger.write_bytes(b"no ledger" * 1_000)
        models = scene.make()
        with structlog.testing.capture_logs() as lines:
            await models.begin()
        (line,) = [line for line in lines if line["event"] == "drift_not_watched"]
        assert "ledger" in line["what"]
        assert scene.problems.of(OVERDUE) is None
        assert scene.problems.of(WHERE) == trigger.why


async def test_a_look_at_the_drift_that_hangs_is_told_and_new_versions_are_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one look at a time, neither start nor stop waits for it, and it is looked at as ever when it has come back."""
    monkeypatch.setattr("livebot.bootstrap.models.STOP_S", 0.05)
    held = Held(monkeypatch, "look")
    scene = Scene(tmp_path, "{strategies: [ema_cross], threshold: 0.01, serving: {poll_seconds: 0.01}}")
    async with scene.opened:
        scene.save()
        models = scene.make()
        async with asyncio.timeout(REAL_WAIT_S):
            await models.begin()
        watching = asyncio.create_task(models.run())
        newer = scene.save(seed=2, number=2)
        async with asyncio.timeout(REAL_WAIT_S):
            while in_use(models) != newer:
                await asyncio.sleep(0.01)
        sentence = scene.problems.of(OVERDUE)
        assert sentence is not None
        assert "takes longer than 0.05 s" in sentence
        assert "new versions are taken up" in sentence
        assert held.calls == 1
        held.go.set()
        async with asyncio.timeout(REAL_WAIT_S):
            while scene.problems.of(OVERDUE) is not None or held.calls < 3:
                await asyncio.sleep(0.01)
        held.go.clear()
        calls = held.calls
        async with asyncio.timeout(REAL_WAIT_S):
            while held.calls == calls:
                await asyncio.sleep(0.01)
        watching.cancel()
    assert held.ended == calls
    held.go.set()


# ---------------------------------------------------------------- what it asked for before a restart


def asked_before(folder: Path, model: str) -> Trigger:
    trigger = Trigger(strategy=NAME, model=model, why=f"model {model} wears out: said before", since_ms=5)
    write_triggers(folder, "demo", (trigger,), SystemFiles())
    return trigger


def seen(drift: ModelDrift, model: str, count: int) -> None:
    """Answers of a model, so many."""
    for _ in range(count):
        drift.saw((about(BTC),), (Judgement(confidence=0.5, model=model),))


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is seen has moved."""
    monkeypatch.setattr("livebot.learning.drift.stability_bound", lambda *_: 1e9)


def test_a_request_from_before_a_restart_stands_until_there_is_enough_to_judge_by(
    tmp_path: Path, named: str, calm: None
) -> None:
    drift, trigger = watch(tmp_path), asked_before(tmp_path, named)
    assert drift.look(77) == {WHERE: trigger.why, FILE_SOURCE: None}
    seen(drift, named, DriftTerms().minimum_trades - 1)
    assert drift.look(78)[WHERE] == trigger.why
    assert read_triggers(tmp_path, "demo") == (trigger,)
    seen(drift, named, 1)
    assert drift.look(79) == {WHERE: None, FILE_SOURCE: None}
    assert read_triggers(tmp_path, "demo") == ()


def test_a_request_from_before_a_restart_is_not_made_anew_if_the_model_still_wears_out(
    tmp_path: Path, named: str
) -> None:
    drift, trigger = watch(tmp_path), asked_before(tmp_path, named)
    for fact in losses(named):
        drift.hear((fact,))
    assert "wins less often" in str(drift.look(77)[WHERE])
    assert read_triggers(tmp_path, "demo") == (trigger,)  # since when it has worn out is known from before


def test_a_request_for_a_model_that_is_no_longer_in_use_is_withdrawn(tmp_path: Path, named: str) -> None:
    asked_before(tmp_path, named)
    newer = Scene(tmp_path, "{strategies: [ema_cross]}").save(seed=2, number=2)
    assert newer != named
    drift = watch(tmp_path)
    assert drift.look(77) == {FILE_SOURCE: None}
    assert read_triggers(tmp_path, "demo") == ()


def test_a_request_for_one_that_nobody_can_say_of_whether_it_is_in_use_stands(tmp_path: Path, named: str) -> None:
    trigger = asked_before(tmp_path, named)
    (tmp_path / "models" / NAME / "current").write_text("nonsense")
    assert watch(tmp_path).look(77)[WHERE] == trigger.why


def test_a_damaged_file_of_requests_is_written_anew(tmp_path: Path, named: str) -> None:
    (tmp_path / "drift.json").write_bytes(b"nothing")
    assert watch(tmp_path).look(77) == {FILE_SOURCE: None}
    assert read_triggers(tmp_path, "demo") == ()


def test_a_request_that_cannot_be_written_is_told_and_written_later(
    tmp_path: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise Fatal("cannot write drift.json: No space left on device")

    drift = watch(tmp_path)
    for number in range(1, 61):
        drift.hear(trade(number, named, won=False))
    with monkeypatch.context() as broken:
        broken.setattr("livebot.bootstrap.model_drift.write_triggers", full)
        text = drift.look(77)[FILE_SOURCE]
        assert text is not None
        assert "No space left" in text
    assert drift.look(88)[FILE_SOURCE] is None
    assert len(read_triggers(tmp_path, "demo")) == 1


async def test_a_daemon_feeds_it(tmp_path: Path) -> None:
    """From the answers that its models give, and from the bus."""
    scene = Scene(tmp_path, "{strategies: [ema_cross], threshold: 0.01}")
    async with scene.opened:
        name = scene.save()
        models = scene.make()
        await models.begin()
        for _ in range(200):
            models.judge((about(BTC),), END_MS)
        (listener,) = models.listeners
        for number in range(1, 61):
            listener.hear(trade(number, name, won=False))
        await models.begin()
        sentence = scene.problems.of(WHERE)
        assert sentence is not None
        assert "moved away" in sentence
        assert models.drift[NAME]["hit_rate"] == 0
    off = Scene(tmp_path, "{strategies: [ema_cross], drift: {enabled: false}}")
    async with off.opened:
        quiet = off.make()
        assert quiet.listeners == ()
        assert quiet.drift == {}
        question = Question(strategy=NAME, symbol=BTC, side=Side.LONG, close_ms=END_MS, evidence=())
        assert quiet.judge((question,), END_MS)[0].refused is not None
