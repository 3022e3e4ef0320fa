"""What fees in coins leave behind is worth something, whoever was restarted in between: held against a wallet of coins."""

import asyncio
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from livebot.core.exposure import exposure_of
from livebot.core.facts import NO_EXPOSURE, Fact, RemainderGone, SignalClosed
from livebot.core.inputs import SymbolState
from livebot.core.limits import Limits
from livebot.core.order import ZERO, Leg
from livebot.core.signal import Idle
from livebot.ports import VenueNotice
from livebot.runtime.portfolio.exposure_book import NOTHING_CARRIED, Carried, ExposureBook
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.problems import Problems
from livebot.runtime.symbol.symbol_reconcile import SymbolReconcile
from livebot.runtime.symbol.symbol_states import SymbolStates
from livebot.runtime.venue.reconcile import snapshot_of
from livebot.runtime.venue.recovery import Recovered
from livebot.runtime.venue.wallet_watch import WalletWatch
from tests.core.test_spot_fees import SPOT, SpotStory
from tests.runtime.harness import BRIEF, BTC, ETH, SYSTEM, World, never, run

D = Decimal
WALLET = D(1000)
DIGITS = D("1e-18")
KEEPER = "keeper"  # the strategy of the other symbol


def fresh() -> Portfolio:
    return Portfolio(Limits(), loss_limit=None, win_rate=None, report=Problems().report)


class Account:
    """A spot account as the venue keeps it, the state of one symbol, and the portfolio that hears of it."""

    def __init__(self) -> None:
        self.story = SpotStory(rules=SPOT)
        self.portfolio = fresh()
        self.cash, self.coins = WALLET, ZERO
        self.facts: list[Fact] = []
        self.began_with = ZERO
        self.portfolio.set_wallet(self.cash, paid=True)

    def heard(self) -> None:
        self.facts += self.story.facts
        self.portfolio.hear(self.story.facts)

    def buy(self, price: Decimal, fee: Decimal) -> None:
        quantity = D(1)
        self.story.enter(quantity=quantity)
        self.heard()
        self.story.accept(Leg.ENTRY)
        self.heard()
        self.cash, self.coins = self.cash - quantity * price, self.coins + quantity - fee
        self.story.fill(Leg.ENTRY, quantity, price, base_fee=fee)
        self.heard()
        self.story.accept(Leg.STOP)
        self.heard()

    def sell(self, price: Decimal, fee: Decimal = ZERO) -> None:
        quantity = self.story.record(Leg.STOP).left
        self.cash, self.coins = self.cash + quantity * price - fee, self.coins - quantity
        self.story.fill(Leg.STOP, quantity, price, fee=fee)
        self.heard()

    def lose(self, quantity: Decimal, price: Decimal) -> None:
        """Somebody sells coins by hand."""
        quantity = min(quantity, self.coins)
        self.cash, self.coins = self.cash + quantity * price, self.coins - quantity
        self.story.outside(quantity, price)
        self.heard()

    def restart(self) -> None:
        """As the system does: restore, the wallet, then each worker's outbox and state, which may be told anew."""
        state, told = self.story.state, self.facts[:-1]
        key = (state.strategy, state.symbol)
        found = Recovered(states={key: state}, told={}, closes=closes_of(self.facts), snapshot=snapshot_of((), ()))
        self.portfolio = fresh()
        self.portfolio.restore(None, found.exposures, found.closes, found.carried)
        self.portfolio.set_wallet(self.cash, paid=True)
        self.began_with = self.cash - self.portfolio.cash_moved
        self.portfolio.hear(self.facts[len(told) :])
        carried = found.carried[key]
        self.portfolio.recovered(*key, exposure_of(state.signal, state.orders), state.sequence, carried)

    def agrees(self, price: Decimal) -> None:
        """Equity is the wallet and all coins at their mark; what moved is what moved the wallet."""
        self.portfolio.mark(self.story.state.symbol, float(price))
        assert abs(self.portfolio.equity - self.cash - self.coins * price) < DIGITS
        assert abs(self.portfolio.cash_moved - (self.cash - self.began_with)) < DIGITS


def closes_of(facts: list[Fact]) -> list[SignalClosed]:
    return [fact for fact in facts if isinstance(fact, SignalClosed)]


def begun() -> Account:
    account = Account()
    account.began_with = account.cash
    return account


def test_what_a_signal_leaves_stays_in_equity_at_its_mark_and_no_cash_is_missing():
    account = begun()
    account.buy(D(100), D("0.0015"))
    account.agrees(D(100))
    account.sell(D(110), D("0.1"))
    assert account.coins == D("0.0005")
    account.agrees(D(110))
    account.portfolio.set_wallet(account.cash, paid=True)
    account.agrees(D(120))
    account.buy(D(200), D("0.001"))
    account.agrees(D(200))
    account.sell(D(200))
    account.agrees(D(210))


def test_before_there_is_a_mark_it_is_worth_what_it_cost():
    account = begun()
    account.buy(D(100), D("0.0015"))
    account.sell(D(100))
    account.restart()
    assert account.portfolio.equity == account.cash + account.coins * 100
    assert account.portfolio.open_signals == 0


def test_a_restart_with_an_untold_fact_counts_nothing_twice():
    """Neither what is left, nor what is gone."""
    account = begun()
    account.buy(D(100), D("0.0015"))
    account.sell(D(110))
    account.restart()
    account.agrees(D(100))
    account.lose(D("0.0002"), D(90))
    account.restart()
    account.agrees(D(100))
    account.lose(D(1), D(90))
    account.restart()
    account.agrees(D(100))
    assert account.portfolio.cash_moved == 0


