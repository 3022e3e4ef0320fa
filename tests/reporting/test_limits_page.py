"""The page of limits: lines against their bounds, gaps, the most that was used, and nothing that runs or breaks out."""

import re
from decimal import Decimal

from livebot.rehearsal.page import page_of
from livebot.rehearsal.verdict import Verdict
from livebot.reporting.limits_page import Used, UseSample, limits_page, limits_table, most_used


def used(value: str, allowed: str = "10") -> Used:
    return Used(Decimal(value), Decimal(allowed))


SAMPLES = (
    UseSample(0.0, {"open_signals": used("0")}),
    UseSample(10.0, {"open_signals": used("5"), "gross_exposure": used("0.3", "0.6")}),
    UseSample(20.0, None),
    UseSample(30.0, {"open_signals": used("10")}),
    UseSample(40.0, {"open_signals": used("20")}),
)
HEIGHT, TOP = 126.0, 1.25  # of the drawing, and which share is at its upper edge


def lines(page: str) -> list[list[tuple[float, float]]]:
    found = re.findall(r'<polyline class="use" points="([^"]+)"', page)
    return [[tuple(map(float, point.split(","))) for point in text.split()] for text in found]


def y(share: float) -> float:
    return round(HEIGHT - HEIGHT * share / TOP, 1)


def test_a_value_stands_until_the_next_look_and_a_gap_ends_the_line() -> None:
    first, second, third = lines(limits_page("t", "s", SAMPLES, ()))
    assert first == [(4.0, y(0)), (142.0, y(0)), (142.0, y(0.5))]
    assert second == [(418.0, y(1)), (556.0, y(1)), (556.0, y(TOP))]  # what is above the edge is drawn at the edge
    assert third == [(142.0, y(0.5))]


def test_the_bound_is_at_the_same_height_in_each_chart() -> None:
    page = limits_page("t", "s", SAMPLES, ())
    assert re.findall(r'class="bound" x1="0" x2="560" y1="([\d.]+)"', page) == [f"{y(1)}"] * 2


def test_the_table_has_the_most_that_was_used() -> None:
    assert most_used(SAMPLES[:3], "open_signals") == used("5")
    assert limits_table(SAMPLES).rows == (
        ("open_signals", "10", "20", "200%"),
        ("gross_exposure", "0.6", "0.3", "50%"),
    )
    assert "No limit was told." in limits_page("t", "s", (), ())


def test_nothing_runs_and_no_name_breaks_out() -> None:
    page = limits_page("<b>t</b>", "s & s", (UseSample(0.0, {"<script>": used("1")}),), ())
    assert "<script>" not in page
    assert "&lt;b&gt;t&lt;/b&gt;" in page
    assert "default-src 'none'" in page
    assert page == limits_page("<b>t</b>", "s & s", (UseSample(0.0, {"<script>": used("1")}),), ())


def test_the_rehearsals_page_tells_denials_and_what_was_broken() -> None:
    verdict = Verdict()
    verdict.add("I5", ["too much"])
    verdict.add("I1", [])
    page = page_of("demo", ("one", "two"), SAMPLES, {"a": 3, "b": 4000}, verdict)
    assert page.index("4,000") < page.index("<td>a</td>")
    assert "Rehearsal of demo" in page
    assert "one; two" in page
    assert "BROKEN (1)" in page
    assert "I5: too much" in page
    assert "What was broken" not in page_of("demo", (), SAMPLES, {}, Verdict())
