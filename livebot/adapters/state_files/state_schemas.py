"""State files of earlier versions, brought up to date.

Rules of this file: one function per schema, from it to the next one, never changed once a version that writes the next
one is out; what it adds is what the earlier version did; only plain trees, no classes, because those go on changing.
"""

from decimal import Decimal
from typing import Any

from livebot.adapters.state_files.sealed_json import Tree, Upgrades
from livebot.errors import BadInput

_OPENING_LEGS = ("e", "a")


def _signal_state_of_schema_1(tree: Tree) -> Tree:
    """Schema 2 knows re-priced entries, stops that travel with an entry, and what an order was admitted at."""
    try:
        state: Any = tree["signal"]
        signal = state.get("signal")
        if signal is not None:
            signal |= {"worst_price": None, "reprices_left": 0}
        if state["type"] == "Scheduled":
            state["waiting"] = False
        orders: Any = tree["orders"]
        for record in orders:
            request = record["request"]
            request["attached_stop"] = None
            record |= {"admitted_price": _admitted_price(request["leg"], signal), "amended_ms": None}
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise BadInput(f"not a state of schema 1: {type(error).__name__} {error}") from None
    return tree


def _admitted_price(leg: str, signal: Any) -> str | None:  # noqa: ANN401 - a plain tree
    """What schema 1 counted an order at; of averaging, for which it kept no price, the dearest that it can have been."""
    if leg not in _OPENING_LEGS:
        return None
    counted: str = signal["reference_price"] if signal["limit_price"] is None else signal["limit_price"]
    if leg == "a":  # never beyond the stop
        return max(counted, str(signal["stop_loss"]), key=Decimal)
    return counted


def _portfolio_of_schema_1(tree: Tree) -> Tree:
    """Schema 2 remembers what may stay at the venue though it is not ours."""
    return {**tree, "dismissed": []}


def _signal_state_of_schema_2(tree: Tree) -> Tree:
    """Schema 3 knows fees that are taken in the bought coin, what they leave of a position, and stops that are replaced."""
    try:
        state: Any = tree["signal"]
        position = state.get("position")
        if position is not None:
            position |= {"base_fees": "0", "lot_step": "0"}
            state["stops_replaced"] = 0
            for fill in (*position["entries"], *position["exits"]):
                fill["base_fee"] = "0"
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"not a state of schema 2: {type(error).__name__} {error}") from None
    return {**tree, "remainder": "0", "remainder_cost": "0"}


def _portfolio_of_schema_2(tree: Tree) -> Tree:
    """Schema 3 remembers nothing more."""
    return tree


def _portfolio_of_schema_3(tree: Tree) -> Tree:
    """Schema 4 remembers which symbols were paused because they entered too often, and when they were resumed."""
    return {**tree, "repeated": [], "resumed": []}


def _signal_state_of_schema_4(tree: Tree) -> Tree:
    """Schema 5 knows which model was asked about a signal; until then there was none."""
    try:
        state: Any = tree["signal"]
        signal = state.get("signal")
        if signal is not None:
            signal["model"] = None
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"not a state of schema 4: {type(error).__name__} {error}") from None
    return tree


def _same(tree: Tree) -> Tree:
    """The next schema holds nothing more of it."""
    return tree


SIGNAL_UPGRADES: Upgrades = {
    1: _signal_state_of_schema_1,
    2: _signal_state_of_schema_2,
    3: _same,
    4: _signal_state_of_schema_4,
}
PORTFOLIO_UPGRADES: Upgrades = {
    1: _portfolio_of_schema_1,
    2: _portfolio_of_schema_2,
    3: _portfolio_of_schema_3,
    4: _same,
}
UNIVERSE_UPGRADES: Upgrades = {3: _same, 4: _same}  # the universe came with schema 3
CLUSTER_UPGRADES: Upgrades = {4: _same}  # clusters came with schema 4
QUEUE_UPGRADES: Upgrades = {}  # the queue of symbols that want training came with schema 5
