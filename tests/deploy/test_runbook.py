"""The runbook has a section for whatever calls an operator, and names only what there is."""

import ast
import json
import re
import shlex
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel
from typer.main import get_command

from livebot.adapters.ledger.fact_log import event_name
from livebot.cli.app import app
from livebot.config.alerts import EventsConfig
from livebot.config.model import Config
from livebot.core.facts import FACT_KINDS
from livebot.ops.alerts.kinds import TITLES, Kind
from livebot.ports import Decision

CHECKOUT = Path(__file__).resolve().parents[2]
DEPLOY = CHECKOUT / "deploy"
TEXT = (DEPLOY / "RUNBOOK.md").read_text()
LINE_LENGTH_MAX = 140
SHAPE = ["Money at risk", "Means.", "Done already.", "Look.", "Do.", "Do not."]
ANSWERS = r"yes|no|perhaps|little|as usual|within the open stops|see `status`"
_ROW = re.compile(r'^\| `(\w+)`(?: "([^"]+)")? \| (\w+) \| \[(\w+)\]\(#(\w+)\) \|$', re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LOG = re.compile(r"^log '([^']+)'(?: '[^']+')? *(?:# (.+))?$")


def sections() -> dict[str, str]:
    """Heading to text."""
    parts = re.split(r"^### (.+)\n", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (re.split(r"^## ", text, flags=re.MULTILINE)[0] for text in parts[2::2]), strict=True))


def rules() -> list[dict]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def table() -> dict[str, tuple[str | None, str, str]]:
    """Alert to title, weight and section."""
    rows = _ROW.findall(TEXT)
    found = {name: (title or None, weight, section) for name, title, weight, section, _ in rows}
    assert len(found) == len(rows), "each alert has one row"
    assert all(anchor == section.lower() for _, _, _, section, anchor in rows)
    return found


def code() -> list[str]:
    """Every line of code, in blocks and in sentences."""
    return [line.strip() for line in TEXT.splitlines() if line.startswith("    ")] + _SPAN.findall(TEXT)


# ---------------------------------------------------------------- sections


def test_every_rule_has_its_section_and_its_weight_in_the_table():
    for rule in rules():
        name = rule["alert"]
        assert rule["annotations"]["runbook"] == f"deploy/RUNBOOK.md#{name.lower()}"
        assert table()[name] == (None, rule["labels"]["severity"], name)


def test_every_kind_of_message_is_in_the_table_with_its_title_and_weight():
    for kind in Kind:
        title, weight, _ = table()[kind.value]
        assert (title, weight) == (TITLES[kind], EventsConfig.model_fields[kind.value].default)


def test_the_table_names_nothing_else_and_every_section_is_in_it():
    rows = table()
    assert rows.keys() == {rule["alert"] for rule in rules()} | {kind.value for kind in Kind}
    assert {section for _, _, section in rows.values()} == sections().keys()


@pytest.mark.parametrize("name", sections())
def test_every_section_has_the_one_shape(name):
    text = sections()[name]
    assert re.findall(r"^\*\*(Money at risk|[A-Z][a-z ]+\.)", text, re.MULTILINE) == SHAPE
    first = text.strip().splitlines()[0]
    assert re.match(rf"\*\*Money at risk: (?:{ANSWERS})[.,]", first), first


def test_links_lead_to_sections():
    anchors = {name.lower() for name in sections()}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors


def test_lines_are_short():
    assert [line for line in TEXT.splitlines() if len(line) > LINE_LENGTH_MAX] == []


# ---------------------------------------------------------------- what sections name


def commands() -> list[tuple[str, ...]]:
    """Every command of livebot, as the program is given it."""
    found = []
    for line in code():
        text = line.removeprefix("sudo ")
        if text.startswith("livebot-on $MARKET "):
            words = shlex.split(text, comments=True)[2:]
            root = () if words[0] == "alerts" else ("--root", "root")
            found.append((*words, "--config", "config.yaml", *root))  # as livebot-on does
        elif re.match(r"livebot [a-z]+(?! ?:)", text):
            found.append(tuple(shlex.split(text, comments=True)[1:]))
    return sorted(set(found))


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_is_one_of_the_cli_and_takes_what_it_is_given(words):
    command, left = get_command(app), [word.replace("PRICE", "61000") for word in words]
    while hasattr(command, "commands"):
        assert left[0] in command.commands, words
        command = command.commands[left.pop(0)]
    command.make_context(words[0], left)


def test_commands_are_found():
    assert {"status", "halt", "unhalt", "flatten", "restart", "adopt", "report"} <= {words[0] for words in commands()}


@cache
def logged() -> dict[str, set[str]]:
    """Every event of the log to the names of its fields."""
    found: dict[str, set[str]] = {}
    for path in (CHECKOUT / "livebot").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "_log" and node.args:
                names = {keyword.arg or "" for keyword in node.keywords}
                event = getattr(node.args[0], "value", None)
                found.setdefault(event, set()).update(names | ({"exception"} if "exc_info" in names else set()))
    told = {event_name(kind): kind for kind in FACT_KINDS}
    told |= {f"entry_{outcome}": Decision for outcome in ("denied", "refused", "skipped")}
    for event, kind in told.items():
        found[event] = {field.name for field in fields(kind)}
    return found


@pytest.mark.untraced
def test_every_event_of_the_log_is_logged_with_the_fields_that_are_named():
    seen = 0
    for line in code():
        match = _LOG.match(line)
        if match is None:
            continue
        events, remark = match[1].split("|"), (match[2] or "").partition(":")[0]
        assert set(events) <= logged().keys(), line
        known = set().union(*(logged()[event] for event in events))
        assert {name.strip() for name in remark.split(",")} - {""} <= known, line
        seen += 1
    assert seen > len(sections())


def test_every_panel_is_one_of_the_dashboard():
    panels = json.loads((DEPLOY / "grafana" / "livebot.json").read_text())["panels"]
    titles = sorted({panel["title"] for panel in panels if panel["type"] != "row"}, key=len, reverse=True)
    named = re.findall(r"^Panels?: (.+)\.$", TEXT, re.MULTILINE)
    assert named
    for text in named:
        left = text
        for title in titles:
            left = left.replace(title, "")
        assert left.strip(", ") == "", text


def models_of(annotation) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_of(part)]


def test_every_key_of_the_config_exists():
    keys = {span for span in _SPAN.findall(TEXT) if re.fullmatch(r"[a-z]+(\.[a-z_]+)+(: \w+)?", span)}
    keys = {key.partition(":")[0] for key in keys if key.partition(".")[0] in Config.model_fields}
    assert keys
    for key in keys:
        models: list[type[BaseModel]] = [Config]
        for name in key.split("."):
            known = [model.model_fields[name] for model in models if name in model.model_fields]
            assert known, key
            models = [model for field in known for model in models_of(field.annotation)]
