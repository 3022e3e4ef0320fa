"""Versions on disk: what was saved loads and answers the same, whatever was altered is refused with its cause, and a fault
at any moment leaves the registry as it was.
"""

import errno
import json
import os
import pickle
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import joblib
import pytest

from livebot.core.market import Timeframe
from livebot.errors import BadInput, Fatal, Rejected, Transient
from livebot.learning import model_file
from livebot.learning.fitting import fit
from livebot.learning.manifest import parsed, written
from livebot.learning.registry import SCOPES_MAX, Registry
from livebot.learning.registry_lock import registry_lock
from livebot.learning.sealing import digest_of, seal, unseal
from livebot.learning.spec import EstimatorSpec, SymbolEncoding, TrainingMode, TrainingSpec
from tests.adapters.layers import FailingFiles, FillingUp, RecordingFiles, ShortWrites
from tests.learning.predictors_for_tests import (
    FEATURES,
    HOUR_MS,
    PACKAGES,
    START_MS,
    Failing,
    Linear,
    dataset,
    description,
    feature_set,
    fitted,
)
from tests.virtual_loop import REAL_WAIT_S

KEY = b"0123456789abcdef0123456789abcdef"
DAY_MS = 24 * HOUR_MS
SCOPE = "ema_cross"


def registry(folder: Path, key: bytes | None = KEY, layer=None) -> Registry:
    return Registry(folder / "models", key, PACKAGES, layer)


def saved(models: Registry, number: int = 0, predictor=None, **changes) -> str:
    """A version, another one for each number."""
    told = description(START_MS + 100 * DAY_MS + number * 1000, **changes)
    return models.save(fitted(predictor or Linear(intercept=number / 10)), dataset(), told)


def folder_of(models: Registry, version: str) -> Path:
    return models.folder / SCOPE / version


def everything(folder: Path) -> dict[str, bytes | None]:
    """Each path below a folder and its content; but for the lock, which says nothing."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if path.name != ".lock"
    }


def resealed(models: Registry, version: str, key: bytes | None = KEY, **changes) -> None:
    """Write a manifest whose seal fits, as a mistake of livebot (or somebody with the key) could."""
    path = folder_of(models, version) / "manifest.json"
    manifest = parsed(unseal(path.read_bytes(), KEY)).model_copy(update=changes)
    path.write_bytes(seal(written(manifest), key))


class Marks:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


class Naming(dict):
    """Its pickle names a function of the operating system."""

    def __reduce__(self):
        return os.mkdir, ("/nowhere",)


class Forgetful(Linear):
    """Its pickle holds no weights."""

    def __reduce__(self):
        return Linear, ()


# ------------------------------------------------------------------ what is saved


def test_what_was_saved_loads_and_answers_the_same(tmp_path):
    rows, models = dataset(), registry(tmp_path)
    version = saved(models)
    loaded = models.load(SCOPE, version, feature_set())
    names = rows.symbol_names.tolist()
    said = loaded.probabilities(rows.features, rows.side, names)
    assert (said == Linear().probabilities(rows.features, rows.side, names)).all()
    assert loaded.name == f"{SCOPE}/{version}"
    assert loaded.covered == set(rows.symbols)
    assert (models.scopes(), models.versions(SCOPE)) == ((SCOPE,), (version,))


def test_a_saved_version_is_not_in_use(tmp_path):
    """Saving and using are two decisions."""
    models = registry(tmp_path)
    saved(models)
    assert (models.current(SCOPE), models.previous(SCOPE), models.challenger(SCOPE)) == (None, None, None)


def test_versions_are_told_oldest_first(tmp_path):
    models = registry(tmp_path)
    assert models.versions(SCOPE) == ()
    made = [saved(models, number) for number in (2, 0, 1)]
    assert models.versions(SCOPE) == (made[1], made[2], made[0])


def test_every_name_is_durable_before_a_version_has_it(tmp_path):
    """Model and manifest first, then the folder's name, then the folder above."""
    layer = RecordingFiles()
    version = saved(registry(tmp_path, layer=layer))
    begin = [what for what, _ in layer.calls].index("create")
    assert [call for call in layer.calls[begin:] if call[0] != "write"] == [
        ("create", "model.joblib"),
        ("fsync", "model.joblib"),
        ("create", "manifest.json"),
        ("fsync", "manifest.json"),
        ("fsync_folder", f"{version}.scratch"),
        ("rename", version),
        ("fsync_folder", SCOPE),
    ]


