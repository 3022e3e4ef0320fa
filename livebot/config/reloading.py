"""Which keys of the config a running daemon can follow, and what has changed between two configs, key by key.

Rules of this file: every key of the config stands in the table, itself or with a section that holds it, and one that does
not is taken to need a restart; it is pure; values of strategies' own params are shown only where they are numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel

from livebot.config.load import LoadedConfig
from livebot.config.problems import shown
from livebot.config.strategies import StrategyPlan

SHOWN = 10  # names in the text of one change


class Takes(Enum):
    """What it takes to follow a change of a key."""

    RELOAD = "reload"
    RESTART = "restart"
    NOTHING = "nothing"  # the daemon does not look at it


KEYS: Mapping[str, tuple[Takes, str]] = {
    "risk.limits": (
        Takes.RELOAD,
        "at once; what is open beyond a lowered limit stays open, and nothing is added to it",
    ),
    "risk.loss_limit": (Takes.RELOAD, "at once"),
    "risk.win_rate": (Takes.RELOAD, "at once; who is switched off stays so until the rule or you switch it on"),
    "risk.sizing": (Takes.RELOAD, "from the next signal on"),
    "risk.entry": (Takes.RELOAD, "from the next signal on"),
    "risk.exits": (Takes.RELOAD, "from the next signal on; an open one keeps the exits it was opened with"),
    "risk.schedule_minutes": (Takes.RELOAD, "from the next signal on"),
    "risk.round": (Takes.RESTART, "needs a restart"),
    "risk.trading_states": (Takes.RESTART, "needs a restart"),
    "strategies": (
        Takes.RELOAD,
        "the workers of the symbols that it concerns start again from their files; a strategy taken off a symbol opens no more",
    ),
    "symbols": (
        Takes.RELOAD,
        "new ones are taken on if the venue has all of them; those taken out open nothing more, and go once nothing is open",
    ),
    "backtest": (Takes.NOTHING, "the daemon does not look at it"),
    "risk.clusters": (Takes.RESTART, "needs a restart"),
    "system": (Takes.RESTART, "needs a restart"),
    "market": (Takes.RESTART, "needs a restart"),
    "mode": (Takes.RESTART, "needs a restart"),
    "exchange": (Takes.RESTART, "needs a restart"),
    "universe": (Takes.RESTART, "needs a restart"),
    "execution": (Takes.RESTART, "needs a restart"),
    "runtime": (Takes.RESTART, "needs a restart"),
    "control": (Takes.RESTART, "needs a restart"),
    "paths": (Takes.RESTART, "needs a restart"),
    "model": (Takes.RESTART, "needs a restart"),
    **{
        f"model.{key}": (Takes.NOTHING, "the daemon does not look at it; the next training does")
        for key in (
            "training_mode",
            "symbol_encoding",
            "multi_symbol_symbols",
            "single_symbol",
            "fallback_to_shared",
            "hybrid",
            "clusters",
            "symbol_balance",
            "history",
            "calibration_share",
            "minimum_events",
            "seed",
            "format",
            "retrain",
        )
    },
    "alerts": (Takes.RESTART, "needs a restart"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One key that differs, and how: `10 -> 5`."""

    key: str
    how: str

    def __str__(self) -> str:
        """For an operator."""
        return f"{self.key} {self.how}"


def rule_of(key: str) -> str | None:
    """The row of the table that a key falls under, None if there is none."""
    while key and key not in KEYS:
        key = key.rpartition(".")[0]
    return key or None


def takes(key: str) -> Takes:
    """What it takes to follow a change of a key such as `risk.limits.drawdown`."""
    rule = rule_of(key)
    return Takes.RESTART if rule is None else KEYS[rule][0]


def readme_table() -> str:
    """The table as the README shows it, rows of the same kind together."""
    rows = ["| A change of | is followed |", "|---|---|"]
    by_text: dict[str, list[str]] = {}
    for key, (_, text) in KEYS.items():
        by_text.setdefault(text, []).append(f"`{key}`")
    return "\n".join((*rows, *(f"| {', '.join(keys)} | {text} |" for text, keys in by_text.items())))


