"""For each type hint one pair of functions, made once: value to plain tree, and plain tree to value, both strict.

Decimals become text (no float ever touches them), enums their value, tuples lists; where several classes may stand, the
object says which under `type`.  Whatever would not read back exactly is refused already when it is written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from livebot.adapters.state_files.quick_writers import quick_writer
from livebot.core.facts import FACT_KINDS, Fact, SignalOpening, SignalScheduled
from livebot.ports import Decision

TAG = "type"
SHOWN_CHARACTERS_MAX = 40

FAMILIES: Mapping[type, tuple[type, ...]] = {Fact: FACT_KINDS}
"""Base classes that stand in type hints for any of their kinds."""

ADDED: Mapping[type, frozenset[str]] = {
    kind: frozenset({"model"}) for kind in (SignalScheduled, SignalOpening, Decision)
}
"""Fields that a class did not always have: left out while they are None, so that what was written before still reads and
is written again byte for byte (the ledger compares facts that way)."""


class Misfit(Exception):
    """A value that does not fit its type; every level it passes on the way up adds its own name."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.place = ""

    def inside(self, name: str) -> "Misfit":
        """Itself, after saying that this happened within `name`."""
        separator = "." if self.place and not self.place.startswith("[") else ""
        self.place = f"{name}{separator}{self.place}"
        return self

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


def _wanted(what: str, value: object) -> Misfit:
    shown = repr(value)
    if len(shown) > SHOWN_CHARACTERS_MAX:
        shown = f"{shown[:SHOWN_CHARACTERS_MAX]}..."
    return Misfit(f"{what} is needed, found {type(value).__name__} {shown}")


@dataclass(frozen=True, slots=True)
class Converter:
    """How one type is written and read; both raise Misfit.

    `quick` writes values of exactly these classes in the same way, but its Misfit does not say where.
    """

    write: Callable[[Any], object]
    read: Callable[[object], Any]
    quick: Mapping[type, Callable[[Any], object]] = field(default_factory=dict)


