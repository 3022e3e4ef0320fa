"""What is wrong now, told once."""

from livebot.runtime.problems import Problems


def test_a_problem_stands_until_it_has_passed():
    told = []
    problems = Problems(lambda source, sentence: told.append((source, sentence)))
    problems.report("ledger", "it is full")
    problems.report("feed", "it is silent")
    problems.report("ledger", "it is full")
    assert ("it is full", "it is silent") == problems.sentences()
    problems.report("ledger", None)
    problems.report("ledger", None)
    assert ("it is silent",) == problems.sentences()
    assert [("ledger", "it is full"), ("feed", "it is silent"), ("ledger", None)] == told


def test_nobody_need_listen():
    problems = Problems()
    problems.report("ledger", "it is full")
    assert ("it is full",) == problems.sentences()


def test_a_listener_that_raises_gives_the_reporter_no_problem_of_its_own():
    def refuse(source: str, sentence: str | None) -> None:
        raise ConnectionError(source)

    problems = Problems(refuse)
    problems.report("ledger", "it is full")
    assert ("it is full",) == problems.sentences()
