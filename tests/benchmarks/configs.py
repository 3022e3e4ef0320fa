"""Configs of the measured daemons: many symbols on the synthetic market, limits that are all checked and never bind."""

from pathlib import Path
from typing import Any

import yaml

WALLET = 10_000_000
EMA_CROSS = {"name": "ema_cross"}


def symbols_of(count: int) -> list[str]:
    """S000, S001, ..."""
    return [f"S{number:03d}/USDT:USDT" for number in range(count)]


def write_config(folder: Path, symbols: int, strategy: dict[str, Any], **simulator: Any) -> Path:
    """A config file in `folder`; `simulator` is what its section says besides."""
    section = {"seed": 7, "volatility": 3, "wallet": WALLET, **simulator}
    return _write(folder, symbols, strategy, {"exchange": {"id": "simulator", "simulator": section}})


def write_live_config(
    folder: Path,
    symbols: int,
    strategy: dict[str, Any],
    loopback: dict[str, Any],
    *,
    exchange_id: str = "bybit",
    **sections: Any,
) -> Path:
    """As `write_config`, for orders at a local exchange; `sections` are further ones."""
    venue = {"mode": "live", "exchange": {"id": exchange_id, "loopback": loopback}}
    return _write(folder, symbols, strategy, venue | sections)


def _write(folder: Path, symbols: int, strategy: dict[str, Any], venue: dict[str, Any]) -> Path:
    config = {
        "system": "bench",
        "market": "perpetual",
        **venue,
        "symbols": symbols_of(symbols),
        "strategies": [strategy],
        "risk": {
            "sizing": {"kind": "fixed", "notional": 1000},
            "limits": {
                "open_signals": 2 * symbols,
                "open_signals_per_strategy": 2 * symbols,
                "gross_exposure": 3,
                "symbol_exposure": 1,
                "orders_per_minute": 10 * symbols,
                "daily_loss": 0.9,
                "drawdown": 0.9,
            },
            "loss_limit": {"ratio": 0.9},
            "win_rate": {"minimum": 0.01, "trades": 1000},
        },
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path
