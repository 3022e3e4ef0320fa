"""When a training is due, and the files in which that is asked for and remembered."""

from dataclasses import replace

import pytest

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.core.market import DAY_MS
from livebot.errors import BadInput, Fatal
from livebot.learning.coverage import Waiting
from livebot.learning.due import (
    MEMORY_FILE,
    TRIGGER_FILE,
    UNENDED,
    Attempt,
    RetrainTerms,
    Trigger,
    outcome_of,
    read_attempts,
    read_triggers,
    reasons,
    remember_attempt,
    write_triggers,
)

HOUR_MS = 3_600_000
NOW_MS = 1_000 * DAY_MS
TERMS = RetrainTerms(every_ms=7 * DAY_MS, pause_ms=6 * HOUR_MS)
WORN = Trigger(strategy="s", model="s/v1", why="model s/v1 wears out", since_ms=5)


def why(terms: RetrainTerms = TERMS, **given):
    values = {"newest_ms": NOW_MS - DAY_MS, "in_use": ("s/v1",), "last": None, "waiting": (), "triggers": ()}
    return reasons("s", terms, now_ms=NOW_MS, **values | given)


def waits(symbol: str, strategy: str = "s") -> Waiting:
    return Waiting(strategy=strategy, symbol=symbol, since_ms=1)


def attempt(ago_ms: int, **given) -> Attempt:
    return Attempt(**{"strategy": "s", "began_ms": NOW_MS - ago_ms, "outcome": "s: current"} | given)


def test_what_was_never_trained_is_due():
    assert why(newest_ms=None) == ("it was never trained",)


def test_by_the_clock_it_is_due_when_the_time_is_over_and_no_sooner():
    assert why(newest_ms=NOW_MS - 7 * DAY_MS + 1) == ()
    assert why(newest_ms=NOW_MS - 7 * DAY_MS) == ("the last training was 168 h ago, and it is due every 168 h",)
    assert why(RetrainTerms(every_ms=None), newest_ms=NOW_MS - 900 * DAY_MS) == ()


def test_a_training_that_made_no_version_counts_as_one():
    assert why(newest_ms=NOW_MS - 30 * DAY_MS, last=attempt(DAY_MS)) == ()
    assert why(newest_ms=None, last=attempt(DAY_MS)) == ()


def test_one_that_failed_or_was_killed_is_tried_again_after_the_pause_and_not_only_when_it_is_due_again():
    """Candles that were not there yet must not cost a week; and one that is killed each time must not run all the time."""
    failed = attempt(6 * HOUR_MS - 1, outcome=UNENDED)
    assert why(newest_ms=NOW_MS - 8 * DAY_MS, last=failed) == ()
    assert why(newest_ms=None, last=failed) == ()
    assert why(waiting=(waits("NEW"),), newest_ms=NOW_MS - DAY_MS, last=failed) == ()
    later = attempt(6 * HOUR_MS, outcome=UNENDED)
    assert why(newest_ms=NOW_MS - 8 * DAY_MS, last=later) == (
        "the last training was 192 h ago, and it is due every 168 h",
    )
    assert why(newest_ms=None, last=later) == ("it was never trained",)
    assert why(newest_ms=NOW_MS - DAY_MS, last=later) == ()


def test_what_is_dated_later_than_now_counts_as_never():
    """The clock was wrong then; until that moment comes nothing would ever be due."""
    ahead = 400 * DAY_MS
    assert why(newest_ms=NOW_MS + ahead) == ("it was never trained",)
    assert why(newest_ms=None, last=attempt(-ahead)) == ("it was never trained",)
    assert why(newest_ms=NOW_MS + ahead, last=attempt(DAY_MS)) == ()
    assert why(newest_ms=NOW_MS - 8 * DAY_MS, last=attempt(-ahead, outcome=UNENDED)) != ()


def test_a_new_symbol_is_due_after_the_pause_and_is_named():
    assert why(waiting=(waits("NEW"), waits("OTHER", "another"))) == ("no model covers NEW",)
    assert why(waiting=(waits("NEW"),), newest_ms=NOW_MS - 6 * HOUR_MS + 1) == ()
    assert why(RetrainTerms(new_symbols=False), waiting=(waits("NEW"),)) == ()
    assert why(waiting=[waits(f"S{number}") for number in range(7)]) == (
        "no model covers S0, S1, S2, S3, S4 and 2 more",
    )


