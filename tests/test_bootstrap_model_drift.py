"""The drift watch in a daemon: what it is fed, what it tells, and what it asks the training for."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from livebot.adapters.ledger.ledger import SqlLedger
from livebot.bootstrap.model_drift import FILE_SOURCE, ModelDrift
from livebot.core.facts import NO_EXPOSURE, Fact, SignalClosed, SignalOpening
from livebot.core.market import Side
from livebot.core.signal import CloseReason
from livebot.errors import Fatal
from livebot.learning.drift import DriftTerms
from livebot.learning.due import read_triggers
from livebot.learning.registry import Registry
from livebot.model_ports import Judgement, Question
from tests.test_bootstrap_models import BTC, NAME, Scene, about
from tests.trained_models import END_MS

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


def test_what_was_traded_before_a_restart_counts(tmp_path: Path, named: str) -> None:
    """From the ledger, once; without one nothing does."""
    ledger = tmp_path / "ledger.sqlite"
    facts = [fact for number in range(1, 61) for fact in trade(number, named, won=number % 3 == 0)]

    async def record() -> None:
        made = SqlLedger(ledger, "demo")
        await made.record(facts, ())
        await made.close()

    drift = watch(tmp_path)
    drift.recall(ledger, 0)
    assert drift.look(77) == {FILE_SOURCE: None}
    asyncio.run(record())
    drift.recall(ledger, 0)
    assert drift.look(77)[WHERE] is not None
    late = watch(tmp_path)
    late.recall(ledger, END_MS + 1_000_000)
    assert late.look(77) == {FILE_SOURCE: None}


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
