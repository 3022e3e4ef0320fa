"""What a worker lets others wait for."""

import asyncio

from livebot.runtime.inbox import Activity, Ask, Failed, Inbox, Stop
from livebot.runtime.symbol.side_jobs import SideJobs
from tests.virtual_loop import run, settle


def jobs():
    activity = Activity()
    inbox = Inbox(5, activity)
    inbox.open()
    return SideJobs("BTC", inbox), inbox, activity


def test_what_comes_of_a_job_arrives_in_the_inbox():
    """And it counts as the symbol's work from the moment it is begun until it has arrived."""

    async def main() -> None:
        made, inbox, activity = jobs()

        async def work():
            await asyncio.sleep(1)
            return (Ask(), Stop())

        made.start("look", work)
        assert made.runs("look")
        assert not activity.quiet
        assert await inbox.take() == [Ask(), Stop()]
        assert asyncio.get_running_loop().time() == 1
        assert not made.runs("look")
        inbox.done()
        await settle()
        assert activity.quiet

    run(main())


def test_one_job_of_a_name_at_a_time():
    """The second is not begun; after the first has ended it can be begun again, also by who reads its result."""

    async def main() -> None:
        made, inbox, _ = jobs()
        begun = []

        async def work():
            begun.append(1)
            await asyncio.sleep(1)
            return (Ask(),)

        made.start("look", work)
        made.start("look", work)
        made.start("other", work)
        await inbox.take()
        made.start("look", work)
        await asyncio.sleep(2)
        assert len(begun) == 3

    run(main())


def test_a_job_that_fails_fails_its_worker():
    """The error comes through the inbox."""

    async def main() -> None:
        made, inbox, _ = jobs()

        async def work():
            raise ValueError("no")

        made.start("look", work)
        (item,) = await inbox.take()
        assert isinstance(item, Failed)
        assert isinstance(item.error, ValueError)

    run(main())


def test_all_end_with_the_worker():
    """Also one that had not yet begun to run; none counts as work any more."""

    async def main() -> None:
        made, inbox, activity = jobs()

        async def work():
            await asyncio.sleep(1)
            return (Ask(),)

        made.start("first", work)
        await settle()
        made.start("second", work)
        made.close()
        inbox.close()
        await settle()
        assert activity.quiet
        await asyncio.sleep(2)
        assert len(inbox) == 0

    run(main())
