"""Which strategy runs where, and how it is made."""

from collections.abc import Callable, Container, Mapping
from typing import Any

from livebot.config.load import LoadedConfig
from livebot.strategies.interface import Strategy


def strategies_by_symbol(loaded: LoadedConfig, lacking: Container[str]) -> Mapping[str, tuple[str, ...]]:
    """Strategy ids by symbol, without the symbols that the venue lacks."""
    return {
        symbol: tuple(plan.id for plan in loaded.strategies if symbol in plan.symbols)
        for symbol in loaded.config.symbols
        if symbol not in lacking and any(symbol in plan.symbols for plan in loaded.strategies)
    }


def watched_by_symbol(loaded: LoadedConfig) -> Mapping[str, frozenset[str]]:
    """The other symbols that a symbol's strategies look at."""
    watched: dict[str, frozenset[str]] = {}
    for plan in loaded.strategies:
        others = frozenset(plan.make().others)
        for symbol in plan.symbols if others else ():
            watched[symbol] = watched.get(symbol, frozenset()) | others
    return watched


def strategy_maker(loaded: LoadedConfig) -> Callable[[str], Strategy[Any] | None]:
    """Makes a fresh strategy from its id; None if the config has none of it."""
    plans = {plan.id: plan for plan in loaded.strategies}

    def make(strategy_id: str) -> Strategy[Any] | None:
        plan = plans.get(strategy_id)
        return plan.make() if plan is not None else None

    return make
