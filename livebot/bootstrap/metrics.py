"""Where the metrics come from, and where they are served.

Rules of this file: everything is read when somebody asks; that metrics cannot be served stops nobody from trading.
"""

from contextlib import AsyncExitStack
from ipaddress import ip_address
from typing import TYPE_CHECKING

import structlog

from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.bootstrap.venue import Venue
from livebot.config.running import ControlConfig
from livebot.core.order import OrderStatus
from livebot.errors import Fatal
from livebot.ops.metrics.families import Families
from livebot.ops.metrics.measurements import Lag, Measure, Measurements, Models, Waits
from livebot.ops.metrics.page import Look, MetricsPage
from livebot.ops.metrics.server import MetricsServer
from livebot.runtime.system import System

if TYPE_CHECKING:
    from livebot.bootstrap.models import DaemonModels

_log = structlog.get_logger(__name__)


def metrics_page(look: Look, measure: Measure, section: ControlConfig) -> MetricsPage:
    """What answers GET /metrics, wherever it is asked."""
    return MetricsPage(look, measure, Families(symbols_max=section.metrics_symbols))


async def serve_metrics(
    page: MetricsPage, system: System, section: ControlConfig, opened: AsyncExitStack
) -> MetricsServer | None:
    """Serve it at the configured port, if there is one; `opened` ends it."""
    if section.metrics_port is None:
        return None
    server = MetricsServer(
        page.answer,
        system.ready.is_set,
        section.metrics_port,
        address=section.metrics_address,
        connections_max=section.connections,
    )
    try:
        await server.start()
    except Fatal as error:
        system.problems.report("metrics", f"{error}, and restart livebot; it trades without")
        return None
    opened.push_async_callback(server.close)
    if not ip_address(section.metrics_address).is_loopback:
        _log.warning(
            "metrics_open",
            address=section.metrics_address,
            port=section.metrics_port,
            what="whoever reaches it reads what is open and what it is worth: let in nobody but Prometheus",
        )
    return server


def measure_of(system: System, files: DurableFiles, venue: Venue, models: "DaemonModels | None" = None) -> Measure:
    """What reads everything off a system and its surroundings."""
    return lambda: _measurements(system, files, venue, models)


def _measurements(system: System, files: DurableFiles, venue: Venue, models: "DaemonModels | None") -> Measurements:
    tally, writer, lag = system.observations.tally, system.ledger_writer, system.loop_lag.statistics()
    reservations, reserved = system.portfolio.reserved
    return Measurements(
        delays=tally.delays,
        calls=tally.calls,
        decisions=tally.decisions,
        realised=tally.realised,
        order_outcomes=system.execution.outcomes,
        orders_in_flight=system.execution.in_flight,
        orders_unresolved=_unresolved(system),
        reservations=reservations,
        reserved=reserved,
        lag=Lag(p50_s=lag.p50_ms / 1000, p99_s=lag.p99_ms / 1000, maximum_s=lag.maximum_ms / 1000),
        saves=files.saves,
        ledger_queue=len(writer),
        ledger_queue_limit=system.parts.settings.ledger.queue_size,
        decisions_dropped=writer.decisions_dropped,
        listeners=system.bus.counts(),
        foreign_symbols=len(system.foreign.symbols),
        feed=venue.feed_counts(),
        waits={what: Waits(count=count, seconds=seconds) for what, (count, seconds) in venue.waits().items()},
        models=_of_models(system, models),
    )


def _of_models(system: System, models: "DaemonModels | None") -> Models | None:
    desk = system.workers.confidences
    if desk is None:
        return None
    tally = desk.tally
    return Models(
        answers=tally.outcomes,
        sizes=tally.sizes,
        waits=tally.waits,
        late=tally.late,
        differences=tally.differences,
        drift={} if models is None else models.drift,
        unshadowed=tally.unshadowed,
    )


def _unresolved(system: System) -> int:
    """Orders whose fate nobody knows, as last saved."""
    orders = (record for state in system.workers.last_states() for record in state.orders)
    return sum(record.status is OrderStatus.UNKNOWN for record in orders)
