"""The `exchange` section: which venue, and how it is reached.

Rules of this file: a venue is what the capability table knows; what a venue cannot do is refused here with the table's
own sentence, never found out with an order.
"""

from collections.abc import Mapping
from decimal import Decimal

from pydantic import Field, field_validator

from livebot.adapters.ccxt_venue.capabilities import TABLE, problem_with
from livebot.config.problems import did_you_mean, shown
from livebot.config.section import Section
from livebot.config.values import (
    Count,
    Fee,
    Flag,
    Hours,
    Milliseconds,
    Minutes,
    Moment,
    PathText,
    Port,
    Quote,
    Ratio,
    RatioOrZero,
    Scale,
    Seconds,
    Seed,
    Speed,
    Text,
)

SIMULATOR = "simulator"
VENUES = tuple(dict.fromkeys(exchange_id for exchange_id, _ in TABLE))


class LoopbackConfig(Section):
    """Sends every socket of a venue's own addresses to this machine; `ca_file` (PEM) signs what answers there.

    `control_port` is where a local exchange tells the time of its market; it is needed if that is not the world's.
    """

    port: Port = Field(description="where the local exchange listens")
    ca_file: PathText | None = None
    control_port: Port | None = None


class ConnectionConfig(Section):
    """How a real venue is talked to.

    A request is given up after `request_timeout_seconds`; sockets are pinged every `keep_alive_seconds`; a stream that
    tells nothing for `stale_seconds` is renewed; the last candles are compared with the venue's every `audit_seconds`;
    nothing opens while the clocks differ by more than `clock_skew_ms`; `history_requests` run at a time; a ban
    whose end the venue does not tell is taken to last `ban_seconds`; markets are loaded anew every `markets_hours`;
    where requests are weighed by the minute, questions leave the part `kept_for_protection` of each to stops and exits.
    """

    request_timeout_seconds: Seconds = Decimal(10)
    keep_alive_seconds: Seconds = Decimal(10)
    stale_seconds: Seconds = Decimal(15)
    audit_seconds: Seconds = Decimal(300)
    clock_skew_ms: Milliseconds = 1000
    history_requests: Count = 8
    ban_seconds: Seconds = Decimal(600)
    markets_hours: Hours = Decimal(12)
    kept_for_protection: Ratio = Decimal("0.25")


class SimulatorConfig(Section):
    """The simulated venue, and the account of paper trading (`wallet`, fees, `slippage`, `latency_ms`, `partial_fills`).

    `candles` null is a synthetic market made from `seed` with `volatility` (1 is that of real large coins) that lists so
    many `symbols` where a universe looks for some, else a folder of candle files; `speed` is market time over real time;
    `minutes` null runs on (or to the end of the files); `wallet` in quote currency; `slippage` a ratio of the price of
    market orders; `partial_fills` lets some orders fill in pieces; `socket` is the address of a venue that runs as its own
    process.
    """

    candles: PathText | None = None
    seed: Seed = 1
    speed: Speed = Decimal(60)
    start: Moment | None = None
    minutes: Minutes | None = None
    wallet: Quote = Decimal(10_000)
    volatility: Scale = Decimal(1)
    symbols: Count = 20
    slippage: RatioOrZero = Decimal("0.0002")
    taker_fee: Fee = Decimal("0.0005")
    maker_fee: Fee = Decimal("0.0002")
    latency_ms: Milliseconds = 50
    partial_fills: Flag = False
    socket: PathText | None = None


class ExchangeConfig(Section):
    """Which venue, and how to reach it; `sandbox` is the venue's own place for play money."""

    id: Text = SIMULATOR
    sandbox: Flag = False
    loopback: LoopbackConfig | None = None
    connection: ConnectionConfig = ConnectionConfig()
    simulator: SimulatorConfig = SimulatorConfig()

    @field_validator("id")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value != SIMULATOR and value not in VENUES:
            near = did_you_mean(value, (SIMULATOR, *VENUES))
            raise ValueError(f"{shown(value)} is not a venue that livebot knows; known are {_known()}{near}")
        return value


def _known() -> str:
    return ", ".join((SIMULATOR, *VENUES))


def mode_problems(data: Mapping[str, object]) -> list[tuple[tuple[str, ...], str]]:
    """What of `mode`, `market` and `exchange` does not go together, as (place, sentence); `data` may be wrong anywhere."""
    exchange = data.get("exchange")
    section = exchange if isinstance(exchange, Mapping) else {}
    venue, mode, market = section.get("id", SIMULATOR), data.get("mode", "paper"), data.get("market")
    if mode not in ("live", "paper", "replay"):
        return []
    if venue == SIMULATOR:
        if mode == "live":
            return [(("mode",), "live needs a real exchange, and exchange.id is simulator; name one, or write paper")]
        simulator = section.get("simulator")
        played = simulator if isinstance(simulator, Mapping) else {}
        if mode == "replay" and played.get("candles") is None and played.get("socket") is None:
            return [(("mode",), "replay plays candle files; name them in exchange.simulator.candles, or write paper")]
        return []
    if venue not in VENUES or market not in ("spot", "perpetual"):
        return []
    if mode == "replay":
        return [
            (("mode",), "replay plays candle files; write exchange.id: simulator and name the files, or write paper")
        ]
    sandbox = section.get("sandbox") is True
    problem = problem_with(str(venue), str(market), mode=str(mode), sandbox=sandbox)
    found: list[tuple[tuple[str, ...], str]] = [] if problem is None else [(("exchange", "id"), problem)]
    loopback = section.get("loopback")
    if isinstance(loopback, Mapping) and loopback.get("ca_file") is None:
        found.append((("exchange", "loopback"), "ca_file is missing; it is the file that the local exchange wrote"))
    if sandbox and loopback:
        found.append((("exchange", "sandbox"), "a local exchange has no sandbox; write false, or leave loopback out"))
    return found
