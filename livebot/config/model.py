"""The whole config, as pydantic models: the one place where a key has its name, its type, its bounds and its default.

Rules of this file: everything is frozen, an unknown key is an error, every default is one that a careful operator would
leave; what needs more than one section to judge is checked in `load` and `strategies`.
"""

from itertools import permutations
from os.path import normpath
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from livebot.config.alerts import AlertsConfig
from livebot.config.backtest import BacktestConfig
from livebot.config.models import ModelConfig
from livebot.config.problems import shown
from livebot.config.risk import RiskConfig
from livebot.config.running import ControlConfig, ExecutionConfig, RuntimeConfig
from livebot.config.section import Section
from livebot.config.universe import UniverseConfig
from livebot.config.values import Name, PathText, SymbolText, Text, filled
from livebot.config.venue import ExchangeConfig


class StrategyConfig(Section):
    """One strategy: a shipped one by `name`, or your own by `class` (package.module:Class).

    `symbols` None (written `all`) means every symbol of the system; `id` names its folder under signals/.
    """

    name: Text | None = None
    class_path: Text | None = Field(default=None, alias="class")
    symbols: tuple[SymbolText, ...] | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    id: Name | None = None

    @property
    def source(self) -> str:
        """What to load: the name or the class path."""
        return self.name or self.class_path or ""

    @field_validator("symbols", mode="before")
    @classmethod
    def _all_or_a_list(cls, value: object) -> object:
        if value == "all":
            return None
        if not isinstance(value, list) or not value:
            raise ValueError(f"must be all or a list of symbols, is {shown(value) if value != [] else 'empty'}")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.name is None) == (self.class_path is None):
            raise ValueError("needs either name (a shipped strategy) or class (package.module:Class)")
        return self


class PathsConfig(Section):
    """The data folders, relative to the root."""

    signals: PathText = "signals"
    state: PathText = "state"
    models: PathText = "models"
    candles: PathText = "candles"

    @model_validator(mode="after")
    def _are_apart(self) -> Self:
        folders = [PurePath(normpath(folder)) for folder in (self.signals, self.state, self.models, self.candles)]
        if any(one.is_relative_to(other) for one, other in permutations(folders, 2)):
            raise ValueError("the four folders must differ, and none may lie inside another")
        return self


class Config(Section):
    """One system: one market, one venue account, its symbols (or the universe they are found by) and strategies."""

    system: Name = Field(description="the name of this daemon, such as perpetual-1")
    market: Literal["spot", "perpetual"] = Field(description="spot or perpetual")
    mode: Literal["live", "paper", "replay"] = "paper"
    exchange: ExchangeConfig = ExchangeConfig()
    symbols: Annotated[tuple[SymbolText, ...], BeforeValidator(filled)] = ()
    universe: UniverseConfig | None = None
    strategies: Annotated[tuple[StrategyConfig, ...], BeforeValidator(filled)] = Field(
        description="a list such as [{name: ema_cross}]"
    )
    risk: RiskConfig = RiskConfig()
    execution: ExecutionConfig = ExecutionConfig()
    runtime: RuntimeConfig = RuntimeConfig()
    control: ControlConfig = ControlConfig()
    paths: PathsConfig = PathsConfig()
    backtest: BacktestConfig = BacktestConfig()
    model: ModelConfig | None = None
    alerts: AlertsConfig = AlertsConfig()
