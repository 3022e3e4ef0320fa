"""A process that has imported livebot and forks a daemon whenever it is told to: a start without the imports.

    python -m tests.process.launcher        one JSON order a line on stdin, one JSON answer a line on stdout

`{"do": "start", "argv": [...], "log": file, "sabotage": name or null, "death": {...} or null}` answers `{"pid": n}`; the
child is a daemon as `python -m livebot` would make it, save for what `sabotage` is asked to do to it.  `{"do": "poll",
"pid": n}` answers `{"code": n or null}` (negative: the signal that ended it).  Only a poll collects a child, so until it
has answered with a code the pid is nobody else's.  When stdin ends, the launcher kills the children it still has.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import sys
from typing import Any, NoReturn

import livebot.bootstrap  # noqa: F401 - what takes long to import
from livebot import cli
from tests.process import sabotage

# What a daemon imports late, or the libraries it uses do: half of what a start costs that has the rest already.
LATE = (
    *("livebot.cli.app", "livebot.cli.as_service", "livebot.cli.screen"),
    *("numpy.ma", "pydantic.dataclasses", "sqlalchemy.dialects.sqlite", "sqlite3", "typer._adapters"),
)


def main() -> None:
    """Until stdin ends."""
    for name in LATE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()
    _answer({"ready": os.getpid()})
    children: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "start":
            pid = os.fork()
            if pid == 0:
                _be_daemon(order)
            children.add(pid)
            _answer({"pid": pid})
        else:
            found, status = os.waitpid(order["pid"], os.WNOHANG)
            if found:
                children.discard(found)
            _answer({"code": os.waitstatus_to_exitcode(status) if found else None})
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _be_daemon(order: dict[str, Any]) -> NoReturn:
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(nothing)
    if order["sabotage"] is not None:
        sabotage.apply(order["sabotage"])
    if order["death"] is not None:
        sabotage.die(**order["death"])
    sys.argv = ["livebot", *order["argv"]]
    cli.main()
    sys.exit(0)


def _answer(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
