"""The wallet against what our trades explain: told once, and only what two looks in a row show."""

from decimal import Decimal

from livebot.runtime.problems import Problems
from livebot.runtime.venue.wallet_watch import WalletWatch

D = Decimal


def watch():
    problems = Problems()
    return WalletWatch(problems, D("0.001")), problems


def test_what_our_trades_explain_is_no_surprise():
    """Realised profits, fees and open positions, whatever they are netted with."""
    made, problems = watch()
    for wallet, cost, moved in [(10_000, 0, 0), (10_000, 500, -500), (10_050, 0, 50), (10_050, -300, 350)]:
        made.see(D(wallet), D(cost), D(moved))
        made.see(D(wallet), D(cost), D(moved))
    assert (problems.sentences(), made.told) == ((), 0)


def test_a_deposit_is_told_once_and_then_taken_as_it_is():
    """After a second look has shown it."""
    made, problems = watch()
    made.see(D(10_000), D(0), D(0))
    made.see(D(10_250), D(0), D(0))
    assert problems.sentences() == ()
    made.see(D(10_250), D(0), D(0))
    (sentence,) = problems.sentences()
    assert sentence.startswith("the wallet is 10250, and 250 of it is not explained by our trades: a deposit")
    assert "the venue's number was taken over" in sentence
    made.see(D(10_250), D(0), D(0))
    assert (problems.sentences(), made.told) == ((), 1)


def test_a_withdrawal_is_told_too():
    """With its sign."""
    made, problems = watch()
    for wallet in (10_000, 9_000, 9_000):
        made.see(D(wallet), D(0), D(0))
    assert "-1000 of it" in problems.sentences()[0]


def test_an_answer_that_is_older_than_our_trades_is_no_surprise():
    """The next look shows what it should."""
    made, problems = watch()
    made.see(D(10_000), D(0), D(0))
    made.see(D(10_000), D(0), D(200))
    made.see(D(10_200), D(0), D(200))
    made.see(D(10_200), D(0), D(300))
    made.see(D(10_900), D(0), D(300))
    assert (problems.sentences(), made.told) == ((), 0)


def test_what_is_little_is_taken_over_silently():
    """Funding and fees in another currency, for ever."""
    made, problems = watch()
    for each in range(100):
        made.see(D(10_000 + 9 * each), D(0), D(0))
    assert (problems.sentences(), made.told) == ((), 0)


def test_what_cannot_be_compared_is_not():
    """While something foreign is there, and right after it."""
    made, problems = watch()
    made.see(D(10_000), D(0), D(0))
    made.forget()
    made.see(D(12_000), D(0), D(0))
    made.see(D(12_000), D(0), D(0))
    assert problems.sentences() == ()