def test_a_version_is_never_changed(tmp_path):
    models = registry(tmp_path)
    saved(models)
    before = everything(models.folder)
    with pytest.raises(Rejected, match="a version is never changed"):
        saved(models)
    assert everything(models.folder) == before


def test_the_parent_is_the_version_in_use(tmp_path):
    models = registry(tmp_path)
    first = saved(models)
    models.promote(SCOPE, first)
    assert models.manifest(SCOPE, saved(models, 1)).parent == first


def test_what_does_not_survive_its_own_file_is_not_saved(tmp_path):
    """Such as one whose pickle forgets something, or names what no model may."""
    models = registry(tmp_path)
    with pytest.raises(BadInput, match=r"golden row \d+ of 32 gives"):
        saved(models, predictor=Forgetful(weights=(5.0, 5.0, 5.0)))
    with pytest.raises(BadInput, match=r"it names posix\.mkdir"):
        saved(models, predictor=Linear(by_symbol=Naming()))
    assert models.versions(SCOPE) == ()


@pytest.mark.parametrize(
    ("mode", "estimator"),
    [
        (TrainingMode.PER_SYMBOL, "logistic_regression"),
        (TrainingMode.MULTI_SYMBOL, "hist_gradient_boosting"),
        (TrainingMode.CLUSTERED, "logistic_regression"),
        (TrainingMode.MULTI_SYMBOL, "sklearn.naive_bayes:GaussianNB"),
    ],
)
def test_real_models_load(tmp_path, mode, estimator):
    """What they are made of is on the list of what a model may hold."""
    rows = dataset(400)
    spec = TrainingSpec(
        mode=mode, estimator=EstimatorSpec(name=estimator), minimum_events=20, encoding=SymbolEncoding.ONE_HOT
    )
    models = Registry(tmp_path / "models", KEY)
    version = models.save(fit(rows, spec), rows, description(spec=spec))
    assert models.promote(SCOPE, version, feature_set()).manifest.estimator == estimator


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "keyed"])
@pytest.mark.parametrize("file", ["model.joblib", "manifest.json"])
def test_one_flipped_bit_is_refused(tmp_path, key, file):
    """Wherever it is: every 37th byte of both files."""
    models = registry(tmp_path, key)
    version = saved(models)
    path = folder_of(models, version) / file
    whole = path.read_bytes()
    cause = (
        r"model\.joblib is not the file that was saved: its digest differs"
        if file == "model.joblib"
        else "manifest.json: "
    )
    for place in range(0, len(whole), 37):
        altered = bytearray(whole)
        altered[place] ^= 4
        path.write_bytes(bytes(altered))
        with pytest.raises(BadInput, match=cause):
            models.load(SCOPE, version)
    path.write_bytes(whole)
    models.load(SCOPE, version)


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "keyed"])
def test_a_planted_pickle_is_never_executed(tmp_path, key):
    """It would leave a folder behind."""
    models, marker = registry(tmp_path, key), tmp_path / "marker"
    version = saved(models)
    joblib.dump(Marks(marker), folder_of(models, version) / "model.joblib")
    with pytest.raises(BadInput, match="digest"):
        models.promote(SCOPE, version)
    assert not marker.exists()


def test_a_planted_pickle_with_a_seal_that_fits_is_not_executed_either(tmp_path):
    """Who has no key set is not helped by the seal; what a model may name still stands in the way."""
    models, marker = registry(tmp_path, None), tmp_path / "marker"
    version = saved(models)
    planted = pickle.dumps(Marks(marker))
    folder = folder_of(models, version)
    (folder / "model.joblib").write_bytes(planted)
    manifest = parsed(unseal((folder / "manifest.json").read_bytes(), None))
    manifest = manifest.model_copy(update={"model_digest": digest_of(planted)})
    (folder / "manifest.json").write_bytes(seal(written(manifest), None))
    with pytest.raises(BadInput, match=r"it names posix\.mkdir, which no model of livebot holds"):
        models.load(SCOPE, version)
    assert not marker.exists()
    pickle.loads(planted)
    assert marker.exists()  # so it would have


