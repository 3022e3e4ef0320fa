"""300 kills of a live daemon among faults: is any promise broken?

Each run is a `livebot rehearse` of its own: the local exchange in one process, the daemon over stock ccxt and TLS in another,
twenty symbols, the usual faults, SIGKILL at random moments, the verdict over every invariant.  Half of the runs speak
Bybit, half Binance.  `REHEARSAL_KILLS=30 make bench ARGS=rehearsal` makes it shorter, `REHEARSAL_SEED` has it kill at other
moments.  The folder of a run that is not clean is kept, and stderr says where.
"""

import json
import os
import subprocess
import sys

import yaml

from livebot.simulator.synthetic import symbol_names
from tests.benchmarks.frame import Benchmark, Measured, Numbers, environment, over_runs, scratch_folder

KILLS = int(os.environ.get("REHEARSAL_KILLS", "300"))
SEED = int(os.environ.get("REHEARSAL_SEED", "1"))
PROTOCOLS = ("bybit", "binance")
KILLS_A_RUN = 15
KILL_S = 6.0  # of trading for each kill
SYMBOLS = 20
SPEED = 30.0
START_AND_END_S = 300.0
RUN_S = 60.0  # for each kill, on a machine that is busy
CONFIG = {
    "system": "rehearsal",
    "market": "perpetual",
    "exchange": {"id": "simulator", "simulator": {"seed": 3, "volatility": 4}},
    "strategies": [{"class": "tests.process.strategies:Eager"}],
    "risk": {
        "sizing": {"kind": "fixed", "notional": 500},
        "entry": {"minimum_stop_distance": 0.0001, "minimum_target_distance": 0.0001},
        "limits": {
            "open_signals": 10,
            "gross_exposure": 0.6,
            "daily_loss": None,
            "drawdown": None,
            "orders_per_minute": None,
        },
        "loss_limit": None,
        "win_rate": None,
    },
    "runtime": {"history": 60},
}


def measure() -> Measured:
    """One line for all runs: sums, not medians."""
    runs = [_run(protocol, number) for number in range(-(-KILLS // (2 * KILLS_A_RUN))) for protocol in PROTOCOLS]
    total = {name: sum(run[name] for run in runs) for name in runs[0]}
    return over_runs([total])


def _run(protocol: str, number: int) -> Numbers:
    with scratch_folder() as folder:
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump({**CONFIG, "symbols": list(symbol_names(SYMBOLS))}, sort_keys=False))
        options = {
            "--config": config,
            "--protocol": protocol,
            "--seconds": KILLS_A_RUN * KILL_S,
            "--kills": KILLS_A_RUN,
            "--speed": SPEED,
            "--seed": SEED + number,
        }
        words = [str(word) for option in options.items() for word in option]
        done = subprocess.run(
            [sys.executable, "-m", "livebot", "rehearse", *words, "--json"],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=START_AND_END_S + KILLS_A_RUN * RUN_S,
        )
    return _numbers_of(done, protocol, number)


def _numbers_of(done: "subprocess.CompletedProcess[str]", protocol: str, number: int) -> Numbers:
    """Raises RuntimeError if there is no verdict."""
    try:
        told = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"{protocol}, run {number}: no verdict: {done.stderr[-2000:]}") from None
    broken = [f"{name}: {said}" for name, found in told["invariants"].items() for said in found["broken"]]
    sys.stderr.write(
        f"{protocol}, run {number}: {told['kills']} kills, {told['opened']} opened, {told['closed']} closed, "
        f"{sum(told['faults'].values())} faults, {len(broken)} broken\n"
    )
    if broken:
        where = done.stderr.strip().rpartition("\n")[2]
        sys.stderr.write("".join(f"  {said}\n" for said in (*broken, where)))
    return {
        "broken": len(broken),
        "kills": told["kills"],
        "opened": told["opened"],
        "closed": told["closed"],
        "faults": sum(told["faults"].values()),
        "judged": sum(found["checked"] for found in told["invariants"].values()),
        "seconds": told["seconds"],
    }


BENCHMARK = Benchmark(name="rehearsal", unit="count", target={"broken": 0}, measure=measure)
