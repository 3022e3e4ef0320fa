"""One training: what becomes of the model in use, whatever goes right or wrong."""

import errno
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from livebot.adapters.state_files.file_layer import FileLayer
from livebot.core.market import DAY_MS, Timeframe
from livebot.errors import BadInput
from livebot.learning import training_run
from livebot.learning.building import BuiltDataset
from livebot.learning.champion import Floor
from livebot.learning.history_needs import HistoryTerms, SymbolHistory
from livebot.learning.manifest import ModelFormat
from livebot.learning.registry import Registry
from livebot.learning.spec import SymbolBalance, TrainingMode, TrainingSpec
from livebot.learning.training_run import Lesson, School, built_of, check_parity, learn, turnover_of
from tests.adapters.layers import FailingFiles
from tests.backtest.plans import START_MS, SYMBOLS, candles, plan
from tests.learning.rows import dataset_of

ROWS = 600
STEP_MS = 3_600_000
END_MS = START_MS + ROWS * STEP_MS
PLAN = plan()
EASY = Floor(minimum_trades=5, minimum_gain=-1.0, maximum_loss_rise=10.0, symbol_floor=None)
NEVER = replace(EASY, minimum_gain=1.0)


@cache
def built(seed: int = 1, symbols: int = 2, *, told: bool = True) -> BuiltDataset:
    """Rows of which the only feature tells the outcome, more or less; with `told` False it tells nothing."""
    random = np.random.default_rng(seed)
    feature = random.normal(size=ROWS)
    score = feature if told else random.normal(size=ROWS)
    gain = np.where(score + random.normal(size=ROWS) > 0, 0.01, -0.01)
    close_ms = START_MS + np.arange(ROWS, dtype=np.int64) * STEP_MS
    dataset = dataset_of(
        close_ms=close_ms,
        end_ms=close_ms + STEP_MS // 2,
        features=feature.reshape(-1, 1),
        gain=gain,
        symbol=[place % symbols for place in range(ROWS)],
    )
    history = (SymbolHistory(symbol="C", days=3.0, ratio=1.0, problem="C: 3 days of candles are too little"),)
    return BuiltDataset(
        dataset=dataset,
        histories=history,
        digests={"A": "0" * 64},
        start_ms=START_MS,
        end_ms=END_MS,
        effective_count=9.0,
    )


def school(folder, created_ms: int = END_MS, layer: FileLayer | None = None) -> School:
    return School(registry=Registry(folder, layer=layer), created_ms=created_ms)


def lesson(**given) -> Lesson:
    values = {
        "strategy": "tried",
        "scope": "tried",
        "spec": TrainingSpec(mode=TrainingMode.MULTI_SYMBOL, minimum_events=20),
        "window_ms": 5 * DAY_MS,
        "floor": EASY,
    }
    return Lesson(**values | given)


def later(number: int) -> int:
    return END_MS + number * 1_000


# ---------------------------------------------------------------- who is in use


def test_a_first_model_that_clears_the_floor_is_used_and_says_what_it_covers(tmp_path):
    done = learn(school(tmp_path), lesson(), built(), PLAN)
    assert (done.state, done.covered, done.short) == ("current", ("A", "B"), ("C",))
    assert Registry(tmp_path).current("tried") == done.version
    assert done.rows + done.window_rows == ROWS
    assert "the strategy without a model" in done.told[0]


def test_the_rows_told_of_a_model_of_one_symbol_are_its_own(tmp_path):
    one = lesson(spec=TrainingSpec(symbols=("A",), minimum_events=20))
    rows = built().dataset
    done = learn(school(tmp_path), one, built(), PLAN)
    assert done.rows + done.window_rows == int((rows.symbol_names == "A").sum()) < len(rows)


def test_a_model_of_one_symbol_is_weighed_by_its_own_rows(tmp_path, monkeypatch):
    """Not by what other symbols, whose models are others, wanted at the same time."""
    seen, real = [], training_run.fit
    monkeypatch.setattr(training_run, "fit", lambda rows, *rest: seen.append(rows) or real(rows, *rest))
    alone = TrainingSpec(mode=TrainingMode.SINGLE_SYMBOL, symbols=("B",), minimum_events=20)
    assert learn(school(tmp_path), lesson(spec=alone), built(), PLAN).covered == ("B",)
    assert [{0.0}, {1.0}] == [set(seen[0].weight[seen[0].symbol == code]) for code in (0, 1)]


def test_one_that_does_not_is_kept_as_a_challenger_and_nothing_is_in_use(tmp_path):
    done = learn(school(tmp_path), lesson(floor=NEVER), built(), PLAN)
    registry = Registry(tmp_path)
    assert (done.state, registry.current("tried"), registry.challenger("tried")) == ("challenger", None, done.version)


