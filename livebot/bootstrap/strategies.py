"""Which strategy runs where, and how it is made."""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from livebot.config.load import LoadedConfig
from livebot.strategies.interface import Strategy


def strategies_by_symbol(
    loaded: LoadedConfig, symbols: Iterable[str], lacking: Container[str]
) -> Mapping[str, tuple[str, ...]]:
    """Strategy ids by symbol, without the symbols that the venue lacks."""
    found = {symbol: strategies_of(loaded, symbol) for symbol in symbols if symbol not in lacking}
    return {symbol: names for symbol, names in found.items() if names}


def strategies_of(loaded: LoadedConfig, symbol: str) -> tuple[str, ...]:
    """Ids of the strategies that run on a symbol."""
    return tuple(plan.id for plan in loaded.strategies if plan.runs_on(symbol))


def watched_by_symbol(loaded: LoadedConfig, symbols: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """The other symbols that a symbol's strategies look at."""
    found = {symbol: watched_by(loaded, symbol) for symbol in symbols}
    return {symbol: others for symbol, others in found.items() if others}


def watched_by(loaded: LoadedConfig, symbol: str) -> frozenset[str]:
    """What the strategies of one symbol look at besides it."""
    plans = (plan for plan in loaded.strategies if plan.runs_on(symbol))
    return frozenset(other for plan in plans for other in plan.make().others)


def context_symbols(loaded: LoadedConfig, lacking: Container[str]) -> tuple[str, ...]:
    """The symbols of the config: the universe of features made of other symbols, with all that are run."""
    return tuple(symbol for symbol in loaded.config.symbols if symbol not in lacking)


def strategy_maker(loaded: LoadedConfig) -> Callable[[str], Strategy[Any] | None]:
    """Makes a fresh strategy from its id; None if the config has none of it."""
    plans = {plan.id: plan for plan in loaded.strategies}

    def make(strategy_id: str) -> Strategy[Any] | None:
        plan = plans.get(strategy_id)
        return plan.make() if plan is not None else None

    return make
