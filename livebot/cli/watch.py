"""`livebot watch`: asks the daemon again and again, and keeps the answer in view."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from livebot.cli.screen import live_view
from livebot.cli.status_view import print_status
from livebot.errors import LivebotError
from livebot.ops.control.client import ControlClient, DaemonNotReached
from livebot.ops.status_json import decode_status

_Answer = dict[str, Any]


def watch_daemon(
    client: ControlClient, *, every: float, seconds: float | None, as_json: bool, console: Console | None = None
) -> None:
    """Until Ctrl-C, or until `seconds` have passed.

    A daemon that goes away is waited for: a restart is what one may want to watch.

    Raises:
        DaemonNotReached: nobody answered the first question, or the last.

    """
    ends = None if seconds is None else time.monotonic() + seconds
    answer: _Answer | DaemonNotReached = client.status()
    with _shown(console or Console(highlight=False), as_json) as show:
        try:
            while True:
                show(answer)
                if ends is not None and time.monotonic() >= ends:
                    break
                time.sleep(every)
                answer = _asked(client)
        except KeyboardInterrupt:
            return
    if isinstance(answer, DaemonNotReached):
        raise answer


def _asked(client: ControlClient) -> _Answer | DaemonNotReached:
    try:
        return client.status()
    except DaemonNotReached as error:
        return error


@contextmanager
def _shown(console: Console, as_json: bool) -> Iterator[Callable[[_Answer | DaemonNotReached], None]]:
    if as_json:
        yield lambda answer: console.out(json.dumps(_told(answer)), highlight=False)
    elif not console.is_terminal:
        yield lambda answer: _print(answer, console)
    else:
        seen: list[_Answer] = []
        with Live(console=console, screen=True, auto_refresh=False) as live:
            yield lambda answer: live.update(_picture(answer, seen, console), refresh=True)


def _told(answer: _Answer | DaemonNotReached) -> dict[str, Any]:
    return {"error": str(answer)} if isinstance(answer, LivebotError) else answer


def _print(answer: _Answer | DaemonNotReached, console: Console) -> None:
    if isinstance(answer, DaemonNotReached):
        console.print(Text(str(answer)), soft_wrap=True)
    else:
        print_status(decode_status(answer), console)
    console.print()


def _picture(answer: _Answer | DaemonNotReached, seen: list[_Answer], console: Console) -> RenderableType:
    """The newest status; if there is none, what was seen last, under a line that says so."""
    if not isinstance(answer, DaemonNotReached):
        seen[:] = [answer]
        return live_view(decode_status(answer), console, log_lines=0)
    told = Text.assemble((" NOT REACHED ", "bold white on red"), f" {answer}; asking on; this was the last answer:")
    return Group(told, *(live_view(decode_status(last), console, log_lines=0) for last in seen))
