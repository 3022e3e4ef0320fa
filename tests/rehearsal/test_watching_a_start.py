"""From when on a daemon that was started is held to its promises."""

import asyncio
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from livebot.rehearsal import course
from livebot.rehearsal.sights import SeenPosition, Sight
from livebot.rehearsal.verdict import LimitsTold, ProtectionWatch
from tests.virtual_loop import run

D = Decimal
BTC = "BTC/USDT:USDT"
LIMIT_S = 5.0


class Slow:
    """A daemon whose modules take `loads_s`, and that is ready `takes_s` after the start."""

    def __init__(self, loads_s: float, takes_s: float) -> None:
        self._loads_s = loads_s
        self._takes_s = takes_s

    def output(self) -> bytes:
        return b"connecting" if asyncio.get_running_loop().time() >= self._loads_s else b""

    async def said(self, *_: object) -> dict[str, str]:
        await asyncio.sleep(self._takes_s)
        return {"event": "ready"}


async def bare_throughout() -> Sight:
    held = SeenPosition(symbol=BTC, quantity=D(2), price=D(100), lot_step=D("0.1"))
    return Sight(at_s=asyncio.get_running_loop().time(), orders=(), positions=(held,), equity=D(10_000))


def course_with(monkeypatch, daemon: Slow) -> course._Course:
    """Of which only the start is of interest."""

    async def start(*_: object) -> Slow:
        return daemon

    monkeypatch.setattr(course.Child, "start", start)
    found = course._Course.__new__(course._Course)
    found.outcome = course.Outcome()
    found._plan = SimpleNamespace(root=Path(), found=SimpleNamespace(limits=LimitsTold()))
    found._arguments, found._environ = [], {}
    found._witness = SimpleNamespace(look=bare_throughout)
    found._watch, found._symbols = ProtectionWatch(LIMIT_S), (BTC,)
    found._peak_equity, found._blind_looks = D(0), 0
    return found


@pytest.mark.parametrize(("takes_s", "broken"), [(24.0, 0), (26.0, 1)])
def test_what_is_bare_counts_from_the_daemons_first_word(monkeypatch, takes_s, broken):
    """A busy machine takes long to load its modules: until then nobody watches, as before it was started."""

    async def starting():
        begun = course_with(monkeypatch, Slow(20.0, takes_s))
        await begun._start()
        return begun.outcome.verdict.broken["I3"]

    assert len(run(starting())) == broken
