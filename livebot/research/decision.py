"""What is decided from the figures, by the rule that was registered before the first fold (`rule.py`).

Rules of this file: the rule is applied and nothing else; an arm that is not confirmed is not recommended, however good it looks;
of confirmed arms whose difference is below the margin the simplest one is taken; every interval told is of all arms at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from livebot.reporting.shown import percent, signed_percent
from livebot.research.arms import RANDOM, simplicity
from livebot.research.results import ArmResult, Decision, Difference, Side
from livebot.research.rule import JudgingTerms

Ask = Callable[[ArmResult], Side | None]

NO_ARM = "no arm is confirmed to beat the unfiltered strategy after costs"
GAIN, INTERVAL, CHANCE, OVERFITTING, TRIALS = "gain", "interval", "chance", "overfitting", "trials"  # of the rule


def difference(side: Side | None, against: str, *, doubled: bool = False) -> Difference | None:
    """The difference from that arm; None where there is none."""
    found = () if side is None else side.doubled_differences if doubled else side.differences
    return next((each for each in found if each.against == against), None)


def better(found: Difference | None, margin: float) -> bool:
    """By the margin, and with an interval of all arms at once wholly above 0."""
    return found is not None and found.yearly >= margin and found.joint_low > 0


def lacking(arm: ArmResult, terms: JudgingTerms, overfitting: float | None) -> tuple[str, ...]:
    """Which conditions of the rule an arm does not meet; what cannot be told is not met.  Empty: it is confirmed."""
    found = difference(arm.threshold, terms.baseline)
    met = {
        GAIN: found is not None and found.yearly >= terms.margin,
        INTERVAL: found is not None and found.joint_low > 0,
        CHANCE: arm.chance is not None and arm.chance <= terms.error,
        OVERFITTING: overfitting is not None and overfitting <= terms.most_overfitting,
        TRIALS: arm.deflated is not None and arm.deflated >= terms.least_deflated,
    }
    return tuple(name for name, good in met.items() if not good)


def decide(arms: Sequence[ArmResult], terms: JudgingTerms, overfitting: float | None) -> Decision:
    """The decision; `overfitting` is the probability of it, None: too few days to tell."""
    models = [arm for arm in arms if arm.forecast is not None]
    lacks = {arm.name: lacking(arm, terms, overfitting) for arm in models}
    winner = _winner([arm for arm in models if not lacks[arm.name]], terms)
    more = tuple(_more(arms, models, terms))
    if winner is None:
        sentence = _none(models, lacks, terms, overfitting)
        return Decision(verdict=NO_ARM, sentence=sentence, winner=None, lacking=lacks, more=more)
    sentence = (
        f"{winner.name} ({winner.sentence}) is confirmed to beat the unfiltered strategy after costs, by the whole rule that was "
        f"registered: {_standing(winner, terms, overfitting)}."
    )
    yearly = winner.threshold.figures.yearly
    if yearly <= 0:
        sentence += f" It still loses money, {signed_percent(yearly)} a year: not to trade is better than both."
    verdict = f"{winner.name} is confirmed to beat the unfiltered strategy"
    return Decision(verdict=verdict, sentence=sentence, winner=winner.name, lacking=lacks, more=more)


def _none(
    models: Sequence[ArmResult],
    lacks: Mapping[str, tuple[str, ...]],
    terms: JudgingTerms,
    overfitting: float | None,
) -> str:
    known = [
        arm for arm in models if arm.threshold.figures.trades and difference(arm.threshold, terms.baseline) is not None
    ]
    said = f"{_sentence(NO_ARM)} by the rule that was registered"
    if not known:
        return f"{said}: none trades on enough days for an interval."
    nearest = min(known, key=lambda arm: (len(lacks[arm.name]), -_yearly(arm, terms.baseline)))
    return (
        f"{said}; the nearest is {nearest.name}, {_standing(nearest, terms, overfitting)}; it does not meet: "
        f"{', '.join(lacks[nearest.name])}."
    )


def _standing(arm: ArmResult, terms: JudgingTerms, overfitting: float | None) -> str:
    """An arm against each condition."""
    chance = "not known" if arm.chance is None else f"p = {arm.chance:.2g}"
    return (
        f"{told(difference(arm.threshold, terms.baseline))}, for all arms at once; against random filters {chance}, for all arms "
        f"at once; probability of overfitting {percent(overfitting, 0)}; deflated Sharpe ratio "
        f"{percent(arm.deflated, 1)}"
    )


def told(found: Difference | None) -> str:
    """A difference with its interval, that of all arms at once."""
    if found is None:
        return "too few days for an interval"
    low, high = signed_percent(found.joint_low), signed_percent(found.joint_high)
    return f"{signed_percent(found.yearly)} a year (interval {low} to {high})"


def _winner(confirmed: Sequence[ArmResult], terms: JudgingTerms) -> ArmResult | None:
    if not confirmed:
        return None
    top = max(_yearly(arm, terms.baseline) for arm in confirmed)
    tied = [arm for arm in confirmed if top - _yearly(arm, terms.baseline) <= terms.margin]
    return min(tied, key=lambda arm: simplicity(arm.name))


def _yearly(arm: ArmResult, against: str) -> float:
    found = difference(arm.threshold, against)
    return float("-inf") if found is None else found.yearly


def _more(arms: Sequence[ArmResult], models: Sequence[ArmResult], terms: JudgingTerms) -> Iterator[str]:
    """The other questions, each with its answer."""
    base, second = terms.baseline, terms.second_baseline
    unfiltered = next((arm.threshold.figures.yearly for arm in arms if arm.name == base), 0.0)
    if unfiltered < 0:
        yield (
            f"The unfiltered strategy loses money, {signed_percent(unfiltered)} a year, so that to trade less is a gain by itself: "
            "an interval alone is no skill here, and how an arm stands against random filters says more."
        )
    yield from _resolved(models, base)
    if any(arm.name == second for arm in arms) and len(models) > 1:
        yield _among(models, f"better than {second}", terms, lambda arm: arm.threshold, second)
    yield _among(models, "better at double costs", terms, lambda arm: arm.threshold, base, doubled=True)
    what = "better than random filters at a matched trade count"
    yield _among(models, what, terms, lambda arm: arm.matched, RANDOM)
    if any(arm.unseen is not None for arm in models):
        yield _among(models, "better on unseen symbols", terms, lambda arm: arm.unseen, base)


def _resolved(models: Sequence[ArmResult], base: str) -> Iterator[str]:
    """What so few days could have shown: to confirm nothing is not to show that nothing is there."""
    wide = [
        found.yearly - found.joint_low
        for arm in models
        if (found := difference(arm.threshold, base)) is not None and found.joint_low < found.yearly
    ]
    if wide:
        yield (
            f"So many days tell gains from luck that are above {signed_percent(min(wide))} a year at best, for all arms at once: a "
            "smaller gain may be there and is not confirmed."
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
        named = "; ".join(f"{name} {told(known[name])}" for name in passing)
        return f"{_sentence(what)}, by margin and an interval of all arms at once: {named}."
    nearest = max(known, key=lambda name: known[name].yearly)
    return f"{_sentence(what)}: none of {len(known)} arms; the nearest is {nearest}, {told(known[nearest])}."


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def not_significant(arms: Sequence[ArmResult]) -> tuple[str, ...]:
    """The differences whose interval, of all arms at once, holds 0, so that nobody reads them as findings."""
    return tuple(
        f"{arm.name} against {each.against}: {told(each)}"
        for arm in arms
        for each in arm.threshold.differences
        if each.joint_low <= 0 <= each.joint_high
    )
