"""Fails unless livebot/core is covered wholly, line and branch, and the rest of livebot to nine tenths.

Reads what `coverage json` wrote: `python tests/coverage_gate.py .coverage.json`.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

CORE = "livebot/core/"
REST_PERCENT_MIN = 90.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One file: how many lines and branches it has, how many ran, and where the others are."""

    path: str
    total: int
    covered: int
    missing: str

    @property
    def percent(self) -> float:
        """An empty file is covered."""
        return 100.0 * self.covered / self.total if self.total else 100.0

    def __str__(self) -> str:
        return f"  {self.percent:6.2f} %  {self.path}  {self.missing}"


def measured(path: str, entry: dict) -> Measured:
    """One file's entry of the report."""
    summary = entry["summary"]
    branches = [f"{start}->{'exit' if end < 0 else end}" for start, end in entry["missing_branches"]]
    return Measured(
        path=path.replace("\\", "/"),
        total=summary["num_statements"] + summary["num_branches"],
        covered=summary["covered_lines"] + summary["covered_branches"],
        missing=", ".join([*map(str, entry["missing_lines"]), *branches]),
    )


def complaints(files: list[Measured]) -> list[str]:
    """What is wrong, one line each; nothing if both thresholds hold."""
    core = [file for file in files if file.path.startswith(CORE)]
    rest = [file for file in files if not file.path.startswith(CORE)]
    if not any(file.total for file in core) or not any(file.total for file in rest):
        return [f"nothing was measured in {CORE} or in the rest of livebot"]
    said = []
    gaps = [file for file in core if file.covered < file.total]
    if gaps:
        said += [f"{CORE} must be covered wholly, and is not:", *map(str, gaps)]
    percent = 100.0 * sum(file.covered for file in rest) / sum(file.total for file in rest)
    if percent < REST_PERCENT_MIN:
        low = sorted((file for file in rest if file.percent < REST_PERCENT_MIN), key=lambda file: file.percent)
        said += [f"the rest is covered to {percent:.2f} %, less than {REST_PERCENT_MIN:g} %:", *map(str, low)]
    return said


def main(report: str) -> int:
    """Print the complaints; the exit status says whether there are any."""
    files = [measured(path, entry) for path, entry in json.loads(Path(report).read_text())["files"].items()]
    said = complaints(files)
    print("\n".join(said) or f"coverage: {CORE} 100 %, the rest at least {REST_PERCENT_MIN:g} %")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
