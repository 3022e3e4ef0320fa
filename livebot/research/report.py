"""A comparison as blocks: the decision first, then what was registered, then every figure.

Rules of this file: nothing is calculated here; a figure that its sample does not support is n/a; what is not significant has
a section of its own, so that nobody has to look for it.
"""

from collections.abc import Iterator, Mapping, Sequence

from livebot.reporting.document import Block, Document, Pairs, Sentences, Table
from livebot.reporting.shown import day, minute, percent, ratio, signed_percent, signed_ratio
from livebot.research.arms import RANDOM
from livebot.research.decision import difference
from livebot.research.experiments import Tree
from livebot.research.results import ArmResult, Evenness, Figures, Forecast, Part, Results, Side

FEATURES_SHOWN = 15
REFUSED_SHOWN = 12
_MONEY = ("Trades", "Win rate", "Mean gain", "PF", "Return", "Sharpe", "Max DD", "Exposure", "Turnover")
_SHORT = _MONEY[:7]
_CUTS = {
    "symbol": "By symbol",
    "side": "Long and short",
    "quarter": "By quarter",
    "volatility": "By volatility of the symbol (thirds, limits from train rows)",
    "liquidity": "By turnover of the symbol (thirds, of the train window)",
}


def document(title: str, results: Results, registration: Tree, registered_ms: int) -> Document:
    """The report."""
    return Document(title, tuple(blocks(results, registration, registered_ms)))


def blocks(results: Results, registration: Tree, registered_ms: int) -> Iterator[Block]:
    """All of it, in the order in which it is read."""
    yield decision(results)
    yield rule(registration)
    yield registered(registration, registered_ms)
    yield from tables(results, registration)


def decision(results: Results) -> Sentences:
    """What was found."""
    return Sentences("Decision", (results.decision.sentence, *results.decision.more))


def rule(registration: Tree) -> Sentences:
    """By what it was decided, as it was registered."""
    return Sentences("The rule, as registered before the first fold", tuple(registration["rule"]))


def registered(registration: Tree, registered_ms: int) -> Pairs:
    """What was fixed before the first fold."""
    judging = registration["judging"]
    walk, paths = registration["walk_forward"], registration["combinatorial"]
    folds = (
        f"{walk['train_days']} days to train, {walk['test_days']} to test, step {walk['step_days']}, "
        f"embargo {walk['embargo_days']}"
    )
    items = (
        ("Registered", f"{minute(registered_ms)} UTC, before the first fold"),
        (
            "Primary metric",
            "mean daily net return less that of the baseline, times 365; own threshold, 1x costs",
        ),
        ("Baseline", f"{judging['baseline']}; second: {judging['second_baseline']}"),
        ("Folds", f"walk-forward: {folds}"),
        ("Paths", "none" if paths is None else f"{paths['tested']} of {paths['groups']} groups of time tested at once"),
        ("Search", "none: each estimator has one set of parameters, every arm the same threshold rule"),
        ("Strategy", f"{registration['strategy']}, {_params(registration['strategy_params'])}"),
        ("Features", str(registration["features"])),
        ("Estimators", "; ".join(_estimators(registration["arms"]))),
        ("Symbols", ", ".join(registration["symbols"])),
        ("Unseen symbols", ", ".join(registration["unseen"]) or "none"),
        ("Period", f"{day(registration['from_ms'])} to {day(registration['to_ms'])}"),
        ("Seed", str(registration["seed"])),
        ("Data", f"{registration['data'][:12]}, of candles {registration['candles'][:12]}"),
        (
            "Code",
            f"{registration['code'][:12]} trains, {registration['judge'][:12]} judges; {_params(registration['libraries'])}",
        ),
    )
    return Pairs("Registered before the first fold", items)


def _params(values: Tree) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "nothing set"


def _estimators(arms: Tree) -> list[str]:
    """Each once, with the parameters that the config gives it."""
    found = {arm["estimator"]: arm["params"] for arm in arms.values() if "estimator" in arm}
    return [f"{name} ({_params(params)})" if params else name for name, params in found.items()]


