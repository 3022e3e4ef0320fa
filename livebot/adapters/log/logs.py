"""What the daemon says: structlog, and everything that goes through the standard library's logging, as one stream.

An event is a fact's name in snake_case; its details are keys; symbol and strategy are bound once, by contextvars.  On a
terminal it is a coloured line, else one JSON object a line.  `LIVEBOT_LOG=json` or `text` decides against the terminal.

Rules of this file: logging never raises and never waits for who reads; no secret passes; the same warning again and
again is held back and counted.
"""

import logging
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import IO, Any, Self, TextIO

import structlog

from livebot.adapters.log.log_lines import Event, json_line_without, shorten, text_line
from livebot.adapters.log.log_writer import LineWriter, Sink, writes_to
from livebot.adapters.log.redaction import Redaction, secrets_of
from livebot.errors import BadInput

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
REPEATS_ALLOWED = 10
REPEATS_SECONDS = 60.0
REPEATS_KNOWN_MAX = 4_096
_FROM_LIBRARY = "library_log"
_HELD_BACK_LEVELS = {"warning", "error"}
_SAMENESS = ("level", "event", "symbol", "strategy", "logger", "message")


class LogForm(Enum):
    """How lines look."""

    JSON = "json"
    TEXT = "text"


def log_form(environment: Mapping[str, str], stream: IO[str]) -> LogForm:
    """Text on a terminal, JSON elsewhere, unless LIVEBOT_LOG says which.

    JOURNAL_STREAM counts if it names this very stream, as systemd means it: programs that a desktop session starts
    inherit the variable without writing to the journal.

    Raises:
        BadInput: LIVEBOT_LOG is neither.

    """
    wanted = environment.get("LIVEBOT_LOG", "").lower()
    if wanted:
        try:
            return LogForm(wanted)
        except ValueError:
            raise BadInput(f"LIVEBOT_LOG is {wanted!r}; it must be json or text") from None
    if not stream.isatty() or _is_journal(environment, stream):
        return LogForm.JSON
    return LogForm.TEXT


def _is_journal(environment: Mapping[str, str], stream: IO[str]) -> bool:
    try:
        file = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{file.st_dev}:{file.st_ino}"


def log_level(name: str) -> int:
    """The number of a level's name.

    Raises:
        BadInput: there is no such level.

    """
    try:
        return LEVELS[name.lower()]
    except KeyError:
        raise BadInput(f"log level {name!r} is unknown; it must be one of {', '.join(LEVELS)}") from None


def configure_logs(
    *,
    level: str | None = None,
    sink: Sink | None = None,
    environment: Mapping[str, str] = os.environ,
) -> "Logs":
    """Route all logging, until the result is closed.

    `sink` takes coloured lines (a screen that shows other things below them); without it they go to stdout.  `level`
    None is LIVEBOT_LOG_LEVEL, or info.

    Raises:
        BadInput: an unknown level or form.

    """
    number = log_level(level or environment.get("LIVEBOT_LOG_LEVEL") or "info")
    redact = Redaction(secrets_of(environment))
    if sink is not None:
        render = _renderer(LogForm.TEXT, redact, colours=True)
    else:
        sink = writes_to(sys.stdout)
        colours = sys.stdout.isatty() and not environment.get("NO_COLOR")
        render = _renderer(log_form(environment, sys.stdout), redact, colours=colours)
    writer = LineWriter(sink, lambda count: render(_stamped("log_lines_dropped", count=count)))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _add_logger_name,
            RepeatLimit(),
            _add_time,
            _add_exception,
            lambda _, __, event: render(event),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *names: _Line(writer, *names),
        # a logger kept by a module must hear of a later configuration
        cache_logger_on_first_use=False,
    )
    return Logs(writer, number)