def test_a_manifest_without_its_model(tmp_path):
    models = registry(tmp_path)
    version = saved(models)
    (folder_of(models, version) / "model.joblib").unlink()
    with pytest.raises(BadInput, match=r"model\.joblib is missing beside its manifest"):
        models.load(SCOPE, version)


def test_a_model_without_its_manifest(tmp_path):
    models = registry(tmp_path)
    version = saved(models)
    (folder_of(models, version) / "manifest.json").unlink()
    with pytest.raises(BadInput, match=r"manifest\.json is missing beside the model"):
        models.load(SCOPE, version)


def test_a_version_that_is_not_there(tmp_path):
    models = registry(tmp_path)
    with pytest.raises(BadInput, match="there is no such version"):
        models.load(SCOPE, "20240101T000000Z-01234567")


@pytest.mark.parametrize(
    ("scope", "version"),
    [
        ("../elsewhere", "20240101T000000Z-01234567"),
        ("/etc", "20240101T000000Z-01234567"),
        ("a//b", "20240101T000000Z-01234567"),
        (".", "20240101T000000Z-01234567"),
        ("a/b/c/d/e", "20240101T000000Z-01234567"),
        ("x" * 121, "20240101T000000Z-01234567"),
        ("current", "20240101T000000Z-01234567"),
        ("a/20240101T000000Z-01234567", "20240101T000000Z-01234567"),
        (SCOPE, "../../x"),
        (SCOPE, "latest"),
        (SCOPE, ""),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, scope, version):
    with pytest.raises(BadInput, match=r"is no (scope of models|version of a model)"):
        registry(tmp_path).load(scope, version)


def test_a_link_to_elsewhere_is_not_followed(tmp_path):
    """Not even if what is there would pass."""
    models = registry(tmp_path)
    version = saved(models)
    moved = tmp_path / "moved"
    folder_of(models, version).rename(moved)
    folder_of(models, version).symlink_to(moved)
    with pytest.raises(BadInput, match="a link or a file stands in the way"):
        models.load(SCOPE, version)


def test_another_version_of_a_library_is_refused_before_the_model_is_read(tmp_path, monkeypatch):
    """The old one may have pickled what the new one misreads."""
    models = registry(tmp_path)
    version = saved(models)
    resealed(models, version, libraries={"python": "3.11", "scikit-learn": "0.1", "gone": "1"})
    monkeypatch.setattr("livebot.learning.registry.undumped", lambda *_: pytest.fail("it was read"))
    with pytest.raises(BadInput, match=r"trained with scikit-learn 0\.1 \(here: .*\), gone 1 \(here: not installed\)"):
        models.load(SCOPE, version)


def test_another_python_is_refused(tmp_path):
    models = registry(tmp_path)
    version = saved(models)
    resealed(models, version, libraries={"python": "3.9"})
    with pytest.raises(BadInput, match=r"trained with python 3\.9"):
        models.load(SCOPE, version)


@pytest.mark.parametrize(
    ("ours", "cause"),
    [
        (feature_set(features=FEATURES[::-1]), 'first that differs is "model_rsi_3 = .*", here "model_rsi_8 = '),
        (feature_set(features=FEATURES[:2]), "it has 3 features, and here there are 2"),
        (feature_set(timeframe=Timeframe.M5), "first that differs is 'catalogue 1 timeframe 1h'"),
    ],
    ids=["another order", "others", "another timeframe"],
)
def test_other_features_are_refused(tmp_path, ours, cause):
    models = registry(tmp_path)
    with pytest.raises(BadInput, match=cause):
        models.load(SCOPE, saved(models), ours)


@pytest.mark.parametrize(
    ("names", "cause"),
    [
        (("model_rsi_8", "model_rsi_5", "model_rsi_3"), "it lists model_rsi_8 where its feature set has model_rsi_3"),
        (("model_rsi_3", "model_rsi_5", "other"), "it lists other where its feature set has model_rsi_8"),
    ],
    ids=["another order", "others"],
)
def test_a_manifest_that_lists_other_features_than_its_set_has_is_refused(tmp_path, names, cause):
    """Inputs go by their place, so nobody knows what such a model was trained on."""
    models = registry(tmp_path)
    version = saved(models)
    resealed(models, version, feature_names=names)
    with pytest.raises(BadInput, match=cause):
        models.load(SCOPE, version, feature_set())


def test_a_feature_set_whose_digest_is_another_is_refused(tmp_path):
    models = registry(tmp_path)
    version = saved(models)
    resealed(models, version, feature_digest="0" * 64)
    with pytest.raises(BadInput, match="feature_digest: it is not that of feature_set"):
        models.load(SCOPE, version)


def test_training_that_reaches_into_what_it_is_judged_by_is_refused(tmp_path):
    models = registry(tmp_path)
    version = saved(models)
    end_ms = models.manifest(SCOPE, version).train_end_ms
    with pytest.raises(BadInput, match="it has seen what it would be judged by"):
        models.load(SCOPE, version, judged_from_ms=end_ms)
    assert models.load(SCOPE, version, judged_from_ms=end_ms + 1)


def test_a_version_that_was_moved_is_refused(tmp_path):
    """A seal holds for its place: an old version cannot be passed off as another strategy's."""
    models = registry(tmp_path)
    version = saved(models)
    shutil.copytree(models.folder / SCOPE, models.folder / "breakout")
    with pytest.raises(BadInput, match=f"is that of {SCOPE}/{version}"):
        models.load("breakout", version)


def test_a_model_that_answers_otherwise_is_refused(tmp_path):
    """By more than rounding."""
    models = registry(tmp_path)
    version = saved(models)
    golden = models.manifest(SCOPE, version).golden
    off = golden[4].model_copy(update={"probability": golden[4].probability + 2e-12})
    resealed(models, version, golden=(*golden[:4], off, *golden[5:]))
    with pytest.raises(BadInput, match="golden row 5 of 32 gives"):
        models.load(SCOPE, version)
    near = golden[4].model_copy(update={"probability": golden[4].probability + 1e-13})
    resealed(models, version, golden=(*golden[:4], near, *golden[5:]))
    assert models.load(SCOPE, version)


@pytest.mark.parametrize("how", ["raise", "nan", "short", "above"])
def test_a_model_that_fails_on_its_golden_rows_is_refused(tmp_path, how):
    models = registry(tmp_path)
    version = saved(models, predictor=Failing(how))
    golden = models.manifest(SCOPE, version).golden
    resealed(models, version, golden=(golden[0].model_copy(update={"symbol": "BAD/USDT"}),))
    with pytest.raises(BadInput, match="its golden rows cannot be asked"):
        models.load(SCOPE, version)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (pickle.dumps([1, 2]), "it is a list, and no predictor"),
        (pickle.dumps(print), "it names builtins.print"),
        (b"cos\nsystem\n(S'true'\ntR.", "it names os.system"),
        (b"\x80\x04\x8c\x0dsklearn.utils\x8c\x09os.getcwd\x93.", "it names sklearn.utils.os.getcwd"),
        (b"csklearn.base\nwarnings\n.", "it names sklearn.base.warnings"),
        (b"\x80\x05garbage", "it does not load"),
        (b"", "it does not load: EOFError"),
        (b"NQ.", "it does not load: UnpicklingError"),
    ],
)
def test_bytes_that_are_no_predictor_are_refused(data, cause):
    """Behind the seal, so only a mistake of livebot or somebody with the key gets so far."""
    with pytest.raises(BadInput, match=cause):
        model_file.undumped(data, model_file.ModelFormat.JOBLIB)