@pytest.mark.parametrize(("promote", "state"), [(True, "current"), (False, "saved")])
def test_the_operator_decides_against_the_floor(tmp_path, promote, state):
    done = learn(school(tmp_path), lesson(floor=NEVER if promote else EASY, promote=promote), built(), PLAN)
    registry = Registry(tmp_path)
    assert done.state == state
    assert (registry.current("tried") is not None, registry.challenger("tried")) == (promote, None)
    assert registry.versions("tried") == (done.version,)


def test_the_champion_stays_if_the_challenger_is_not_ahead_and_goes_if_it_is(tmp_path):
    first = learn(school(tmp_path), lesson(), built(told=False), PLAN)
    kept = learn(school(tmp_path, later(1)), lesson(floor=replace(EASY, minimum_gain=0.5)), built(2), PLAN)
    registry = Registry(tmp_path)
    assert (first.state, kept.state, registry.current("tried")) == ("current", "challenger", first.version)
    better = learn(school(tmp_path, later(2)), lesson(floor=replace(EASY, minimum_gain=0.0)), built(2), PLAN)
    assert "the champion" in better.told[0]
    assert (better.state, registry.current("tried"), registry.previous("tried")) == (
        "current",
        better.version,
        first.version,
    )


def test_the_window_is_after_the_training_of_both(tmp_path):
    done = learn(school(tmp_path), lesson(), built(), PLAN)
    manifest = Registry(tmp_path).manifest("tried", done.version)
    assert manifest.train_end_ms < END_MS - 5 * DAY_MS
    assert manifest.parent is None
    # another one a day later: the champion's rows end where they ended, and the window begins after the challenger's
    again = learn(school(tmp_path, later(1)), lesson(window_ms=2 * DAY_MS), built(), PLAN)
    assert Registry(tmp_path).manifest("tried", again.version).train_end_ms < END_MS - 2 * DAY_MS
    # asked for a longer window than the champion leaves, it begins after the champion's training
    third = learn(school(tmp_path, later(2)), lesson(window_ms=20 * DAY_MS), built(), PLAN)
    assert third.window_rows == again.window_rows


def test_the_window_is_judged_in_symbols_that_both_cover(tmp_path):
    one = lesson(spec=TrainingSpec(symbols=("A",), minimum_events=20))
    learn(school(tmp_path), one, built(), PLAN)
    both = learn(school(tmp_path, later(1)), lesson(), built(), PLAN)
    _, _, entries = both.told[0].partition(" of ")
    assert int(entries.split()[0]) == both.window_rows // 2


def test_one_that_loses_a_symbol_does_not_take_over_by_itself(tmp_path):
    """However well it does elsewhere, nothing would open there any more."""
    both = learn(school(tmp_path), lesson(), built(), PLAN)
    narrow = lesson(spec=TrainingSpec(symbols=("B",), minimum_events=20))
    kept = learn(school(tmp_path, later(1)), narrow, built(), PLAN)
    registry = Registry(tmp_path)
    assert (kept.state, registry.current("tried")) == ("challenger", both.version)
    assert "it does not cover A, which the model in use does" in kept.told[0]
    # a symbol that nobody trades any more is no loss, and the operator may decide otherwise
    untraded = replace(narrow, traded=frozenset({"B"}), floor=EASY)
    assert learn(school(tmp_path, later(2)), untraded, built(), PLAN).state == "current"
    learn(school(tmp_path, later(3)), lesson(promote=True), built(), PLAN)
    assert learn(school(tmp_path, later(4)), replace(narrow, promote=True), built(), PLAN).state == "current"


def test_a_champion_that_cannot_be_loaded_defends_nothing_and_that_is_told(tmp_path):
    first = learn(school(tmp_path), lesson(), built(), PLAN)
    model = tmp_path / "tried" / first.version / "model.joblib"
    model.write_bytes(model.read_bytes()[:-1])
    second = learn(school(tmp_path, later(1)), lesson(), built(), PLAN)
    assert second.state == "current"
    assert "could not be compared with" in second.told[0]


