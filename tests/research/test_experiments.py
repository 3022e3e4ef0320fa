"""Experiment folders: what was registered stands, and what came out can be held side by side."""

import json

import pytest

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.errors import BadInput
from livebot.reporting.document import as_text
from livebot.research.experiments import (
    METRICS,
    REGISTRATION,
    comparison,
    differing,
    experiments_in,
    listing,
    read,
    register,
    write_results,
)

REGISTERED = {
    "strategy": "ema",
    "symbols": ["A/USDT"],
    "from_ms": 0,
    "to_ms": 86_400_000,
    "arms": ["no_filter"],
    "judging": {"margin": 0.02, "resamples": 100},
    "seed": 1,
}
FIGURES = {"sharpe": 1.5, "trades": 12, "win_rate": None}


def metrics(sharpe=1.5):
    arm = {"name": "one_hot_lr", "threshold": {"figures": FIGURES | {"sharpe": sharpe}}, "forecast": {"auc": 0.5125}}
    return {"decision": {"verdict": "no arm", "sentence": "No arm beats it."}, "arms": [arm]}


def begin(folder, registered=REGISTERED, now_ms=5):
    return register(folder, registered, now_ms, SystemFiles())


def finish(folder, sharpe=1.5):
    write_results(folder, metrics(sharpe), "# it", "<html>", SystemFiles())


def test_it_goes_on_under_the_same_registration_and_keeps_its_time(tmp_path):
    first = begin(tmp_path / "a")
    before = (tmp_path / "a" / REGISTRATION).read_bytes()
    assert begin(tmp_path / "a", now_ms=9) == first
    assert (tmp_path / "a" / REGISTRATION).read_bytes() == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"judging": {"margin": 0.0, "resamples": 100}}, r"judging\.margin differ"),
        ({"arms": ["no_filter", "one_hot_lr"], "seed": 2}, "arms, seed differ"),
        ({"folds": 3}, "folds differ"),
    ],
)
def test_what_was_registered_cannot_be_changed(tmp_path, change, said):
    begin(tmp_path / "a")
    before = (tmp_path / "a" / REGISTRATION).read_bytes()
    with pytest.raises(BadInput, match=said):
        begin(tmp_path / "a", REGISTERED | change)
    assert (tmp_path / "a" / REGISTRATION).read_bytes() == before


@pytest.mark.parametrize("name", ["..", "a b", ".hidden", "x" * 65])
def test_a_name_that_is_no_folders_is_refused(tmp_path, name):
    with pytest.raises(BadInput, match="--name"):
        begin(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "is no registration"),
        ('{"schema": 9, "registered_ms": 1, "registration": {}}', "schema 9"),
    ],
)
def test_a_damaged_registration_is_refused(tmp_path, content, said):
    begin(tmp_path / "a")
    (tmp_path / "a" / REGISTRATION).write_text(content)
    with pytest.raises(BadInput, match=said):
        read(tmp_path / "a")


def test_an_experiment_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match="there is no experiment"):
        read(tmp_path / "nobody")


def test_what_came_out_is_written_with_its_report(tmp_path):
    begin(tmp_path / "a")
    finish(tmp_path / "a")
    assert read(tmp_path / "a").metrics == json.loads((tmp_path / "a" / METRICS).read_text())
    assert {path.name for path in (tmp_path / "a").iterdir()} == {REGISTRATION, METRICS, "report.md", "report.html"}


def test_all_are_listed_oldest_first(tmp_path):
    assert "There is no experiment yet" in as_text(listing(experiments_in(tmp_path / "none")))
    begin(tmp_path / "b", now_ms=1)
    begin(tmp_path / "a", now_ms=2)
    finish(tmp_path / "b")
    (tmp_path / "other").mkdir()
    found = experiments_in(tmp_path)
    assert [each.name for each in found] == ["b", "a"]
    text = as_text(listing(found))
    assert "no arm" in text and "not finished" in text and "1970-01-01 to 1970-01-02" in text


def test_two_are_held_side_by_side(tmp_path):
    begin(tmp_path / "a")
    begin(tmp_path / "b", REGISTERED | {"seed": 2, "extra": [1]})
    finish(tmp_path / "a", 1.5)
    finish(tmp_path / "b", -0.25)
    text = as_text(comparison(read(tmp_path / "a"), read(tmp_path / "b")))
    assert "seed" in text and "1 -> 2" in text and "n/a -> [1]" in text
    assert "1.5 -> -0.25" in text and "0.5125 -> 0.5125" in text and "12 -> 12" in text
    assert text.count("No arm beats it.") == 2


def test_what_only_one_has_is_named_and_not_spelt_out(tmp_path):
    """An arm that the other does not have is many settings."""
    begin(tmp_path / "a")
    begin(tmp_path / "b", REGISTERED | {"more": {f"setting_{number}": "x" * 9 for number in range(20)}})
    text = as_text(comparison(read(tmp_path / "a"), read(tmp_path / "b")))
    assert "n/a -> {setting_0, setting_1, " in text and "xxx" not in text


def test_the_same_twice_differs_in_nothing(tmp_path):
    begin(tmp_path / "a")
    text = as_text(comparison(read(tmp_path / "a"), read(tmp_path / "a")))
    assert "both were registered alike" in text and "Neither is finished" in text and "not finished" in text


def test_differences_are_named_by_their_path():
    assert set(differing({"a": {"b": 1, "c": 2}, "d": 1}, {"a": {"b": 1, "c": 3}, "e": 1})) == {"a.c", "d", "e"}
