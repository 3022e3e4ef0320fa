"""The journal tells what happened, and never stands in anybody's way."""

import io
import json
import threading
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from livebot.adapters.ledger import journal as journal_module
from livebot.adapters.ledger.journal import Journal
from livebot.adapters.state_files.codec import Codec
from livebot.core.facts import Fact
from livebot.core.ranking import Round, RoundPlace
from livebot.ports import Decision, Listener
from tests.adapters.states import a_decision, a_fact
from tests.virtual_loop import REAL_WAIT_S

FACT: Codec[Fact] = Codec(Fact)
DECISION: Codec[Decision] = Codec(Decision)
DAY_MS = 86_400_000
NOON_MS = 1_763_726_400_000  # 2025-11-21 12:00 UTC


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """What a busy machine has not written after the daemon's few seconds is no loss of lines here."""
    monkeypatch.setattr(journal_module, "CLOSE_SECONDS_MAX", REAL_WAIT_S)


class HandClock:
    """Stands still until it is set."""

    def __init__(self, now_ms: int = NOON_MS) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms


def lines_of(folder: Path, day: str = "2025-11-21") -> list[Any]:
    """The objects of a day's file."""
    return [json.loads(line) for line in (folder / f"{day}.jsonl").read_text().splitlines()]


def test_facts_decisions_and_commands_are_one_object_a_line(tmp_path):
    """With the time at which they were heard; a replay can make values of them again."""
    journal = Journal(tmp_path / "journal", HandClock())
    listener: Listener = journal
    listener.hear([a_fact(sequence=1), a_decision()])
    journal.note("Command", {"name": "halt", "reason": "ü"})
    journal.close()
    fact, decision, command = lines_of(tmp_path / "journal")
    assert NOON_MS == fact.pop("at_ms") == decision.pop("at_ms")
    assert a_fact(sequence=1) == FACT.from_tree(fact)
    assert "Decision" == decision.pop("type")
    assert a_decision() == DECISION.from_tree(decision)
    assert {"at_ms": NOON_MS, "type": "Command", "name": "halt", "reason": "ü"} == command
    assert ("journal", 0) == (journal.name, journal.dropped)


def test_a_round_is_one_line_with_all_who_wanted_something(tmp_path):
    """And a replay can make a value of it again."""
    place = RoundPlace(
        strategy="trend",
        symbol="BTC/USDT",
        side="long",
        score=0.7,
        confidence=None,
        notional=Decimal("100.10"),
        risk=Decimal(5),
        outcome="denied",
        code="open_signals",
        text="2 used and 1 asked",
    )
    told = Round(close_ms=NOON_MS, ended="deadline", silent=1, awaited=("trend/ETH/USDT",), places=(place,))
    journal = Journal(tmp_path, HandClock())
    journal.hear_round(told)
    journal.close()
    (line,) = lines_of(tmp_path)
    assert (line.pop("at_ms"), line.pop("type")) == (NOON_MS, "Round")
    assert line["places"][0]["notional"] == "100.10"
    assert Codec(Round).from_tree(line) == told


def test_each_utc_day_has_its_file_and_old_ones_go(tmp_path):
    """Only files that are named like a day's; the operator's own stay."""
    clock = HandClock()
    for name in ("2025-11-01.jsonl", "2025-11-18.jsonl", "notes.jsonl"):
        (tmp_path / name).write_text("")
    journal = Journal(tmp_path, clock, days_kept=3)
    for _ in range(3):
        journal.hear([a_fact()])
        clock.ms += DAY_MS
    journal.close()
    days = ["2025-11-21.jsonl", "2025-11-22.jsonl", "2025-11-23.jsonl", "notes.jsonl"]
    assert days == sorted(path.name for path in tmp_path.iterdir())


