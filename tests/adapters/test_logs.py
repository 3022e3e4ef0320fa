"""What the daemon says, to machines and to people, and what it never says."""

import asyncio
import contextlib
import io
import logging
import os
import subprocess
import sys
import threading
import warnings
from decimal import Decimal
from typing import Any

import orjson
import pytest
import structlog

from livebot.adapters.log import log_lines, log_writer
from livebot.adapters.log.log_lines import json_line, text_line
from livebot.adapters.log.log_writer import LineWriter, writes_to
from livebot.adapters.log.logs import LogForm, RepeatLimit, configure_logs, log_form, log_level
from livebot.adapters.log.redaction import REPLACEMENT, Redaction, secrets_of
from livebot.errors import BadInput
from tests.virtual_loop import REAL_WAIT_S

log = structlog.get_logger("livebot.tests")
SECRET = 'p"w\\d/+ü=sixteen&more'


@pytest.fixture(autouse=True)
def clean_context():
    """A daemon that ran in this process before has left its system's name there."""
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """What a busy machine has not written after the daemon's two seconds is no loss of lines here."""
    monkeypatch.setattr(LineWriter.close, "__defaults__", (REAL_WAIT_S,))


@contextlib.contextmanager
def heard(form="json", **options):
    """The lines that a configured log wrote, once it is closed; parsed, if they are JSON."""
    environment = {"LIVEBOT_LOG": form, **options.pop("environment", {})}
    lines: list[Any] = []
    stdout = io.StringIO()
    with contextlib.redirect_stdout(stdout), configure_logs(environment=environment, **options):
        yield lines
    written = stdout.getvalue().splitlines()
    lines += [orjson.loads(line) for line in written] if form == "json" else written


# ------------------------------------------------------------------ machines


def test_an_event_is_one_json_object():
    """When, how bad, what, to whom; then the details, exact."""
    with heard() as lines:
        structlog.contextvars.bind_contextvars(symbol="BTC/USDT", strategy="ema_cross")
        log.info("order_filled", price=Decimal("61234.50"), quantity=0.5, tags={"a"}, more={1: 2}, who=print)
    (line,) = lines
    assert list(line)[:5] == ["ts", "level", "event", "symbol", "strategy"]
    assert line.pop("ts")[10] == "T"
    assert line == {
        "level": "info",
        "event": "order_filled",
        "symbol": "BTC/USDT",
        "strategy": "ema_cross",
        "price": "61234.50",
        "quantity": 0.5,
        "tags": ["a"],
        "more": {"1": 2},
        "who": "<built-in function print>",
        "logger": "livebot.tests",
    }


def test_symbol_and_strategy_belong_to_the_task_that_bound_them():
    """Two workers at once do not mix."""

    async def worker(symbol):
        structlog.contextvars.bind_contextvars(symbol=symbol)
        await asyncio.sleep(0)
        log.info("ready")

    async def both():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(worker("A"))
            tasks.create_task(worker("B"))

    with heard() as lines:
        asyncio.run(both())
    assert [line["symbol"] for line in lines] == ["A", "B"]


class Unprintable:
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "value",
    ["\ud800", 1 << 70, {(1, 2): {3}}, Unprintable(), b"\xff", float("nan"), {"deep": {"\ud800": Unprintable()}}],
)
def test_whatever_a_value_is_the_line_is_json(value):
    """Logging never raises: what has no JSON form is shown as text."""
    with heard() as lines:
        log.info("odd", value=value, other=1)
    assert lines[0]["event"] == "odd"
    assert int(lines[0]["other"]) == 1


def test_a_mapping_is_an_object():
    """Also one that is no dict, whatever its keys are."""
    assert orjson.loads(json_line({"event": "x", "view": type(os.environ)({}, str, str, str, str)})) == {
        "event": "x",
        "view": {},
    }


