"""What the models in use answer, which version they are, and what is told when that changes."""

import math
import threading

import numpy as np
import pytest

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.core.market import Side
from livebot.errors import BadInput
from livebot.learning.coverage import TrainingQueue, queue_path, read_queue
from livebot.learning.registry import Registry
from livebot.learning.serving import ModelServing, NoteKind, ServedStrategy, ServingTerms, Untrained
from livebot.learning.spec import TrainingMode, TrainingSpec
from tests.adapters.layers import FailingFiles
from tests.learning.predictors_for_tests import (
    FEATURES,
    HOUR_MS,
    PACKAGES,
    START_MS,
    SYMBOLS,
    Failing,
    Linear,
    dataset,
    description,
    feature_set,
    fitted,
    question,
)
from tests.virtual_loop import REAL_WAIT_S

DAY_MS = 24 * HOUR_MS
SCOPE = "ema_cross"
NOW_MS = START_MS + 20 * DAY_MS
BLOCK, FALLBACK, PASS = Untrained.BLOCK, Untrained.FALLBACK, Untrained.PASS


@pytest.fixture
def models(tmp_path) -> Registry:
    return Registry(tmp_path / "models", b"0123456789abcdef0123456789abcdef", PACKAGES)


def saved(models: Registry, number: int = 0, predictor=None, covered=SYMBOLS, spec=None, **changes) -> str:
    told = description(START_MS + 100 * DAY_MS + number * 1000, scope=changes.pop("scope", SCOPE))
    if spec is not None:
        told = description(told.created_ms, scope=told.scope, spec=spec)
    return models.save(fitted(predictor or Linear(intercept=number / 10), covered, **changes), dataset(), told)


def used(models: Registry, number: int = 0, **changes) -> str:
    version = saved(models, number, **changes)
    models.promote(changes.get("scope", SCOPE), version)
    return version


def serving(models: Registry, queue: TrainingQueue | None = None, pattern: str = "{strategy}", **terms) -> ModelServing:
    served = ServedStrategy(strategy="ema_cross", feature_set=feature_set(), pattern=pattern)
    return ModelServing(models, ServingTerms(**{"threshold": 0.0, **terms}), [served], queue)


def looked(models: Registry, **terms) -> ModelServing:
    serves = serving(models, **terms)
    serves.look(NOW_MS)
    return serves


def kinds(notes) -> list[NoteKind]:
    return [note.kind for note in notes]


def codes(judgements) -> list[str | None]:
    return [judgement.refused and judgement.refused[0] for judgement in judgements]


# ------------------------------------------------------------------ answers


def test_each_question_gets_what_its_model_says_of_it(models):
    """In order, with the model's name; long and short, and each symbol its own."""
    version = used(models, predictor=Linear(by_symbol={"ETH/USDT": 1.0}))
    asked = [
        question("BTC/USDT", (0.1, 0.2, 0.3)),
        question("ETH/USDT", (0.1, 0.2, 0.3)),
        question("BTC/USDT", (0.1, 0.2, 0.3), side=Side.SHORT),
    ]
    said = looked(models).judge(asked, NOW_MS)
    line = 0.1 * 1.0 - 0.2 * 0.5 + 0.3 * 0.25
    expected = [1 / (1 + math.exp(-(line + more))) for more in (0.1, 1.1, -0.1)]
    assert [each.confidence for each in said] == pytest.approx(expected, abs=1e-15)
    assert {each.model for each in said} == {f"{SCOPE}/{version}"}
    assert codes(said) == [None] * 3


def test_a_batch_is_one_call(models):
    """Each call of a gradient boosting costs milliseconds."""
    used(models)
    serves = looked(models)
    calls = []
    model = serves._scopes[SCOPE].model
    ask = model.predictor.probabilities
    model.predictor.probabilities = lambda *given: calls.append(len(given[0])) or ask(*given)
    serves.judge([question(symbol) for symbol in SYMBOLS * 20], NOW_MS)
    assert calls == [60]


def test_no_question_is_no_answer(models):
    used(models)
    assert looked(models).judge([], NOW_MS) == ()