def test_a_small_account_is_told_of_no_withdrawal_that_never_was():
    """Entries and exits move the wallet by exactly what the portfolio says, remainders and restarts included."""
    problems = Problems()
    account, watch = begun(), WalletWatch(problems, D(0))
    account.cash = D(120)
    watch.see(account.cash, ZERO, account.portfolio.cash_moved)
    for price in (100, 90, 110):
        account.buy(D(price), D("0.0005"))
        account.sell(D(price) - 1)
        for _ in range(2):
            watch.see(account.cash, ZERO, account.portfolio.cash_moved)
    assert (watch.told, problems.sentences()) == (0, ())


PRICES = st.integers(50, 150).map(D)
FEES = st.integers(0, 40).map(lambda number: D(number) / 10_000)
STEPS = st.one_of(
    st.tuples(st.just("cycle"), PRICES, FEES),
    st.tuples(st.just("buy"), PRICES, FEES),
    st.tuples(st.just("sell"), PRICES, FEES),
    st.tuples(st.just("lose"), PRICES, st.integers(1, 12_000).map(lambda number: D(number) / 10_000)),
    st.tuples(st.just("restart"), PRICES, FEES),
)


@given(st.lists(STEPS, max_size=12))
def test_every_coin_ends_in_one_facts_pnl_and_equity_is_the_account(steps):
    account = begun()
    for what, price, amount in steps:
        if what in ("cycle", "buy") and account.story.idle:
            account.buy(price, amount)
        if what in ("cycle", "sell") and account.story.name == "Open":
            account.sell(price, amount)
        if what == "lose" and account.story.name in ("Idle", "Open"):
            account.lose(amount, price)
            end_orders(account)
        if what == "restart" and account.facts:
            account.restart()
        account.agrees(price)
    state = account.story.state
    pnl = sum((fact.pnl_net for fact in account.facts if isinstance(fact, SignalClosed | RemainderGone)), ZERO)
    exposure = exposure_of(state.signal, state.orders)
    carried = exposure.open_notional + state.remainder_cost - exposure.booked
    assert abs(pnl - (account.cash - WALLET + carried)) < DIGITS


def end_orders(account: Account) -> None:
    """The venue takes back what is asked back of a position that somebody has closed."""
    if account.story.name == "Closing":
        account.story.end(Leg.STOP)
        account.heard()


def test_a_state_that_was_read_again_says_what_is_carried():
    account = begun()
    carried = Carried(D(2), D(30), 5)
    account.portfolio.recovered(KEEPER, "ETH/USDT", NO_EXPOSURE, 5, carried)
    assert account.portfolio.cash_moved == -30
    account.portfolio.mark("ETH/USDT", 20.0)
    assert account.portfolio.equity == WALLET + 10
    account.portfolio.recovered(KEEPER, "ETH/USDT", NO_EXPOSURE, 5)
    assert (account.portfolio.cash_moved, account.portfolio.equity) == (0, WALLET)


def test_what_two_strategies_carry_of_one_symbol_is_valued_together():
    book = ExposureBook()
    book.mark(ETH, 20.0)
    book.carry(("one", ETH), Carried(D(1), D(10)))
    book.carry(("two", ETH), Carried(D(2), D(50)))
    assert (book.unrealised, book.invested, book.open_signals) == (0, 60, 0)
    book.mark(ETH, 30.0)
    book.carry(("one", ETH), NOTHING_CARRIED)
    assert (book.unrealised, book.invested) == (10, 50)
    book.mark(BTC, 1.0)
    assert book.valued


def test_what_is_left_where_nobody_trades_any_more_is_missed_by_nobody():
    """A spot venue shows the coins of traded symbols only; the wallet is judged all the same."""

    async def main() -> None:
        world = World(strategies={KEEPER: never}, speed=60, execution=replace(BRIEF, reconcile_s=1_000.0))
        left = SymbolState(system=SYSTEM, strategy=KEEPER, symbol=ETH, sequence=3, number=1, signal=Idle())
        world.store.files[KEEPER, ETH] = replace(left, remainder=D("0.5"), remainder_cost=D(5))
        process = await world.process().until_ready()
        watch, notice = process.system._watch, VenueNotice(source="private stream", text=None, reconcile=True)
        for wallet in (0, 20_000, 0):
            world.venue._engine.holdings.wallet += wallet
            process.exchange.say(notice)
            await asyncio.sleep(3)
        assert process.system.foreign.symbols == ()
        assert watch._wallet.told == 1
        assert process.portfolio.cash_moved == -5
        await process.end()

    run(main())


class Silent:
    """An instance whose symbol has had no candle yet."""

    strategy_name, last_price = KEEPER, None

    def __init__(self, state: SymbolState) -> None:
        self.state = state


def test_what_is_gone_before_there_is_a_price_is_valued_at_what_it_cost():
    async def main() -> None:
        world = World(strategies={KEEPER: never})
        process = await world.process().until_ready()
        comparing = SymbolReconcile(SymbolStates(BTC, None, None), process.system.workers._shared)  # type: ignore[arg-type]
        state = SymbolState(system=SYSTEM, strategy=KEEPER, symbol=BTC, number=1, signal=Idle())
        carrying = Silent(replace(state, remainder=D("0.5"), remainder_cost=D(5)))
        gone = comparing._at_last_price(carrying, D("0.2"))  # type: ignore[arg-type]
        assert (gone.quantity, gone.price) == (D("0.2"), 10)
        await process.end()

    run(main())
