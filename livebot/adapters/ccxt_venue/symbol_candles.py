"""One symbol's candles between the venue and its listener: in order, each once, and what is known to be missing.

Rules of this file: nothing here waits or asks; a forming candle never goes out; a candle that is ahead is held until the
ones before it have come, from the stream or by REST, or until the feed lets it go (then its worker sees the gap).
"""

from collections import deque
from collections.abc import Callable

from livebot.adapters.ccxt_venue.candle_history import Recent
from livebot.core.market import MINUTE_MS, Candle

HELD = 64  # candles that wait for an earlier one; more go out with the gap


class SymbolCandles:
    """One symbol.

    `heard_s`, `asked_s` and `sure_s` are loop times: of the stream's last message, of REST's last answer, and when it was
    last certain that every closed candle had gone out.
    """

    def __init__(self, symbol: str, deliver: Callable[[Candle], None], remembered: int, now_s: float) -> None:
        """Nothing has come; `remembered` candles are kept for comparing."""
        self.symbol = symbol
        self.heard_s = self.asked_s = self.sure_s = now_s
        self.next_ms: int | None = None  # the opening time of the candle that goes out next
        self.behind_s: float | None = None  # since when a candle is known to be missing
        self.late = self.repeated = self.revised = self.refetched = 0
        self.sent: deque[Candle] = deque(maxlen=remembered)
        self._deliver = deliver
        self._told: Candle | None = None  # the newest that the stream has told or REST has said, forming or closed
        self._held: dict[int, Candle] = {}

    # The stream

    def hear(self, candle: Candle, closed: bool, now_s: float) -> None:  # noqa: FBT001 - as the stream says it
        """Take a candle of the stream."""
        self.heard_s = now_s
        if self._told is None or candle.ts_ms >= self._told.ts_ms:
            self._told = candle
        if closed:
            self._take(candle)
        elif self.next_ms is None:
            self.next_ms = candle.ts_ms
        self._judge(now_s)

    def _take(self, candle: Candle) -> None:
        if self.next_ms is None or candle.ts_ms == self.next_ms:
            self._send(candle)
            self._send_held()
        elif candle.ts_ms > self.next_ms:
            self._held[candle.ts_ms] = candle
            if len(self._held) > HELD:
                self._send_all_held()
        else:
            self._compare(candle)

    def _compare(self, candle: Candle) -> None:
        """A closed candle of a minute that is settled."""
        sent = next((sent for sent in self.sent if sent.ts_ms == candle.ts_ms), None)
        if sent is None:
            self.late += 1
        elif sent == candle:
            self.repeated += 1
        else:
            self.revised += 1  # REST says which is right, at the next audit

    def differing_from(self, recent: Recent) -> list[tuple[Candle, Candle]]:
        """What went out, with what REST says it is, where that differs; oldest first."""
        said = {candle.ts_ms: candle for candle in recent.closed}
        return [(sent, said[sent.ts_ms]) for sent in self.sent if said.get(sent.ts_ms, sent) != sent]

    def correct(self, recent: Recent) -> None:
        """From now on what REST says counts as what went out: its history has been loaded anew."""
        said = {candle.ts_ms: candle for candle in recent.closed}
        for index, sent in enumerate(self.sent):
            self.sent[index] = said.get(sent.ts_ms, sent)

    # REST

    def learn(self, recent: Recent, now_s: float) -> bool:
        """Take what REST says; whether it knows of trades that the stream has not told."""
        self.asked_s = now_s
        news, told = self._is_news(recent), self._told
        if told is not None and any(row.ts_ms == told.ts_ms and row.volume < told.volume for row in recent.rows):
            # An older state than we know (a copy of the venue's that lags): from there on it says nothing.
            recent = Recent(recent.rows, min(recent.settled_ms, told.ts_ms))
        elif told is None or recent.rows[-1].ts_ms >= told.ts_ms:
            self._told = recent.rows[-1]  # only what comes after this is news next time
        if self.next_ms is None:
            self.next_ms = recent.settled_ms  # a worker begins with a history, which has what came before
        for candle in recent.closed:
            if candle.ts_ms >= self.next_ms:
                held = self._held.pop(candle.ts_ms, None)
                self.refetched += held is None
                self._send(held or candle)
        self.next_ms = max(self.next_ms, recent.settled_ms)
        self._held = {ts_ms: candle for ts_ms, candle in self._held.items() if ts_ms >= self.next_ms}
        self._send_held()
        self._judge(now_s)
        return news

    def _is_news(self, recent: Recent) -> bool:
        told = self._told
        if told is None:
            return False
        return any(
            candle.volume > (told.volume if candle.ts_ms == told.ts_ms else 0.0)
            for candle in recent.rows
            if candle.ts_ms >= told.ts_ms
        )

    # What is missing

    @property
    def missing(self) -> int:
        """For how many minutes back REST has to be asked to see all that is missing."""
        if self.next_ms is None:
            return 1
        newest_ms = max([self.next_ms, *self._held, *([self._told.ts_ms] if self._told else [])])
        return (newest_ms - self.next_ms) // MINUTE_MS + 1

    def let_go(self, now_s: float) -> bool:
        """Send what is held, with the gaps before it; False if nothing is."""
        found = bool(self._held)
        self._send_all_held()
        self._judge(now_s)
        return found

    def _send_all_held(self) -> None:
        for ts_ms in sorted(self._held):
            self._send(self._held[ts_ms])
        self._held.clear()

    def _judge(self, now_s: float) -> None:
        told_ms = self._told.ts_ms if self._told is not None else 0
        behind = bool(self._held) or (self.next_ms is not None and told_ms > self.next_ms)
        if not behind:
            self.behind_s, self.sure_s = None, now_s
        elif self.behind_s is None:
            self.behind_s = now_s

    def _send(self, candle: Candle) -> None:
        self.next_ms = candle.ts_ms + MINUTE_MS
        self.sent.append(candle)
        self._deliver(candle)

    def _send_held(self) -> None:
        while self._held and self.next_ms in self._held:
            self._send(self._held.pop(self.next_ms))
