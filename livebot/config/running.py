"""The `execution`, `runtime` and `control` sections: each bound on waiting, retrying and queueing by name.

Rules of this file: the unit stands last in the name; a first wait never exceeds the longest one.
"""

from decimal import Decimal
from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, model_validator

from livebot.config.problems import Mismatch, shown
from livebot.config.section import Section
from livebot.config.values import (
    Count,
    CountOrZero,
    Flag,
    Milliseconds,
    PathText,
    Port,
    RatioOrZero,
    Seconds,
    SecondsOrZero,
)


def _check_backoff(name: str, first: Decimal, most: Decimal) -> None:
    if first > most:
        raise Mismatch((f"{name}_seconds", f"{first} is above {name}_maximum_seconds ({most}); lower it"))


class ExecutionConfig(Section):
    """How orders are sent, asked for and protected.

    An order without an answer after `order_timeout_seconds` is asked for, again after `unknown_poll_seconds` and then
    after twice the wait each time; a call that changed nothing is repeated `retries` times, waiting from
    `retry_backoff_seconds`, doubled each time, to `retry_backoff_maximum_seconds`; a position without a stop is
    closed after `unprotected_seconds`, or after `protection_attempts` refused stops; venue and files are compared
    every `reconcile_seconds`; the venue's list of positions or coins may be `positions_lag_seconds` behind its trades, so
    that what differs is acted on only once it has stood for so long (or for the venue's receive window, if that is longer);
    a change of the wallet that our trades do not explain is told from `wallet_tolerance` (a ratio of the wallet) on.

    `entry` market sends entries as the strategies say; limit lets what a strategy would enter at the market rest
    `limit_offset` on the better side of the price for `limit_timeout_seconds`.  What has not filled then is priced anew
    from the present close, at most `limit_reprices` times (0: never) and never worse than the first price by more than
    `limit_chase`; then it is cancelled.  The size is that of the worst price allowed, so that no limit is exceeded.
    `post_only` lets no limit entry take: one that the venue refuses for that is priced anew like one whose time is over.
    A stop or target is changed at most once in `amend_interval_seconds`, except a stop that is too small.
    """

    order_timeout_seconds: Seconds = Decimal(10)
    unprotected_seconds: Seconds = Decimal(5)
    unknown_poll_seconds: Seconds = Decimal(1)
    retries: CountOrZero = 3
    retry_backoff_seconds: Seconds = Decimal("0.5")
    retry_backoff_maximum_seconds: Seconds = Decimal(10)
    protection_attempts: Count = 3
    reconcile_seconds: Seconds = Decimal(60)
    positions_lag_seconds: Seconds = Decimal(10)
    wallet_tolerance: RatioOrZero = Decimal("0.001")
    entry: Literal["market", "limit"] = "market"
    limit_offset: RatioOrZero = Decimal("0.0005")
    limit_timeout_seconds: Seconds = Decimal(120)
    limit_reprices: CountOrZero = 0
    limit_chase: RatioOrZero = Decimal("0.002")
    post_only: Flag = False
    amend_interval_seconds: SecondsOrZero = Decimal(1)

    @model_validator(mode="after")
    def _backoff_grows(self) -> Self:
        _check_backoff("retry_backoff", self.retry_backoff_seconds, self.retry_backoff_maximum_seconds)
        return self

    @model_validator(mode="after")
    def _limit_entries_can_work(self) -> Self:
        found = []
        if self.entry == "market":
            given = sorted(key for key in self.model_fields_set if key.startswith("limit_"))
            found += [(key, "means nothing for entry: market; take it out or write entry: limit") for key in given]
        elif self.post_only and not self.limit_offset:
            found.append(("limit_offset", "0 with post_only: the venue would refuse each entry; set it above 0"))
        if self.entry == "limit" and self.limit_reprices and not self.limit_chase:
            found.append(("limit_chase", "0 with limit_reprices: no entry could go after the price; set it above 0"))
        if found:
            raise Mismatch(*found)
        return self


class RestartsConfig(Section):
    """A symbol that fails comes back after a backoff; more than `maximum` times in `window_seconds` is quarantine."""

    maximum: CountOrZero = 5
    window_seconds: Seconds = Decimal(600)
    backoff_seconds: Seconds = Decimal(1)
    backoff_maximum_seconds: Seconds = Decimal(60)

    @model_validator(mode="after")
    def _backoff_grows(self) -> Self:
        _check_backoff("backoff", self.backoff_seconds, self.backoff_maximum_seconds)
        return self


