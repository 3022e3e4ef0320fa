"""Turns what pydantic found into problems an operator can mend: line, key, one sentence, the nearest known key."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from livebot.config.document import Document
from livebot.config.problems import PROBLEMS_SHOWN_MAX, Mismatch, Place, Problem, did_you_mean, key_text, shown

_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}
_FIRST_KEY = re.compile(r"(?P<key>[a-z_][a-z0-9_.]*[a-z0-9_])(?P<colon>: )?")
_MISSING = {"missing", "missing_argument"}
_PLAIN = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
}
_EXPECTED = {
    "model_type": "a mapping of keys",
    "dict_type": "a mapping of keys",
    "dataclass_type": "a mapping of keys",
    "tuple_type": "a list",
    "list_type": "a list",
    **_PLAIN,
}


class Wording:
    """Knows the document and the model it is held against."""

    def __init__(self, document: Document, model: type[BaseModel]) -> None:
        self._document = document
        self._model = model

    def at(self, place: Place, text: str) -> Problem:
        """A problem at a place of the document."""
        return Problem(self._document.line_of(place), key_text(place), text)

    def told(self, place: Place, text: str) -> Problem:
        """A problem whose text may begin with the name of a key below `place`, as in `fast 9 must be below slow`."""
        match = _FIRST_KEY.match(text)
        below = (*place, *match["key"].split(".")) if match else place
        if match is None or below not in self._document.lines:
            return self.at(place, text)
        return self.at(below, text[match.end() :] if match["colon"] else text)

    def unknown(self, place: Place, known: Sequence[str]) -> Problem:
        """An unknown key: the nearest known one, or where a key of this name belongs, or all that are known there."""
        key = str(place[-1])
        homes = [key_text(home) for home in _homes(self._model, key)]
        suggestion = did_you_mean(key, known)
        if not suggestion and len(homes) == 1:
            suggestion = f"; it belongs under {homes[0]}" if homes[0] else "; it belongs at the top level"
        if not suggestion and known:
            suggestion = f"; known here: {', '.join(known)}"
        return self.at(place, f"unknown key{suggestion}")

    def problems(self, error: ValidationError, root: Place = (), known: Sequence[str] | None = None) -> list[Problem]:
        """All that pydantic found below `root`; `known` are the keys of `params` there if `root` is a strategy."""
        found: list[Problem] = []
        for detail in error.errors(include_url=False)[:PROBLEMS_SHOWN_MAX]:
            beside = known if len(detail["loc"]) == len(("params", "key")) else None  # deeper down there are others
            found += self._of(detail, (*root, *detail["loc"]), beside)
        return found

    def _of(self, detail: ErrorDetails, place: Place, known: Sequence[str] | None) -> Iterator[Problem]:
        kind = detail["type"]
        cause = detail.get("ctx", {}).get("error")
        if kind in _UNKNOWN:
            yield self.unknown(place, known or _keys(_section_at(self._model, place[:-1])))
        elif kind in _MISSING:
            yield self.at(place, f"is missing{self._purpose(place)}")
        elif isinstance(cause, Mismatch):
            for key, text in cause.found:
                yield self.at((*place, *key.split(".")), text)
        elif isinstance(cause, Exception):
            yield self.told(place, str(cause))
        else:
            yield self.at(place, _sentence(detail))

    def _purpose(self, place: Place) -> str:
        section = _section_at(self._model, place[:-1])
        field = _fields(section).get(str(place[-1])) if section else None
        return f"; it is {field.description}" if field and field.description else ""


def _sentence(detail: ErrorDetails) -> str:
    kind = detail["type"]
    value = shown(detail["input"])
    if kind in ("literal_error", "enum"):
        expected = str(detail["ctx"]["expected"]).replace("'", "")
        word = detail["input"] if isinstance(detail["input"], str) else ""
        suggestion = did_you_mean(word, expected.replace(" or ", ", ").split(", "))
        return f"must be {expected}, is {value}{suggestion}"
    if kind in _EXPECTED:
        empty = detail["input"] is None and kind not in _PLAIN
        mend = "; write its content below it or leave it out" if empty else ""
        return f"must be {_EXPECTED[kind]}, is {value}{mend}"
    message = detail["msg"]
    return f"{message[:1].lower()}{message[1:]}, is {value}"


def _keys(section: type[BaseModel] | None) -> list[str]:
    return [] if section is None else [_key(name, field) for name, field in section.model_fields.items()]


def _key(name: str, field: FieldInfo) -> str:
    return field.alias or name


def _fields(section: type[BaseModel]) -> Mapping[str, FieldInfo]:
    return {_key(name, field): field for name, field in section.model_fields.items()}


def _section_at(section: type[BaseModel] | None, place: Place) -> type[BaseModel] | None:
    for part in place:
        if section is None or isinstance(part, int):
            continue
        field = _fields(section).get(part)
        section = None if field is None else _section_in(field.annotation)
    return section


def _section_in(annotation: object) -> type[BaseModel] | None:
    """The section a field holds: X, X | None and tuple[X, ...] all hold X."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((section for part in get_args(annotation) if (section := _section_in(part))), None)


def _homes(section: type[BaseModel], key: str, place: Place = ()) -> Iterator[Place]:
    """Every section that has a key of this name."""
    for name, field in _fields(section).items():
        if name == key:
            yield place
        if below := _section_in(field.annotation):
            yield from _homes(below, key, (*place, name))
