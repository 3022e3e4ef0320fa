"""Somebody watches over a symbol between two runs, and never beside one."""

import asyncio

from livebot.runtime.supervision.standby import Standby
from tests.virtual_loop import run, settle


class Guard:
    def __init__(self):
        self.watching: list[str] = []
        self.fails = False

    async def __call__(self, symbol):
        if self.fails:
            raise RuntimeError("it is no use")
        self.watching.append(symbol)
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(0)
            self.watching.remove(symbol)


def test_it_watches_from_the_failure_until_the_next_run():
    """Whoever runs next waits until it has let go."""

    async def main() -> None:
        guard = Guard()
        standby = Standby(guard)
        standby.begin("A")
        standby.begin("A")
        standby.begin("B")
        await settle()
        assert guard.watching == ["A", "B"]
        await standby.end("A")
        assert guard.watching == ["B"]
        await standby.end("A")
        await standby.close()
        assert guard.watching == []
        standby.begin("A")
        await settle()
        assert guard.watching == []

    run(main())


def test_one_that_fails_is_told_and_leaves_the_rest_to_the_next_run(logs):
    """The symbol is being restarted as it is."""

    async def main() -> None:
        guard = Guard()
        guard.fails = True
        standby = Standby(guard)
        standby.begin("A")
        await settle()
        await standby.end("A")

    run(main())
    assert [(line["event"], line["symbol"]) for line in logs] == [("standby_failed", "A")]
