"""Waiting for those who compare themselves with the venue, and adding up what they changed."""

import asyncio

from livebot.runtime.venue.comparisons import Comparisons
from livebot.runtime.venue.reconcile import Changes
from tests.runtime.samples import BTC, ETH
from tests.virtual_loop import run


def test_it_is_finished_when_all_that_were_asked_have_compared_themselves():
    """In any order; nobody asked is finished at once."""

    async def main() -> None:
        made, loop = Comparisons(), asyncio.get_running_loop()
        made.begin()
        await made.finished(5)
        assert loop.time() == 0
        made.expect(BTC)
        made.expect(ETH)
        loop.call_later(1, made.compared, ETH, Changes(fills=1))
        loop.call_later(2, made.compared, BTC, Changes(orders=1))
        await made.finished(5)
        assert loop.time() == 2
        assert made.take() == Changes(orders=1, fills=1)
        assert made.take() == Changes()

    run(main())


def test_who_never_does_is_not_waited_for_longer_than_so_long():
    """Nor again the next time."""

    async def main() -> None:
        made, loop = Comparisons(), asyncio.get_running_loop()
        made.expect(BTC)
        await made.finished(5)
        assert loop.time() == 5
        await made.finished(5)
        assert loop.time() == 5
        made.expect(BTC)
        made.begin()
        await made.finished(5)
        assert loop.time() == 5

    run(main())
