"""What is decided from the figures, by the rule that was registered before the first fold.

Rules of this file: the rule is applied and nothing else; an arm that is not better is not recommended, however good it looks;
between arms whose difference is below the margin the simpler one is taken.
"""

from collections.abc import Callable, Iterator, Sequence

from livebot.reporting.shown import signed_percent
from livebot.research.arms import simplicity
from livebot.research.results import ArmResult, Decision, Difference, Side
from livebot.research.study import JudgingTerms

Ask = Callable[[ArmResult], Side | None]

NO_ARM = "no arm beats the unfiltered strategy after costs"


def difference(side: Side | None, against: str, *, doubled: bool = False) -> Difference | None:
    """The difference from that arm; None where there is none."""
    found = () if side is None else side.doubled_differences if doubled else side.differences
    return next((each for each in found if each.against == against), None)


def better(found: Difference | None, margin: float) -> bool:
    """By the margin, and with an interval wholly above 0."""
    return found is not None and found.yearly >= margin and found.low > 0


def decide(arms: Sequence[ArmResult], terms: JudgingTerms) -> Decision:
    """The decision."""
    models = [arm for arm in arms if arm.forecast is not None]
    winner = _winner(models, terms)
    more = tuple(_more(arms, models, winner, terms))
    rule = (
        f"by at least {signed_percent(terms.margin)} a year, with an interval above 0 and better than "
        f"{terms.beats_random:.0%} of random filters with as many trades"
    )
    if winner is None:
        return Decision(verdict=NO_ARM, sentence=_none(models, terms, rule), winner=None, more=more)
    sentence = (
        f"{winner.name} ({winner.sentence}) beats the unfiltered strategy after costs: "
        f"{told(difference(winner.threshold, terms.baseline))}; registered was: {rule}."
    )
    yearly = winner.threshold.figures.yearly
    if yearly <= 0:
        sentence += f" It still loses money, {signed_percent(yearly)} a year: not to trade is better than both."
    return Decision(
        verdict=f"{winner.name} beats the unfiltered strategy", sentence=sentence, winner=winner.name, more=more
    )


def _none(models: Sequence[ArmResult], terms: JudgingTerms, rule: str) -> str:
    trading = [arm for arm in models if arm.threshold.figures.trades]
    nearest = max(trading, key=lambda arm: _yearly(arm, terms.baseline), default=None)
    found = None if nearest is None else difference(nearest.threshold, terms.baseline)
    if nearest is None or found is None:
        return f"No arm beats the unfiltered strategy after costs {rule}: none trades on enough days for an interval."
    luck = "" if nearest.beats_random is None else f", better than {nearest.beats_random:.0%} of random filters"
    return (
        f"No arm beats the unfiltered strategy after costs {rule}; the nearest is {nearest.name}, {told(found)}{luck}."
    )


def told(found: Difference | None) -> str:
    """A difference with its interval."""
    if found is None:
        return "too few days for an interval"
    return (
        f"{signed_percent(found.yearly)} a year (interval {signed_percent(found.low)} to {signed_percent(found.high)})"
    )


def _winner(models: Sequence[ArmResult], terms: JudgingTerms) -> ArmResult | None:
    good = [
        arm
        for arm in models
        if better(difference(arm.threshold, terms.baseline), terms.margin)
        and arm.beats_random is not None
        and arm.beats_random >= terms.beats_random
    ]
    if not good:
        return None
    top = max(_yearly(arm, terms.baseline) for arm in good)
    tied = [arm for arm in good if top - _yearly(arm, terms.baseline) < terms.margin]
    return min(tied, key=lambda arm: simplicity(arm.name))


def _yearly(arm: ArmResult, against: str) -> float:
    found = difference(arm.threshold, against)
    return float("-inf") if found is None else found.yearly


def _more(
    arms: Sequence[ArmResult], models: Sequence[ArmResult], winner: ArmResult | None, terms: JudgingTerms
) -> Iterator[str]:
    """The other questions, each with its answer."""
    base, second = terms.baseline, terms.second_baseline
    unfiltered = next((arm.threshold.figures.yearly for arm in arms if arm.name == base), 0.0)
    if unfiltered < 0:
        yield (
            f"The unfiltered strategy loses money, {signed_percent(unfiltered)} a year, so that to trade less is a gain by itself: "
            "an interval alone is no skill here, and the share of random filters that an arm beats says more."
        )
    if any(arm.name == second for arm in arms):
        yield _among(models, f"better than {second}", terms, lambda arm: arm.threshold, second)
    yield _among(models, "better at double costs", terms, lambda arm: arm.threshold, base, doubled=True)
    yield _among(models, "better at a matched trade count", terms, lambda arm: arm.matched, base)
    if any(arm.unseen is not None for arm in models):
        yield _among(models, "better on unseen symbols", terms, lambda arm: arm.unseen, base)
    if winner is not None and winner.deflated is not None:
        yield (
            f"The deflated Sharpe ratio of {winner.name} is {winner.deflated:.1%}: the probability that it is better than the "
            "best of so many trials without any skill."
        )


def _among(
    models: Sequence[ArmResult], what: str, terms: JudgingTerms, of: Ask, against: str, *, doubled: bool = False
) -> str:
    """Whose interval is above 0 by the margin, and who comes nearest; whoever trades nothing is no answer."""
    known = {}
    for arm in models:
        side = of(arm)
        found = difference(side, against, doubled=doubled)
        if side is not None and side.figures.trades and found is not None:
            known[arm.name] = found
    passing = [name for name, found in known.items() if better(found, terms.margin)]
    if not known:
        return f"{_sentence(what)}: no arm trades on enough days for an interval."
    if passing:
        return f"{_sentence(what)}, by margin and interval: {'; '.join(f'{name} {told(known[name])}' for name in passing)}."
    nearest = max(known, key=lambda name: known[name].yearly)
    return f"{_sentence(what)}: none of {len(known)} arms; the nearest is {nearest}, {told(known[nearest])}."


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def not_significant(arms: Sequence[ArmResult]) -> tuple[str, ...]:
    """The differences whose interval holds 0, so that nobody reads them as findings."""
    return tuple(
        f"{arm.name} against {each.against}: {told(each)}"
        for arm in arms
        for each in arm.threshold.differences
        if each.low <= 0 <= each.high
    )
