"""Twenty strategies want ten times what is allowed, at every close; no limit is exceeded, and a page draws that."""

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from livebot.cli.app import app
from livebot.rehearsal.page import PAGE

SYMBOLS = [f"{base}/USDT:USDT" for base in ("BTC", "ETH", "SOL", "XRP", "ADA")]
STRATEGIES = 20
NOTIONAL = 590
WALLET = 10_000
GROSS = 0.6
LIMITS = {
    "open_signals": 9,
    "open_signals_per_strategy": 2,
    "open_signals_per_cluster": 5,
    "gross_exposure": GROSS,
    "symbol_exposure": 0.25,
    "risk_in_all": 0.02,
    "orders_per_second": 8,
    "orders_per_minute": 40,
    "daily_loss": None,
    "drawdown": None,
}
CONFIG = {
    "system": "desk",
    "market": "perpetual",
    "exchange": {"id": "simulator", "simulator": {"seed": 3, "volatility": 4, "wallet": WALLET}},
    "symbols": SYMBOLS,
    "strategies": [{"class": "trader:Eager", "id": f"eager-{number:02d}"} for number in range(STRATEGIES)],
    "risk": {
        "sizing": {"kind": "fixed", "notional": NOTIONAL},
        "entry": {"minimum_stop_distance": 0.0001, "minimum_target_distance": 0.0001},
        "limits": LIMITS,
        "clusters": {"named": {"majors": SYMBOLS[:2], "others": SYMBOLS[2:]}},
        "loss_limit": None,
        "win_rate": None,
    },
    "runtime": {"history": 60},
}
TRADER = "from tests.process.strategies import Eager\n\n__all__ = ['Eager']\n"
MOVED = 1.02  # a ratio of equity grows with a loss, too


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_limit_is_exceeded_and_the_use_of_each_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert STRATEGIES * len(SYMBOLS) * NOTIONAL >= 9.8 * GROSS * WALLET
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    (tmp_path / "trader.py").write_text(TRADER)
    (tmp_path / "faults.yaml").write_text("[]\n")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(sys, "path", [*sys.path])
    for seconds in (16, 60, 180):  # on a machine that does much else there are few closes
        told, page = _rehearsed(tmp_path, seconds)
        assert told["invariants"]["I5"]["broken"] == []
        if told["opened"] >= LIMITS["open_signals"] and sum(_denied(page).values()) > 20:
            break
    assert told["invariants"]["I5"]["checked"] > 50
    most = {row["name"]: float(row["most_used"]) for row in told["limits"]}
    assert most.keys() == {name for name, bound in LIMITS.items() if bound is not None}
    for name, bound in LIMITS.items():
        if bound is not None:
            assert most[name] <= (bound if isinstance(bound, int) else bound * MOVED), name
    assert most["open_signals"] == LIMITS["open_signals"]  # as much as is allowed was used
    assert most["gross_exposure"] > 0.8 * GROSS
    assert told["opened"] >= LIMITS["open_signals"]
    assert page.count("<figure>") == page.count('class="bound"') == len(most)
    assert _denied(page)["open_signals"] > 0
    assert sum(_denied(page).values()) > 20


def _rehearsed(folder: Path, seconds: int) -> tuple[dict[str, Any], str]:
    """What came of a rehearsal of so many seconds, and its page."""
    with tempfile.TemporaryDirectory(prefix="lb") as short:
        stage = Path(short) / "stage"
        arguments = ["--config", folder / "config.yaml", "--root", stage, "--faults", folder / "faults.yaml"]
        arguments += ["--seconds", seconds, "--kills", 1, "--speed", 30, "--json"]
        result = CliRunner().invoke(app, ["rehearse", *map(str, arguments)])
        return json.loads(result.stdout), (stage / PAGE).read_text()


def _denied(page: str) -> dict[str, int]:
    """How often by code, as the page tells."""
    told_of = page[page.index("What was denied") : page.index("Verdict")]
    found = re.findall(r"<td>(\w+)</td><td[^>]*>([\d,]+)<", told_of)
    return {code: int(times.replace(",", "")) for code, times in found}
