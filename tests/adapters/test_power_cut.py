"""After a power cut at any moment every acknowledged version, or a newer one, is there and whole.

First on a model that is harsher than any filesystem, at every moment and in every outcome; then on real ext4 images.
Each step of the protocol that is left out must make both notice (in-place writing too rarely to wait for on the real one).
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from livebot.adapters.state_files.durable_files import SCRATCH_SUFFIX, DurableFiles
from livebot.adapters.state_files.file_workers import InlineWorkers
from livebot.adapters.state_files.sealed_json import seal, unseal
from livebot.errors import BadInput
from tests.adapters.power_cut_model import ModelDisk, Moment, moments

ROOT = Path("/root-of-the-daemon")
CHECKOUT = Path(__file__).parents[2]
CUTS = int(os.environ.get("LIVEBOT_POWER_CUTS", "40"))
CUTS_UNTIL_NOTICED_MAX = 400


class WithoutFileSync(ModelDisk):
    def fsync(self, descriptor: int) -> None:
        pass


class WithoutFolderSync(ModelDisk):
    def fsync_folder(self, folder: Path) -> None:
        pass


class WithoutParentSync(ModelDisk):
    """A new folder's own name is not made durable."""

    _made: Path | None = None

    def make_folder(self, folder: Path) -> None:
        super().make_folder(folder)
        self._made = folder

    def fsync_folder(self, folder: Path) -> None:
        made, self._made = self._made, None
        if made is None or made.parent != folder:
            super().fsync_folder(folder)


class InPlace(ModelDisk):
    def create(self, path: Path) -> int:
        return super().create(path.with_name(path.name.removesuffix(SCRATCH_SUFFIX)))

    def rename(self, source: Path, target: Path) -> None:
        pass


class SyncAfterRename(ModelDisk):
    """Syncs the content too late: when its name already leads to it."""

    def fsync(self, descriptor: int) -> None:
        self._late = self._open[descriptor]

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.log.append(("fsync", self._late))


async def work(disk: ModelDisk) -> None:
    """Several files in two folders (one of them new), together and in turn, each version acknowledged."""
    files = DurableFiles(disk, InlineWorkers())

    async def save(path: Path, version: int) -> None:
        await files.write(path, seal({"version": version}))
        disk.acknowledged(path, version)

    one, two, new = ROOT / "a.json", ROOT / "b.json", ROOT / "strategy" / "c.json"
    await save(one, 1)
    await save(new, 1)
    await asyncio.gather(save(one, 2), save(two, 1))
    await asyncio.gather(save(one, 3), save(new, 2))
    await asyncio.gather(save(two, 2), save(new, 3), save(new, 4))
    await save(one, 4)


def complaints(moment: Moment, files: dict[Path, bytes]) -> Iterator[str]:
    """What is wrong with one outcome of a power cut at this moment."""
    found = {path: version_of(data) for path, data in files.items() if path.suffix == ".json"}
    for path, version in found.items():
        if version is None:
            yield f"{path.name}: damaged"
    for path, version in moment.acknowledged.items():
        if (found.get(path, 0) or 0) < version:
            yield f"{path.name}: lost, version {version} was acknowledged"


def version_of(data: bytes) -> int | None:
    try:
        return int(str(unseal(data)["version"]))
    except BadInput:
        return None


def outcomes(disk: ModelDisk) -> Iterator[list[str]]:
    """For every outcome of a power cut at every moment of the work, what is wrong with it."""
    asyncio.run(work(disk))
    for moment in moments(disk):
        for files in moment.outcomes():
            yield list(complaints(moment, files))


def test_nothing_acknowledged_is_lost_whenever_the_power_goes():
    """Every moment, every selection of lost names, every way to tear what was not synced."""
    said = list(outcomes(ModelDisk((ROOT,))))
    assert [] == [each for each in said if each]
    assert len(said) > 500


@pytest.mark.parametrize(
    ("mutated", "noticed"),
    [
        (WithoutFileSync, "c.json: damaged"),
        (WithoutFolderSync, "a.json: lost"),
        (WithoutParentSync, "c.json: lost"),
        (InPlace, "a.json: damaged"),
        (SyncAfterRename, "a.json: damaged"),
    ],
)
def test_the_model_notices_each_step_that_is_left_out(mutated, noticed):
    """Otherwise the test above would prove nothing."""
    assert any(each.startswith(noticed) for said in outcomes(mutated((ROOT,))) for each in said)


# ---------------------------------------------------------------- real filesystems


def cut_for_real(cuts: int, mutation: str = "none") -> dict[str, int]:
    """What the rig found, or a skip if this machine cannot run it."""
    for tool in ("unshare", "mount", "mkfs.ext4"):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} here")
    memory = Path("/dev/shm")
    work_folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "tests.adapters.power_cut_rig"]
    try:
        done = subprocess.run(
            [*command, str(work_folder), str(cuts), mutation],
            cwd=CHECKOUT,
            check=False,
            capture_output=True,
            text=True,
        )
    finally:
        shutil.rmtree(work_folder, ignore_errors=True)
    if done.returncode and ("mount" in done.stderr or "unshare" in done.stderr or "loop" in done.stderr):
        pytest.skip(f"filesystems in files cannot be mounted here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    findings: dict[str, int] = json.loads(done.stdout)
    return findings


@pytest.mark.slow
@pytest.mark.timeout(600 + CUTS)
def test_nothing_acknowledged_is_lost_on_a_real_filesystem():
    """Set LIVEBOT_POWER_CUTS to thousands before a release: forty bound the rate of failure to a few percent only."""
    found = cut_for_real(CUTS)
    assert (CUTS * 3, 0, 0) == (found["files"], found["damaged"], found["lost"])


@pytest.mark.slow
@pytest.mark.timeout(600 + CUTS_UNTIL_NOTICED_MAX)
@pytest.mark.parametrize("mutation", ["without_file_sync", "without_folder_sync"])
def test_the_real_rig_notices_each_sync_that_is_left_out(mutation):
    """It stops at the first cut that shows it."""
    found = cut_for_real(CUTS_UNTIL_NOTICED_MAX, mutation)
    assert found["damaged"] + found["lost"] > 0
