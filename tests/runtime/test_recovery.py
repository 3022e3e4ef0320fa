"""What the files, the ledger and the venue say, brought together before anything is decided."""

import asyncio
from dataclasses import replace

import pytest

from livebot.core.facts import SignalClosed
from livebot.core.inputs import SymbolState
from livebot.core.order import Leg
from livebot.core.signal import Idle, Open
from livebot.errors import BadInput, Fatal, Transient
from livebot.ports import DamagedFile, LoadedStates
from livebot.runtime.settings import LedgerSettings, RuntimeSettings
from livebot.runtime.venue.execution import Execution
from livebot.runtime.venue.recovery import Recovered, Recovery, moved_on
from livebot.runtime.venue.start_waits import StartWaits
from livebot.simulator.faults import FaultKind
from tests.runtime.harness import BRIEF, BTC, ETH, SYSTEM, World, always, never, once, run
from tests.runtime.samples import Teller


def holder(**changes):
    return once(1, stop=0.2, target=0.2, **changes)


HASTY = RuntimeSettings(ledger=LedgerSettings(backoff_s=0.1, backoff_maximum_s=1.0, start_s=10.0), start_disk_s=5.0)


async def recovered(world: World, *keys: tuple[str, str], process=None, **changes) -> Recovered:
    """What recovery finds in the world; `changes` replace its parts."""
    process = process or world.process()
    exchange = process.exchange
    parts = {
        "store": world.store,
        "exchange": exchange,
        "execution": Execution(exchange, process.clock, BRIEF, lambda _: True),
        "clock": process.clock,
        "waits": StartWaits(HASTY, world.ledger, world.ledger),
        **changes,
    }
    return await Recovery(SYSTEM, **parts).run(frozenset(keys))


def test_in_an_empty_world_everything_configured_begins_fresh():
    """Idle, with no number used."""

    async def main() -> None:
        found = await recovered(World(strategies={}), ("trend", BTC))
        assert found.states == {("trend", BTC): SymbolState(system=SYSTEM, strategy="trend", symbol=BTC, signal=Idle())}
        assert (found.busy, found.closes, found.problems, found.quarantined) == (frozenset(), [], {}, {})
        assert set(found.instruments) == {BTC}
        assert found.exposures["trend", BTC].side is None

    run(main())


def test_without_a_file_numbers_go_on_above_the_ledgers():
    """The folder signals/ was emptied by hand."""

    async def main() -> None:
        world = World(strategies={"eager": lambda: always(stop=0.001, target=0.001)})
        await world.live(8)
        last = world.ledger.of("eager", BTC)[-1]
        world.store.files.clear()
        state = (await recovered(world, ("eager", BTC))).states["eager", BTC]
        assert state.sequence == last.sequence
        assert state.number == int(last.signal_id.rpartition("#")[2])
        assert isinstance(state.signal, Idle)

    run(main())


def test_what_the_outboxes_hold_reaches_the_ledger_before_the_past_is_counted():
    """Also a close that nobody has been told of; who has been told of what is remembered from before."""

    async def main() -> None:
        world = World(strategies={"eager": lambda: always(stop=0.0005, target=0.0005)})
        world.ledger.fails = True
        process = await world.process().until_ready()
        while not any(
            isinstance(fact, SignalClosed)
            for fact in world.store.files.get(("eager", BTC), moved_on(_idle(), 0)).outbox
        ):
            await asyncio.sleep(0)
        await process.kill()
        world.ledger.fails = False
        assert world.ledger.facts == {}
        found = await recovered(world, ("eager", BTC))
        outbox = world.state("eager").outbox
        assert [fact.sequence for fact in world.ledger.of("eager", BTC)] == [fact.sequence for fact in outbox]
        assert len(found.closes) == 1
        assert found.told == {}
        assert (await recovered(world, ("eager", BTC))).told == {("eager", BTC): len(outbox)}

    run(main())


def _idle() -> SymbolState:
    return SymbolState(system=SYSTEM, strategy="eager", symbol=BTC, signal=Idle())


