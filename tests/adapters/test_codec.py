"""Every state reads back as it was, and nothing else reads at all."""

from dataclasses import dataclass, fields, replace
from decimal import Decimal
from enum import Enum
from typing import Any, cast

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.json_text import json_of, tree_of
from livebot.core.denial import TradingState
from livebot.core.facts import Fact, OrderFailed
from livebot.core.inputs import SymbolState
from livebot.core.order import Leg
from livebot.core.signal import Open
from livebot.errors import BadInput, Fatal
from livebot.ports import PortfolioMemory
from tests.adapters.states import (
    FACTS,
    FLOATS,
    INTEGERS,
    WHOLE_TEXT,
    a_close,
    a_fact,
    an_opening,
    idle,
    open_state,
    states,
)

STATE: Codec[SymbolState] = Codec(SymbolState)
FACT: Codec[Fact] = Codec(Fact)
MEMORY: Codec[PortfolioMemory] = Codec(PortfolioMemory)

PLAIN = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | WHOLE_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WHOLE_TEXT, inner, max_size=3),
    max_leaves=6,
)


@dataclass(frozen=True)
class Odd:
    """One field, of a type that the state has none of."""

    pair: tuple[int, str]
    number: float = 1.0


class Number(Enum):
    """An Enum whose values are no text."""

    ONE = 1


@dataclass(frozen=True)
class Numbered:
    """Holds such an Enum."""

    number: Number


def changed(tree: Any, *place: str | int, to: object) -> Any:
    """The tree with another value at a place."""
    whole = orjson.loads(orjson.dumps(tree))
    inner = whole
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = to
    return whole


@pytest.mark.untraced
@given(states())
def test_every_state_reads_back_equal(state):
    """Equal, and written the same again: Decimals keep their exponent, so 1.0 stays 1.0."""
    written = STATE.to_json(state)
    again = STATE.from_json(written)
    assert state == again
    assert written == STATE.to_json(again)


@pytest.mark.untraced
@given(FACTS)
def test_every_fact_reads_back_as_its_own_kind(fact):
    """The kind stands in the JSON, because the type hint only says Fact."""
    again = FACT.from_json(FACT.to_json(fact))
    assert (type(fact), fact) == (type(again), again)


@given(
    st.builds(PortfolioMemory, trading_state=st.sampled_from(TradingState), day_start_equity=st.just(Decimal("1E+3")))
)
def test_the_portfolios_memory_reads_back_equal(memory):
    """Its rows of pairs too."""
    memory = replace(memory, quarantined=(("BTC/USDT", "why"),), switched_on=(("ETH/USDT", 5),), paused=("A/B",))
    assert memory == MEMORY.from_json(MEMORY.to_json(memory))


