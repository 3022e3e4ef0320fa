"""From `livebot halt` and `livebot flatten --all` with fifty open positions until the venue shows none.

The local exchange in one process, the daemon over stock ccxt and TLS in another, the command over the control socket; a
stock client of its own sees when the last position is gone and no entry works any more.  Both protocols, with nothing in the
way and among faults: answers are lost, cut and late, orders fill in pieces, the private stream falls.  `wrong` counts
what must not be: a position that was closed beyond zero, an answer that claims more than the venue shows, anything left.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from livebot.errors import Transient
from livebot.ops.control.client import ControlClient
from livebot.rehearsal.processes import Child
from livebot.rehearsal.scratch import CONFIRM_VARIABLE
from livebot.rehearsal.stock_client import StockClient, stock_client
from livebot.simulator.local_exchange import KEY, OBSERVER, SECRET
from tests.benchmarks.configs import WALLET, symbols_of, write_live_config
from tests.benchmarks.frame import Benchmark, Measured, Numbers, environment, over_runs, scratch_folder

PROTOCOLS = ("bybit", "binance")
SYMBOLS = 50
SPEED = 10.0
STRATEGY = {"class": "tests.benchmarks.strategies:Keeps", "params": {"timeframe": "1m"}}
START_S = 120.0
OPENED_S = 180.0
SETTLED_S = 3.0  # for targets to come to stand
GIVE_UP_S = 240.0
POLL_S = 0.05
_NEWS = ("order", "execution")
_ORDERS = {"bybit": ("order/create",), "binance": ("order/create", "algoOrder/create")}


@dataclass(slots=True)
class Seen:
    """What became of one flatten; seconds since the command was given."""

    answered_s: float = 0.0
    flat_s: float = 0.0
    said: str = ""
    wrong: list[str] = field(default_factory=list)


def measure() -> Measured:
    """Once each: a run takes a minute or two."""
    numbers: dict[str, float] = {}
    for protocol in PROTOCOLS:
        for faults in (False, True):
            name = f"{protocol}_{'faults' if faults else 'fair'}"
            numbers |= {f"{name}_{what}": value for what, value in one_run(protocol, faults=faults).items()}
    return over_runs([numbers])


def one_run(protocol: str, *, faults: bool) -> Numbers:
    """A daemon, its positions, and the end of them."""
    with scratch_folder() as folder:
        seen = asyncio.run(_run(folder, protocol, faults=faults))
    sys.stderr.write(f"{protocol}, {'faults' if faults else 'fair'}: {seen}\n")
    return {"answered_s": seen.answered_s, "flat_s": seen.flat_s, "wrong": float(len(seen.wrong))}


async def _run(folder: Path, protocol: str, *, faults: bool) -> Seen:
    async with _started(["exchange", *_options(folder, protocol)], folder / "exchange.log") as exchange:
        where = await exchange.said("control_port", START_S)
        loopback = {name: where[name] for name in ("port", "control_port", "ca_file")}
        config = write_live_config(folder, SYMBOLS, STRATEGY, loopback, exchange_id=where["exchange"])
        witness = stock_client(
            where["exchange"], where["port"], Path(where["ca_file"]), f"{KEY}{OBSERVER}", SECRET, symbols_of(SYMBOLS)
        )
        async with _started(["run", "--config", str(config)], folder / "daemon.log") as daemon, witness as seeing:
            await daemon.said('"ready"', START_S)
            client = ControlClient(folder / "state" / "control.sock")
            await _until_open(client)
            if faults:
                await _arm(where["control_port"], protocol)
            return await _flatten(client, seeing)


@asynccontextmanager
async def _started(arguments: Sequence[str], log: Path) -> AsyncIterator[Child]:
    confirmed = {"LIVEBOT_LOG": "json", "LIVEBOT_API_KEY": KEY, "LIVEBOT_API_SECRET": SECRET, CONFIRM_VARIABLE: "bench"}
    child = await Child.start(arguments, log, environment() | confirmed)
    try:
        yield child
    finally:
        await child.stop()


def _options(folder: Path, protocol: str) -> list[str]:
    options: Mapping[str, object] = {
        "--protocol": protocol,
        "--symbols": ",".join(symbols_of(SYMBOLS)),
        "--ca-file": folder / "ca.pem",
        "--seed": 7,
        "--speed": SPEED,
        "--wallet": WALLET,
    }
    return ["--json", *(str(word) for option in options.items() for word in option)]


async def _until_open(client: ControlClient) -> None:
    """All of them, each behind its stop.  Raises RuntimeError if they do not open."""
    deadline = time.monotonic() + OPENED_S
    while time.monotonic() < deadline:
        status = await asyncio.to_thread(client.status)
        signals = [signal for symbol in status["symbols"] for signal in symbol["signals"] if signal["protected"]]
        if len(signals) == SYMBOLS:
            return await asyncio.sleep(SETTLED_S)
        await asyncio.sleep(1.0)
    raise RuntimeError(f"only {len(signals)} positions came to stand behind their stops")


async def _arm(port: int, protocol: str) -> None:
    orders = _ORDERS[protocol]
    faults: list[dict[str, Any]] = [
        {"kind": "partial", "pieces": 3, "odds": 0.3, "times": None},
        {"kind": "cut", "endpoints": orders, "odds": 0.15, "times": 8},
        {"kind": "status", "endpoints": orders, "odds": 0.1, "times": 5},
        {"kind": "lose", "endpoints": orders, "odds": 0.1, "times": 5},
        {"kind": "refuse", "endpoints": orders, "odds": 0.1, "times": 5},
        {"kind": "drop", "endpoints": _NEWS, "odds": 0.1, "times": 10},
        {"kind": "duplicate", "endpoints": _NEWS, "odds": 0.3, "times": 10},
        {"kind": "disconnect", "endpoints": _NEWS, "after_s": 2.0},
    ]
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{port}", trust_env=False) as session,
        session.post("/_faults", json=faults) as answer,
    ):
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"the exchange refuses the faults: {await answer.text()}")


async def _flatten(client: ControlClient, witness: StockClient) -> Seen:
    seen, began = Seen(), time.monotonic()
    await asyncio.to_thread(client.command, "halt", {"reason": "the benchmark wants it"})
    command = asyncio.create_task(asyncio.to_thread(client.command, "flatten", {"symbols": None}))
    while not (seen.said and seen.flat_s):
        if time.monotonic() - began > GIVE_UP_S:
            seen.wrong.append("it is not flat yet")
            break
        await _look(witness, seen, began)
        if command.done() and not seen.said:
            seen.answered_s, seen.said = time.monotonic() - began, command.result()
            await _look(witness, seen, began)
            if seen.said.startswith("flat") and not seen.flat_s:
                seen.wrong.append(f"not flat: {seen.said}")
        await asyncio.sleep(POLL_S)
    return seen


async def _look(witness: StockClient, seen: Seen, began: float) -> None:
    try:
        sight = await witness.look()
    except Transient:
        return
    seen.wrong += [f"{each.symbol} is short" for each in sight.positions if each.quantity < 0]
    entries = [order for order in sight.orders if not order.reduces]
    if sight.positions or entries:
        seen.flat_s = 0.0
    elif not seen.flat_s:
        seen.flat_s = time.monotonic() - began


BENCHMARK = Benchmark(
    name="flatten",
    unit="s",
    target={
        **{f"{protocol}_fair_answered_s": 10 for protocol in PROTOCOLS},
        **{f"{protocol}_{weather}_wrong": 0 for protocol in PROTOCOLS for weather in ("fair", "faults")},
    },
    measure=measure,
)