def tables(results: Results, registration: Tree) -> Iterator[Block]:
    """Every figure."""
    baseline = str(registration["judging"]["baseline"])
    second = str(registration["judging"]["second_baseline"])
    arms = results.arms
    yield money("Arms by their own thresholds, 1x costs", {arm.name: arm.threshold.figures for arm in arms})
    yield by_rule("The rule, arm by arm", results, baseline)
    yield against(f"Against {baseline} and {second}, a year", arms, baseline, second)
    doubled = {arm.name: (arm.threshold.doubled, _cells(arm.threshold, baseline, doubled=True)) for arm in arms}
    yield _with_difference("The same trades at 2x costs", doubled, baseline)
    matched = {arm.name: (arm.matched.figures, _cells(arm.matched, RANDOM)) for arm in arms}
    yield _with_difference("At a matched trade count, 1x costs, against random filters with as many", matched, RANDOM)
    yield forecasts("Forecasts of all entries tested", {arm.name: arm.forecast for arm in arms})
    yield stability(arms)
    yield from _other_stage("Symbols that no model has seen", {arm.name: arm.unseen for arm in arms}, baseline)
    if any(arm.unseen_forecast is not None for arm in arms):
        yield forecasts("Forecasts of unseen symbols", {arm.name: arm.unseen_forecast for arm in arms})
    yield from _other_stage("While symbols come and go", {arm.name: arm.turnover for arm in arms}, baseline)
    for what, title in _CUTS.items():
        yield parts(f"{title}: what it added to the equity", {arm.name: arm.cuts.get(what, {}) for arm in arms})
    yield over_time(arms)
    yield from _importance(results)
    yield Sentences(
        "Not significant: the interval of all arms at once holds 0", results.not_significant or ("Nothing.",)
    )
    yield Pairs("Arms", tuple((arm.name, arm.sentence) for arm in arms))
    yield Pairs("Luck", _luck(results))
    yield Sentences("Notes", (*results.notes, *_refused(arms)) or ("None.",))


def money(title: str, figures: Mapping[str, Figures]) -> Table:
    """A line an arm."""
    rows = tuple((name, *_money(each)) for name, each in figures.items())
    return Table(title, ("Arm", *_MONEY), frozenset(_MONEY), rows)


def _money(figures: Figures) -> tuple[str, ...]:
    return (
        f"{figures.trades:,}",
        percent(figures.win_rate, 1),
        signed_percent(figures.mean_gain, 3),
        ratio(figures.profit_factor),
        signed_percent(figures.total_return, 1),
        signed_ratio(figures.sharpe),
        percent(figures.max_drawdown, 1),
        percent(figures.exposure, 1),
        f"{ratio(figures.turnover)}x",
    )


def by_rule(title: str, results: Results, baseline: str) -> Table:
    """Each arm that may win against each condition; the intervals are those of all arms at once."""
    columns = (f"vs {baseline}", "interval", "p of chance", "Overfitting", "Deflated")
    rows = tuple(
        (
            arm.name,
            *_cells(arm.threshold, baseline),
            "n/a" if arm.chance is None else f"{arm.chance:.4f}",
            percent(results.overfitting, 0),
            percent(arm.deflated, 1),
            ", ".join(results.decision.lacking[arm.name]) or "nothing: confirmed",
        )
        for arm in results.arms
        if arm.name in results.decision.lacking
    )
    return Table(title, ("Arm", *columns, "Does not meet"), frozenset(columns), rows)


def against(title: str, arms: Sequence[ArmResult], *baselines: str) -> Table:
    """Differences with the intervals of each arm alone, and the share of random filters with as many entries that are worse."""
    columns = ["Beats random", *(column for name in baselines for column in (f"vs {name}", "interval of it alone"))]
    rows = []
    for arm in arms:
        cells = [cell for name in baselines for cell in _cells(arm.threshold, name, alone=True)]
        rows.append((arm.name, percent(arm.beats_random, 1), *cells))
    return Table(title, ("Arm", *columns), frozenset(columns), tuple(rows))


def _cells(side: Side, name: str, *, doubled: bool = False, alone: bool = False) -> tuple[str, str]:
    found = difference(side, name, doubled=doubled)
    if found is None:
        return "n/a", "n/a"
    low, high = (found.low, found.high) if alone else (found.joint_low, found.joint_high)
    return signed_percent(found.yearly, 1), f"[{signed_percent(low, 1)}, {signed_percent(high, 1)}]"


def forecasts(title: str, found: Mapping[str, Forecast | None]) -> Table:
    """How good the probabilities are."""
    columns = ("Rows", "Won", "Confidence", "Log loss", "Brier", "AUC", "Slope")
    rows = []
    for name, each in found.items():
        if each is None:
            continue
        values = [getattr(each, key) for key in ("log_loss", "brier", "auc", "slope")]
        shown = tuple("n/a" if value is None else f"{value:.4f}" for value in values)
        rows.append((name, f"{each.rows:,}", percent(each.base_rate, 1), percent(each.confidence, 1), *shown))
    return Table(title, ("Arm", *columns), frozenset(columns), tuple(rows))


