"""The local exchange as a process of its own."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from livebot.cli.app import app
from livebot.errors import BadInput, Fatal
from livebot.rehearsal.stock_client import stock_client
from livebot.simulator import local_exchange
from livebot.simulator.local_exchange import (
    OBSERVER,
    PROTOCOLS,
    ExchangeOptions,
    Protocols,
    chosen_symbols,
    keys_of,
    run_exchange,
    scripted,
)
from livebot.simulator.venue_faults import PLACES, Fault

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
PATIENCE_S = 90.0  # for a process to start and to end, on a machine that is busy


class Process:
    """`livebot exchange --json`, ended with the test."""

    def __init__(self, *arguments: str, **extra: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "livebot", "exchange", "--json", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | extra,
        )

    def __enter__(self) -> dict:
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line)

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGTERM)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode


def witness(where: dict, secret: str | None = None):
    return stock_client(
        where["exchange"],
        where["port"],
        Path(where["ca_file"]),
        where["key"] + OBSERVER,
        secret or where["secret"],
        where["symbols"],
    )


@pytest.mark.process
async def test_its_account_outlives_it_and_what_it_prints_is_true(tmp_path):
    arguments = ("--symbols", f"{BTC},{ETH}", "--memory", str(tmp_path / "memory"), "--speed", "60", "--wallet", "5000")
    arguments += ("--ca-file", str(tmp_path / "ca.pem"))
    with Process(*arguments) as where:
        assert (where["symbols"], where["exchange"], where["speed"]) == ([BTC, ETH], "bybit", 60)
        async with witness(where) as client:
            assert (await client.look()).equity == 5000
            await client._client.create_order(BTC, "market", "buy", "0.01", None, {"clientOrderId": "first"})
            for number in range(60):
                order = await client._client.create_order(BTC, "limit", "buy", "0.01", "1000")
                if number < 58:
                    await client._client.cancel_order(order["id"], BTC)
            sight = await client.look()
            assert [(each.symbol, each.quantity) for each in sight.positions] == [(BTC, Decimal("0.01"))]
            assert [order.live for order in sight.orders] == [True, True]
            orders = await client.every_order()
            assert (len(orders), sum(order.filled for order in orders)) == (61, Decimal("0.01"))
    with Process(*arguments) as where:
        async with witness(where) as client:
            assert [each.quantity for each in (await client.look()).positions] == [Decimal("0.01")]


@pytest.mark.process
def test_signals_end_it_in_order_and_a_taken_port_is_told():
    exchange = Process(
        "--count", "2", "--market", "spot", LIVEBOT_EXCHANGE_KEY="own", LIVEBOT_EXCHANGE_SECRET="hidden-one"
    )
    where = exchange.__enter__()
    assert where["symbols"] == ["BTC/USDT", "ETH/USDT"]
    assert (where["key"], "hidden-one" in json.dumps(where)) == ("own", False)
    second = Process("--port", str(where["port"]))
    _, told = second.process.communicate(timeout=PATIENCE_S)
    assert (second.process.returncode, "cannot listen" in told) == (3, True)
    assert exchange.end(signal.SIGINT) == 0


def run_for(options: ExchangeOptions, seconds: float = 0.0) -> list:
    """In this process, ended by a signal as soon as it stands."""
    seen = []

    async def main():
        loop = asyncio.get_running_loop()

        def ready(listening):
            seen.append(listening)
            loop.call_later(seconds, os.kill, os.getpid(), signal.SIGTERM)

        await run_exchange(options, ready)

    asyncio.run(main())
    return seen


def options_for(folder: Path, **changes) -> ExchangeOptions:
    return replace(ExchangeOptions(symbols=(BTC, ETH), ca_file=folder / "ca.pem"), **changes)


def test_at_speed_1_its_time_is_the_walls_and_else_it_begins_in_the_past(tmp_path):
    now_ms = local_exchange.wall_ms()
    (wall,) = run_for(options_for(tmp_path))
    assert now_ms <= wall.market_ms <= local_exchange.wall_ms()
    (fast,) = run_for(options_for(tmp_path, speed=60.0))
    assert 29 < (now_ms - fast.market_ms) / 86_400_000 < 31
    (given,) = run_for(
        options_for(tmp_path, speed=60.0, start_ms=1_700_000_040_000, faults=(Fault(kind="close_position"),))
    )
    assert given.market_ms == 1_700_000_040_000


def test_when_its_candles_are_used_up_it_stands_on(tmp_path, monkeypatch):
    from tests.simulator.builders import WrittenMarket, flat

    monkeypatch.setattr(local_exchange, "_market_of", lambda _: WrittenMarket({BTC: [flat(1.0)] * 2}))
    assert run_for(options_for(tmp_path, speed=60_000.0, candles=tmp_path), seconds=0.3)


def test_the_folder_of_a_memory_is_let_go_when_it_does_not_fit(tmp_path):
    memory = tmp_path / "memory"
    run_for(options_for(tmp_path, memory=memory, speed=60.0))
    for _ in range(2):  # a second time: the lock is free
        with pytest.raises(BadInput, match="other candles"):
            run_for(options_for(tmp_path, memory=memory, speed=60.0, seed=2))


def test_candles_are_replayed(tmp_path):
    with pytest.raises(BadInput, match="no candles for BTC"):
        run_for(options_for(tmp_path, candles=tmp_path))


def test_a_protocol_that_is_not_there_is_refused_with_a_sentence(tmp_path, monkeypatch):
    lacking = Protocols("livebot.simulator.wished", "Server", "Settings", {True: "x", False: "x"})
    monkeypatch.setattr(local_exchange, "PROTOCOLS", {**PROTOCOLS, "bybit": lacking})
    with pytest.raises(BadInput, match="--protocol bybit is not available"):
        run_for(options_for(tmp_path))


def test_a_port_that_is_taken_is_fatal(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Fatal, match="cannot listen"):
            run_for(options_for(tmp_path, port=taken.getsockname()[1]))


def test_symbols_are_of_one_market():
    assert chosen_symbols(None, 2, None) == (BTC, ETH)
    assert chosen_symbols(None, 1, "spot") == ("BTC/USDT",)
    assert chosen_symbols(f"{ETH}, {BTC},{ETH}", 9, "perpetual") == (ETH, BTC)
    for named, market in ((f"{BTC},BTC/USDT", None), (BTC, "spot"), (",", None), ("BTC", None)):
        with pytest.raises(BadInput, match=r"--symbols|write BASE/QUOTE"):
            chosen_symbols(named, 1, market)


def test_faults_of_a_file_fit_its_symbols(tmp_path):
    file = tmp_path / "faults.yaml"
    file.write_text("- {kind: drop, symbols: BTCUSDT}\n")
    assert scripted(None, (BTC,)) == ()
    assert len(scripted(file, (BTC,))) == 1
    with pytest.raises(BadInput, match="entry 1: symbols"):
        scripted(file, (ETH,))


def test_its_keys_can_be_given():
    assert keys_of({}) == ("livebot-local-key", "livebot-local-secret")
    assert keys_of({"LIVEBOT_EXCHANGE_KEY": "a", "LIVEBOT_EXCHANGE_SECRET": "b"}) == ("a", "b")


class TestCommand:
    """As an operator calls it."""

    def test_bad_faults_are_all_told_and_nothing_starts(self, tmp_path):
        file = tmp_path / "faults.yaml"
        file.write_text("- {kind: wish}\n- {kind: drop, odds: 3}\n")
        result = CliRunner().invoke(app, ["exchange", "--faults", str(file)])
        assert result.exit_code == 2
        assert "entry 1: kind" in result.stderr
        assert "entry 2: odds" in result.stderr

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--speed", "0"],
            ["--speed", "nan"],
            ["--wallet", "none"],
            ["--wallet", "-1"],
            ["--port", "70000"],
            ["--protocol", "x"],
        ],
    )
    def test_bad_usage_is_exit_2(self, arguments):
        assert CliRunner().invoke(app, ["exchange", *arguments]).exit_code == 2

    def test_the_format_of_faults_is_printed_and_help_names_every_kind(self):
        shown = CliRunner().invoke(app, ["exchange", "--faults-format"])
        assert (shown.exit_code, "every_s" in shown.stdout) == (0, True)
        told = CliRunner().invoke(app, ["exchange", "--help"]).stdout
        assert [kind for kind in PLACES if kind not in told] == []

    def test_it_says_how_to_point_livebot_at_it(self, tmp_path, monkeypatch):
        async def stands(options, ready):
            ready(local_exchange.Listening(4001, 4002, 0, options.symbols))

        monkeypatch.setattr(local_exchange, "run_exchange", stands)
        shown = CliRunner().invoke(app, ["exchange", "--ca-file", str(tmp_path / "ca.pem"), "--protocol", "binance"])
        assert shown.exit_code == 0, shown.output
        section = shown.stdout.partition("config.yaml:\n")[2].partition("\nand")[0]
        assert yaml.safe_load(section) == {
            "mode": "live",
            "exchange": {
                "id": "binanceusdm",
                "loopback": {"port": 4001, "control_port": 4002, "ca_file": str(tmp_path / "ca.pem")},
            },
        }
        told = json.loads(CliRunner().invoke(app, ["exchange", "--json"]).stdout)
        assert (told["port"], told["key"], told["exchange"]) == (4001, "livebot-local-key", "bybit")
