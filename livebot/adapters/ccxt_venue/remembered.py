"""The last so many things by name.

Rules of this file: the oldest is forgotten when there are too many; putting a thing again makes it the newest.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """At most `most` things."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: OrderedDict[str, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._things)

    def get(self, name: str) -> T | None:
        """None if it is not known, or no longer."""
        return self._things.get(name)

    def names(self) -> tuple[str, ...]:
        """All that are known, oldest first."""
        return tuple(self._things)

    def drop(self, name: str) -> None:
        """Know it no more."""
        self._things.pop(name, None)

    def put(self, name: str, thing: T) -> None:
        """Know it from now on."""
        self._things[name] = thing
        self._things.move_to_end(name)
        while len(self._things) > self._most:
            self._things.popitem(last=False)
