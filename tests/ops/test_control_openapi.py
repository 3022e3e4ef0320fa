"""The description of the control API holds every route, and nothing but the routes."""

import re

import pytest

from livebot.ops.control.app import ControlApi
from livebot.ops.control.commands import COMMANDS
from livebot.ops.control.events import Events
from livebot.ops.control.fields import SYMBOLS
from livebot.ops.control.openapi import openapi
from tests.ops.fake_control import FakeControl, a_crowd, a_signal, a_status
from tests.ops.metrics.samples import page
from tests.ops.served import Served, ServedPort

COMMAND_NAMES = {"pause", "resume", "restart", "flatten", "adopt", "dismiss", "halt", "unhalt", "reload", "log-level"}
READS = {"status", "symbols", "signals", "orders", "portfolio", "limits", "events"}


def an_api():
    control = FakeControl(present=a_status(symbols=a_crowd(3)))
    events = Events(lambda *_: b"{}", lambda: 0, 1)
    return ControlApi(control, audit=lambda *_: None, events=events, metrics=page(control).answer)


@pytest.fixture(scope="module")
def described():
    with ServedPort(FakeControl(), metrics=page(FakeControl()).answer) as served:
        status, _, answer = served.ask("/openapi.json")
        assert status == 200
        return answer


def test_each_route_stands_in_the_description_and_nothing_else_does(described):
    """What the router has, it says; what it says, the router has."""
    app = an_api().app(identify=lambda _: "me", token=True)
    routed = {(route.method, route.resource.canonical) for route in app.router.routes()}
    said = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert routed == said
    wanted = {("POST", f"/v1/{name}") for name in COMMAND_NAMES} | {("GET", f"/v1/{name}") for name in READS}
    assert said == wanted | {("GET", "/metrics"), ("GET", "/openapi.json")}


def test_what_a_body_may_hold_is_what_is_read(described):
    for command in COMMANDS:
        content = described["paths"][f"/v1/{command.name}"]["post"]["requestBody"]["content"]
        schema = content["application/json"]["schema"]
        assert list(schema["properties"]) == [field.name for field in command.fields]
        assert schema["required"] == [field.name for field in command.fields if field.required]
        assert schema["additionalProperties"] is False
    assert SYMBOLS.required


def test_every_reference_in_it_leads_somewhere(described):
    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert set(re.findall(r"'\$ref': '([^']+)'", str(described))) <= known
    assert {"#/components/schemas/SystemStatus", "#/components/schemas/Error"} <= known


def test_every_operation_has_a_name_a_summary_and_a_reason_for_each_status(described):
    operations = [each for methods in described["paths"].values() for each in methods.values()]
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names)
    for each in operations:
        assert each["summary"].endswith((".", "?"))
        assert {"200", "400", "401", "403", "405", "429", "503"} <= each["responses"].keys()
        assert all(answer["description"] for answer in each["responses"].values())


def test_the_status_is_described_key_by_key(described):
    """Also what is added to it later: it is made of the very classes."""
    schema = described["components"]["schemas"]["SystemStatus"]
    with_a_signal = a_status(symbols=(a_crowd(1)[0],))
    assert set(schema["properties"]) == {name for name in dir(with_a_signal) if not name.startswith("_")}
    signal = described["components"]["schemas"]["SignalStatus"]["properties"]
    assert set(signal) == {name for name in dir(a_signal()) if not name.startswith("_")}
    assert signal["quantity"]["anyOf"][0]["type"] == "string"


def test_only_a_port_wants_a_token(tmp_path, described):
    assert described["security"] == [{"token": []}]
    assert described["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    with Served(tmp_path / "control.sock", FakeControl()) as served:
        here = served.ask("/openapi.json")[2]
    assert "security" not in here
    assert "401" not in here["paths"]["/v1/status"]["get"]["responses"]
    assert "/metrics" not in here["paths"]  # there are none


def test_no_routes_make_a_description_of_nothing():
    assert openapi((), token=False)["paths"] == {}
