"""Metrics on the control socket."""

import pytest

from tests.ops.fake_control import FakeControl
from tests.ops.metrics.samples import page, read
from tests.ops.served import Served


@pytest.fixture
def served(tmp_path):
    control = FakeControl()
    with Served(tmp_path / "control.sock", control, metrics=page(control).answer) as served:
        yield served


def asked(served, method="GET", target="/metrics"):
    head, _, body = served.send(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body


def test_they_are_served_there_too(served):
    status, head, body = asked(served)
    assert status == 200
    assert "text/plain; version=0.0.4" in head
    assert read(body)["livebot_equity",] == 10034.51
    assert served.audited == []  # it only reads


def test_nothing_but_get_is_taken(served):
    assert served.post("/metrics", b"{}") == (405, {"error": "/metrics takes GET, not POST"})


def test_where_there_are_none_it_says_so(tmp_path):
    with Served(tmp_path / "control.sock", FakeControl()) as served:
        assert asked(served)[0] == 404