class Logs:
    """The routing of all logging; closing it writes what is left and restores what was there before."""

    def __init__(self, writer: LineWriter, level: int) -> None:
        self._writer = writer
        root = logging.getLogger()
        self._before = (root.handlers[:], root.level)
        self._show_warning = warnings.showwarning
        root.setLevel(_of_libraries(level))
        root.handlers[:] = [_ThroughStructlog()]
        warnings.showwarning = _log_warning

    def set_level(self, name: str) -> None:
        """Tell from this level on, until it is set anew.

        Raises:
            BadInput: there is no such level.

        """
        number = log_level(name)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(number))
        logging.getLogger().setLevel(_of_libraries(number))

    def close(self) -> None:
        """Write what is left, for a bounded time, and let go."""
        root = logging.getLogger()
        root.handlers[:], level = self._before
        root.setLevel(level)
        warnings.showwarning = self._show_warning
        structlog.reset_defaults()
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _of_libraries(level: int) -> int:
    """What libraries say below a warning is of use only to who looks for a bug."""
    return logging.INFO if level == logging.DEBUG else max(level, logging.WARNING)


@dataclass(slots=True)
class _Window:
    begun: float
    passed: int = 0
    held_back: int = 0


class RepeatLimit:
    """Lets a warning or error pass only so often a minute; the next that passes says how many were held back."""

    def __init__(
        self,
        *,
        allowed: int = REPEATS_ALLOWED,
        seconds: float = REPEATS_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed = allowed
        self._seconds = seconds
        self._clock = clock
        self._windows: dict[tuple[str, ...], _Window] = {}
        self._lock = threading.Lock()  # threads log too

    def __call__(self, _: object, __: str, event: Event) -> Event:
        """Pass the event on, or drop it."""
        if event["level"] not in _HELD_BACK_LEVELS:
            return event
        key = tuple(str(event.get(name)) for name in _SAMENESS)
        with self._lock:
            window, held_back = self._window(key)
            if window.passed >= self._allowed:
                window.held_back += 1
                raise structlog.DropEvent
            window.passed += 1
        if held_back:
            event["held_back"] = held_back
        return event

    def _window(self, key: tuple[str, ...]) -> tuple[_Window, int]:
        """The present window of this key, and what the one that has just ended held back."""
        now = self._clock()
        before = self._windows.get(key)
        if before is not None and now - before.begun < self._seconds:
            return before, 0
        self._windows.pop(key, None)  # so that the dict stays in the order of the windows' age
        window = self._windows[key] = _Window(now)
        if len(self._windows) > REPEATS_KNOWN_MAX:
            del self._windows[next(iter(self._windows))]
        return window, before.held_back if before else 0


class _Line:
    """What structlog calls with a finished line."""

    def __init__(self, writer: LineWriter, name: str = "") -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = self.log = writer.write


def _renderer(form: LogForm, redact: Redaction, *, colours: bool) -> Callable[[Event], str]:
    def render(event: Event) -> str:
        event = shorten(event, redact)
        if form is LogForm.JSON:
            return json_line_without(redact, event)
        if event.get("event") != _FROM_LIBRARY:  # a person knows our events by their names
            event.pop("logger", None)
        return redact(text_line(event, colours=colours))

    return render


def _stamped(event: str, **details: object) -> Event:
    return _add_time(None, "warning", {"event": event, "level": "warning", **details})


def _add_time(_: object, __: str, event: Event) -> Event:
    event["ts"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _add_logger_name(logger: "_Line", _: str, event: Event) -> Event:
    if logger.name:
        event.setdefault("logger", logger.name)
    return event


def _add_exception(_: object, __: str, event: MutableMapping[str, Any]) -> Event:
    error = event.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    elif error and not isinstance(error, BaseException):  # exc_info=True: the one being handled
        error = sys.exception()
    if error:
        event["exception"] = "".join(traceback.format_exception(error)).rstrip()
    return event


class _ThroughStructlog(logging.Handler):
    """Takes the standard library's records into our stream."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001  a record whose arguments do not fit its text; logging never raises
            message = f"{record.msg!r} with {len(record.args or ())} arguments that do not fit"
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        structlog.get_logger(record.name).log(level, _FROM_LIBRARY, message=message, exc_info=record.exc_info)


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001  part of what the standard library calls
    line: str | None = None,  # noqa: ARG001
) -> None:
    structlog.get_logger("warnings").warning(
        _FROM_LIBRARY, message=f"{category.__name__}: {message}", file=f"{filename}:{lineno}"
    )
