"""Models that must not be used, given to a daemon that runs: each is refused with its cause, and the one in use goes on."""

import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from livebot.learning.description import Description
from livebot.learning.fitting import fit
from livebot.learning.registry import Registry
from livebot.learning.sealing import digest_of, seal, unseal
from tests import trained_models
from tests.process import daemons
from tests.process.daemons import SYMBOLS, Daemon, Root
from tests.process.test_reload import status

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

KEY = "a-key-of-models-that-is-long-enough-77c0"
SCOPE = "eager"
PAIR = SYMBOLS[:2]


class _Planted:
    """A pickle that makes a file where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self._mark}",)


class Scene:
    """A registry of sound versions, and what can be done to one of them.  `key` None: somebody who has none does it."""

    def __init__(self, folder: Path) -> None:
        self.registry = Registry(folder / "models", KEY.encode())
        self.mark = folder / "it-was-executed"
        self._dataset = trained_models.rows(PAIR, strategy=SCOPE)
        self._fitted = fit(self._dataset, trained_models.SHARED)
        self._made = 0

    def version(self) -> str:
        """A sound one, not in use."""
        self._made += 1
        created_ms = trained_models.END_MS + self._made * 60_000
        described = Description(scope=SCOPE, created_ms=created_ms, spec=trained_models.SHARED)
        return self.registry.save(self._fitted, self._dataset, described)

    def folder(self, version: str) -> Path:
        return self.registry.folder / SCOPE / version

    def point(self, version: str) -> None:
        """As somebody does who goes around the command line."""
        (self.registry.folder / SCOPE / "current").write_text(f"{version}\n")

    def flip(self, version: str) -> None:
        data = bytearray((self.folder(version) / "model.joblib").read_bytes())
        data[len(data) // 2] ^= 1
        self._write(version, "model.joblib", bytes(data))

    def plant(self, version: str) -> bytes:
        data = pickle.dumps(_Planted(self.mark))
        self._write(version, "model.joblib", data)
        return data

    def plant_and_seal(self, version: str, key: str | None) -> None:
        data = self.plant(version)
        self.edit(version, key, model_digest=digest_of(data), model_bytes=len(data))

    def edit(self, version: str, key: str | None, **changes: Any) -> None:
        """Other fields in the manifest, and a seal over it."""
        old = unseal((self.folder(version) / "manifest.json").read_bytes(), KEY.encode())
        body = json.dumps(json.loads(old) | changes, indent=2).encode()
        self._write(version, "manifest.json", seal(body, None if key is None else key.encode()))

    def _write(self, version: str, name: str, data: bytes) -> None:
        path = self.folder(version) / name
        path.chmod(0o600)
        path.write_bytes(data)


OTHER_LIBRARY = {"python": "3.11", "scikit-learn": "0.1"}
NAMES = tuple(feature.name for feature in trained_models.model_features("own"))
BAD: dict[str, tuple[Callable[[Scene, str], object], str]] = {
    "one byte": (lambda scene, version: scene.flip(version), "model.joblib is not the file that was saved"),
    "another library": (
        lambda scene, version: scene.edit(version, KEY, libraries=OTHER_LIBRARY),
        "it was trained with ",
    ),
    "resealed without the key": (
        lambda scene, version: scene.edit(version, None, libraries=OTHER_LIBRARY),
        "it was sealed without a key, and LIVEBOT_MODEL_KEY is set",
    ),
    "resealed with another key": (
        lambda scene, version: scene.edit(version, KEY[::-1], threshold=0.0),
        "sealed with another LIVEBOT_MODEL_KEY",
    ),
    "another order": (
        lambda scene, version: scene.edit(version, KEY, feature_names=NAMES[::-1]),
        f"it lists {NAMES[-1]} where its feature set has {NAMES[0]}",
    ),
    "another digest of features": (
        lambda scene, version: scene.edit(version, KEY, feature_digest="0" * 64),
        "feature_digest: it is not that of feature_set",
    ),
    "a planted pickle": (lambda scene, version: scene.plant(version), "model.joblib is not the file that was saved"),
    "a planted pickle with a plain seal": (
        lambda scene, version: scene.plant_and_seal(version, None),
        "it was sealed without a key",
    ),
    "a planted pickle with the key": (
        lambda scene, version: scene.plant_and_seal(version, KEY),
        "which no model of livebot holds; it was not loaded",
    ),
    "no model": (
        lambda scene, version: (scene.folder(version) / "model.joblib").unlink(),
        "model.joblib is missing beside its manifest",
    ),
    "no manifest": (
        lambda scene, version: (scene.folder(version) / "manifest.json").unlink(),
        "manifest.json is missing beside the model",
    ),
    "nothing": (lambda scene, version: shutil.rmtree(scene.folder(version)), "there is no such version in "),
}


def test_no_bad_version_comes_into_use(tmp_path: Path) -> None:
    """Also not with a full disk, which leaves a promote half done."""
    config = daemons.config_of(
        symbols=list(PAIR), model={"threshold": 0.01, "serving": {"poll_seconds": 0.2, "deadline_ms": 9_000}}
    )
    root = Root(tmp_path / "root", config)
    scene = Scene(root.folder)
    good = scene.version()
    scene.registry.promote(SCOPE, good)
    with daemons.start(root, extra={"LIVEBOT_MODEL_KEY": KEY}) as daemon:
        daemon.until_ready()
        for name, (deed, cause) in BAD.items():
            _refused(root, daemon, scene, good, deed, cause, name)
        _full_disk(root, scene, good)
        assert status(root)["models"][0]["version"] == good
    assert not scene.mark.exists()


def _refused(
    root: Root, daemon: Daemon, scene: Scene, good: str, deed: Callable[[Scene, str], object], cause: str, name: str
) -> None:
    """Told with its name and cause as long as it is the current one, and never in use."""
    bad = scene.version()
    deed(scene, bad)
    scene.point(bad)
    (told,) = _until_problems(root, daemon, bad, some=True)
    assert cause in told and told.endswith(f"; {SCOPE}/{good} goes on"), (name, told)
    assert status(root)["models"][0]["version"] == good, name
    scene.point(good)
    _until_problems(root, daemon, bad, some=False)


def _until_problems(root: Root, daemon: Daemon, version: str, *, some: bool) -> list[str]:
    deadline = time.monotonic() + daemons.PATIENCE_S
    while True:
        found = [each for each in status(root)["problems"] if version in each]
        if bool(found) == some:
            return found
        assert daemon.running and time.monotonic() < deadline, daemon.tail()
        time.sleep(0.1)


def _full_disk(root: Root, scene: Scene, good: str) -> None:
    """Files cannot grow, as with a quota that is used up: a promote of a sound version says so, and changes nothing."""
    sound = scene.version()
    done = subprocess.run(
        [sys.executable, "-m", "livebot", "models", "promote", f"{SCOPE}/{sound}", "--config", str(root.config)],
        capture_output=True,
        text=True,
        env=daemons.environment(measured=False, extra={"LIVEBOT_MODEL_KEY": KEY, "PYTHONDONTWRITEBYTECODE": "1"}),
        timeout=daemons.PATIENCE_S * 3,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )
    assert done.returncode == 3, done.stderr
    assert f"cannot write {scene.registry.folder / SCOPE / 'current'}: File too large" in done.stderr
    assert scene.registry.current(SCOPE) == good
    assert scene.registry.load(SCOPE, sound)
