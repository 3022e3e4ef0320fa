"""How the models of a registry are printed: tables and sentences for people, or JSON.

Rules of this file: text of files is shown, never obeyed; times are UTC; what is cut says how much was cut.
"""

import json
from collections.abc import Iterable

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from livebot.bootstrap.model_commands import (
    Change,
    Coverage,
    ModelList,
    Pruned,
    ScopeRow,
    Shown,
    SymbolRow,
    VersionRow,
)
from livebot.cli.figures import ABSENT, clean, moment, span
from livebot.config.secrets import WITHOUT_MODEL_KEY
from livebot.learning.manifest import Manifest, Plain

SYMBOLS_TOLD = 10
_SECOND_MS = 1_000
METRICS = ("log_loss", "auc")  # in the list
_WIDEST = 1_000


def print_list(found: ModelList, *, as_json: bool) -> None:
    """Each version in a row, the newest of a scope first."""
    if as_json:
        _print_json(
            {
                "folder": str(found.folder),
                "sealed": found.sealed,
                "scopes": [_scope_json(each) for each in found.scopes],
            }
        )
        return
    if not found.scopes:
        _say(f"there are no models in {found.folder}; `livebot train` makes one")
        return
    table = _table("scope", "version", "used as", "trained until", "symbols", *METRICS, "", right=range(4, 7))
    for scope in found.scopes:
        for row in reversed(scope.versions):
            table.add_row(clean(scope.scope), row.version, _parts(scope, row.version), *_cells(row))
    _print(table)
    for scope in found.scopes:
        for problem in (*scope.problems, *(row.problem for row in reversed(scope.versions) if row.problem)):
            _say(problem)
        if scope.strategy is None:
            _say(f"{scope.scope}: no strategy of the config has its models there")
        elif scope.current is None:
            _say(f"{scope.scope}: no version is in use")
    if not found.sealed:
        _say(WITHOUT_MODEL_KEY)


def print_shown(shown: Shown, *, as_json: bool) -> None:
    """All of a manifest that people ask for; the whole of it as JSON."""
    manifest = shown.manifest
    if as_json:
        tree = manifest.model_dump(mode="json", by_alias=True)
        _print_json({**tree, "used_as": list(shown.parts), "problem": shown.problem})
        return
    lines = {
        "model": f"{manifest.name} ({', '.join(shown.parts) or 'not used'})",
        "checks": shown.problem or "passed: seal, libraries, features, digest, golden rows",
        "made": f"{moment(manifest.created_ms)} by livebot {manifest.livebot}",
        "trained on": f"{moment(manifest.train_start_ms)} to {moment(manifest.train_end_ms)}",
        "as": _kind(manifest),
        "symbols": _symbols(manifest),
        "short of history": ", ".join(manifest.short) or "none",
        "features": f"{len(manifest.feature_names)} of {manifest.feature_set_name}",
        "label": ", ".join(_told(name, value) for name, value in manifest.label.items()) or ABSENT,
        "threshold": f"{manifest.threshold:.3f}",
        "metrics": ", ".join(f"{name} {value:.4g}" for name, value in manifest.metrics.items()) or ABSENT,
        "reliability": ", ".join(f"{each.said:.2f} -> {each.won:.2f} ({each.rows})" for each in manifest.reliability),
        "parent": manifest.parent or "none",
        "seed": str(manifest.seed),
        "libraries": ", ".join(f"{name} {version}" for name, version in manifest.libraries.items()),
        "file": f"{manifest.format.value}, {manifest.model_bytes:,} bytes, sha256 {manifest.model_digest}",
    }
    width = max(map(len, lines))
    for name, text in lines.items():
        _say(f"{name:<{width}}  {text}")
    for note in manifest.notes:
        _say(f"note: {note}")


def print_change(change: Change, *, as_json: bool) -> None:
    """What is used now."""
    if as_json:
        _print_json({"scope": change.scope, "version": change.version, "before": change.before})
        return
    if change.before == change.version:
        _say(f"{change.scope}/{change.version} is in use already, and passed every check")
        return
    before = f"before: {change.before}" if change.before else "none was before"
    _say(f"{change.scope}/{change.version} is in use from now on ({before})")
    _say(
        f"a running daemon takes it within {change.poll_s:g} s; `livebot models rollback {change.scope}` takes it back"
    )


def print_pruned(found: Pruned, *, as_json: bool) -> None:
    """What went, or would go."""
    if as_json:
        scopes = [
            {"scope": each.scope, "kept": dict(each.kept), "removable": list(each.removable)} for each in found.scopes
        ]
        removed = {scope: list(versions) for scope, versions in found.removed.items()}
        _print_json({"keep": found.keep, "scopes": scopes, "removed": removed, "problems": list(found.problems)})
        return
    for each in found.scopes:
        for version in each.removable:
            deed = "removed" if version in found.removed.get(each.scope, ()) else "can be removed"
            _say(f"{each.scope}/{version}: {deed}")
    count = sum(len(each.removable) for each in found.scopes)
    gone = sum(map(len, found.removed.values()))
    kept = sum(len(each.kept) for each in found.scopes)
    for problem in found.problems:
        _say(problem)
    if not count:
        _say(f"nothing can be removed: {kept} versions are needed, or among the newest {found.keep} of their scope")
    elif gone:
        _say(f"{gone} versions were removed, {kept} are kept")
    else:
        _say(f"{count} versions can be removed, {kept} are kept; nothing was removed: --yes does it")


