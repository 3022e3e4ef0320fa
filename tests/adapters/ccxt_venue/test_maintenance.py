"""A venue that says it is closed for maintenance: trading is reduced until it has not said so for a while."""

import asyncio
from types import SimpleNamespace

import ccxt

from livebot.adapters.ccxt_venue.bans import Bans
from livebot.adapters.ccxt_venue.exchange_settings import ExchangeSettings
from livebot.adapters.ccxt_venue.failures import Cause
from livebot.adapters.ccxt_venue.health import Health
from livebot.adapters.ccxt_venue.order_forms import Call
from livebot.adapters.ccxt_venue.venue_calls import VenueCalls
from tests.virtual_loop import run

CLOSED = ccxt.OnMaintenance('binance {"code":1,"msg":"System is under maintenance."}')
ASK = Call("fetch_balance", (), {})


class FakeClient:
    """Says what it is told to."""

    def __init__(self):
        self.error = None

    async def fetch_balance(self, params):
        if self.error is not None:
            raise self.error
        return params


def calls_of():
    client, health, heard = FakeClient(), Health("binance"), []
    health.listen(heard.append)
    connection = SimpleNamespace(orders=client, bans=Bans())
    return client, VenueCalls(connection, health, ExchangeSettings(maintenance_s=60.0), lambda: None), heard


def test_maintenance_reduces_trading_until_it_has_not_been_spoken_of_for_a_while():
    """A call that is answered in between does not end it: venues answer some during a maintenance."""

    async def scenario():
        client, calls, heard = calls_of()
        await calls.attempt(ASK)
        await asyncio.sleep(0)
        assert heard == []
        for error in (CLOSED, None, CLOSED):
            client.error = error
            answer = await calls.attempt(ASK)
            await asyncio.sleep(30)
        assert answer.failure is not None
        assert (answer.failure.cause, answer.failure.definite) == (Cause.MAINTENANCE, False)
        assert [(each.reduces, each.blocks_entries) for each in heard] == [(True, True)]
        assert "binance is closed for maintenance" in heard[0].text
        client.error = None
        await calls.attempt(ASK)
        await asyncio.sleep(30)
        assert len(heard) == 1
        await calls.attempt(ASK)
        await asyncio.sleep(0)
        assert (heard[1].text, heard[1].reconcile, heard[1].reduces) == (None, True, False)

    run(scenario())