def test_it_goes_on_in_the_file_of_the_day_after_a_restart(tmp_path):
    """Also after a line that was cut off."""
    for _ in range(2):
        journal = Journal(tmp_path, HandClock())
        journal.note("Start", {})
        journal.close()
    with (tmp_path / "2025-11-21.jsonl").open("a") as file:
        file.write('{"at_ms": 17')
    journal = Journal(tmp_path, HandClock())
    journal.note("Start", {})
    journal.close()
    lines = (tmp_path / "2025-11-21.jsonl").read_text().splitlines()
    assert '{"at_ms": 17' == lines.pop(2)
    assert ["Start"] * 3 == [json.loads(line)["type"] for line in lines]


def test_a_full_queue_drops_lines_and_holds_nobody_up(tmp_path, monkeypatch):
    """The disk hangs: what does not fit is counted, and the rest is written when it goes on."""
    hanging, going = threading.Event(), threading.Event()
    opened = journal_module._DayFiles._opened

    def hang(files, day):
        hanging.set()
        assert going.wait(REAL_WAIT_S)
        return opened(files, day)

    monkeypatch.setattr(journal_module._DayFiles, "_opened", hang)
    journal = Journal(tmp_path, HandClock(), queue_items_max=5)
    journal.note("Tick", {"number": 0})
    assert hanging.wait(REAL_WAIT_S)
    for number in range(1, 200):
        journal.note("Tick", {"number": number})
    assert 200 - 1 - 5 == journal.dropped
    going.set()
    journal.close()
    assert list(range(6)) == [line["number"] for line in lines_of(tmp_path)]


def wait_until_dropped(journal: Journal, lines: int) -> None:
    """The journal's thread has counted so many."""
    deadline = time.monotonic() + REAL_WAIT_S
    while journal.dropped < lines and time.monotonic() < deadline:
        time.sleep(0.001)
    assert lines == journal.dropped


def test_a_full_disk_costs_lines_and_nothing_else(tmp_path):
    """Nothing is raised into the bus; when there is space again, it goes on."""
    (tmp_path / "2025-11-21.jsonl").symlink_to("/dev/full")
    journal = Journal(tmp_path, HandClock())
    journal.hear([a_fact(sequence=1)])
    wait_until_dropped(journal, 1)
    (tmp_path / "2025-11-21.jsonl").unlink()
    journal.hear([a_fact(sequence=2)])
    journal.close()
    assert 1 == journal.dropped
    assert [2] == [line["sequence"] for line in lines_of(tmp_path)]


def test_a_folder_that_cannot_be_made_costs_lines_and_nothing_else(tmp_path):
    """There is a file in its place."""
    (tmp_path / "journal").write_text("")
    journal = Journal(tmp_path / "journal", HandClock())
    journal.hear([a_fact(), a_fact()])
    wait_until_dropped(journal, 2)
    journal.close()


def test_a_line_that_cannot_be_written_is_dropped_alone(tmp_path):
    """A mistake in one fact; the ledger, which matters, refuses it aloud."""
    journal = Journal(tmp_path, HandClock())
    journal.hear([a_fact(sequence=1), replace(a_fact(sequence=2), price=None), a_fact(sequence=3)])  # type: ignore[arg-type]
    journal.note("Odd", {"value": object()})
    journal.close()
    assert 2 == journal.dropped
    assert [1, 3] == [line["sequence"] for line in lines_of(tmp_path)]


@pytest.mark.parametrize("taken", [1, 7])
def test_short_writes_are_continued(taken):
    """A disk that is nearly full takes a part and says nothing."""
    parts: list[bytes] = []

    class Short(io.RawIOBase):
        def write(self, data: Any) -> int:
            parts.append(bytes(data[:taken]))
            return len(parts[-1])

    journal_module._write_fully(Short(), b"a line of the journal\n")
    assert b"a line of the journal\n" == b"".join(parts)


def test_a_disk_that_takes_nothing_is_an_error_and_no_endless_loop():
    """Counted like any other."""

    class Stuck(io.RawIOBase):
        def write(self, data: Any) -> int:
            return 0

    with pytest.raises(OSError, match="takes no more bytes"):
        journal_module._write_fully(Stuck(), b"x")
