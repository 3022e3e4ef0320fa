"""What `livebot models` shows and changes: the registry of a config, held against what its daemon computes.

Rules of this file: a version is used only after every check that the daemon makes; what is refused changes nothing; the running
daemon is not told: it looks by itself.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from livebot.adapters.state_files.universe_store import FILE_NAME, read_universe
from livebot.bootstrap.loading import load
from livebot.bootstrap.model_pruning import prunings
from livebot.bootstrap.models import evidence_set
from livebot.bootstrap.training import alone, registry_of
from livebot.config.load import LoadedConfig
from livebot.config.model_terms import judged_strategies
from livebot.config.models import ModelConfig
from livebot.config.root import Paths, resolve
from livebot.config.strategies import StrategyPlan
from livebot.errors import BadInput, Rejected
from livebot.features.feature_set import FeatureSet
from livebot.learning.coverage import queue_path, read_queue
from livebot.learning.manifest import Manifest
from livebot.learning.model_file import library_problem
from livebot.learning.pruning import Pruning
from livebot.learning.registry import Registry
from livebot.learning.scopes import POINTERS, by_symbol, check_scope, is_version, pattern_of_scopes, scope_of
from livebot.learning.version_checks import feature_problem

_NAMES_TOLD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version in a list; `manifest` is None if it cannot be read, and `problem` says why it could not be used."""

    version: str
    manifest: Manifest | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeRow:
    """A scope: which version has which part, and all of them, oldest first.  `strategy` None: no strategy of the config's."""

    scope: str
    strategy: str | None
    current: str | None
    previous: str | None
    challenger: str | None
    versions: tuple[VersionRow, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelList:
    """The models of a folder; `sealed` says whether a key guards them."""

    folder: Path
    sealed: bool
    scopes: tuple[ScopeRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One version, loaded and asked its golden rows; `problem` says what it failed by, `parts` what it is used as."""

    manifest: Manifest
    parts: tuple[str, ...]
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is in use in a scope now, and what was before."""

    scope: str
    version: str
    before: str | None
    poll_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What may go of each scope, what went (by scope; empty unless asked for), and what could not be looked at or removed."""

    keep: int
    scopes: tuple[Pruning, ...]
    removed: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRow:
    """A symbol that a strategy trades (`traded`) or that its model covers; days and rows are of training, times UTC ms."""

    strategy: str
    scope: str
    symbol: str
    version: str | None
    covered: bool
    traded: bool
    rows: int | None
    days: float | None
    waiting_since_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Who is covered by the models in use; `problems` are versions that could not be looked at."""

    symbols: tuple[SymbolRow, ...]
    untrained: str
    problems: tuple[str, ...]


class ModelDesk:
    """The models of one config."""

    def __init__(self, config_path: Path, root: Path | None, environ: Mapping[str, str] | None = None) -> None:
        """Read the config; of the registry nothing is read yet.

        Raises:
            BadInput: the config cannot be used, has no `model` section, or LIVEBOT_MODEL_KEY is too short.

        """
        environ = os.environ if environ is None else environ
        loaded = load(config_path)
        if loaded.config.model is None:
            raise BadInput(
                f"{config_path}: has no model section, so it has no models; write `model: {{}}` for the defaults"
            )
        self._loaded: LoadedConfig = loaded
        self._section: ModelConfig = loaded.config.model
        self._paths: Paths = resolve(loaded.config, config_path, root, environ)
        self._registry: Registry = registry_of(self._section, self._paths, environ)
        judged = judged_strategies(self._section, [plan.id for plan in loaded.strategies])
        self._plans = tuple(plan for plan in loaded.strategies if plan.id in judged)

    def listed(self) -> ModelList:
        """Every scope with its versions; no model is loaded.

        Raises:
            BadInput: there are too many scopes.

        """
        scopes = tuple(self._row(scope) for scope in self._registry.scopes())
        return ModelList(folder=self._registry.folder, sealed=self._registry.sealed, scopes=scopes)

    def show(self, model: str) -> Shown:
        """A version (`scope/version`), or the one in use in a scope (`scope`), with every check but that nobody may use it.

        Raises:
            BadInput: that names no model.
            Rejected: nothing is in use in that scope, or its manifest cannot be read.

        """
        scope, version = split_model(model)
        try:
            chosen = version or self._registry.current(scope)
            if chosen is None:
                raise Rejected(f"no version is in use in {scope}; {self._versions_text(scope)}")
            manifest = self._registry.manifest(scope, chosen)
        except BadInput as error:
            raise Rejected(str(error)) from error
        problem = None
        try:
            self._registry.load(scope, chosen, self._features_of(scope))
        except BadInput as error:
            problem = str(error)
        parts = tuple(name for name in POINTERS if self._pointed(scope, name, []) == chosen)
        return Shown(manifest=manifest, parts=parts, problem=problem)

    def promote(self, model: str) -> Change:
        """Use a version (`scope/version`) from now on, after every check.

        Raises:
            BadInput: that names no version.
            Rejected: a check failed, or no strategy of the config has its models there; nothing was changed.
            Fatal, Transient: the registry cannot be written, or somebody else is writing it.

        """
        scope, version = split_model(model)
        if version is None:
            above, _, last = scope.rpartition("/")
            if above and not self._registry.versions(scope) and self._registry.versions(above):
                raise BadInput(f"{last} is no version of {above}: {self._versions_text(above)}")
            raise BadInput(f"say which version of {scope}: {self._versions_text(scope)}")
        return self._change(scope, version)

    def rollback(self, scope: str) -> Change:
        """Use the previous version of a scope again, after every check.

        Raises:
            BadInput: that names no scope.
            Rejected: there is no version before, or as `promote`.
            Fatal, Transient: as `promote`.

        """
        named, version = split_model(scope)
        if version is not None:
            raise BadInput(f"name the scope alone: livebot models rollback {named}; to use {scope}, promote it")
        return self._change(named, None)

    def prune(self, scope: str | None, keep: int | None, *, remove: bool) -> Pruned:
        """What nobody needs any more of a scope, or of all; with `remove` it goes.

        `keep` None is the config's `retrain.keep_versions`.

        Raises:
            BadInput: that names no scope, there is no number to keep, or a signal's file cannot be read.
            Rejected: there are no models of that scope, or a training is under way.
            Fatal: a version cannot be removed; those before it are.
            Transient: another process is changing the registry.

        """
        keep = self._section.retrain.keep_versions if keep is None else keep
        if keep is None:
            raise BadInput("model.retrain.keep_versions is null, so all versions are kept; say how many with --keep")
        scopes = self._registry.scopes() if scope is None else (check_scope(scope),)
        if scope is not None and scope not in self._registry.scopes():
            raise Rejected(self._versions_text(scope))
        if not remove:
            found, problems = prunings(self._registry, self._paths.signals, scopes, keep)
            return Pruned(keep=keep, scopes=found, removed={}, problems=problems)
        with alone(self._paths.models):
            found, problems = prunings(self._registry, self._paths.signals, scopes, keep)
            removed = {
                each.scope: self._registry.remove(each.scope, each.removable) for each in found if each.removable
            }
        return Pruned(keep=keep, scopes=found, removed=removed, problems=problems)

    def coverage(self) -> Coverage:
        """Whom the models in use cover, of the symbols that are traded and besides.

        Raises:
            BadInput, Fatal: the queue or the universe's memory cannot be read.

        """
        system = self._loaded.config.system
        waiting = {
            (each.strategy, each.symbol): each.since_ms for each in read_queue(queue_path(self._paths.state), system)
        }
        members = self._members(system)
        rows: list[SymbolRow] = []
        problems: list[str] = []
        for plan in self._plans:
            wanted = [symbol for symbol, who in waiting if who == plan.id]
            traded = dict.fromkeys((*plan.symbols, *(members if plan.everywhere else ()), *wanted))
            rows += self._covered_rows(plan.id, tuple(traded), waiting, problems)
        return Coverage(symbols=tuple(rows), untrained=self._section.serving.untrained, problems=tuple(problems))

    # ------------------------------------------------------------------ inside

    def _row(self, scope: str) -> ScopeRow:
        problems: list[str] = []
        plan = self._plan_of(scope)
        features = None if plan is None else evidence_set(plan.make(), self._section)
        current, previous, challenger = (self._pointed(scope, name, problems) for name in POINTERS)
        return ScopeRow(
            scope=scope,
            strategy=None if plan is None else plan.id,
            current=current,
            previous=previous,
            challenger=challenger,
            versions=tuple(self._version_row(scope, version, features) for version in self._registry.versions(scope)),
            problems=tuple(problems),
        )

    def _version_row(self, scope: str, version: str, features: FeatureSet | None) -> VersionRow:
        try:
            manifest = self._registry.manifest(scope, version)
        except BadInput as error:
            return VersionRow(version=version, manifest=None, problem=str(error))
        problem = library_problem(manifest.libraries) or feature_problem(manifest, features)
        return VersionRow(version=version, manifest=manifest, problem=problem)

    def _pointed(self, scope: str, pointer: str, problems: list[str]) -> str | None:
        try:
            return self._registry.pointed(scope, pointer)
        except BadInput as error:
            problems.append(str(error))
            return None

    def _change(self, scope: str, version: str | None) -> Change:
        features = self._features_of(scope)
        if features is None:
            known = ", ".join(scope_of(self._section.model_path_pattern, plan.id) for plan in self._plans)
            raise Rejected(f"no strategy of the config has its models in {scope}, but in {known}; nothing was changed")
        try:
            before = self._registry.current(scope)
            if version is None:
                model = self._registry.rollback(scope, features)
            else:
                model = self._registry.promote(scope, version, features)
        except BadInput as error:  # not how the command was written
            raise Rejected(f"{error}; nothing was changed") from error
        poll_s = float(self._section.serving.poll_seconds)
        return Change(scope=scope, version=model.manifest.version, before=before, poll_s=poll_s)

    def _plan_of(self, scope: str) -> StrategyPlan | None:
        """The strategy that has its models there."""
        pattern = self._section.model_path_pattern
        return next((plan for plan in self._plans if pattern_of_scopes(pattern, plan.id).fullmatch(scope)), None)

    def _features_of(self, scope: str) -> FeatureSet | None:
        plan = self._plan_of(scope)
        return None if plan is None else evidence_set(plan.make(), self._section)

    def _versions_text(self, scope: str) -> str:
        versions = self._registry.versions(scope)
        if not versions:
            others = self._registry.scopes()
            known = f"there are models of {_some(others)}" if others else "`livebot train` makes one"
            return f"there is no model of {scope} in {self._registry.folder}; {known}"
        return f"the newest is {scope}/{versions[-1]}, and `livebot models list` shows all"

    def _members(self, system: str) -> tuple[str, ...]:
        if self._loaded.config.universe is None:
            return ()
        memory = read_universe(self._paths.state / FILE_NAME, system)
        return () if memory is None else tuple(symbol for symbol, _ in memory.members)

    def _covered_rows(
        self, strategy: str, traded: Sequence[str], waiting: Mapping[tuple[str, str], int], problems: list[str]
    ) -> list[SymbolRow]:
        pattern = self._section.model_path_pattern
        shared = scope_of(pattern, strategy)
        manifests = {shared: self._in_use(shared, problems)}
        rows = []
        for symbol in traded:
            scope = scope_of(pattern, strategy, symbol) if by_symbol(pattern) else shared
            if scope not in manifests:
                manifests[scope] = self._in_use(scope, problems)
            rows.append(_symbol_row(strategy, scope, symbol, manifests[scope], waiting))
        found = manifests[shared]
        besides = [symbol for symbol in (found.symbols if found else ()) if symbol not in traded]
        rows += [_symbol_row(strategy, shared, symbol, found, waiting, traded=False) for symbol in besides]
        return rows

    def _in_use(self, scope: str, problems: list[str]) -> Manifest | None:
        try:
            version = self._registry.current(scope)
            return None if version is None else self._registry.manifest(scope, version)
        except BadInput as error:
            problems.append(str(error))
            return None


def split_model(model: str) -> tuple[str, str | None]:
    """`scope/version` or `scope` taken apart.

    Raises:
        BadInput: it is neither.

    """
    scope, _, version = model.rpartition("/")
    if scope and is_version(version):
        return check_scope(scope), version
    return check_scope(model), None


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_TOLD} more" if len(names) > _NAMES_TOLD else ""
    return ", ".join(names[:_NAMES_TOLD]) + more


def _symbol_row(
    strategy: str,
    scope: str,
    symbol: str,
    manifest: Manifest | None,
    waiting: Mapping[tuple[str, str], int],
    *,
    traded: bool = True,
) -> SymbolRow:
    covered = None if manifest is None else manifest.symbols.get(symbol)
    return SymbolRow(
        strategy=strategy,
        scope=scope,
        symbol=symbol,
        version=None if manifest is None else manifest.version,
        covered=covered is not None,
        traded=traded,
        rows=None if covered is None else covered.rows,
        days=None if covered is None else covered.days,
        waiting_since_ms=waiting.get((strategy, symbol)),
    )