def test_a_strategy_that_nobody_judges_passes(models):
    """In the middle of others."""
    used(models)
    serves = looked(models)
    assert (serves.asked_for("ema_cross"), serves.asked_for("breakout")) == (True, False)
    first, other, last = serves.judge([question(), question(strategy="breakout"), question()], NOW_MS)
    assert (other.confidence, other.refused, other.model) == (None, None, None)
    assert first.confidence == last.confidence is not None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_evidence_that_is_no_number_is_refused_and_hinders_no_other(models, bad):
    used(models)
    good, refused = looked(models).judge([question(), question("ETH/USDT", (0.1, bad, 0.3))], NOW_MS)
    assert good.confidence is not None
    code, text = refused.refused
    assert (code, refused.confidence) == ("model_unlike", None)
    assert f"model_rsi_5 is {bad}" in text


@pytest.mark.parametrize("evidence", [(), (0.1, 0.2), (0.1, 0.2, 0.3, 0.4)])
def test_evidence_of_another_width_is_refused_and_hinders_no_other(models, evidence):
    used(models)
    refused, good = looked(models).judge([question(evidence=evidence), question()], NOW_MS)
    assert refused.refused[0] == "model_unlike"
    assert f"wants 3 features and was given {len(evidence)}" in refused.refused[1]
    assert good.confidence is not None


def test_below_the_threshold_is_refused_with_its_confidence(models):
    """The version's own, or the config's."""
    used(models, threshold=0.6)
    high, low = question(evidence=(2.0, 0.0, 0.0)), question(evidence=(0.2, 0.0, 0.0))
    taken, refused = looked(models, threshold=None).judge([high, low], NOW_MS)
    assert taken.refused is None
    assert refused.refused[0] == "model_threshold"
    assert "confidence 0.574 is below 0.600" in refused.refused[1]
    assert refused.confidence == pytest.approx(0.574, abs=1e-3)
    assert refused.model == taken.model
    assert codes(looked(models, threshold=0.55).judge([high, low], NOW_MS)) == [None, None]


def test_exactly_the_threshold_is_enough(models):
    used(models, threshold=1.0)
    serves = looked(models)
    confidence = serves.judge([question()], NOW_MS)[0].confidence
    assert codes(looked(models, threshold=confidence).judge([question()], NOW_MS)) == [None]


def test_a_stale_model_refuses(models):
    """By the end of its training, not by when it was made."""
    used(models)
    end_ms = START_MS + (299 + 3) * HOUR_MS
    serves = looked(models, expiration_ms=10 * DAY_MS)
    assert codes(serves.judge([question()], end_ms + 10 * DAY_MS)) == [None]
    (refused,) = serves.judge([question()], end_ms + 10 * DAY_MS + 1)
    assert refused.refused[0] == "model_stale"
    assert "its training ends 240 hours ago" in refused.refused[1]
    assert not serves.status(end_ms)[0].stale
    assert serves.status(end_ms + 11 * DAY_MS)[0].stale


def test_what_training_never_saw_is_refused(models):
    """More of its features than the ratio lie outside: of three features one is a third."""
    used(models)
    one_out, two_out = question(evidence=(5.0, 0.1, 0.1)), question(evidence=(5.0, -5.0, 0.1))
    assert codes(looked(models).judge([one_out, two_out], NOW_MS)) == [None, None]
    said = looked(models, out_of_distribution=1 / 3).judge([one_out, two_out, question()], NOW_MS)
    assert codes(said) == [None, "model_unlike", None]
    assert "67% of the features are outside of what training knew, and 33% may be" in said[1].refused[1]


@pytest.mark.parametrize("how", ["raise", "foreign", "nan", "short", "above"])
def test_a_model_that_fails_refuses_its_questions_and_is_told_once(models, how):
    used(models, predictor=Failing(how), covered=(*SYMBOLS, "BAD/USDT"))
    serves = looked(models)
    for _ in range(3):
        said = serves.judge([question("BAD/USDT"), question()], NOW_MS)
        assert codes(said) == ["model_failed", "model_failed"]
    notes = [note for _ in range(3) for note in serves.look(NOW_MS)]
    assert kinds(notes) == [NoteKind.FAULT]
    assert codes(serves.judge([question()], NOW_MS)) == [None]
    assert serves.status(NOW_MS)[0].problems == (notes[0].text,)  # as long as it is in use
    used(models, 1)
    serves.look(NOW_MS)
    assert serves.status(NOW_MS)[0].problems == ()


# ------------------------------------------------------------------ who is covered


