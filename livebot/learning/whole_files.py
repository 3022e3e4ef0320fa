"""Files written so that a power cut, a kill or a full disk leaves either the old one or the new one; blocking.

Rules of this file: scratch name, fsync, rename, fsync of the folder; every failure names the file and the mend.
"""

import errno
from contextlib import suppress
from pathlib import Path

from livebot.adapters.state_files.durable_files import SCRATCH_SUFFIX, fatal_of
from livebot.adapters.state_files.file_layer import FileLayer


def replace_file(layer: FileLayer, path: Path, data: bytes) -> None:
    """Put `data` where `path` is; durable when it returns.

    Raises:
        Fatal: not written, and the old file still stands (or, if only the folder's fsync failed, one of the two).

    """
    scratch = path.with_name(path.name + SCRATCH_SUFFIX)
    try:
        make_folders(layer, path.parent)
        try:
            write_file(layer, scratch, data)
            layer.rename(scratch, path)
        except OSError:
            with suppress(OSError):
                layer.remove(scratch)
            raise
        layer.fsync_folder(path.parent)
    except OSError as error:
        raise fatal_of("write", path, error) from error


def write_file(layer: FileLayer, path: Path, data: bytes) -> None:
    """Write and sync a file under this very name.  Raises OSError."""
    descriptor = layer.create(path)
    try:
        rest = memoryview(data)
        while rest:
            taken = layer.write(descriptor, rest)
            if taken <= 0:
                raise OSError(errno.EIO, "the filesystem takes no more bytes and does not say why")
            rest = rest[taken:]
        layer.fsync(descriptor)
    finally:
        layer.close(descriptor)


def make_folders(layer: FileLayer, folder: Path) -> None:
    """Make a folder and those above it, each name durable.  Raises OSError."""
    if folder.is_dir():
        return
    make_folders(layer, folder.parent)
    layer.make_folder(folder)
    layer.fsync_folder(folder.parent)
