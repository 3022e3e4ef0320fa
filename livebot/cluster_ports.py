"""Protocols of clusters: who remembers which symbols move together.

Rules of this file: those of `ports`.
"""

from typing import Protocol

from livebot.core.clusters import Clusters


class ClusterStore(Protocol):
    """state/clusters.json."""

    async def load(self) -> Clusters | None:
        """None if there are none yet.

        Raises:
            BadInput: the file is damaged, and was set aside.
            Fatal: it is of another system or version, or cannot be read.

        """
        ...

    async def save(self, clusters: Clusters) -> None:
        """Durable when it returns.  Raises Fatal."""
        ...
