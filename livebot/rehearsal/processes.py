"""The two processes of a rehearsal: a local exchange, and the daemon that is killed and started again.

Rules of this file: whatever was started here is ended here, however the rehearsal ends; output goes to files, which are
read from where a run began.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from livebot.errors import Fatal

READY_S = 120.0  # orders whose fate is open are asked for until that is certain, twice the receive window of a venue
STOP_S = 40.0
_POLL_S = 0.02
_TAIL_BYTES = 3000


class Child:
    """One process; its output is added to `log`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, begun: int) -> None:
        self._process = process
        self._begun = begun
        self.log = log

    @classmethod
    async def start(cls, arguments: Sequence[str], log: Path, environ: Mapping[str, str]) -> "Child":
        """`python -m livebot` with these arguments."""
        with log.open("ab") as output:
            begun = output.tell()
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "livebot",
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environ),
                cwd=log.parent,
                start_new_session=True,  # Ctrl-C is ours to pass on
            )
        return cls(process, log, begun)

    @property
    def code(self) -> int | None:
        """The exit code (negative: the OS signal), None while it runs."""
        return self._process.returncode

    def output(self) -> bytes:
        """What it has said so far."""
        with self.log.open("rb") as file:
            file.seek(self._begun)
            return file.read()

    async def said(self, word: str, seconds: float) -> dict[str, Any]:
        """The first line of JSON that holds this word.  Raises Fatal, with the end of its output, if none comes."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            ended = self.code is not None
            for line in self.output().split(b"\n")[:-1]:
                if word.encode() in line and (found := _json(line)) is not None:
                    return found
            if ended:
                raise Fatal(f"{self.log.name}: it ended with {self.code}\n{self.tail()}")
            if loop.time() > deadline:
                raise Fatal(f"{self.log.name}: no {word} within {seconds:g} s\n{self.tail()}")
            await asyncio.sleep(_POLL_S)

    def tail(self) -> str:
        """The end of its output."""
        return self.output()[-_TAIL_BYTES:].decode(errors="replace")

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.code is None:
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM, and SIGKILL if that takes too long; the exit code."""
        if self.code is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), STOP_S)
            except TimeoutError:
                await self.kill()
        return await self._process.wait()


def _json(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
