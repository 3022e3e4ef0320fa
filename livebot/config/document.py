"""A YAML text as plain values, with the line of every key.

Rules of this file: a number keeps the digits it was written with (int or Decimal, never a float); only `true` and
`false` are flags and only `null`, `~` and nothing are null, so that a name like `no` stays a name; aliases and tags
are refused, because a config has no use for them and a bomb has; a value under a key that looks like a secret is never
read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import yaml

from livebot.config.problems import ConfigErrors, Place, Problem, key_text

DEPTH_MAX = 20
NODES_MAX = 50_000
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9_]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?")
_NUMBER_LENGTH_MAX = 40
_NULLS = {"", "~", "null", "Null", "NULL"}
_FLAGS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_SECRET = re.compile(r"(^|_)(api_?keys?|secrets?|passw(or)?d|passphrase|tokens?|private_?key|credentials?)(_|$)")
_MENDS = {
    r"'\t'": "indent with spaces, not with tabs",
    "mapping values are not allowed": "check the indentation, and quote a text that holds a colon",
    "another document": "keep one and take the line with --- out",
}
_SECRET_TEXT = (
    "a secret has no place in a config; take it out, change it at the venue if this file was shared, and set "  # noqa: S105
    "LIVEBOT_API_KEY, LIVEBOT_API_SECRET and LIVEBOT_API_PASSWORD in the environment (or files of these names "
    "under $CREDENTIALS_DIRECTORY)"
)


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML text says.  `lines`: the line (from 1) of each key and list item; `problems`: what was left out."""

    data: Mapping[str, object]
    lines: Mapping[Place, int]
    problems: tuple[Problem, ...]

    def line_of(self, place: Place) -> int:
        """The line of a place, or of the nearest one around it that stands in the text."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read_document(text: str, source: str) -> Document:
    """Read a YAML text; `source` is what messages call it.

    Raises:
        ConfigErrors: not YAML, empty, not a mapping of keys, or with aliases, tags, too deep a nesting or too many values.

    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except _NotForConfigs as error:
        raise _refusal(source, _line_of(error), str(error.problem)) from None
    except yaml.MarkedYAMLError as error:
        # never str(error): it quotes the text around, which may hold a secret
        said = ", ".join(part for part in (error.context, error.problem) if part)
        mend = next((f"; {mend}" for words, mend in _MENDS.items() if words in said), "")
        raise _refusal(source, _line_of(error), f"not YAML: {said}{mend}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _refusal(source, line, f"not YAML: character U+{error.character:04X} is not allowed") from None
    except (ValueError, OverflowError):  # what PyYAML lets through of absurd escapes and version numbers
        raise _refusal(source, None, "not YAML: an escape or a version number is out of range") from None
    if node is None:
        raise _refusal(source, None, "is empty; it needs at least system, market, symbols and strategies")
    if not isinstance(node, yaml.MappingNode):
        raise _refusal(source, node.start_mark.line + 1, "must be a mapping of keys, such as `system: spot`")
    reader = _Reader()
    data = reader.mapping(node, ())
    return Document(data, reader.lines, tuple(reader.problems))


def _refusal(source: str, line: int | None, text: str) -> ConfigErrors:
    return ConfigErrors(source, [Problem(line, "", text)])


def _line_of(error: yaml.MarkedYAMLError) -> int | None:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else None


class _NotForConfigs(yaml.MarkedYAMLError):
    """YAML, but of a kind that a config has no use for."""


class _Loader(yaml.SafeLoader):
    """PyYAML's composer with bounds on depth and number, and without aliases and tags."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        refusal = None
        if isinstance(event, yaml.AliasEvent):
            refusal = "aliases (*name) are not accepted; write the value out"
        elif getattr(event, "tag", None) is not None:
            refusal = "tags (!name) are not accepted; write the plain value"
        elif self._depth >= DEPTH_MAX:
            refusal = f"is nested deeper than {DEPTH_MAX} levels"
        elif self._nodes >= NODES_MAX:
            refusal = f"holds more than {NODES_MAX} keys and values; this is not a config"
        if refusal:
            raise _NotForConfigs(problem=refusal, problem_mark=event.start_mark)
        self._depth += 1
        self._nodes += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


@dataclass(slots=True)
class _Reader:
    """Turns nodes into values and keeps their lines and what is wrong with them."""

    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, object]:
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(Problem(line, key_text(place), "a key must be a plain word"))
                continue
            key = str(key_node.value)
            here = (*place, key)
            if here in self.lines:
                text = f"stands here twice, first on line {self.lines[here]}; keep one"
                self.problems.append(Problem(line, key_text(here), text))
                continue
            self.lines[here] = line
            if _is_secret(key):
                self.problems.append(Problem(line, key_text(here), _SECRET_TEXT))
                continue
            result[key] = self._value(value_node, here)
        return result

    def _value(self, node: yaml.Node, place: Place) -> object:
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, place)
        plain = getattr(node, "style", None) is None
        return _scalar(str(node.value)) if plain else str(node.value)

    def _sequence(self, node: yaml.SequenceNode, place: Place) -> list[object]:
        result = []
        for position, item in enumerate(node.value):
            here = (*place, position)
            self.lines[here] = item.start_mark.line + 1
            result.append(self._value(item, here))
        return result


def _is_secret(key: str) -> bool:
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", key).replace("-", "_").lower()
    return _SECRET.search(words) is not None


def _scalar(text: str) -> object:
    if text in _NULLS:
        return None
    if text in _FLAGS:
        return _FLAGS[text]
    # a bound on length and exponent: 1e999999999 as an int would fill the memory
    match = _NUMBER.fullmatch(text) if len(text) <= _NUMBER_LENGTH_MAX else None
    if match is None:
        return text
    number = Decimal(text)
    return number if match[2] or match[3] else int(number)
