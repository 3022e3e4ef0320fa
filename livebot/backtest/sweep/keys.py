"""What makes two trials the same: their data, their code and livebot's own, their parameters and every other setting.

Rules of this file: whatever changes a figure changes the key; the time, the machine and the number of processes do not.
"""

import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from decimal import Decimal
from enum import Enum
from hashlib import blake2b, sha256
from pathlib import Path

import numpy as np

import livebot
from livebot.backtest.plan import BacktestPlan, StrategyRun
from livebot.backtest.trials import TrialKey
from livebot.strategies.interface import feature_set_of

_COLUMNS = ("ts_ms", "open", "high", "low", "close", "volume")
_NO_SETTINGS = (
    "strategies",
    "candles",
    "funding",
    "cache",
    "cache_bytes",
    "skip",
    "tapes",
    "notes",
    "start_ms",
    "end_ms",
)


class KeyMaker:
    """Makes the keys of one sweep; what all its trials share is worked out once."""

    def __init__(self, plan: BacktestPlan, strategies: Iterable[str]) -> None:
        """`strategies` are the ids of those whose parameters are chosen."""
        self._chosen = frozenset(strategies)
        chosen = [run for run in plan.strategies if run.id in self._chosen]
        self._strategy = ", ".join(sorted(_path(run) for run in chosen))
        sources = sorted(_source(run) for run in plan.strategies)
        self._code = sha256("".join((_own_code(), *sources)).encode()).hexdigest()
        self._symbols = tuple(sorted({symbol for run in chosen for symbol in run.symbols}))
        self._candles = _candles_digest(plan)
        self._config = _config_digest(plan, self._chosen)

    def key(self, plan: BacktestPlan) -> TrialKey:
        """Of a plan that differs from the first one in the parameters of the chosen strategies only."""
        chosen = [run for run in plan.strategies if run.id in self._chosen]
        params = {run.id: _params(run) for run in chosen}
        return TrialKey(
            strategy=self._strategy,
            code=self._code,
            symbols=self._symbols,
            from_ms=plan.start_ms,
            to_ms=plan.end_ms,
            candles=self._candles,
            config=self._config,
            features=", ".join(str(feature_set_of(run.make())) for run in chosen),
            params=json.dumps(params, sort_keys=True),
        )


def _path(run: StrategyRun) -> str:
    return f"{run.strategy_class.__module__}:{run.strategy_class.__qualname__}"


def _own_code(package: Path = Path(livebot.__file__).parent) -> str:
    """Of all modules of livebot: an engine that was mended makes other figures, and no number would tell of every mend."""
    digest = sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _source(run: StrategyRun) -> str:
    """Of the module in which the strategy stands: other decisions under the same name are other trials."""
    try:
        file = inspect.getsourcefile(run.strategy_class)
        return _path(run) if file is None else Path(file).read_text(encoding="utf-8")
    except (OSError, TypeError):
        return _path(run)


def _params(run: StrategyRun) -> Mapping[str, object]:
    return {each.name: _plain(getattr(run.params, each.name)) for each in fields(run.strategy_class.Params)}


def _plain(value: object) -> object:
    """As JSON knows it."""
    match value:
        case Enum():
            return _plain(value.value)
        case bool() | int() | float() | str() | None:
            return value
        case Decimal():
            return str(value)
        case _:
            return repr(value)


def _candles_digest(plan: BacktestPlan) -> str:
    digest = blake2b(digest_size=20)
    for symbol in sorted(plan.candles):
        digest.update(f"{symbol} {plan.base.value} {len(plan.candles[symbol])}\n".encode())
        for name in _COLUMNS:
            digest.update(np.ascontiguousarray(getattr(plan.candles[symbol], name)).data)
    return digest.hexdigest()


def _config_digest(plan: BacktestPlan, chosen: Iterable[str]) -> str:
    settings = {each.name: getattr(plan, each.name) for each in fields(plan) if each.name not in _NO_SETTINGS}
    others = [(run.id, _path(run), repr(run.params), run.symbols) for run in plan.strategies if run.id not in chosen]
    own = [(run.id, run.symbols) for run in plan.strategies if run.id in chosen]
    digest = sha256(repr((sorted(settings.items()), others, own)).encode())
    for symbol, rates in sorted(plan.funding.items()):
        digest.update(symbol.encode())
        digest.update(np.ascontiguousarray(rates.ts_ms).data)
        digest.update(np.ascontiguousarray(rates.rate).data)
    return digest.hexdigest()