def changes_of(old: LoadedConfig, new: LoadedConfig) -> tuple[Change, ...]:
    """All that differs, in the order of the config's keys; strategies by their ids."""
    found = [change for change in _of_section("", old.config, new.config) if change.key != "strategies"]
    return (*found, *_of_strategies(old, new))


def _of_section(key: str, old: BaseModel, new: BaseModel) -> Iterator[Change]:
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        here = f"{key}.{name}" if key else name
        if isinstance(before, BaseModel) and type(before) is type(after):
            yield from _of_section(here, before, after)
        elif before != after:
            yield Change(here, _how(before, after))


def _how(before: object, after: object) -> str:
    if isinstance(before, tuple) and isinstance(after, tuple) and all(isinstance(each, str) for each in before + after):
        come = [f"+{each}" for each in after if each not in before]
        gone = [f"-{each}" for each in before if each not in after]
        return _few((*come, *gone)) or "in another order"
    return f"{_text(before)} -> {_text(after)}"


def _few(words: Sequence[str]) -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return " ".join(words[:SHOWN]) + more


def _text(value: object) -> str:
    if isinstance(value, BaseModel):
        return ", ".join(f"{name} {_text(getattr(value, name))}" for name in type(value).model_fields)
    if isinstance(value, tuple) and all(isinstance(each, str) for each in value):
        return _few(value)
    return shown(value)


# Strategies


def _of_strategies(old: LoadedConfig, new: LoadedConfig) -> Iterator[Change]:
    before, after = _by_id(old), _by_id(new)
    yield from (Change(f"strategies.{name}", "taken out") for name in before if name not in after)
    yield from (Change(f"strategies.{name}", "added") for name in after if name not in before)
    both = [name for name in before if name in after]
    for name in both:
        (plan, symbols), (new_plan, new_symbols) = before[name], after[name]
        yield from _of_plan(f"strategies.{name}", plan, new_plan)
        if symbols != new_symbols:
            yield Change(f"strategies.{name}.symbols", _how(symbols or ("all",), new_symbols or ("all",)))
    if both != [name for name in after if name in before]:
        yield Change("strategies", "in another order")


def _by_id(loaded: LoadedConfig) -> dict[str, tuple[StrategyPlan, tuple[str, ...] | None]]:
    """Each strategy, and its symbols as they stand in the config (None: all)."""
    pairs = zip(loaded.strategies, loaded.config.strategies, strict=True)
    return {plan.id: (plan, section.symbols) for plan, section in pairs}


def _of_plan(key: str, old: StrategyPlan, new: StrategyPlan) -> Iterator[Change]:
    if old.strategy_class is not new.strategy_class:
        yield Change(f"{key}.class", f"{old.strategy_class.__name__} -> {new.strategy_class.__name__}")
    elif old.params != new.params:
        yield from _of_params(f"{key}.params", old.params, new.params)


def _of_params(key: str, old: object, new: object) -> Iterator[Change]:
    names = [each.name for each in fields(old)] if is_dataclass(old) else []
    differ = [name for name in names if getattr(old, name) != getattr(new, name)]
    for name in differ:
        yield Change(f"{key}.{name}", _how_param(getattr(old, name), getattr(new, name)))
    if not differ:
        yield Change(key, "changed")


def _how_param(before: Any, after: Any) -> str:  # noqa: ANN401 - a user's own
    plain = all(each is None or isinstance(each, int | float | Decimal) for each in (before, after))
    return f"{before} -> {after}" if plain else "changed"


def made_anew(old: LoadedConfig, new: LoadedConfig) -> frozenset[str]:
    """The ids of strategies that both have, with another class or other params."""
    before = {plan.id: plan for plan in old.strategies}
    return frozenset(plan.id for plan in new.strategies if plan.id in before and _differs(before[plan.id], plan))


def _differs(old: StrategyPlan, new: StrategyPlan) -> bool:
    return old.strategy_class is not new.strategy_class or bool(old.params != new.params)