def stability(arms: Sequence[ArmResult]) -> Table:
    """How evenly it is earned, and along how many paths."""
    columns = (
        "Worst symbol",
        "Median symbol",
        "Symbols > 0",
        "Worst quarter",
        "Quarters > 0",
        "Paths (Sharpe)",
        "Deflated",
    )
    rows = tuple(
        (
            arm.name,
            *_even(arm.symbols),
            *(_even(arm.quarters)[0], _even(arm.quarters)[2]),
            _spread([value for value in arm.paths if value is not None]),
            percent(arm.deflated, 1),
        )
        for arm in arms
    )
    return Table("Stability over symbols, quarters and paths", ("Arm", *columns), frozenset(columns), rows)


def _even(values: Evenness | None) -> tuple[str, str, str]:
    if values is None:
        return "n/a", "n/a", "n/a"
    worst = f"{signed_percent(values.worst, 1)} {values.worst_name}"
    return worst, signed_percent(values.median, 1), percent(values.above_zero, 0)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "n/a"
    middle = sorted(values)[len(values) // 2]
    return f"{signed_ratio(min(values))} / {signed_ratio(middle)} / {signed_ratio(max(values))}"


def _other_stage(title: str, sides: Mapping[str, Side | None], baseline: str) -> Iterator[Table]:
    there = {name: (side.figures, _cells(side, baseline)) for name, side in sides.items() if side is not None}
    if there:
        yield _with_difference(title, there, baseline)


def _with_difference(title: str, found: Mapping[str, tuple[Figures, tuple[str, str]]], baseline: str) -> Table:
    columns = (*_SHORT, f"vs {baseline}", "interval")
    rows = tuple((name, *_money(figures)[: len(_SHORT)], *cells) for name, (figures, cells) in found.items())
    return Table(title, ("Arm", *columns), frozenset(columns), rows)


def parts(title: str, found: Mapping[str, Mapping[str, Part]]) -> Table:
    """What each part added, and in brackets its trades."""
    names = list(dict.fromkeys(name for each in found.values() for name in each))
    rows = tuple((arm, *(_part(each.get(name)) for name in names)) for arm, each in found.items())
    return Table(title, ("Arm", *names), frozenset(names), rows)


def _part(part: Part | None) -> str:
    return "n/a" if part is None else f"{signed_percent(part.added, 1)} ({part.trades:,})"


def over_time(arms: Sequence[ArmResult]) -> Table:
    """Fold by fold: which arm was best, and what the arms added."""
    names = [arm.name for arm in arms]
    rows = []
    for place, line in enumerate(arms[0].folds):
        sums = {arm.name: arm.folds[place].added for arm in arms}
        best = max(sums, key=sums.__getitem__)
        rows.append((line.fold, best, *(signed_percent(sums[name], 1) for name in names)))
    return Table(
        "Drift of the winners: what each fold added", ("Tested from", "Best", *names), frozenset(names), tuple(rows)
    )


def shown_arm(results: Results) -> ArmResult | None:
    """The model whose features and reliability are shown: the winner, else the one that made most."""
    models = [arm for arm in results.arms if arm.forecast is not None]
    if results.decision.winner is not None:
        return results.arm(results.decision.winner)
    return max(models, key=lambda arm: arm.threshold.figures.yearly, default=None)


def top_features(arm: ArmResult) -> list[tuple[str, float]]:
    """The most important ones."""
    return sorted(arm.importance.items(), key=lambda item: -item[1])[:FEATURES_SHOWN]


def _importance(results: Results) -> Iterator[Table]:
    arm = shown_arm(results)
    if arm is None or not arm.importance:
        return
    column = "Log loss rises by"
    rows = tuple((name, f"{value:+.5f}") for name, value in top_features(arm))
    yield Table(f"Features of {arm.name}, by permutation in test rows", ("Feature", column), frozenset({column}), rows)


def _luck(results: Results) -> tuple[tuple[str, str], ...]:
    chance = "n/a: too few days" if results.overfitting is None else percent(results.overfitting, 1)
    return (
        (
            "Trials on this data and strategy",
            f"{results.trials:,}, each once, of this and earlier experiments and sweeps, by the ledger",
        ),
        (
            "Probability of overfitting",
            f"{chance}, that the best arm of one half of the time is below the median in the other",
        ),
        (
            "Tested",
            f"{results.entries:,} entries in {results.folds} folds, {results.unseen_entries:,} of unseen symbols",
        ),
    )


def _refused(arms: Sequence[ArmResult]) -> Iterator[str]:
    found = [f"{arm.name} was not trained for {fold}: {why}" for arm in arms for fold, why in arm.refused]
    yield from found[:REFUSED_SHOWN]
    if len(found) > REFUSED_SHOWN:
        yield f"and {len(found) - REFUSED_SHOWN:,} more folds in which an arm was not trained; metrics.json has all"
