"""The verdict, on made-up sights: what is right is said nothing of, each thing that is wrong is found."""

from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.cli.rehearse import _print_json, _print_table
from livebot.core.entry import ExitPlan
from livebot.core.facts import NO_EXPOSURE, EntryCancelled, SignalClosed, SignalOpened
from livebot.core.inputs import SymbolState
from livebot.core.market import OrderSide, Side
from livebot.core.order import Fill, Leg, OrderKind, OrderRecord, OrderRequest, OrderStatus, client_order_id
from livebot.core.position import Position
from livebot.core.signal import CancelReason, CloseReason, Idle, Open, Opening, Signal
from livebot.rehearsal.course import Outcome
from livebot.rehearsal.sights import SeenOrder, SeenPosition, SeenTrade, Sight, System
from livebot.rehearsal.verdict import (
    INVARIANTS,
    NOT_JUDGED,
    TRACEBACK,
    LimitsTold,
    ProtectionWatch,
    Verdict,
    disagreements,
    judge_ends,
    judge_entries,
    judge_exposure,
    judge_facts,
    judge_halt,
    judge_known,
    judge_open_signals,
    judge_output,
    judge_secret,
    judge_stopped,
    judge_trades,
)

D = Decimal
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
KEY = ("trend", BTC)
SYSTEM = System("demo", (KEY, ("trend", ETH), ("fade", BTC)))
SIGNAL = Signal(
    number=3,
    side=Side.LONG,
    quantity=D(2),
    reference_price=D(100),
    limit_price=None,
    stop_loss=D(90),
    take_profit=D(120),
    lifetime_ms=60_000,
    created_ms=0,
    schedule_expires_ms=None,
    exits=ExitPlan(),
)


def own(number=3, leg=Leg.ENTRY, attempt=0, *, strategy="trend", symbol=BTC) -> str:
    return client_order_id("demo", strategy, symbol, number=number, leg=leg, attempt=attempt)


def seen(client_id, **changes) -> SeenOrder:
    fields = {"symbol": BTC, "side": "buy", "live": False, "quantity": D(2), "filled": D(0)}
    return SeenOrder(**{**fields, "client_id": client_id, **changes})


def stop(quantity=2, **changes) -> SeenOrder:
    return seen(own(leg=Leg.STOP), **{"side": "sell", "live": True, "quantity": D(quantity), "stop": True, **changes})


def sight(*orders, held=0, at_s=0.0, price=100, equity=1000, symbol=BTC) -> Sight:
    positions = (SeenPosition(symbol=symbol, quantity=D(held), price=D(price)),) if held else ()
    return Sight(at_s=at_s, orders=orders, positions=positions, equity=D(equity))


def record(client_id, status=OrderStatus.WORKING, leg=Leg.STOP) -> OrderRecord:
    request = OrderRequest(
        client_order_id=client_id,
        symbol=BTC,
        leg=leg,
        attempt=0,
        side=OrderSide.SELL,
        kind=OrderKind.STOP_MARKET,
        quantity=D(2),
        trigger_price=D(90),
        reduce_only=True,
    )
    return OrderRecord(request=request, status=status, sent_ms=0)


def opened(*records, quantity=2, number=3, **changes) -> SymbolState:
    fill = Fill(
        trade_id="1",
        client_order_id=own(),
        ts_ms=0,
        side=OrderSide.BUY,
        price=D(100),
        quantity=D(quantity),
        fee=D(0),
    )
    signal = Open(
        signal=SIGNAL,
        position=Position(Side.LONG).with_entry(fill),
        opened_ms=0,
        stop_loss=D(90),
        take_profit=D(120),
    )
    fields = {
        "system": "demo",
        "strategy": "trend",
        "symbol": BTC,
        "number": number,
        "signal": signal,
        "orders": records,
    }
    return SymbolState(**{**fields, **changes})


def idle(number=3, **changes) -> SymbolState:
    fields = {"system": "demo", "strategy": "trend", "symbol": BTC, "number": number, "signal": Idle()}
    return SymbolState(**{**fields, **changes})


def fact(kind, sequence, number=1, *, symbol=BTC, **changes):
    common = {
        "strategy": "trend",
        "symbol": symbol,
        "sequence": sequence,
        "ts_ms": sequence,
        "signal_id": f"trend/{symbol}#{number}",
        "side": Side.LONG,
        "exposure": NO_EXPOSURE,
    }
    if kind is SignalOpened:
        own_fields = {"quantity": D(2), "price": D(1), "stop_loss": D(1), "take_profit": D(1)}
    elif kind is EntryCancelled:
        own_fields = {"reason": CancelReason.EXPIRED, "text": ""}
    else:
        numbers = ("entry_price", "exit_price", "fees", "pnl_net", "pnl_ratio")
        own_fields = {"reason": CloseReason.STOP_LOSS, "opened_ms": 0, "quantity": D(2)} | dict.fromkeys(numbers, D(1))
    return kind(**common, **{**own_fields, **changes})


