"""One passing error of a private stream passes: it is opened anew, no more often than it has to be, and never by halves."""

import asyncio

import pytest

from livebot.adapters.ccxt_venue.exchange import CcxtExchange
from livebot.adapters.clock import SystemClock
from livebot.errors import Fatal
from tests.adapters.ccxt_venue.desk import (
    BTC,
    PROMPT,
    QUIET,
    STILL,
    Seat,
    binance_seat,
    local_bybit,
    open_connection,
    replace,
    seat,
)
from tests.adapters.ccxt_venue.stream_desk import (
    NEVER_S,
    Authentications,
    Subscriptions,
    spot_desk,
    spot_seat,
    stands_again,
    tells,
    waits_for,
)
from tests.simulator.local_desk import SPOT
from tests.virtual_loop import REAL_WAIT_S

TIMESTAMP = {"status": 400, "error": {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}}
WATCHFUL = replace(PROMPT, silence_s=0.2, probe_s=600.0)
REFUSALS = {
    "with a code": {"op": "auth", "success": False, "retCode": 10016, "retMsg": "Internal server error", "connId": "c"},
    "without one": {"op": "auth", "success": False, "ret_msg": "error:USVC1111", "conn_id": "c"},
}
LATE = {
    "with a code": {"op": "auth", "success": False, "retCode": 10001, "retMsg": "Your timestamp is expired"},
    "without one": {"op": "auth", "success": False, "ret_msg": "Params Error", "conn_id": "c"},
}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_an_authentication_that_is_refused_in_passing_is_asked_for_again(tmp_path, refusal):
    """Bybit: ccxt takes the socket for authenticated as soon as it has asked for it."""
    async with seat(tmp_path) as s:
        venue = Authentications(s.desk.server)
        venue.says, venue.times = REFUSALS[refusal], 1
        s.exchange._streams.reconnect("by the test")
        await s.until(lambda: stands_again(s))
        assert not s.exchange.health.standing
        assert s.said("private stream")[-1].reconcile
        assert venue.asked == 2
        await tells(s)


async def test_a_topic_that_is_refused_in_passing_takes_the_other_with_it_and_both_say_why(tmp_path):
    """They are of one socket, and a comparison before both stand would be one too early."""
    async with seat(tmp_path) as s:
        streams, refused = s.desk.server._streams, []
        subscribe = streams._subscribe

        async def hear(session, request, args):
            if args == ["execution"] and not refused:
                refused.append(1)
                session.answer({"op": "subscribe", "retCode": 10016, "retMsg": "Internal server error"}, request)
                return
            await subscribe(session, request, args)

        streams._subscribe = hear
        s.exchange._streams.reconnect("by the test")
        await s.until(lambda: stands_again(s))
        texts = [each.text for each in s.said("private stream")]
        assert len(texts) == 3
        assert "Internal server error (code 10016)" in texts[1]
        await tells(s)


async def test_an_authentication_that_is_never_answered_is_given_up(tmp_path):
    async with seat(tmp_path, settings=WATCHFUL) as s:
        s.patient()
        venue = Authentications(s.desk.server)
        venue.times = 1
        waits_for(s, 0.3)
        s.exchange._streams.reconnect("by the test")
        await s.until(lambda: venue.asked == 2)
        waits_for(s, REAL_WAIT_S)
        await s.until(lambda: stands_again(s))
        await tells(s)


async def test_a_subscription_that_is_refused_once_is_asked_for_again_and_the_venues_words_are_told(tmp_path):
    """Binance spot: ccxt stumbles over its own error, and would wait for ever then."""
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with spot_seat(tmp_path) as s:
        venue = Subscriptions(s.desk.server)
        venue.says = [TIMESTAMP]
        s.exchange._streams.reconnect("by the test")
        await s.until(lambda: stands_again(s))
        refused = s.said("private stream")[-2]
        assert "Timestamp for this request is outside of the recvWindow (code -1021)" in refused.text
        assert "timedatectl" in refused.text
        assert venue.asked == 2
        assert not s.exchange.health.standing
        await tells(s, SPOT)
    assert complaints == []


async def test_a_subscription_without_a_number_is_none(tmp_path):
    async with spot_seat(tmp_path) as s:
        venue = Subscriptions(s.desk.server)
        venue.says = [{"status": 200, "result": {}}]
        s.exchange._streams.reconnect("by the test")
        await s.until(lambda: stands_again(s))
        assert "the answer is not usable" in s.said("private stream")[-2].text
        assert venue.asked == 2
        await tells(s, SPOT)


async def test_a_subscription_that_ends_is_asked_for_again(tmp_path):
    async with spot_seat(tmp_path) as s:
        s.arm("expire_listen_key")
        await s.until(lambda: stands_again(s))
        await tells(s, SPOT)


async def test_the_comparison_waits_for_the_subscription(tmp_path):
    """Binance spot: what fills between the socket and the subscription is told by nobody."""
    async with spot_seat(tmp_path) as s:
        venue = Subscriptions(s.desk.server)
        venue.hold = True
        s.exchange._streams.reconnect("by the test")
        await s.until(lambda: venue.held)
        await asyncio.sleep(0.1)
        assert not stands_again(s)
        venue.release()
        await s.until(lambda: stands_again(s))
        assert s.said("private stream")[-1].reconcile


