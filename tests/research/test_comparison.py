"""Arms on folds: the same for all, cached by what they depend on, the same bytes however they are computed."""

from dataclasses import replace

import numpy as np
import pytest

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.errors import BadInput, Fatal
from livebot.learning.spec import SymbolBalance
from livebot.learning.weights import weighted
from livebot.research.backends import ready
from livebot.research.comparison import compute
from livebot.research.decision import NO_ARM, decide, not_significant
from livebot.research.fold_cache import FoldCache, key_of
from livebot.research.fold_run import code_digest, data_digest
from livebot.research.measuring import measure
from livebot.research.study import Kind, check_events, cost_of, folds_of, pieces_of, work_of
from livebot.research.synthetic import Truth
from tests.research.studies import quick_fit, study


def computed(made, folder, **options):
    plan = folds_of(made)
    cache = FoldCache(folder, SystemFiles())
    return plan, compute(
        made, plan, cache, options.pop("tell", lambda _: None), lambda: 0.0, backend="threading", **options
    )


def measured(made, folder):
    plan, done = computed(made, folder)
    return measure(made, plan, done.scores, lambda _: None)


def same(one, other):
    return one.keys() == other.keys() and all(
        np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
        for key in one
        for left, right in zip(one[key].arrays().values(), other[key].arrays().values(), strict=True)
    )


# ------------------------------------------------------------------ folds


def test_unseen_symbols_are_tested_and_in_no_train_row():
    made = study()
    plan = folds_of(made)
    names = made.dataset.symbol_names
    for kind, folds in plan.folds.items():
        assert folds
        for fold in folds:
            assert not np.isin(names[fold.train], made.unseen).any()
            assert np.isin(names[fold.test], made.unseen).any() == (kind is Kind.WALK)


def test_every_arm_has_every_fold_and_the_costly_come_first():
    made = study()
    plan = folds_of(made)
    pieces = pieces_of(made, plan)
    assert len(set(pieces)) == len(pieces) == 2 * sum(map(len, plan.folds.values()))
    costs = [cost_of(plan, piece) for piece in pieces]
    assert costs == sorted(costs, reverse=True)


def test_rows_count_by_what_an_arm_is_trained_on_and_by_nothing_else():
    """Whoever learns from BTC alone is not told how much happened elsewhere, nor later."""
    made = study(arms=("single_lr", "one_hot_lr"), balance=SymbolBalance.EQUAL)
    plan = folds_of(made)
    for piece in pieces_of(made, plan):
        if piece.kind is not Kind.WALK:  # elsewhere symbols come and go
            continue
        given = work_of(made, plan, piece).train
        train = given.rows(given.weight > 0)  # what others are trained on counts for nothing
        single = piece.arm.name == "single_lr"
        wanted = made.seen[:1] if single else made.seen
        assert set(train.symbol_names.tolist()) == set(wanted)
        assert np.array_equal(train.weight, weighted(train, SymbolBalance.EQUAL).weight)
        shares = [train.weight[train.symbol_names == symbol].sum() / len(train) for symbol in wanted]
        assert shares == pytest.approx([1 / len(wanted)] * len(wanted))


def test_a_symbol_with_ten_events_is_refused():
    made = study()
    few = np.flatnonzero(made.dataset.symbol == 1)[10:]
    with pytest.raises(BadInput, match=f"at least 50 a symbol.*: {made.dataset.symbols[1]} 10; leave such symbols out"):
        folds_of(replace(made, dataset=made.dataset.rows(np.setdiff1d(np.arange(len(made.dataset)), few))))


@pytest.mark.parametrize(("gain", "said"), [(0.01, "won"), (-0.01, "lost")])
def test_one_class_only_is_refused(gain, said):
    dataset = study().dataset
    with pytest.raises(BadInput, match=f"all 750 entries {said}"):
        check_events(replace(dataset, gain=np.full(len(dataset), gain)))


def test_a_range_shorter_than_a_fold_is_refused():
    made = study()
    with pytest.raises(BadInput, match="make no fold of 60 days"):
        folds_of(replace(made, span=(made.span[0], made.span[0] + 30 * 86_400_000)))