class TestIds:
    """Whose an order is."""

    def test_an_id_says_what_it_is_of(self):
        read = SYSTEM.read(seen(own(0xAB, Leg.STOP, 0x1F)))
        assert read is not None
        assert (SYSTEM.owners[read.owner], read.number, read.leg, read.attempt) == (KEY, 0xAB, Leg.STOP, 0x1F)

    @pytest.mark.parametrize("name", [None, "hand", "x" * 25])
    def test_others_are_not_ours(self, name):
        assert SYSTEM.read(seen(name)) is None
        assert judge_known([seen(name, live=True)], {}, SYSTEM) == []


class TestKnown:
    """I1."""

    def test_orders_in_the_file_and_of_ended_signals_are_known(self):
        states = {KEY: opened(record(own(leg=Leg.STOP)))}
        orders = [seen(own(1)), seen(own(2, Leg.STOP)), seen(own()), stop()]
        assert judge_known(orders, states, SYSTEM) == []

    @pytest.mark.parametrize(
        ("order", "states", "word"),
        [
            (seen(own()[:8] + "?" * 17), {}, "makes no such id"),
            (seen(own(strategy="none")), {}, "no strategy that trades there"),
            (seen(own(), symbol=ETH), {KEY: opened()}, "no strategy that trades there"),
            (seen(own()), {}, "there is no file"),
            (seen(own(4)), {KEY: opened()}, "up to #3"),
            (stop(), {KEY: opened()}, "not in the file"),
            (stop(), {KEY: idle()}, "has ended, and the venue still works"),
            (seen(own(2, Leg.STOP), live=True), {KEY: opened()}, "has ended, and the venue still works"),
        ],
    )
    def test_what_nobody_knows_is_found(self, order, states, word):
        (said,) = judge_known([order], states, SYSTEM)
        assert word in said


class TestEntries:
    """I2."""

    def test_entered_as_often_as_the_ledger_says(self):
        orders = [
            seen(own(1), filled=D(1)),
            seen(own(1, Leg.AVERAGE), filled=D(1)),
            seen(own(1, Leg.STOP), filled=D(2)),
            seen(own(2), live=True),
            seen("hand", filled=D(7)),
        ]
        facts = [fact(SignalOpened, 1), fact(SignalClosed, 2), fact(EntryCancelled, 3, 2)]
        assert judge_entries(orders, facts, SYSTEM) == []

    def test_two_live_entries_are_found(self):
        (said,) = judge_entries([seen(own(1), live=True), seen(own(1, attempt=1), live=True)], [], SYSTEM)
        assert "trend/BTC/USDT:USDT#1: two live entry orders" in said

    def test_a_repeated_entry_is_found(self):
        orders = [seen(own(1), filled=D(2)), seen(own(1, attempt=1), filled=D(2))]
        (said,) = judge_entries(orders, [fact(SignalClosed, 1)], SYSTEM)
        assert "says 2 entered, the venue traded 4" in said

    def test_a_fill_of_a_cancelled_entry_is_found(self):
        assert judge_entries([seen(own(1), filled=D(1))], [fact(EntryCancelled, 1)], SYSTEM) != []


class TestProtection:
    """I3."""

    def test_a_covered_position_is_well(self):
        watch = ProtectionWatch(5)
        for at_s in (0.0, 10.0, 20.0):
            assert watch.judge(sight(stop(1), stop(1), held=2, at_s=at_s), [BTC]) == []

    @pytest.mark.parametrize(
        "orders",
        [
            (),
            (stop(1),),
            (stop(side="buy"),),
            (stop(stop=False),),
            (stop(filled=D(1)),),
            (stop(symbol=ETH),),
            (stop(live=False),),
        ],
    )
    def test_a_bare_one_is_found_once_its_time_is_over(self, orders):
        watch = ProtectionWatch(5)
        assert watch.judge(sight(*orders, held=2), [BTC]) == []
        assert watch.judge(sight(*orders, held=2, at_s=5.0), [BTC]) == []
        (said,) = watch.judge(sight(*orders, held=2, at_s=5.5), [BTC])
        assert "for 5.5 s" in said
        assert watch.judge(sight(*orders, held=2, at_s=9.0), [BTC]) == []  # told once

    @pytest.mark.parametrize(("held", "shares", "bare"), [("2.05", 1, 0), ("2.1", 1, 1), ("2.15", 2, 0), ("2.2", 2, 1)])
    def test_of_coins_each_share_may_have_less_than_a_lot_that_no_stop_covers(self, held, shares, bare):
        watch = ProtectionWatch(5, {BTC: shares})
        coins = SeenPosition(symbol=BTC, quantity=D(held), price=D(0), lot_step=D("0.1"))
        said = []
        for at_s in (0.0, 6.0):
            said += watch.judge(replace(sight(stop(2), at_s=at_s), positions=(coins,)), [BTC])
        assert len(said) == bare

    def test_time_begins_anew_when_it_was_covered_or_nobody_lived(self):
        watch = ProtectionWatch(5)
        watch.judge(sight(held=-2), [BTC])
        watch.judge(sight(stop(side="buy"), held=-2, at_s=4.0), [BTC])
        assert watch.judge(sight(held=-2, at_s=6.0), [BTC]) == []
        watch.forget()
        assert watch.judge(sight(held=-2, at_s=12.0), [BTC]) == []


