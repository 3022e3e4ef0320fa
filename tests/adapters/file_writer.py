"""A child process that replaces three files again and again until it is killed, and says what was acknowledged.

`python -m tests.adapters.file_writer FOLDER [MUTATION]`; each line on stdout is a file name and a version.  MUTATION is
a step of the protocol to leave out, so that a test can show that it would notice.
"""

import asyncio
import os
import sys
from pathlib import Path

from livebot.adapters.state_files.durable_files import SCRATCH_SUFFIX, DurableFiles
from livebot.adapters.state_files.file_layer import FileLayer, SystemFiles
from livebot.adapters.state_files.file_workers import ThreadWorkers
from livebot.adapters.state_files.sealed_json import seal

NAMES = ("a.json", "b.json", "c.json")


class WithoutFileSync(SystemFiles):
    """The file's content is left to the kernel."""

    def fsync(self, descriptor: int) -> None:
        pass


class WithoutFolderSync(SystemFiles):
    """The new name is left to the kernel."""

    def fsync_folder(self, folder: Path) -> None:
        pass


class InPlace(SystemFiles):
    """The file itself is written, and synced."""

    def create(self, path: Path) -> int:
        return super().create(path.with_name(path.name.removesuffix(SCRATCH_SUFFIX)))

    def rename(self, source: Path, target: Path) -> None:
        pass


MUTATIONS: dict[str, type[SystemFiles]] = {
    "none": SystemFiles,
    "without_file_sync": WithoutFileSync,
    "without_folder_sync": WithoutFolderSync,
    "in_place": InPlace,
}


async def replace_for_ever(files: DurableFiles, path: Path) -> None:
    """Write version after version, each acknowledged on stdout."""
    version = 0
    while True:
        version += 1
        await files.write(path, content(version))
        os.write(sys.stdout.fileno(), f"{path.name} {version}\n".encode())


def content(version: int) -> bytes:
    """A sealed file that tells its version."""
    return seal({"version": version, "filler": "x" * 900})


async def main(folder: Path, layer: FileLayer) -> None:
    """One task per file, all over one group commit."""
    files = DurableFiles(layer, ThreadWorkers(len(NAMES), "files"))
    await asyncio.gather(*(replace_for_ever(files, folder / name) for name in NAMES))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), MUTATIONS[(sys.argv[2:] or ["none"])[0]]()))
