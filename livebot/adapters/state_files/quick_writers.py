"""One function for each class that turns a value into a plain tree, made from a text as `dataclasses` makes `__init__`.

A state file has a hundred fields, and a call for each of them takes longer than everything else about a save.  Where a
value is not exactly what its class says, the converter's own `write` is asked: it knows the words for it.

Rules of this file: the text is made of names of fields and of nothing that comes from outside; what it writes is what
the converters write.
"""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

Write = Callable[[Any], object]


def quick_writer(
    hints: Mapping[str, object],
    careful: Mapping[str, Write],
    *,
    tag: str | None,
    added: Collection[str],
    quick_of: Callable[[object], tuple[Write, Mapping[type, Write]]],
) -> Write:
    """The writer of a dataclass's value; it raises what `careful`, the writers of its fields, raise.

    The type of the value itself is for the caller to check.  Fields that were `added` are left out while they are
    None.  `quick_of` gives the writer of a type hint, and by class
    those that may be called in its stead for a value of exactly that class.
    """
    text = _Text(quick_of)
    row = [] if tag is None else [f"'type': {tag!r}"]
    made_of = {name: text.of(hints[name], f"its_{name}", text.known(write)) for name, write in careful.items()}
    row += [f"{name!r}: {value}" for name, value in made_of.items() if name not in added]
    fields = "".join(f"    its_{name} = value.{name}\n" for name in careful)
    more = "".join(
        f"    if its_{name} is not None:\n        row[{name!r}] = {made_of[name]}\n"
        for name in careful
        if name in added
    )
    text_of_it = f"def write(value):\n{fields}    row = {{{', '.join(row)}}}\n{more}    return row\n"
    exec(text_of_it, text.names)  # noqa: S102 - see above
    made: Write = text.names["write"]
    return made


class _Text:
    """Expressions, and what the names in them stand for."""

    def __init__(self, quick_of: Callable[[object], tuple[Write, Mapping[type, Write]]]) -> None:
        self.names: dict[str, Any] = {"Decimal": Decimal}
        self._quick_of = quick_of

    def known(self, what: object) -> str:
        """A name for it."""
        name = f"known_{len(self.names)}"
        self.names[name] = what
        return name

    def of(self, hint: object, value: str, careful: str) -> str:
        """What converts the variable `value`; `careful` is the name of the writer to be asked if it does not fit."""
        args = get_args(hint)
        if get_origin(hint) in (Union, UnionType) and len(args) == 2 and args[1] is NoneType:  # noqa: PLR2004
            return f"None if {value} is None else {self.of(args[0], value, careful)}"
        if get_origin(hint) is tuple and args[1:] == (Ellipsis,):
            item = self.of(args[0], "each", self.known(self._quick_of(args[0])[0]))
            return f"[{item} for each in {value}] if type({value}) is tuple else {careful}({value})"
        if hint is Decimal:
            return f"str({value}) if type({value}) is Decimal and {value}.is_finite() else {careful}({value})"
        if isinstance(hint, type) and issubclass(hint, Enum):
            return f"{value}._value_ if type({value}) is {self.known(hint)} else {careful}({value})"
        if hint in (str, int, bool):
            return f"{value} if type({value}) is {self.known(hint)} else {careful}({value})"
        quick = {} if get_origin(hint) is tuple else self._quick_of(hint)[1]
        if len(quick) == 1:
            ((kind, write),) = quick.items()
            return f"{self.known(write)}({value}) if type({value}) is {self.known(kind)} else {careful}({value})"
        if quick:
            return f"({self.known(quick)}.get(type({value})) or {careful})({value})"
        return f"{careful}({value})"
