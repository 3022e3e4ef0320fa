"""Experiments on disk: one folder each, with what was registered before the first fold and what came out.

Rules of this file: what is registered is written before anything is computed and never changed; an experiment goes on only under
the very same registration; what came out is replaced whole, and is the same bytes for the same registration and data.

    <name>/registration.json   what was decided beforehand, with the digests of data and code, and when
    <name>/folds/              results of folds (fold_cache.py)
    <name>/metrics.json        everything that came out
    <name>/report.md, report.html
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livebot.errors import BadInput
from livebot.history.whole_file import FileCalls, make_folders, replace_file
from livebot.reporting.document import Block, Document, Pairs, Table
from livebot.reporting.shown import day, minute

FOLDER = "experiments"
REGISTRATION, METRICS, FOLDS = "registration.json", "metrics.json", "folds"
MARKDOWN, PAGE = "report.md", "report.html"
SCHEMA = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TOLD_WHOLE = 120  # characters
_FIGURES = ("sharpe", "total_return", "profit_factor", "max_drawdown", "win_rate", "trades", "log_loss", "auc")

Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One folder; `registration` as it stands there, `metrics` None until it is finished."""

    folder: Path
    registered_ms: int
    registration: Tree
    metrics: Tree | None

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.folder.name


def check_name(name: str, option: str = "--name") -> None:
    """Refuse what cannot be a folder's name.  Raises BadInput: naming the option that it was given with."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"{option} {name!r}: write at most 64 of a-z, A-Z, 0-9, _, . and -, the first a letter or digit")


def register(folder: Path, registration: Tree, now_ms: int, calls: FileCalls) -> Experiment:
    """Begin an experiment, or go on with the one that was registered in the very same words.

    Raises:
        BadInput: the name cannot be a folder's, or an experiment of that name was registered differently; saying in what.
        Fatal: it could not be written.

    """
    check_name(folder.name)
    plain: dict[str, Any] = json.loads(json.dumps(registration, allow_nan=False))
    if (folder / REGISTRATION).exists():
        found = read(folder)
        changed = sorted(differing(found.registration, plain))
        if changed:
            raise BadInput(
                f"experiment {folder.name} was registered with something else, and what was decided before the first fold "
                f"stands: {', '.join(changed)} differ; choose another --name, or run it as it was registered"
            )
        return found
    make_folders(folder, calls)
    content = {"schema": SCHEMA, "registered_ms": now_ms, "registration": plain}
    replace_file(folder / REGISTRATION, _text(content), calls)
    return Experiment(folder=folder, registered_ms=now_ms, registration=plain, metrics=None)


def write_results(folder: Path, metrics: Tree, markdown: str, page: str, calls: FileCalls) -> None:
    """What came out, the figures last: an experiment with figures has its report.  Raises Fatal: a file cannot be written."""
    replace_file(folder / MARKDOWN, markdown.encode(), calls)
    replace_file(folder / PAGE, page.encode(), calls)
    replace_file(folder / METRICS, _text(metrics), calls)


def read(folder: Path) -> Experiment:
    """An experiment as it stands.  Raises BadInput: there is none, or one of its files cannot be read."""
    content = _read(folder / REGISTRATION)
    try:
        schema, registered_ms, registration = content["schema"], content["registered_ms"], content["registration"]
    except (KeyError, TypeError) as error:
        raise BadInput(
            f"{folder / REGISTRATION}: is no registration of an experiment; choose another --name"
        ) from error
    if schema != SCHEMA:
        raise BadInput(f"{folder}: written by another livebot (schema {schema}, this one knows {SCHEMA})")
    metrics = _read(folder / METRICS) if (folder / METRICS).exists() else None
    return Experiment(folder=folder, registered_ms=registered_ms, registration=registration, metrics=metrics)


def experiments_in(folder: Path) -> tuple[Experiment, ...]:
    """All there are, the oldest first.  Raises BadInput: one of them cannot be read."""
    if not folder.is_dir():
        return ()
    found = [read(each) for each in sorted(folder.iterdir()) if (each / REGISTRATION).exists()]
    return tuple(sorted(found, key=lambda each: (each.registered_ms, each.name)))


def differing(one: object, other: object, path: str = "") -> Iterator[str]:
    """Where two trees differ, as dotted paths."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in {**one, **other}:
            inner = f"{path}.{name}" if path else str(name)
            if name not in one or name not in other:
                yield inner
            else:
                yield from differing(one[name], other[name], inner)
    elif one != other:
        yield path


def listing(experiments: Sequence[Experiment]) -> Document:
    """A line for each."""
    rows = tuple(
        (
            each.name,
            minute(each.registered_ms),
            str(each.registration.get("strategy", "")),
            ", ".join(each.registration.get("symbols", ())),
            _period(each.registration),
            "not finished" if each.metrics is None else str(each.metrics.get("decision", {}).get("verdict", "")),
        )
        for each in experiments
    )
    columns = ("Name", "Registered", "Strategy", "Symbols", "Period", "Decision")
    return Document("Experiments", (Table("", columns, frozenset(), rows, empty="There is no experiment yet."),))


def _period(registration: Tree) -> str:
    return f"{day(registration['from_ms'])} to {day(registration['to_ms'])}" if "from_ms" in registration else ""


def comparison(one: Experiment, other: Experiment) -> Document:
    """What two experiments were registered with, where that differs, and their figures side by side."""
    changed = sorted(differing(one.registration, other.registration))
    pairs = tuple((path, f"{_at(one.registration, path)} -> {_at(other.registration, path)}") for path in changed)
    blocks: list[Block] = [Pairs("Registered differently", pairs or (("nothing", "both were registered alike"),))]
    arms = [*_arms(one), *(name for name in _arms(other) if name not in _arms(one))]
    columns = ("Arm", *_FIGURES)
    rows = tuple((arm, *(_change(one, other, arm, figure) for figure in _FIGURES)) for arm in arms)
    blocks.append(
        Table("Figures by the threshold, at 1x costs", columns, frozenset(_FIGURES), rows, empty="Neither is finished.")
    )
    verdicts = tuple((each.name, _verdict(each)) for each in (one, other))
    return Document(f"{one.name} and {other.name}", (Pairs("Decisions", verdicts), *blocks))


def _verdict(experiment: Experiment) -> str:
    return "not finished" if experiment.metrics is None else str(experiment.metrics["decision"]["sentence"])


def _arms(experiment: Experiment) -> dict[str, Tree]:
    arms = () if experiment.metrics is None else experiment.metrics["arms"]
    return {arm["name"]: {**(arm["forecast"] or {}), **arm["threshold"]["figures"]} for arm in arms}


def _change(one: Experiment, other: Experiment, arm: str, figure: str) -> str:
    return f"{_shown(_arms(one).get(arm, {}).get(figure))} -> {_shown(_arms(other).get(arm, {}).get(figure))}"


def _shown(value: object) -> str:
    return "n/a" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _at(tree: object, path: str) -> str:
    for name in path.split("."):
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    if tree is None:
        return "n/a"
    text = json.dumps(tree)
    return text if len(text) <= _TOLD_WHOLE or not isinstance(tree, Mapping) else f"{{{', '.join(tree)}}}"


def _text(content: object) -> bytes:
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def _read(path: Path) -> Any:  # noqa: ANN401 - whatever JSON holds
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(
            f"there is no experiment {path.parent.name} in {path.parent.parent}; `livebot compare --list` shows those there are"
        ) from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read ({error}); look at the name, or move the folder aside") from error
