"""A real daemon tells a real webhook what happens to it; secrets stay where they belong."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.webhook import Webhook
from tests.process import daemons
from tests.process.daemons import PATIENCE_S, Root

pytestmark = [pytest.mark.process, pytest.mark.untraced, pytest.mark.timeout(600)]

PLANTED = ("Pl4ntedPassw0rd", "Pl4ntedT0ken")
PHONE, PAGER = "LIVEBOT_ALERT_PHONE", "LIVEBOT_ALERT_PAGER"


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with Webhook() as made:
        yield made


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Trades on a venue of its own; the pager is broken."""
    alerts = {
        "channels": [{"name": "phone", "url_from": PHONE}, {"name": "pager", "url_from": PAGER, "minimum": "critical"}],
        "gather_seconds": 0.1,
        "grace_seconds": 0,
        "backoff_seconds": 0.1,
        "timeout_seconds": 60,
        "drain_seconds": 15,  # all of it is waited, for the pager
        "messages_per_minute": 600,
    }
    return Root(tmp_path / "root", daemons.config_of(alerts=alerts))


def environment(hook: Webhook) -> dict[str, str]:
    """Secrets in every place that a URL has for them."""
    password, token = PLANTED
    url = hook.url(token).replace("://", f"://user:{password}@")
    return {PHONE: url, PAGER: f"json://user:{password}@127.0.0.1:1/{token}?x={token}", "LIVEBOT_LOG_LEVEL": "debug"}


def wait_for(hook: Webhook, *texts: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not all(text in hook.text for text in texts):
        assert time.monotonic() < deadline, hook.text
        time.sleep(0.02)


def written(root: Root) -> Iterator[tuple[str, str]]:
    """Everything that the daemon left behind: its log, state files, ledger, journal, report."""
    for path in root.folder.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(root.folder)), path.read_bytes().decode("utf-8", "replace")


def test_closes_and_a_halt_arrive_and_no_secret_leaks(root: Root, hook: Webhook):
    """A broken channel changes nothing of it, and is told over the one that works."""
    extra = environment(hook)
    with daemons.start(root, extra=extra, measured=False) as daemon:
        daemon.until_ready()
        wait_for(hook, "the daemon runs: perpetual on simulator", " opened ", " closed ")
        halted = daemons.livebot("halt", "--reason", "enough", cwd=root.folder, extra=extra)
        assert halted.returncode == 0, halted.stderr
        wait_for(hook, "trading is HALTED: enough.  Nothing opens, over any restart;", "alerts to pager fail: ")
        said = daemons.livebot("status", "--json", cwd=root.folder, extra=extra)
        assert any("alerts to pager fail: " in each for each in json.loads(said.stdout)["problems"])
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    assert "the daemon stops (SIGTERM)" in hook.text
    left = dict(written(root)) | {"status": said.stdout + said.stderr, "sent": json.dumps(hook.taken)}
    leaks = [name for name, text in left.items() for secret in PLANTED if secret in text]
    assert leaks == []
    assert "alert_not_sent" in left["daemon.log"]  # what the pager should have told


def test_the_command_tries_each_channel(root: Root, hook: Webhook):
    extra = environment(hook)
    both = daemons.livebot("alerts", "test", cwd=root.folder, extra=extra)
    assert both.returncode == 3
    phone, pager = both.stdout.splitlines()
    assert phone.startswith("phone: sent in ")
    assert pager.startswith("pager: failed: ")
    one = daemons.livebot("alerts", "test", "--channel", "phone", "--json", cwd=root.folder, extra=extra)
    assert one.returncode == 0
    assert [(each["channel"], each["arrived"], each["why"]) for each in json.loads(one.stdout)["channels"]] == [
        ("phone", True, None)
    ]
    none = daemons.livebot("alerts", "test", "--channel", "fax", cwd=root.folder, extra=extra)
    assert (none.returncode, none.stderr.strip()) == (2, "alerts: there is no channel fax; there is phone, pager")
    bad = daemons.livebot("check", cwd=root.folder, extra=extra | {PAGER: f"nothing://{PLANTED[0]}"})
    assert bad.returncode == 2 and "pager: URL 1 is not one that apprise understands" in bad.stdout
    said = "".join(each.stdout + each.stderr for each in (both, one, none, bad))
    assert not [secret for secret in PLANTED if secret in said]
    assert len(hook.taken) == 2


def test_who_only_asks_does_not_wait_for_apprise(tmp_path: Path):
    """It takes two seconds to load."""
    extra = {"PYTHONPROFILEIMPORTTIME": "1"}
    said = daemons.livebot("alerts", "--help", cwd=tmp_path, extra=extra)
    assert said.returncode == 0 and "test" in said.stdout
    assert "apprise" not in said.stderr
