"""Which symbols a system starts with: those of the config, or those that its universe holds.

Rules of this file: nothing is asked before the venue is there, and what was chosen is durable before it is used.
"""

from collections.abc import Awaitable, Callable, Iterable

from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.universe_store import FileUniverseStore
from livebot.bootstrap.strategies import strategies_of, watched_by
from livebot.config.load import LoadedConfig
from livebot.config.model import Config
from livebot.config.root import Paths
from livebot.config.universe import UniverseConfig, universe_rules
from livebot.core.market import MINUTE_MS
from livebot.core.universe_memory import UniverseMemory
from livebot.core.universe_rules import FactKind, UniverseRules, wanted_facts
from livebot.ports import Clock
from livebot.runtime.problems import Report
from livebot.runtime.universe.universe_choice import Forgetful, UniverseParts, Unlisted, first_choice
from livebot.universe_ports import UniverseSource

NEVER_MS = 2**62
LISTED_MS = 60 * MINUTE_MS  # how often it is looked whether the symbols of a config are still listed


class Choice:
    """Which symbols a system starts with; made once for each start."""

    def __init__(self, loaded: LoadedConfig, paths: Paths, files: DurableFiles, report: Report) -> None:
        """Nothing is chosen yet."""
        self._loaded = loaded
        self._section = loaded.config.universe
        self._store = FileUniverseStore(paths.state, loaded.config.system, files)
        self._report = report
        self._chosen: tuple[UniverseSource, UniverseMemory] | None = None

    @property
    def wants_spreads(self) -> bool:
        """Whether a filter looks at them."""
        return self._section is not None and wants_spreads(rules_of(self._loaded.config, self._section))

    def follow(self, loaded: LoadedConfig) -> None:
        """This is the config from now on; what it says of the universe is as before."""
        self._loaded = loaded

    async def symbols(self, source: Callable[[], UniverseSource], clock: Clock) -> tuple[str, ...]:
        """Those of the config, or those of its universe as of now; `source` is asked in that case only.

        Raises:
            Transient, Fatal: there is no universe, and none can be chosen.

        """
        if self._section is None:
            return self._loaded.config.symbols
        lists = source()
        rules = rules_of(self._loaded.config, self._section)
        memory = await first_choice(rules, lists, self._store, clock.now_ms, self._report)
        self._chosen = lists, memory
        return memory.symbols

    def stay_listed(self, source: UniverseSource, symbols: Iterable[str], clock: Clock) -> None:
        """Symbols of the config, which a venue may take off its list while they are traded."""
        if self._section is None:
            now_ms = clock.now_ms()
            members = tuple((symbol, now_ms) for symbol in sorted(symbols))
            self._chosen = source, UniverseMemory(asked_ms=now_ms, members=members)

    def parts(self, admit: Callable[[str], Awaitable[None]], symbols: Iterable[str] = ()) -> UniverseParts:
        """What the system looks on with; `symbols` are those it starts with where nobody lists any."""
        section, config = self._section, self._loaded.config
        if self._chosen is None:
            memory = UniverseMemory(members=tuple((symbol, 0) for symbol in sorted(symbols)))
            source: UniverseSource = Unlisted()
        else:
            source, memory = self._chosen
        return UniverseParts(
            rules=_all_of(config, memory) if section is None else rules_of(config, section),
            source=source,
            store=Forgetful() if section is None else self._store,
            refresh_ms=self._refresh_ms(),
            memory=memory,
            strategies=lambda symbol: strategies_of(self._loaded, symbol),
            watched=lambda symbol: watched_by(self._loaded, symbol),
            admit=admit,
            fixed=section is None,
        )

    def _refresh_ms(self) -> int:
        if self._section is not None:
            return self._section.refresh_minutes * MINUTE_MS
        return NEVER_MS if self._chosen is None else LISTED_MS


def _all_of(config: Config, memory: UniverseMemory) -> UniverseRules:
    """The symbols of a config, whatever their numbers."""
    return UniverseRules(market=config.market, top=len(memory.members), always=memory.membership.symbols)


def rules_of(config: Config, section: UniverseConfig) -> UniverseRules:
    """The rules of a config's universe."""
    return universe_rules(section, config.market)


def wants_spreads(rules: UniverseRules) -> bool:
    """Whether a filter looks at them."""
    return FactKind.SPREAD in wanted_facts(rules).values()
