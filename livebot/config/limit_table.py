"""The table of all limits in the README, made of the config's own fields.

Rules of this file: a limit is whatever field says its unit and the code of its denials; nothing is written here that stands there.
"""

from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from livebot.config.limits import LimitsConfig
from livebot.config.risk import RiskConfig

BEGIN = "<!-- limits: begin, made by livebot.config.limit_table -->"
END = "<!-- limits: end -->"

_HEAD = ("| Key | Unit | Default | Denial code | What it counts |", "|---|---|---|---|---|")


def limit_table() -> str:
    """The table as Markdown, one row for each limit."""
    rows = [
        _row(f"{prefix}.{name}", field)
        for prefix, section in (("risk.limits", LimitsConfig), ("risk", RiskConfig))
        for name, field in section.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and "denial" in field.json_schema_extra
    ]
    return "\n".join((*_HEAD, *rows))


def _row(key: str, field: FieldInfo) -> str:
    extra: Any = field.json_schema_extra
    return f"| `{key}` | {extra['unit']} | {_shown(field.default)} | `{extra['denial']}` | {field.description} |"


def _shown(default: object) -> str:
    if default is None:
        return "off"
    if isinstance(default, BaseModel):
        return ", ".join(f"`{name}` {'null' if value is None else value}" for name, value in default)
    return f"{default}"
