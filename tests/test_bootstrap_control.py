"""The daemon's control API: served where the config says, hearing what happens, and told of when it cannot be."""

import asyncio
import json
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import aiohttp
import pytest

from livebot import bootstrap
from livebot.adapters.clock import SystemClock
from livebot.adapters.ledger import journal
from livebot.adapters.ledger.journal import Journal
from livebot.bootstrap.control import DaemonControl
from livebot.config.running import ControlConfig, ControlHttpConfig
from livebot.errors import BadInput, Fatal
from livebot.ops.control.client import ControlClient
from tests.adapters.states import a_fact
from tests.config.texts import MINIMAL
from tests.kept_port import kept_port
from tests.ops.fake_control import FakeControl
from tests.ops.metrics.samples import page
from tests.virtual_loop import REAL_WAIT_S

TOKEN = "0123456789abcdefghijklmnopqrstuvwxyz"
ENVIRONMENT = {"LIVEBOT_CONTROL_TOKEN": TOKEN}


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A busy machine writes the last lines later."""
    monkeypatch.setattr(journal, "CLOSE_SECONDS_MAX", REAL_WAIT_S)


@pytest.fixture
def port():
    with kept_port() as number:
        yield number


class Opened:
    """Served in a folder, with what was reported."""

    def __init__(self, folder: Path, section: ControlConfig) -> None:
        self.folder, self.section = folder, section
        self.problems: dict[str, str | None] = {}
        self.control = FakeControl()
        self.api = DaemonControl(section, ENVIRONMENT)

    async def __aenter__(self) -> Self:
        self.opened = AsyncExitStack()
        self.journal = Journal(self.folder / "journal", SystemClock())
        self.opened.callback(self.journal.close)
        await self.api.serve(
            self.control,
            self.journal,
            page(self.control).answer,
            self.folder / "control.sock",
            self.opened,
            self.problems.__setitem__,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.opened.aclose()

    def journalled(self) -> list[dict]:
        self.journal.close()
        return [json.loads(line) for path in self.folder.glob("journal/*") for line in path.read_text().splitlines()]


async def test_both_places_serve_the_same_and_commands_are_in_the_journal(tmp_path, port):
    section = ControlConfig(http=ControlHttpConfig(port=port))
    async with Opened(tmp_path, section) as served, aiohttp.ClientSession() as session:
        client = ControlClient(tmp_path / "control.sock")
        answer = await asyncio.to_thread(client.command, "halt", {"reason": "by the socket"})
        assert answer == "halt done"
        url = f"http://127.0.0.1:{port}/v1"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with session.post(f"{url}/unhalt", json={"reason": "by the port"}, headers=headers) as said:
            assert await said.json() == {"message": "unhalt done"}
        async with session.get(f"{url}/status", headers=headers) as said:
            assert await said.json() == await asyncio.to_thread(client.status)
        lines = served.journalled()
    assert served.problems == {}
    commands = [line for line in lines if line["type"] == "command"]
    assert [(each["command"], each["reason"]) for each in commands] == [
        ("halt", "by the socket"),
        ("unhalt", "by the port"),
    ]
    assert commands[0]["who"].startswith("uid=")
    assert commands[1]["who"] == "http 127.0.0.1"
    outcomes = [(each["number"], each["outcome"]) for each in lines if each["type"] == "command_outcome"]
    assert outcomes == [(1, "done"), (2, "done")]
    assert not (tmp_path / "control.sock").exists()


async def test_what_happens_is_told_to_who_listens(tmp_path, port):
    """What the bus says, and problems, which the one before hears first."""
    section = ControlConfig(http=ControlHttpConfig(port=port))
    async with Opened(tmp_path, section) as served, aiohttp.ClientSession() as session:
        told: list[tuple[str, str | None]] = []
        (listener,) = served.api.listeners
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with session.get(f"http://127.0.0.1:{port}/v1/events", headers=headers) as stream:
            assert await stream.content.readline() == b"retry: 2000\n"
            listener.hear([a_fact(sequence=3)])
            served.api.changed(lambda *each: told.append(each))("feed", "silent")
            text = b""
            while text.count(b"data: ") < 2:
                text += await stream.content.readany()
        assert told == [("feed", "silent")]
        assert b'"sequence":3' in text and b'"text":"silent"' in text


async def test_a_port_that_is_taken_is_a_problem_and_the_socket_answers(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        section = ControlConfig(http=ControlHttpConfig(port=taken.getsockname()[1]))
        async with Opened(tmp_path, section) as served:
            assert await asyncio.to_thread(ControlClient(tmp_path / "control.sock").status)
    text = served.problems["control.http"]
    assert (
        text is not None
        and "free the port, or change control.http.port, and restart livebot; it trades without" in text
    )


async def test_a_socket_that_cannot_be_made_ends_the_start(tmp_path):
    (tmp_path / "control.sock").write_text("somebody's")
    with pytest.raises(Fatal, match="is not a socket"):
        await Opened(tmp_path, ControlConfig()).__aenter__()


def test_without_a_token_nothing_starts():
    with pytest.raises(BadInput, match=r"control\.http needs LIVEBOT_CONTROL_TOKEN"):
        DaemonControl(ControlConfig(http=ControlHttpConfig(port=9470)), {})
    DaemonControl(ControlConfig(), {})


def test_the_check_of_a_config_looks_for_the_token_too(tmp_path, monkeypatch):
    config = tmp_path / "config.yaml"
    config.write_text(MINIMAL + "control: {http: {port: 9470}}\n")
    monkeypatch.delenv("LIVEBOT_CONTROL_TOKEN", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (problem,) = bootstrap.check(config, None)
    assert problem.startswith("control.http needs LIVEBOT_CONTROL_TOKEN")
    monkeypatch.setenv("LIVEBOT_CONTROL_TOKEN", TOKEN)
    assert bootstrap.check(config, None) == []
