"""What is wrong with keys, account, clock, symbols or the way there is said when the connection opens, with the mend."""

import asyncio
import decimal
import logging
import threading
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from livebot.adapters.ccxt_venue.connection import Connection, ConnectionSettings, Keys, Loopback
from livebot.adapters.ccxt_venue.exchange import CcxtExchange
from livebot.adapters.ccxt_venue.exchange_settings import ExchangeSettings
from livebot.adapters.clock import SystemClock
from livebot.core.inputs import OrderAccepted
from livebot.errors import BadInput, Fatal, LivebotError, Transient
from livebot.simulator.api_key import ApiKey
from livebot.simulator.bybit import BybitSettings, Fault
from tests.adapters.ccxt_venue.desk import BTC, QUICK, QUIET, STILL, approved, open_connection, order, replace, seat
from tests.simulator.bybit.desk import local_bybit

ACCOUNT = BybitSettings(
    keys={
        "key": ApiKey("secret"),
        "old": ApiKey("secret", state="expired"),
        "reader": ApiKey("secret", state="read_only"),
    }
)


@asynccontextmanager
async def connected(desk, keys: Keys | None, **more):
    """A connection that is closed at the end, whatever becomes of it."""
    connection = await open_connection(desk, keys, **more)
    try:
        yield connection
    finally:
        await connection.close()


async def refusal(connection: Connection, symbols=(BTC,), settings=QUIET) -> LivebotError:
    with pytest.raises(LivebotError) as caught:
        await CcxtExchange.open(connection, SystemClock(), symbols, settings)
    return caught.value


async def test_a_key_that_cannot_trade_is_fatal_and_says_what_to_do(tmp_path):
    async with local_bybit(tmp_path, STILL, settings=ACCOUNT) as desk:
        for keys, words in (
            (Keys("nobody", "secret"), "LIVEBOT_API_KEY"),
            (Keys("key", "wrong"), "LIVEBOT_API_SECRET"),
            (Keys("old", "secret"), "make a new one at the venue"),
            (Keys("reader", "secret"), "may only read"),
        ):
            async with connected(desk, keys) as connection:
                error = await refusal(connection)
                assert type(error) is Fatal, keys
                assert str(error).startswith("bybit: ")
                assert words in str(error)
                assert "secret" not in str(error)


async def test_hedge_mode_is_fatal_and_says_what_to_do(tmp_path):
    hedge = BybitSettings(position_mode=3)
    async with (
        local_bybit(tmp_path, STILL, settings=hedge) as desk,
        connected(desk, Keys("key", "secret")) as connection,
    ):
        error = await refusal(connection)
        assert type(error) is Fatal
        assert f"{BTC} is in hedge position mode" in str(error)
        assert "set the position mode to one-way" in str(error)