def test_without_a_model_nobody_trades(models):
    """Nor with one that may fall back; only `pass` passes."""
    for untrained, code in ((BLOCK, "model_missing"), (FALLBACK, "model_missing"), (PASS, None)):
        assert codes(looked(models, untrained=untrained).judge([question()], NOW_MS)) == [code]


@pytest.mark.parametrize("untrained", [BLOCK, FALLBACK, PASS])
@pytest.mark.parametrize("pattern", ["{strategy}", "{strategy}/{symbol}"])
def test_before_the_models_were_looked_at_nobody_passes(models, untrained, pattern):
    """A first look may take long, or fail: what would have been judged is refused until it is known that no model is there."""
    serves = serving(models, untrained=untrained, pattern=pattern)
    (said,) = serves.judge([question()], NOW_MS)
    assert said.refused == ("model_missing", "the models have not been looked at yet")
    serves.look(NOW_MS)
    assert codes(serves.judge([question()], NOW_MS)) == [None if untrained is PASS else "model_missing"]


def test_models_that_cannot_be_seen_let_nobody_pass(models, monkeypatch):
    """With a scope for each symbol, nobody knows then which symbols have one; who is known is judged on."""
    used(models, scope="ema_cross/BTC-USDT", covered=("BTC/USDT",))
    serves = serving(models, pattern="{strategy}/{symbol}", untrained=PASS)
    with monkeypatch.context() as broken:
        broken.setattr("livebot.learning.registry.SCOPES_MAX", 0)
        (note,) = serves.look(NOW_MS)
        assert note.kind is NoteKind.REFUSED
        (said,) = serves.judge([question()], NOW_MS)
        assert said.refused[0] == "model_missing"
        assert "which models ema_cross has cannot be seen" in said.refused[1]
        assert serves.look(NOW_MS) == ()  # told once
    serves.look(NOW_MS)
    assert serves.judge([question()], NOW_MS)[0].confidence is not None
    monkeypatch.setattr("livebot.learning.registry.SCOPES_MAX", 0)
    serves.look(NOW_MS)
    known, unknown = serves.judge([question(), question("ETH/USDT")], NOW_MS)
    assert known.confidence is not None
    assert unknown.refused is None  # it had none when they were seen last


def test_a_model_that_fails_its_checks_at_the_start_lets_nobody_pass(models):
    """`pass` is for what no model was trained on, not for what a model should have judged."""
    bad = used(models)
    path = models.folder / SCOPE / bad / "model.joblib"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    serves = looked(models, untrained=PASS)
    (said,) = serves.judge([question()], NOW_MS)
    assert said.refused[0] == "model_missing"
    assert "its digest differs" in said.refused[1]
    used(models, 1)
    serves.look(NOW_MS)
    assert codes(serves.judge([question()], NOW_MS)) == [None]


def test_a_symbol_that_was_not_trained_on(models):
    """Is refused, answered by the shared part, or passes without a confidence."""
    used(models)
    new, old = question("NEW/USDT"), question()
    refused, known = looked(models).judge([new, old], NOW_MS)
    assert refused.refused[0] == "model_uncovered"
    assert "was not trained on NEW/USDT; NEW/USDT waits for training" in refused.refused[1]
    assert known.confidence is not None
    shared, known = looked(models, untrained=FALLBACK).judge([new, old], NOW_MS)
    assert shared.confidence == known.confidence
    assert shared.model == known.model
    passed, known = looked(models, untrained=PASS).judge([new, old], NOW_MS)
    assert (passed.confidence, passed.model, passed.refused) == (None, None, None)
    assert known.confidence is not None


def test_without_a_shared_part_there_is_nothing_to_fall_back_on(models):
    used(models, spec=TrainingSpec(mode=TrainingMode.PER_SYMBOL, fallback_to_shared=False))
    (refused,) = looked(models, untrained=FALLBACK).judge([question("NEW/USDT")], NOW_MS)
    assert refused.refused[0] == "model_uncovered"
    assert "has no shared part to fall back on" in refused.refused[1]