def test_a_symbol_whose_version_was_judged_and_not_used_waits_for_the_schedule():
    """Judged anew each day, a model without any worth would be found good within weeks."""

    def of(age_ms: int, terms: RetrainTerms = TERMS) -> tuple[str, ...]:
        last = attempt(age_ms, judged=("NEW",))
        return why(terms, waiting=(waits("NEW"),), newest_ms=NOW_MS - age_ms, last=last)

    assert of(DAY_MS) == of(7 * DAY_MS - 1) == ()
    assert "it is due every" in of(7 * DAY_MS)[0]
    unscheduled = replace(TERMS, every_ms=None)
    assert of(7 * DAY_MS - 1, unscheduled) == ()
    assert of(7 * DAY_MS, unscheduled) == ("no model covers NEW",)


def test_a_symbol_that_was_found_short_of_history_waits_a_day():
    assert why(waiting=(waits("NEW"),), last=attempt(DAY_MS - 1, short=("NEW",))) == ()
    assert why(waiting=(waits("NEW"),), last=attempt(DAY_MS, short=("NEW",))) == ("no model covers NEW",)


def test_drift_of_the_model_in_use_is_due_and_that_of_another_is_not():
    assert why(triggers=(WORN,)) == ("model s/v1 wears out",)
    assert why(triggers=(WORN,), in_use=("s/v2",)) == ()
    assert why(RetrainTerms(on_drift=False), triggers=(WORN,)) == ()


def test_drift_that_a_training_did_not_mend_waits_a_day():
    assert why(triggers=(WORN,), last=attempt(DAY_MS - 1, worn=("s/v1",))) == ()
    assert why(triggers=(WORN,), last=attempt(DAY_MS, worn=("s/v1",))) == ("model s/v1 wears out",)


def test_all_reasons_are_told():
    assert len(why(newest_ms=NOW_MS - 8 * DAY_MS, waiting=(waits("NEW"),), triggers=(WORN,))) == 3


# ---------------------------------------------------------------- files


def test_what_is_asked_for_reads_back_and_the_next_asking_takes_its_place(tmp_path):
    assert read_triggers(tmp_path, "demo") == ()
    write_triggers(tmp_path, "demo", (WORN,), SystemFiles())
    assert read_triggers(tmp_path, "demo") == (WORN,)
    write_triggers(tmp_path, "demo", (), SystemFiles())
    assert read_triggers(tmp_path, "demo") == ()


def test_a_training_is_remembered_beside_those_of_other_strategies(tmp_path):
    assert read_attempts(tmp_path, "demo") == {}
    first, other, second = attempt(9), Attempt(strategy="t", began_ms=1, outcome="refused"), attempt(1, short=("A",))
    for each in (first, other, second):
        remember_attempt(tmp_path, "demo", each, SystemFiles())
    assert read_attempts(tmp_path, "demo") == {"s": second, "t": other}


@pytest.mark.parametrize(("name", "read"), [(TRIGGER_FILE, read_triggers), (MEMORY_FILE, read_attempts)])
def test_a_damaged_file_is_refused_with_its_name(tmp_path, name, read):
    (tmp_path / name).write_bytes(b'{"seal": "nothing"}')
    with pytest.raises(BadInput, match=f"{name} is damaged"):
        read(tmp_path, "demo")


def test_a_file_of_another_system_is_refused(tmp_path):
    write_triggers(tmp_path, "other", (WORN,), SystemFiles())
    with pytest.raises(BadInput, match="of system other, and this is demo"):
        read_triggers(tmp_path, "demo")


def test_what_cannot_be_read_is_told(tmp_path):
    (tmp_path / TRIGGER_FILE).mkdir()
    with pytest.raises(Fatal, match="cannot read"):
        read_triggers(tmp_path, "demo")


def test_a_training_failed_if_every_scope_was_refused_or_it_did_not_end():
    for failed, states in (
        (True, [("s/A-B", "refused"), ("s/shared", "refused")]),
        (False, [("s/A-B", "refused"), ("s/shared", "challenger")]),
        (False, [("s", "current")]),
    ):
        assert attempt(1, outcome=outcome_of(states)).failed is failed
    assert attempt(1, outcome=UNENDED).failed


def test_a_damaged_memory_begins_anew(tmp_path):
    (tmp_path / MEMORY_FILE).write_bytes(b"nothing")
    remember_attempt(tmp_path, "demo", attempt(1), SystemFiles())
    assert read_attempts(tmp_path, "demo") == {"s": attempt(1)}
