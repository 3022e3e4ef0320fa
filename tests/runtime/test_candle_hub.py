"""Each closed candle goes to whoever wants it."""

from livebot.core.market import MINUTE_MS, Candle
from livebot.runtime.candles.candle_hub import CandleHub
from livebot.runtime.inbox import Activity, CandleOf, Inbox, Reload
from tests.virtual_loop import run


class Feed:
    def __init__(self):
        self.deliver = {}

    def listen(self, symbol, deliver):
        self.deliver[symbol] = deliver


def candle(minute: int) -> Candle:
    return Candle(minute * MINUTE_MS, 1.0, 1.0, 1.0, 1.0, 1.0)


def a_hub(symbols, watchers):
    feed, closes = Feed(), []
    inboxes = {symbol: Inbox(10, Activity()) for symbol in symbols}
    for inbox in inboxes.values():
        inbox.open()
    hub = CandleHub(feed, inboxes, watchers)
    hub.connect(lambda: closes.append(hub.newest_close_ms))
    return feed, inboxes, hub, closes


def waiting(inbox):
    return run(inbox.take()) if len(inbox) else []


def test_a_candle_goes_to_its_own_symbol_and_to_those_that_look_at_it():
    """Once to each."""
    feed, inboxes, _, _ = a_hub(["A", "B", "C"], {"B": ["A", "B"]})
    feed.deliver["B"](candle(1))
    feed.deliver["C"](candle(1))
    assert waiting(inboxes["A"]) == [CandleOf("B", candle(1))]
    assert waiting(inboxes["B"]) == [CandleOf("B", candle(1))]
    assert waiting(inboxes["C"]) == [CandleOf("C", candle(1))]


def test_a_symbol_that_is_only_looked_at_is_listened_to_as_well():
    """No strategy runs on it, and it has no inbox."""
    feed, inboxes, hub, _ = a_hub(["A"], {"X": ["A", "gone"]})
    feed.deliver["X"](candle(1))
    assert waiting(inboxes["A"]) == [CandleOf("X", candle(1))]
    assert hub.last_close_ms == {"X": 2 * MINUTE_MS}


def test_each_new_close_is_told_once_and_before_its_first_candle():
    """A symbol that is late tells nothing new."""
    feed, inboxes, hub, closes = a_hub(["A", "B"], {})
    for symbol, minute in (("A", 1), ("B", 1), ("A", 2), ("B", 3), ("A", 3), ("A", 1)):
        feed.deliver[symbol](candle(minute))
    assert closes == [2 * MINUTE_MS, 3 * MINUTE_MS, 4 * MINUTE_MS]
    assert hub.last_close_ms == {"A": 4 * MINUTE_MS, "B": 4 * MINUTE_MS}
    assert len(inboxes["A"]) == 4


def test_whoever_takes_a_symbols_candles_is_told_to_load_them_anew():
    """Once, however often it is said before somebody listens."""
    _, inboxes, hub, _ = a_hub(["A", "B", "C"], {"B": ["A"]})
    hub.reload("B")
    hub.reload("B")
    assert [waiting(inboxes[name]) for name in "ABC"] == [[Reload("B")], [Reload("B")], []]