def test_a_symbol_is_unblocked_by_the_version_that_covers_it(models, tmp_path):
    """It waits in the queue meanwhile, which another process reads."""
    path = queue_path(tmp_path)
    used(models)
    serves = serving(models, TrainingQueue(path, "spot-1"))
    serves.look(NOW_MS)
    for symbol in ("NEW/USDT", "NEW/USDT", "BTC/USDT", "NEXT/USDT"):
        serves.judge([question(symbol)], NOW_MS + 5)
    assert serves.look(NOW_MS + 6) == ()
    waiting = read_queue(path, "spot-1")
    assert [(each.strategy, each.symbol, each.since_ms) for each in waiting] == [
        ("ema_cross", "NEW/USDT", NOW_MS + 5),
        ("ema_cross", "NEXT/USDT", NOW_MS + 5),
    ]
    assert serves.status(NOW_MS)[0].uncovered == ("NEW/USDT", "NEXT/USDT")
    version = used(models, 1, covered=(*SYMBOLS, "NEW/USDT"))
    notes = serves.look(NOW_MS + 7)
    assert [(note.kind, note.version, note.symbol) for note in notes] == [
        (NoteKind.LOADED, version, None),
        (NoteKind.COVERED, None, "NEW/USDT"),
    ]
    assert codes(serves.judge([question("NEW/USDT"), question("NEXT/USDT")], NOW_MS)) == [None, "model_uncovered"]
    assert [each.symbol for each in read_queue(path, "spot-1")] == ["NEXT/USDT"]
    assert serves.status(NOW_MS)[0].uncovered == ("NEXT/USDT",)


@pytest.mark.parametrize(
    ("untrained", "shared", "blocked"),
    [(BLOCK, True, True), (FALLBACK, True, False), (FALLBACK, False, True), (PASS, True, False)],
)
def test_who_waits_and_opens_nothing_is_told_apart_from_who_waits_and_trades(
    models, tmp_path, untrained, shared, blocked
):
    """As its entries are answered."""
    alone = TrainingSpec(mode=TrainingMode.PER_SYMBOL, fallback_to_shared=False)
    used(models, spec=None if shared else alone)
    serves = serving(models, TrainingQueue(queue_path(tmp_path), "spot-1"), untrained=untrained)
    serves.look(NOW_MS)
    (said,) = serves.judge([question("NEW/USDT")], NOW_MS)
    serves.look(NOW_MS)
    (status,) = serves.status(NOW_MS)
    assert status.uncovered == ("NEW/USDT",)
    assert status.blocked == (("NEW/USDT",) if blocked else ())
    assert (said.refused is not None) == blocked


def test_who_waits_survives_a_restart(models, tmp_path):
    """And is let go when the version that came meanwhile covers it, or nobody asks for its strategy any more."""
    path = queue_path(tmp_path)
    serves = serving(models, TrainingQueue(path, "spot-1"))
    serves.judge([question("NEW/USDT")], NOW_MS)
    serves.look(NOW_MS)
    used(models, covered=("NEW/USDT", "BTC/USDT"))
    again = serving(models, TrainingQueue(path, "spot-1"))
    assert kinds(again.look(NOW_MS)) == [NoteKind.LOADED, NoteKind.COVERED]
    again.judge([question("SOL/USDT")], NOW_MS)
    again.look(NOW_MS)
    assert [each.symbol for each in read_queue(path, "spot-1")] == ["SOL/USDT"]
    nobody = ModelServing(models, ServingTerms(), [], TrainingQueue(path, "spot-1"))
    assert nobody.look(NOW_MS) == ()
    assert read_queue(path, "spot-1") == ()


def test_a_queue_that_cannot_be_written_is_told_once_and_stops_nothing(models, tmp_path):
    used(models)
    queue = TrainingQueue(queue_path(tmp_path), "spot-1", FailingFiles("create", 28))
    serves = serving(models, queue)
    assert kinds(serves.look(NOW_MS)) == [NoteKind.LOADED]
    serves.judge([question("NEW/USDT")], NOW_MS)
    assert kinds(serves.look(NOW_MS)) == [NoteKind.FAULT]
    assert serves.look(NOW_MS) == ()
    assert codes(serves.judge([question()], NOW_MS)) == [None]
    queue._layer = SystemFiles()
    serves.look(NOW_MS)
    assert [each.symbol for each in read_queue(queue_path(tmp_path), "spot-1")] == ["NEW/USDT"]


def test_a_damaged_queue_is_told_and_set_aside(models, tmp_path):
    path = queue_path(tmp_path)
    path.write_bytes(b"damaged")
    (note,) = serving(models, TrainingQueue(path, "spot-1")).look(NOW_MS)
    assert note.kind is NoteKind.FAULT
    assert "set aside as training_queue.json.damaged-1" in note.text


