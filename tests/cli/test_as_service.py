"""How `livebot run` ends where systemd has started it, and where it has not."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from livebot.cli.as_service import EX_CONFIG, told_to_service
from livebot.errors import BadInput, Fatal


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[dict[str, str], socket.socket]]:
    """The environment of a service, and where it is heard."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"{tmp_path}/notify")
        listener.setblocking(False)
        yield {"NOTIFY_SOCKET": f"{tmp_path}/notify", "LIVEBOT_API_SECRET": "hush-hush-hush"}, listener


def test_what_would_be_wrong_again_is_said_and_is_78(manager, capsys: pytest.CaptureFixture[str]) -> None:
    environ, listener = manager
    with pytest.raises(typer.Exit) as end, told_to_service(environ):
        raise BadInput("the config is wrong: hush-hush-hush")
    assert end.value.exit_code == EX_CONFIG == 78
    assert listener.recv(1000) == b"STATUS=ended: the config is wrong: [secret]"
    assert capsys.readouterr().err == "the config is wrong: [secret]\n"


def test_what_may_pass_is_said_and_ends_as_ever(manager, capsys: pytest.CaptureFixture[str]) -> None:
    """The unit starts it again."""
    environ, listener = manager
    with pytest.raises(Fatal), told_to_service(environ):
        raise Fatal("another livebot runs")
    assert listener.recv(1000) == b"STATUS=ended: another livebot runs"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("environ", [{}, {"INVOCATION_ID": "0" * 32}])
def test_on_a_terminal_it_ends_as_every_command(environ: dict[str, str]) -> None:
    with pytest.raises(BadInput), told_to_service(environ):
        raise BadInput("the config is wrong")


def test_a_run_that_ends_well_says_nothing(manager) -> None:
    environ, listener = manager
    with told_to_service(environ):
        pass
    with pytest.raises(BlockingIOError):
        listener.recv(1000)
