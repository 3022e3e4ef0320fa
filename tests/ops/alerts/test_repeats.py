"""What says the same again and again is told once, and then how often."""

from livebot.ops.alerts.repeats import Repeats
from tests.ops.alerts.told import NOW_MS, alert

WINDOW_MS = 600_000


def test_the_first_is_told_and_the_others_are_counted():
    """The last of them is what is told when the window ends, with the number."""
    repeats = Repeats(WINDOW_MS, 10)
    assert repeats.see(alert("a", key="k"), NOW_MS) == [alert("a", key="k")]
    assert repeats.see(alert("b", key="k"), NOW_MS + 1) == []
    assert repeats.see(alert("c", key="k"), NOW_MS + 2) == []
    assert repeats.due(NOW_MS + WINDOW_MS - 1) == []
    assert [each.text for each in repeats.due(NOW_MS + WINDOW_MS)] == ["c  (2 more like it within 10 min)"]
    assert repeats.due(NOW_MS + WINDOW_MS) == []


def test_another_variant_is_news():
    """That a problem has passed is told, that it comes and goes is counted, and how it stands in the end is told."""
    repeats = Repeats(WINDOW_MS, 10)
    told = [
        each.text
        for ms, (text, variant) in enumerate(
            [("bad", "arose"), ("good", "passed"), ("bad", "arose"), ("good", "passed")]
        )
        for each in repeats.see(alert(text, key="k", variant=variant), NOW_MS + ms)
    ]
    assert told == ["bad", "good"]
    assert [each.text for each in repeats.rest()] == ["good  (2 more like it within 10 min)"]


def test_after_the_window_it_is_news_again():
    repeats = Repeats(WINDOW_MS, 10)
    repeats.see(alert("a"), NOW_MS)
    assert repeats.see(alert("a"), NOW_MS + WINDOW_MS) == [alert("a")]
    repeats.see(alert("a"), NOW_MS + WINDOW_MS)
    texts = [each.text for each in repeats.see(alert("a"), NOW_MS + 2 * WINDOW_MS)]
    assert texts == ["a  (1 more like it within 10 min)", "a"]


def test_a_clock_that_is_set_back_keeps_no_window_open():
    repeats = Repeats(WINDOW_MS, 10)
    repeats.see(alert("a"), NOW_MS)
    assert repeats.see(alert("a"), NOW_MS - 3_600_000) == [alert("a")]


def test_only_so_many_are_known_and_none_is_lost():
    """The oldest window ends early, and what was counted in it is told."""
    repeats = Repeats(WINDOW_MS, 2)
    for text in ("a", "a", "b"):
        repeats.see(alert(text), NOW_MS)
    assert [each.text for each in repeats.see(alert("c"), NOW_MS)] == ["a  (1 more like it within 10 min)", "c"]
