"""The cache of what lives per (symbol, strategy).

It is an explicit object that the composition root owns, because a symbol that failed must be evicted from it: a restart
that finds the broken object again restarts the failure.
"""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Instances(Generic[T]):
    """Makes an instance when it is first asked for and keeps it until it is evicted."""

    def __init__(self, make: Callable[[str, str], T]) -> None:
        """`make(symbol, strategy)` builds one; what it raises goes to the one who asked, and nothing is kept."""
        self._make = make
        self._live: dict[str, dict[str, T]] = {}
        self._created = 0
        self._evicted = 0

    def get(self, symbol: str, strategy: str) -> T:
        """The instance, made now if there is none."""
        found = self.peek(symbol, strategy)
        if found is not None:
            return found
        made = self._make(symbol, strategy)
        self._live.setdefault(symbol, {})[strategy] = made
        self._created += 1
        return made

    def peek(self, symbol: str, strategy: str) -> T | None:
        """The instance if there is one; none is made."""
        return self._live.get(symbol, {}).get(strategy)

    def of(self, symbol: str) -> tuple[T, ...]:
        """All live instances of a symbol."""
        return tuple(self._live.get(symbol, {}).values())

    def evict(self, symbol: str) -> int:
        """Forget all instances of a symbol; says how many."""
        gone = len(self._live.pop(symbol, {}))
        self._evicted += gone
        return gone

    def evict_one(self, symbol: str, strategy: str) -> bool:
        """Forget one instance; says whether there was one."""
        of_symbol = self._live.get(symbol, {})
        if strategy not in of_symbol:
            return False
        del of_symbol[strategy]
        if not of_symbol:
            del self._live[symbol]
        self._evicted += 1
        return True

    def counts(self) -> dict[str, int]:
        """How many were created and evicted so far, and are live now."""
        return {"created": self._created, "evicted": self._evicted, "live": len(self)}

    def __len__(self) -> int:
        """How many are live."""
        return sum(len(of_symbol) for of_symbol in self._live.values())

    def __iter__(self) -> Iterator[T]:
        """All live instances; evicting while iterating is allowed."""
        return iter([instance for of_symbol in self._live.values() for instance in of_symbol.values()])
