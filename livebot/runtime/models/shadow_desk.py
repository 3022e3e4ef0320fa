"""The desk at which versions in shadow are asked: what was answered goes to them afterwards, and what they say is noted.

Rules of this file: nobody waits for it; one batch is out at a time, `shadow_batches` may wait, and what is answered while they
do is not asked and is counted; a version that does not come back within `hang_s` is given up; nothing it says is acted on.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from livebot.model_ports import Judgement, Question, Shadow, Shadows
from livebot.runtime.models.confidence_tally import ConfidenceTally
from livebot.runtime.models.patience import Patience
from livebot.runtime.problems import Report
from livebot.runtime.settings import ConfidenceSettings

SOURCE = "model:shadows"

_log = structlog.get_logger(__name__)

Answered = Sequence[tuple[Question, Judgement]]
Told = tuple[tuple[Shadow, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowParts:
    """`aside` does work beside the event loop and beside the models that decide, one piece at a time.

    None for `aside`: they are asked on the loop itself.  `give_up` as in ConfidenceParts.
    """

    shadows: Shadows
    aside: Callable[[Callable[[], Told]], Awaitable[Told]] | None = None
    give_up: Callable[[], str] | None = None


class ShadowDesk:
    """One for the whole system; everything but the asking happens on its event loop."""

    def __init__(
        self,
        parts: ShadowParts,
        settings: ConfidenceSettings,
        tally: ConfidenceTally,
        note: Callable[[str, Mapping[str, object]], None],
        report: Report,
    ) -> None:
        """Nothing is asked.  `report` hears that they are behind, or fail."""
        self._parts = parts
        self._settings = settings
        self._tally = tally
        self._note = note
        self._report = report
        self._waiting: deque[Answered] = deque()
        self._flight: asyncio.Future[Told] | None = None
        self._patience = Patience()  # with what is out

    def follow(self, answered: Answered) -> None:
        """Ask about these too, of which those that decide have answered."""
        wanted = [each for each in answered if self._parts.shadows.shadowed(each[0].strategy)]
        if not wanted:
            return
        if self._flight is None:
            self._send(wanted)
        elif len(self._waiting) < self._settings.shadow_batches:
            self._waiting.append(wanted)
        else:
            self._tally.unshadowed += len(wanted)
            self._report(
                SOURCE,
                "versions in shadow answer more slowly than candles close, so they are not asked about every entry; what "
                "decides is not held up; `livebot models list` says which they are",
            )

    def _send(self, batch: Answered) -> None:
        asking = partial(self._parts.shadows.shadows, [question for question, _ in batch])
        if self._parts.aside is None:
            self._ask_here(batch, asking)
            return
        self._flight = flight = asyncio.ensure_future(self._parts.aside(asking))
        flight.add_done_callback(partial(self._landed, batch))
        if self._parts.give_up is not None:
            self._patience.begin(self._settings.hang_s, partial(self._give_up, self._parts.give_up))

    def _ask_here(self, batch: Answered, asking: Callable[[], Told]) -> None:
        try:
            told = asking()
        except Exception as error:  # noqa: BLE001 - a model's fault, which stops nobody
            self._fail(error)
        else:
            self._take(batch, told)

    def _landed(self, batch: Answered, flight: "asyncio.Future[Told]") -> None:
        if flight.cancelled():
            return  # the loop ends
        error = flight.exception()
        if flight is not self._flight:
            return  # it was given up
        self._patience.end()
        if error is None:
            self._take(batch, flight.result())
        else:
            self._fail(error)
        self._next()

    def _give_up(self, give_up: Callable[[], str]) -> None:
        _log.warning("shadow_given_up", what=give_up())
        self._next()

    def _next(self) -> None:
        self._flight = None
        if self._waiting:
            self._send(self._waiting.popleft())

    def _take(self, batch: Answered, told: Told) -> None:
        if not self._waiting:
            self._report(SOURCE, None)
        rows = []
        for (question, judgement), shadows in zip(batch, told, strict=True):
            if shadows:
                self._tally.shadowed(judgement, shadows)
                rows.append(_row(question, judgement, shadows))
        if rows:
            self._note("shadows", {"rows": rows})

    def _fail(self, error: BaseException) -> None:
        _log.error("shadows_failed", exc_info=error)
        self._report(
            SOURCE,
            f"versions in shadow failed when they were asked ({type(error).__name__}: {error}); what decides goes on; "
            "`livebot models list` says which they are",
        )


def _row(question: Question, judgement: Judgement, shadows: Sequence[Shadow]) -> dict[str, object]:
    return {
        "close_ms": question.close_ms,
        "strategy": question.strategy,
        "symbol": question.symbol,
        "model": judgement.model,
        "confidence": judgement.confidence,
        "shadows": dict(shadows),
    }