def test_too_few_symbols_for_a_turnover_leave_it_out_and_say_so():
    plan = folds_of(study(symbols=3))
    assert Kind.TURNOVER not in plan.folds
    assert "2 symbols are too few" in plan.notes[0]


# ------------------------------------------------------------------ the cache


def test_what_was_computed_is_taken_from_the_cache(tmp_path):
    made = study()
    _, first = computed(made, tmp_path)
    told = []
    _, second = computed(made, tmp_path, tell=told.append)
    assert (first.cached, second.cached) == (0, len(first.scores))
    assert same(first.scores, second.scores)
    assert [(each.pieces, each.share) for each in told] == [(0, 1.0)]


def test_a_damaged_or_foreign_result_is_computed_again(tmp_path):
    made = study()
    _, first = computed(made, tmp_path)
    one, two, *_ = sorted(tmp_path.glob("*.npz"))
    one.write_bytes(one.read_bytes()[:100])
    two.write_bytes(sorted(tmp_path.glob("*.npz"))[2].read_bytes())  # another key's
    _, second = computed(made, tmp_path)
    assert second.cached == len(first.scores) - 2
    assert same(first.scores, second.scores)


def other_fit(dataset, spec):
    return quick_fit(dataset, spec)


@pytest.mark.parametrize(
    "change",
    [
        lambda made: replace(made, seed=2),
        lambda made: replace(made, base=replace(made.base, minimum_events=21)),
        lambda made: replace(made, fit=other_fit),
        lambda made: replace(made, dataset=replace(made.dataset, gain=made.dataset.gain * 1.5)),
    ],
    ids=["seed", "spec", "code", "data"],
)
def test_whatever_a_result_depends_on_makes_it_anew(tmp_path, change):
    made = study(paths=None)
    computed(made, tmp_path)
    assert computed(change(made), tmp_path)[1].cached == 0


def test_more_arms_leave_the_others_results_as_they_are(tmp_path):
    _, first = computed(study(), tmp_path)
    _, second = computed(study(arms=("single_lr", "one_hot_lr", "blind_lr")), tmp_path)
    assert second.cached == len(first.scores)


def test_digests_tell_data_and_code_apart():
    made = study()
    assert data_digest(made.dataset) == data_digest(study().dataset)
    assert data_digest(made.dataset) != data_digest(study(seed=2).dataset)
    assert code_digest(quick_fit) == code_digest(quick_fit) != code_digest(other_fit)
    assert key_of({"a": 1.0, "b": [2]}) == key_of({"b": [2], "a": 1.0}) != key_of({"a": 1.5, "b": [2]})


class FullDisk(SystemFiles):
    """Takes so many files and then has no room."""

    def __init__(self, files):
        self.files_left = files

    def fsync(self, descriptor):
        self.files_left -= 1
        if self.files_left < 0:
            raise OSError(28, "No space left on device")
        super().fsync(descriptor)


def test_a_full_disk_ends_it_and_keeps_what_was_computed(tmp_path):
    made = study()
    plan = folds_of(made)
    with pytest.raises(Fatal, match=r"No space left.*free some disk space"):
        compute(made, plan, FoldCache(tmp_path, FullDisk(5)), lambda _: None, lambda: 0.0, backend="threading")
    assert computed(made, tmp_path)[1].cached == 5


# ------------------------------------------------------------------ where it is computed


@pytest.mark.slow
def test_two_processes_give_the_same_as_one(tmp_path):
    made = study(arms=("one_hot_lr",), paths=None)
    _, one = computed(made, tmp_path / "one")
    plan = folds_of(made)
    two = compute(made, plan, FoldCache(tmp_path / "two", SystemFiles()), lambda _: None, lambda: 0.0, jobs=2)
    assert same(one.scores, two.scores)
    files = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("one", "two")]
    assert files[0] == files[1]


def test_backends_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    assert ready("loky") == "loky"
    with pytest.raises(BadInput, match="choose one of loky, threading, dask, ray"):
        ready("spark")
    with pytest.raises(BadInput, match="distributed is not installed"):
        ready("dask")