# ------------------------------------------------------------------ versions


def test_a_new_version_is_taken_into_use_between_two_batches(models):
    first = used(models)
    serves = serving(models)
    (note,) = serves.look(NOW_MS)
    assert (note.kind, note.scope, note.version) == (NoteKind.LOADED, SCOPE, first)
    assert serves.look(NOW_MS) == ()
    second = used(models, 1)
    assert serves.judge([question()], NOW_MS)[0].model == f"{SCOPE}/{first}"
    assert kinds(serves.look(NOW_MS)) == [NoteKind.LOADED]
    assert serves.judge([question()], NOW_MS)[0].model == f"{SCOPE}/{second}"
    models.rollback(SCOPE)
    serves.look(NOW_MS)
    assert serves.judge([question()], NOW_MS)[0].model == f"{SCOPE}/{first}"


def test_a_swap_misses_no_round(models):
    """One thread judges while another looks and versions come and go: each batch is of one version, and none is refused."""
    versions = [used(models, number) for number in range(4)]
    serves = looked(models)
    done, judged = threading.Event(), threading.Event()
    failed = []

    def swap() -> None:
        try:
            for number in range(10):
                models.promote(SCOPE, versions[number % 4])
                serves.look(NOW_MS)
                for _ in range(2):  # the first one may have begun before
                    judged.clear()
                    assert judged.wait(REAL_WAIT_S)
        except Exception as error:  # for the assertion below
            failed.append(error)
        finally:
            done.set()

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = set()
    asked = [question(symbol) for symbol in SYMBOLS]
    while not done.is_set():
        said = serves.judge(asked, NOW_MS)
        assert codes(said) == [None] * 3
        (name,) = {each.model for each in said}
        seen.add(name)
        judged.set()
    swapping.join()
    assert not failed
    assert seen == {f"{SCOPE}/{version}" for version in versions}


@pytest.mark.parametrize("damage", ["model", "manifest", "pointer"])
def test_a_version_that_fails_its_checks_leaves_the_one_in_use(models, damage):
    """And is told once; mended, it is taken."""
    good = used(models)
    serves = serving(models)
    serves.look(NOW_MS)
    bad = used(models, 1)
    path = {
        "model": models.folder / SCOPE / bad / "model.joblib",
        "manifest": models.folder / SCOPE / bad / "manifest.json",
        "pointer": models.folder / SCOPE / "current",
    }[damage]
    whole = path.read_bytes()
    path.write_bytes(b"damaged")
    (note,) = serves.look(NOW_MS)
    assert note.kind is NoteKind.REFUSED
    assert f"{SCOPE}/{good} goes on" in note.text
    assert serves.look(NOW_MS) == ()
    assert serves.status(NOW_MS)[0].problems == (note.text,)
    assert serves.judge([question()], NOW_MS)[0].model == f"{SCOPE}/{good}"
    path.write_bytes(whole)
    assert kinds(serves.look(NOW_MS)) == [NoteKind.LOADED]
    assert serves.status(NOW_MS)[0].problems == ()
    assert serves.judge([question()], NOW_MS)[0].model == f"{SCOPE}/{bad}"


def test_a_model_of_other_features_is_not_used(models):
    """The daemon would hand it other numbers under the same names."""
    used(models)
    served = ServedStrategy(strategy="ema_cross", feature_set=feature_set(features=FEATURES[::-1]))
    serves = ModelServing(models, ServingTerms(), [served])
    (note,) = serves.look(NOW_MS)
    assert note.kind is NoteKind.REFUSED
    assert "none is in use" in note.text
    assert codes(serves.judge([question()], NOW_MS)) == ["model_missing"]


def test_without_a_pointer_what_is_in_use_goes_on(models):
    version = used(models)
    serves = serving(models)
    serves.look(NOW_MS)
    (models.folder / SCOPE / "current").unlink()
    (note,) = serves.look(NOW_MS)
    assert note.kind is NoteKind.GONE
    assert serves.look(NOW_MS) == ()
    assert serves.judge([question()], NOW_MS)[0].model == f"{SCOPE}/{version}"