@given(st.data())
def test_a_tree_that_differs_anywhere_is_refused_or_reads_back_as_itself(data):
    """Whatever stands at whatever place: never another exception, never a value that is written otherwise."""
    tree = tree_of(STATE.to_json(open_state()))
    place: list[str | int] = []
    inner = tree
    while isinstance(inner, (dict, list)) and inner and data.draw(st.integers(0, 4)):
        step = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        place.append(step)
        inner = inner[step]
    altered = changed(tree, *place, to=data.draw(PLAIN)) if place else data.draw(PLAIN)
    try:
        state = STATE.from_tree(altered)
    except BadInput:
        return
    assert altered == tree_of(STATE.to_json(state))


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("sequence",), True, "sequence: a whole number is needed, found bool True"),
        (("sequence",), "7", "sequence: a whole number is needed, found str '7'"),
        (("symbol",), None, "symbol: a text is needed"),
        (("signal",), None, "signal: an object is needed"),
        (("signal", "type"), "Ajar", "signal.type: one of Idle, Scheduled, Opening, Open, Closing is needed"),
        (("signal", "type"), ["Open"], "signal.type: one of"),
        (("signal", "signal", "confidence"), 1, "signal.signal.confidence: a finite number with a decimal point"),
        (("signal", "signal", "side"), "up", "signal.signal.side: one of long, short is needed"),
        (("signal", "signal", "side"), [], "signal.signal.side: one of long, short is needed"),
        (("orders",), {}, "orders: a list is needed"),
        (("orders", 1), [], "orders[1]: an object is needed"),
        (("orders", 1, "request", "quantity"), 0.5, "orders[1].request.quantity: a decimal as text is needed"),
        (("orders", 1, "request", "quantity"), "1_0", "orders[1].request.quantity: a decimal as text is needed"),
        (("orders", 1, "request", "quantity"), "ten", "a decimal as text is needed, found str 'ten'"),
        (("orders", 1, "request", "quantity"), "Infinity", "a decimal as text is needed"),
        (("orders", 1, "request", "quantity"), "-1", "orders[1].request: order lb0123450123456700000ce01: quantity -1"),
        (("outbox", 0, "exposure", "side"), 3, "outbox[0].exposure.side: one of long, short"),
        (("decided",), 3, "keys unknown decided"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_its_place(place, value, said):
    """An operator, or an engineer, sees at once what is wrong where."""
    with pytest.raises(BadInput, match="not a SymbolState: ") as refused:
        STATE.from_tree(changed(STATE.to_tree(open_state()), *place, to=value))
    assert said in str(refused.value)


def test_a_missing_key_is_refused_even_if_the_class_has_a_default():
    """A file with a part missing is a damaged file, not one that wants the default."""
    tree = STATE.to_tree(idle())
    del tree["outbox"]
    with pytest.raises(BadInput, match="keys missing outbox"):
        STATE.from_tree(tree)


def test_a_long_value_is_cut_short_in_the_message():
    """A message names the value, it is not the file."""
    with pytest.raises(BadInput) as refused:
        STATE.from_tree(changed(STATE.to_tree(idle()), "sequence", to="x" * 500))
    assert len(str(refused.value)) < 150


def with_confidence(confidence: Any) -> SymbolState:
    """An open position whose signal has this confidence."""
    state = open_state()
    assert isinstance(state.signal, Open)
    return replace(state, signal=replace(state.signal, signal=replace(state.signal.signal, confidence=confidence)))


def wrong(value: object, **fields: Any) -> Any:
    """A copy whose fields hold what the type checker would not let them."""
    return replace(cast("Any", value), **fields)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (wrong(idle(), sequence=2.0), "sequence: a whole number is needed, found float 2.0"),
        (wrong(idle(), sequence=np.int64(2)), "sequence: a whole number is needed, found int64"),
        (wrong(idle(), outbox=[a_fact()]), "outbox: a tuple is needed"),
        (wrong(idle(), outbox=("fact",)), "outbox[0]: one of SignalScheduled"),
        (wrong(idle(), signal=None), "signal: one of Idle"),
        (wrong(idle(), outbox=(wrong(a_fact(), price=Decimal("NaN")),)), "outbox[0].price: a finite Decimal"),
        (wrong(idle(), outbox=(wrong(a_fact(), price=1.5),)), "outbox[0].price: a finite Decimal"),
        (wrong(idle(), outbox=(wrong(a_fact(), side="long"),)), "outbox[0].side: a Side"),
        (wrong(idle(), outbox=(wrong(a_fact(), exposure=None),)), "outbox[0].exposure: a Exposure"),
        (wrong(idle(), sequence=2**70), "cannot be written as JSON"),
        (with_confidence(float("nan")), "signal.signal.confidence: a finite number"),
    ],
)
def test_what_would_not_read_back_is_not_written(state, said):
    """Found when it is written and the old file still stands, not at the next start."""
    with pytest.raises(Fatal) as refused:
        STATE.to_json(state)
    assert said in str(refused.value)


