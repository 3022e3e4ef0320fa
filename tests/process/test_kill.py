"""The promise: killed at any moment, as often as one likes, and nothing is lost, nothing doubled, nothing unprotected.

The simulated venue is a process of its own and goes on trading while no daemon runs.  One root is used all along.
LIVEBOT_KILLS says how often (default 200), LIVEBOT_KILLS_SEED another course.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from livebot.ops.control.client import ControlClient
from tests.process import daemons
from tests.process.daemons import Daemon, Launcher, Root, VenueProcess
from tests.process.sabotage import SABOTAGES, STEPS
from tests.process.truth import Looks, Truth, facts_in
from tests.process.venue_client import VenueClient

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.untraced]

KILLS = int(os.environ.get("LIVEBOT_KILLS", "200"))
SEED = int(os.environ.get("LIVEBOT_KILLS_SEED", "20260101"))
COLD_STARTS = 10
WALLET = 1_000_000
SYMBOLS = tuple(f"{base}/USDT:USDT" for base in ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LINK", "LTC"))
STRATEGIES = ("Eager", "Resting", "Averager")
AGREEMENT_S = 60.0  # a second or two, on a machine that is busy
# A minute lasts 50 ms, so that something is on its way nearly always; some orders fill in pieces.
VENUE = ("--speed", "1200", "--volatility", "3", "--partial-probability", "0.3", "--latency-ms", "2")

# (how often, name): where in its life a daemon is killed
LIVES = ((5, "start-up"), (5, "recovery"), (8, "trading"), (3, "shutdown"))


@dataclass
class Rig:
    """A venue that lives on, a root, and the checker of both."""

    root: Root
    launcher: Launcher
    truth: Truth
    control: ControlClient

    def judge(self, said: list[str], when: str) -> None:
        """Fail with all that was found."""
        if said:
            listed = "\n".join(said[:40])
            pytest.fail(f"{when} (seed {SEED}):\n{listed}\n\n{self.root.log.read_text(errors='replace')[-3000:]}")


@pytest.fixture
def rig(tmp_path: Path, launcher: Launcher) -> Iterator[Rig]:
    options = (*VENUE, "--wallet", str(WALLET))
    with (
        VenueProcess(tmp_path / "venue", *options, symbols=SYMBOLS) as venue,
        VenueClient(venue.socket) as client,
    ):
        root = Root(tmp_path / "root", _config(venue.socket))
        names = tuple(name.lower() for name in STRATEGIES)
        truth = Truth(Looks(root.folder, venue.memory, "process-test", names, SYMBOLS), client)
        yield Rig(root, launcher, truth, ControlClient(root.folder / "state" / "control.sock"))


def _config(socket: Path) -> dict[str, Any]:
    return daemons.config_of(
        exchange={"id": "simulator", "simulator": {"socket": str(socket)}},
        symbols=list(SYMBOLS),
        # One strategy for each symbol: a venue nets what two of them hold, and then its books cannot tell them apart.
        strategies=[
            {"class": f"tests.process.strategies:{name}", "symbols": list(SYMBOLS[position :: len(STRATEGIES)])}
            for position, name in enumerate(STRATEGIES)
        ],
        execution={"unknown_poll_seconds": 0.05},
    )


@pytest.mark.timeout(1800)
def test_killed_again_and_again_over_one_root(rig: Rig) -> None:
    rng = random.Random(SEED)
    cold = set(rng.sample(range(KILLS), min(COLD_STARTS, KILLS)))
    begun = time.monotonic()
    for kill in range(KILLS):
        if kill in cold:
            life, daemon = "cold start", daemons.start(rig.root, measured=False)
        else:
            (life,) = rng.choices([name for _, name in LIVES], [often for often, _ in LIVES])
            daemon = rig.launcher.start(rig.root)
        with daemon:
            _live(rig, daemon, life, rng, f"life {kill + 1}, killed in {life}")
        rig.judge(rig.truth.after_death(), f"after life {kill + 1}, killed in {life}")
        rig.truth.counts[f"killed: {life}"] += 1
    took_s = time.monotonic() - begun
    more = _until_much_happened(rig)
    _end_well(rig)
    counts = "\n".join(f"{count:7} {name}" for name, count in sorted(rig.truth.counts.items()))
    print(f"{KILLS} lives in {took_s:.0f} s, and {more} more\n{counts}")
    assert _much_happened(rig), counts


def _until_much_happened(rig: Rig) -> int:
    """More lives where the machine was so busy that too little happened in those; how many."""
    for life in range(KILLS):
        facts = Counter(fact["type"] for fact in facts_in(rig.root.ledger))
        if facts["SignalClosed"] >= KILLS and min(facts["PositionIncreased"], facts["StopMoved"]) >= KILLS / 10:
            return life
        with rig.launcher.start(rig.root) as daemon:
            daemon.until_ready()
            time.sleep(1)
            daemon.kill()
        rig.judge(rig.truth.after_death(), f"after life {life + 1} beside those")
    return KILLS


def _much_happened(rig: Rig) -> bool:
    """Otherwise little was proven."""
    facts = {name: rig.truth.counts[f"facts: {name}"] for name in ("SignalClosed", "PositionIncreased", "StopMoved")}
    return facts["SignalClosed"] >= KILLS and min(facts.values()) >= KILLS / 10


def _live(rig: Rig, daemon: Daemon, life: str, rng: random.Random, name: str) -> None:
    """Let a daemon live for a while, and see to it that it agrees with the venue once it is ready; then kill it."""
    match life:
        case "cold start":
            time.sleep(rng.uniform(0.2, 2.5))
        case "start-up":
            time.sleep(rng.uniform(0, 0.1))
        case "recovery":
            time.sleep(rng.uniform(0.05, 0.35))
        case _:
            daemon.until_ready()
            rig.judge(rig.truth.alive(AGREEMENT_S), f"{name}: once it was ready")
            time.sleep(rng.uniform(0, 0.4))
    if life == "shutdown":
        daemon.send(signal.SIGTERM)
        time.sleep(rng.uniform(0, 0.15))
    elif not daemon.running:
        pytest.fail(f"{name}: it ended by itself with {daemon.code}\n{daemon.tail()}")
    daemon.kill()


def _end_well(rig: Rig) -> None:
    """The last life: everything is closed, the daemon stops in order, and the books are gone through once more."""
    with rig.launcher.start(rig.root) as daemon:
        daemon.until_ready()
        rig.control.command("halt", {"reason": "the test ends"})
        deadline = time.monotonic() + daemons.PATIENCE_S
        while rig.control.status()["open_signals"]:
            assert time.monotonic() < deadline, "signals do not close"
            rig.control.command("flatten", {"symbols": None})
            time.sleep(0.2)
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0, daemon.tail()
    rig.judge(rig.truth.at_end(wallet=Decimal(WALLET)), "at the end of all lives")


@pytest.mark.timeout(1800)
def test_killed_at_each_step(rig: Rig) -> None:
    """Not by chance: right before and right after each step of a write, of an order and of a fact."""
    rng = random.Random(SEED)
    deaths = [(step, after) for step in STEPS for after in (False, True)]
    rng.shuffle(deaths)
    for step, after in deaths:
        name = f"killed {'after' if after else 'before'} {step}"
        # Steps of recovery are among the first, those of trading come later.
        death = {"step": step, "when": rng.randint(1, 40), "after": after}
        with rig.launcher.start(rig.root, death=death) as daemon:
            deadline = time.monotonic() + 2.5  # some steps are rare: then it is killed as it stands
            while daemon.running and time.monotonic() < deadline:
                time.sleep(0.01)
            daemon.kill()
        assert daemon.code == -signal.SIGKILL, daemon.tail()
        rig.judge(rig.truth.after_death(), name)
        with rig.launcher.start(rig.root) as daemon:
            daemon.until_ready()
            rig.judge(rig.truth.alive(AGREEMENT_S), f"restarted after it was {name}")
            daemon.kill()
        rig.judge(rig.truth.after_death(), f"restarted after it was {name}, and killed")
    _end_well(rig)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_the_checker_has_teeth(rig: Rig, sabotage: str) -> None:
    """A daemon that breaks one rule of durability is found out within a few kills."""
    rng = random.Random(SEED)
    for life in range(1, 41):
        with rig.launcher.start(rig.root, sabotage=sabotage) as daemon:
            daemon.until_ready()
            said = rig.truth.alive(2.0)
            time.sleep(rng.uniform(0.05, 0.4))
            daemon.kill()
        said += rig.truth.after_death()
        if said:
            print(f"{sabotage}: found out after {life} kills: {said[0]}")
            return
    pytest.fail(f"{sabotage}: not found out")
