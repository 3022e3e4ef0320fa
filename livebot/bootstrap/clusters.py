"""From the config to what a daemon knows of clusters: the named ones, or how they are worked out and where kept.

Rules of this file: clusters are worked out on a thread of their own, which only who has them started.
"""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial

from livebot.adapters.correlation import correlated, prepare
from livebot.adapters.state_files.cluster_store import FileClusterStore
from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.file_workers import ThreadWorkers
from livebot.config.clusters import cluster_terms
from livebot.config.model import Config
from livebot.config.root import Paths
from livebot.config.venue import SIMULATOR
from livebot.core.clusters import Closes, Clusters, CorrelationRule
from livebot.runtime.clusters.cluster_closes import ClusterParts

Note = Callable[[str, Mapping[str, object]], None]


def clusters_of(
    config: Config, paths: Paths, files: DurableFiles, note: Note, opened: AsyncExitStack
) -> ClusterParts | Mapping[str, str] | None:
    """What the system is told of clusters; None: every symbol is by itself.  `opened` ends the thread.

    Raises:
        Fatal: the machine gives no thread.

    """
    terms, section = cluster_terms(config.risk.clusters), config.risk.clusters
    if not isinstance(terms, CorrelationRule):
        return terms
    assert section is not None  # the rule is of it
    assert section.correlation is not None
    workers = ThreadWorkers(1, "clusters")
    opened.callback(workers.close)
    workers.submit(prepare)  # nobody waits for it: what needs it comes after it on the same thread

    async def work_out(closes: Mapping[str, Closes], at_ms: int, failed: Mapping[str, str]) -> Clusters:
        return await workers.submit(partial(correlated, closes, terms, at_ms, failed))

    simulated = config.exchange.id == SIMULATOR
    return ClusterParts(
        rule=terms,
        store=FileClusterStore(paths.state, config.system, files),
        work_out=work_out,
        note=note,
        spacing_s=None if simulated else 1 / float(section.correlation.requests_per_second),
    )
