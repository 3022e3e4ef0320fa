"""Disks that are really full or read-only, and a writer that is really killed."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.sealed_json import unseal
from livebot.errors import Fatal

CHECKOUT = Path(__file__).parents[2]
KILLS = 20


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Something mounted on the folder; a skip where that is not allowed."""
    if shutil.which("mount") is None:
        pytest.skip("there is no mount here")
    done = subprocess.run(["mount", *options, str(folder)], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_a_disk_that_is_really_full(tmp_path):
    """64 KB of it: a bigger file does not fit, the old one stands, and a small one can be written again."""
    with mounted(tmp_path, "-t", "tmpfs", "-o", "size=64k", "none"):
        files = DurableFiles()
        await files.write(tmp_path / "a.json", b"old")
        with pytest.raises(Fatal, match="ENOSPC"):
            await files.write(tmp_path / "a.json", bytes(200_000))
        assert b"old" == (tmp_path / "a.json").read_bytes()
        assert ["a.json"] == os.listdir(tmp_path)  # noqa: PTH208
        await files.write(tmp_path / "a.json", b"new")
        assert b"new" == (tmp_path / "a.json").read_bytes()
        await files.close()


async def test_a_folder_that_is_really_read_only(tmp_path):
    """As after the kernel has found the filesystem broken."""
    source, folder = tmp_path / "source", tmp_path / "folder"
    source.mkdir()
    folder.mkdir()
    (source / "a.json").write_bytes(b"old")
    with mounted(folder, "--bind", str(source)), mounted_again_read_only(folder):
        files = DurableFiles()
        with pytest.raises(Fatal, match=r"EROFS.*mount the filesystem writable"):
            await files.write(folder / "a.json", b"new")
        assert b"old" == (folder / "a.json").read_bytes()
        with pytest.raises(Fatal, match="EROFS"):
            files.set_aside(folder / "a.json")
        await files.close()


@contextlib.contextmanager
def mounted_again_read_only(folder: Path) -> Iterator[None]:
    """The same mount, now without leave to write."""
    done = subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount read-only here: {done.stderr.strip()}")
    yield


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(600)
def test_a_writer_killed_at_any_moment_leaves_what_it_acknowledged_or_newer(tmp_path):
    """SIGKILL, again and again, over the files that the one before left."""
    chance = random.Random(4)
    written = 0
    for number in range(KILLS):
        folder = tmp_path / f"{number // 2}"  # every other one finds files, and perhaps scratch files
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "tests.adapters.file_writer", str(folder)]
        with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            first = writer.stdout.readline()
            time.sleep(chance.uniform(0, 0.2))
            writer.send_signal(signal.SIGKILL)
            acknowledged = (first + writer.stdout.read()).decode().splitlines()
        for line in acknowledged:
            name, version = line.split()
            assert int(version) <= int(str(unseal((folder / name).read_bytes())["version"]))
        written += len(acknowledged)
    assert written > KILLS
