"""The dashboard and the alert rules ask for what the daemon exports, and say what an operator needs."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from livebot.core.denial import DenialCode
from tests.benchmarks.frame import CHECKOUT
from tests.ops.metrics.samples import page, read

DASHBOARD = CHECKOUT / "deploy" / "grafana" / "livebot.json"
ALERTS = CHECKOUT / "deploy" / "prometheus" / "alerts.yml"
CASES = CHECKOUT / "tests" / "ops" / "metrics" / "alert_cases.yml"
PROMETHEUS_OWN = {"up"}
PROMTOOL = shutil.which("promtool", path=os.pathsep.join((str(Path(sys.executable).parent), *os.get_exec_path())))
_NOT_METRICS = re.compile(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)')
_WORD = re.compile(r"\b[a-z_][a-z0-9_]*\b(?!\s*\()")
_SELECTOR = re.compile(r"([a-z_]+)\{([^}]*)\}")
_LABEL = re.compile(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"')


@pytest.fixture(scope="module")
def exported():
    """Name to label name to values."""
    found = {}
    for name, *labels in read(asyncio.run(page().text())):
        values = found.setdefault(name, {"system": {"demo"}})
        for label, value in labels:
            values.setdefault(label, set()).add(value)
    return found


def rules():
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard():
    return json.loads(DASHBOARD.read_text())


def expressions():
    found = [(rule["alert"], rule["expr"]) for rule in rules()]
    made = dashboard()
    for panel in made["panels"]:
        found += [(panel["title"], target["expr"]) for target in panel.get("targets", ())]
    found += [(each["name"], each["expr"]) for each in made["annotations"]["list"] if "expr" in each]
    variables = [each["definition"] for each in made["templating"]["list"] if each["type"] == "query"]
    return found + [("system", text.removeprefix("label_values(").partition(",")[0]) for text in variables]


def metrics_in(expression):
    """The names of metrics in a PromQL expression."""
    return set(_WORD.findall(_NOT_METRICS.sub(" ", expression)))


def test_names_are_found_in_expressions():
    """The finder itself."""
    text = 'sum by (le) (rate(a_b_bucket{x="y_z"}[5m])) > 0.5 / on (q) up{job="z"} and c_d'
    assert metrics_in(text) - {"and"} == {"a_b_bucket", "up", "c_d"}


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_every_expression_asks_for_what_is_exported(exported, where, expression):
    names = metrics_in(expression)
    assert names, where
    assert names <= exported.keys() | PROMETHEUS_OWN


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_every_label_in_an_expression_exists_with_that_value(exported, where, expression):
    wide = {"reason": {code.value for code in DenialCode}, "limit": {"daily_loss", "drawdown", "loss_limit"}}
    for name, inside in _SELECTOR.findall(expression):
        for label, value in _LABEL.findall(inside):
            if name in PROMETHEUS_OWN:
                continue
            assert label in exported[name], (where, name, label)
            known = exported[name][label] | wide.get(label, set())
            for each in value.split("|"):
                assert each in known | {"", "$system", "Idle", "gross_exposure"}, (where, name, label, each)


# ------------------------------------------------------------------ alerts


def test_every_rule_says_how_bad_it_is_and_what_to_do():
    seen = set()
    for rule in rules():
        name = rule["alert"]
        assert name not in seen
        seen.add(name)
        assert re.fullmatch(r"Livebot[A-Z][A-Za-z]+", name)
        assert re.fullmatch(r"\d+[smh]", str(rule["for"]))
        assert rule["labels"] == {"severity": rule["labels"]["severity"]}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        summary = rule["annotations"]["summary"]
        assert "{{ $labels.system }}" in summary or "{{ $labels.instance }}" in summary
        assert rule["annotations"]["runbook"] == f"deploy/RUNBOOK.md#{name.lower()}"


def test_what_an_operator_must_be_told_of_has_a_rule():
    critical = {rule["alert"] for rule in rules() if rule["labels"]["severity"] == "critical"}
    every = {rule["alert"] for rule in rules()}
    assert critical >= {
        "LivebotDown",
        "LivebotNotReady",
        "LivebotHalted",
        "LivebotUnprotectedPosition",
        "LivebotOrderUnknown",
        "LivebotAllCandlesStale",
        "LivebotQuarantined",
    }
    assert every >= {
        "LivebotCandlesStale",
        "LivebotLoopLag",
        "LivebotLimitNearlyUsed",
        "LivebotWorkersRestart",
        "LivebotSavesSlow",
        "LivebotRateLimited",
    }


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool: `make promtool` fetches it")
@pytest.mark.parametrize("arguments", [("check", "rules", str(ALERTS)), ("test", "rules", str(CASES))])
def test_promtool_finds_nothing_wrong(arguments):
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_a_case_in_which_it_fires():
    """The cases themselves are run by promtool."""
    cases = yaml.safe_load(CASES.read_text())["tests"]
    fired = {each["alertname"] for case in cases for each in case["alert_rule_test"] if each["exp_alerts"]}
    assert fired == {rule["alert"] for rule in rules()}


# ------------------------------------------------------------------ dashboard


def test_the_dashboard_is_a_whole_one():
    made = dashboard()
    assert (made["title"], made["uid"], made["id"]) == ("livebot", "livebot", None)
    assert made["schemaVersion"] >= 36
    assert [each["name"] for each in made["templating"]["list"]] == ["datasource", "system"]
    assert "__inputs" not in made or made["__inputs"] == []
    ids = [panel["id"] for panel in made["panels"]]
    assert len(ids) == len(set(ids))


def test_every_panel_takes_its_data_from_the_variables():
    for panel in dashboard()["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert 'system="$system"' in target["expr"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))


def test_panels_lie_side_by_side():
    taken = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_first_row_answers_whether_one_is_safe():
    titles = [panel["title"] for panel in dashboard()["panels"] if panel["gridPos"]["y"] == 1]
    assert titles == [
        "Trading state",
        "Ready",
        "Unprotected",
        "Unknown orders",
        "Problems",
        "Equity",
        "Day PnL",
        "Exposure vs limit",
    ]
