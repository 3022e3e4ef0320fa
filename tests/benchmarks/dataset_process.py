"""Datasets of real hours: `python -m tests.benchmarks.dataset_process FOLDER DAYS`."""

import json
import resource
import sys
import time
from pathlib import Path

from livebot.core.market import Timeframe
from livebot.learning.building import build_dataset
from tests.learning.labelled import real_plan

STRATEGIES = {
    "mean_reversion": {"timeframe": Timeframe.H1, "threshold": 2.0, "expiry_minutes": 1440},
    "breakout": {"timeframe": Timeframe.H1, "expiry_minutes": 1440},
}


def main(folder: Path, days: int) -> None:
    """Build each and leave what it cost."""
    answer: dict[str, float] = {}
    for name, params in STRATEGIES.items():
        for features in ("own", "market"):
            plan = real_plan(name, days=days, **params)
            began = time.process_time()
            built = build_dataset(plan, name, features=features)
            answer[f"{name}_{features}_cpu_s"] = time.process_time() - began
            answer[f"{name}_rows"] = len(built.dataset)
    answer["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (folder / "result.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
