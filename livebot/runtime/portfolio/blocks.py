"""What stops new entries on a symbol whatever the numbers say, and what stops them everywhere.

Rules of this file: a block stops entries only, never an exit; each has its own way back, and lifting one leaves the
others; what must outlive a restart is in `portfolio.json`, the rest (foreign orders, a closed gate) is found anew.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from livebot.core.denial import DenialCode
from livebot.core.facts import Fact, SignalClosed
from livebot.core.limits import RepeatedExecutions
from livebot.core.order import ZERO
from livebot.core.performance import Standing, WinRate, after_close, as_of, switched_on
from livebot.ports import Dismissed, PortfolioMemory
from livebot.runtime.portfolio.repeats import Repeats
from livebot.runtime.problems import Report

_NEW = Standing()
# Begins the source of the problem of a symbol that entered too often
REPEATED = "repeated_executions:"
# Stands for all symbols where memory keeps a time for each
WHOLE = "*"


def _nobody(_source: str, _sentence: str | None) -> None:
    """Hears it."""


class Blocks:
    """Pauses, quarantines, switch-offs, foreign things, a venue out of order, a closed gate, and faults."""

    def __init__(
        self, rule: WinRate | None, repeats: RepeatedExecutions | None = None, report: Report = _nobody
    ) -> None:
        """`rule` None: no symbol is switched off by its win rate; `repeats` None: none is paused by how often it enters.

        `report` hears of a symbol that was paused by that, until it is resumed.
        """
        self._rule = rule
        self._repeats = Repeats(repeats)
        self._report = report
        self._paused: set[str] = set()
        self._quarantined: dict[str, str] = {}
        self._foreign: dict[str, str] = {}
        self._dismissed: dict[str, Dismissed] = {}
        self._venue: dict[str, str | None] = {}  # by source: the symbol, None for all
        self._standings: dict[str, Standing] = {}
        self._off: set[str] = set()  # the symbols whose standing is off, so that time needs to look at these only
        self._outside: set[str] = set()
        self._flattening: set[str] = set()
        self._faults: dict[str, str] = {}
        self._gate_closed = False

    def of(self, symbol: str) -> tuple[DenialCode, ...]:
        """Why nothing new opens on the symbol; empty if nothing stops it."""
        found = []
        if self._faults:
            found.append(DenialCode.CHECK_FAILED)
        if self._gate_closed:
            found.append(DenialCode.STOPPING)
        if self._venue and not {None, symbol}.isdisjoint(self._venue.values()):
            found.append(DenialCode.VENUE)
        there = (
            (DenialCode.FLATTENING, self._flattening),
            (DenialCode.QUARANTINED, self._quarantined),
            (DenialCode.FOREIGN, self._foreign),
            (DenialCode.REPEATED_EXECUTIONS, self._repeats.paused),
            (DenialCode.PAUSED, self._paused),
            (DenialCode.SWITCHED_OFF, self._off),
            (DenialCode.UNIVERSE, self._outside),
        )
        found += [code for code, symbols in there if symbol in symbols]
        return tuple(found)

    # Everywhere

    def close_gate(self) -> None:
        """Nothing opens any more in the life of this process."""
        self._gate_closed = True

    def fault(self, source: str, sentence: str | None) -> None:
        """Nothing opens while `source` is at fault; None says that it has passed."""
        if sentence is None:
            self._faults.pop(source, None)
        else:
            self._faults[source] = sentence

    def venue(self, source: str, symbol: str | None, *, stands: bool) -> None:
        """Nothing opens at `symbol` (None: anywhere) while what `source` said of the venue stands."""
        if stands:
            self._venue[source] = symbol
        else:
            self._venue.pop(source, None)

    @property
    def first_fault(self) -> str | None:
        """One sentence of what is at fault, if anything is."""
        return next(iter(self._faults.values()), None)

    # One symbol

    def outside(self, symbol: str, *, stands: bool) -> None:
        """It is (not) a member of the universe any more; the universe remembers that by itself."""
        if stands:
            self._outside.add(symbol)
        else:
            self._outside.discard(symbol)

    def flattening(self, symbol: str, *, stands: bool) -> None:
        """It is being closed (or no longer): what opened meanwhile would be closed too."""
        if stands:
            self._flattening.add(symbol)
        else:
            self._flattening.discard(symbol)

    def pause(self, symbol: str) -> None:
        """By order of the operator."""
        self._paused.add(symbol)

    def resume(self, symbol: str, now_ms: int) -> bool:
        """Lift a pause or a win-rate switch-off, whose count then begins anew; says whether there was one."""
        lifted = symbol in self._paused or symbol in self._off
        self._paused.discard(symbol)
        if self._repeats.resumed(symbol, now_ms):
            self._report(f"{REPEATED}{symbol}", None)
        if symbol in self._off:
            self._stand(symbol, switched_on(now_ms))
        return lifted

    def quarantine(self, symbol: str, why: str) -> None:
        """It failed too often, or its file is damaged."""
        self._quarantined[symbol] = why

    def lift_quarantine(self, symbol: str) -> None:
        """The operator restarted it."""
        self._quarantined.pop(symbol, None)

    def foreign(self, symbol: str, sentence: str | None) -> None:
        """The venue holds something on the symbol that is not ours; None (or no text): no longer."""
        if sentence:
            self._foreign[symbol] = sentence
        else:
            self._foreign.pop(symbol, None)

    def dismiss(self, dismissed: Dismissed) -> None:
        """What is not ours may stay there as it is; replaces what was said of the symbol before, nothing ends it."""
        if dismissed.quantity or dismissed.orders:
            self._dismissed[dismissed.symbol] = dismissed
        else:
            self._dismissed.pop(dismissed.symbol, None)

    def dismissal(self, symbol: str) -> Dismissed:
        """What may stay there; nothing, if nothing was dismissed."""
        return self._dismissed.get(symbol) or Dismissed(symbol=symbol, quantity=ZERO, orders=())

    def dismissed_quantity(self, symbol: str) -> Decimal:
        """The part of the venue's position that is not ours and may stay there, positive long."""
        dismissed = self._dismissed.get(symbol)
        return ZERO if dismissed is None else dismissed.quantity

    @property
    def quarantined(self) -> dict[str, str]:
        """Symbols in quarantine and why."""
        return dict(self._quarantined)

    @property
    def paused(self) -> tuple[str, ...]:
        """Symbols that an operator paused, or that entered too often, sorted."""
        return tuple(sorted(self._paused))

    # Entries

    def entered(self, fact: Fact) -> bool:
        """Count an entry that was approved and saved; says whether it paused its symbol."""
        if not self._repeats.entered(fact):
            return False
        self._paused.add(fact.symbol)
        self._report(f"{REPEATED}{fact.symbol}", self._repeats.paused[fact.symbol])
        return True

    def most_entries(self, now_ms: int) -> int:
        """Within the window of repeated executions, of the (strategy, symbol) that entered most often."""
        return self._repeats.most(now_ms)

    # Win rate

    def closed(self, fact: SignalClosed) -> bool:
        """Count a closed signal; says whether it switched its symbol off."""
        if self._rule is None:
            return False
        was_off = fact.symbol in self._off
        self._stand(fact.symbol, after_close(self.standing(fact.symbol), self._rule, fact))
        return fact.symbol in self._off and not was_off

    def pass_time(self, now_ms: int) -> tuple[str, ...]:
        """Switch on again whose time has come by the rule; says which."""
        self._repeats.pass_time(now_ms)
        if self._rule is None or not self._off:
            return ()
        before = sorted(self._off)
        for symbol in before:
            self._stand(symbol, as_of(self._standings[symbol], self._rule, now_ms))
        return tuple(symbol for symbol in before if symbol not in self._off)

    def standing(self, symbol: str) -> Standing:
        """Trades and wins since the symbol was last switched on."""
        return self._standings.get(symbol, _NEW)

    def replace_rules(self, rule: WinRate | None, repeats: RepeatedExecutions | None) -> None:
        """Other rules from now on.  Counts go on under another win rate; with none, nothing is switched off or counted."""
        self._rule = rule
        self._repeats.replace_rule(repeats)
        if rule is None:
            self._standings.clear()
            self._off.clear()

    # Memory

    @property
    def repeated(self) -> tuple[tuple[str, str], ...]:
        """(symbol, why) of those that were paused because they entered too often, sorted."""
        return tuple(sorted(self._repeats.paused.items()))

    @property
    def resumed(self) -> tuple[tuple[str, int], ...]:
        """(symbol, since_ms) of those that were resumed after that, sorted: older entries no longer count."""
        return self._repeats.memory()

    def switched_off(self) -> tuple[tuple[str, int], ...]:
        """(symbol, since_ms), sorted."""
        standings = sorted(self._standings.items())
        return tuple((symbol, each.off_since_ms) for symbol, each in standings if each.off_since_ms is not None)

    def dismissed(self) -> tuple[Dismissed, ...]:
        """What may stay there though it is not ours, by symbol."""
        return tuple(dismissed for _, dismissed in sorted(self._dismissed.items()))

    def switched_on(self) -> tuple[tuple[str, int], ...]:
        """(symbol, since_ms) of those that were once off, sorted; older closed signals no longer count."""
        return tuple((symbol, each.on_since_ms) for symbol, each in sorted(self._standings.items()) if each.on_since_ms)

    def restore(self, memory: PortfolioMemory, closes: Iterable[SignalClosed], entries: Iterable[Fact] = ()) -> None:
        """Begin from what was remembered, and count what the ledger holds (in order of time) again.

        A symbol that was off stays off even if the ledger no longer says why.
        """
        self._paused = set(memory.paused)
        self._repeats.restore(memory.repeated, memory.resumed)
        for symbol, sentence in memory.repeated:
            self._report(f"{REPEATED}{symbol}", sentence)
        for fact in entries:  # the last of them may be one that was saved and that nobody heard of
            self.entered(fact)
        self._quarantined = dict(memory.quarantined)
        self._dismissed = {each.symbol: each for each in memory.dismissed}
        if self._rule is None:
            return
        for symbol, since_ms in memory.switched_on:
            if symbol != WHOLE:
                self._stand(symbol, switched_on(since_ms))
        for fact in closes:
            self.closed(fact)
        for symbol, since_ms in memory.switched_off:
            standing = self.standing(symbol)
            if standing.off_since_ms is None and standing.on_since_ms <= since_ms:
                self._stand(symbol, replace(standing, off_since_ms=since_ms))

    def _stand(self, symbol: str, standing: Standing) -> None:
        self._standings[symbol] = standing
        if standing.off_since_ms is None:
            self._off.discard(symbol)
        else:
            self._off.add(symbol)