def test_a_line_has_a_bound():
    """A journal cuts what is longer, and then it is no JSON any more."""
    with heard() as lines:
        log.info("long_text", text="x" * 10_000)
        log.info("long_list", items=["y" * 100] * 1000, symbol="BTC/USDT")
    assert lines[0]["text"].endswith("... (6000 more characters)")
    assert len(lines[0]["text"]) < 4_100
    assert lines[1]["cut"].startswith("the line had")
    assert (lines[1]["event"], lines[1]["symbol"], "items" in lines[1]) == ("long_list", "BTC/USDT", False)


def test_an_exception_is_told_whole():
    """From exc_info in each of its forms, with the cause."""
    with heard() as lines:
        try:
            raise ValueError("inner")
        except ValueError as inner:
            log.exception("by_method")
            for form in (True, inner, sys.exc_info()):
                log.log(logging.ERROR, "by_argument", exc_info=form)
        for form in (True, False):
            log.log(logging.ERROR, "nothing_handled", exc_info=form)
    assert ["ValueError: inner" in line.get("exception", "") for line in lines] == [True] * 4 + [False] * 2
    assert all("exc_info" not in line for line in lines)


# ------------------------------------------------------------------ libraries


def test_the_standard_library_is_part_of_it():
    """A library's record is an event with its own name, level and traceback."""
    with heard() as lines:
        logging.getLogger("aiohttp.server").warning("Unclosed %s", "session")
        logging.getLogger("sqlalchemy").info("nobody needs this")
        logging.getLogger("x").log(99, "loud")
        logging.getLogger("x").warning("%d items", "no number")
        try:
            raise OSError("disk")
        except OSError:
            logging.getLogger("x").exception("failed")
    assert [(line["event"], line["level"], line["logger"], line["message"]) for line in lines] == [
        ("library_log", "warning", "aiohttp.server", "Unclosed session"),
        ("library_log", "critical", "x", "loud"),
        ("library_log", "warning", "x", "'%d items' with 1 arguments that do not fit"),
        ("library_log", "error", "x", "failed"),
    ]
    assert "OSError: disk" in lines[3]["exception"]


def test_warnings_are_part_of_it():
    """Where they come from is a detail."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with heard() as lines:
            warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert (lines[0]["event"], lines[0]["message"]) == ("library_log", "DeprecationWarning: old")
    assert "test_logs.py:" in lines[0]["file"]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["d", "i", "w", "li", "lw"]),
        ("info", ["i", "w", "lw"]),
        ("warning", ["w", "lw"]),
        ("ERROR", []),
    ],
)
def test_the_level_decides_what_is_said(level, expected):
    """Libraries speak from a warning on, unless one looks for a bug."""
    with heard(level=level) as lines:
        log.debug("d")
        log.info("i")
        log.warning("w")
        logging.getLogger("lib").debug("ld")
        logging.getLogger("lib").info("li")
        logging.getLogger("lib").warning("lw")
    assert [line.get("message", line["event"]) for line in lines] == expected


def test_the_level_may_come_from_the_environment():
    """So that a service's unit can set it."""
    with heard(environment={"LIVEBOT_LOG_LEVEL": "warning"}) as lines:
        log.info("i")
        log.warning("w")
    assert [line["event"] for line in lines] == ["w"]


@pytest.mark.parametrize("wrong", [{"LIVEBOT_LOG_LEVEL": "loud"}, {"LIVEBOT_LOG": "xml"}])
def test_an_unknown_level_or_form_is_refused(wrong):
    """With the words that are known."""
    with pytest.raises(BadInput, match="must be"):
        configure_logs(environment=wrong)
    with pytest.raises(BadInput, match="debug, info, warning, error"):
        log_level("loud")


def test_the_level_can_change_while_it_runs():
    """For loggers that modules have kept, too, and for libraries."""
    with heard(level="warning") as lines, configure_logs(level="warning", environment={"LIVEBOT_LOG": "json"}) as logs:
        log.info("too little")
        logs.set_level("debug")
        log.debug("d")
        logging.getLogger("lib").info("li")
        logs.set_level("error")
        log.warning("too little")
        logging.getLogger("lib").warning("too little")
        log.error("e")
        with pytest.raises(BadInput, match="debug, info, warning, error"):
            logs.set_level("loud")
        log.error("as before")
    assert [line.get("message", line["event"]) for line in lines] == ["d", "li", "e", "as before"]


