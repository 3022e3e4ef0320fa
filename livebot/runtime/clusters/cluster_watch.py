"""Works out from time to time which symbols move together, and tells the portfolio.

Rules of this file: between two closes clusters change, never within one; what was worked out is as of a UTC multiple
of the configured hours, whenever it was ready, so that the same candles give the same clusters here and in a backtest;
until there are any nothing opens, because every symbol by itself would be more than the limit means; while they are worked
out those before stand and, in lockstep, a simulated market waits.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

import structlog

from livebot.core.clusters import Clusters, ClusterStatus, moved, status_of_clusters
from livebot.errors import BadInput, Fatal, Transient
from livebot.runtime.clusters.cluster_closes import ClosesOf, ClusterParts
from livebot.runtime.system_parts import SystemParts
from livebot.runtime.waiting import Bell

SOURCE, FILE = "clusters", "clusters.json"
SETTLE_S = 10.0  # after its time a close is as the venue leaves it, and one answer is enough
RETRY_S = 300.0  # until a venue that gave nothing is asked again
TOO_OLD = 2  # remembered clusters are used at a start for so many periods
NAMED = 3  # symbols in a sentence
LISTED = 20  # symbols in a note
_UNKNOWN = "which symbols move together is not known yet, and nothing opens until it is (risk.clusters)"

_log = structlog.get_logger(__name__)


class ClusterWatch:
    """One for the whole system."""

    def __init__(
        self,
        parts: SystemParts,
        clusters: ClusterParts,
        *,
        symbols: Callable[[], Iterable[str]],
        apply: Callable[[Mapping[str, str]], None],
    ) -> None:
        """Nothing is known and nothing asked: `begin` comes first.

        `symbols` says which are traded now, `apply` is told the cluster of each.
        """
        self._parts = clusters
        self._feed = parts.feed
        self._clock = parts.clock
        self._blocks = parts.portfolio.blocks
        self._problems = parts.problems
        self._waits = parts.activity if clusters.spacing_s is None else None  # through which a simulated market waits
        self._symbols = symbols
        self._apply = apply
        self._clusters: Clusters | None = None
        self._ready: Clusters | None = None  # takes effect with the next close
        self._due_ms = 0  # the first moment of which clusters have not been asked for
        self._asked: tuple[int, frozenset[str]] | None = None
        self._bell = Bell()
        self._known = asyncio.Event()
        self._held = False  # it waits now

    async def begin(self) -> None:
        """Take up what is remembered, if it is of this rule and not too old.

        Raises:
            Fatal: the file is of another system or version, or cannot be read.

        """
        self._blocks.fault(SOURCE, _UNKNOWN)
        try:
            remembered = await self._parts.store.load()
        except BadInput as error:
            self._problems.report(FILE, str(error))
            remembered = None
        rule, now_ms = self._parts.rule, self._clock.now_ms()
        moment_ms, symbols = rule.moment(now_ms), frozenset(self._symbols())
        oldest_ms = moment_ms - TOO_OLD * rule.every_ms
        if remembered is not None and remembered.rule == rule.text and oldest_ms < remembered.at_ms <= now_ms:
            self._take(remembered)
            self._due_ms = moment_ms + rule.every_ms
            if remembered.at_ms == moment_ms and remembered.symbols == symbols:
                return
        self._ask(moment_ms)

    def see_close(self, close_ms: int) -> None:
        """A new minute has closed, and nobody has its candles yet."""
        if self._ready is not None:
            ready, self._ready = self._ready, None
            self._take(ready)
        if close_ms >= self._due_ms:
            self._ask(self._parts.rule.moment(close_ms))

    async def until_known(self) -> None:
        """Return when there are clusters."""
        await self._known.wait()

    def tell_unknown(self) -> None:
        """Let the operator know, if there are none and nothing worse was told."""
        if self._clusters is None and self._problems.of(SOURCE) is None:
            self._problems.report(SOURCE, _UNKNOWN)

    def status(self) -> ClusterStatus:
        """As of now."""
        clusters, problem = self._clusters, self._problems.of(SOURCE)
        if clusters is None:
            return status_of_clusters({}, known=False, next_ms=self._due_ms, problem=problem)
        names, unmeasured = dict(clusters.names), len(clusters.unmeasured)
        return status_of_clusters(
            names, at_ms=clusters.at_ms, next_ms=self._due_ms, unmeasured=unmeasured, problem=problem
        )

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if self._asked is None:
                await self._bell.within(RETRY_S)
            self._bell.silence()
            if self._asked is None:
                continue
            try:
                done = await self._look(*self._asked)
            finally:
                self._release()
            if not done:
                await self._bell.within(RETRY_S)

    # A look

    def _ask(self, moment_ms: int) -> None:
        self._asked = moment_ms, frozenset(self._symbols())
        self._due_ms = moment_ms + self._parts.rule.every_ms
        if self._waits is not None and not self._held:
            self._held = True
            self._waits.begin()
        self._bell.ring()

    def _release(self) -> None:
        if self._waits is not None and self._held:
            self._held = False
            self._waits.end()

    async def _look(self, at_ms: int, symbols: frozenset[str]) -> bool:
        """Work clusters out; says whether that was done."""
        parts = self._parts
        await asyncio.sleep(0.0 if parts.spacing_s is None else SETTLE_S)
        closes = ClosesOf(self._feed, self._clock, parts.rule, at_ms, parts.spacing_s or 0.0)
        try:
            await closes.fetch(symbols)
        except Transient as error:
            stand = "those before stand" if self._clusters is not None else "nothing opens"
            text = f"which symbols move together cannot be seen, {stand}: {error}; it is looked at again"
            self._problems.report(SOURCE, text)
            return False
        found = await parts.work_out(closes.found, at_ms, closes.failed)
        if self._asked == (at_ms, symbols):
            self._asked = None
        self._problems.report(SOURCE, _lacking(closes.failed))
        await self._remember(found)
        if self._clusters is None:
            self._take(found)
        else:
            self._ready = found
        return True

    async def _remember(self, found: Clusters) -> None:
        try:
            await self._parts.store.save(found)
        except Fatal as error:
            self._problems.report(FILE, f"{error}; the clusters are used, and worked out again after a restart")
        else:
            self._problems.report(FILE, None)

    def _take(self, clusters: Clusters) -> None:
        before, self._clusters = self._clusters, clusters
        names = dict(clusters.names)
        self._apply(names)
        self._blocks.fault(SOURCE, None)
        self._known.set()
        told = _told(clusters, names, {} if before is None else dict(before.names))
        _log.info("clusters", **told)
        self._parts.note("clusters", told)


def cluster_watch_of(parts: SystemParts, symbols: Callable[[], Iterable[str]]) -> ClusterWatch | None:
    """The watch of a system; None if its clusters never change, and then the portfolio has been told."""
    if isinstance(parts.clusters, ClusterParts):
        return ClusterWatch(parts, parts.clusters, symbols=symbols, apply=parts.portfolio.set_clusters)
    if parts.clusters is not None:
        parts.portfolio.set_clusters(parts.clusters)
    return None


def _told(clusters: Clusters, names: Mapping[str, str], before: Mapping[str, str]) -> dict[str, object]:
    """What is noted of a change."""
    status, gone = status_of_clusters(names), moved(before, names)
    return {
        "as_of_ms": clusters.at_ms,
        "shared": status.shared,
        "alone": status.alone,
        "largest": dict(status.largest),
        "moved": len(gone),
        "who_moved": list(gone[:LISTED]),
        "unmeasured": len(clusters.unmeasured),
        "why_unmeasured": dict(clusters.unmeasured[:LISTED]),
    }


def _lacking(failed: Mapping[str, str]) -> str | None:
    if not failed:
        return None
    named = "; ".join(f"{symbol}: {why}" for symbol, why in sorted(failed.items())[:NAMED])
    more = f"; and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    return f"each of these counts as a cluster of its own until the next look ({named}{more})"