class TestAgreement:
    """I4."""

    def test_same_quantity_and_same_orders(self):
        states = {KEY: opened(record(own(leg=Leg.STOP)))}
        assert disagreements(BTC, states, sight(stop(), seen("hand", live=True), held=2), SYSTEM) == []
        assert disagreements(ETH, states, sight(stop(), held=2), SYSTEM) == []

    def test_what_differs_is_found(self):
        states = {KEY: opened(record(own(leg=Leg.STOP)), record(own(leg=Leg.TARGET), OrderStatus.CANCELED))}
        said = disagreements(BTC, states, sight(seen(own(leg=Leg.EXIT), live=True), held=D("1.5")), SYSTEM)
        assert [word in text for word, text in zip(("holds 1.5", "venue works", "files call"), said, strict=True)] == [
            True
        ] * 3

    def test_prices_alone_are_no_change(self):
        before, after = sight(stop(), held=2), sight(stop(), held=2, at_s=1.0, equity=990)
        assert before.same_as(after)
        assert not before.same_as(sight(held=2))
        assert not before.same_as(sight(stop(), held=1))


class TestTrades:
    """I4, of fills."""

    TRADE = SeenTrade(trade_id="1", symbol=BTC, side="buy", quantity=D(2), price=D(100))

    def test_what_is_counted_was_traded(self):
        assert judge_trades({KEY: opened(), ("trend", ETH): idle()}, [self.TRADE]) == []

    @pytest.mark.parametrize(
        "trades",
        [[], [replace(TRADE, symbol=ETH)], [replace(TRADE, quantity=D(1))], [replace(TRADE, price=D(99))]],
    )
    def test_what_was_not_is_found(self, trades):
        (said,) = judge_trades({KEY: opened()}, trades)
        assert "trade 1" in said

    def test_what_is_counted_twice_is_found(self):
        state = opened()
        twice = state.signal.position.with_entry(state.signal.position.entries[0])
        state = replace(state, signal=replace(state.signal, position=twice))
        assert "counted twice" in judge_trades({KEY: state}, [self.TRADE])[0]


class TestLimits:
    """I5."""

    LIMITS = LimitsTold(open_signals=1, open_signals_per_strategy=1, gross_exposure=D("0.5"), symbol_exposure=D("0.3"))

    def test_within(self):
        assert judge_exposure(sight(stop(), held=3), self.LIMITS, D(1000)) == []
        assert judge_exposure(sight(held=900), LimitsTold(), D(1000)) == []
        assert judge_open_signals({KEY: opened(), ("trend", ETH): idle()}, self.LIMITS) == []
        assert judge_open_signals({KEY: opened(), ("trend", ETH): opened()}, LimitsTold()) == []

    def test_beyond(self):
        resting = seen(own(), live=True, quantity=D(1), price=D(100))
        assert "331.00 is at stake" in judge_exposure(sight(resting, held=D("2.31")), self.LIMITS, D(1000))[0]
        gross, symbol = judge_exposure(sight(held=6), self.LIMITS, D(1000))
        assert ("0.5 of" in gross, symbol.startswith(BTC)) == (True, True)
        two = Sight(
            at_s=0, orders=(), positions=(*sight(held=1).positions, *sight(held=1, symbol=ETH).positions), equity=D(1)
        )
        assert "2 positions" in judge_exposure(two, self.LIMITS, D(1000))[0]
        everything, strategy = judge_open_signals({KEY: opened(), ("trend", ETH): opened()}, self.LIMITS)
        assert ("2 signals" in everything, "trend: 2" in strategy) == (True, True)


