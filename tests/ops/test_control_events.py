"""Server-sent events: what happens arrives as it happens, and no client is in anybody's way."""

import contextlib
import http.client
import json
import socket
import time
from dataclasses import replace
from typing import Any

import pytest

from livebot.ops.control.events import Events, EventSettings
from livebot.ports import Listener
from tests.adapters.states import a_decision, a_fact
from tests.ops.fake_control import FakeControl
from tests.ops.served import TOKEN, Served, ServedPort
from tests.virtual_loop import REAL_WAIT_S

PATIENCE_S = REAL_WAIT_S
QUICK = EventSettings(kept=8, clients_max=2, keep_alive_s=0.05, write_s=0.3)


class Stream:
    """A client that listens."""

    def __init__(self, served: ServedPort, last: str | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", served.server.port, timeout=PATIENCE_S)
        headers = {"Authorization": f"Bearer {TOKEN}"} | ({} if last is None else {"Last-Event-ID": last})
        self._connection.request("GET", "/v1/events", headers=headers)
        self.response = self._connection.getresponse()

    def lines(self) -> list[str]:
        """The lines up to an empty one; none at the end."""
        found = []
        while (line := self.response.readline().decode()).strip():
            found.append(line.rstrip("\n"))
        return found

    def next(self) -> tuple[str | None, str, Any]:
        """Id, event and data of the next event."""
        while True:
            lines = self.lines()
            assert lines, "the stream has ended"
            fields = dict(line.split(": ", 1) for line in lines)
            if "event" in fields:
                return fields.get("id"), fields["event"], json.loads(fields["data"])

    def ended(self) -> bool:
        """Whether nothing comes any more."""
        return self.response.readline() == b""

    def close(self) -> None:
        self._connection.close()
        self.response.close()


@pytest.fixture
def served():
    with ServedPort(FakeControl(), events=QUICK) as served:
        yield served


def tell(served, work):
    """On the server's loop, as the bus does."""

    async def run():
        work(served.events)

    served.run(run())


def until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# ------------------------------------------------------------------ what is told


def test_facts_decisions_the_trading_state_and_problems_arrive_in_order(served):
    stream = Stream(served)
    assert stream.response.headers["Content-Type"] == "text/event-stream"
    assert stream.lines() == ["retry: 2000"]
    denied, skipped = a_decision(), replace(a_decision(), outcome="skipped")
    tell(served, lambda events: events.hear([a_fact(sequence=7), skipped, denied]))
    tell(served, lambda events: events.problem("trading_state", "trading is HALTED: news"))
    tell(served, lambda events: events.problem("feed", None))
    found = [stream.next() for _ in range(4)]
    assert [each[0] for each in found] == ["abc-0", "abc-1", "abc-2", "abc-3"]
    assert [each[1] for each in found] == [type(a_fact()).__name__, "Decision", "TradingState", "Problem"]
    assert all(each[1] == each[2]["type"] for each in found)
    assert (found[0][2]["sequence"], found[1][2]["outcome"]) == (7, denied.outcome)
    assert found[2][2]["text"] == "trading is HALTED: news"
    assert (found[3][2]["source"], found[3][2]["text"]) == ("feed", None)
    stream.close()


def test_nothing_that_was_before_is_told_without_being_asked_for(served):
    tell(served, lambda events: events.problem("a", "before"))
    stream = Stream(served)
    until(lambda: served.events._clients)
    tell(served, lambda events: events.problem("a", "after"))
    assert stream.next()[2]["text"] == "after"
    stream.close()


def test_who_comes_back_is_told_what_happened_since(served):
    for number in range(4):
        tell(served, lambda events, number=number: events.problem("a", f"{number}"))
    stream = Stream(served, "abc-1")
    assert [stream.next()[0] for _ in range(2)] == ["abc-2", "abc-3"]
    tell(served, lambda events: events.problem("a", "4"))
    assert stream.next()[0] == "abc-4"
    stream.close()


@pytest.mark.parametrize("last", ["abc-0", "def-9", "abc-99", "abc", "abc--1", "", "0-0", "x" * 500])
def test_who_comes_back_too_late_is_told_that_something_is_missing(served, last):
    """Of another process, from before what is kept, or no id of ours at all."""
    for number in range(12):
        tell(served, lambda events, number=number: events.problem("a", f"{number}"))
    stream = Stream(served, last)
    identity, event, data = stream.next()
    assert (identity, event) == (None, "Gap")
    assert "into the journal" in data["text"]
    tell(served, lambda events: events.problem("a", "new"))
    assert stream.next()[2]["text"] == "new"
    stream.close()


@pytest.mark.parametrize("last", ["abc-3", "abc-11"])
def test_the_oldest_and_the_newest_that_is_kept_are_no_gap(served, last):
    for number in range(12):  # 4 to 11 are kept
        tell(served, lambda events, number=number: events.problem("a", f"{number}"))
    stream = Stream(served, last)
    tell(served, lambda events: events.problem("a", "12"))
    assert stream.next()[0] == ("abc-4" if last == "abc-3" else "abc-12")
    stream.close()


def test_what_cannot_be_written_is_told_as_that(served):
    """The others come all the same."""
    stream = Stream(served)
    until(lambda: served.events._clients)
    tell(served, lambda events: events._add("Odd", {"type": "Odd", "x": 2**70}))
    assert "cannot be written" in stream.next()[2]["error"]
    tell(served, lambda events: events.problem("a", "b"))
    assert stream.next()[1] == "Problem"
    stream.close()


def test_silence_is_filled_with_a_word_now_and_then(served):
    stream = Stream(served)
    stream.lines()
    assert stream.lines() == stream.lines() == [": here"]
    stream.close()


# ------------------------------------------------------------------ clients that take up room


def test_no_more_clients_than_allowed_and_one_that_leaves_makes_room(served):
    streams = [Stream(served), Stream(served)]
    until(lambda: len(served.events._clients) == 2)
    status, head, answer = served.ask("/v1/events")
    assert (status, "Retry-After: 10" in head) == (503, True)
    assert answer == {"error": "2 clients listen already; let one go, or raise control.event_clients"}
    assert served.ask("/v1/portfolio")[0] == 200
    streams.pop().close()
    until(lambda: len(served.events._clients) == 1)
    streams.append(Stream(served))
    assert streams[-1].response.status == 200
    for stream in streams:
        stream.close()


def test_a_client_that_falls_behind_is_told_so_and_sent_away(served):
    """Its last event says how far; the others go on."""
    slow, quick = Stream(served), Stream(served)
    until(lambda: len(served.events._clients) == 2)

    def burst(events: Events) -> None:
        for number in range(20):
            events.problem("a", f"{number}")

    tell(served, burst)  # at once: more than is kept, before anybody had a turn
    for stream in (slow, quick):
        identity, event, data = stream.next()
        assert (identity, event) == (None, "Dropped")
        assert data["text"] == "this client is too slow: 20 events wait, 8 are kept"
        assert stream.ended()
    until(lambda: not served.events._clients)


def test_a_client_that_takes_nothing_is_cut_off(tmp_path):
    """Nobody waits for it, and its place is free again."""
    large = "x" * 4_000
    with Served(tmp_path / "control.sock", FakeControl(), events=replace(QUICK, kept=10_000)) as served:
        caller = socket.socket(socket.AF_UNIX)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        caller.settimeout(PATIENCE_S)
        caller.connect(str(served.path))
        caller.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: served.events._clients)

        def burst(events: Events) -> None:
            for number in range(2_000):
                events.problem("a", f"{number} {large}")

        tell(served, burst)  # which would never end if it waited for who takes nothing
        until(lambda: not served.events._clients)
        assert served.client().status()["system"] == "demo"
        with contextlib.suppress(ConnectionError):
            while caller.recv(1 << 20):
                pass
        caller.close()


