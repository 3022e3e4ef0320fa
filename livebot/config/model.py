"""The whole config, as pydantic models: the one place where a key has its name, its type, its bounds and its default.

Rules of this file: everything is frozen, an unknown key is an error, every default is one that a careful operator would
leave; what needs more than one section to judge is checked in `load` and `strategies`.
"""

from decimal import Decimal
from itertools import permutations
from os.path import normpath
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from livebot.config.problems import shown
from livebot.config.risk import RiskConfig
from livebot.config.running import ControlConfig, ExecutionConfig, RuntimeConfig
from livebot.config.section import Section
from livebot.config.values import (
    Fee,
    Flag,
    Later,
    Milliseconds,
    Minutes,
    Moment,
    Name,
    PathText,
    Port,
    Quote,
    RatioOrZero,
    Scale,
    Seed,
    Speed,
    SymbolText,
    Text,
    filled,
)

SIMULATOR = "simulator"


class LoopbackConfig(Section):
    """Sends every socket of a venue's own addresses to this machine; `ca_file` (PEM) signs what answers there."""

    port: Port = Field(description="where the local exchange listens")
    ca_file: PathText | None = None


class SimulatorConfig(Section):
    """The simulated venue.

    `candles` null is a synthetic market made from `seed` with `volatility` (1 is that of real large coins),
    else a folder of candle files; `speed` is market time over real time; `minutes` null runs on (or to the end of the
    files); `wallet` in quote currency; `slippage` a ratio of the price of market orders; `partial_fills` lets
    some orders fill in pieces; `socket` is the address of a venue that runs as its own process.
    """

    candles: PathText | None = None
    seed: Seed = 1
    speed: Speed = Decimal(60)
    start: Moment | None = None
    minutes: Minutes | None = None
    wallet: Quote = Decimal(10_000)
    volatility: Scale = Decimal(1)
    slippage: RatioOrZero = Decimal("0.0002")
    taker_fee: Fee = Decimal("0.0005")
    maker_fee: Fee = Decimal("0.0002")
    latency_ms: Milliseconds = 50
    partial_fills: Flag = False
    socket: PathText | None = None


class ExchangeConfig(Section):
    """Which venue, and how to reach it."""

    id: Text = SIMULATOR
    sandbox: Flag = False
    loopback: LoopbackConfig | None = None
    simulator: SimulatorConfig = SimulatorConfig()

    @field_validator("id")
    @classmethod
    def _is_available(cls, value: str) -> str:
        if value != SIMULATOR:
            raise ValueError(f"{shown(value)} is not available yet: real exchanges come later; write {SIMULATOR}")
        return value


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

    @model_validator(mode="after")
    def _are_apart(self) -> Self:
        folders = [PurePath(normpath(folder)) for folder in (self.signals, self.state, self.models)]
        if any(one.is_relative_to(other) for one, other in permutations(folders, 2)):
            raise ValueError("the three folders must differ, and none may lie inside another")
        return self


class Config(Section):
    """One system: one market, one venue account, its symbols and strategies."""

    system: Name = Field(description="the name of this daemon, such as perpetual-1")
    market: Literal["spot", "perpetual"] = Field(description="spot or perpetual")
    mode: Literal["live", "paper", "replay"] = "paper"
    exchange: ExchangeConfig = ExchangeConfig()
    symbols: Annotated[tuple[SymbolText, ...], BeforeValidator(filled)] = Field(
        description="a list such as [BTC/USDT:USDT]"
    )
    strategies: Annotated[tuple[StrategyConfig, ...], BeforeValidator(filled)] = Field(
        description="a list such as [{name: ema_cross}]"
    )
    risk: RiskConfig = RiskConfig()
    execution: ExecutionConfig = ExecutionConfig()
    runtime: RuntimeConfig = RuntimeConfig()
    control: ControlConfig = ControlConfig()
    paths: PathsConfig = PathsConfig()
    universe: Later = None
    model: Later = None
    alerts: Later = None
