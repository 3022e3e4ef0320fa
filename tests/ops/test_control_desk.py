"""Commands through the desk: what came of each is audited, repetitions under a key begin nothing, and all is bounded."""

import asyncio
from typing import Any

import pytest

from livebot.errors import Fatal
from livebot.ops.control import desk as control_desk
from livebot.ops.control.answers import Refused
from livebot.ops.control.commands import COMMANDS
from livebot.ops.control.desk import Desk
from tests.ops.fake_control import REFUSAL, TROUBLE, FakeControl
from tests.ops.served import Served
from tests.virtual_loop import run

BY_NAME = {command.name: command for command in COMMANDS}
PAUSE, HALT = BY_NAME["pause"], BY_NAME["halt"]
ALL = {"symbols": None}


def key(text: str = "k-1") -> str:
    return f"Idempotency-Key: {text}\r\n"


@pytest.fixture
def served(tmp_path):
    with Served(tmp_path / "control.sock", FakeControl(), keys_kept=2) as served:
        yield served


# ------------------------------------------------------------------ the two new commands


def test_a_reload_needs_no_reason_and_may_have_one(served):
    assert served.post("/v1/reload", b"{}") == (200, {"message": "reload done"})
    assert served.post("/v1/reload", b'{"reason":"limits"}')[0] == 200
    assert [each[:2] for each in served.audited] == [("reload", {}), ("reload", {"reason": "limits"})]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_a_log_level_reaches_the_control(served, level):
    assert served.post("/v1/log-level", b'{"level":"%b"}' % level.encode())[0] == 200
    assert served.control.asked == [("log_level", level)]
    assert served.audited[0][:2] == ("log-level", {"level": level})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{}", "'level' is missing: one of debug, info, warning, error"),
        (b'{"level":"loud"}', "'level' must be one of"),
        (b'{"level":null}', "'level' must be one of"),
        (b'{"level":["debug"]}', "'level' must be one of"),
    ],
)
def test_a_log_level_that_there_is_not_is_refused(served, body, says):
    status, answer = served.post("/v1/log-level", body)
    assert (status, says in answer["error"]) == (400, True)
    assert (served.control.asked, served.audited) == ([], [])


# ------------------------------------------------------------------ what came of it


def test_what_came_of_a_command_is_audited(served):
    served.post("/v1/pause", b'{"symbols":null}')
    served.control.raises = REFUSAL
    served.post("/v1/pause", b'{"symbols":["X"]}')
    served.control.raises = TROUBLE
    served.post("/v1/halt", b'{"reason":"x"}')
    found = [(each["number"], each["command"], each["outcome"], each["text"]) for each in served.outcomes]
    assert found == [
        (1, "pause", "done", "pause done"),
        (2, "pause", "refused", str(REFUSAL)),
        (3, "halt", "failed", str(TROUBLE)),
    ]
    assert all(each["who"] == served.audited[0][2] for each in served.outcomes)


def test_a_bug_in_a_command_is_audited_without_its_details(served, caplog):
    served.control.raises = ZeroDivisionError("deep inside")
    raw = served.send(
        b"POST /v1/halt HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 14\r\n\r\n" + b'{"reason":"x"}'
    )
    assert raw.split()[1] == b"500"
    assert b"deep inside" not in raw
    assert (served.outcomes[0]["outcome"], served.outcomes[0]["text"]) == ("failed", "ZeroDivisionError, see the log")
    assert "deep inside" in caplog.text


def test_what_the_end_of_the_daemon_cuts_short_is_audited(tmp_path):
    control = FakeControl(waits=asyncio.Event())
    with Served(tmp_path / "control.sock", control, command_seconds=0.05) as served:
        assert served.post("/v1/flatten", b'{"symbols":null}')[0] == 504
        assert served.outcomes == []
    assert [each["outcome"] for each in served.outcomes] == ["cut short"]


# ------------------------------------------------------------------ repetitions


