"""From a config file to a checked config: everything that can be wrong is found and told at once.

Rules of this file: whatever the bytes, the outcome is a LoadedConfig or ConfigErrors; a wrong section does not hide
what is wrong in another one, but the keys of one section are held against each other only once each is right by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from livebot.config.clusters import unknown_symbols
from livebot.config.document import Document, read_document
from livebot.config.model import Config, StrategyConfig
from livebot.config.models import model_problems
from livebot.config.problems import ConfigErrors, Place, Problem
from livebot.config.risk import ExitsConfig, SizingConfig
from livebot.config.rounds import scorer_problems
from livebot.config.running import RuntimeConfig
from livebot.config.strategies import Planner, StrategyPlan, check_symbols
from livebot.config.terms import exit_plan
from livebot.config.universe import UniverseConfig, always_symbols, choice_problems
from livebot.config.venue import mode_problems
from livebot.config.wording import Wording
from livebot.core.rules import ATR_PERIOD
from livebot.features.true_range import candles_for

__all__ = ["SIZE_MAX_BYTES", "ConfigErrors", "LoadedConfig", "check", "load"]

SIZE_MAX_BYTES = 1_000_000
_Section = TypeVar("_Section", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A config in which nothing was found wrong, and its strategies, loaded and tried."""

    config: Config
    strategies: tuple[StrategyPlan, ...]


def load(path: Path) -> LoadedConfig:
    """Read and check a config file.

    Raises:
        ConfigErrors: with all that is wrong, each with its line, its key and the mend.

    """
    return check(_read(path), str(path))


def check(text: str, source: str) -> LoadedConfig:
    """Check the text of a config; `source` is what messages call it.

    Raises:
        ConfigErrors: with all that is wrong.

    """
    document = read_document(text, source)
    wording = Wording(document, Config)
    problems = list(document.problems)
    config = None
    try:
        config = Config.model_validate(document.data)
    except ValidationError as error:
        # what the document left out (a secret, a second key) has been told already
        problems += wording.problems(error)
    plans, found = _check_meaning(document, wording)
    problems += found
    if config is None or problems:
        raise ConfigErrors(source, problems)
    return LoadedConfig(config, plans)


def _read(path: Path) -> str:
    source = str(path)
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_MAX_BYTES + 1)
    except FileNotFoundError:
        raise _refusal(source, "no such file; name another with --config") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _refusal(source, f"cannot be read: {reason}") from None
    if len(content) > SIZE_MAX_BYTES:
        raise _refusal(source, f"is larger than {SIZE_MAX_BYTES} bytes; this is not a config")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigErrors(source, [Problem(line, "", "is not UTF-8 text; save it as UTF-8")]) from None


def _refusal(source: str, text: str) -> ConfigErrors:
    return ConfigErrors(source, [Problem(None, "", text)])


def _check_meaning(document: Document, wording: Wording) -> tuple[tuple[StrategyPlan, ...], list[Problem]]:
    """What takes more than one section, or code, to judge; looks at every part that is right by itself."""
    data = document.data
    market, found = data.get("market"), data.get("universe") is not None
    place: Place = ("universe", "always") if found else ("symbols",)
    symbols = list(always_symbols(data)) if found else _list(data.get("symbols"))
    problems = check_symbols(symbols, market, wording, place)
    planner = Planner([symbol for symbol in symbols if isinstance(symbol, str)], wording, market if found else None)
    for position, section in enumerate(_list(data.get("strategies"))):
        strategy = _section(StrategyConfig, section)
        if strategy is not None:
            planner.add(position, strategy)
    problems += planner.problems + _check_exits(data, wording)
    problems += scorer_problems(data, wording) + _check_period(data, wording)
    universe = _section(UniverseConfig, data["universe"]) if found else None
    told = [*choice_problems(data, universe), *mode_problems(data)]
    texts = [symbol for symbol in symbols if isinstance(symbol, str)]
    told += model_problems(data, [plan.id for plan in planner.plans], None if found else texts)
    if not found:
        told += unknown_symbols(data, texts)
    problems += [wording.at(place, text) for place, text in told]
    return tuple(planner.plans), problems


def _check_exits(data: Mapping[str, object], wording: Wording) -> list[Problem]:
    risk = data.get("risk")
    exits = _section(ExitsConfig, risk.get("exits", {})) if isinstance(risk, dict) else None
    try:
        if exits is not None:
            exit_plan(exits)
    except ValueError as error:
        return [wording.told(("risk", "exits"), str(error))]
    return []


def _check_period(data: Mapping[str, object], wording: Wording) -> list[Problem]:
    """A size by volatility looks at candles that are kept."""
    risk = data.get("risk")
    sizing = _section(SizingConfig, risk.get("sizing")) if isinstance(risk, dict) else None
    runtime = _section(RuntimeConfig, data.get("runtime", {}))
    if sizing is None or runtime is None or sizing.kind != "volatility":
        return []
    needed = candles_for(sizing.period or ATR_PERIOD)
    if needed <= runtime.history:
        return []
    text = f"looks at {needed} candles, and runtime.history keeps {runtime.history}; raise that or choose a shorter one"
    return [wording.at(("risk", "sizing", "period"), text)]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _section(model: type[_Section], value: object) -> _Section | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None
