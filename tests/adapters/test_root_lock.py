"""One daemon per root."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from livebot.adapters.state_files.root_lock import RootLock
from livebot.errors import Fatal
from tests.virtual_loop import REAL_WAIT_S

CHECKOUT = Path(__file__).parents[2]
HOLD_THE_LOCK = """
import sys
from pathlib import Path
from livebot.adapters.state_files.root_lock import RootLock
lock = RootLock(Path(sys.argv[1]), Path(sys.argv[1]).parents[1])
print("locked", flush=True)
sys.stdin.read()
"""


def start_holder(path: Path) -> subprocess.Popen:
    """Another process that tries to take the lock and keeps it."""
    command, pipe = [sys.executable, "-c", HOLD_THE_LOCK, str(path)], subprocess.PIPE
    return subprocess.Popen(command, cwd=CHECKOUT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_the_second_lock_is_refused_with_pid_and_root(tmp_path):
    """Within one process too; released, it can be taken again."""
    path = tmp_path / "state" / "livebot.lock"
    with RootLock(path, tmp_path):
        assert f"{os.getpid()}\n" == path.read_text()
        with pytest.raises(Fatal, match=rf"another livebot \(pid {os.getpid()}\) runs in {tmp_path}: stop it first"):
            RootLock(path, tmp_path)
    lock = RootLock(path, tmp_path)
    lock.release()
    lock.release()
    assert path.exists()


@pytest.mark.process
def test_two_processes_fight_and_one_wins(tmp_path):
    """The loser ends at once and names the winner; when the winner is killed the lock is free."""
    path = tmp_path / "state" / "livebot.lock"
    fighters = [start_holder(path) for _ in range(4)]
    try:
        deadline = time.monotonic() + REAL_WAIT_S
        while sum(fighter.poll() is None for fighter in fighters) > 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        (winner,) = (fighter for fighter in fighters if fighter.poll() is None)
        assert winner.stdout is not None
        assert "locked\n" == winner.stdout.readline()
        for loser in fighters:
            if loser is not winner:
                assert "another livebot (pid " in loser.communicate()[1]
        with pytest.raises(Fatal, match=rf"\(pid {winner.pid}\)"):
            RootLock(path, tmp_path)
        winner.send_signal(signal.SIGKILL)
        winner.wait()
        RootLock(path, tmp_path).release()
    finally:
        for fighter in fighters:
            fighter.kill()
            fighter.communicate()


def test_a_child_does_not_keep_the_lock(tmp_path):
    """A process that the daemon started and that outlives it must not stop the next daemon."""
    path = tmp_path / "livebot.lock"
    lock = RootLock(path, tmp_path)
    with subprocess.Popen(["sleep", "30"], close_fds=False) as child:
        try:
            lock.release()
            RootLock(path, tmp_path).release()
        finally:
            child.kill()


def test_a_holder_that_has_not_said_its_pid_yet(tmp_path):
    """Between taking the lock and writing there is a moment."""
    path = tmp_path / "livebot.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Fatal, match="pid unknown"):
            RootLock(path, tmp_path)


def test_a_root_without_locks_is_refused(tmp_path, monkeypatch):
    """Some network filesystems have none; a folder in the file's place is no better."""
    with pytest.raises(Fatal, match=r"cannot lock .*: Is a directory; the root must be on a local, writable"):
        RootLock(tmp_path, tmp_path)

    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(Fatal, match="No locks available"):
        RootLock(tmp_path / "livebot.lock", tmp_path)
