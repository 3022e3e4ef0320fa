"""The versions of models on disk: `models/<scope>/<version>/{model.joblib, manifest.json}` and the pointers beside them.

Rules of this file: a version is never changed once written; at every moment, whatever fails, the registry is as it was before
or as it was to be; a model is checked stage by stage (manifest and its seal, libraries, features, digest) before a byte of it is
unpickled, and by its golden rows before anybody may ask it.  All of it blocks: not on the event loop.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from livebot.adapters.state_files.durable_files import SCRATCH_SUFFIX, fatal_of
from livebot.adapters.state_files.file_layer import FileLayer, SystemFiles
from livebot.errors import BadInput, Fatal, Rejected
from livebot.features.feature_set import FeatureSet
from livebot.learning.dataset import Dataset
from livebot.learning.description import Description, described
from livebot.learning.golden import check_golden
from livebot.learning.loaded import LoadedModel, loaded_model
from livebot.learning.manifest import MANIFEST_BYTES_MAX, Manifest, parsed, written
from livebot.learning.model_file import MODEL_BYTES_MAX, dumped, library_problem, undumped
from livebot.learning.predictor import Fitted
from livebot.learning.registry_lock import registry_lock
from livebot.learning.scopes import PARTS_MAX, POINTERS, check_scope, check_version, is_part, is_version
from livebot.learning.sealing import read_inside, same_digest, seal, unseal
from livebot.learning.version_checks import feature_problem, time_problem
from livebot.learning.whole_files import make_folders, replace_file, write_file

MANIFEST = "manifest.json"
CURRENT, PREVIOUS, CHALLENGER = POINTERS
SCOPES_MAX = 5_000
_POINTER_BYTES_MAX = 100


class Registry:
    """The models below one folder; `key` seals and checks them (LIVEBOT_MODEL_KEY), None: against accidents only.

    `packages` are the top packages of estimators of the operator's own (EstimatorSpec.name with a class path).
    """

    def __init__(
        self, folder: Path, key: bytes | None = None, packages: Sequence[str] = (), layer: FileLayer | None = None
    ) -> None:
        """Nothing is read."""
        self.folder = folder
        self._key = key
        self._packages = tuple(packages)
        self._layer: FileLayer = layer or SystemFiles()

    @property
    def sealed(self) -> bool:
        """Whether a key guards against more than accidents."""
        return self._key is not None

    # ------------------------------------------------------------------ what there is

    def scopes(self) -> tuple[str, ...]:
        """Every scope with a version or a pointer, sorted.

        Raises:
            BadInput: there are more than SCOPES_MAX.
            Fatal: a folder cannot be read.

        """
        found = []
        for scope in self._below((), PARTS_MAX):
            found.append(scope)
            if len(found) > SCOPES_MAX:
                raise BadInput(
                    f"{self.folder} holds more than {SCOPES_MAX} scopes; remove those that are not used any more"
                )
        return tuple(sorted(found))

    def versions(self, scope: str) -> tuple[str, ...]:
        """The versions of a scope, oldest first; whether each is whole only `load` says.

        Raises:
            BadInput: no scope.
            Fatal: the folder cannot be read.

        """
        folder = self.folder.joinpath(*check_scope(scope).split("/"))
        return tuple(name for name in self._folders(folder) if is_version(name))

    def current(self, scope: str) -> str | None:
        """The version in use, None if there is none.  Raises BadInput: the pointer cannot be read."""
        return self.pointed(scope, CURRENT)

    def previous(self, scope: str) -> str | None:
        """The version that was in use before.  Raises BadInput as `current`."""
        return self.pointed(scope, PREVIOUS)

    def challenger(self, scope: str) -> str | None:
        """The version in shadow.  Raises BadInput as `current`."""
        return self.pointed(scope, CHALLENGER)

    def pointed(self, scope: str, name: str) -> str | None:
        """The version that CURRENT, PREVIOUS or CHALLENGER names, None if none.  Raises BadInput: it cannot be read."""
        data = read_inside(self.folder, (*check_scope(scope).split("/"), name), _POINTER_BYTES_MAX)
        if data is None:
            return None
        version = data.decode("utf-8", "replace").strip()
        if not is_version(version):
            raise BadInput(
                f"{self.folder / scope / name} names no version, but {version!r}; promote one, or remove the file"
            )
        return version

    def manifest(self, scope: str, version: str) -> Manifest:
        """What is known of a version; its seal is checked, its model is not.

        Raises:
            BadInput: it is not there, damaged, of another key, or of another place.

        """
        parts = self._parts(scope, version)
        with_cause = f"model {scope}/{version}"
        data = read_inside(self.folder, (*parts, MANIFEST), MANIFEST_BYTES_MAX)
        if data is None:
            raise BadInput(f"{with_cause}: {self._why_absent(scope, version)}")
        try:
            manifest = parsed(unseal(data, self._key))
        except BadInput as error:
            raise BadInput(f"{with_cause}: {MANIFEST}: {error}") from None
        if manifest.name != f"{scope}/{version}":
            raise BadInput(f"{with_cause}: {MANIFEST} is that of {manifest.name}; a version cannot be moved or renamed")
        return manifest

    def load(
        self, scope: str, version: str, feature_set: FeatureSet | None = None, *, judged_from_ms: int | None = None
    ) -> LoadedModel:
        """A version, checked stage by stage: manifest, libraries, features, digest, and only then the model, and its golden rows.

        `feature_set` is what the caller computes (None: whoever asks shows it only); `judged_from_ms` the beginning of the
        candles it will be judged on, which must lie after the end of its training.

        Raises:
            BadInput: a check failed; the text names the version, the cause and the mend.

        """
        manifest = self.manifest(scope, version)
        problem = (
            library_problem(manifest.libraries)
            or feature_problem(manifest, feature_set)
            or time_problem(manifest, judged_from_ms)
        )
        if problem is not None:
            raise BadInput(f"model {scope}/{version}: {problem}")
        file_name = manifest.format.file_name
        data = read_inside(self.folder, (*self._parts(scope, version), file_name), MODEL_BYTES_MAX)
        if data is None:
            raise BadInput(f"model {scope}/{version}: {file_name} is missing beside its manifest; train it anew")
        if not same_digest(data, manifest.model_digest):
            raise BadInput(
                f"model {scope}/{version}: {file_name} is not the file that was saved: its digest differs; train it anew"
            )
        return self._checked(manifest, data)

    # ------------------------------------------------------------------ changing it

    def save(self, fitted: Fitted, dataset: Dataset, description: Description) -> str:
        """Write a new version, without using it, and return its name; durable when it returns.

        It is read back from its bytes and asked its golden rows first.

        Raises:
            BadInput: it cannot be written in that format, or does not answer as before when it is read back.
            Rejected: there is a version of that name.
            Fatal: the disk does not take it; the registry is as it was.
            Transient: another process is changing the registry.

        """
        scope = check_scope(description.scope)
        data = dumped(fitted.predictor, description.format)
        if len(data) > MODEL_BYTES_MAX:
            raise BadInput(f"model {scope}: {len(data)} bytes, and at most {MODEL_BYTES_MAX} are ever loaded")
        manifest = described(fitted, dataset, description, data, self._known(scope, CURRENT))
        self._checked(manifest, data)
        self._write(manifest, data, seal(written(manifest), self._key))
        return manifest.version

    def promote(self, scope: str, version: str, feature_set: FeatureSet | None = None) -> LoadedModel:
        """Use this version from now on, after every check of `load`; what was in use becomes `previous`.

        Raises:
            BadInput: as `load`.
            Fatal, Transient: as `save`; what was in use still is.

        """
        model = self.load(scope, version, feature_set)
        with self._changing():
            self._use(scope, version)
        return model

    def relieve(self, scope: str, version: str, champion: str | None, feature_set: FeatureSet | None = None) -> None:
        """Promote a version that was held against `champion` (None: none was in use), if that is still in use.

        Raises:
            Rejected: another one is in use by now.
            BadInput, Fatal, Transient: as `promote`.

        """
        self.load(scope, version, feature_set)
        with self._changing():
            by_now = self._known(scope, CURRENT)
            if by_now != champion:
                told = f"{by_now or 'none'} is in use by now, and it was held against {champion or 'none'}"
                raise Rejected(f"model {scope}/{version} does not take over: {told}")
            self._use(scope, version)

    def rollback(self, scope: str, feature_set: FeatureSet | None = None) -> LoadedModel:
        """Use the previous version again, after every check of `load`; a second one goes forth again.

        Raises:
            Rejected: there is no previous one.
            BadInput, Fatal, Transient: as `promote`.

        """
        version = self.previous(scope)
        if version is None or version == self.current(scope):
            raise Rejected(f"model {scope}: there is no version before; `livebot models promote` takes any by its name")
        return self.promote(scope, version, feature_set)

    def challenge(self, scope: str, version: str | None, feature_set: FeatureSet | None = None) -> None:
        """Have this version answer in shadow, after every check of `load`; None: no version.

        Raises:
            BadInput, Fatal, Transient: as `promote`.

        """
        if version is not None:
            self.load(scope, version, feature_set)
        with self._changing():
            if version is None:
                self._unpoint(scope, CHALLENGER)
            else:
                self.manifest(scope, version)
                self._point(scope, {CHALLENGER: version})

    def remove(self, scope: str, versions: Iterable[str]) -> tuple[str, ...]:
        """Remove versions for good, but those that a pointer names by now; returns which were.

        A kill leaves each of them whole, or a scratch folder that the next change sweeps away.

        Raises:
            BadInput: a pointer cannot be read, so that nobody knows what is needed; nothing was removed.
            Fatal: one cannot be removed; those before it are.
            Transient: another process is changing the registry.

        """
        folder = self.folder.joinpath(*check_scope(scope).split("/"))
        removed = []
        with self._changing():
            needed = {self.pointed(scope, name) for name in POINTERS}
            for version in map(check_version, versions):
                target = folder / version
                if version not in needed and target.is_dir() and not target.is_symlink():
                    self._remove(folder, version)
                    removed.append(version)
        return tuple(removed)

    # ------------------------------------------------------------------ inside

    def _checked(self, manifest: Manifest, data: bytes) -> LoadedModel:
        """The model in these bytes, which are those that were saved."""
        try:
            model = loaded_model(manifest, undumped(data, manifest.format, self._packages))
            check_golden(model)
        except BadInput as error:
            raise BadInput(f"model {manifest.name}: {error}") from error
        return model

    def _use(self, scope: str, version: str) -> None:
        self.manifest(scope, version)  # it may have been removed while it was looked at
        before = self._known(scope, CURRENT)
        if before != version:
            self._point(scope, {PREVIOUS: before, CURRENT: version})
        if self._known(scope, CHALLENGER) == version:
            with suppress(Fatal):  # the version is in use: that it also answers in its own shadow does no harm
                self._unpoint(scope, CHALLENGER)

    def _write(self, manifest: Manifest, model: bytes, sealed: bytes) -> None:
        layer, folder = self._layer, self.folder.joinpath(*manifest.scope.split("/"))
        target = folder / manifest.version
        scratch = folder / f"{manifest.version}{SCRATCH_SUFFIX}"
        with self._changing():
            if target.exists():
                raise Rejected(f"model {manifest.name} is there already, and a version is never changed")
            try:
                make_folders(layer, folder)
                self._sweep(folder)
                layer.make_folder(scratch)
                write_file(layer, scratch / manifest.format.file_name, model)
                write_file(layer, scratch / MANIFEST, sealed)
                layer.fsync_folder(scratch)
                layer.rename(scratch, target)
                layer.fsync_folder(folder)
            except OSError as error:
                with suppress(OSError):
                    self._sweep(folder)
                raise fatal_of("write", target, error) from error

    def _remove(self, folder: Path, version: str) -> None:
        """In one step it is no version any more, and only then its files go."""
        scratch = folder / f"{version}{SCRATCH_SUFFIX}"
        try:
            self._sweep(folder)
            self._layer.rename(folder / version, scratch)
            self._layer.fsync_folder(folder)
            shutil.rmtree(scratch)
        except OSError as error:
            raise fatal_of("remove", folder / version, error) from error

    def _sweep(self, folder: Path) -> None:
        """Remove what somebody who was killed left half written; nobody else writes while the lock is held."""
        for name in self._layer.folders(folder):
            if name.endswith(SCRATCH_SUFFIX) and not (folder / name).is_symlink():
                shutil.rmtree(folder / name)

    def _point(self, scope: str, wanted: Mapping[str, str | None]) -> None:
        """Have pointers name other versions; those that are to name none stay as they are."""
        folder = self.folder.joinpath(*scope.split("/"))
        changed = {name: version for name, version in wanted.items() if version is not None}
        before = {name: self._known(scope, name) for name in changed}
        try:
            # all is on the disk before the first is renamed: a full disk shows itself here
            for name, version in changed.items():
                write_file(self._layer, folder / f"{name}{SCRATCH_SUFFIX}", f"{version}\n".encode())
            for name in changed:
                self._layer.rename(folder / f"{name}{SCRATCH_SUFFIX}", folder / name)
            self._layer.fsync_folder(folder)
        except OSError as error:
            self._put_back(scope, before)
            raise fatal_of("write", folder / next(reversed(changed)), error) from error

    def _put_back(self, scope: str, before: Mapping[str, str | None]) -> None:
        folder = self.folder.joinpath(*scope.split("/"))
        for name, version in before.items():
            with suppress(OSError):
                self._layer.remove(folder / f"{name}{SCRATCH_SUFFIX}")
            with suppress(OSError, Rejected, Fatal):
                if self.pointed(scope, name) == version:
                    continue
                if version is None:
                    self._layer.remove(folder / name)
                else:
                    replace_file(self._layer, folder / name, f"{version}\n".encode())

    def _unpoint(self, scope: str, name: str) -> None:
        folder = self.folder.joinpath(*scope.split("/"))
        if not os.path.lexists(folder / name):
            return
        try:
            self._layer.remove(folder / name)
            self._layer.fsync_folder(folder)
        except OSError as error:
            raise fatal_of("remove", folder / name, error) from error

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            make_folders(self._layer, self.folder)
        except OSError as error:
            raise fatal_of("make", self.folder, error) from error
        with registry_lock(self.folder):
            yield

    def _known(self, scope: str, name: str) -> str | None:
        """What a pointer names, None also if it cannot be read: it is about to be written anew."""
        try:
            return self.pointed(scope, name)
        except BadInput:
            return None

    def _folders(self, folder: Path) -> list[str]:
        try:
            return self._layer.folders(folder)
        except OSError as error:
            raise fatal_of("read", folder, error) from error

    def _parts(self, scope: str, version: str) -> tuple[str, ...]:
        return (*check_scope(scope).split("/"), check_version(version))

    def _why_absent(self, scope: str, version: str) -> str:
        folder = self.folder.joinpath(*self._parts(scope, version))
        if folder.is_dir():
            return f"{MANIFEST} is missing beside the model, so nothing is known of it; train it anew"
        return f"there is no such version in {self.folder}; `livebot models list` says which there are"

    def _below(self, parts: tuple[str, ...], depth: int) -> Iterator[str]:
        folder = self.folder.joinpath(*parts)
        inner = self._folders(folder)
        if parts and (any(map(is_version, inner)) or not set(POINTERS).isdisjoint(self._layer.files(folder))):
            yield "/".join(parts)
        for name in inner if depth else ():
            if is_part(name) and not (folder / name).is_symlink():
                yield from self._below((*parts, name), depth - 1)
