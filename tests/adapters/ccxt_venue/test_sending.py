"""An order is accepted only by an answer that has an id and is about this order."""

import asyncio

import pytest

from livebot.adapters.ccxt_venue.capabilities import capabilities_of
from livebot.adapters.ccxt_venue.exchange_settings import ExchangeSettings
from livebot.adapters.ccxt_venue.failures import Cause, Failure
from livebot.adapters.ccxt_venue.order_forms import create_call
from livebot.adapters.ccxt_venue.sending import Sending
from livebot.adapters.ccxt_venue.urgency import Urgency
from livebot.adapters.ccxt_venue.venue_calls import Answer
from livebot.core.inputs import OrderAccepted, OrderRejected, OrderUnknown
from tests.adapters.ccxt_venue.desk import order, stop
from tests.adapters.ccxt_venue.test_upkeep import FixedClock
from tests.virtual_loop import run

BYBIT = capabilities_of("bybit", "perpetual")


class FakeCalls:
    """Gives these answers in turn, and keeps how urgent each call was."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.urgencies = []
        self.bans = []
        self.waited = []

    async def attempt(self, call, urgency=None):
        self.urgencies.append(urgency)
        return self.answers.pop(0)

    async def outlasts_ban(self, longest_s):
        if not self.bans or self.bans[0] > longest_s:
            return False
        self.waited.append(self.bans.pop(0))
        await asyncio.sleep(self.waited[-1])
        return True


class FakeUpkeep:
    waited = 0

    async def measured(self):
        self.waited += 1


def sent(request, *answers, bans=()):
    calls = FakeCalls(*answers)
    calls.bans += bans
    sending = Sending(BYBIT, calls, FixedClock(), ExchangeSettings(), FakeUpkeep())
    return run(sending.send(request, create_call(request, BYBIT))), calls


@pytest.mark.parametrize("answer", [None, "", "<html>", [], {}, {"id": None}, {"id": ""}, {"id": 5}])
def test_an_answer_without_an_id_leaves_the_order_unknown(answer):
    outcome, _ = sent(order(), Answer(answer))
    assert isinstance(outcome, OrderUnknown)
    assert outcome.text == "the venue's answer holds no order id"


def test_an_answer_about_another_order_leaves_ours_unknown():
    outcome, _ = sent(order(), Answer({"id": "1", "clientOrderId": order(number=2).client_order_id}))
    assert isinstance(outcome, OrderUnknown)
    assert outcome.text == "the venue's answer is about another order"


@pytest.mark.parametrize("told", [None, "", order().client_order_id])
def test_a_bare_id_is_enough(told):
    outcome, _ = sent(order(), Answer({"id": "1", "clientOrderId": told, "status": None}))
    assert isinstance(outcome, OrderAccepted)
    assert outcome.venue_order_id == "1"


def test_only_refusals_for_rate_or_clock_are_sent_again_and_not_for_ever():
    fast, clock = (Answer(failure=Failure(cause, "1", "no")) for cause in (Cause.TOO_FAST, Cause.CLOCK))
    good = Answer({"id": "1"})
    assert isinstance(sent(order(), fast, clock, fast, good)[0], OrderAccepted)
    outcome, calls = sent(order(), fast, clock, fast, clock)
    assert isinstance(outcome, OrderRejected)
    assert not calls.answers
    for cause in (Cause.REFUSED, Cause.KEYS, Cause.NOT_FOUND):
        assert isinstance(sent(order(), Answer(failure=Failure(cause, "1", "no")))[0], OrderRejected)
    for cause in (Cause.NO_ANSWER, Cause.DUPLICATE):
        assert isinstance(sent(order(), Answer(failure=Failure(cause, "", "no")))[0], OrderUnknown)


@pytest.mark.parametrize(("cause", "code"), [(Cause.BANNED, "banned"), (Cause.NOT_SENT, "pace")])
def test_what_opens_and_was_not_sent_is_refused_and_what_reduces_is_asked_for_later(cause, code):
    banned = Answer(failure=Failure(cause, code, "for 60 s"))
    opening, first = sent(order(), banned)
    closing, second = sent(stop(), banned)
    assert isinstance(opening, OrderRejected)
    assert opening.code == code
    assert isinstance(closing, OrderUnknown)
    assert opening.text == closing.text == "bybit: for 60 s"
    assert (first.urgencies, second.urgencies) == ([Urgency.OPENS], [Urgency.PROTECTS])


def test_what_reduces_and_was_not_sent_for_a_short_ban_is_sent_at_its_end():
    """It is known not to be there: to ask until it is certain would leave a position without a stop for as long."""
    banned, good = Answer(failure=Failure(Cause.BANNED, "banned", "for 3 s")), Answer({"id": "1"})
    outcome, calls = sent(stop(), banned, good, bans=[3.0])
    assert isinstance(outcome, OrderAccepted)
    assert calls.waited == [3.0]
    outcome, calls = sent(stop(), banned, banned, banned, good, bans=[3.0, 4.5, 0.6])  # 8 s in all
    assert isinstance(outcome, OrderUnknown)
    assert calls.waited == [3.0, 4.5]
    outcome, calls = sent(order(), banned, good, bans=[3.0])
    assert isinstance(outcome, OrderRejected)
    assert calls.waited == []
