"""What a seed means: who trades what under which limits, what breaks, and when somebody steps in.

Rules of this file: everything is drawn from generators that are named by the seed, so that a change of one part leaves
what the others draw as it was.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from typing import Any

from livebot.core.limits import Limits
from livebot.core.performance import WinRate
from livebot.core.rules import LimitEntries
from livebot.runtime.settings import LedgerSettings, LossAction, LossLimit, RoundSettings
from tests.simulation.market import SYMBOLS
from tests.simulation.network import FAIR, Weather
from tests.simulation.reloads import ReloadAt, draw, first_of
from tests.simulation.strategies import FOLLOWED, KINDS, by_chance

MINUTE_S = 60.0
MINUTES = 120
WALLET = Decimal(10_000)
NOTIONAL = Decimal(1_000)


@dataclass(frozen=True, kw_only=True)
class CrashPlan:
    """Armed at `at_s`; then after so many steps of the loop, or operations of the disk, the process is dead.

    `power`: and what was not synced is lost.  `down_s` is how long nobody runs; `again` is after how many steps of the
    next process it crashes again.
    """

    at_s: float
    steps: int | None
    operations: int | None
    power: bool
    down_s: float
    again: int | None


@dataclass(frozen=True, kw_only=True)
class Command:
    """Somebody steps in."""

    at_s: float
    name: str  # pause | resume | flatten | kill | halt | unhalt | restart | deploy | hurry
    symbol: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run."""

    seed: int
    minutes: int = MINUTES
    shuffled: bool = True
    strategies: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by symbol
    limits: Limits = field(default_factory=Limits)
    loss_limit: LossLimit | None = None
    weather: Weather = field(default_factory=Weather)
    partial_fills: float = 0.3
    naked_s: float = 90.0  # how long a position may be without a whole stop, faults of venue and network included
    jitter: float = 1.0  # how unequal the times are that messages and files take
    crashes: tuple[CrashPlan, ...] = ()
    commands: tuple[Command, ...] = ()
    disk_full: tuple[tuple[float, float], ...] = ()  # from, until
    dropped: dict[int, str] = field(default_factory=dict)  # by number of the process: a symbol its config leaves out
    rules: dict[str, Any] = field(default_factory=dict)  # fields of Rules that are not as usual
    settings: dict[str, Any] = field(default_factory=dict)  # fields of RuntimeSettings likewise
    slow_fills: bool = False  # also what trades at any price may take minutes
    oco: bool = True  # the venue ties stop and target together
    ledger_fails: float = 0.0  # share of its transactions
    ledger_away: tuple[float, float] = (0.0, 0.0)  # from, until: all of them
    win_rate: WinRate | None = None
    can_short: bool = True  # else a coin can be sold only as far as it is held
    skew_ms: int = 0  # how far the daemon's clock is ahead of the venue's
    raises: int = 40  # on one candle in so many a brittle strategy fails
    round: RoundSettings | None = None  # what is wanted at one close is ranked
    causes: tuple[tuple[float, float], ...] = ()  # from, until: something reduces trading
    reloads: tuple[ReloadAt, ...] = ()  # the config changes, and is reloaded
    positions_lag_s: float = 0.0  # so far the venue's list of positions may be behind


def plan_of(seed: int) -> Plan:
    """The plan of a seed."""
    random = Random(f"plan {seed}")
    rules, commands = _rules(Random(f"rules {seed}")), _commands(Random(f"commands {seed}"))
    if rules.get("resting_target", True) and Random(f"replaces {seed}").random() < 0.4:
        rules["replaces_stops"] = True
    plan = Plan(
        seed=seed,
        shuffled=random.random() < 0.7,
        strategies=_strategies(random),
        limits=_limits(random),
        loss_limit=_loss_limit(random),
        weather=_weather(random),
        partial_fills=random.choice((0.0, 0.3, 0.6)),
        crashes=_crashes(Random(f"crashes {seed}"), commands),
        commands=tuple(sorted((*commands, *_kill(Random(f"kill {seed}"))), key=lambda command: command.at_s)),
        disk_full=_disk_full(Random(f"disk {seed}")),
        ledger_fails=random.choice((0.0, 0.0, 0.1)),
        ledger_away=_ledger_away(Random(f"ledger {seed}")),
        win_rate=WinRate(minimum_trades=3, off_ms=600_000) if random.random() < 0.2 else None,
        can_short=Random(f"short {seed}").random() < 0.8,
        skew_ms=Random(f"skew {seed}").choice((0, 0, 0, -2_500, 900, 4_000)),
        dropped=_dropped(Random(f"dropped {seed}")),
        rules=rules,
        settings=_settings(Random(f"settings {seed}")),
        round=_round(Random(f"round {seed}")),
        causes=_causes(Random(f"causes {seed}")),
        oco=random.random() < 0.7,
        # nothing stands beside an exit there: one that takes minutes would leave what is added meanwhile without a stop
        slow_fills=random.random() < 0.15 and rules.get("resting_target", True) and not _shared(seed),
    )
    reloads = draw(Random(f"reloads {seed}"), first_of(plan), _limits, same_strategies=plan.slow_fills)
    lag_s = Random(f"positions lag {seed}").choice((0.0, 0.5, 2.0, 6.0))
    return replace(plan, reloads=reloads, dropped={} if reloads else plan.dropped, positions_lag_s=lag_s)