async def test_a_symbol_that_is_not_there_is_named(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk, connected(desk, Keys("key", "secret")) as connection:
        error = await refusal(connection, (BTC, "DOGE/USDT:USDT"))
        assert type(error) is BadInput
        assert "DOGE/USDT:USDT is not listed" in str(error)
        assert BTC not in str(error)


async def test_without_a_key_there_are_data_and_no_orders(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk, connected(desk, None) as connection:
        assert connection.orders is None
        assert BTC in connection.data.markets
        with pytest.raises(BadInput, match="orders need a key"):
            CcxtExchange(connection, SystemClock(), (BTC,))


async def test_streams_that_do_not_stand_in_time_are_transient_and_leave_no_task(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk, connected(desk, Keys("key", "secret")) as connection:
        client = connection.orders
        client.handle_authenticate = lambda *_: None  # the answer gets lost
        error = await refusal(connection, settings=replace(QUIET, stream_ready_s=0.2, silence_s=0.1))
        assert type(error) is Transient
        assert "its private stream could not be opened" in str(error)
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not names & {"watch_orders", "watch_my_trades", "private stream watch", "clock of the venue"}


async def test_a_venue_that_is_not_there_is_transient_and_nothing_is_left_open(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        loopback = Loopback(desk.server.port, desk.ca_file)
        for fault in ("html", "empty", "truncate", "cut"):
            desk.server.faults.arm(Fault(kind=fault, endpoints=("market/time",), times=None))  # aiohttp repeats a GET
            with pytest.raises(Transient, match="its clock could not be read"):
                await Connection.open("bybit", "perpetual", None, loopback=loopback, settings=QUICK)
            desk.server.faults.clear()
        desk.server.faults.arm(Fault(kind="status", endpoints=("market/instruments-info",), times=None))
        with pytest.raises(Transient, match="its markets could not be loaded"):
            await Connection.open("bybit", "perpetual", None, loopback=loopback, settings=QUICK)


async def test_what_the_config_cannot_mean_is_refused(tmp_path):
    with pytest.raises(BadInput, match="mtgox"):
        await Connection.open("mtgox", "perpetual", None)
    with pytest.raises(BadInput, match="kraken spot: "):
        await Connection.open("kraken", "spot", None)
    missing = Loopback(1, Path("no-such-ca.pem"))
    with pytest.raises(BadInput, match="start the local exchange"):
        await Connection.open("bybit", "perpetual", None, loopback=missing)


async def test_the_clients_sign_by_the_venues_clock(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        desk.server.faults.arm(Fault(kind="skew", seconds=3_600.0))
        began = time.monotonic()
        async with connected(desk, Keys("key", "secret")) as connection:
            assert abs(connection.skew_ms - 3_600_000) <= (time.monotonic() - began) * 1_000  # what a reading takes
            assert (await connection.orders.fetch_balance())["USDT"]["total"] == "10000"


async def test_a_clock_that_is_off_blocks_entries_from_the_start(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        desk.server.faults.arm(Fault(kind="skew", seconds=5.0))
        async with connected(desk, Keys("key", "secret")) as connection:
            exchange = await CcxtExchange.open(connection, SystemClock(), (BTC,), QUIET)
            notices = []
            exchange.listen_notices(notices.append)
            assert [(each.source, each.blocks_entries) for each in notices] == [("bybit clock", True)]
            assert "s ahead of this machine's" in notices[0].text
            await exchange.close()


async def test_the_time_a_reading_waits_for_its_turn_is_no_part_of_the_difference(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk, connected(desk, None) as connection:
        original, clock, waited_ms = connection.data.throttle, connection.data.milliseconds, 0

        async def slow(cost=None):
            nonlocal waited_ms
            waited_ms += 600_000
            return await original(cost)

        connection.data.throttle, connection.data.milliseconds = slow, lambda: clock() + waited_ms
        began = time.monotonic()
        assert abs(await connection.measure_skew() + 600_000) <= (time.monotonic() - began) * 1_000 + 1


async def test_nothing_is_asked_while_banned_also_not_the_time(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk, connected(desk, None) as connection:
        desk.server.faults.arm(Fault(kind="cut", times=None))
        connection.bans.begin(60)
        with pytest.raises(Transient, match="it has banned this address for 60 s more"):
            await connection.measure_skew()
        with pytest.raises(Transient, match="it has banned this address for 60 s more"):
            await connection.reload_markets()


async def test_a_socket_stays_open_from_one_probe_to_the_next(tmp_path):
    """So that an order after a quiet time does not wait for a new one."""
    async with local_bybit(tmp_path, STILL) as desk, connected(desk, Keys("key", "secret")) as connection:
        assert ExchangeSettings().probe_s < connection.orders.session.connector._keepalive_timeout < 60


async def test_markets_are_reloaded_into_both_clients(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk, connected(desk, Keys("key", "secret")) as connection:
        before = connection.orders.markets
        await connection.reload_markets()
        assert connection.orders.markets is connection.data.markets is not before
        assert list(connection.data.markets) == list(before)


async def test_no_reload_of_markets_leaves_a_client_to_the_garbage_collector(tmp_path, monkeypatch):
    """With thousands of symbols it would hold hundreds of megabytes until it came."""
    async with local_bybit(tmp_path, STILL) as desk, connected(desk, None) as connection:
        first = connection.data.markets
        monkeypatch.setattr(connection, "_ccxt_class", None)  # nothing more can be made
        await connection.reload_markets()
        second = connection.data.markets
        await connection.reload_markets()
        assert first is not second is not connection.data.markets
        assert list(first) == list(second) == list(connection.data.markets)


async def test_after_a_reload_that_was_cancelled_another_client_makes_the_index(tmp_path, monkeypatch):
    """The thread of the first one may be at it still."""
    async with local_bybit(tmp_path, STILL) as desk, connected(desk, None) as connection:
        used = []
        going, cancelled = threading.Event(), threading.Event()

        def slow(self, rows, *more):
            used.append(self)
            if len(used) == 1:
                going.set()
                cancelled.wait(30)
            original(self, rows, *more)

        original = connection._ccxt_class.set_markets
        monkeypatch.setattr(connection._ccxt_class, "set_markets", slow)
        reload = asyncio.create_task(connection.reload_markets())
        await asyncio.to_thread(going.wait, 30)
        reload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reload
        await connection.reload_markets()
        cancelled.set()
        assert used[0] is not used[1]
        assert connection.data.markets


async def test_the_sandbox_is_the_testnet(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        loopback = Loopback(desk.server.port, desk.ca_file)
        connection = await Connection.open(
            "bybit", "perpetual", None, sandbox=True, loopback=loopback, settings=ConnectionSettings(skew_samples=1)
        )
        assert "testnet" in connection.data.urls["api"]["public"]
        await connection.close()
        await connection.close()


async def test_no_log_line_holds_a_key_or_a_signature_however_much_is_logged(tmp_path, caplog):
    names = Keys("the-api-key", "the-api-secret")
    account = BybitSettings(keys={"the-api-key": ApiKey("the-api-secret")})
    caplog.set_level(logging.DEBUG)
    async with local_bybit(tmp_path, STILL, settings=account) as desk, connected(desk, names) as connection:
        exchange = await CcxtExchange.open(connection, SystemClock(), (BTC,), QUIET)
        desk.server.faults.arm(Fault(kind="refuse", code=10004, text="error sign! origin_string[1the-api-key5000]"))
        outcome = await exchange.submit(approved(order()))
        await exchange.close()
    for told in (caplog.text, repr(outcome), repr(exchange.health.standing)):
        assert "the-api" not in told
        assert "BAPI" not in told


async def test_keys_are_never_shown():
    assert "secret" not in repr(Keys("key-id", "the-secret", "the-password"))
    assert "key-id" not in repr(Keys("key-id", "the-secret", "the-password"))


async def test_a_key_that_stops_working_blocks_entries_until_it_works_again(tmp_path):
    async with seat(tmp_path, server=ACCOUNT) as s:
        s.arm("refuse", "order/create", code=10005, text="Permission denied, please check your API key permissions.")
        await s.submit(order())
        await asyncio.sleep(0)
        notice = s.said("trading key")[0]
        assert notice.blocks_entries
        assert "allow it to trade this market" in notice.text
        assert "open positions keep their stops" in notice.text
        assert "until an order goes through or the daemon is restarted" in notice.text
        await s.exchange.fetch_positions()  # reading works all the while, and proves nothing
        assert s.said("trading key")[-1].text is not None
        assert isinstance(await s.submit(order()), OrderAccepted)
        await asyncio.sleep(0)
        assert s.said("trading key")[-1].text is None
        s.arm("refuse", "position/list", code=33004, text="Your api key has expired.")
        with pytest.raises(Transient, match="expired"):
            await s.exchange.fetch_positions()
        await asyncio.sleep(0)
        assert s.said("reading key")[-1].blocks_entries


async def test_the_way_our_decimals_round_is_left_alone(tmp_path):
    """Stock ccxt sets it for the whole thread, whenever it writes a quantity."""
    async with seat(tmp_path) as taken:
        before = decimal.getcontext().copy()
        taken.connection.orders.amount_to_precision(BTC, "0.12345")
        taken.connection.data.price_to_precision(BTC, "100.12345")
        present = decimal.getcontext()
        assert (present.rounding, present.traps) == (before.rounding, before.traps)
