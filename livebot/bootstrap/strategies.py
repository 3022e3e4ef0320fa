"""Which strategy runs where, and how it is made."""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from typing import Any

from livebot.config.load import LoadedConfig
from livebot.config.models import ModelConfig
from livebot.config.strategies import StrategyPlan
from livebot.errors import BadInput
from livebot.features.model_features import model_features
from livebot.strategies.evidence import with_evidence
from livebot.strategies.interface import Strategy


def asked_model(loaded: LoadedConfig) -> ModelConfig | None:
    """The `model` section, if the daemon asks one."""
    section = loaded.config.model
    return section if section is not None and section.enabled else None


def judged_plans(loaded: LoadedConfig) -> tuple[StrategyPlan, ...]:
    """The strategies whose entries a model judges."""
    section = asked_model(loaded)
    if section is None:
        return ()
    chosen = section.strategies
    return tuple(plan for plan in loaded.strategies if chosen is None or plan.id in chosen)


def with_models(loaded: LoadedConfig) -> LoadedConfig:
    """The same config, in which each strategy that a model judges says with its entries what the model looks at.

    Raises:
        BadInput: a strategy has a feature of the name of one of the model's.

    """
    section, judged = asked_model(loaded), {plan.id for plan in judged_plans(loaded)}
    if section is None or not judged:
        return loaded
    features = model_features(section.features)
    plans = [
        replace(plan, strategy_class=with_evidence(plan.strategy_class, features)) if plan.id in judged else plan
        for plan in loaded.strategies
    ]
    for plan in plans:
        try:
            _ = plan.make().features
        except ValueError as error:
            raise BadInput(f"strategies: {plan.id}: {error}") from None
    return replace(loaded, strategies=tuple(plans))


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