def _shared(seed: int) -> bool:
    """Whether strategies share a symbol: there, too, nothing stands beside an exit."""
    random = Random(f"plan {seed}")
    random.random()
    return any(len(names) > 1 for names in _strategies(random).values())


def _strategies(random: Random) -> dict[str, tuple[str, ...]]:
    """One or two on each symbol; nobody follows itself."""
    names = sorted(KINDS)
    followed = sorted(KINDS.keys() - {"follower"})
    return {
        symbol: tuple(random.sample(followed if symbol == FOLLOWED else names, random.choice((1, 1, 2))))
        for symbol in SYMBOLS
    }


def _rules(random: Random) -> dict[str, Any]:
    """What a venue cannot do, and what an operator may have configured."""
    rules: dict[str, Any] = {}
    if random.random() < 0.25:
        rules["limit_entries"] = LimitEntries(
            offset=Decimal("0.0005"),
            timeout_ms=random.choice((60_000, 90_000)),
            reprices=random.choice((0, 1, 3)),
            chase=Decimal("0.004"),
        )
    if random.random() < 0.25:
        rules["post_only"] = True
    if random.random() < 0.25:
        rules["amend_interval_ms"] = random.choice((5_000, 90_000))
    if random.random() < 0.2:
        rules["attached_stop"] = True
    if random.random() < 0.2:
        rules["resting_target"] = False
    return rules


def _dropped(random: Random) -> dict[int, str]:
    """For one process, or from one on for several."""
    if random.random() < 0.8:
        return {}
    first = random.randrange(2, 4)
    return dict.fromkeys(range(first, first + random.choice((1, 1, 3))), random.choice(SYMBOLS))


def _settings(random: Random) -> dict[str, Any]:
    """Queues that are too short, and fewer symbols at once than there are."""
    settings: dict[str, Any] = {}
    if random.random() < 0.15:
        settings["queue_size"] = random.choice((1, 2, 5))
    if random.random() < 0.15:
        settings["ledger"] = LedgerSettings(queue_size=random.choice((2, 5, 20)), batch_size=2)
    if random.random() < 0.1:
        settings["max_concurrent_symbols"] = 2
    return settings


def _limits(random: Random) -> Limits:
    return Limits(
        open_signals=random.choice((None, 2, 3)),
        open_signals_per_strategy=random.choice((None, 1, 2)),
        gross_exposure=random.choice((None, Decimal("0.25"), Decimal("0.4"))),
        symbol_exposure=random.choice((None, Decimal("0.15"), Decimal("0.22"))),
        orders_per_minute=random.choice((None, 3, 6)),
        daily_loss=random.choice((None, None, Decimal("0.01"))),
        drawdown=random.choice((None, None, Decimal("0.02"))),
    )


def _loss_limit(random: Random) -> LossLimit | None:
    if random.random() < 0.9:
        return None
    return LossLimit(ratio=Decimal("0.012"), action=random.choice((LossAction.FLATTEN, LossAction.STOP_OPENING)))


def _weather(random: Random) -> Weather:
    """Fair, as usual, or bad."""
    scale = random.choice((0.3, 1.0, 3.0, 8.0))
    usual = Weather()
    return Weather(**{name: getattr(usual, name) * scale for name in Weather.__dataclass_fields__})


