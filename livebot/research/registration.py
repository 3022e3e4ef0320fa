"""What is written down before the first fold: everything that decides what comes out, and by which rule it is judged.

Rules of this file: whatever could change a figure or the decision is here, in values that JSON can hold; nothing of a result is.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict

from livebot.backtest.trials import TrialKey
from livebot.core.market import DAY_MS
from livebot.research.arms import Arm
from livebot.research.decision import decide
from livebot.research.fold_cache import plain
from livebot.research.fold_run import code_digest, data_digest
from livebot.research.measuring import measure
from livebot.research.rule import rule_of
from livebot.research.study import Study
from livebot.research.trial_entries import enter
from livebot.research.versions import libraries_of, source_digest

_JUDGES = ("livebot.research", "livebot.reporting", "livebot.learning", "livebot.backtest", "livebot.core")
# of no arm's trades: who else was compared, how all are judged, and what is looked at besides
_NOT_OF_A_TRIAL = ("arms", "judging", "rule", "judge", "combinatorial", "turnover_share")


def registration_of(study: Study, key: TrialKey, strategy: str) -> dict[str, object]:
    """The registration of a study of the entries of one strategy; `key` is that of its candles and settings."""
    walk, paths, base = study.walk, study.paths, study.base
    models = [arm.name for arm in study.trained_arms]
    estimators = sorted({arm.estimator for arm in study.trained_arms})
    return {
        "rule": list(rule_of(study.judging, models)),
        "strategy": strategy,
        "strategy_class": key.strategy,
        "strategy_params": json.loads(key.params)[strategy],
        "strategy_features": key.features,
        "features": str(study.dataset.feature_set),
        "symbols": list(study.seen),
        "single": base.symbols[0] if base.symbols else study.seen[0],
        "unseen": sorted(study.unseen),
        "from_ms": key.from_ms,
        "to_ms": key.to_ms,
        "candles": key.candles,
        "settings": key.config,  # costs, fills, rules, instruments: what labels are made by
        "arms": {arm.name: _arm(study, arm) for arm in study.arms},
        "clusters": {"by": base.cluster_basis.value, "count": base.cluster_count, "sectors": dict(base.sectors)},
        "calibration_share": base.calibration_share,
        "minimum_events": base.minimum_events,
        "symbol_balance": study.balance.value,
        "walk_forward": {
            "train_days": walk.train_ms // DAY_MS,
            "test_days": walk.test_ms // DAY_MS,
            "step_days": walk.step_ms // DAY_MS,
            "embargo_days": walk.embargo_ms / DAY_MS,
        },
        "combinatorial": None
        if paths is None
        else {"groups": paths.groups, "tested": paths.tested, "embargo_days": paths.embargo_ms / DAY_MS},
        "judging": asdict(study.judging),
        "turnover_share": study.moving_share,
        "seed": study.seed,
        "data": data_digest(study.dataset),
        "code": code_digest(study.fit, estimators),
        "judge": source_digest((measure, decide, enter), _JUDGES),
        "libraries": libraries_of(estimators),
    }


def _arm(study: Study, arm: Arm) -> dict[str, object]:
    """What makes an arm, its estimator with the parameters that the config gives it."""
    if arm.special is not None:
        return {"special": arm.special.value}
    spec = arm.spec(study.base)
    return {
        "mode": spec.mode.value,
        "encoding": spec.encoding.value,
        "hybrid": spec.hybrid.value,
        "fallback": spec.fallback_to_shared,
        "untrained": arm.untrained,
        "estimator": spec.estimator.name,
        "params": plain(spec.estimator.params),
    }


def trial_of(registration: Mapping[str, object], arm: str) -> dict[str, object]:
    """What one arm's trades depend on: the registration but for who else was compared and how it is judged."""
    arms = registration["arms"]
    own = arms[arm] if isinstance(arms, Mapping) else None
    shared = {name: value for name, value in registration.items() if name not in _NOT_OF_A_TRIAL}
    return {**shared, "arm": arm, "how": own}
