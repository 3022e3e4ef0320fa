"""Where a command looks for the daemon, also while the config is being edited."""

import pytest

from livebot import bootstrap
from livebot.cli.daemon_address import daemon_address
from livebot.errors import BadInput

CONFIG = """\
system: demo
market: perpetual
symbols: [BTC/USDT:USDT]
strategies: [{name: ema_cross}]
"""


@pytest.fixture(autouse=True)
def no_state_directory(monkeypatch):
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def never(text):
    pytest.fail(f"warned: {text}")


@pytest.mark.parametrize(
    "more",
    [
        "",
        "paths: {state: other/place}",
        "control: {socket: run/it.sock}",
        "control: {socket: null}",
        "control: {socket: ../up.sock}\npaths: {state: x, signals: y}",
    ],
)
@pytest.mark.parametrize("where", ["config", "root", "STATE_DIRECTORY"])
def test_it_is_where_the_daemon_listens(config, tmp_path, monkeypatch, more, where):
    """The same rule as the daemon's own, for each way to say it."""
    config.write_text(CONFIG + more)
    root = tmp_path / "r" if where == "root" else None
    if where == "STATE_DIRECTORY":
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "first") + ":/second")
    assert daemon_address(config, root, never) == bootstrap.control_socket(config, root)


@pytest.mark.parametrize("more", ["nonsense_key: 1", "paths: 7", "control: [1]", "control: {socket: 7}"])
def test_a_config_with_mistakes_is_not_in_the_way(config, tmp_path, more):
    """Only `livebot check` and the daemon's start judge it."""
    config.write_text(CONFIG + more)
    assert daemon_address(config, None, never) == tmp_path / "state" / "control.sock"


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"", b"- a list"])
def test_a_config_that_does_not_read_is_told_and_worked_around(config, tmp_path, content):
    """An operator must be able to halt."""
    config.write_bytes(content)
    warned: list[str] = []
    assert daemon_address(config, None, warned.append) == tmp_path / "state" / "control.sock"
    assert "trying the daemon's usual place" in warned[0]


def test_a_folder_in_place_of_the_config_is_worked_around(tmp_path):
    """It is no file at all."""
    warned: list[str] = []
    assert daemon_address(tmp_path, None, warned.append) == tmp_path.parent / "state" / "control.sock"
    assert len(warned) == 1


def test_no_config_at_all_needs_a_root(tmp_path):
    """With one, the usual place under it is as good as any."""
    absent = tmp_path / "absent.yaml"
    assert daemon_address(absent, tmp_path / "r", never) == tmp_path / "r" / "state" / "control.sock"
    with pytest.raises(BadInput, match=r"absent\.yaml: no such file; name another with --config"):
        daemon_address(absent, None, never)