def test_a_stream_ends_after_its_time_and_can_be_taken_up_again():
    with ServedPort(FakeControl(), events=replace(QUICK, lifetime_s=0.5, keep_alive_s=3_600)) as served:
        for text in "ab":
            tell(served, lambda events, text=text: events.problem("a", text))
        stream = Stream(served, "abc-0")  # so that what it is to be told is there when its time begins
        last, _, data = stream.next()
        assert data["text"] == "b"
        assert stream.ended()
        tell(served, lambda events: events.problem("a", "c"))
        assert Stream(served, last).next()[2]["text"] == "c"


def test_the_end_of_the_daemon_ends_every_stream_at_once():
    hour_s = 3_600  # nobody waits for so long: what the end of the server waits for is over before
    with ServedPort(FakeControl(), events=replace(QUICK, keep_alive_s=hour_s), command_seconds=hour_s) as served:
        stream = Stream(served)
        until(lambda: served.events._clients)
    assert stream.next()[1:] == ("End", {"type": "End", "text": "livebot stops"})
    assert stream.ended()


async def test_hearing_never_waits_and_keeps_so_much_and_no_more():
    """With no client at all: what is kept is bounded, and nothing of it is written down yet."""
    made = []

    def line(ts_ms: int, what: Any) -> bytes:
        made.append(what)
        return b"{}"

    events = Events(line, lambda: 5, 1, EventSettings(kept=3))
    listener: Listener = events
    listener.hear([a_fact(sequence=number) for number in range(100)])
    assert made == []
    assert [event.what.sequence for event in events._kept if event is not None] == [99, 97, 98]


async def test_where_nobody_may_listen_nothing_is_kept():
    events = Events(lambda *_: b"{}", lambda: 5, 1, EventSettings(clients_max=0))
    events.hear([a_fact()])
    assert events._kept == [None] * len(events._kept)