def test_the_files_of_a_version_in_use_may_go(models, tmp_path):
    """It is in memory; but a restart would have none, so it is told."""
    import shutil

    version = used(models)
    serves = serving(models)
    serves.look(NOW_MS)
    away = tmp_path / "away"
    shutil.move(models.folder / SCOPE / version, away)
    (note,) = serves.look(NOW_MS)
    assert (note.kind, note.version) == (NoteKind.GONE, version)
    assert "goes on from memory, and a restart would find none" in note.text
    assert serves.look(NOW_MS) == ()
    assert serves.status(NOW_MS)[0].problems == (note.text,)
    assert codes(serves.judge([question()], NOW_MS)) == [None]
    shutil.move(away, models.folder / SCOPE / version)
    assert serves.look(NOW_MS) == ()
    assert serves.status(NOW_MS)[0].problems == ()


# ------------------------------------------------------------------ shadows


def test_a_challenger_answers_beside_and_decides_nothing(models):
    champion = used(models, threshold=0.9)
    challenger = saved(models, 9)
    models.challenge(SCOPE, challenger)
    serves = serving(models, threshold=None)
    assert kinds(serves.look(NOW_MS)) == [NoteKind.LOADED, NoteKind.LOADED]
    said = serves.judge([question(), question("NEW/USDT"), question(evidence=(math.nan, 0, 0))], NOW_MS)
    assert codes(said) == ["model_threshold", "model_uncovered", "model_unlike"]
    assert said[0].model == f"{SCOPE}/{champion}"
    asked = [question(), question("NEW/USDT"), question(evidence=(math.nan, 0, 0)), question(strategy="breakout")]
    assert (serves.shadowed("ema_cross"), serves.shadowed("breakout")) == (True, False)
    shadows = serves.shadows(asked)
    ((name, confidence),) = shadows[0]
    assert name == f"{SCOPE}/{challenger}"
    assert confidence > said[0].confidence
    assert shadows[1:] == (((name, pytest.approx(confidence)),), (), ())  # it has a shared part
    assert serves.status(NOW_MS)[0].challenger == challenger
    models.challenge(SCOPE, None)
    serves.look(NOW_MS)
    assert not serves.shadowed("ema_cross")
    assert serves.shadows([question()]) == ((),)


def test_a_challenger_that_fails_hinders_nobody(models):
    used(models)
    challenger = saved(models, 1, predictor=Failing(), covered=(*SYMBOLS, "BAD/USDT"))
    models.challenge(SCOPE, challenger)
    serves = looked(models, untrained=FALLBACK)
    (said,) = serves.judge([question("BAD/USDT")], NOW_MS)
    assert said.refused is None
    assert serves.look(NOW_MS) == ()  # it was not asked together with the one that decides
    assert serves.shadows([question("BAD/USDT")]) == ((),)
    (note,) = serves.look(NOW_MS)
    assert (note.kind, note.version) == (NoteKind.FAULT, challenger)


def test_a_challenger_says_nothing_of_symbols_it_does_not_know(models):
    used(models)
    alone = TrainingSpec(mode=TrainingMode.PER_SYMBOL, fallback_to_shared=False)
    models.challenge(SCOPE, saved(models, 1, covered=("ETH/USDT",), spec=alone))
    assert [len(each) for each in looked(models).shadows([question(), question("ETH/USDT")])] == [0, 1]
    assert looked(models).shadows([question()]) == ((),)


# ------------------------------------------------------------------ models that do not come back


class Held:
    """Holds a model in its answer until it is let go."""

    def __init__(self, model):
        self.go, self.inside, self.model = threading.Event(), threading.Event(), model
        self.ask = model.predictor.probabilities
        model.predictor.probabilities = self

    def __call__(self, *given):
        self.inside.set()
        assert self.go.wait(REAL_WAIT_S)
        return self.ask(*given)


def test_a_model_that_hangs_is_named_is_not_asked_again_and_is_when_it_has_come_back(models):
    """Who asks it meanwhile is refused at once: no call piles up before it."""
    version = used(models)
    serves = looked(models)
    held, said = Held(serves._scopes[SCOPE].model), []
    assert (serves.give_up(), serves.stuck, serves.asking) == (None, (), ())
    hanging = threading.Thread(target=lambda: said.append(serves.judge([question()], NOW_MS)))
    hanging.start()
    assert held.inside.wait(REAL_WAIT_S)
    assert serves.asking == (f"{SCOPE}/{version}",)
    assert serves.give_up() == f"{SCOPE}/{version}"
    for _ in range(3):
        (refused,) = serves.judge([question()], NOW_MS)
        assert refused.refused[0] == "model_failed"
        assert f"model {SCOPE}/{version} has not come back from what it was asked before" in refused.refused[1]
        assert serves.stuck == (f"{SCOPE}/{version}",)
    assert said == []  # nobody has waited for it
    assert serves.look(NOW_MS) == ()  # it is told as stuck, not as a fault that lasts as long as the version does
    held.go.set()
    hanging.join()
    assert codes(said[0]) == [None]
    assert (serves.stuck, serves.asking) == ((), ())
    assert codes(serves.judge([question()], NOW_MS)) == [None]


