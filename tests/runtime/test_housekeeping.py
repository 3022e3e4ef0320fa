"""The portfolio's memory and the trading state: on disk first, then told, and acted upon at once."""

import asyncio
from decimal import Decimal

import pytest

from livebot.core.denial import TradingState
from livebot.core.inputs import SymbolState
from livebot.core.limits import Limits
from livebot.core.market import Side
from livebot.core.position import Position
from livebot.core.signal import CancelReason, CloseReason, Closing, Idle, Open, Opening, Scheduled
from livebot.errors import Fatal, Rejected
from livebot.ports import PortfolioMemory
from livebot.runtime.housekeeping import Housekeeping
from livebot.runtime.portfolio.loss_watch import StateChange
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.problems import Problems
from livebot.runtime.settings import LossAction, LossLimit
from tests.core.examples import SIGNAL
from tests.runtime.harness import MemoryPortfolioStore
from tests.virtual_loop import VirtualClock, run

D = Decimal


class House:
    """A housekeeping and all around it."""

    def __init__(self, memory: PortfolioMemory | None = None, *, loss_limit: LossLimit | None = None) -> None:
        self.problems = Problems()
        self.portfolio = Portfolio(Limits(), loss_limit=loss_limit, win_rate=None, report=self.problems.report)
        self.store = MemoryPortfolioStore()
        self.store.memory = memory
        self.states: list[SymbolState] = []
        self.left: list[tuple[str, CloseReason]] = []
        self.withdrawn: list[str] = []
        self.keeping = Housekeeping(
            self.portfolio,
            self.store,
            VirtualClock(),
            self.problems,
            states=lambda: self.states,
            leave=lambda symbol, reason: self.left.append((symbol, reason)),
            withdraw=self.withdrawn.append,
        )

    def halt(self, *, flatten: bool = False) -> None:
        change = self.portfolio.halt("enough")
        self.keeping.changed(StateChange(present=change.present, reason=change.reason, flatten=flatten))


def state(symbol: str, signal) -> SymbolState:
    return SymbolState(system="test", strategy="s", symbol=symbol, signal=signal)


def open_signal() -> Open:
    return Open(signal=SIGNAL, position=Position(Side.LONG), opened_ms=0, stop_loss=D(1), take_profit=D(2))


def test_nothing_is_saved_before_what_was_remembered_has_been_read():
    """Else a halt would be overwritten."""
    house = House(PortfolioMemory(trading_state=TradingState.HALTED, state_reason="a crash"))
    with pytest.raises(Rejected, match="has not read its memory yet"):
        run(house.keeping.save())
    run(house.keeping.remember())
    assert house.portfolio.trading_state is TradingState.HALTED
    assert house.problems.sentences() == ("trading is HALTED: a crash",)
    run(house.keeping.save())
    assert house.store.memory is not None
    assert house.store.memory.state_reason == "a crash"


def test_a_change_is_on_disk_before_anyone_is_told_of_it():
    """And told within a moment."""

    async def main() -> None:
        house = House()
        await house.keeping.remember()
        keeping = asyncio.create_task(house.keeping.run())
        seen = []
        save = house.store.save

        async def slow(memory):
            seen.append(house.problems.sentences())
            await save(memory)

        house.store.save = slow  # type: ignore[method-assign]
        house.halt()
        await asyncio.sleep(0.01)
        assert seen == [()]
        assert house.problems.sentences() == ("trading is HALTED: enough",)
        assert house.store.memory is not None
        assert house.store.memory.trading_state is TradingState.HALTED
        keeping.cancel()

    run(main())


def test_what_cannot_be_saved_holds_all_the_same_and_is_tried_again():
    """The operator is told of both."""

    async def main() -> None:
        house = House()
        await house.keeping.remember()
        house.store.fails = True
        keeping = asyncio.create_task(house.keeping.run())
        house.halt()
        await asyncio.sleep(0.6)
        assert house.portfolio.trading_state is TradingState.HALTED
        assert [sentence.partition(":")[0] for sentence in house.problems.sentences()] == [
            "cannot write portfolio.json",
            "trading is HALTED",
        ]
        house.store.fails = False
        await asyncio.sleep(0.6)
        assert house.problems.sentences() == ("trading is HALTED: enough",)
        assert house.store.memory is not None
        with pytest.raises(Fatal):
            house.store.fails = True
            await house.keeping.save()
        keeping.cancel()

    run(main())