def test_a_model_beyond_the_bound_is_not_saved(tmp_path, monkeypatch):
    monkeypatch.setattr("livebot.learning.registry.MODEL_BYTES_MAX", 100)
    models = registry(tmp_path)
    with pytest.raises(BadInput, match="at most 100 are ever loaded"):
        saved(models)
    assert not models.folder.exists()


# ------------------------------------------------------------------ what is in use


def test_promoting_keeps_the_previous_version(tmp_path):
    models = registry(tmp_path)
    first, second = saved(models), saved(models, 1)
    assert models.promote(SCOPE, first, feature_set()).name == f"{SCOPE}/{first}"
    assert (models.current(SCOPE), models.previous(SCOPE)) == (first, None)
    models.promote(SCOPE, second, feature_set())
    assert (models.current(SCOPE), models.previous(SCOPE)) == (second, first)
    models.promote(SCOPE, second, feature_set())
    assert (models.current(SCOPE), models.previous(SCOPE)) == (second, first)


def test_rolling_back_and_forth(tmp_path):
    models = registry(tmp_path)
    first, second = saved(models), saved(models, 1)
    models.promote(SCOPE, first)
    with pytest.raises(Rejected, match="there is no version before"):
        models.rollback(SCOPE)
    models.promote(SCOPE, second)
    models.rollback(SCOPE)
    assert (models.current(SCOPE), models.previous(SCOPE)) == (first, second)
    models.rollback(SCOPE)
    assert (models.current(SCOPE), models.previous(SCOPE)) == (second, first)