def test_a_ledger_and_a_venue_that_fail_for_a_while_are_waited_for():
    """Start-up takes as long as it takes."""

    async def main() -> None:
        world = World(strategies={"holder": holder})
        await world.live(3)
        failures = iter([Transient("the database is locked")] * 3)
        numbers = world.ledger.last_numbers

        async def unwilling():
            for failure in failures:
                raise failure
            return await numbers()

        world.ledger.last_numbers = unwilling  # type: ignore[method-assign]
        process = world.process()
        process.faults.arm(FaultKind.FAIL_FETCH, times=4)
        found = await recovered(world, ("holder", BTC), process=process)
        assert found.busy == {BTC}
        assert found.snapshot.quantity(BTC) == world.held()

    run(main())


def test_a_ledger_that_does_not_come_back_ends_the_start_in_time_with_what_is_open_and_the_mend():
    """The stop of what is open stays at the venue; whoever restarts us tries again."""

    async def main() -> None:
        world = World(strategies={"holder": holder})
        await world.live(3)

        async def unwilling():
            message = "/srv/livebot/state/ledger.sqlite: the database is locked"
            raise Transient(message)

        world.ledger.closes = unwilling  # type: ignore[method-assign]
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(Fatal) as caught:
            await recovered(world, ("holder", BTC))
        assert 8 < asyncio.get_running_loop().time() - began_s <= 10
        for words in (
            "/srv/livebot/state/ledger.sqlite",
            "10 s",
            f"{BTC} open there keep their stops",
            "ledger.start_seconds",
        ):
            assert words in str(caught.value)
        assert world.orders(leg=Leg.STOP)

    run(main())


def test_a_ledger_that_never_answers_is_a_ledger_that_failed():
    async def main() -> None:
        async def silent() -> None:
            await asyncio.sleep(10_000)

        world = World(strategies={})
        world.ledger.last_numbers = silent  # type: ignore[method-assign]
        with pytest.raises(Fatal, match="has not answered within 60 s; after 10 s the start is given up; see to"):
            await recovered(world, ("trend", BTC))

    run(main())


def test_a_full_disk_has_a_while_to_become_less_full_and_then_ends_the_start():
    """A state has to be written: its file was damaged."""

    async def main(room_after: int) -> SymbolState:
        world = World(strategies={"eager": lambda: always(stop=0.001, target=0.001)})
        await world.live(10)
        world.store.files["eager", BTC] = replace(world.state("eager"), sequence=1, number=1, outbox=())
        save, attempts = world.store.save, iter(range(1_000))

        async def full(state: SymbolState) -> None:
            if next(attempts) < room_after:
                message = "cannot write /srv/livebot/signals: no space left (ENOSPC). Mend: make room"
                raise Fatal(message)
            await save(state)

        world.store.save = full  # type: ignore[method-assign]
        return (await recovered(world, ("eager", BTC))).states["eager", BTC]

    assert run(main(3)).sequence > 1
    with pytest.raises(
        Fatal, match=r"cannot write /srv/livebot/signals.*; after 5 s the start is given up.*start_disk_seconds"
    ):
        run(main(900))


def test_a_file_older_than_the_ledger_is_lifted_and_its_symbol_quarantined():
    """Durably: what is read again later must not use old numbers either."""

    async def main() -> None:
        world = World(strategies={"eager": lambda: always(stop=0.001, target=0.001)})
        await world.live(10)
        state = world.state("eager")
        world.store.files["eager", BTC] = replace(state, sequence=1, number=1, signal=Idle(), orders=(), outbox=())
        found = await recovered(world, ("eager", BTC))
        sequence = world.ledger.of("eager", BTC)[-1].sequence
        assert found.states["eager", BTC].sequence == sequence
        assert world.state("eager").sequence == sequence
        assert f"(fact 1, the ledger has {sequence})" in found.quarantined[BTC]

    run(main())


def test_a_damaged_file_is_replaced_by_what_the_venue_shows():
    """Saved before anything goes on; the sentence names both files and the mend."""

    async def main() -> None:
        world = World(strategies={"holder": holder}, symbols=(BTC, ETH))
        await world.live(3)
        world.store.damage("holder", BTC)
        found = await recovered(world, ("holder", BTC), ("holder", ETH))
        assert isinstance(found.states["holder", BTC].signal, Open)
        assert world.state("holder", BTC) == found.states["holder", BTC]
        assert set(found.quarantined) == {BTC}
        sentence = found.quarantined[BTC]
        assert "signals/holder/BTC-USDT_USDT.json was damaged (checksum)" in sentence
        assert "an open position, now guarded" in sentence
        assert f"livebot restart {BTC}" in sentence

    run(main())


