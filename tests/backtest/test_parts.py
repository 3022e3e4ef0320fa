"""The parts of a backtest by themselves: plans, tapes, features and their cache, equity, funding."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from livebot.backtest.feature_cache import FeatureCache
from livebot.backtest.plan import FundingRates
from livebot.backtest.result import BacktestResult
from livebot.backtest.run import run
from livebot.backtest.tape import tape_of
from livebot.core.entry import Entry
from livebot.core.facts import (
    Fact,
    PositionIncreased,
    PositionReduced,
    RemainderKept,
    RemainderTaken,
    SignalClosed,
    SignalOpened,
)
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Side, Timeframe
from livebot.core.rules import FractionOfEquity
from livebot.errors import BadInput
from livebot.features import feature_set
from livebot.features.declaration import Feature, ema
from livebot.features.surroundings import market_return
from livebot.runtime.settings import LossAction, LossLimit
from livebot.strategies.interface import Strategy, View, feature_set_of
from tests.backtest.plans import START_MS, SYMBOLS, candles, instrument, plan, rules, strategy, without
from tests.backtest.whims import Whim, WhimParams


@dataclass(frozen=True)
class CrowdParams:
    """Nothing to choose."""


class Crowd(Strategy[CrowdParams]):
    """Goes where the others have gone."""

    name = "crowd"
    Params = CrowdParams

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.M1

    @property
    def features(self) -> tuple[Feature, ...]:
        return (market_return("market", 2),)

    def decide(self, view: View) -> Entry | None:
        if not view.feature("market") > 0:
            return None
        close = view.close
        return Entry(side=Side.LONG, stop_loss=close * 0.99, take_profit=close * 1.01, lifetime_ms=5 * MINUTE_MS)


def test_features_of_the_other_symbols() -> None:
    """Each symbol is told of the others; where one of them has no candle, nobody is asked."""
    whole = plan(strategies=(strategy(Crowd, CrowdParams()),), start_ms=START_MS + 150 * MINUTE_MS)
    holed = whole.with_candles({**whole.candles, SYMBOLS[2]: without(whole.candles[SYMBOLS[2]], {200})})
    assert any(isinstance(fact, SignalOpened) for fact in run(whole).facts)
    assert run(holed).facts == run(replace(holed, skip=False)).facts


def codes(result: BacktestResult) -> set[tuple[str, str]]:
    return {(each.code, each.text) for each in result.verdicts if each.outcome == "skipped"}


def test_a_symbol_that_is_late_is_named() -> None:
    """As live: the others, whose feature is made of it and who have nothing open, are not asked about that close."""
    whole = plan(strategies=(strategy(Crowd, CrowdParams()),), start_ms=START_MS + 150 * MINUTE_MS)
    holed = whole.with_candles({**whole.candles, SYMBOLS[2]: without(whole.candles[SYMBOLS[2]], {203})})
    found = run(holed)
    assert codes(found) == {
        ("context_missing", f"the candles of {SYMBOLS[2]} up to this close did not come in time"),
    }
    assert {each.close_ms for each in found.verdicts if each.outcome == "skipped"} == {START_MS + 204 * MINUTE_MS}


def test_a_symbol_that_ends_is_waited_for_no_longer_than_live() -> None:
    """Three closes; after that features are made of those that are left."""
    whole = plan(strategies=(strategy(Crowd, CrowdParams()),), start_ms=START_MS + 150 * MINUTE_MS)
    ended = whole.with_candles({**whole.candles, SYMBOLS[2]: whole.candles[SYMBOLS[2]].part(0, 203)})
    found = run(ended)
    assert {code for code, _ in codes(found)} == {"context_missing"}
    skipped = {each.close_ms for each in found.verdicts if each.outcome == "skipped"}
    assert skipped == {START_MS + minute * MINUTE_MS for minute in (204, 205, 206)}
    assert found.facts == run(replace(ended, skip=False)).facts


def test_too_few_symbols_for_a_feature_have_a_code_of_their_own() -> None:
    """The one that is there alone, as long as the others are too young."""
    whole = plan(strategies=(strategy(Crowd, CrowdParams()),), start_ms=START_MS + 150 * MINUTE_MS)
    young = {symbol: whole.candles[symbol].part(180, 300) for symbol in SYMBOLS[1:]}
    found = run(whole.with_candles({**whole.candles, **young}))
    text = "market: too few of the other symbols have candles enough up to this close"
    assert ("context_incomplete", text) in codes(found)
    incomplete = {each.close_ms for each in found.verdicts if each.code == "context_incomplete"}
    assert min(incomplete) == START_MS + 151 * MINUTE_MS
    assert max(incomplete) < START_MS + 185 * MINUTE_MS


def test_each_verdict_names_the_features_it_was_made_with() -> None:
    """Also where the whole lives of plain signals are written down at once."""
    for kind, params in ((Whim, WhimParams()), (Crowd, CrowdParams())):
        result = run(plan(strategies=(strategy(kind, params),)))
        named = str(feature_set_of(kind(params)))
        assert {each.feature_set for each in result.verdicts} == {named}


def test_other_parameters_and_other_candles() -> None:
    """What sweeps and audits vary; a plan itself never changes."""
    first = plan()
    other = first.with_params("whim", WhimParams(seed=2))
    assert run(other).facts != run(first).facts
    assert first.strategies[0].params == WhimParams()
    assert first.with_candles({**first.candles}).cache is None
    with pytest.raises(KeyError):
        first.with_params("nobody", WhimParams())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"end_ms": START_MS}, "no whole minute"),
        ({"strategies": (strategy(), strategy())}, "more than one strategy has the id whim"),
        ({"candles": {SYMBOLS[0]: candles(1, 300)}}, "no candles or no instrument"),
    ],
)
def test_plans_that_cannot_be_run(changes, words) -> None:
    with pytest.raises(BadInput, match=words):
        plan(**changes)


def test_candles_out_of_order() -> None:
    series = candles(1, 10)
    with pytest.raises(BadInput, match="not 1m candles in the order of time"):
        tape_of("AAA/USDT", replace(series, ts_ms=series.ts_ms[::-1]), Timeframe.M1)
    with pytest.raises(BadInput, match="no candles in the range"):
        tape_of("AAA/USDT", series.part(0, 0), Timeframe.M1)


def test_a_gap_of_days() -> None:
    """Nothing follows from candles that are days old."""
    series = candles(1, 4_000)
    holed = plan(4_000, candles=dict.fromkeys(SYMBOLS, without(series, set(range(200, 3_200)))))
    with pytest.raises(BadInput, match="3,000 minutes; fetch them"):
        run(holed)


def test_a_symbol_that_is_too_young_is_told_and_left_alone() -> None:
    """While there are others to trade."""
    young = plan(strategies=(strategy(Crowd, CrowdParams()),), start_ms=START_MS + 150 * MINUTE_MS)
    young = young.with_candles({**young.candles, SYMBOLS[0]: young.candles[SYMBOLS[0]].part(270, 300)})
    result = run(young)
    assert any(note.startswith(f"{SYMBOLS[0]}: strategy crowd needs") for note in result.notes)
    assert SYMBOLS[0] not in {fact.symbol for fact in result.facts}


def test_a_loss_closes_everything() -> None:
    """The loss limit, and what is said of it."""
    limit = LossLimit(ratio=Decimal("0.01"), action=LossAction.FLATTEN)
    sized = rules(sizing=FractionOfEquity(Decimal("0.9")))
    result = run(plan(1_000, loss_limit=limit, rules=sized))
    reasons = {fact.reason.value for fact in result.facts if isinstance(fact, SignalClosed)}
    assert "portfolio_halt" in reasons
    assert any(note.startswith("at the end trading was HALTED: loss limit") for note in result.notes)
    assert any(row.code == "halted" for row in result.decisions)


def test_a_signal_that_opens_in_the_last_but_one_minute_of_a_day() -> None:
    """Under a limit on the day's loss: nothing lies between that close and the one with which the next day begins."""
    patient = WhimParams(rarity=1, minutes=200, stop=0.05, target=0.05)
    limited = plan(
        1_500,
        start_ms=START_MS + 1_438 * MINUTE_MS,
        limits=Limits(daily_loss=Decimal("0.5")),
        strategies=(strategy(Whim, patient),),
    )
    result = run(limited)
    assert result.facts == run(replace(limited, skip=False)).facts
    assert any(isinstance(fact, SignalOpened) and fact.ts_ms == START_MS + 1_439 * MINUTE_MS for fact in result.facts)


