"""A daemon whose model never comes back: it says which, trades what others judge, stops in its time and loses nothing."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from livebot.ops.control.client import ControlClient
from tests import trained_models
from tests.process import daemons, hanging
from tests.process.daemons import SYMBOLS, Daemon, Launcher, Root, VenueProcess
from tests.process.truth import Looks, Truth
from tests.process.venue_client import VenueClient

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

SHUTDOWN_S = 40  # a stop takes but a second or two of it, unless it waits for something
MODELS_S = 2.0  # what the end grants a model beside that
OPTIONS = ("--speed", "600", "--volatility", "3", "--wallet", "1000000")


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with Launcher() as made:
        yield made


def config_of(venue: VenueProcess, hang_s: float) -> dict[str, Any]:
    return daemons.config_of(
        exchange={"id": "simulator", "simulator": {"socket": str(venue.socket)}},
        strategies=[{"class": f"tests.process.strategies:{name}"} for name in ("Eager", "Resting")],
        runtime={"history": 60, "shutdown_seconds": SHUTDOWN_S},
        execution={"unknown_poll_seconds": 0.05},
        model={
            "estimator": {"name": hanging.ESTIMATOR},
            "threshold": 0.01,
            "serving": {"deadline_ms": 500, "hang_seconds": hang_s},
        },
    )


def count(daemon: Daemon, strategy: str) -> int:
    return sum(line["strategy"] == strategy for line in daemon.happened("signal_opened"))


def until_opened(daemon: Daemon, strategy: str) -> None:
    known, deadline = count(daemon, strategy), time.monotonic() + daemons.PATIENCE_S
    while count(daemon, strategy) <= known:
        assert time.monotonic() < deadline, daemon.tail()
        time.sleep(0.02)


def until_refused(client: ControlClient) -> None:
    known, deadline = client.status()["counts"].get("refused", 0), time.monotonic() + daemons.PATIENCE_S
    while client.status()["counts"].get("refused", 0) <= known:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("how", "hang_s"), [pytest.param("sleep", 600, id="asleep-and-waited-for"), pytest.param("spin", 5, id="spinning")]
)
def test_a_model_that_hangs_does_not_hold_up_the_stop(
    tmp_path: Path, launcher: Launcher, how: str, hang_s: float
) -> None:
    """Asked while it is waited for, or long given up; exit code 0, and what was open is taken up again."""
    stuck = tmp_path / "stuck"
    with VenueProcess(tmp_path / "venue", *OPTIONS) as venue, VenueClient(venue.socket) as client:
        root = Root(tmp_path / "root", config_of(venue, hang_s))
        truth = Truth(Looks(root.folder, venue.memory, "process-test", ("eager", "resting"), SYMBOLS), client)
        models = root.folder / "models"
        name = hanging.save(models, trained_models.rows(SYMBOLS, strategy="eager"), stuck, how)
        trained_models.save(models, trained_models.rows(SYMBOLS, strategy="resting"))
        with launcher.start(root) as daemon:
            daemon.until_ready()
            until_opened(daemon, "eager")
            control = ControlClient(root.folder / "state" / "control.sock")
            stuck.touch()
            until_refused(control)
            if hang_s < 600:
                assert daemon.wait_for("model_hangs")["model"] == name
                assert [
                    each for each in control.status()["problems"] if name in each and "livebot models rollback" in each
                ]
                until_opened(daemon, "resting")  # another model goes on
            asked = time.monotonic()
            daemon.send(signal.SIGINT)
            assert daemon.wait() == 0, daemon.tail()
            took_s = time.monotonic() - asked
            if hang_s == 600:
                assert [line["models"] for line in daemon.happened("models_not_waited_for")] == [[name]]
        assert took_s < SHUTDOWN_S + MODELS_S
        assert truth.after_death() == []
        assert root.report.exists()
        stuck.unlink()
        with launcher.start(root) as again:
            again.until_ready()
            assert truth.alive(daemons.PATIENCE_S) == []
            until_opened(again, "eager")
            again.send(signal.SIGINT)
            assert again.wait() == 0, again.tail()
        assert truth.after_death() == []