def test_a_halt_that_flattens_closes_what_is_open_and_what_comes_to_light_later():
    """Whatever may still be or come to be a position; whoever is told knows what is under way already."""

    async def main() -> None:
        house = House(loss_limit=LossLimit(ratio=D("0.1"), action=LossAction.FLATTEN))
        await house.keeping.remember()
        house.portfolio.set_wallet(D(100))
        closing = Closing(
            signal=SIGNAL, position=Position(Side.LONG), opened_ms=0, stop_loss=D(1), take_profit=D(2),
            reason=CloseReason.STOP_LOSS,
        )  # fmt: skip
        house.states = [
            state("A", Idle()),
            state("B", Scheduled(SIGNAL)),
            state("C", Opening(SIGNAL, CancelReason.OPERATOR)),
            state("D", open_signal()),
            state("E", closing),
        ]
        keeping = asyncio.create_task(house.keeping.run())
        house.portfolio.set_wallet(D(100))
        house.keeping.changed(StateChange(present=TradingState.HALTED, reason="loss limit: all", flatten=True))
        assert house.left == [(symbol, CloseReason.PORTFOLIO_HALT) for symbol in "BCD"]
        house.left.clear()
        await asyncio.sleep(1.2)
        assert house.left == []  # the portfolio itself has not halted: this was the order of the moment
        keeping.cancel()

        halted = House(
            PortfolioMemory(trading_state=TradingState.HALTED, state_reason="loss limit: 11 lost of 100"),
            loss_limit=LossLimit(ratio=D("0.1"), action=LossAction.FLATTEN),
        )
        await halted.keeping.remember()
        keeping = asyncio.create_task(halted.keeping.run())
        await asyncio.sleep(0.6)
        halted.states = [state("F", open_signal())]
        await asyncio.sleep(0.6)
        assert ("F", CloseReason.PORTFOLIO_HALT) in halted.left
        keeping.cancel()

    run(main())


def test_losses_that_cannot_be_evaluated_stop_entries_and_nothing_else():
    """Whoever asked for it, the feed or a worker, goes on."""
    house = House()
    run(house.keeping.remember())

    def broken(_now_ms):
        raise ZeroDivisionError("no capital")

    evaluate = house.portfolio.evaluate
    house.portfolio.evaluate = broken  # type: ignore[method-assign]

    async def main() -> None:
        house.keeping.evaluate()

    run(main())
    assert house.portfolio.blocks.first_fault is not None
    assert "cannot be evaluated (ZeroDivisionError: no capital)" in house.problems.sentences()[0]
    house.portfolio.evaluate = evaluate  # type: ignore[method-assign]
    run(main())
    assert house.portfolio.blocks.first_fault is None
    assert house.problems.sentences() == ()


def test_back_to_active_is_told_as_well():
    """The problem has passed."""

    async def main() -> None:
        house = House(PortfolioMemory(trading_state=TradingState.HALTED, state_reason="x"))
        await house.keeping.remember()
        house.portfolio.set_wallet(D(100))
        house.keeping.changed(house.portfolio.unhalt("looked into", 0))
        await house.keeping.save()
        assert house.problems.sentences() == ()

    run(main())


def test_losses_move_the_state_also_when_nothing_happens():
    """Twice a second."""

    async def main() -> None:
        house = House(loss_limit=LossLimit(ratio=D("0.1")))
        await house.keeping.remember()
        house.portfolio.set_wallet(D(100))
        keeping = asyncio.create_task(house.keeping.run())
        await asyncio.sleep(0.1)
        changes = iter([house.portfolio.halt("loss limit: all of it"), *[None] * 99])
        house.portfolio.evaluate = lambda _: next(changes)  # type: ignore[method-assign]
        await asyncio.sleep(0.6)
        assert house.store.memory is not None
        assert house.store.memory.trading_state is TradingState.HALTED
        keeping.cancel()

    run(main())


def test_while_trading_is_not_active_entries_are_taken_back_also_those_that_come_to_light_later():
    """At once, once for each symbol, and no position is touched."""

    async def main() -> None:
        house = House()
        await house.keeping.remember()
        house.states = [
            state("A", Idle()),
            state("B", Scheduled(SIGNAL)),
            state("B", Opening(SIGNAL)),
            state("C", Opening(SIGNAL, CancelReason.OPERATOR)),
            state("D", open_signal()),
        ]
        keeping = asyncio.create_task(house.keeping.run())
        await asyncio.sleep(1)
        assert house.withdrawn == []
        house.keeping.cause("clock", "the clock is off")
        assert (house.withdrawn, house.left) == (["B"], [])
        house.withdrawn.clear()
        house.states = [state("E", Scheduled(SIGNAL))]
        await asyncio.sleep(0.6)
        assert set(house.withdrawn) == {"E"}
        house.keeping.cause("clock", None)
        house.withdrawn.clear()
        await asyncio.sleep(1.2)
        assert house.withdrawn == []
        house.keeping.latch("too many failures")
        house.keeping.latch("still too many")
        assert house.withdrawn == ["E"]
        assert house.portfolio.state_reason == "too many failures"
        keeping.cancel()

    run(main())


def test_what_is_told_is_what_is_true_when_it_is_durable():
    """A cause from before the memory was read does not hide the halt that is remembered."""

    async def main() -> None:
        house = House(PortfolioMemory(trading_state=TradingState.HALTED, state_reason="x"))
        house.keeping.cause("clock", "the clock is off")
        await house.keeping.remember()
        await house.keeping.save()
        assert house.problems.sentences() == ("trading is HALTED: x",)
        house.keeping.changed(house.portfolio.unhalt("looked into", 0))
        await house.keeping.save()
        assert house.problems.sentences() == ("trading is REDUCING: the clock is off",)
        house.keeping.cause("clock", None)
        await house.keeping.save()
        assert house.problems.sentences() == ()

    run(main())
