"""The time left: it learns how long each kind takes, and does not take pieces for time."""

import pytest

from livebot.research.progress import WorkLeft


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def work(pieces, workers=1):
    clock = Clock()
    left = WorkLeft(pieces, clock)

    def done(kind, seconds, count=1):
        for _ in range(count):
            clock.now_s += seconds / workers
            left.done(kind, seconds)

    return left, done, clock


def test_nothing_is_claimed_before_the_first_piece():
    left, _, _ = work({"a": (3, 1.0)})
    assert left.standing().left_s is None
    assert left.standing().share == 0


def test_no_work_is_all_done():
    left, _, _ = work({})
    assert (left.standing().share, left.standing().left_s) == (1.0, 0.0)


def test_costly_pieces_count_for_what_they_cost():
    left, done, _ = work({"slow": (4, 20.0), "quick": (100, 1.0)})
    done("slow", 10.0, count=2)
    standing = left.standing()
    # two slow ones at 10 s, and 100 quick ones at a twentieth of that
    assert standing.left_s == pytest.approx(2 * 10 + 100 * 0.5)
    assert standing.share == pytest.approx(20 / 90)
    assert (standing.done, standing.pieces) == (2, 104)


def test_a_kind_that_was_measured_counts_by_its_measure_and_not_by_its_cost():
    left, done, _ = work({"slow": (2, 20.0), "quick": (10, 1.0)})
    done("slow", 10.0)
    done("quick", 3.0)  # six times as long as its cost said
    assert left.standing().left_s == pytest.approx(10 + 9 * 3.0)


def test_two_workers_take_half_the_time():
    left, done, _ = work({"a": (21, 1.0)}, workers=2)
    done("a", 4.0, count=11)
    # the first piece tells when the work began, so it counts with its whole length
    assert left.standing().left_s == pytest.approx(10 * 4.0 / 2, rel=0.1)


def test_the_time_until_workers_are_there_is_no_time_of_work():
    left, done, clock = work({"a": (10, 1.0)})
    clock.now_s += 30
    done("a", 1.0)
    assert left.standing().left_s == pytest.approx(9.0)


def test_a_machine_that_gets_slower_is_believed_soon_and_the_share_never_falls():
    left, done, _ = work({"a": (200, 1.0)})
    shares = []
    for seconds, count in ((1.0, 20), (3.0, 40)):
        for _ in range(count):
            done("a", seconds)
            shares.append(left.standing().share)
    assert left.standing().left_s == pytest.approx(140 * 3.0, rel=0.1)
    assert shares == sorted(shares)
    done("a", 1.0, count=60)
    assert left.standing().left_s == pytest.approx(80 * 1.0, rel=0.3)


def test_the_whole_story_is_told_honestly():
    """At every moment after the first tenth the time left is within a quarter of what it then takes."""
    lengths = {"slow": 8.0, "middle": 3.0, "quick": 0.5}
    left, done, clock = work({"slow": (20, 10.0), "middle": (40, 3.5), "quick": (60, 0.7)})
    told = []
    for kind, count in (("slow", 20), ("middle", 40), ("quick", 60)):
        for _ in range(count):
            done(kind, lengths[kind])
            told.append((clock.now_s, left.standing().left_s))
    end_s = clock.now_s
    for now_s, claimed in told[12:-1]:
        assert claimed == pytest.approx(end_s - now_s, rel=0.25)
    assert left.standing().left_s == 0