def test_a_challenger_that_is_promoted_is_none_any_more(tmp_path):
    models = registry(tmp_path)
    first, second = saved(models), saved(models, 1)
    models.promote(SCOPE, first)
    models.challenge(SCOPE, second, feature_set())
    assert models.challenger(SCOPE) == second
    models.promote(SCOPE, second)
    assert models.challenger(SCOPE) is None
    models.challenge(SCOPE, first)
    models.challenge(SCOPE, None)
    models.challenge(SCOPE, None)
    assert models.challenger(SCOPE) is None


@pytest.mark.parametrize("deed", ["promote", "challenge"])
def test_only_a_version_that_passes_is_pointed_at(tmp_path, deed):
    models = registry(tmp_path)
    good, bad = saved(models), saved(models, 1)
    models.promote(SCOPE, good)
    (folder_of(models, bad) / "model.joblib").write_bytes(b"x")
    before = everything(models.folder)
    with pytest.raises(BadInput, match="digest"):
        getattr(models, deed)(SCOPE, bad)
    assert everything(models.folder) == before


def test_a_rollback_to_a_damaged_version_is_refused(tmp_path):
    models = registry(tmp_path)
    first, second = saved(models), saved(models, 1)
    models.promote(SCOPE, first)
    models.promote(SCOPE, second)
    (folder_of(models, first) / "model.joblib").unlink()
    with pytest.raises(BadInput, match="is missing"):
        models.rollback(SCOPE)
    assert models.current(SCOPE) == second


@pytest.mark.parametrize("content", [b"", b"latest\n", b"../../x\n", b"\xff\xfe"])
def test_a_pointer_that_names_no_version_is_told(tmp_path, content):
    models = registry(tmp_path)
    saved(models)
    (models.folder / SCOPE / "current").write_bytes(content)
    with pytest.raises(BadInput, match="current names no version"):
        models.current(SCOPE)


def test_a_pointer_that_names_nothing_is_mended_by_the_next_version(tmp_path):
    """Neither training nor an operator has to remove it by hand."""
    models = registry(tmp_path)
    first = saved(models)
    for pointer in ("current", "previous", "challenger"):
        (models.folder / SCOPE / pointer).write_bytes(b"nonsense")
    second = saved(models, 1)
    models.promote(SCOPE, second)
    assert models.current(SCOPE) == second
    models.challenge(SCOPE, None)
    assert models.challenger(SCOPE) is None
    models.promote(SCOPE, first)
    assert (models.current(SCOPE), models.previous(SCOPE)) == (first, second)


# ------------------------------------------------------------------ faults