@cache
def converter_of(hint: object) -> Converter:
    """The converter for a type hint.  Raises TypeError if no exact JSON is known for it."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    if get_origin(hint) in (Union, UnionType):
        return _union(get_args(hint))
    if get_origin(hint) is tuple:
        return _tuple(get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum(hint)
    if isinstance(hint, type) and hint in FAMILIES:
        return _variants(FAMILIES[hint])
    if isinstance(hint, type) and is_dataclass(hint):
        return _record(hint)
    message = f"no exact JSON is known for {hint}"
    raise TypeError(message)


def _exactly(kind: type, what: str) -> Converter:
    """A type whose JSON is itself; exactly, because True is an int to Python and not to us."""

    def same(value: object) -> object:
        if type(value) is not kind:
            raise _wanted(what, value)
        return value

    return Converter(same, same)


def _write_float(value: object) -> float:
    # a number of numpy's is a float too, but only a plain one is written alike by everybody
    if not isinstance(value, (float, int)) or not isfinite(value):
        raise _wanted("a finite number", value)
    return float(value)


def _read_float(value: object) -> float:
    if type(value) is not float or not isfinite(value):
        raise _wanted("a finite number with a decimal point", value)
    return value


def _write_decimal(value: object) -> str:
    if not isinstance(value, Decimal) or not value.is_finite():
        raise _wanted("a finite Decimal", value)
    return str(value)


def _read_decimal(value: object) -> Decimal:
    if type(value) is not str:
        raise _wanted("a decimal as text", value)
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise _wanted("a decimal as text", value) from None
    if not number.is_finite() or str(number) != value:
        raise _wanted("a decimal as text", value)
    return number


_SCALARS: Mapping[object, Converter] = {
    str: _exactly(str, "a text"),
    int: _exactly(int, "a whole number"),
    bool: _exactly(bool, "true or false"),
    float: Converter(_write_float, _read_float),
    Decimal: Converter(_write_decimal, _read_decimal),
}


def _enum(kind: type[Enum]) -> Converter:
    members = {member.value: member for member in kind}
    known = ", ".join(str(value) for value in members)

    def write(value: object) -> object:
        if not isinstance(value, kind):
            raise _wanted(f"a {kind.__name__}", value)
        return value._value_

    def read(value: object) -> Enum:
        if type(value) is not str or value not in members:
            raise _wanted(f"one of {known}", value)
        return members[value]

    return Converter(write, read)


def _tuple(items: tuple[object, ...]) -> Converter:
    if len(items) == 2 and items[1] is Ellipsis:  # noqa: PLR2004  (the element's type and the dots)
        return _row_of_any_length(converter_of(items[0]))
    return _row_of(tuple(converter_of(item) for item in items))


def _row_of_any_length(converter: Converter) -> Converter:
    def convert(values: list[object] | tuple[object, ...], one: Callable[[Any], object]) -> list[object]:
        converted: list[object] = []
        try:
            for value in values:
                converted.append(one(value))  # noqa: PERF401  (its length is the place of a misfit)
        except Misfit as misfit:
            raise misfit.inside(f"[{len(converted)}]") from None
        return converted

    def write(values: object) -> list[object]:
        if type(values) is not tuple:
            raise _wanted("a tuple", values)
        return convert(values, converter.write)

    def read(values: object) -> tuple[object, ...]:
        if type(values) is not list:
            raise _wanted("a list", values)
        return tuple(convert(values, converter.read))

    return Converter(write, read)


def _row_of(converters: tuple[Converter, ...]) -> Converter:
    def write(values: object) -> list[object]:
        if type(values) is not tuple or len(values) != len(converters):
            raise _wanted(f"a tuple of {len(converters)}", values)
        return [converter.write(value) for converter, value in zip(converters, values, strict=True)]

    def read(values: object) -> tuple[object, ...]:
        if type(values) is not list or len(values) != len(converters):
            raise _wanted(f"a list of {len(converters)}", values)
        return tuple(converter.read(value) for converter, value in zip(converters, values, strict=True))

    return Converter(write, read)


def _union(members: tuple[object, ...]) -> Converter:
    kinds = tuple(member for member in members if member is not NoneType)
    if len(kinds) == 1:
        converter = converter_of(kinds[0])
    elif all(isinstance(kind, type) and is_dataclass(kind) for kind in kinds):
        converter = _variants(tuple(kind for kind in kinds if isinstance(kind, type)))
    else:
        message = f"only dataclasses can be told apart in a union, not {members}"
        raise TypeError(message)
    if NoneType not in members:
        return converter
    write, read = converter.write, converter.read
    return Converter(
        lambda value: None if value is None else write(value),
        lambda value: None if value is None else read(value),
    )


def _variants(kinds: tuple[type, ...]) -> Converter:
    records = {kind: _record(kind, tag=kind.__name__) for kind in kinds}
    writers = {kind: record.write for kind, record in records.items()}
    readers = {kind.__name__: record.read for kind, record in records.items()}
    quick = {kind: record.quick[kind] for kind, record in records.items()}
    known = ", ".join(readers)

    def write(value: object) -> object:
        writer = writers.get(type(value))
        if writer is None:
            raise _wanted(f"one of {known}", value)
        return writer(value)

    def read(row: object) -> object:
        if type(row) is not dict:
            raise _wanted("an object", row)
        tag: object = row.get(TAG)
        reader = readers.get(tag) if isinstance(tag, str) else None
        if reader is None:
            raise _wanted(f"one of {known}", tag).inside(TAG)
        return reader(row)

    return Converter(write, read, quick)


def _record(kind: type, *, tag: str | None = None) -> Converter:
    assert is_dataclass(kind)
    hints = get_type_hints(kind)
    converters = {field.name: converter_of(hints[field.name]) for field in fields(kind)}
    assert tag is None or TAG not in converters, f"{kind.__name__} has a field that is called {TAG}"
    writers = {name: converter.write for name, converter in converters.items()}
    quick = quick_writer(hints, writers, tag=tag, added=ADDED.get(kind, frozenset()), quick_of=_quick_of)
    return Converter(_record_writer(kind, writers, quick), _record_reader(kind, converters, tag), {kind: quick})


def _quick_of(hint: object) -> tuple[Callable[[Any], object], Mapping[type, Callable[[Any], object]]]:
    converter = converter_of(hint)
    return converter.write, converter.quick


def _record_writer(
    kind: type, writers: Mapping[str, Callable[[Any], object]], quick: Callable[[Any], object]
) -> Callable[[Any], object]:
    def write(value: object) -> object:
        if type(value) is not kind:
            raise _wanted(f"a {kind.__name__}", value)
        try:
            return quick(value)
        except Misfit:
            raise _misfit_of(value, writers) from None

    return write


def _misfit_of(value: object, writers: Mapping[str, Callable[[Any], object]]) -> Misfit:
    """The first field that does not fit, which there is."""
    for name, write in writers.items():
        try:
            write(getattr(value, name))
        except Misfit as misfit:
            return misfit.inside(name)
    raise AssertionError


def _record_reader(kind: type, converters: Mapping[str, Converter], tag: str | None) -> Callable[[object], Any]:
    keys = frozenset(converters) if tag is None else frozenset(converters) | {TAG}
    added = ADDED.get(kind, frozenset())
    readers = tuple(
        (name, _something(converter) if name in added else converter.read) for name, converter in converters.items()
    )

    def read(row: object) -> object:
        if type(row) is not dict:
            raise _wanted("an object", row)
        left_out = added - row.keys()
        if row.keys() != keys - left_out:
            raise Misfit(_complaint_about_keys(frozenset(row), keys - left_out))
        values: dict[str, Any] = {}
        name = ""
        try:
            for name, convert in readers:
                if name not in left_out:
                    values[name] = convert(row[name])
        except Misfit as misfit:
            raise misfit.inside(name) from None
        try:
            return kind(**values)
        except ValueError as error:  # the class's own check
            raise Misfit(str(error)) from None

    return read


def _something(converter: Converter) -> Callable[[object], Any]:
    """Reads what is not None: that is left out where it is written."""

    def read(value: object) -> object:
        if value is None:
            raise _wanted("nothing at all, or something,", value)
        return converter.read(value)

    return read


def _complaint_about_keys(found: frozenset[str], needed: frozenset[str]) -> str:
    unknown, missing = sorted(found - needed), sorted(needed - found)
    parts = [f"{what} {', '.join(names)}" for what, names in (("unknown", unknown), ("missing", missing)) if names]
    return f"keys {'; '.join(parts)}"