def test_an_order_of_ours_that_the_rebuilt_state_has_no_use_for_is_taken_back():
    """An entry would fill with nobody watching; if it cannot be taken back, that is said."""

    async def main() -> None:
        for answers in (0, 9):
            world = World(strategies={"resting": lambda: once(1, limit=0.05, stop=0.2, target=0.2)})
            await world.live(3)
            (entry,) = world.orders(leg=Leg.ENTRY)
            world.store.damage("resting", BTC)
            process = world.process()
            process.faults.arm(FaultKind.LOSE_REQUEST, times=max(answers, 1), leg=None if answers else Leg.STOP)
            found = await recovered(world, ("resting", BTC), process=process)
            assert isinstance(found.states["resting", BTC].signal, Idle)
            assert (f"order {entry.client_order_id} could not be taken back" in found.quarantined[BTC]) is bool(answers)
            assert (world.orders() == []) is not bool(answers)

    run(main())


def test_a_damaged_file_whose_name_tells_nothing_is_left_to_the_store():
    """There is no symbol to quarantine."""

    async def main() -> None:
        world = World(strategies={"never": never})

        async def load():
            return LoadedStates((), (DamagedFile("signals/x/??", "signals/x/??.damaged-1", None, None, "name"),))

        world.store.load = load  # type: ignore[method-assign]
        found = await recovered(world, ("never", BTC))
        assert found.quarantined == {}
        assert list(found.states) == [("never", BTC)]

    run(main())


def lacking(process, *symbols):
    """An exchange that lacks these symbols."""
    instruments = process.exchange.instruments

    async def some(wanted):
        gone = sorted(set(symbols) & set(wanted))
        if gone:
            raise BadInput(f"the venue has no symbol {', '.join(gone)}")
        return await instruments(wanted)

    process.exchange.instruments = some
    return process


def test_a_symbol_that_the_venue_lacks_is_left_out():
    """Said in a sentence, and whether something is open there."""

    async def main() -> None:
        world = World(strategies={"holder": holder}, symbols=(BTC, ETH))
        await world.live(3)
        keys = (("holder", BTC), ("holder", ETH), ("holder", "XXX/USDT:USDT"))
        found = await recovered(world, *keys, process=lacking(world.process(), ETH, "XXX/USDT:USDT"))
        assert set(found.instruments) == {BTC}
        assert found.problems[f"instrument:{ETH}"].endswith("its state file has a signal, which nobody looks after")
        assert "XXX/USDT:USDT is left out: the venue has no symbol" in found.problems["instrument:XXX/USDT:USDT"]
        world.store.damage("holder", ETH)
        found = await recovered(world, *keys, process=lacking(world.process(), ETH, "XXX/USDT:USDT"))
        assert isinstance(found.states["holder", ETH].signal, Idle)

    run(main())


def test_a_venue_that_lacks_every_symbol_ends_the_start():
    """With the mend."""

    async def main() -> None:
        world = World(strategies={"never": never})
        with pytest.raises(Fatal, match="correct `symbols` in the config"):
            await recovered(world, ("never", BTC), process=lacking(world.process(), BTC))

    run(main())


def test_signals_that_the_config_no_longer_names_are_told():
    """Those that are Idle are nobody's concern."""

    async def main() -> None:
        world = World(strategies={"holder": holder, "never": never}, symbols=(BTC, ETH))
        await world.live(3)
        world.store.files["quiet", BTC] = SymbolState(system=SYSTEM, strategy="quiet", symbol=BTC, signal=Idle())
        found = await recovered(world, ("holder", BTC))
        assert set(found.problems) == {f"unattended:holder/{ETH}"}
        assert "(Open) but the config no longer runs it there" in found.problems[f"unattended:holder/{ETH}"]
        assert found.busy == {BTC, ETH}
        assert found.exposures["holder", ETH].quantity == world.held(ETH)

    run(main())


def test_an_outbox_forgets_what_the_ledger_has():
    """And nothing else."""
    teller = Teller()
    facts = (teller.opening(), teller.opened(), teller.closed())
    state = replace(_idle(), sequence=3, outbox=facts)
    assert moved_on(state, 0) is state
    assert moved_on(state, 2).outbox == facts[2:]
    assert moved_on(moved_on(state, 99), 99).outbox == ()
