"""Old versions go, and whatever somebody may still need stays; wherever it ends, the registry works."""

import errno
import shutil

import pytest

from livebot.errors import BadInput, Fatal, Transient
from livebot.learning.pruning import pruning_of
from livebot.learning.registry import Registry
from livebot.learning.registry_lock import registry_lock
from tests.adapters.layers import FailingFiles
from tests.learning.test_registry import SCOPE, Dying, everything, registry, saved


@pytest.fixture
def models(tmp_path) -> Registry:
    return registry(tmp_path)


def versions(models: Registry, count: int) -> list[str]:
    return [saved(models, number) for number in range(count)]


def removable(models: Registry, keep: int = 1, opened_by: tuple[str, ...] = (), made: tuple[str, ...] = ()):
    return pruning_of(
        models, SCOPE, keep, [f"{SCOPE}/{each}" for each in opened_by], [f"{SCOPE}/{each}" for each in made]
    )


def test_the_newest_stay_and_the_others_may_go(models):
    made = versions(models, 5)
    assert removable(models, 2).removable == tuple(made[:3])
    assert removable(models, 9).removable == ()


def test_what_is_in_use_was_or_answers_in_shadow_stays_however_old(models):
    made = versions(models, 6)
    models.promote(SCOPE, made[0])
    models.promote(SCOPE, made[1])
    models.challenge(SCOPE, made[2])
    found = removable(models)
    assert found.removable == (made[3], made[4])
    assert [found.kept[each] for each in made[:3]] == ["previous", "current", "challenger"]


def test_what_an_open_signal_was_opened_by_and_what_was_just_made_stays(models):
    """Under a clock that was set back the version that was just made is not the newest."""
    made = versions(models, 5)
    found = removable(models, opened_by=(made[1],), made=(made[2],))
    assert found.removable == (made[0], made[3])
    assert (found.kept[made[1]], found.kept[made[2]]) == ("an open signal", "just made")
    foreign = pruning_of(models, SCOPE, 1, [f"other/{made[1]}"])
    assert made[1] in foreign.removable


def test_the_parent_of_a_kept_one_stays_and_its_own_parent_goes(models):
    """All parents together would be all versions there are."""
    made = []
    for number in range(4):
        made.append(saved(models, number))
        models.promote(SCOPE, made[-1])
    last = saved(models, 4)  # its parent is made[3], whose parent is made[2], whose parent is made[1]
    models.promote(SCOPE, last)
    found = removable(models)
    assert (found.kept[made[3]], found.kept[made[2]]) == ("previous", "parent of a kept one")
    assert found.removable == tuple(made[:2])


def test_a_version_whose_manifest_cannot_be_read_names_no_parent_and_holds_up_nothing(models):
    made = versions(models, 3)
    (models.folder / SCOPE / made[2] / "manifest.json").write_bytes(b"x")
    shutil.rmtree(models.folder / SCOPE / made[0])
    (models.folder / SCOPE / made[0]).mkdir()  # without files
    found = removable(models)
    assert found.removable == tuple(made[:2])
    assert models.remove(SCOPE, found.removable) == tuple(made[:2])
    assert models.versions(SCOPE) == (made[2],)


def test_with_a_pointer_that_cannot_be_read_nothing_may_go(models):
    made = versions(models, 3)
    (models.folder / SCOPE / "previous").write_bytes(b"../../elsewhere")
    before = everything(models.folder)
    with pytest.raises(BadInput, match="previous names no version"):
        removable(models)
    with pytest.raises(BadInput, match="previous names no version"):
        models.remove(SCOPE, made[:1])
    assert everything(models.folder) == before


# ---------------------------------------------------------------- removing


def test_what_is_removed_is_gone_and_the_rest_works(models):
    made = versions(models, 4)
    models.promote(SCOPE, made[0])
    assert models.remove(SCOPE, made[1:3]) == tuple(made[1:3])
    assert models.versions(SCOPE) == (made[0], made[3])
    assert sorted(path.name for path in (models.folder / SCOPE).iterdir()) == sorted([made[0], made[3], "current"])
    assert models.load(SCOPE, made[0])


def test_what_was_promoted_meanwhile_is_not_removed(models):
    """Between looking and removing somebody may have chosen one of them."""
    made = versions(models, 3)
    found = removable(models)
    models.promote(SCOPE, made[0])
    assert models.remove(SCOPE, found.removable) == (made[1],)
    assert models.load(SCOPE, made[0])