async def test_it_is_not_open_before_it_is_subscribed(tmp_path):
    async with spot_desk(tmp_path) as (desk, connection):
        venue = Subscriptions(desk.server)
        venue.hold = True
        opening = asyncio.create_task(CcxtExchange.open(connection, SystemClock(), (SPOT,), QUIET))
        while not venue.held:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        assert not opening.done()
        venue.release()
        await (await opening).close()


async def test_a_stream_that_falls_as_soon_as_it_stands_is_opened_less_and_less_often(tmp_path):
    async with binance_seat(tmp_path, settings=replace(QUIET, reconnect_s=0.05)) as s:
        loop, gaps = asyncio.get_running_loop(), []
        for number in range(1, 5):
            fell_s = loop.time()
            s.exchange._streams.reconnect("by the test")
            await s.until(lambda number=number: stands_again(s, number))
            gaps.append(loop.time() - fell_s)
        assert all(gap >= 0.05 * 2**number for number, gap in enumerate(gaps))


async def test_a_stream_that_has_stood_for_a_while_is_opened_again_at_once(tmp_path):
    async with binance_seat(tmp_path, settings=replace(QUIET, reconnect_s=0.02, silence_s=0.01)) as s:
        began_s = asyncio.get_running_loop().time()
        for number in range(1, 11):
            await asyncio.sleep(0.02)
            s.exchange._streams.reconnect("by the test")
            await s.until(lambda number=number: stands_again(s, number))
        assert asyncio.get_running_loop().time() - began_s < 0.02 * (2**10 - 1)


async def test_what_a_socket_says_that_was_thrown_away_is_no_acknowledgement(tmp_path):
    async with binance_seat(tmp_path, settings=replace(QUIET, reconnect_s=NEVER_S)) as s:
        client = s.connection.orders
        (socket,) = [each for each in client.clients.values() if each.connection is not None]
        s.exchange._streams.reconnect("by the test")
        await s.until(lambda: s.said("private stream"))
        client.on_connected(socket)
        await asyncio.sleep(0.05)
        assert not stands_again(s)


async def test_a_socket_that_went_unnoticed_is_found_out(tmp_path):
    """A reader may have been on its way from one request of ccxt's to the next, and then waits on a socket that tells nothing."""
    async with spot_seat(tmp_path, WATCHFUL) as s:
        s.patient()
        client = s.connection.orders
        ((url, socket),) = client.clients.items()
        del client.clients[url]
        client.client(url).subscriptions["spot"] = True
        reader = client.client(url).futures["orders"] = socket.futures.pop("orders")
        client.client(url).connect(client.session)
        waits_for(s, 0.0)
        await s.until(reader.done)
        waits_for(s, REAL_WAIT_S)
        await s.until(lambda: stands_again(s))
        await socket.close()
        await tells(s, SPOT)


async def test_a_private_stream_is_signed_by_the_venues_clock(tmp_path):
    """Bybit: with this machine's, the signature would have expired before it was made."""
    async with local_bybit(tmp_path, STILL) as desk:
        desk.server.faults.skew_ms = 15_000
        connection = await open_connection(desk)
        exchange = await CcxtExchange.open(connection, SystemClock(), (BTC,), QUIET)
        s = Seat(desk, connection, exchange)
        try:
            assert [each.source for each in exchange.health.standing] == ["bybit clock"]
            s.exchange._streams.reconnect("by the test")
            await s.until(lambda: stands_again(s))
            await tells(s)
        finally:
            await exchange.close()


async def test_a_signature_whose_time_is_refused_lets_the_clocks_be_compared_anew(tmp_path):
    """And both readers of the socket say why it is down."""
    async with seat(tmp_path) as s:
        client, compared = s.connection.orders, []
        fetch_time = client.fetch_time

        async def compare():
            compared.append(1)
            return await fetch_time()

        client.fetch_time = compare
        venue = Authentications(s.desk.server)
        venue.says, venue.times = LATE["with a code"], 1
        s.exchange._streams.reconnect("by the test")
        await s.until(lambda: stands_again(s) and compared)
        refused = s.said("private stream")[-2].text
        assert "Your timestamp is expired (code 10001)" in refused
        assert "the clocks are compared anew, if it stays set this machine's (timedatectl" in refused


@pytest.mark.parametrize("refusal", LATE)
async def test_a_signature_whose_time_is_refused_all_the_same_is_fatal_at_the_start_and_names_the_clock(
    tmp_path, refusal
):
    async with local_bybit(tmp_path, STILL) as desk:
        venue = Authentications(desk.server)
        venue.says, venue.times = LATE[refusal], 1_000
        connection = await open_connection(desk)
        try:
            with pytest.raises(
                Fatal, match=r"private stream could not be opened: .*this machine's clock \(timedatectl"
            ):
                await CcxtExchange.open(connection, SystemClock(), (BTC,), replace(QUIET, stream_ready_s=1.5))
        finally:
            await connection.close()
