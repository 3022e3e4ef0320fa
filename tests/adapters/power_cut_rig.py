"""Real power cuts: copies of a filesystem's disk, taken at one instant while files are being replaced on it.

`unshare --mount --propagation private python -m tests.adapters.power_cut_rig WORK_FOLDER CUTS [MUTATION]`, as root.

An ext4 filesystem lives in an image file, and the image on an ext4 of its own.  Freezing that outer one stops every
write of the inner one's disk at one instant, with no warning to the inner one; the image as it stands then is what a
power cut leaves if the drive has kept all that it was sent.  (It does not model a drive that loses or reorders what is in
its own cache; the model in `power_cut_model` is harsher.)  The mounts are private to this process and end with it.
"""

import fcntl
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from livebot.adapters.state_files.sealed_json import unseal
from livebot.errors import BadInput
from tests.adapters.file_writer import NAMES

FREEZE, THAW = 0xC0045877, 0xC0045878
OUTER_BYTES, INNER_BYTES = 64 << 20, 16 << 20
WARM_UP_SECONDS = 0.3
BETWEEN_CUTS_SECONDS_MAX = 0.03


@dataclass
class Findings:
    """Over all cuts: files looked at, and how many were damaged or older than the last version acknowledged."""

    files: int = 0
    damaged: int = 0
    lost: int = 0
    versions: int = 0


def run(*command: str | Path) -> None:
    """Run a tool; a failure says what it printed."""
    done = subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr or done.stdout}")


def mounted(image: Path, folder: Path) -> Path:
    """The folder, with the image mounted there."""
    folder.mkdir(exist_ok=True)
    run("mount", "-o", "loop,noatime", image, folder)
    return folder


def new_filesystem(image: Path, size: int, folder: Path) -> Path:
    """A fresh ext4, mounted."""
    with image.open("wb") as file:
        file.truncate(size)
    run("mkfs.ext4", "-q", "-F", image)
    return mounted(image, folder)


@contextmanager
def frozen(folder: Path) -> Iterator[None]:
    """Nothing is written to the filesystem of this folder meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(descriptor, FREEZE, 0)
        try:
            yield
        finally:
            fcntl.ioctl(descriptor, THAW, 0)
    finally:
        os.close(descriptor)


def heard(pipe: int, acknowledged: dict[str, int]) -> None:
    """Take in what the writer has said up to now."""
    parts = []
    try:
        while part := os.read(pipe, 1 << 16):
            parts.append(part)
    except BlockingIOError:
        pass
    for line in b"".join(parts).decode().splitlines():
        name, _, version = line.partition(" ")
        acknowledged[name] = int(version)


def look(folder: Path, acknowledged: dict[str, int], found: Findings) -> None:
    """Compare what came back with what was acknowledged."""
    for name, version in acknowledged.items():
        found.files += 1
        try:
            tree = unseal((folder / name).read_bytes())
        except FileNotFoundError:
            found.lost += 1
        except BadInput:
            found.damaged += 1
        else:
            found.lost += int(str(tree["version"])) < version


def cut_many_times(work: Path, cuts: int, mutation: str) -> Findings:
    """Everything: two filesystems, a writer, and the cuts, up to the first that shows something wrong."""
    outer = new_filesystem(work / "outer.img", OUTER_BYTES, work / "outer")
    image = outer / "inner.img"
    inner = new_filesystem(image, INNER_BYTES, work / "inner")
    command = [sys.executable, "-m", "tests.adapters.file_writer", str(inner), mutation]
    chance = random.Random(cuts)
    found, acknowledged = Findings(), dict[str, int]()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            pipe = writer.stdout.fileno()
            os.set_blocking(pipe, False)
            while len(acknowledged) < len(NAMES):
                heard(pipe, acknowledged)
                time.sleep(WARM_UP_SECONDS)
            for _ in range(cuts):
                if found.damaged or found.lost:
                    break
                time.sleep(chance.uniform(0, BETWEEN_CUTS_SECONDS_MAX))
                heard(pipe, acknowledged)  # before the cut: what is acknowledged now must be on the disk
                with frozen(outer):
                    shutil.copyfile(image, work / "cut.img")
                look(mounted(work / "cut.img", work / "cut"), acknowledged, found)
                run("umount", work / "cut")
        finally:
            writer.kill()
    found.versions = sum(acknowledged.values())
    run("umount", inner)
    run("umount", outer)
    return found


if __name__ == "__main__":
    findings = cut_many_times(Path(sys.argv[1]), int(sys.argv[2]), (sys.argv[3:] or ["none"])[0])
    print(json.dumps(asdict(findings)))
