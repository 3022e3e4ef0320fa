"""A day of real candles through `livebot run`, as fast as it goes: twice the same, and every figure found again."""

import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from livebot.simulator.memory import VenueMemory
from livebot.simulator.replay import ReplayMarket
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.process import daemons
from tests.process.daemons import CHECKOUT, Root
from tests.process.truth import ENDS, Fact, facts_in, judge_end, number_of, owner_of
from tests.process.venue_client import Ordered, orders_in

DATA = CHECKOUT.parent / "shared" / "data" / "perp_1m"
MINUTES = 2 * 24 * 60

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.untraced,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not DATA.is_dir(), reason="the folder shared/data/perp_1m is not there"),
]


def shipped_config() -> dict[str, Any]:
    """config.yaml as it is shipped, on these candles, without what stops trading for the rest of a bad day."""
    config: dict[str, Any] = yaml.safe_load((CHECKOUT / "config.yaml").read_text())
    config["exchange"]["simulator"] |= {"candles": str(DATA), "speed": 0, "minutes": MINUTES}
    config["risk"]["limits"] |= {"daily_loss": None, "drawdown": None}
    config["risk"] |= {"loss_limit": None, "win_rate": None}
    return config


def test_real_candles_twice(tmp_path: Path) -> None:
    config = shipped_config()
    runs: list[list[Fact]] = []
    for name in ("first", "second"):
        root = Root(tmp_path / name, config)
        begun = time.monotonic()
        with daemons.start(root, measured=False) as daemon:
            assert daemon.wait(600) == 0, daemon.tail()
        facts = facts_in(root.ledger)
        runs.append(facts)
        closed = sum(fact["type"] == "SignalClosed" for fact in facts)
        took_s = time.monotonic() - begun
        print(f"{MINUTES} minutes, {len(facts)} facts, {closed} closed signals in {took_s:.1f} s")
    first, second = runs
    assert len(first) > 200
    assert first == second
    assert recomputed(tmp_path / "first", config) == []


def recomputed(root: Path, config: dict[str, Any]) -> list[str]:
    """Every signal that ended, held against the orders and trades of the venue; and their sum against the account."""
    memory = root / "state" / "simulator"
    # Taken up once more, the venue writes all that it remembers into its snapshot.
    simulator = config["exchange"]["simulator"]
    venue = SimulatedVenue(ReplayMarket(DATA, _symbols(root)), VenueSettings(), VenueMemory(memory))
    wallet, open_cost = venue.account().wallet, _booked_of_open(root)
    venue.close()
    orders: dict[tuple[str, int], list[Ordered]] = defaultdict(list)
    for order in orders_in(memory):
        orders[order.owner, order.number].append(order)
    said: list[str] = []
    earned = Decimal(0)
    for fact in facts_in(root / "state" / "ledger.sqlite"):
        if fact["type"] in ENDS:
            owner = owner_of(config["system"], (fact["strategy"], fact["symbol"]))
            judge_end(fact, orders[owner, number_of(fact)], said)
            earned += Decimal(fact.get("pnl_net", 0))
    if abs(Decimal(simulator["wallet"]) + earned + open_cost - wallet) > Decimal("0.01"):
        said.append(f"{simulator['wallet']} and {earned} earned and {open_cost} booked, the account holds {wallet}")
    return said


def _symbols(root: Path) -> list[str]:
    return sorted({fact["symbol"] for fact in facts_in(root / "state" / "ledger.sqlite")})


def _booked_of_open(root: Path) -> Decimal:
    """What the signals that are still open have booked so far: as the last fact of each says."""
    last: dict[tuple[str, str], Fact] = {}
    for fact in facts_in(root / "state" / "ledger.sqlite"):
        last[fact["strategy"], fact["symbol"]] = fact
    return sum((Decimal(fact["exposure"]["booked"]) for fact in last.values()), Decimal(0))