def test_another_version_takes_the_place_of_one_that_hangs(models):
    used(models)
    serves = looked(models)
    held = Held(serves._scopes[SCOPE].model)
    hanging = threading.Thread(target=serves.judge, args=([question()], NOW_MS))
    hanging.start()
    assert held.inside.wait(REAL_WAIT_S)
    serves.give_up()
    second = used(models, 1)
    assert kinds(serves.look(NOW_MS)) == [NoteKind.LOADED]
    assert serves.stuck == ()
    assert serves.judge([question()], NOW_MS)[0].model == f"{SCOPE}/{second}"
    held.go.set()
    hanging.join()


def test_a_shadow_that_hangs_is_named_and_hinders_nobody(models):
    used(models)
    challenger = saved(models, 1)
    models.challenge(SCOPE, challenger)
    serves = looked(models)
    held = Held(serves._scopes[SCOPE].challenger)
    hanging = threading.Thread(target=serves.shadows, args=([question()],))
    hanging.start()
    assert held.inside.wait(REAL_WAIT_S)
    assert serves.give_up() is None
    assert serves.give_up(shadow=True) == f"{SCOPE}/{challenger}"
    assert codes(serves.judge([question()], NOW_MS)) == [None]
    assert serves.shadows([question()]) == ((),)
    held.go.set()
    hanging.join()
    assert [len(each) for each in serves.shadows([question()])] == [1]


def test_a_model_that_hangs_beside_one_that_was_given_up_before_is_named_too(models):
    """Each as soon as it does; and the first one again when it has come back and hangs anew."""
    symbols = ("BTC/USDT", "ETH/USDT")
    scopes = [f"{SCOPE}/{symbol.replace('/', '-')}" for symbol in symbols]
    names = [
        f"{scope}/{used(models, number, scope=scope, covered=(symbol,))}"
        for number, (scope, symbol) in enumerate(zip(scopes, symbols, strict=True))
    ]
    serves = looked(models, pattern="{strategy}/{symbol}")
    held = [Held(serves._scopes[scope].model) for scope in scopes]
    threads = []

    def hangs_at(each):
        each.inside.clear()
        each.go.clear()
        threads.append(threading.Thread(target=serves.judge, args=([question(symbol) for symbol in symbols], NOW_MS)))
        threads[-1].start()
        assert each.inside.wait(REAL_WAIT_S)

    hangs_at(held[0])
    assert (serves.give_up(), serves.stuck) == (names[0], (names[0],))
    hangs_at(held[1])
    assert (serves.give_up(), serves.stuck) == (names[1], tuple(names))
    held[0].go.set()
    threads[0].join()
    assert serves.stuck == (names[1],)
    hangs_at(held[0])
    assert (serves.give_up(), set(serves.stuck)) == (names[0], set(names))
    for each in held:
        each.go.set()
    for thread in threads:
        thread.join()
    assert serves.stuck == ()


def test_swaps_leave_nothing_behind(models):
    """A daemon lives for months."""
    import gc
    import weakref

    versions = [used(models, number) for number in range(2)]
    serves, seen = looked(models), []
    for number in range(60):
        models.challenge(SCOPE, versions[number % 2])
        (models.folder / SCOPE / "current").write_text(versions[number % 2])
        serves.look(NOW_MS)
        serves.judge([question()], NOW_MS)
        serves.shadows([question()])
        seen.append(weakref.ref(serves._scopes[SCOPE].model.predictor))
    gc.collect()
    assert sum(each() is not None for each in seen) == 1
    assert (len(serves._told), len(serves._faults), len(serves._stuck)) == (0, 0, 0)


# ------------------------------------------------------------------ a scope for each symbol


