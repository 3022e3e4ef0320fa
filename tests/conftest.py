"""What holds for every test."""

import decimal
import fcntl
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.daemons import Launcher


@pytest.fixture(autouse=True)
def decimals_round_as_ever():
    """Stock ccxt, which some tests use, changes how its thread's decimals round."""
    with decimal.localcontext(decimal.DefaultContext):
        yield


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    """One for all tests of a worker: it takes more than a second to start, and a daemon by itself as much again."""
    with Launcher() as made:
        yield made


def pytest_configure() -> None:
    """A shell has what it starts in the background ignore Ctrl-C, and children would do so too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """In a new checkout one worker rewrites a module's asserts, which is dear; the others wait and read what it wrote."""
    if not isinstance(collector, pytest.Module) or sys.dont_write_bytecode or _is_rewritten(collector.path):
        return (yield)
    with Path(__file__).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_rewritten(collector.path):
            fcntl.flock(lock, fcntl.LOCK_UN)
        return (yield)


def _is_rewritten(module: Path) -> bool:
    return any((module.parent / "__pycache__").glob(f"{module.stem}.*-pytest-*.pyc"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first: they mostly wait, and the others fill the time."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Without coverage if it is marked as `untraced`: tracing makes what it calls two to three times as slow."""
    if item.get_closest_marker("untraced") is None:
        return (yield)
    before = sys.gettrace()
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(before)
