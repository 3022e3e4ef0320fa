"""What connections say of themselves: shown, in the way of entries, and compared with the venue."""

import pytest

from livebot.core.denial import DenialCode
from livebot.ports import VenueNotice
from livebot.runtime.portfolio.blocks import Blocks
from livebot.runtime.problems import Problems
from livebot.runtime.venue.notices import Notices
from tests.runtime.samples import BTC, ETH


def notices():
    problems, blocks, wanted = Problems(), Blocks(None), []
    made = Notices(
        problems,
        blocks,
        wanted.append,
        lambda symbol: wanted.append(f"reload {symbol}"),
        lambda source, text: None,
    )
    return made, problems, blocks, wanted


@pytest.mark.parametrize(("symbol", "stopped"), [(None, (BTC, ETH)), (ETH, (ETH,))])
def test_a_notice_that_blocks_stops_its_symbol_or_all(symbol, stopped):
    """Until it has passed."""
    made, problems, blocks, wanted = notices()
    hear = made.of("exchange")
    hear(VenueNotice(source="clock", text="the clock is 3 s off", symbol=symbol, blocks_entries=True))
    assert tuple(each for each in (BTC, ETH) if DenialCode.VENUE in blocks.of(each)) == stopped
    assert problems.sentences() == ("the clock is 3 s off",)
    hear(VenueNotice(source="clock", text=None))
    assert (blocks.of(BTC), blocks.of(ETH), problems.sentences(), wanted) == ((), (), (), [])


def test_what_a_source_says_replaces_what_it_said_before():
    """Its sentence, its symbol, and whether it blocks."""
    made, problems, blocks, _ = notices()
    hear = made.of("exchange")
    hear(VenueNotice(source="ban", text="banned", symbol=BTC, blocks_entries=True))
    hear(VenueNotice(source="ban", text="banned longer", symbol=ETH, blocks_entries=True))
    assert (blocks.of(BTC), blocks.of(ETH)) == ((), (DenialCode.VENUE,))
    hear(VenueNotice(source="ban", text="slow", symbol=ETH))
    assert (blocks.of(ETH), problems.sentences()) == ((), ("slow",))


def test_sources_of_two_ports_and_two_sources_of_one_do_not_meet():
    """Each has its own way back."""
    made, problems, blocks, _ = notices()
    for port in ("exchange", "feed"):
        made.of(port)(VenueNotice(source="stream", text=f"{port} is down", blocks_entries=True))
    made.of("feed")(VenueNotice(source=BTC, text="stale", symbol=BTC, blocks_entries=True))
    made.of("exchange")(VenueNotice(source="stream", text=None))
    assert problems.sentences() == ("feed is down", "stale")
    made.of("feed")(VenueNotice(source="stream", text=None))
    assert (blocks.of(BTC), blocks.of(ETH)) == ((DenialCode.VENUE,), ())


def test_missed_events_have_a_symbol_or_all_compared():
    """Whether something is wrong or has just passed."""
    made, problems, _, wanted = notices()
    made.of("exchange")(VenueNotice(source="stream", text=None, reconcile=True))
    made.of("exchange")(VenueNotice(source="stream", text="gap", symbol=BTC, reconcile=True))
    assert wanted == [None, BTC]
    assert problems.sentences() == ("gap",)


def test_candles_that_were_not_final_are_loaded_anew():
    made, problems, _, wanted = notices()
    made.of("feed")(VenueNotice(source="audit BTC", text="another candle", symbol=BTC, reload=True))
    assert (wanted, problems.sentences()) == ([f"reload {BTC}"], ("another candle",))


def test_what_concerns_trading_as_a_whole_is_a_cause_until_it_has_passed():
    """A line that drops for a moment is none: it keeps entries out, and nobody is woken for it."""
    problems, causes = Problems(), []
    made = Notices(problems, Blocks(None), lambda _: None, lambda _: None, lambda *each: causes.append(each))
    hear = made.of("exchange")
    hear(VenueNotice(source="stream", text="the stream is down", blocks_entries=True))
    hear(VenueNotice(source="clock", text="the clock is 3 s off", blocks_entries=True, reduces=True))
    hear(VenueNotice(source="clock", text=None))
    assert causes == [
        ("exchange:stream", None),
        ("exchange:clock", "the clock is 3 s off"),
        ("exchange:clock", None),
    ]
