"""The simulation's disk: what a power cut leaves, and what the end of a process does."""

import errno
from pathlib import Path
from random import Random

import pytest

from tests.simulation.disk import SimulatedDisk
from tests.simulation.loop import Crash

FOLDER, FILE, SCRATCH = Path("/disk"), Path("/disk/a.json"), Path("/disk/a.json.scratch")


def write(disk: SimulatedDisk, data: bytes, *, sync: bool = True, sync_folder: bool = True) -> None:
    """A file's new content, by way of a scratch file."""
    descriptor = disk.create(SCRATCH)
    disk.write(descriptor, memoryview(data))
    if sync:
        disk.fsync(descriptor)
    disk.close(descriptor)
    disk.rename(SCRATCH, FILE)
    if sync_folder:
        disk.fsync_folder(FOLDER)


def found_after(seed: int, *, power: bool = True, **how: bool) -> bytes | None:
    """What stands there after a second write and a crash."""
    disk = SimulatedDisk((Path("/"), FOLDER))
    write(disk, b"old content")
    assert disk.durable(str(FILE)) == b"old content"
    write(disk, b"new content", **how)
    if power:
        disk.cut_power(Random(seed))
    disk.end_process()
    return disk.read(FILE) if FILE.name in disk.files(FOLDER) else None


def test_what_was_synced_stays_and_what_was_not_is_anybodys_guess():
    """Content and name apart."""
    guesses = range(60)
    assert {found_after(seed) for seed in guesses} == {b"new content"}
    assert {found_after(seed, sync_folder=False) for seed in guesses} == {b"new content", b"old content"}
    torn = {found_after(seed, sync=False) for seed in guesses}
    assert {b"", b"new content", bytes(11)} < torn
    assert {found_after(seed, power=False, sync=False, sync_folder=False) for seed in guesses} == {b"new content"}


def test_it_is_full_when_told_and_ends_the_process_at_an_operation():
    """Nothing of the old file is harmed by either."""
    disk = SimulatedDisk((Path("/"), FOLDER))
    write(disk, b"old content")
    disk.full = True
    with pytest.raises(OSError, match="No space left") as full:
        write(disk, b"new content")
    assert full.value.errno == errno.ENOSPC
    disk.full, disk.crash_after = False, 4  # create, write, fsync, and then the rename
    with pytest.raises(Crash):
        write(disk, b"new content")
    disk.cut_power(Random(1))
    assert disk.read(FILE) == b"old content"