@pytest.mark.parametrize(("backend", "module"), [("dask", "distributed"), ("ray", "ray.util.joblib")])
def test_a_cluster_is_connected_to(monkeypatch, backend, module):
    asked = []
    fake = type(__import__("sys"))(module)
    fake.Client = fake.register_ray = lambda: asked.append(module)
    for name in {"ray", "ray.util", module} if backend == "ray" else {module}:
        monkeypatch.setitem(__import__("sys").modules, name, fake)
    assert ready(backend) == backend
    assert asked == [module]


# ------------------------------------------------------------------ figures


def test_an_arm_that_cannot_be_trained_takes_nothing_and_says_why(tmp_path):
    made = study(arms=("single_lr", "one_hot_lr"))
    found = measured(replace(made, base=replace(made.base, minimum_events=10_000)), tmp_path)
    arm = found.arms[-1]
    assert arm.threshold.figures.trades == arm.matched.figures.trades == 0
    assert arm.refused[0][1].endswith("rows are too few") and len(arm.refused) == 6
    verdict = decide(found.arms, made.judging, found.overfitting)
    assert verdict.verdict == NO_ARM and "none trades on enough days" in verdict.sentence


def test_a_truth_that_all_share_is_found_and_chance_is_not(tmp_path):
    made = study(rows=500, judging=replace(study().judging, resamples=300))
    found = measured(made, tmp_path)
    arms = {arm.name: arm for arm in found.arms}
    believed = [replace(arm, deflated=0.99) for arm in found.arms]  # which the ledger of trials says
    verdict = decide(believed, made.judging, found.overfitting)
    assert verdict.winner == "one_hot_lr"
    assert "is confirmed to beat the unfiltered strategy after costs" in verdict.sentence
    assert decide(found.arms, made.judging, found.overfitting).lacking["one_hot_lr"] == ("trials",)
    assert arms["one_hot_lr"].forecast.auc > 0.6
    assert arms["one_hot_lr"].beats_random > 0.95 and arms["one_hot_lr"].chance == pytest.approx(1 / 201)
    assert arms["no_filter"].beats_random is arms["random"].chance is None
    assert arms["one_hot_lr"].unseen.figures.mean_gain > arms["no_filter"].unseen.figures.mean_gain
    assert any(line.startswith("random against no_filter") for line in not_significant(found.arms))


def test_noise_gives_no_winner(tmp_path):
    made = study(Truth.NOISE, rows=200)
    found = measured(made, tmp_path)
    verdict = decide(found.arms, made.judging, found.overfitting)
    assert (verdict.verdict, verdict.winner) == (NO_ARM, None)
    assert "the nearest is" in verdict.sentence


def test_accounts_agree_with_each_other(tmp_path):
    made = study()
    found = measured(made, tmp_path)
    for arm in found.arms:
        figures = arm.threshold.figures
        assert figures.trades == sum(line.trades for line in arm.folds)
        total = sum(line.added for line in arm.folds)
        for parts in arm.cuts.values():
            assert sum(part.trades for part in parts.values()) == figures.trades
            assert sum(part.added for part in parts.values()) == pytest.approx(total)
        assert arm.threshold.doubled.mean_gain < figures.mean_gain
        assert len(arm.paths) == (0 if arm.name == "random" else 3)
        assert set(arm.unseen_symbols) <= set(made.unseen)
    whole, matched = found.arms[0].threshold.figures.trades, found.arms[-1].matched.figures.trades
    assert matched == pytest.approx(whole / 2, abs=6)  # half of each of six folds


def test_a_model_that_does_not_fall_back_takes_nothing_of_what_it_does_not_know(tmp_path):
    found = measured(study(arms=("per_symbol_lr", "per_symbol_alone_lr")), tmp_path)
    fallback, alone = found.arms[-2:]
    assert fallback.unseen.figures.trades > 0 == alone.unseen.figures.trades
    assert alone.threshold.figures == fallback.threshold.figures  # of the others it knows all
