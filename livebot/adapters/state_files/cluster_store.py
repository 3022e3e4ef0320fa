"""`state/clusters.json`: which symbols were found to move together, and when."""

from pathlib import Path

from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.memory_file import MemoryFile
from livebot.adapters.state_files.state_schemas import CLUSTER_UPGRADES
from livebot.core.clusters import Clusters

FILE_NAME = "clusters.json"
_CLUSTERS: Codec[Clusters] = Codec(Clusters)


class FileClusterStore:
    """A ClusterStore in a folder."""

    def __init__(self, folder: Path, system: str, files: DurableFiles) -> None:
        """Nothing is read."""
        self._file = MemoryFile(folder / FILE_NAME, system, _CLUSTERS, CLUSTER_UPGRADES)
        self._files = files

    async def load(self) -> Clusters | None:
        """None if there are none yet; call it before the first save.

        Raises:
            BadInput: the file is damaged, and was set aside.
            Fatal: it is of another system or version, or cannot be read or set aside.

        """
        return await self._file.load(self._files, "clusters are worked out as if for the first time")

    async def save(self, clusters: Clusters) -> None:
        """Durable when it returns.

        Raises:
            Fatal: not written, and the old file still stands.

        """
        await self._file.save(self._files, clusters)
