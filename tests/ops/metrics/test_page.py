"""The text that Prometheus reads: whole, shared by who asks at once, and made in pieces."""

import asyncio
import time
from types import SimpleNamespace

import psutil
import pytest
from prometheus_client import exposition

from livebot.errors import Fatal
from livebot.ops.metrics import page as page_module
from livebot.ops.metrics.process import process_families
from tests.ops.fake_control import FakeControl, a_crowd, a_status
from tests.ops.metrics.samples import page, read, some_measurements
from tests.virtual_loop import run


class Counting(FakeControl):
    """Counts how often it is asked."""

    asked_for = 0

    def status(self):
        self.asked_for += 1
        return super().status()


def test_it_has_what_the_daemon_knows_and_what_its_process_takes():
    found = read(asyncio.run(page().text()))
    assert found["livebot_open_signals",] == 0
    assert found["process_resident_memory_bytes",] > 1e6
    assert found["process_virtual_memory_bytes",] >= found["process_resident_memory_bytes",]
    assert found["process_cpu_seconds_total",] > 0
    assert 0 < found["process_open_fds",] < found["process_max_fds",]
    assert found["process_resident_memory_bytes",] == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)


def test_what_the_system_does_not_tell_is_left_out(tmp_path):
    """Elsewhere there is no /proc, and here it may be hidden."""
    names = [family.name for family in process_families(tmp_path)]
    assert names == ["process_cpu_seconds", "process_max_fds"]


def test_its_type_is_the_text_format_that_prometheus_wants():
    answer = asyncio.run(page().answer(SimpleNamespace()))
    assert answer.headers["Content-Type"] == exposition.CONTENT_TYPE_PLAIN_0_0_4
    assert answer.body.startswith(b"# HELP livebot_build_info ")
    assert answer.body.endswith(b"\n")


def test_all_who_ask_at_once_get_one_text():
    async def scenario():
        control = Counting()
        made = page(control)
        texts = await asyncio.gather(*(made.text() for _ in range(20)))
        return control.asked_for, len(set(texts))

    assert asyncio.run(scenario()) == (1, 1)


def test_who_asks_again_soon_gets_the_same_and_later_a_new_one():
    async def scenario():
        control = Counting()
        made = page(control, fresh_s=0.2)
        await made.text()
        await made.text()
        soon = control.asked_for
        await asyncio.sleep(0.25)
        await made.text()
        return soon, control.asked_for

    assert run(scenario()) == (1, 2)


def test_who_hangs_up_takes_it_from_nobody():
    async def scenario():
        made = page(fresh_s=5.0)
        gone, stays = (asyncio.create_task(made.text()) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert b"livebot_ready" in asyncio.run(scenario())


def test_after_a_failure_it_is_made_anew():
    async def scenario():
        control = Counting(raises=Fatal("the ledger is gone"))
        made = page(control, fresh_s=60.0)
        with pytest.raises(Fatal, match="ledger"):
            await made.text()
        control.raises = None
        return await made.text()

    assert b"livebot_ready" in asyncio.run(scenario())


def test_others_have_their_turn_while_it_is_made(monkeypatch):
    """Here after every family, for the clock jumps."""
    monkeypatch.setattr(page_module, "perf_counter", iter(range(10_000)).__next__)
    turns = 0

    async def others():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def scenario():
        beside = asyncio.create_task(others())
        text = await page(FakeControl(a_status(symbols=a_crowd(500)))).text()
        beside.cancel()
        return len(read(text))

    assert asyncio.run(scenario()) > 100
    assert turns > 30


def test_500_symbols_with_series_of_their_own_hold_nobody_up_for_long():
    """A generous bound, of the processor's time: the benchmark `scrape` measures."""

    async def scenario():
        made = page(FakeControl(a_status(symbols=a_crowd(500))), lambda: some_measurements(), symbols_max=500)
        began = time.thread_time()
        await made.text()
        return time.thread_time() - began

    assert asyncio.run(scenario()) < 1.0