@pytest.mark.parametrize("deed", ["promote", "challenge"])
def test_a_version_that_is_removed_while_it_is_looked_at_is_not_pointed_at(models, monkeypatch, deed):
    made = versions(models, 2)
    models.promote(SCOPE, made[1])
    real = Registry.load

    def load_and_lose(self, *args, **kwargs):
        model = real(self, *args, **kwargs)
        self.remove(SCOPE, [made[0]])
        return model

    monkeypatch.setattr(Registry, "load", load_and_lose)
    with pytest.raises(BadInput, match="there is no such version"):
        getattr(models, deed)(SCOPE, made[0])
    assert (models.current(SCOPE), models.challenger(SCOPE)) == (made[1], None)


def test_what_is_no_version_or_a_link_is_left_alone(models, tmp_path):
    (made,) = versions(models, 1)
    with pytest.raises(BadInput, match="is no version of a model"):
        models.remove(SCOPE, ["../../x"])
    elsewhere = tmp_path / "elsewhere"
    (models.folder / SCOPE / made).rename(elsewhere)
    (models.folder / SCOPE / made).symlink_to(elsewhere)
    assert models.remove(SCOPE, [made, "20200101T000000Z-01234567"]) == ()
    assert (elsewhere / "manifest.json").exists()


def test_a_scope_that_is_a_link_is_another_roots_and_nothing_of_it_goes(models, tmp_path):
    made = versions(models, 2)
    (models.folder / SCOPE).rename(tmp_path / "theirs")
    (models.folder / SCOPE).symlink_to(tmp_path / "theirs")
    with pytest.raises(BadInput, match="a link or a file stands in the way"):
        models.remove(SCOPE, made[:1])
    assert (tmp_path / "theirs" / made[0]).is_dir()


@pytest.mark.parametrize("call", ["rename", "fsync_folder"])
def test_a_disk_that_fails_leaves_whole_versions_only(tmp_path, call):
    sound = registry(tmp_path)
    made = versions(sound, 3)
    sound.promote(SCOPE, made[2])
    with pytest.raises(Fatal, match=f"cannot remove .*{made[0]}: No space left"):
        registry(tmp_path, layer=FailingFiles(call, errno.ENOSPC, SCOPE)).remove(SCOPE, made[:2])
    assert all(sound.load(SCOPE, each) for each in sound.versions(SCOPE))
    assert {made[1], made[2]} <= set(sound.versions(SCOPE))
    sound.remove(SCOPE, made[:2])
    assert [path for path in (sound.folder / SCOPE).iterdir() if path.is_dir()] == [sound.folder / SCOPE / made[2]]


def test_files_that_cannot_be_removed_are_told_and_swept_later(tmp_path, monkeypatch):
    models = registry(tmp_path)
    made = versions(models, 2)

    def fails(_path):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as broken:
        broken.setattr("livebot.learning.registry.shutil.rmtree", fails)
        with pytest.raises(Fatal, match="cannot remove"):
            models.remove(SCOPE, made[:1])
    assert models.versions(SCOPE) == (made[1],)
    saved(models, 5)
    assert not [path for path in (models.folder / SCOPE).iterdir() if path.suffix == ".scratch"]


def test_a_kill_at_any_moment_of_a_removal_leaves_a_registry_that_works(tmp_path):
    sound = registry(tmp_path)
    made = versions(sound, 4)
    sound.promote(SCOPE, made[3])
    for at in range(1, 40):
        folder = tmp_path / str(at)
        shutil.copytree(sound.folder, folder / "models")
        done = False
        try:
            registry(folder, layer=Dying(at)).remove(SCOPE, made[:2])
            done = True
        except KeyboardInterrupt:
            pass
        after = registry(folder)
        assert after.load(SCOPE, str(after.current(SCOPE)))
        assert all(after.load(SCOPE, each) for each in after.versions(SCOPE))
        assert set(made[2:]) <= set(after.versions(SCOPE))
        saved(after, 9)
        assert not [path for path in (after.folder / SCOPE).iterdir() if path.suffix == ".scratch"]
        if done:
            break
        shutil.rmtree(folder)
    assert done
    assert at > 3
    assert after.versions(SCOPE)[:2] == tuple(made[2:])


def test_nobody_removes_while_somebody_else_changes(models, monkeypatch):
    made = versions(models, 2)
    monkeypatch.setattr("livebot.learning.registry.registry_lock", lambda folder: registry_lock(folder, wait_s=0.05))
    with registry_lock(models.folder), pytest.raises(Transient, match="another process is changing the models"):
        models.remove(SCOPE, made[:1])
    assert models.versions(SCOPE) == tuple(made)
