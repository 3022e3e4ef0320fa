"""A position of somebody else becomes a signal that asks for its stop in the same step, or stays what it is."""

from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.adoption import Adoption, adopt
from livebot.core.candidate import Refused
from livebot.core.entry import NO_EXIT_PLAN
from livebot.core.exposure import exposure_of
from livebot.core.facts import SignalOpened, SignalOpening
from livebot.core.inputs import OrderAccepted, OrderFilled, Submit, SymbolState
from livebot.core.kernel import step
from livebot.core.market import OrderSide, Side
from livebot.core.order import Fill, Leg, OrderKind
from livebot.core.rules import EntryRules, FixedNotional, Rules
from livebot.core.signal import Closing, Idle, Open
from tests.core.examples import INSTRUMENT

D = Decimal
BTC = "BTC/USDT"
NOW_MS = 1_000_000
IDLE = SymbolState(system="test", strategy="trend", symbol=BTC, sequence=40, number=7, signal=Idle(), decided_ms=5)
RULES = Rules(
    system="test",
    strategy="trend",
    instrument=INSTRUMENT,
    sizing=FixedNotional(D(100)),
    entry=EntryRules(maximum_stop_distance=D("0.2"), maximum_lifetime_ms=77 * 60_000),
    exits=NO_EXIT_PLAN,
    schedule_ms=60_000,
)
LONG = Adoption(
    quantity=D(2), entry_price=D("98.5"), price=D(100), stop_loss=D("94.996"), take_profit=D("120.004"), ts_ms=NOW_MS
)
SHORT = replace(LONG, quantity=D(-2), stop_loss=D("105.004"), take_profit=D(90))


def adopted(adoption: Adoption = LONG, state: SymbolState = IDLE):
    made = adopt(state, adoption, RULES)
    assert not isinstance(made, Refused), made
    return made


@pytest.mark.parametrize(
    ("adoption", "side", "stop", "target"),
    [(LONG, Side.LONG, "95.00", "120.00"), (SHORT, Side.SHORT, "105.00", "90.00")],
)
def test_it_becomes_an_open_signal_that_asks_for_its_protection(adoption, side, stop, target):
    """On ticks, of exactly the quantity, under the next number; for as long as the rules allow at most."""
    made = adopted(adoption)
    present = made.state.signal
    assert isinstance(present, Open)
    assert (present.signal.side, present.signal.number, made.state.number) == (side, 8, 8)
    assert (present.position.quantity, present.position.entry_price) == (2, D("98.5"))
    assert (present.stop_loss, present.take_profit) == (D(stop), D(target))
    assert (present.opened_ms, present.signal.lifetime_ms) == (NOW_MS, 77 * 60_000)
    assert made.state.decided_ms == 5
    orders = [request.approved.order for request in made.requests if isinstance(request, Submit)]
    assert [(each.leg, each.kind, each.side, each.quantity, each.reduce_only) for each in orders] == [
        (Leg.STOP, OrderKind.STOP_MARKET, side.exit_order, 2, True),
        (Leg.TARGET, OrderKind.LIMIT, side.exit_order, 2, True),
    ]
    assert (orders[0].trigger_price, orders[1].price) == (D(stop), D(target))
    assert [record.request for record in made.state.orders] == orders


def test_it_is_told_like_any_signal():
    """Opening, then opened, with the exposure that holds after it."""
    made = adopted()
    assert [(type(fact), fact.sequence, fact.signal_id) for fact in made.facts] == [
        (SignalOpening, 41, f"trend/{BTC}#8"),
        (SignalOpened, 42, f"trend/{BTC}#8"),
    ]
    assert made.state.outbox == made.facts
    assert made.facts[0].exposure == exposure_of(made.state.signal, made.state.orders)
    assert made.facts[0].exposure.open_notional == D(197)


def test_the_kernel_goes_on_with_it():
    """Its stop is confirmed, and closes it when it fills."""
    state = adopted().state
    stop = state.orders[0].request
    state = step(
        state,
        OrderAccepted(
            client_order_id=stop.client_order_id,
            venue_order_id="v1",
            quantity=stop.quantity,
            price=None,
            trigger_price=stop.trigger_price,
            ts_ms=NOW_MS,
        ),
        RULES,
    ).state
    assert state.orders[0].confirmed
    fill = Fill(
        trade_id="t1",
        client_order_id=stop.client_order_id,
        ts_ms=NOW_MS + 1,
        side=OrderSide.SELL,
        price=D(95),
        quantity=D(2),
        fee=D(0),
    )
    state = step(state, OrderFilled(fill, NOW_MS + 1), RULES).state
    assert isinstance(state.signal, Closing)
    assert state.signal.position.net == D(-7)


@pytest.mark.parametrize(("adoption", "target"), [(LONG, D(200)), (SHORT, D(50))])
def test_without_a_target_there_is_one_far_away(adoption, target):
    """The stop is what matters."""
    present = adopted(replace(adoption, take_profit=None)).state.signal
    assert isinstance(present, Open)
    assert present.take_profit == target


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"stop_loss": D(101)}, "stop of a long must be below"),
        ({"stop_loss": D(100)}, "stop of a long must be below"),
        ({"stop_loss": D(70)}, "the most allowed is 20 (20 %)"),
        ({"stop_loss": D("99.99")}, "the least allowed is 0.05"),
        ({"take_profit": D(99)}, "target of a long must be above"),
        ({"quantity": D("0.0009")}, "too little for a stop order"),
        ({"quantity": D(-2)}, "stop of a short must be above"),
    ],
)
def test_what_cannot_be_protected_is_refused(change, sentence):
    """With a sentence; prices are judged against the present price."""
    made = adopt(IDLE, replace(LONG, **change), RULES)
    assert isinstance(made, Refused)
    assert sentence in made.text


def test_a_quantity_off_the_lot_step_is_adopted_as_far_as_it_can_be_traded():
    """The dust stays what it was."""
    present = adopted(replace(LONG, quantity=D("2.0004"))).state.signal
    assert isinstance(present, Open)
    assert present.position.quantity == 2


def test_a_strategy_with_a_signal_takes_no_other():
    """One signal for each (strategy, symbol)."""
    made = adopt(adopted().state, LONG, RULES)
    assert isinstance(made, Refused)
    assert made.text == f"trend has a signal on {BTC} already (#8, Open)"