def test_a_repetition_under_the_same_key_begins_nothing_and_has_the_same_answer(served):
    served.control.raises = REFUSAL
    first = served.post("/v1/pause", b'{"symbols":["X"]}', more=key())
    served.control.raises = None
    assert first[0] == 409
    assert served.post("/v1/pause", b'{"symbols": ["X"]}', more=key()) == first
    assert (len(served.control.asked), len(served.audited)) == (1, 1)
    assert served.repeated == [{"number": 1, "command": "pause", "who": served.audited[0][2]}]


def test_a_repetition_while_it_is_under_way_waits_for_the_same_end(served):
    async def both():
        desk = Desk(served.control, lambda *_: None)
        served.control.waits = asyncio.Event()
        first = asyncio.create_task(desk.carry_out(PAUSE, ALL, "me", "k"))
        second = asyncio.create_task(desk.carry_out(PAUSE, ALL, "me", "k"))
        await asyncio.sleep(0)
        served.control.waits.set()
        return await first, await second

    first, second = served.run(both())
    assert first == second
    assert served.control.finished == ["pause"]


@pytest.mark.parametrize(("target", "body"), [("/v1/pause", b'{"symbols":["X"]}'), ("/v1/resume", b'{"symbols":null}')])
def test_a_key_of_another_command_is_refused(served, target, body):
    served.post("/v1/pause", b'{"symbols":null}', more=key())
    status, answer = served.post(target, body, more=key())
    assert (status, "was another command's (number 1 in the journal)" in answer["error"]) == (422, True)
    assert (len(served.control.asked), len(served.audited)) == (1, 1)


def test_so_many_keys_are_kept_and_no_more(served):
    """The oldest is forgotten: its command begins anew."""
    for number in (1, 2, 3, 3, 2, 1):
        served.post("/v1/pause", b'{"symbols":null}', more=key(f"k{number}"))
    assert len(served.control.asked) == 4


def test_what_the_daemon_could_not_do_it_tries_again(served):
    """A disk that was full may not be full any more; also a bug is no answer to be kept."""
    for trouble in (TROUBLE, ZeroDivisionError()):
        served.control.raises = trouble
        served.send(
            b"POST /v1/halt HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            + key().encode()
            + b"Content-Length: 14\r\n\r\n"
            + b'{"reason":"x"}'
        )
    served.control.raises = None
    assert served.post("/v1/halt", b'{"reason":"x"}', more=key()) == (200, {"message": "halt done"})
    assert served.control.finished == ["halt"]


@pytest.mark.parametrize("said", [key(""), key("a b"), key("x" * 101), key("\u00e9"), key("a") + key("b")])
def test_a_key_that_is_none_is_refused(served, said):
    status, answer = served.post("/v1/pause", b'{"symbols":null}', more=said)
    assert (status, "Idempotency-Key must stand there once" in answer["error"]) == (400, True)
    assert (served.control.asked, served.audited) == ([], [])


# ------------------------------------------------------------------ room


def test_commands_that_never_end_are_bounded_and_a_halt_finds_room(monkeypatch):
    monkeypatch.setattr(control_desk, "UNDER_WAY_MAX", 2)

    async def scenario():
        control = FakeControl(waits=asyncio.Event())
        audited: list[Any] = []
        desk = Desk(control, lambda kind, fields: audited.append(kind), command_seconds=0.01)
        for _ in range(2):
            assert (await desk.carry_out(PAUSE, ALL, "me", None)).status == 504
        with pytest.raises(Refused, match="2 commands are under way and none of them ends"):
            await desk.carry_out(PAUSE, ALL, "me", None)
        assert (len(control.asked), audited) == (2, ["command", "command"])
        assert (await desk.carry_out(HALT, {"reason": "x"}, "me", None)).status == 200
        await desk.close()

    run(scenario())


async def test_a_key_forgotten_meanwhile_is_no_trouble():
    """Another one has pushed it out before its command failed."""
    control = FakeControl(raises=Fatal("no"))
    desk = Desk(control, lambda *_: None, keys_kept=1)
    answers = await asyncio.gather(*(desk.carry_out(PAUSE, ALL, "me", f"k{number}") for number in range(3)))
    assert [answer.status for answer in answers] == [503, 503, 503]
