"""Frozen dataclasses as JSON and back, exactly: what was written reads back equal, and nothing else reads at all."""

from typing import Generic, TypeVar

from livebot.adapters.state_files.converters import Misfit, converter_of
from livebot.adapters.state_files.json_text import json_of, tree_of
from livebot.errors import BadInput, Fatal

T = TypeVar("T")


class Codec(Generic[T]):
    """Converts values of one type hint: a dataclass, a union of them, or a base class listed in FAMILIES.

    Raises TypeError when made for a hint that it cannot write exactly.
    """

    def __init__(self, hint: object) -> None:
        self._converter = converter_of(hint)
        self._name = getattr(hint, "__name__", str(hint))

    def to_tree(self, value: T) -> dict[str, object]:
        """The value as dicts, lists, texts and numbers.

        Raises:
            Fatal: the value holds something that would not read back (NaN, a wrong type); the text names the place.

        """
        try:
            tree = self._converter.write(value)
        except Misfit as misfit:
            message = f"{self._name} cannot be written: {misfit}; this is a mistake in livebot or a strategy"
            raise Fatal(message) from None
        assert isinstance(tree, dict)
        return tree

    def from_tree(self, tree: object) -> T:
        """The value that `to_tree` wrote.

        Raises:
            BadInput: the tree is not exactly what `to_tree` writes; the text names the place.

        """
        try:
            value: T = self._converter.read(tree)
        except Misfit as misfit:
            message = f"not a {self._name}: {misfit}"
            raise BadInput(message) from None
        return value

    def to_json(self, value: T) -> bytes:
        """One line of JSON.  Raises Fatal as `to_tree` does."""
        return json_of(self.to_tree(value))

    def from_json(self, data: bytes | str) -> T:
        """The value that `to_json` wrote.  Raises BadInput as `from_tree` does, and if it is not JSON."""
        return self.from_tree(tree_of(data))