def test_a_halt_that_was_lost_is_found():
    assert judge_halt(was_halted=True, state_now="HALTED") == []
    assert judge_halt(was_halted=False, state_now="ACTIVE") == []
    assert "came back ACTIVE" in judge_halt(was_halted=True, state_now="ACTIVE")[0]


class TestLedger:
    """I8."""

    def test_numbered_without_a_gap_and_the_rest_in_the_outbox(self):
        facts = [fact(SignalOpened, 1), fact(SignalClosed, 2), fact(SignalOpened, 1, symbol=ETH)]
        states = {
            KEY: idle(sequence=3, outbox=(fact(SignalOpened, 3, 2),)),
            ("trend", ETH): idle(sequence=1, symbol=ETH),
            ("fade", BTC): idle(),
        }
        assert judge_facts(facts, states) == []

    @pytest.mark.parametrize(
        ("sequences", "state", "word"),
        [
            ((1, 1), idle(sequence=2), "holds facts 1, 1"),
            ((2,), idle(sequence=2), "holds facts 2"),
            ((1, 2), idle(sequence=1), "the file ends at 1"),
            ((1,), idle(sequence=3, outbox=(fact(SignalOpened, 3),)), "facts 2 are neither"),
            ((), idle(sequence=20), "1, 2, 3, 4, 5, 6, 7, 8, ... are neither"),
        ],
    )
    def test_what_is_twice_or_lacks_is_found(self, sequences, state, word):
        (said,) = judge_facts([fact(SignalOpened, number) for number in sequences], {KEY: state})
        assert word in said

    def test_what_was_closed_outside_was_traded_by_an_order_that_is_not_ours(self):
        facts = [fact(SignalClosed, 1, reason=CloseReason.VENUE), fact(SignalClosed, 2)]
        for orders, count in (
            ([], 1),
            ([stop(filled=D(2))], 1),
            ([seen(None, filled=D(2), symbol=ETH)], 1),
            ([seen(None)], 1),
            ([seen(None, filled=D(2))], 0),
        ):
            assert len(judge_ends(facts, orders, SYSTEM)) == count

    def test_after_an_orderly_stop_the_ledger_is_complete(self):
        facts = [fact(SignalOpened, 1), fact(SignalClosed, 2)]
        assert judge_stopped(facts, {KEY: idle(sequence=2, outbox=(facts[1],))}) == []
        (said,) = judge_stopped(facts, {KEY: idle(sequence=4, outbox=(fact(SignalOpened, 3),))})
        assert "facts 3 to 4 are not in the ledger" in said


def test_secrets_and_tracebacks_are_found():
    assert judge_secret("daemon.log", b"all is well", ["s3cret"]) == []
    assert judge_secret("daemon.log", b"key=s3cret", ["other", "s3cret"]) == ["daemon.log: holds the secret"]
    assert judge_output("daemon.log", b"all is well") == []
    assert judge_output("daemon.log", f"{TRACEBACK}\n{TRACEBACK}".encode()) == ["daemon.log: 2 tracebacks"]


def test_a_verdict_counts_looks_and_keeps_each_finding_once():
    verdict = Verdict()
    assert verdict.clean
    verdict.add("I1", [])
    verdict.add("I4", ["differs", "differs"], times=10)
    verdict.add("I4", (f"number {number}" for number in range(100)))
    assert not verdict.clean
    assert (verdict.checked["I1"], verdict.checked["I4"]) == (1, 11)
    assert len(verdict.broken["I4"]) == 20
    assert verdict.broken["I4"][:2] == ["differs", "number 0"]
    assert set(verdict.checked) == set(INVARIANTS)


@pytest.mark.parametrize("shown", [_print_table, _print_json])
def test_every_invariant_is_told_of_judged_or_not(shown, capsys):
    """What one run cannot show is named, with who shows it."""
    shown(Outcome())
    told = capsys.readouterr().out
    assert sorted(INVARIANTS.keys() | NOT_JUDGED.keys()) == sorted(f"I{number}" for number in range(1, 13))
    assert [name for name in INVARIANTS.keys() | NOT_JUDGED.keys() if name not in told] == []
    assert "make test" in " ".join(told.split())


@pytest.mark.parametrize("shown", [_print_table, _print_json])
def test_a_fault_that_never_struck_is_told(shown, capsys):
    """A misspelt endpoint would otherwise look like a daemon that minds nothing."""
    shown(Outcome(idle_faults=["entry 2: cut (endpoints order/craete)"]))
    assert "entry 2: cut (endpoints order/craete)" in " ".join(capsys.readouterr().out.split())


def test_an_entry_on_its_way_counts_as_a_signal():
    state = idle(signal=Opening(SIGNAL))
    assert judge_open_signals({KEY: state}, LimitsTold(open_signals=0)) != []
