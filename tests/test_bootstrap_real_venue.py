"""A real venue, composed as the config says, against a local exchange over TLS."""

from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import pytest

from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.bootstrap import commands, real_venue
from livebot.bootstrap.choice import Choice
from livebot.bootstrap.real_venue import real_venue_of
from livebot.config.load import check
from livebot.config.root import resolve
from livebot.errors import BadInput, Fatal, Transient
from tests.simulator.builders import BTC, flat
from tests.simulator.bybit.desk import Desk, local_bybit

TEXT = """
system: demo
market: perpetual
mode: {mode}
exchange: {{id: bybit, loopback: {{port: {port}, ca_file: ca.pem, control_port: {control}}}}}
symbols: [{symbols}]
strategies: [{{name: ema_cross}}]
"""


def written(desk: Desk, folder: Path, mode: str, *symbols: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(
        TEXT.format(
            mode=mode,
            port=desk.server.port,
            control=desk.server.control_port,
            symbols=", ".join(symbols or (BTC,)),
        )
    )
    return path


async def composed(path: Path, opened: AsyncExitStack):
    loaded = check(path.read_text(), str(path))
    paths = resolve(loaded.config, path, None, {})
    choice = Choice(loaded, paths, DurableFiles(), lambda source, text: None)
    return await real_venue_of(loaded, paths, opened, choice)


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("LIVEBOT_API_KEY", "key")
    monkeypatch.setenv("LIVEBOT_API_SECRET", "secret")
    monkeypatch.setattr(real_venue, "_BACKOFF_S", 0.01)


@pytest.mark.usefixtures("keys")
async def test_live_orders_go_to_the_venue_in_its_markets_time(tmp_path):
    """A symbol that it lacks is told and left out; all is closed in the end."""
    async with local_bybit(tmp_path, [flat(100.0)] * 5) as desk, AsyncExitStack() as opened:
        await desk.step(2)
        venue = await composed(written(desk, tmp_path, "live", BTC, "NOPE/USDT:USDT"), opened)
        assert venue.exchange.name == "bybit"
        assert (await venue.exchange.fetch_account()).wallet == Decimal(10_000)
        assert set(await venue.exchange.instruments((BTC,))) == {BTC}
        assert 0 <= venue.clock.now_ms() - desk.venue.now_ms < 120_000
        assert venue.lacking == {
            "NOPE/USDT:USDT": "NOPE/USDT:USDT is not traded: bybit: NOPE/USDT:USDT is not listed; take what is wrong out of "
            "`symbols`, or write it as the venue does"
        }


async def test_on_paper_no_key_is_needed_and_no_order_reaches_the_venue(tmp_path, monkeypatch):
    monkeypatch.delenv("LIVEBOT_API_KEY", raising=False)
    async with local_bybit(tmp_path, [flat(100.0)] * 30) as desk, AsyncExitStack() as opened:
        await desk.step(5)
        venue = await composed(written(desk, tmp_path, "paper"), opened)
        assert (await venue.exchange.fetch_account()).wallet == Decimal(10_000)
        assert await venue.exchange.fetch_open_orders() == ()
        assert (tmp_path / "state" / "simulator" / "snapshot.json").exists()


@pytest.mark.usefixtures("keys")
async def test_no_symbol_at_all_is_refused(tmp_path):
    async with local_bybit(tmp_path, [flat(100.0)] * 5) as desk, AsyncExitStack() as opened:
        with pytest.raises(BadInput, match="NOPE/USDT:USDT is not listed"):
            await composed(written(desk, tmp_path, "live", "NOPE/USDT:USDT"), opened)


@pytest.mark.usefixtures("keys")
async def test_a_wrong_secret_is_said_with_what_to_check(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVEBOT_API_SECRET", "hunter22")
    async with local_bybit(tmp_path, [flat(100.0)] * 5) as desk, AsyncExitStack() as opened:
        with pytest.raises(Fatal, match="check LIVEBOT_API_SECRET") as caught:
            await composed(written(desk, tmp_path, "live"), opened)
        assert "hunter22" not in str(caught.value)


@pytest.mark.usefixtures("keys")
async def test_a_venue_that_is_not_there_is_tried_a_few_times(tmp_path, monkeypatch):
    tried = []
    async with local_bybit(tmp_path, [flat(100.0)] * 5) as desk:
        path = written(desk, tmp_path, "live")
        path.write_text(path.read_text().replace(f"port: {desk.server.port}", "port: 1"))
        monkeypatch.setattr(real_venue._log, "warning", lambda event, **_: tried.append(event), raising=False)
        async with AsyncExitStack() as opened:
            with pytest.raises(Transient, match="bybit: its clock could not be read"):
                await composed(path, opened)
    assert tried in ([], ["venue_not_reached"] * (real_venue.ATTEMPTS - 1))


def test_what_a_venue_needs_besides_the_config_is_checked(tmp_path, monkeypatch):
    """Keys, the confirmation for real money, the file of a local exchange."""
    monkeypatch.delenv("LIVEBOT_API_KEY", raising=False)
    path = tmp_path / "config.yaml"
    text = TEXT.format(mode="live", port=4433, control=4434, symbols=BTC)
    path.write_text(text)
    (line,) = commands.check(path, None)
    assert line.startswith("exchange.loopback.ca_file: ")
    (tmp_path / "ca.pem").write_text("x")
    (line,) = commands.check(path, None)
    assert line.startswith("live trading needs LIVEBOT_API_KEY")
    monkeypatch.setenv("LIVEBOT_API_KEY", "key")
    monkeypatch.setenv("LIVEBOT_API_SECRET", "secret")
    assert commands.check(path, None) == []
    path.write_text(text.replace(", loopback: {port: 4433, ca_file: ca.pem, control_port: 4434}", ""))
    (line,) = commands.check(path, None)
    assert "LIVEBOT_CONFIRM_LIVE=demo" in line
    monkeypatch.setenv("LIVEBOT_CONFIRM_LIVE", "demo")
    assert commands.check(path, None) == []
