"""The operator's config, pointed at a local exchange."""

from decimal import Decimal
from random import Random

import pytest

from livebot.config.load import load
from livebot.config.problems import ConfigErrors
from livebot.rehearsal.fault_course import kill_times, usual_faults
from livebot.rehearsal.scratch import Keys, environment, rehearsed, write_config
from livebot.simulator.fault_script import check_symbols

CONFIG = """\
system: demo
market: perpetual
exchange:
  id: simulator
  simulator: {seed: 9, volatility: 2.5, wallet: 5000, candles: null}
symbols: [BTC/USDT:USDT, ETH/USDT:USDT]
strategies:
  - {name: ema_cross, symbols: all, params: {timeframe: 5m}}
  - {name: breakout, symbols: [ETH/USDT:USDT]}
risk:
  limits: {open_signals: 3, gross_exposure: 0.75, symbol_exposure: null}
  entry: {minimum_stop_distance: 0.0000010}
execution: {unprotected_seconds: 4}
control: {socket: /run/operators.sock}
paths: {signals: /srv/operators/signals}
"""


def found_in(tmp_path, text=CONFIG):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return rehearsed(path)


def test_the_market_and_the_limits_are_the_operators(tmp_path):
    found = found_in(tmp_path)
    assert found.system.keys == (
        ("ema_cross", "BTC/USDT:USDT"),
        ("ema_cross", "ETH/USDT:USDT"),
        ("breakout", "ETH/USDT:USDT"),
    )
    assert (found.market.seed, found.market.volatility, found.market.wallet) == (9, Decimal("2.5"), 5000)
    assert (found.limits.open_signals, found.limits.symbol_exposure, found.unprotected_s) == (3, None, 4.0)


@pytest.mark.parametrize(
    ("protocol", "market", "name"), [("bybit", "perpetual", "bybit"), ("binance", "perpetual", "binanceusdm")]
)
def test_what_is_written_is_a_config_that_is_live_and_the_operators_otherwise(tmp_path, protocol, market, name):
    found = found_in(tmp_path)
    root = tmp_path / "root"
    root.mkdir()
    (root / "ca.pem").touch()
    path = write_config(found, root, protocol, port=4001, control_port=4002, ca_file=root / "ca.pem")
    before, after = load(found.config_path).config, load(path).config
    assert (after.mode, after.market, after.exchange.id) == ("live", market, name)
    loopback = after.exchange.loopback
    assert loopback is not None
    assert (loopback.port, loopback.control_port, loopback.ca_file) == (4001, 4002, str(root / "ca.pem"))
    for same in ("system", "symbols", "strategies", "risk", "execution", "runtime"):
        assert getattr(after, same) == getattr(before, same), same
    assert after.control.socket is None  # never the operator's own
    assert after.paths.signals == "signals"
    assert "0.0000010" in path.read_text()


def test_another_venues_config_gets_a_market_too(tmp_path):
    text = CONFIG.replace("id: simulator", "id: bybit").replace("  simulator: {seed", "  # {seed")
    text = text.replace("exchange:", "mode: live\nexchange:") + "alerts: null\n"
    found = found_in(tmp_path, text.replace("  # {seed", "  connection: {audit_seconds: 60}\n  # {seed"))
    assert found.market.volatility == 3
    (tmp_path / "root").mkdir()
    path = write_config(found, tmp_path / "root", "bybit", port=1, control_port=2, ca_file=tmp_path / "ca.pem")
    connection = load(path).config.exchange.connection
    assert (connection.audit_seconds, connection.ban_seconds) == (60, 5)


def test_the_daemon_sees_throw_away_keys_and_nothing_of_the_operators(tmp_path):
    found = found_in(tmp_path)
    own = {
        "PATH": "/bin",
        "PYTHONPATH": "/elsewhere",
        "LIVEBOT_API_SECRET": "operators",
        "LIVEBOT_LOG_LEVEL": "debug",
        "STATE_DIRECTORY": "/var/lib/x",
        "CREDENTIALS_DIRECTORY": "/run/x",
    }
    seen = environment(found, Keys("key", "secret"), own)
    assert "operators" not in seen.values()
    assert {name for name in seen if name.startswith(("LIVEBOT_", "STATE", "CRED"))} == {
        "LIVEBOT_LOG",
        "LIVEBOT_API_KEY",
        "LIVEBOT_API_SECRET",
        "LIVEBOT_CONFIRM_LIVE",
    }
    assert seen["LIVEBOT_CONFIRM_LIVE"] == "demo"
    assert seen["PYTHONPATH"].split(":") == ["/elsewhere", str(tmp_path)]
    assert "secret" not in repr(Keys("key", "secret"))


def test_a_bad_config_is_refused_as_ever(tmp_path):
    with pytest.raises(ConfigErrors):
        found_in(tmp_path, CONFIG.replace("perpetual", "futures"))


@pytest.mark.parametrize("protocol", ["bybit", "binance"])
@pytest.mark.parametrize("symbols", [("BTC/USDT:USDT",), ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")])
def test_the_usual_faults_are_over_in_time_and_fit_the_symbols(protocol, symbols):
    faults = usual_faults(protocol, symbols, 60.0)
    check_symbols(faults, symbols, "usual")
    kinds = [fault.kind for fault in faults]
    assert {"drop", "cut", "status", "disconnect", "ban"} <= set(kinds)
    for fault in faults:
        lasts = (fault.for_s or 0.0) if fault.kind != "ban" else fault.seconds
        assert fault.after_s + lasts <= 45.0, fault
        assert fault.every_s is None


def test_a_long_rehearsal_has_the_usual_faults_in_every_minute():
    faults = usual_faults("bybit", ("BTC/USDT:USDT", "ETH/USDT:USDT"), 600.0)
    assert {fault.every_s for fault in faults if fault.after_s} == {60.0}
    assert {fault.kind for fault in faults if not fault.every_s} == {"partial", "burst"}


def test_kills_come_in_order_after_the_frozen_stream_and_before_the_end():
    for seconds, least in ((60.0, 27.0), (600.0, 30.0)):
        times = kill_times(Random(3), seconds, 50)
        assert times == sorted(times)
        assert least <= times[0] <= times[-1] <= seconds * 0.85
        assert len(set(times)) == 50


@pytest.mark.parametrize(
    ("named", "written"),
    [
        ("{a: [BTC/USDT:USDT, XYZ/USDT:USDT], b: [XYY/USDT:USDT]}", {"a": ("BTC/USDT:USDT",)}),
        ("{b: [XYY/USDT:USDT]}", None),
    ],
)
def test_clusters_name_none_of_those_that_only_a_universe_would_find(tmp_path, named, written):
    universe = "universe: {top: 2, always: [BTC/USDT:USDT]}\n"
    text = CONFIG.replace("symbols: [BTC/USDT:USDT, ETH/USDT:USDT]\n", universe)
    text = text.replace("symbols: [ETH/USDT:USDT]", "symbols: all")
    text = text.replace("open_signals: 3,", "open_signals: 3, open_signals_per_cluster: 1,")
    text = text.replace("risk:\n", f"risk:\n  clusters: {{named: {named}}}\n")
    found = found_in(tmp_path, text)
    root = tmp_path / "root"
    root.mkdir()
    (root / "ca.pem").touch()
    path = write_config(found, root, "bybit", port=4001, control_port=4002, ca_file=root / "ca.pem")
    clusters = load(path).config.risk.clusters
    assert clusters.named == written
    assert (clusters.correlation is None) is (written is not None)