class LedgerConfig(Section):
    """The ledger's writer: `queue_size` rows may wait, beyond that nothing opens; `batch_size` rows a write.

    After `retries` failed attempts the operator is told; attempts never end.  A start, which has to read it before
    anything else, gives up after `start_seconds`.
    """

    queue_size: Count = 20_000
    batch_size: Count = 500
    retries: CountOrZero = 3
    backoff_seconds: Seconds = Decimal("0.2")
    backoff_maximum_seconds: Seconds = Decimal(15)
    start_seconds: Seconds = Decimal(120)

    @model_validator(mode="after")
    def _backoff_grows(self) -> Self:
        _check_backoff("backoff", self.backoff_seconds, self.backoff_maximum_seconds)
        return self


class RuntimeConfig(Section):
    """How symbols run.

    sequential: one symbol at a time, the next one after `signals_per_symbol` closed signals (null: never by itself);
    `max_concurrent_symbols` null is all at once.  `queue_size` bounds what waits for one symbol, `bus_queue_size` for
    one listener; a listener that fails `listener_failures` times in a row, or takes longer than
    `listener_deadline_seconds`, is told to the operator, as is a strategy call above `slow_call_ms`.  A round waits
    `context_deadline_ms` for the candles of the other symbols; a stop takes at most `shutdown_seconds`; `history`
    closed candles are loaded per timeframe; `write_threads` save state files; a start waits `start_disk_seconds` for a
    disk that takes nothing.
    """

    mode: Literal["parallel", "sequential"] = "parallel"
    signals_per_symbol: Count | None = 10
    max_concurrent_symbols: Count | None = None
    queue_size: Count = 1000
    bus_queue_size: Count = 10_000
    listener_failures: Count = 3
    listener_deadline_seconds: Seconds = Decimal(10)
    ledger: LedgerConfig = LedgerConfig()
    restarts: RestartsConfig = RestartsConfig()
    slow_call_ms: Milliseconds = 50
    context_deadline_ms: Milliseconds = 2000
    shutdown_seconds: Seconds = Decimal(20)
    history: Count = 600
    start_disk_seconds: SecondsOrZero = Decimal(60)
    write_threads: Count = 4


def _address(value: object) -> str:
    try:
        if isinstance(value, str):
            return str(ip_address(value))
    except ValueError:
        pass
    raise ValueError(f"must be the address of a network interface such as 127.0.0.1 or ::1, is {shown(value)}")


class ControlHttpConfig(Section):
    """The control API on a port of this machine, for who holds the token, LIVEBOT_CONTROL_TOKEN.

    `host` is the loopback, 127.0.0.1 or ::1, and nothing else: from another machine, come through `ssh -L`.
    """

    port: Port
    host: Literal["127.0.0.1", "::1"] = "127.0.0.1"


class ControlConfig(Section):
    """Where the operator's commands reach the daemon; `socket` null is control.sock in the state folder.

    A command is answered within `command_seconds`; at most `connections` may be open at once.  `http` (null: none) serves
    the same on a loopback port.  `event_clients` (0: none) may listen to events at once, of which the last `events_kept`
    are there for who comes back; the answers to the last `keys_kept` Idempotency-Keys are kept.

    Metrics for Prometheus are at GET /metrics of the socket, and with `metrics_port` at that port of `metrics_address`
    too: whoever reaches it reads what is open and what it is worth, so leave it at a loopback address unless a firewall
    lets in nobody but Prometheus.  Series by symbol are told of at most `metrics_symbols`; a system of more has maximum
    and median only.
    """

    socket: PathText | None = None
    command_seconds: Seconds = Decimal(30)
    connections: Count = 16
    http: ControlHttpConfig | None = None
    event_clients: CountOrZero = 4
    events_kept: Count = 5_000
    keys_kept: Count = 256
    metrics_port: Port | None = None
    metrics_address: Annotated[str, BeforeValidator(_address)] = "127.0.0.1"
    metrics_symbols: CountOrZero = 100

    @model_validator(mode="after")
    def _address_is_used(self) -> Self:
        if "metrics_address" in self.model_fields_set and self.metrics_port is None:
            raise Mismatch(("metrics_address", "means nothing without metrics_port; set that too, or take this out"))
        return self

    @model_validator(mode="after")
    def _there_is_room(self) -> Self:
        found = []
        if self.http is not None and self.http.port == self.metrics_port:
            found.append(("http", f"port {self.metrics_port} is metrics_port already; choose another one for either"))
        if "event_clients" in self.model_fields_set and self.event_clients >= self.connections:
            text = f"{self.event_clients} would leave no connection for a halt; lower it below connections ({self.connections})"
            found.append(("event_clients", text))
        if found:
            raise Mismatch(*found)
        return self
