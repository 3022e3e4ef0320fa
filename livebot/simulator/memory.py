"""What a simulated venue must not forget when the process that hosts it dies: a folder with a snapshot and a log.

Rules of this file: a record is in the log before anybody hears of its result.  There is no fsync: what the kernel was
given survives the death of a process, and the venue plays a remote machine, whose own power is not what is being
simulated.  `snapshot.json` names the log that follows it (`log-000007.jsonl`); a new snapshot replaces
the old one by rename and begins a new log, so that there is no moment at which the two disagree.
"""

import fcntl
import os
from pathlib import Path
from typing import Any

from livebot.errors import Fatal
from livebot.simulator.mapped_log import MappedLog
from livebot.simulator.wire import from_json, to_json

SCHEMA = 1


class VenueMemory:
    """One folder, held by one process at a time."""

    def __init__(self, folder: Path) -> None:
        """Make the folder and lock it.

        Raises:
            Fatal: another process holds it, or it cannot be written.

        """
        self._folder = folder
        self._log: MappedLog | None = None
        self._generation = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            message = f"{folder}: the simulated venue cannot keep its memory there: {error}"
            raise Fatal(message) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            message = f"{folder}: another process runs this simulated venue; stop it or use another folder"
            raise Fatal(message) from error

    def load(self) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        """The snapshot and the records after it, None if there is nothing yet.  A torn last record is dropped.

        Raises:
            Fatal: the snapshot or a record inside the log is damaged.

        """
        try:
            text = (self._folder / "snapshot.json").read_bytes()
        except FileNotFoundError:
            return None
        snapshot = self._parse(text, "snapshot.json")
        if snapshot.get("schema") != SCHEMA:
            raise self._damaged("snapshot.json", f"schema {snapshot.get('schema')} is not {SCHEMA}")
        self._generation = int(snapshot["generation"])
        return snapshot["venue"], self._read_log(self._log_name())

    def append(self, record: dict[str, object]) -> None:
        """Keep one record.

        Raises:
            Fatal: it could not be written; the venue must not go on.

        """
        why = "it is closed"
        if self._log is not None:
            try:
                self._log.append(to_json(record))
            except OSError as error:
                why = str(error)
                self._close_log()
            else:
                return
        message = f"{self._folder}: the simulated venue cannot write its log: {why}"
        raise Fatal(message)

    def compact(self, venue: dict[str, object]) -> None:
        """Replace snapshot and log by this snapshot and an empty log.

        Raises:
            Fatal: it could not be written.

        """
        scratch, final = self._folder / "snapshot.scratch", self._folder / "snapshot.json"
        self._generation += 1
        try:
            # A log of that name can be left from a snapshot that was removed by hand.
            log = MappedLog(self._folder / self._log_name())
            scratch.write_bytes(to_json({"schema": SCHEMA, "generation": self._generation, "venue": venue}) + b"\n")
            scratch.replace(final)
            for old in self._folder.glob("log-*.jsonl"):
                if old.name != self._log_name():
                    old.unlink()
        except OSError as error:
            message = f"{self._folder}: the simulated venue cannot write its snapshot: {error}"
            raise Fatal(message) from error
        self._close_log()
        self._log = log

    def close(self) -> None:
        """Let go of the folder."""
        self._close_log()
        os.close(self._lock)

    def _close_log(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None

    def _log_name(self) -> str:
        return f"log-{self._generation:06d}.jsonl"

    def _read_log(self, name: str) -> list[dict[str, Any]]:
        try:
            text = (self._folder / name).read_bytes()
        except FileNotFoundError:
            return []
        whole, _, _ = text.rpartition(b"\n")  # what follows the last line's end is torn, and nobody was told of it
        return [self._parse(line, name) for line in whole.splitlines()]

    def _parse(self, text: bytes, name: str) -> dict[str, Any]:
        try:
            value = from_json(text)
        except ValueError as error:
            raise self._damaged(name, str(error)) from error
        if not isinstance(value, dict):
            raise self._damaged(name, "not an object")
        return value

    def _damaged(self, name: str, why: str) -> Fatal:
        return Fatal(f"{self._folder / name}: damaged ({why}); remove the folder to let the simulated venue begin anew")
