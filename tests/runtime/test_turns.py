"""Turns: few at once, and nobody is held up by who does not come to an end."""

import asyncio

from livebot.runtime.turns import Turns
from tests.virtual_loop import run


def test_so_many_at_once_and_the_others_after_them():
    async def main() -> None:
        turns, present, most = Turns(2, patience_s=60.0), 0, 0

        async def one() -> None:
            nonlocal present, most
            async with turns.take():
                present += 1
                most = max(most, present)
                await asyncio.sleep(1.0)
                present -= 1

        await asyncio.gather(*(one() for _ in range(6)))
        assert most == 2
        assert asyncio.get_running_loop().time() >= 3.0

    run(main())


def test_who_has_waited_long_enough_goes_on_without_a_turn():
    async def main() -> None:
        turns = Turns(1, patience_s=2.0)
        async with turns.take():
            begun = asyncio.get_running_loop().time()
            async with turns.take():
                waited = asyncio.get_running_loop().time() - begun
        assert 2.0 <= waited < 2.1
        async with turns.take():  # the one turn that there is was given back once
            async with asyncio.timeout(1.0):
                pass

    run(main())
