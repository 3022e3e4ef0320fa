"""The table of the `model` section in the README, made of the config's own fields.

Rules of this file: nothing is written here that stands with a field.
"""

from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from livebot.config.models import ModelConfig

BEGIN = "<!-- model: begin, made by livebot.config.model_table -->"
END = "<!-- model: end -->"

_HEAD = ("| Key below `model` | Default | What it is |", "|---|---|---|")


def model_table() -> str:
    """The table as Markdown, one row for each key."""
    rows = [f"| `{key}` | {_shown(field)} | {field.description} |" for key, field in fields_of(ModelConfig)]
    return "\n".join((*_HEAD, *rows))


def fields_of(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key with its field, those of sections within with a dot."""
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields_of(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def _shown(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default is None:
        return "all" if field.description and "all, or" in field.description else "null"
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, tuple):
        return "[]"
    return f"{default}"
