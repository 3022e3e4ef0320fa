"""The folder that a rehearsal runs in: the operator's config, pointed at a local exchange, and nothing of the operator's.

Rules of this file: whatever could reach the operator's own daemon, data or people (paths, the control socket, alerts) is
left out; symbols, strategies, risk and execution are the operator's.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from livebot.config.document import read_document
from livebot.config.load import LoadedConfig, load
from livebot.config.model import Config
from livebot.config.root import resolve
from livebot.rehearsal.sights import System
from livebot.rehearsal.verdict import LimitsTold
from livebot.simulator.local_exchange import PROTOCOLS
from livebot.simulator.synthetic import symbol_names

CONFIRM_VARIABLE = "LIVEBOT_CONFIRM_LIVE"
_LEFT_OUT = ("paths", "alerts", "control", "universe")
_OWN_VARIABLES = ("LIVEBOT_", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY")
_BAN_SECONDS = 5  # a venue that bans and says not for how long is asked again soon: this ban is short
_VOLATILITY = Decimal(3)
_WALLET = Decimal(10_000)
_SEED = 3
_FOUND = 8  # symbols that stand for those that a universe finds


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What the local exchange is to trade."""

    symbols: tuple[str, ...]
    seed: int
    volatility: Decimal
    wallet: Decimal
    candles: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What of the operator's config the rehearsal needs to know."""

    config_path: Path
    system: System
    market_name: str
    market: Market
    limits: LimitsTold
    unprotected_s: float
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Keys:
    """Throw-away keys; never shown."""

    key: str
    secret: str

    def __repr__(self) -> str:
        """Neither of them."""
        return "Keys(...)"


def rehearsed(config_path: Path) -> Rehearsed:
    """Read the operator's config.  Raises ConfigErrors, BadInput."""
    folder = str(config_path.resolve().parent)
    if folder not in sys.path:  # a strategy may stand beside it
        sys.path.append(folder)
    loaded = load(config_path)
    config, simulator = loaded.config, loaded.config.exchange.simulator
    simulated = config.exchange.id == "simulator"
    limits = config.risk.limits
    return Rehearsed(
        config_path=config_path.resolve(),
        system=System(config.system, _keys(loaded)),
        market_name=config.market,
        market=Market(
            symbols=_symbols(config),
            seed=simulator.seed if simulated else _SEED,
            volatility=simulator.volatility if simulated else _VOLATILITY,
            wallet=simulator.wallet if simulated else _WALLET,
            candles=resolve(config, config_path, None, os.environ).candles,
        ),
        limits=LimitsTold(
            open_signals=limits.open_signals,
            open_signals_per_strategy=limits.open_signals_per_strategy,
            gross_exposure=limits.gross_exposure,
            symbol_exposure=limits.symbol_exposure,
        ),
        unprotected_s=float(config.execution.unprotected_seconds),
        data=read_document(config_path.read_text("utf-8-sig"), str(config_path)).data,
    )


def _symbols(config: Config) -> tuple[str, ...]:
    """Those of the config; of a universe, some of those that it may find."""
    universe = config.universe
    if universe is None:
        return config.symbols
    made = symbol_names(min(universe.top, _FOUND), quote=universe.quote, perpetual=config.market == "perpetual")
    return tuple(dict.fromkeys((*universe.always, *made)))


def _keys(loaded: LoadedConfig) -> tuple[tuple[str, str], ...]:
    symbols = _symbols(loaded.config)
    return tuple((plan.id, symbol) for plan in loaded.strategies for symbol in symbols if plan.runs_on(symbol))


def write_config(found: Rehearsed, root: Path, protocol: str, *, port: int, control_port: int, ca_file: Path) -> Path:
    """The config of the rehearsal; returns its path."""
    connection = _section(_section(found.data, "exchange"), "connection")
    data = {name: value for name, value in found.data.items() if name not in _LEFT_OUT}
    data["mode"] = "live"
    data["symbols"] = list(found.market.symbols)
    data |= _clusters_among(found)
    data["exchange"] = {
        "id": PROTOCOLS[protocol].ccxt_ids[found.market_name == "perpetual"],
        "loopback": {"port": port, "control_port": control_port, "ca_file": str(ca_file)},
        "connection": {**connection, "ban_seconds": _BAN_SECONDS},
    }
    path = root / "config.yaml"
    path.write_text(yaml.dump(_plain(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _clusters_among(found: Rehearsed) -> dict[str, Any]:
    """The `risk` section without named symbols that stand for others here: those that a universe would have found."""
    risk = _section(found.data, "risk")
    named = _section(_section(risk, "clusters"), "named")
    if not named:
        return {}
    among = {name: [each for each in symbols if each in found.market.symbols] for name, symbols in named.items()}
    kept = {name: symbols for name, symbols in among.items() if symbols}
    return {"risk": {**risk, "clusters": {"named": kept} if kept else {"correlation": {}}}}


def environment(found: Rehearsed, keys: Keys, environ: Mapping[str, str]) -> dict[str, str]:
    """What the daemon sees: throw-away keys, the confirmation, nothing of the operator's own."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_OWN_VARIABLES)}
    folders = [str(found.config_path.parent), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | {
        "PYTHONPATH": os.pathsep.join(reversed(folders)),
        "LIVEBOT_LOG": "json",
        "LIVEBOT_API_KEY": keys.key,
        "LIVEBOT_API_SECRET": keys.secret,
        CONFIRM_VARIABLE: found.system.name,
    }


def _section(data: object, name: str) -> Mapping[str, Any]:
    found = data.get(name) if isinstance(data, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _plain(value: object) -> object:
    """As the dumper knows it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


class _Dumper(yaml.SafeDumper):
    """Writes decimals with their digits."""


def _write_decimal(dumper: yaml.SafeDumper, value: Decimal) -> yaml.Node:
    text = format(value, "f")
    return dumper.represent_scalar(f"tag:yaml.org,2002:{'float' if '.' in text else 'int'}", text)


_Dumper.add_representer(Decimal, _write_decimal)
