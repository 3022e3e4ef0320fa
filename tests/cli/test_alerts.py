"""`livebot alerts test`, as an operator and as a script call it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from livebot import bootstrap
from livebot.bootstrap.alerts import Outcome
from livebot.cli.app import app

OUTCOMES = [Outcome("phone", None, 0.8123), Outcome("mail", "no answer within 30 s", 30.0)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, str | None]]:
    """What was asked for; two channels answer, one of them fails."""
    calls: list[tuple[Path, str | None]] = []

    def answer(config: Path, channel: str | None) -> list[Outcome]:
        calls.append((config, channel))
        return [each for each in OUTCOMES if channel in (None, each.channel)]

    monkeypatch.setattr(bootstrap, "alerts_test", answer)
    return calls


def test_each_channel_is_a_line_and_one_that_fails_is_a_failure(asked: list):
    result = CliRunner().invoke(app, ["alerts", "test", "--config", "x.yaml"])
    assert result.output == "phone: sent in 0.8 s\nmail: failed: no answer within 30 s\n"
    assert result.exit_code == 3
    assert asked == [(Path("x.yaml"), None)]


def test_one_that_works_is_a_success(asked: list):
    result = CliRunner().invoke(app, ["alerts", "test", "--channel", "phone"])
    assert (result.output, result.exit_code) == ("phone: sent in 0.8 s\n", 0)


def test_a_script_reads_json(asked: list):
    result = CliRunner().invoke(app, ["alerts", "test", "--json"])
    assert json.loads(result.output) == {
        "channels": [
            {"channel": "phone", "arrived": True, "why": None, "seconds": 0.812},
            {"channel": "mail", "arrived": False, "why": "no answer within 30 s", "seconds": 30.0},
        ]
    }
    assert result.exit_code == 3


def test_without_channels_it_says_how_to_have_one(tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text("system: demo\nmarket: perpetual\nsymbols: [BTC/USDT:USDT]\nstrategies: [{name: ema_cross}]\n")
    result = CliRunner().invoke(app, ["alerts", "test", "--config", str(config)])
    assert result.exit_code == 2
    assert result.output.startswith("alerts.channels is empty: nobody would be told anything;")