def test_closing_restores_what_was_there():
    """Tests, and whoever comes after, find logging as it was."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, warnings.showwarning)
    with heard():
        assert root.handlers != before[0]
    assert (root.handlers, root.level, warnings.showwarning) == before


# ------------------------------------------------------------------ repeats


def test_the_same_warning_is_held_back_and_counted():
    """Ten a minute; the first of the next minute says how many there were more."""
    now = [0.0]
    limit = RepeatLimit(allowed=2, seconds=60, clock=lambda: now[0])

    def passes(**event):
        event = {"level": "warning", "event": "slow", **event}
        try:
            return limit(None, "", event)
        except structlog.DropEvent:
            return None

    assert [passes() is not None for _ in range(5)] == [True, True, False, False, False]
    assert passes(symbol="other") is not None
    assert passes(level="info") is not None
    assert passes(level="critical") is not None
    now[0] = 60.0
    assert passes() == {"level": "warning", "event": "slow", "held_back": 3}
    now[0] = 200.0
    assert passes() == {"level": "warning", "event": "slow"}


def test_the_memory_of_repeats_is_bounded(monkeypatch):
    """The oldest window is forgotten first."""
    monkeypatch.setattr("livebot.adapters.log.logs.REPEATS_KNOWN_MAX", 2)
    limit = RepeatLimit(allowed=1)
    for symbol in ("A", "B", "C"):
        limit(None, "", {"level": "error", "event": "x", "symbol": symbol})
    limit(None, "", {"level": "error", "event": "x", "symbol": "A"})
    with pytest.raises(structlog.DropEvent):
        limit(None, "", {"level": "error", "event": "x", "symbol": "C"})


def test_different_messages_of_a_library_are_different_warnings():
    """All of them are `library_log`; their text tells them apart."""
    with heard() as lines:
        for number in range(15):
            logging.getLogger("lib").warning("item %d", number)
            logging.getLogger("lib").warning("always the same")
    said = [line["message"] for line in lines]
    assert said.count("always the same") == 10
    assert len(said) == 25


# ------------------------------------------------------------------ secrets


def leaks(secret, output):
    """Whether any readable form of the secret stands in the output."""
    return any(form in output for form in (secret, repr(secret)[1:-1], orjson.dumps(secret).decode()[1:-1]))


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("secret", [SECRET, "plain-and-long-enough", "12345678"])
def test_no_secret_passes(form, secret):
    """Wherever it stands: in a value, a key, a nested one, a traceback, an address, a library's message."""
    with heard(form, environment={"LIVEBOT_API_SECRET": secret, "LIVEBOT_API_KEY": ""}) as lines:
        log.info("value", secret=secret, nested={"deep": [secret]}, **{f"k{secret}": 1})
        log.info("inside", text=f"signed with {secret}.", event_time=12345678)
        log.info("long", text="x" * 3_990 + secret)
        logging.getLogger("lib").warning("sent %s", secret)
        try:
            raise ValueError(f"bad key {secret!r}")
        except ValueError:
            log.exception("failed")
    output = orjson.dumps(lines).decode() + "\n".join(map(str, lines))
    assert not leaks(secret, output)
    assert output.count(REPLACEMENT) >= 5
    assert len(lines) >= 5


def test_a_secret_in_an_address_is_found():
    """Venues put keys into query strings."""
    redact = Redaction(["a/b+c d=e&f"])
    assert redact("GET /x?key=a%2Fb%2Bc%20d%3De%26f&z=1") == "GET /x?key=[secret]&z=1"
    assert redact("GET /x?key=a%2Fb%2Bc+d%3De%26f") == "GET /x?key=[secret]"


def test_each_line_of_a_key_file_is_a_secret():
    """A private key is printed line by line in a traceback."""
    key = "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\nabc\n-----END KEY-----"
    assert Redaction([key])("| MC4CAQAwBQYDK2VwBCIEIA |") == "| [secret] |"
    assert Redaction([key])(key.replace("\n", "\\n")) == "[secret]"