def _crashes(random: Random, commands: tuple[Command, ...]) -> tuple[CrashPlan, ...]:
    """Mostly just after a candle, sometimes just after somebody stepped in."""
    crashes = []
    for _ in range(random.choice((1, 1, 2, 2, 3))):
        minute = random.randrange(2, MINUTES - 4)
        at_s = minute * MINUTE_S + (random.expovariate(2.0) if random.random() < 0.8 else random.uniform(0, 60))
        if random.random() < 0.25:
            at_s = random.choice(commands).at_s + random.expovariate(20.0)
        by_disk = random.random() < 0.4
        crashes.append(
            CrashPlan(
                at_s=at_s,
                steps=None if by_disk else random.randrange(1, 120),
                operations=random.randrange(1, 25) if by_disk else None,
                power=random.random() < 0.7,
                down_s=random.choice((0.2, 2.0, 2.0, 20.0, 150.0)) * random.uniform(0.5, 1.5),
                again=random.randrange(1, 600) if random.random() < 0.3 else None,
            )
        )
    return tuple(sorted(crashes, key=lambda crash: crash.at_s))


def _commands(random: Random) -> tuple[Command, ...]:
    commands = []
    if random.random() < 0.25:
        at_s, symbol = random.uniform(300, 5000), random.choice(SYMBOLS)
        commands += [
            Command(at_s=at_s, name="pause", symbol=symbol),
            Command(at_s=at_s + random.uniform(60, 1500), name="resume", symbol=symbol),
        ]
    for name, share in (("flatten", 0.4), ("restart", 0.5), ("restart", 0.5), ("deploy", 0.2), ("hurry", 0.15)):
        if random.random() < share:
            at_s = random.randrange(3, MINUTES - 10) * MINUTE_S + random.expovariate(2.0)  # when something is going on
            commands.append(Command(at_s=at_s, name=name, symbol=random.choice(SYMBOLS)))
    if random.random() < 0.3:
        at_s = random.uniform(600, 5000)
        commands.append(Command(at_s=at_s, name="halt"))
        if random.random() < 0.7:
            commands.append(Command(at_s=at_s + random.uniform(30, 1200), name="unhalt"))
    # a quarantined symbol trades on when somebody has looked at it
    commands += [
        Command(at_s=at_s, name="restart", symbol=symbol) for at_s in (2400.0, 4800.0) for symbol in SYMBOLS[:2]
    ]
    return tuple(sorted(commands, key=lambda command: command.at_s))


def _kill(random: Random) -> tuple[Command, ...]:
    """Everything halted and closed at a random moment, mostly when something is going on; later it is traded on."""
    if random.random() < 0.6:
        return ()
    at_s = random.randrange(3, MINUTES - 20) * MINUTE_S + random.choice(
        (random.expovariate(2.0), random.uniform(0, 60))
    )
    return (Command(at_s=at_s, name="kill"), Command(at_s=at_s + random.uniform(60, 900), name="unhalt"))


def _round(random: Random) -> RoundSettings | None:
    """By chance, with deadlines before and after candles that come late; no strategy here says how sure it is."""
    if random.random() < 0.65:
        return None
    return RoundSettings(deadline_s=random.choice((0.05, 0.5, 3.0)), scorer=random.choice((None, by_chance, by_chance)))


def _ledger_away(random: Random) -> tuple[float, float]:
    if random.random() < 0.85:
        return (0.0, 0.0)
    from_s = random.uniform(100, 6000)
    return (from_s, from_s + random.uniform(10, 400))


def _causes(random: Random) -> tuple[tuple[float, float], ...]:
    """Mostly none; else for a moment or for long, one after the other."""
    if random.random() < 0.7:
        return ()
    from_s = random.uniform(200, 5000)
    until_s = from_s + random.choice((0.5, 30.0, 600.0)) * random.uniform(0.5, 1.5)
    again_s = until_s + random.choice((0.5, 300.0))
    return (from_s, until_s), (again_s, again_s + random.uniform(1, 400))


def _disk_full(random: Random) -> tuple[tuple[float, float], ...]:
    if random.random() < 0.8:
        return ()
    from_s = random.uniform(200, 6000)
    return ((from_s, from_s + random.uniform(1, 240)),)


def fair(plan: Plan, **changes: Any) -> Plan:
    """The same day with nothing in the way, but for the changes."""
    calm: dict[str, Any] = {
        "limits": Limits(),
        "loss_limit": None,
        "weather": FAIR,
        "partial_fills": 0.0,
        "crashes": (),
        "commands": (),
        "disk_full": (),
        "causes": (),
        "ledger_fails": 0.0,
        "ledger_away": (0.0, 0.0),
        "win_rate": None,
        "round": None,
        "dropped": {},
        "reloads": (),
        "rules": {},
        "settings": {},
        "slow_fills": False,
        "raises": 0,
        "positions_lag_s": 0.0,
    }
    return replace(plan, **(calm | changes))