def test_equity_ends_with_the_wallet_once_all_is_closed() -> None:
    """To the cent, funding included."""
    hours = START_MS + np.arange(2, 5, dtype=np.int64) * 3_600_000
    rates = FundingRates(ts_ms=hours, rate=np.full(3, 0.001))
    quiet = WhimParams(minutes=5)
    result = run(plan(400, funding=dict.fromkeys(SYMBOLS, rates), strategies=(strategy(Whim, quiet),)))
    assert result.funding
    closed = sum((fact.pnl_net for fact in result.facts if isinstance(fact, SignalClosed)), Decimal(0))
    paid = sum((each.amount for each in result.funding), Decimal(0))
    if not any("still open" in note for note in result.notes):
        assert result.wallet == 10_000 + closed - paid
        assert result.equity.equity[-1] == pytest.approx(float(result.wallet))
    assert abs(result.equity.equity[-1] - float(result.wallet)) < 50


def test_funding_is_of_the_position_and_the_close_by_then() -> None:
    """What a long pays, a short receives; a later close has no part in it."""
    due_ms = START_MS + np.arange(110, 400, 7, dtype=np.int64) * MINUTE_MS
    rates = FundingRates(ts_ms=due_ms, rate=np.full(len(due_ms), 0.001))
    whole = plan(400, funding=dict.fromkeys(SYMBOLS, rates))
    result = run(whole)
    sides = set()
    for paid in result.funding:
        facts = [fact for fact in result.facts if fact.symbol == paid.symbol and fact.ts_ms <= paid.ts_ms]
        if facts[-1].ts_ms == paid.ts_ms:
            continue  # what filled at that very close is not told apart here
        held, close = facts[-1].exposure, whole.candles[paid.symbol].close[(paid.ts_ms - START_MS) // MINUTE_MS - 1]
        assert held.side is not None
        sides.add(held.side)
        assert float(paid.amount) == pytest.approx(held.side.sign * float(held.quantity) * close * 0.001, abs=1e-6)
    assert sides == {Side.LONG, Side.SHORT}


def test_funding_is_in_the_equity_from_its_own_moment_on() -> None:
    rates = FundingRates(ts_ms=START_MS + np.arange(2, 7, dtype=np.int64) * 3_600_000, rate=np.full(5, 0.001))
    charged, free = run(plan(400, funding=dict.fromkeys(SYMBOLS, rates))), run(plan(400))
    assert charged.facts == free.facts
    paid = [sum(float(each.amount) for each in charged.funding if each.ts_ms <= at) for at in charged.equity.ts_ms]
    assert len(set(paid)) > 2
    assert (free.equity.equity - charged.equity.equity).tolist() == pytest.approx(paid)


def test_a_late_market_order_pays_its_share_of_how_far_the_minute_goes_against_it() -> None:
    """At half a minute half of it; and the slippage on top, as ever."""
    late = plan(latency_ms=30_000)
    opened = [fact for fact in run(late).facts if isinstance(fact, SignalOpened)]
    for fact in opened:
        series, place = late.candles[fact.symbol], (fact.ts_ms - START_MS) // MINUTE_MS
        first = series.open[place]
        worst = series.high[place] if fact.side is Side.LONG else series.low[place]
        slipped = (first + worst) / 2 * (1 + fact.side.sign * float(late.fills.slippage))
        assert float(fact.price) == pytest.approx(slipped, abs=0.011)  # a tick
    assert {fact.side for fact in opened} == {Side.LONG, Side.SHORT}


def test_equity_values_what_is_open_at_the_last_close_by_then() -> None:
    """The close of the minute that ends with the point, never one that forms then."""
    whole = plan(400, strategies=(strategy(Whim, WhimParams(stop=0.05, target=0.05, minutes=130)),))
    result = run(whole)
    held = 0
    for ts_ms, equity in zip(result.equity.ts_ms.tolist(), result.equity.equity.tolist(), strict=True):
        expected = float(whole.wallet)
        for symbol in SYMBOLS:
            facts = [fact for fact in result.facts if fact.symbol == symbol and fact.ts_ms <= ts_ms]
            expected += sum(float(fact.pnl_net) for fact in facts if isinstance(fact, SignalClosed))
            if facts and facts[-1].exposure.side is not None:
                held += 1
                now, close = facts[-1].exposure, whole.candles[symbol].close[(ts_ms - START_MS) // MINUTE_MS - 1]
                moved = now.side.sign * float(now.quantity) * (close - float(now.entry_price))
                expected += float(now.booked) + moved
        assert equity == pytest.approx(expected)
    assert held > 5


class TestFeatureCache:
    """Kept features are those that would be computed."""

    features = (ema("fast", 3), ema("slow", 9))

    def compute(self, folder: Path, most: int = 10**6, seed: int = 1) -> tuple[FeatureCache, dict[str, list[float]]]:
        cache = FeatureCache(folder, most)
        values = cache.features(self.features, Timeframe.M1, candles(seed, 50))
        return cache, {name: column[10:].tolist() for name, column in values.items()}

    def test_the_second_time_they_are_read(self, tmp_path: Path) -> None:
        first, computed = self.compute(tmp_path)
        second, read = self.compute(tmp_path)
        assert (first.hits, second.hits) == (0, 1)
        assert computed == read

    def test_other_candles_are_others(self, tmp_path: Path) -> None:
        self.compute(tmp_path)
        assert self.compute(tmp_path, seed=2)[0].hits == 0

    def test_functions_that_have_changed_are_computed_anew(self, tmp_path: Path, monkeypatch) -> None:
        self.compute(tmp_path)
        monkeypatch.setattr(feature_set, "CATALOGUE_VERSION", feature_set.CATALOGUE_VERSION + 1)
        assert self.compute(tmp_path)[0].hits == 0

    def test_a_damaged_file_is_computed_anew(self, tmp_path: Path) -> None:
        _, computed = self.compute(tmp_path)
        for path in tmp_path.glob("*.npy"):
            path.write_bytes(path.read_bytes()[:40])
        cache, again = self.compute(tmp_path)
        assert cache.hits == 0
        assert computed == again

    def test_the_oldest_go_when_there_is_too_much(self, tmp_path: Path) -> None:
        for seed in range(4):
            self.compute(tmp_path, most=2_000, seed=seed)
        assert 0 < sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2_000

    def test_what_cannot_be_kept_is_computed_all_the_same(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("a file where a folder should be")
        assert self.compute(tmp_path / "taken")[1] == self.compute(tmp_path / "kept", most=10)[1]


def test_on_spot_equity_is_the_money_and_all_coins_that_fees_have_left() -> None:
    """Held against the trades alone, of which purchases pay in coins and sales in quote."""
    rate = Decimal("0.0015")
    coins = {symbol: instrument(symbol, fee_in_base=True, can_short=False, taker_fee=rate) for symbol in SYMBOLS}
    only_long = WhimParams(minutes=5)
    whole = plan(600, instruments=coins, rules=rules(resting_target=False), strategies=(strategy(Whim, only_long),))
    result = run(whole)
    money, held = Decimal(10_000), dict.fromkeys(SYMBOLS, Decimal(0))
    for fact in result.facts:
        if isinstance(fact, SignalOpened | PositionIncreased):
            money -= fact.quantity * fact.price
            held[fact.symbol] += fact.quantity * (1 - rate)
        elif isinstance(fact, PositionReduced):
            money += fact.quantity * fact.price * (1 - rate)
            held[fact.symbol] -= fact.quantity
    assert sum(isinstance(fact, RemainderTaken) for fact in result.facts) > 5
    worth = sum(float(quantity) * whole.candles[symbol].close[-1] for symbol, quantity in held.items())
    assert result.equity.equity[-1] == pytest.approx(float(money) + worth, abs=1e-5)
    open_cost = sum(fact.exposure.open_notional for fact in last_of(result.facts))
    carried = sum(
        fact.cost if isinstance(fact, RemainderKept) else -fact.cost
        for fact in result.facts
        if isinstance(fact, RemainderKept | RemainderTaken)
    )
    assert float(result.wallet) == pytest.approx(float(money + open_cost + carried), abs=1e-5)


def last_of(facts: Iterable[Fact]) -> Iterable[Fact]:
    """The last fact of each symbol."""
    return {fact.symbol: fact for fact in facts}.values()