def failing_points() -> list[tuple[str, str]]:
    """Each call that a save makes, by the file or folder it is made for."""
    return [
        ("make_folder", "scratch"),
        ("create", "model.joblib"),
        ("write", "model.joblib"),
        ("fsync", "model.joblib"),
        ("close", "model.joblib"),
        ("create", "manifest.json"),
        ("write", "manifest.json"),
        ("fsync", "manifest.json"),
        ("fsync_folder", "scratch"),
        ("rename", ""),
    ]


@pytest.mark.parametrize(("call", "within"), failing_points())
def test_a_save_that_fails_leaves_the_registry_as_it_was(tmp_path, call, within):
    sound = registry(tmp_path)
    sound.promote(SCOPE, saved(sound))
    before = everything(sound.folder)
    with pytest.raises(Fatal, match=r"No space left on device.*free some disk space"):
        saved(registry(tmp_path, layer=FailingFiles(call, errno.ENOSPC, within)), 1)
    assert everything(sound.folder) == before
    assert len(saved(sound, 1)) > 0  # and the next one works


@pytest.mark.parametrize("free", [0, 1, 300, 2_000, 6_000])
def test_a_disk_that_fills_up_in_a_save(tmp_path, free):
    sound = registry(tmp_path)
    sound.promote(SCOPE, saved(sound))
    before = everything(sound.folder)
    with pytest.raises(Fatal, match=r"cannot write .*: No space left"):
        saved(registry(tmp_path, layer=FillingUp(free)), 1)
    assert everything(sound.folder) == before


def test_a_disk_that_takes_no_more_and_does_not_say_why(tmp_path):
    with pytest.raises(Fatal, match="takes no more bytes"):
        saved(registry(tmp_path, layer=ShortWrites(0)))
    saved(registry(tmp_path, layer=ShortWrites(500)))


@pytest.mark.parametrize(
    ("call", "within"),
    [
        ("create", "previous"),
        ("write", "previous"),
        ("fsync", "previous"),
        ("rename", "previous"),
        ("create", "current"),
        ("write", "current"),
        ("fsync", "current"),
        ("rename", "current"),
    ],
)
def test_a_promote_that_fails_leaves_everything_as_it_was(tmp_path, call, within):
    """A full disk, mostly; the version in use goes on, and so does the way back."""
    sound = registry(tmp_path)
    versions = [saved(sound, number) for number in range(3)]
    sound.promote(SCOPE, versions[0])
    sound.promote(SCOPE, versions[1])
    before = everything(sound.folder)
    with pytest.raises(Fatal, match=r"cannot write .*current: No space left"):
        registry(tmp_path, layer=FailingFiles(call, errno.ENOSPC, within)).promote(SCOPE, versions[2])
    assert everything(sound.folder) == before
    sound.promote(SCOPE, versions[2])
    assert sound.current(SCOPE) == versions[2]


def test_a_promote_that_fails_at_the_very_end_is_taken_back(tmp_path):
    """The first one of a scope: then nothing is in use again."""
    sound = registry(tmp_path)
    version = saved(sound)
    before = everything(sound.folder)
    with pytest.raises(Fatal, match="Input/output error"):
        registry(tmp_path, layer=FailingFiles("fsync_folder", errno.EIO, SCOPE)).promote(SCOPE, version)
    assert everything(sound.folder) == before


def test_a_challenger_that_cannot_be_removed_is_told(tmp_path):
    """But where it was promoted: there it does no harm."""
    sound = registry(tmp_path)
    version = saved(sound)
    sound.challenge(SCOPE, version)
    registry(tmp_path, layer=FailingFiles("remove", errno.EROFS)).promote(SCOPE, version)
    assert (sound.current(SCOPE), sound.challenger(SCOPE)) == (version, version)
    with pytest.raises(Fatal, match=r"cannot remove .*challenger"):
        registry(tmp_path, layer=FailingFiles("remove", errno.EROFS)).challenge(SCOPE, None)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    with pytest.raises(Fatal, match=r"cannot make .*models"):
        saved(registry(tmp_path, layer=FailingFiles("make_folder", errno.EACCES)))


