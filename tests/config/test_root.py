"""Every path resolves once against one root."""

import pytest

from livebot.config.load import check
from livebot.config.root import find_root, resolve
from livebot.errors import BadInput
from tests.config.texts import MINIMAL


def paths(tmp_path, extra="", root=None, environ=None):
    return resolve(check(MINIMAL + extra, "c").config, tmp_path / "etc" / "config.yaml", root, environ or {})


def test_the_command_line_names_the_root(tmp_path):
    environ = {"STATE_DIRECTORY": str(tmp_path / "systemd")}
    assert find_root(tmp_path / "here", tmp_path / "c.yaml", environ) == tmp_path / "here"


def test_else_the_first_state_directory(tmp_path):
    environ = {"STATE_DIRECTORY": f"{tmp_path}/one:{tmp_path}/two"}
    assert find_root(None, tmp_path / "c.yaml", environ) == tmp_path / "one"


@pytest.mark.parametrize("environ", [{}, {"STATE_DIRECTORY": ""}, {"STATE_DIRECTORY": ":"}])
def test_else_the_folder_of_the_config(tmp_path, environ):
    assert find_root(None, tmp_path / "etc" / "c.yaml", environ) == tmp_path / "etc"


def test_the_picture_of_the_repository_is_the_default(tmp_path):
    found = paths(tmp_path, root=tmp_path)
    assert found.config == tmp_path / "etc" / "config.yaml"
    assert (found.signals, found.state, found.models) == (tmp_path / "signals", tmp_path / "state", tmp_path / "models")
    assert found.control_socket == tmp_path / "state" / "control.sock"
    assert (found.lock, found.portfolio) == (tmp_path / "state" / "livebot.lock", tmp_path / "state" / "portfolio.json")
    assert (found.ledger, found.report) == (tmp_path / "state" / "ledger.sqlite", tmp_path / "state" / "report.md")
    assert found.simulator == tmp_path / "state" / "simulator"
    assert (found.candles, found.venue_socket, found.ca_file) == (None, None, None)


def test_paths_of_the_config_are_relative_to_the_root_or_absolute(tmp_path):
    found = paths(
        tmp_path,
        f"paths: {{state: ../other, signals: {tmp_path}/far}}\ncontrol: {{socket: run/c.sock}}\n"
        "exchange: {loopback: {port: 1, ca_file: ca.pem}, simulator: {candles: ../data, socket: venue.sock}}\n",
        root=tmp_path / "root",
    )
    assert (found.state, found.signals) == (tmp_path / "other", tmp_path / "far")
    assert found.control_socket == tmp_path / "root" / "run" / "c.sock"
    assert (found.candles, found.venue_socket) == (tmp_path / "data", tmp_path / "root" / "venue.sock")
    assert found.ca_file == tmp_path / "root" / "ca.pem"


@pytest.mark.parametrize(
    ("extra", "key"),
    [
        (f"control: {{socket: /{'x' * 107}}}", "control.socket"),
        (f"exchange: {{simulator: {{socket: /{'x' * 107}}}}}", "exchange.simulator.socket"),
    ],
)
def test_a_socket_path_longer_than_the_system_takes(tmp_path, extra, key):
    with pytest.raises(BadInput) as caught:
        paths(tmp_path, extra, root=tmp_path.parents[-1])
    assert str(caught.value) == (
        f"{key}: /{'x' * 107} is 108 bytes long, and a socket's path may have 107; write a shorter one, such as one "
        "under /run"
    )