def test_a_short_secret_is_one_only_by_itself():
    """Else the log would be full of holes that spell it out."""
    redact = Redaction(["x"])
    assert redact("expected x='x'") == "expected [secret]='[secret]'"


def test_the_longer_secret_wins():
    """No rest of it stays."""
    assert Redaction(["abcdef", "abcdefgh", "  "])("abcdefgh abcdef") == "[secret] [secret]"


def test_secrets_come_from_the_environment_and_from_credentials(tmp_path):
    """Files of systemd count, whether or not each can be read."""
    (tmp_path / "LIVEBOT_API_SECRET").write_text("from-file\n")
    (tmp_path / "LIVEBOT_API_FOLDER").mkdir()
    (tmp_path / "LIVEBOT_CONTROL_TOKEN").write_text("a-token")
    (tmp_path / "other").write_text("not ours")
    environment = {"LIVEBOT_API_KEY": "from-env", "PATH": "/bin", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert list(secrets_of(environment)) == ["from-env", "from-file\n", "a-token"]
    assert Redaction(secrets_of(environment))("from-file from-env a-token") == "[secret] [secret] [secret]"


def test_without_secrets_text_stays_as_it_is():
    """Nothing to look for."""
    assert Redaction([])("anything") == "anything"


# ------------------------------------------------------------------ people


def test_a_line_for_people():
    """Time, level, what, to whom, details; a logger's name only for libraries."""
    event = {
        "ts": "2026-01-02T03:04:05.678Z",
        "level": "info",
        "event": "order_filled",
        "symbol": "BTC/USDT",
        "strategy": "ema_cross",
        "signal_id": "ema_cross/BTC/USDT#12",
        "price": Decimal("1.50"),
        "ratio": Decimal(1) / 3,
        "symbols": ["A", "B"],
        "nobody": (),
        "ts_ms": 1,
        "text": "two words",
        "none": None,
        "empty": "",
    }
    assert text_line(event, colours=False) == (
        "03:04:05.678 info    order_filled             BTC/USDT ema_cross#12 price=1.5 ratio=0.33333333 "
        'symbols=A,B nobody=none text="two words" none=None empty=""'
    )


def test_nothing_from_outside_moves_the_cursor():
    """Control characters are shown, not obeyed, and no value begins a line of its own."""
    line = text_line({"event": "a\x1b[2Jb", "text": "one\ntwo\x07", "k\r": 1}, colours=False)
    assert line.isprintable()
    assert r"a\x1b[2Jb" in line
    assert r"text=one\ntwo\x07" in line


def test_an_odd_signal_id_is_no_trouble():
    """Whatever it is."""
    assert text_line({"event": "e", "signal_id": None}, colours=False).split() == ["e"]
    assert text_line({"event": "e", "signal_id": "a#\x1b"}, colours=False).split() == ["e", r"#\x1b"]


def test_an_exception_stands_below_its_line():
    """Indented."""
    rows = text_line({"event": "failed", "exception": "Traceback\n  ValueError: \x1b[2J"}, colours=False).splitlines()
    assert rows[1:] == ["    Traceback", r"      ValueError: \x1b[2J"]


def test_colours_go_to_a_sink_and_not_to_a_file():
    """A sink is a screen; a file that was asked to be text is not."""
    lines: list[str] = []
    with configure_logs(environment={}, sink=lines.append):
        log.warning("careful", symbol="BTC/USDT")
    assert "\x1b[33mwarning" in lines[0]
    with heard("text") as plain:
        log.warning("careful", symbol="BTC/USDT")
        logging.getLogger("lib").warning("hm")
    assert plain[0][13:] == "warning careful                  BTC/USDT"
    assert plain[1][13:] == "warning library_log              message=hm logger=lib"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_form_follows_the_stream(tmp_path):
    """Text on a terminal; JSON in a file, in the journal, or when told so."""
    assert log_form({}, Terminal()) is LogForm.TEXT
    assert log_form({"LIVEBOT_LOG": "JSON"}, Terminal()) is LogForm.JSON
    assert log_form({"JOURNAL_STREAM": "8:12345"}, Terminal()) is LogForm.TEXT
    with (tmp_path / "file").open("w") as file:
        assert log_form({}, file) is LogForm.JSON
        assert log_form({"LIVEBOT_LOG": "text"}, file) is LogForm.TEXT
        made = os.fstat(file.fileno())
        file.isatty = lambda: True
        assert log_form({"JOURNAL_STREAM": f"{made.st_dev}:{made.st_ino}"}, file) is LogForm.JSON
        assert log_form({"JOURNAL_STREAM": "8:12345"}, file) is LogForm.TEXT


# ------------------------------------------------------------------ the writer


def test_a_reader_that_stalls_stalls_nobody():
    """Lines are dropped and counted, and the count is told when there is room."""
    let_go, stuck, written = threading.Event(), threading.Event(), []

    def sink(text):
        stuck.set()
        let_go.wait(REAL_WAIT_S)
        written.append(text)

    writer = LineWriter(sink, lambda count: f"{count} dropped", lines_max=3)
    writer.write("first")
    assert stuck.wait(REAL_WAIT_S)
    for number in range(10):
        writer.write(str(number))
    assert written == []  # the reader still reads the first one
    let_go.set()
    writer.close()
    assert written == ["first", "0\n1\n2\n7 dropped"]


def test_the_log_says_itself_what_it_dropped(monkeypatch):
    """As a warning among the other lines."""
    let_go, lines = threading.Event(), []

    def sink(text):
        assert let_go.wait(REAL_WAIT_S)
        lines.extend(text.splitlines())

    with configure_logs(environment={}, sink=sink):
        for _ in range(log_writer.LINES_MAX + 600):
            log.info("tick")
        let_go.set()
    assert any("log_lines_dropped" in line and "count" in line for line in lines)


def test_a_reader_that_is_gone_hurts_nobody():
    """Trading goes on when the pipe is broken."""
    tried = []

    def sink(text):
        tried.append(text)
        raise BrokenPipeError

    writer = LineWriter(sink, str)
    writer.write("a")
    writer.close()
    assert tried == ["a"]


def test_a_reader_that_never_reads_does_not_hold_up_the_end():
    """Closing waits a bounded time."""
    never, read = threading.Event(), []

    def sink(text):
        never.wait(REAL_WAIT_S)
        read.append(text)

    writer = LineWriter(sink, str)
    writer.write("a")
    writer.close(0.05)
    assert read == []
    never.set()


def test_bytes_reach_the_file_in_pieces(tmp_path, monkeypatch):
    """A short count, and a terminal that someone made non-blocking, lose nothing."""
    path = tmp_path / "out"
    write, steps = os.write, iter([3, BlockingIOError, 2])

    def grudging(descriptor, data):
        step = next(steps, len(data))
        if step is BlockingIOError:
            raise BlockingIOError
        return write(descriptor, data[:step])

    with path.open("w") as file:
        sink = writes_to(file)
        monkeypatch.setattr(os, "write", grudging)
        sink("größe \ud800")
        monkeypatch.undo()
    assert path.read_text() == "größe \\ud800\n"


def test_the_lines_of_a_process_that_ends_by_itself_are_written(tmp_path):
    """Nobody closed the log: the interpreter's end does."""
    code = (
        "import structlog; from livebot.adapters.log import log_writer, logs\n"
        f"log_writer.LineWriter.close.__defaults__ = ({REAL_WAIT_S},)\n"  # it may be a busy machine
        "logs.configure_logs()\n"
        "for n in range(2000): structlog.get_logger().info('n', n=n)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [orjson.loads(line)["n"] for line in run.stdout.splitlines()] == list(range(2000))
    assert run.stderr == ""


def test_shortening_keeps_what_is_short():
    """And counts what it cut."""
    event = log_lines.shorten({"a": "x" * 4000, "b": 5, "exception": "y" * 5000}, str)
    assert event == {"a": "x" * 4000, "b": 5, "exception": "y" * 5000}
