"""The desk at which models are asked: what strategies want at one close goes to them in one batch, beside the event loop.

A batch goes out as soon as all who are judged and decide at that close have spoken, or `coalesce_s` after its first
question.

Rules of this file: one batch is out at a time, and what is asked meanwhile goes with the next one; each question gets one
answer, in the order of asking: the model's, or what is configured once `deadline_s` have passed since it was asked, which is
when its strategy decided: waiting for others and for a batch that is out counts; an answer that comes later, or of which
nobody wants to know any more, is dropped; a model that fails refuses, and is asked again with the next batch; one that does
not come back within `hang_s` is given up, and the next batch goes out without waiting for it; versions in shadow are asked
once the answers are out; a simulated market waits as long as a question is open.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

import structlog

from livebot.model_ports import Confidences, Judgement, Question
from livebot.ports import Clock, ModelStatus
from livebot.runtime.inbox import Activity
from livebot.runtime.models.confidence_tally import ConfidenceTally
from livebot.runtime.models.patience import TURNS, Patience
from livebot.runtime.models.shadow_desk import ShadowDesk, ShadowParts
from livebot.runtime.problems import Report
from livebot.runtime.settings import ConfidenceSettings, OnDeadline

LATE, FAILED = "model_late", "model_failed"
SOURCE = "model:asking"
NAMED = 3  # entries in a sentence
SLACK_S = 0.001  # a timer of the loop may be early by its resolution

_log = structlog.get_logger(__name__)

Key = tuple[str, str]  # strategy, symbol
Answers = tuple[Judgement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceParts:
    """`aside` does work beside the event loop, one piece at a time; `note(kind, fields)` writes into the journal.

    None for `aside`: in a market whose time waits for us models are asked on the loop itself, once everything else that
    happens at the close has been told, so that what they say meets the same in every run.
    `status` says which models there are, as of now.  `give_up` is told that what was asked aside has not come back in time:
    it finds another place for what is asked from now on, and says what hangs.  `shadows` None: nobody answers in shadow.
    """

    confidences: Confidences
    aside: Callable[[Callable[[], Answers]], Awaitable[Answers]] | None
    settings: ConfidenceSettings
    note: Callable[[str, Mapping[str, object]], None]
    status: Callable[[], tuple[ModelStatus, ...]] = tuple
    give_up: Callable[[], str] | None = None
    shadows: ShadowParts | None = None


@dataclass(slots=True, eq=False)
class Asked:
    """A question on its way: `deliver` is told once its `judgement` is there."""

    question: Question
    deliver: Callable[[], None]
    asked_s: float  # by the loop's clock
    sent: bool = False
    judgement: Judgement | None = None

    @property
    def key(self) -> Key:
        """Whose it is; nobody has two."""
        return self.question.strategy, self.question.symbol


class ConfidenceDesk:
    """One for the whole system; everything but the judging happens on its event loop."""

    def __init__(self, parts: ConfidenceParts, clock: Clock, activity: Activity, report: Report) -> None:
        """Nobody is expected and nothing asked.  `report` hears of models that fail."""
        self._parts = parts
        self._settings = parts.settings
        self._clock = clock
        self._activity = activity
        self._report = report
        self._open: dict[Key, Asked] = {}  # without an answer, in the order of asking
        self._flight: asyncio.Future[Answers] | None = None
        self._patience = Patience()  # with what is out
        self._sending: asyncio.Handle | None = None
        self._at_once = False  # what is to be sent goes with this turn of the loop or the next
        self._overdue: asyncio.Handle | None = None
        self._lengths: dict[Key, int] = {}  # of the candles of those who are expected to speak
        self._spoken: dict[Key, int] = {}  # the last close they spoke at
        self._silent: set[Key] = set()  # who is waited for at the newest close of a question
        self._close_ms = 0
        self.tally = ConfidenceTally()
        shadows = parts.shadows
        self._shadows = None if shadows is None else ShadowDesk(shadows, parts.settings, self.tally, parts.note, report)

    def asked_for(self, strategy: str) -> bool:
        """Whether entries of this strategy are judged at all."""
        return self._parts.confidences.asked_for(strategy)

    @property
    def open(self) -> int:
        """How many questions wait for an answer."""
        return len(self._open)

    # Who speaks

    def expect(self, key: Key, timeframe_ms: int) -> None:
        """It decides at each close of its candles from now on, and is judged, until `forget`."""
        self._lengths[key] = timeframe_ms

    def forget(self, key: Key) -> None:
        """Nobody waits for it any more; what it asked has to be withdrawn apart."""
        self._lengths.pop(key, None)
        self._spoken.pop(key, None)
        self._heard(key)

    def spoke(self, key: Key, close_ms: int) -> None:
        """It is done with a close: it has asked, wants nothing or could not be asked."""
        if key in self._lengths:
            self._spoken[key] = close_ms
        if close_ms >= self._close_ms:
            self._heard(key)

    def _heard(self, key: Key) -> None:
        self._silent.discard(key)
        if not self._silent and self._sending is not None and not self._at_once:
            # Once those who were woken together with the last one have had their turn.
            self._sending.cancel()
            self._sending, self._at_once = asyncio.get_running_loop().call_soon(self._send), True

    def _await_others(self, close_ms: int) -> None:
        if close_ms > self._close_ms:
            self._close_ms = close_ms
            spoken = self._spoken
            self._silent = {
                key for key, length in self._lengths.items() if not close_ms % length and spoken.get(key, 0) < close_ms
            }

    # Questions

    def ask(self, question: Question, deliver: Callable[[], None]) -> Asked:
        """Have a question answered; `deliver` is called, later, when it was.  Who asks speaks afterwards."""
        loop = asyncio.get_running_loop()
        asked = Asked(question, deliver, loop.time())
        assert asked.key not in self._open  # the one before was answered or withdrawn
        self._open[asked.key] = asked
        self._activity.hold()
        self._await_others(question.close_ms)
        if self._flight is None and self._sending is None:
            self._sending = loop.call_later(self._settings.coalesce_s, self._send)
        self._watch()
        return asked

    def withdraw(self, asked: Asked) -> bool:
        """Nobody wants to know any more.  False: it was answered before."""
        if self._open.get(asked.key) is not asked:
            return False
        del self._open[asked.key]
        self._activity.release()
        return True

    def _answer(self, asked: Asked, judgement: Judgement) -> None:
        if self._open.get(asked.key) is not asked:
            return  # too late, or nobody wants to know
        del self._open[asked.key]
        asked.judgement = judgement
        self.tally.answered(judgement, asyncio.get_running_loop().time() - asked.asked_s)
        asked.deliver()
        self._activity.release()  # only now: the inbox of who asked counts the answer from here on

    # Batches

    def _send(self) -> None:
        self._sending, self._at_once = None, False
        aside = self._parts.aside
        if aside is None and not self._activity.lull:
            self._activity.at_lull(self._send)
            return
        batch = tuple(asked for asked in self._open.values() if not asked.sent)
        if not batch:
            return
        for asked in batch:
            asked.sent = True
        questions = tuple(asked.question for asked in batch)
        judging = partial(self._parts.confidences.judge, questions, self._clock.now_ms())
        if aside is None:
            self._judge_here(batch, judging)
            return
        self._flight = flight = asyncio.ensure_future(aside(judging))
        flight.add_done_callback(partial(self._landed, batch))
        if self._parts.give_up is not None and self._settings.deadline_s is not None:
            self._patience.begin(self._settings.hang_s, partial(self._give_up, batch, self._parts.give_up))

    def _judge_here(self, batch: Sequence[Asked], judging: Callable[[], Answers]) -> None:
        try:
            answers = judging()
        except Exception as error:  # noqa: BLE001 - a model's fault, which stops nobody else
            self._fail(batch, error)
        else:
            self._take(batch, answers)

    def _landed(self, batch: Sequence[Asked], flight: "asyncio.Future[Answers]") -> None:
        if flight.cancelled():
            return  # the loop ends
        error = flight.exception()
        if flight is not self._flight:
            return  # it was given up
        self._flight = None
        self._patience.end()
        if error is None:
            self._take(batch, flight.result())
        else:
            self._fail(batch, error)
        self._send()

    def _give_up(self, batch: Sequence[Asked], give_up: Callable[[], str]) -> None:
        """What is out has not come back for so long that it may never."""
        self._flight = None
        refused = Judgement(refused=(FAILED, give_up()))
        for asked in batch:
            self._answer(asked, refused)
        self._send()

    def _take(self, batch: Sequence[Asked], answers: Answers) -> None:
        if len(answers) != len(batch):
            self._fail(batch, ValueError(f"{len(answers)} answers to {len(batch)} questions"))
            return
        self.tally.asked(len(batch))
        if any(self._open.get(asked.key) is asked for asked in batch):  # else it was too late for everybody
            self._report(SOURCE, None)
        judged = [(asked.question, _sound(judgement)) for asked, judgement in zip(batch, answers, strict=True)]
        for asked, (_, judgement) in zip(batch, judged, strict=True):
            self._answer(asked, judgement)
        if self._shadows is not None:
            self._shadows.follow(judged)

    def _fail(self, batch: Sequence[Asked], error: BaseException) -> None:
        self._tell_failure(error)
        self.tally.asked(len(batch))
        refused = Judgement(refused=(FAILED, f"the model failed ({_said(error)}) and is asked again next time"))
        for asked in batch:
            self._answer(asked, refused)

    def _tell_failure(self, error: BaseException) -> None:
        _log.error("model_failed", exc_info=error)
        self._report(
            SOURCE,
            f"the models failed when they were asked ({_said(error)}): what was asked is refused, and so is what they are "
            "asked next as long as that lasts; `livebot models rollback` goes back to the version before",
        )

    # Deadlines

    def _watch(self) -> None:
        if self._overdue is None and self._settings.deadline_s is not None and self._open:
            first = next(iter(self._open.values()))
            due_s = first.asked_s + self._settings.deadline_s
            self._overdue = asyncio.get_running_loop().call_at(due_s, self._ring, self._settings.deadline_s, TURNS)

    def _ring(self, deadline_s: float, turns: int) -> None:
        if turns:  # after a stall uvloop has timers ring before it hands over what other threads have done long since
            self._overdue = asyncio.get_running_loop().call_soon(self._ring, deadline_s, turns - 1)
            return
        self._overdue = None
        latest_s = asyncio.get_running_loop().time() - deadline_s + SLACK_S
        late = tuple(takewhile(lambda asked: asked.asked_s <= latest_s, self._open.values()))
        judgement = Judgement()
        if self._settings.on_deadline is OnDeadline.VETO:
            judgement = Judgement(refused=(LATE, f"the model did not answer within {deadline_s:g} s of the decision"))
        for asked in late:
            self.tally.late += 1
            self._answer(asked, judgement)
        if late:
            self._report(SOURCE, _late_text(late, deadline_s, passed=judgement.refused is None))
        self._watch()


def _sound(judgement: Judgement) -> Judgement:
    """What is no probability must not pass for "no confidence asked for"."""
    confidence = judgement.confidence
    if confidence is None or 0 <= confidence <= 1:
        return judgement
    told = FAILED, f"the model answered {confidence}, which is no probability"
    return Judgement(model=judgement.model, refused=judgement.refused or told)


def _late_text(late: Sequence[Asked], deadline_s: float, *, passed: bool) -> str:
    names = [f"{asked.question.strategy} at {asked.question.symbol}" for asked in late[:NAMED]]
    more = f" and {len(late) - NAMED} more" if len(late) > NAMED else ""
    return (
        f"models did not answer within {deadline_s:g} s of the decision (model.serving.deadline_ms): {', '.join(names)}{more} "
        f"{'passed without a confidence' if passed else 'opened nothing'}; raise deadline_ms if the machine is this slow, "
        "or take a model that is quicker"
    )


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