def test_a_number_of_numpys_is_written_as_a_plain_one():
    """A model's confidence is a numpy number; it is the same number."""
    again = STATE.from_json(STATE.to_json(with_confidence(np.float64(0.25))))
    assert isinstance(again.signal, Open)
    assert 0.25 == again.signal.signal.confidence


def test_half_characters_in_a_venues_text_do_not_stop_a_symbol():
    """JSON from outside may hold half of a surrogate pair, UTF-8 may not."""
    shared = {field.name: getattr(a_fact(), field.name) for field in fields(Fact)}
    fact = OrderFailed(**shared, leg=Leg.ENTRY, client_order_id="lb1", code="-1", text="no \ud800 funds")
    again = STATE.from_json(STATE.to_json(replace(idle(), outbox=(a_close(), fact)))).outbox[1]
    assert isinstance(again, OrderFailed)
    assert "no ? funds" == again.text


def test_rows_of_fixed_length_are_checked():
    """Both ways."""
    odd: Codec[Odd] = Codec(Odd)
    assert Odd((1, "a")) == odd.from_json(odd.to_json(Odd((1, "a"))))
    with pytest.raises(BadInput, match="a list of 2"):
        odd.from_json(b'{"pair":[1],"number":1.0}')
    with pytest.raises(Fatal, match="a tuple of 2"):
        odd.to_json(wrong(Odd((1, "a")), pair=(1, "a", "b")))


@pytest.mark.parametrize("hint", [dict[str, int], int | str, object, bytes])
def test_a_type_without_an_exact_json_is_refused_when_the_codec_is_made(hint):
    """At import, not when the first state is saved."""
    with pytest.raises(TypeError):
        Codec(hint)


def test_enums_are_read_from_texts_only():
    """All of ours have text values; True would otherwise be 1."""
    with pytest.raises(BadInput):
        Codec(Numbered).from_json(b'{"number":true}')


@pytest.mark.parametrize("data", [b"", b"{", b'{"a":NaN}', b"\xff", "nonsense"])
def test_what_is_not_json_is_refused(data):
    """With our error, not the library's."""
    with pytest.raises(BadInput, match="not JSON"):
        STATE.from_json(data)


def test_keys_with_half_characters_are_mended_too():
    """They come from outside as well."""
    assert b'{"a?":["?"],"b":1}' == json_of({"a\udc00": ["\udc00"], "b": 1})


def test_a_field_that_was_added_is_left_out_while_there_is_nothing_in_it():
    """So that facts from before read, and are written byte for byte as they were."""
    before = FACT.to_tree(an_opening())
    assert "model" not in before
    assert FACT.from_tree(before) == an_opening()
    asked = replace(an_opening(), model="trend/20260101T000000Z-0123abcd")
    assert FACT.to_tree(asked) == {**before, "model": "trend/20260101T000000Z-0123abcd"}
    assert FACT.from_tree(FACT.to_tree(asked)) == asked


@pytest.mark.parametrize(
    ("model", "said"),
    [(None, "model: nothing at all, or something, is needed, found NoneType None"), (5, "model: a text is needed")],
)
def test_what_is_left_out_is_never_written_as_nothing(model, said):
    """There is one way to write a fact, or the ledger would take it for another."""
    with pytest.raises(BadInput, match=said):
        FACT.from_tree({**FACT.to_tree(an_opening()), "model": model})


def test_an_added_field_that_does_not_fit_is_named():
    with pytest.raises(Fatal, match="model: a text is needed, found int 5"):
        FACT.to_json(replace(an_opening(), model=cast("Any", 5)))
    with pytest.raises(Fatal, match="reason: a text is needed, found int 5"):
        FACT.to_json(replace(an_opening(), reason=cast("Any", 5)))


def test_a_key_that_nobody_knows_is_refused_beside_one_that_may_be_left_out():
    with pytest.raises(BadInput, match="keys unknown shape"):
        FACT.from_tree({**FACT.to_tree(an_opening()), "shape": 1})
