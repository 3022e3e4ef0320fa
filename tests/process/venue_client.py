"""What a simulated venue in its own process says, read without livebot: over its socket, and in its memory's files."""

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

_LENGTH_BYTES = 4
_TIMEOUT_S = 90.0


class VenueClient:
    """One connection that asks and is told nothing unasked."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.connect(str(path))
        self._number = 0

    def call(self, name: str, **args: object) -> Any:
        """The venue's answer.  Raises AssertionError for a refusal."""
        return self.calls([(name, args)])[0]

    def calls(self, asked: list[tuple[str, dict[str, Any]]]) -> list[Any]:
        """Several answers, in the order of the questions, which are all sent first."""
        first = self._number + 1
        for name, args in asked:
            self._number += 1
            text = json.dumps({"id": self._number, "call": name, "args": args}).encode()
            self._socket.sendall(len(text).to_bytes(_LENGTH_BYTES, "big") + text)
        answers: dict[int, Any] = {}
        while len(answers) < len(asked):
            message = self._receive()
            assert "error" not in message, message
            answers[message["id"]] = message["value"]
        return [answers[number] for number in range(first, self._number + 1)]

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _receive(self) -> dict[str, Any]:
        length = int.from_bytes(self._exactly(_LENGTH_BYTES), "big")
        message: dict[str, Any] = json.loads(self._exactly(length))
        return message

    def _exactly(self, count: int) -> bytes:
        parts = b""
        while len(parts) < count:
            part = self._socket.recv(count - len(parts))
            assert part, "the venue has hung up"
            parts += part
        return parts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Ordered:
    """An order that the venue accepted, and all its trades so far."""

    client_order_id: str
    venue_order_id: str
    symbol: str
    leg: str
    live: bool = True
    report: dict[str, Any] = field(default_factory=dict)
    fills: list[dict[str, Any]] = field(default_factory=list)

    @property
    def number(self) -> int:
        """Of the signal it belongs to, as its id says."""
        return int(self.client_order_id[-9:-3], 16)

    @property
    def attempt(self) -> int:
        return int(self.client_order_id[-2:], 16)

    @property
    def owner(self) -> str:
        """What its id begins with: the system and the (strategy, symbol)."""
        return self.client_order_id[:-9]


class VenueBooks:
    """Every order that a venue ever accepted; `refresh` brings it up to date."""

    def __init__(self, memory: Path, client: VenueClient) -> None:
        self._memory = memory
        self._client = client
        self._generation = -1
        self._read_to = 0
        self.orders: dict[str, Ordered] = {}
        self.problems: list[str] = []

    def refresh(self) -> None:
        """Read what is new in the memory, then ask for all that may have changed."""
        for record in self._new_records():
            self._take(record["request"], record["outcome"])
        open_ones = [order for order in self.orders.values() if order.live]
        asked = []
        for order in open_ones:
            args = {"symbol": order.symbol, "client_order_id": order.client_order_id}
            asked += [("order", args), ("fills", args)]
        answers = self._client.calls(asked)
        for order, report, fills in zip(open_ones, answers[::2], answers[1::2], strict=True):
            if report is None:
                self.problems.append(f"{order.client_order_id}: the venue's log has it, the venue does not know it")
                continue
            order.report, order.fills = report, fills
            # a report and the fills are two questions: what traded in between is asked for the next time
            filled = sum((Decimal(fill["quantity"]) for fill in fills), Decimal(0))
            order.live = report["status"] == "working" or filled != Decimal(report["filled"])

    def _take(self, request: dict[str, Any], venue_order_id: str) -> None:
        order_id = request["client_order_id"]
        known = self.orders.get(order_id)
        if known is None:
            self.orders[order_id] = Ordered(order_id, venue_order_id, request["symbol"], request["leg"])
        elif known.venue_order_id != venue_order_id:
            self.problems.append(f"{order_id}: accepted twice, as {known.venue_order_id} and as {venue_order_id}")

    def _new_records(self) -> Iterator[dict[str, Any]]:
        for _ in range(100):
            try:
                yield from self._read()
            except FileNotFoundError:  # a new snapshot has just replaced the log
                time.sleep(0.01)
            else:
                return
        message = f"{self._memory}: the venue's memory cannot be read"
        raise AssertionError(message)

    def _read(self) -> Iterator[dict[str, Any]]:
        generation = max(int(path.stem[4:]) for path in self._memory.glob("log-*.jsonl"))
        if generation != self._generation:
            snapshot = json.loads((self._memory / "snapshot.json").read_bytes())
            if snapshot["generation"] != generation:
                raise FileNotFoundError
            for order in snapshot["venue"]["account"]["orders"]:
                yield {"request": order["request"], "outcome": f"{order['number']:012d}"}
            self._generation, self._read_to = generation, 0
        with (self._memory / f"log-{generation:06d}.jsonl").open("rb") as log:
            log.seek(self._read_to)
            whole, end, _ = log.read().rpartition(b"\n")
        self._read_to += len(whole) + len(end)
        for line in whole.splitlines():
            record = json.loads(line)
            if record["do"] == "submit":
                yield record


def orders_in(memory: Path) -> list[Ordered]:
    """The orders of a venue that nobody hosts, as of its last snapshot."""
    snapshot = json.loads((memory / "snapshot.json").read_bytes())
    found = []
    for raw in snapshot["venue"]["account"]["orders"]:
        request = raw["request"]
        order = Ordered(request["client_order_id"], f"{raw['number']:012d}", request["symbol"], request["leg"])
        order.report, order.fills = {"status": raw["status"]}, raw["fills"]
        found.append(order)
    return found