class Dying(RecordingFiles):
    """The process ends at the n-th call: nothing that comes after it in the same change happens."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def __getattribute__(self, name):
        if name in {"create", "write", "fsync", "rename", "fsync_folder", "remove", "make_folder", "close"}:
            if self.left <= 0:
                raise KeyboardInterrupt
            self.left -= 1
        return super().__getattribute__(name)


@pytest.mark.untraced
@pytest.mark.timeout(600)
def test_a_kill_at_any_moment_leaves_a_registry_that_works(tmp_path):
    """Before, or after: each call in turn is the last one of a save and a promote."""
    sound = registry(tmp_path)
    sound.promote(SCOPE, saved(sound))
    first = sound.current(SCOPE)
    for at in range(1, 60):
        folder = tmp_path / str(at)
        shutil.copytree(sound.folder, folder / "models")
        dying = registry(folder, layer=Dying(at))
        done = False
        try:
            dying.promote(SCOPE, saved(dying, 1))
            done = True
        except KeyboardInterrupt:
            pass
        after = registry(folder)
        in_use = after.current(SCOPE)
        assert after.load(SCOPE, in_use)
        assert all(after.load(SCOPE, version) for version in after.versions(SCOPE))
        assert after.previous(SCOPE) in {None, first}
        saved(after, 2)
        assert not [path for path in (after.folder / SCOPE).iterdir() if path.is_dir() and path.suffix == ".scratch"]
        if done:
            break
        shutil.rmtree(folder)
    assert done
    assert in_use != first


def test_two_processes_never_write_at_once(tmp_path):
    models = registry(tmp_path)
    saved(models)
    busy = pytest.raises(Transient, match="another process is changing the models")
    with registry_lock(models.folder), busy, registry_lock(models.folder, wait_s=0.05):
        pytest.fail("both hold it")
    with registry_lock(models.folder, wait_s=0):
        pass


def test_one_waits_until_the_other_is_done(tmp_path):
    models = registry(tmp_path)
    saved(models)
    with ThreadPoolExecutor(1) as other:
        with registry_lock(models.folder):
            waiting = other.submit(saved, models, 1)
            with pytest.raises(TimeoutError):
                waiting.result(0.5)
        assert waiting.result(REAL_WAIT_S) in models.versions(SCOPE)


def test_a_lock_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(Fatal, match="cannot lock"), registry_lock(tmp_path):
        pytest.fail("it was made")


# ------------------------------------------------------------------ scopes


def test_scopes_may_lie_in_folders(tmp_path):
    """As a pattern with a slash makes them; what is not a scope is passed over."""
    models = registry(tmp_path)
    for scope in ("ema_cross/BTC-USDT", "ema_cross/shared", "b"):
        saved(models, scope=scope)
    (models.folder / "empty" / "inner").mkdir(parents=True)
    (models.folder / ".hidden" / "20240101T000000Z-01234567").mkdir(parents=True)
    (models.folder / "link").symlink_to(models.folder)
    assert models.scopes() == ("b", "ema_cross/BTC-USDT", "ema_cross/shared")


def test_too_many_scopes_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr("livebot.learning.registry.SCOPES_MAX", 1)
    models = registry(tmp_path)
    assert SCOPES_MAX == 5_000
    for scope in ("a", "b"):
        saved(models, scope=scope)
    with pytest.raises(BadInput, match="holds more than 1 scopes"):
        models.scopes()


# ------------------------------------------------------------------ skops


def test_skops_is_asked_for_in_a_sentence_when_it_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    models = registry(tmp_path)
    with pytest.raises(BadInput, match="needs the package skops, which is not installed"):
        saved(models, format=model_file.ModelFormat.SKOPS)
    assert models.versions(SCOPE) == ()


def fake_skops(asks: list[str], loaded: list[bytes]):
    """A skops that would ask about these types, and notes what it loads."""

    def loads(data, trusted):
        assert set(asks) <= set(trusted)
        assert "sklearn.linear_model._logistic.LogisticRegression" not in trusted
        loaded.append(data)
        return pickle.loads(data)

    return SimpleNamespace(dumps=pickle.dumps, loads=loads, get_untrusted_types=lambda data: asks)


def test_skops_is_used_where_it_is_asked_for(tmp_path, monkeypatch):
    known = ["livebot.learning.predictors.calibrated.Calibration", "functools.partial"]
    loaded = []
    monkeypatch.setitem(sys.modules, "skops.io", fake_skops(known, loaded))
    monkeypatch.setattr(model_file, "_versions", lambda names: dict.fromkeys(names, "1"))
    models = registry(tmp_path)
    version = saved(models, format=model_file.ModelFormat.SKOPS)
    assert models.load(SCOPE, version).manifest.libraries["skops"] == "1"
    assert (folder_of(models, version) / "model.skops").is_file()
    assert len(loaded) == 2


def test_skops_trusts_its_own_list_and_never_what_a_file_asks_for(tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setitem(sys.modules, "skops.io", fake_skops(["functools.partial", "posix.system"], loaded))
    with pytest.raises(BadInput, match=r"it holds posix\.system, which no model of livebot does"):
        model_file.undumped(b"x", model_file.ModelFormat.SKOPS)
    assert loaded == []


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("mode", "encoding", "estimator"),
    [
        (TrainingMode.PER_SYMBOL, SymbolEncoding.ONE_HOT, "logistic_regression"),
        (TrainingMode.MULTI_SYMBOL, SymbolEncoding.INDEX, "hist_gradient_boosting"),
    ],
)
def test_real_models_load_from_real_skops(tmp_path, mode, encoding, estimator):
    pytest.importorskip("skops.io")
    rows = dataset(400)
    spec = TrainingSpec(mode=mode, estimator=EstimatorSpec(name=estimator), minimum_events=20, encoding=encoding)
    models = Registry(tmp_path / "models", KEY)
    told = description(spec=spec, format=model_file.ModelFormat.SKOPS)
    assert models.promote(SCOPE, models.save(fit(rows, spec), rows, told), feature_set())


def test_a_class_of_the_operators_own_comes_with_its_packages_version():
    """Where a package brought it; a module beside the config has none."""
    assert "numpy" in model_file.libraries("sklearn.naive_bayes:GaussianNB", model_file.ModelFormat.JOBLIB)
    assert "pytest" in model_file.libraries("pytest.own:Class", model_file.ModelFormat.JOBLIB)
    assert "beside" not in model_file.libraries("beside.own:Class", model_file.ModelFormat.JOBLIB)


def test_a_manifest_is_json_that_people_read(tmp_path):
    models = registry(tmp_path)
    tree = json.loads((folder_of(models, saved(models)) / "manifest.json").read_text())
    assert list(tree)[:3] == ["schema", "scope", "version"]
    assert tree["seal"].startswith("hmac-sha256:")
    assert models.sealed
    assert not registry(tmp_path, None).sealed


def test_a_folder_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    """Such as one that root made: with the mend, and not as a fault of livebot."""
    models = registry(tmp_path)
    saved(models)
    shut = registry(tmp_path, layer=FailingFiles("folders", errno.EACCES, SCOPE))
    for ask in (shut.scopes, lambda: shut.versions(SCOPE)):
        with pytest.raises(Fatal, match=f"cannot read .*{SCOPE}: Permission denied"):
            ask()


def test_a_lock_that_the_filesystem_does_not_have_is_told(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("livebot.learning.registry_lock.fcntl.flock", none)
    with pytest.raises(Fatal, match=r"cannot lock .*No locks available"):
        saved(registry(tmp_path))


REST = "0101T000000Z-0123abcd"


@pytest.mark.parametrize("name", [f"\uff12\uff10\uff12\uff16{REST}", f"\u0662\u0660\u0662\u0666{REST}"])
def test_digits_of_other_scripts_make_no_version(tmp_path, name):
    models = registry(tmp_path)
    saved(models)
    (models.folder / SCOPE / name).mkdir()
    assert name not in models.versions(SCOPE)
