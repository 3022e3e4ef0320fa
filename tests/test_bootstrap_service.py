"""What the environment says of a service manager, and who tells it of a system."""

import asyncio
import socket
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from livebot.bootstrap.service import STALE, Service
from livebot.errors import BadInput
from livebot.runtime.operator.service_watch import STALE_S, ServiceWatch
from tests.runtime.harness import World, never, run


@pytest.mark.parametrize("text", ["soon", "0", "-5", "inf", "nan", "1e999"])
def test_a_bound_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=f"{STALE} is '{text}'.*600"):
        Service({STALE: text})


@pytest.mark.parametrize(("environ", "stale_s"), [({}, STALE_S), ({STALE: " "}, STALE_S), ({STALE: "90.5"}, 90.5)])
def test_how_long_a_silent_feed_is_bearable(environ: dict[str, str], stale_s: float) -> None:
    assert Service(environ)._stale_s == stale_s


def test_where_nobody_listens_nobody_tells() -> None:
    process = World(strategies={"never": never}).process()
    assert Service({}).watch(process.system, process.shutdown) == []


def test_a_system_is_told_of_with_its_problems(tmp_path: Path) -> None:
    heard = []

    async def main() -> None:
        process = World(strategies={"never": never}, speed=60).process()
        (task,) = Service({"NOTIFY_SOCKET": f"{tmp_path}/notify"}).watch(process.system, process.shutdown)
        await process.until_ready()
        await asyncio.sleep(1)
        process.problems.report("portfolio", "it is deaf")
        await asyncio.sleep(6)
        await process.end()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"{tmp_path}/notify")
        run(main())
        listener.setblocking(False)
        try:
            while True:
                heard.append(listener.recv(65_536).decode())
        except BlockingIOError:
            pass
    assert heard[:2] == ["EXTEND_TIMEOUT_USEC=300000000", "STATUS=starting; connecting to the venue"]
    assert "READY=1" in heard
    assert any(each.startswith("STATUS=NO PROGRESS") and "it is deaf" in each for each in heard)


def test_a_reload_is_told_to_who_listens_and_nobody_misses_it_where_nobody_does(tmp_path: Path) -> None:
    heard = []

    async def main() -> None:
        process = World(strategies={"never": never}, speed=60).process()
        deaf, service = Service({}), Service({"NOTIFY_SOCKET": f"{tmp_path}/notify"})
        (task,) = service.watch(process.system, process.shutdown)
        await process.until_ready()
        for each in (deaf, service):
            each.reloading()
            each.reloaded("reloaded config.yaml: a 1 -> 2")
        await process.end()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"{tmp_path}/notify")
        run(main())
        listener.setblocking(False)
        try:
            while True:
                heard.append(listener.recv(65_536).decode())
        except BlockingIOError:
            pass
    (begun,) = (place for place, each in enumerate(heard) if each.startswith("RELOADING=1\nMONOTONIC_USEC="))
    told = next(place for place, each in enumerate(heard) if each.startswith("STATUS=reloaded config.yaml: a 1 -> 2"))
    assert begun < told < heard.index("READY=1", begun)


def test_a_watch_that_fails_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def fail(self) -> None:
        message = "nobody foresaw this"
        raise ArithmeticError(message)

    monkeypatch.setattr(ServiceWatch, "run", fail)

    async def main() -> None:
        process = World(strategies={"never": never}).process()
        tasks = Service({"NOTIFY_SOCKET": f"{tmp_path}/notify"}).watch(process.system, process.shutdown)
        await asyncio.gather(*tasks, return_exceptions=True)

    with capture_logs() as logs:
        run(main())
    assert logs[-1]["event"] == "service_watch_failed"
