"""Ctrl-C while there is nothing yet that could be ended in order: the process ends at once and says nothing.

An import may swallow a KeyboardInterrupt (some take any error for the absence of an optional part), and then the daemon
would start all the same.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130  # what shells make of a SIGINT
_SHOW_CURSOR = b"\x1b[?25h\n"
_STDOUT = 1


@contextmanager
def leaving_at_once(*, live: bool = False) -> Iterator[None]:
    """Until whoever runs in here takes SIGINT over; `live`: a picture is on the terminal, and the cursor is hidden."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # it is to be ignored, as under nohup
        yield
        return

    def leave(_number: int, _frame: FrameType | None) -> NoReturn:
        if live:
            os.write(_STDOUT, _SHOW_CURSOR)
        os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
