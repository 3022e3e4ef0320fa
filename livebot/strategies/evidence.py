"""A strategy that says, with each entry it wants, what a model needs to judge it.

Rules of this file: the strategy decides as it did, to the last bit, and knows nothing of a model; a value that is not a
number goes out like any other, for whoever judges it to refuse.
"""

from dataclasses import replace
from functools import lru_cache
from types import new_class
from typing import Any

from livebot.core.entry import Entry
from livebot.features.declaration import Feature
from livebot.strategies.interface import Strategy, View

CLASSES_KEPT = 256


@lru_cache(maxsize=CLASSES_KEPT)
def with_evidence(strategy_class: type[Strategy[Any]], features: tuple[Feature, ...]) -> type[Strategy[Any]]:
    """The same strategy, whose entries have as `evidence` the values of these features at the close, in their order.

    The same class for the same arguments.  Its name, parameters, timeframe, others, history and `manage` are those of
    `strategy_class`; its features are the strategy's own and then these, so it may be asked first when both have settled.
    Reading `features` of an instance raises ValueError where one of these has the name of one of the strategy's own.
    """
    names = tuple(feature.name for feature in features)

    def all_features(strategy: Strategy[Any]) -> tuple[Feature, ...]:
        own: tuple[Feature, ...] = super(evident, strategy).features
        twice = sorted({feature.name for feature in own}.intersection(names))
        if twice:
            message = (
                f"strategy {strategy.name} and its model both have features called {', '.join(twice)}; give those of the "
                "strategy other names"
            )
            raise ValueError(message)
        return (*own, *features)

    def decide(strategy: Strategy[Any], view: View) -> Entry | None:
        entry: Entry | None = super(evident, strategy).decide(view)
        if not isinstance(entry, Entry):
            return entry  # what is no entry at all is for the caller to refuse
        return replace(entry, evidence=tuple(map(view.feature, names)))

    said: dict[str, Any] = {
        "__doc__": strategy_class.__doc__,
        "__module__": strategy_class.__module__,
        "__qualname__": strategy_class.__qualname__,
        "features": property(all_features),
        "decide": decide,
    }
    evident: Any = new_class(strategy_class.__name__, (strategy_class,), exec_body=lambda body: body.update(said))
    made: type[Strategy[Any]] = evident
    return made