def print_coverage(found: Coverage, *, as_json: bool) -> None:
    """Each symbol in a row, those that no model covers first."""
    if as_json:
        _print_json(
            {
                "untrained": found.untrained,
                "symbols": [_symbol_json(each) for each in found.symbols],
                "problems": list(found.problems),
            }
        )
        return
    table = _table("strategy", "symbol", "state", "model", "days", "rows", right=range(4, 6))
    for each in sorted(found.symbols, key=lambda row: (row.covered, not row.traded)):
        days = ABSENT if each.days is None else f"{each.days:.0f}"
        rows = ABSENT if each.rows is None else f"{each.rows:,}"
        table.add_row(
            each.strategy, clean(each.symbol), _state(each, found.untrained), each.version or ABSENT, days, rows
        )
    _print(table)
    for problem in found.problems:
        _say(problem)
    traded = [each for each in found.symbols if each.traded]
    _say(f"{sum(each.covered for each in traded)} of {len(traded)} traded symbols are covered")


_UNTRAINED = {"block": "blocked", "fallback": "asks the shared part", "pass": "passes without a confidence"}


def _state(each: SymbolRow, untrained: str) -> str:
    if each.covered:
        return "covered" if each.traded else "covered, not traded"
    since = "" if each.waiting_since_ms is None else f", waits since {moment(each.waiting_since_ms)}"
    return f"{_UNTRAINED[untrained]}{since}"


def _parts(scope: ScopeRow, version: str) -> str:
    named = {"current": scope.current, "previous": scope.previous, "challenger": scope.challenger}
    return ", ".join(name for name, of in named.items() if of == version)


def _cells(row: VersionRow) -> tuple[str, ...]:
    manifest = row.manifest
    mark = "cannot be used" if row.problem else ""
    if manifest is None:
        return (ABSENT,) * (2 + len(METRICS)) + (mark,)
    metrics = (f"{manifest.metrics[name]:.4f}" if name in manifest.metrics else ABSENT for name in METRICS)
    return moment(manifest.train_end_ms), str(len(manifest.symbols)), *metrics, mark


def _kind(manifest: Manifest) -> str:
    params = ", ".join(f"{name} {value}" for name, value in manifest.estimator_params.items())
    return (
        f"{manifest.training_mode.value}, encoding {manifest.symbol_encoding.value}, {manifest.estimator}"
        f"{f' ({params})' if params else ''}, {manifest.timeframe.value} candles of {manifest.strategy}"
    )


def _told(name: str, value: Plain) -> str:
    """`window start: 2026-01-01 12:00:00 UTC`; a latency of less than a second stays in milliseconds."""
    plain = name.removesuffix("_ms").replace("_", " ")
    if plain == name or not isinstance(value, int):
        return f"{plain}: {value}"
    if name.endswith(("_start_ms", "_end_ms")):
        return f"{plain}: {moment(value)}"
    return f"{plain}: {span(value) if value >= _SECOND_MS else f'{value} ms'}"


def _symbols(manifest: Manifest) -> str:
    told = [f"{name} ({each.rows:,} rows, {each.days:.0f} days)" for name, each in manifest.symbols.items()]
    more = f" and {len(told) - SYMBOLS_TOLD} more (all in --json)" if len(told) > SYMBOLS_TOLD else ""
    return ", ".join(told[:SYMBOLS_TOLD]) + more


def _scope_json(scope: ScopeRow) -> dict[str, object]:
    return {
        "scope": scope.scope,
        "strategy": scope.strategy,
        "current": scope.current,
        "previous": scope.previous,
        "challenger": scope.challenger,
        "problems": list(scope.problems),
        "versions": [_version_json(each) for each in scope.versions],
    }


def _version_json(row: VersionRow) -> dict[str, object]:
    manifest = row.manifest
    told: dict[str, object] = {"version": row.version, "problem": row.problem}
    if manifest is not None:
        told |= {
            "created_ms": manifest.created_ms,
            "train_end_ms": manifest.train_end_ms,
            "training_mode": manifest.training_mode.value,
            "estimator": manifest.estimator,
            "symbols": list(manifest.symbols),
            "threshold": manifest.threshold,
            "metrics": manifest.metrics,
        }
    return told


def _symbol_json(each: SymbolRow) -> dict[str, object]:
    return {
        "strategy": each.strategy,
        "symbol": each.symbol,
        "scope": each.scope,
        "version": each.version,
        "covered": each.covered,
        "traded": each.traded,
        "rows": each.rows,
        "days": each.days,
        "waiting_since_ms": each.waiting_since_ms,
    }


def _table(*names: str, right: Iterable[int]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    aligned = set(right)
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if index in aligned else "left", no_wrap=True)
    return table


def _print(table: Table) -> None:
    """As wide as it is: a version that is cut cannot be copied."""
    width = Console(width=_WIDEST).measure(table).maximum
    Console(highlight=False, width=width).print(table, soft_wrap=True)


def _print_json(data: object) -> None:
    typer.echo(json.dumps(data, indent=2))


def _say(text: str) -> None:
    typer.echo(clean(text))