def test_each_symbol_may_have_a_scope_of_its_own(models):
    """A symbol without one is uncovered, or asks the shared one."""
    pattern = "{strategy}/{symbol}"
    for number, (name, covered) in enumerate((("BTC-USDT", ("BTC/USDT",)), ("shared", SYMBOLS))):
        used(models, number, scope=f"{SCOPE}/{name}", covered=covered)
    serves = looked(models, pattern=pattern)
    asked = [question("BTC/USDT"), question("ETH/USDT")]
    own, uncovered = serves.judge(asked, NOW_MS)
    assert own.model.startswith("ema_cross/BTC-USDT/")
    assert uncovered.refused[0] == "model_missing"
    assert "no model in use in ema_cross/ETH-USDT, which would judge ETH/USDT" in uncovered.refused[1]
    by_scope = {each.scope: each for each in serves.status(NOW_MS)}
    assert by_scope["ema_cross/shared"].version is None  # nobody asks it, so it is none of anybody's worries
    assert by_scope["ema_cross/BTC-USDT"].symbols_own
    own, shared = looked(models, pattern=pattern, untrained=FALLBACK).judge(asked, NOW_MS)
    assert own.model.startswith("ema_cross/BTC-USDT/")
    assert shared.model.startswith("ema_cross/shared/")
    assert [each.scope for each in serves.status(NOW_MS)] == ["ema_cross/BTC-USDT", "ema_cross/shared"]
    used(models, 5, scope=f"{SCOPE}/ETH-USDT", covered=("ETH/USDT",))
    assert kinds(serves.look(NOW_MS)) == [NoteKind.LOADED]
    assert codes(serves.judge(asked, NOW_MS)) == [None, None]


def test_too_many_scopes_are_told_and_what_is_in_use_goes_on(models, monkeypatch):
    used(models, scope="ema_cross/BTC-USDT", covered=("BTC/USDT",))
    serves = looked(models, pattern="{strategy}/{symbol}")
    monkeypatch.setattr("livebot.learning.registry.SCOPES_MAX", 0)
    assert kinds(serves.look(NOW_MS)) == [NoteKind.REFUSED]
    assert codes(serves.judge([question()], NOW_MS)) == [None]


@pytest.mark.parametrize(
    ("pattern", "cause"),
    [
        ("models", "must hold {strategy}"),
        ("{strategy}/{mode}", "not {mode}"),
        ("{strategy}-{symbol}", "put a / between"),  # a's BTC would be a-b's, for who has strategies a and a-b
        ("../{strategy}", "is no scope"),
        ("{strategy}/current", "is no scope"),
        ("{strategy}/{symbol}/", "is no scope"),
    ],
)
def test_a_pattern_that_makes_no_scope_is_refused(models, pattern, cause):
    with pytest.raises(BadInput, match=cause):
        serving(models, pattern=pattern)


# ------------------------------------------------------------------ one thread


def test_a_model_is_asked_on_one_thread(models):
    """A row on all threads was measured to stall for seconds beside other work."""
    from threadpoolctl import threadpool_info

    used(models)
    serves = looked(models)
    model = serves._scopes[SCOPE].model
    seen = []
    ask = model.predictor.probabilities
    model.predictor.probabilities = lambda *given: seen.append(threadpool_info()) or ask(*given)
    serves.judge([question()], NOW_MS)
    assert seen[0]
    assert {each["num_threads"] for each in seen[0]} == {1}


def test_status_before_and_after_the_first_look(models):
    version = used(models)
    serves = serving(models)
    assert serves.status(NOW_MS) == ()
    serves.look(NOW_MS)
    (status,) = serves.status(NOW_MS)
    assert (status.scope, status.strategy, status.version, status.challenger) == (SCOPE, "ema_cross", version, None)
    assert (status.created_ms, status.train_end_ms) == (START_MS + 100 * DAY_MS, START_MS + 302 * HOUR_MS)
    assert (status.covered, status.uncovered, status.problems, status.stale) == (SYMBOLS, (), (), False)


def test_the_batch_changes_no_answer(models):
    """To the last bit."""
    used(models)
    serves = looked(models)
    random = np.random.default_rng(3)
    asked = [question(SYMBOLS[row % 3], tuple(random.normal(size=3))) for row in range(50)]
    together = [each.confidence for each in serves.judge(asked, NOW_MS)]
    assert together == [serves.judge([each], NOW_MS)[0].confidence for each in asked]