def test_one_that_an_operator_chose_meanwhile_is_not_relieved(tmp_path, monkeypatch):
    """The new one was held against another."""
    first = learn(school(tmp_path), lesson(), built(told=False), PLAN)
    other = learn(school(tmp_path, later(1)), lesson(promote=False), built(2), PLAN)
    real = training_run.verdict_of

    def chosen_meanwhile(*args):
        Registry(tmp_path).promote("tried", other.version)
        return real(*args)

    with monkeypatch.context() as busy:
        busy.setattr(training_run, "verdict_of", chosen_meanwhile)
        kept = learn(school(tmp_path, later(2)), lesson(), built(), PLAN)
    registry = Registry(tmp_path)
    assert (kept.state, registry.current("tried"), registry.challenger("tried")) == (
        "challenger",
        other.version,
        kept.version,
    )
    assert any(
        f"{other.version} is in use by now, and it was held against {first.version}" in each for each in kept.told
    )
    assert learn(school(tmp_path, later(3)), lesson(), built(), PLAN).state == "current"


def test_a_pointer_that_names_nothing_is_mended_by_the_version_that_takes_over(tmp_path):
    learn(school(tmp_path), lesson(), built(), PLAN)
    (tmp_path / "tried" / "current").write_bytes(b"../../x")
    done = learn(school(tmp_path, later(1)), lesson(), built(), PLAN)
    assert (done.state, Registry(tmp_path).current("tried")) == ("current", done.version)
    assert "names no version" in done.told[0]


def test_in_place_of_one_that_cannot_be_loaded_no_symbol_may_be_lost_either(tmp_path):
    """After an update of a library it is the daemon that still holds the old one, and trades by it."""
    both = learn(school(tmp_path), lesson(), built(), PLAN)
    (tmp_path / "tried" / both.version / "model.joblib").write_bytes(b"x")
    narrow = lesson(spec=TrainingSpec(symbols=("B",), minimum_events=20))
    kept = learn(school(tmp_path, later(1)), narrow, built(), PLAN)
    assert (kept.state, Registry(tmp_path).current("tried")) == ("challenger", both.version)
    assert any("it does not cover A" in text for text in kept.told)


def test_in_place_of_one_that_cannot_be_loaded_a_lead_within_chance_is_enough(tmp_path):
    """Nothing would trade any more if it had to be better than the strategy alone beyond chance."""
    lucky = replace(EASY, minimum_gain=0.0, certainty=0.9999, undecided_margin=0.5)
    first = learn(school(tmp_path), lesson(floor=lucky), built(told=False), PLAN)
    assert first.state == "challenger"
    used = learn(school(tmp_path, later(1)), lesson(promote=True), built(told=False), PLAN)
    (tmp_path / "tried" / used.version / "model.joblib").write_bytes(b"x")
    assert learn(school(tmp_path, later(2)), lesson(floor=lucky), built(told=False), PLAN).state == "current"


def test_a_symbol_that_only_the_challenger_covers_must_not_lose_more_than_the_floor(tmp_path):
    one = lesson(spec=TrainingSpec(symbols=("A",), minimum_events=20))
    rows = built().dataset
    losing = replace(rows, gain=np.where((rows.symbol == 1) & (rows.close_ms >= END_MS - 5 * DAY_MS), -0.03, rows.gain))
    worse = replace(built(), dataset=losing)
    learn(school(tmp_path), one, worse, PLAN)
    held = lesson(floor=replace(EASY, symbol_floor=-0.01))
    kept = learn(school(tmp_path, later(1)), held, worse, PLAN)
    assert kept.state == "challenger"
    assert any("below retrain.symbol_floor (-1.00%) beyond chance: B" in text for text in kept.told)
    assert learn(school(tmp_path, later(2)), lesson(), worse, PLAN).state == "current"


# ---------------------------------------------------------------- what is refused


def refused(folder, cause: str, *, given=None, rows=None, layer=None):
    """What runs goes on: the model in use is the one from before."""
    before = learn(school(folder), lesson(), built(), PLAN)
    done = learn(school(folder, later(1), layer), given or lesson(), rows or built(), PLAN)
    assert done.state == "refused"
    assert cause in done.told[0]
    assert Registry(folder).current("tried") == before.version
    return done


def test_a_symbol_with_ten_events_is_refused_with_the_number(tmp_path):
    ten = replace(built(), dataset=built().dataset.rows(np.arange(10)), end_ms=START_MS + 30 * DAY_MS)
    refused(tmp_path, "minimum_events is 20", rows=ten)


def test_one_class_only_is_refused(tmp_path):
    wins = replace(built(), dataset=replace(built().dataset, gain=np.full(ROWS, 0.01)))
    refused(tmp_path, "are wins only", rows=wins)


def test_features_that_are_no_numbers_are_refused_by_name(tmp_path):
    features = built().dataset.features.copy()
    features[3, 0] = np.nan
    refused(tmp_path, "model_one (1 rows)", rows=replace(built(), dataset=replace(built().dataset, features=features)))


