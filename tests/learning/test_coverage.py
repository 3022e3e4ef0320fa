"""Who waits for training: kept in one file, bounded, and lost only when somebody covers it."""

import pytest

from livebot.adapters.state_files.sealed_json import seal
from livebot.errors import BadInput, Fatal
from livebot.learning.coverage import WAITING_MAX, TrainingQueue, Waiting, queue_path, read_queue
from tests.adapters.layers import FailingFiles, RecordingFiles


def waiting(symbol: str, since_ms: int = 5, strategy: str = "ema_cross") -> Waiting:
    return Waiting(strategy=strategy, symbol=symbol, since_ms=since_ms)


def nobody(_: Waiting) -> bool:
    return False


def everybody(_: Waiting) -> bool:
    return True


def test_who_wants_is_remembered_since_the_first_time(tmp_path):
    path = queue_path(tmp_path / "state")
    queue = TrainingQueue(path, "spot-1")
    assert queue.waiting == ()
    queue.update([waiting("A/B"), waiting("C/D", 6), waiting("A/B", 7)], nobody)
    queue.update([waiting("A/B", 9)], nobody)
    assert queue.waiting == read_queue(path, "spot-1") == (waiting("A/B"), waiting("C/D", 6))


def test_the_same_symbol_waits_once_for_each_strategy(tmp_path):
    queue = TrainingQueue(queue_path(tmp_path), "spot-1")
    queue.update([waiting("A/B"), waiting("A/B", strategy="breakout")], nobody)
    change = queue.update([], lambda each: each.strategy == "breakout")
    assert change.covered == (waiting("A/B", strategy="breakout"),)
    assert queue.waiting == (waiting("A/B"),)


def test_who_is_covered_before_it_was_written_is_not_told(tmp_path):
    """It asked between two looks, and the version that covers it came with the second one."""
    queue = TrainingQueue(queue_path(tmp_path), "spot-1")
    assert queue.update([waiting("A/B")], everybody).covered == ()
    assert not queue_path(tmp_path).exists()


def test_nothing_is_written_that_did_not_change(tmp_path):
    layer = RecordingFiles()
    queue = TrainingQueue(queue_path(tmp_path), "spot-1", layer)
    queue.update([], nobody)
    assert layer.calls == []
    queue.update([waiting("A/B")], nobody)
    assert layer.names("rename") == ["training_queue.json"]
    queue.update([waiting("A/B", 99)], nobody)
    assert layer.names("rename") == ["training_queue.json"]


def test_another_process_goes_on_where_the_last_one_stopped(tmp_path):
    path = queue_path(tmp_path)
    TrainingQueue(path, "spot-1").update([waiting("A/B")], nobody)
    queue = TrainingQueue(path, "spot-1")
    assert queue.update([waiting("C/D")], nobody).covered == ()
    assert queue.waiting == (waiting("A/B"), waiting("C/D"))
    assert TrainingQueue(path, "spot-1").update([], everybody).covered == queue.waiting


def test_the_queue_is_bounded(tmp_path):
    """A symbol for which there was no room comes back with its next entry."""
    queue = TrainingQueue(queue_path(tmp_path), "spot-1")
    queue.update([waiting(f"S{number}/B") for number in range(WAITING_MAX + 1)], nobody)
    assert len(queue.waiting) == WAITING_MAX
    queue.update([], lambda each: each.symbol == "S0/B")
    queue.update([waiting(f"S{WAITING_MAX}/B")], nobody)
    assert queue.waiting[-1].symbol == f"S{WAITING_MAX}/B"


@pytest.mark.parametrize("content", [b"", b"damaged", seal({"system": "spot-2", "waiting": []})])
def test_a_file_that_is_damaged_or_of_another_system_is_set_aside(tmp_path, content):
    path = queue_path(tmp_path)
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"training_queue\.json is damaged"):
        read_queue(path, "spot-1")
    queue = TrainingQueue(path, "spot-1")
    change = queue.update([waiting("A/B")], nobody)
    assert "set aside as training_queue.json.damaged-1" in change.note
    assert (tmp_path / "training_queue.json.damaged-1").read_bytes() == content
    assert read_queue(path, "spot-1") == (waiting("A/B"),)


def test_without_a_file_nobody_waits(tmp_path):
    assert read_queue(queue_path(tmp_path), "spot-1") == ()


def test_a_failed_write_is_made_up_for(tmp_path):
    queue = TrainingQueue(queue_path(tmp_path), "spot-1", FailingFiles("rename", 28))
    with pytest.raises(Fatal, match=r"cannot write .*training_queue\.json: No space left"):
        queue.update([waiting("A/B")], nobody)
    assert [path.name for path in tmp_path.iterdir()] == []
    queue._layer = RecordingFiles()
    queue.update([], nobody)
    assert read_queue(queue_path(tmp_path), "spot-1") == (waiting("A/B"),)


def test_what_cannot_be_read_or_set_aside_is_told(tmp_path):
    path = queue_path(tmp_path)
    path.mkdir()
    with pytest.raises(Fatal, match="cannot read"):
        read_queue(path, "spot-1")
    path.rmdir()
    path.write_bytes(b"damaged")
    with pytest.raises(Fatal, match="cannot set aside"):
        TrainingQueue(path, "spot-1", FailingFiles("rename", 13)).update([], nobody)
