"""An account cut by symbol, side, quarter, volatility and liquidity.

Rules of this file: the limits of a regime come from the train rows of the fold that tests a row, those of liquidity from the days
of its train window; every row that is traded is in one part of each cut.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from livebot.research.accounts import Stage, added
from livebot.research.figures import buckets, fold_terciles, quarters, sides
from livebot.research.outcomes import Outcome
from livebot.research.results import Part
from livebot.research.study import Kind, Plan, Study

SYMBOL, SIDE, QUARTER, VOLATILITY, LIQUIDITY = "symbol", "side", "quarter", "volatility", "liquidity"
_TERCILES = ("low", "middle", "high")

Texts = npt.NDArray[np.str_]


def part_keys(study: Study, plan: Plan) -> dict[str, Texts]:
    """For each row of the dataset the part it belongs to, by what is cut; limits come from train rows."""
    dataset = study.dataset
    codes = fold_terciles(study.volatility, plan.folds[Kind.WALK])
    terciles = np.array([*_TERCILES, ""])[codes]
    liquidity = np.full(len(dataset), "", dtype="<U8")
    names = dataset.symbol_names
    for fold in plan.folds[Kind.WALK]:
        span = (fold.test_spans[0][0] - study.walk.train_ms, fold.test_spans[0][0])
        amounts = {each: amount for each, amount in study.turnover.average(*span).items() if each in study.seen}
        dealt = buckets(amounts, _TERCILES) if amounts else {}
        liquidity[fold.test] = [dealt.get(symbol, "") for symbol in names[fold.test].tolist()]
    return {
        SYMBOL: names,
        SIDE: sides(dataset.side),
        QUARTER: quarters(dataset.end_ms),
        VOLATILITY: terciles,
        LIQUIDITY: liquidity,
    }


def cuts_of(stage: Stage, mine: Outcome, keys: Mapping[str, Texts]) -> dict[str, dict[str, Part]]:
    """The parts of an account, by what is cut; `keys` as `part_keys` gives them; a part without a trade is there too."""
    found = {}
    for what, texts in keys.items():
        names = [str(each) for each in np.unique(texts[stage.rows]) if each]
        found[what] = parts_of(mine, texts[mine.rows], names)
    return found


def parts_of(mine: Outcome, keys: Texts | None = None, names: Sequence[str] | None = None) -> dict[str, Part]:
    """The part of each of `names` (default: those there are); `keys` (t,) has a text for each trade (default: its symbol)."""
    keys = mine.symbol if keys is None else keys
    sums = added(mine, keys)
    found = {}
    for name in sorted(sums) if names is None else names:
        gains = mine.gain[keys == name]
        some = bool(len(gains))
        found[name] = Part(
            trades=len(gains),
            win_rate=float((gains > 0).mean()) if some else None,
            added=sums.get(name, 0.0),
            mean_gain=float(gains.mean()) if some else None,
        )
    return found