def test_a_symbol_without_rows_is_refused(tmp_path):
    refused(tmp_path, "there are no rows of Z", given=lesson(spec=TrainingSpec(symbols=("Z",))))


def test_rows_that_are_all_in_the_window_are_refused(tmp_path):
    done = learn(school(tmp_path), lesson(window_ms=400 * DAY_MS), built(), PLAN)
    assert (done.state, done.version, Registry(tmp_path).versions("tried")) == ("refused", None, ())
    assert "give a longer history" in done.told[0]


@pytest.mark.parametrize("call", ["create", "write", "fsync", "rename"])
def test_a_full_disk_leaves_the_model_in_use(tmp_path, call):
    refused(tmp_path, "No space left", layer=FailingFiles(call, errno.ENOSPC))


def test_a_full_disk_in_the_promote_leaves_the_model_in_use(tmp_path):
    refused(tmp_path, "No space left", layer=FailingFiles("rename", errno.ENOSPC, "current"))


def test_a_model_that_answers_otherwise_once_it_is_read_back_is_not_used(tmp_path, monkeypatch):
    before = learn(school(tmp_path), lesson(), built(), PLAN)
    real = training_run.fit

    def bent(*args):
        fitted = real(*args)

        class Bent:
            def probabilities(self, features, side, symbols):
                return np.nextafter(fitted.predictor.probabilities(features, side, symbols), 1.0)

        bent_once.append(Bent())
        return fitted

    bent_once = []
    monkeypatch.setattr(training_run, "fit", bent)
    fitted = training_run.fit(built().dataset, lesson().spec, 1)
    model = Registry(tmp_path).load("tried", before.version)
    check_parity(model, replace(fitted, predictor=model.predictor), built().dataset)
    with pytest.raises(BadInput, match="answers otherwise after it was read back"):
        check_parity(model, replace(fitted, predictor=bent_once[0]), built().dataset)


# ---------------------------------------------------------------- the same again


def test_the_same_rows_and_seed_give_the_same_bytes(tmp_path):
    models = []
    for name in ("one", "two"):
        done = learn(school(tmp_path / name), lesson(balance=SymbolBalance.EQUAL), built(), PLAN)
        models.append((tmp_path / name / "tried" / done.version / "model.joblib").read_bytes())
    assert models[0] == models[1]


def test_nothing_of_the_window_is_learned(tmp_path):
    rows = built().dataset
    late = rows.close_ms >= END_MS - 5 * DAY_MS
    other = replace(
        rows, gain=np.where(late, -rows.gain, rows.gain), features=np.where(late[:, None], 9.0, rows.features)
    )
    models = []
    for name, dataset in (("one", rows), ("two", other)):
        done = learn(school(tmp_path / name), lesson(promote=True), replace(built(), dataset=dataset), PLAN)
        models.append((tmp_path / name / "tried" / done.version / "model.joblib").read_bytes())
    assert models[0] == models[1]


def test_the_manifest_says_what_it_was_trained_on_and_how(tmp_path):
    done = learn(school(tmp_path), lesson(format=ModelFormat.JOBLIB), built(), PLAN)
    manifest = Registry(tmp_path).manifest("tried", done.version)
    assert manifest.data == {"candles A": "0" * 64}
    assert manifest.short == ("C",)
    assert manifest.label["window_ms"] == 5 * DAY_MS
    assert (manifest.label["window_start_ms"], manifest.label["window_end_ms"]) == (END_MS - 5 * DAY_MS, END_MS)
    assert manifest.created_ms == END_MS


def test_turnover_is_measured_before_the_window_only():
    series = candles(1, 100, step=60)
    one = plan(
        candles=dict.fromkeys(SYMBOLS, series), start_ms=START_MS, end_ms=START_MS + 100 * STEP_MS, base=Timeframe.H1
    )
    half = START_MS + 48 * STEP_MS
    expected = float((series.close[:48] * series.volume[:48]).sum()) / 2
    assert turnover_of(one, half) == dict.fromkeys(SYMBOLS, pytest.approx(expected))
    spiked = replace(series, volume=np.where(series.ts_ms >= half, 1e12, series.volume))
    assert turnover_of(replace(one, candles=dict.fromkeys(SYMBOLS, spiked)), half) == turnover_of(one, half)
    assert turnover_of(one, START_MS) == {}


def test_rows_come_from_the_plan_and_progress_is_told():
    told = []
    with pytest.raises(BadInput, match="no symbol has history enough"):
        built_of(
            plan(), "whim", "own", HistoryTerms(minimum_days=3650), SymbolBalance.NONE, lambda *said: told.append(said)
        )
