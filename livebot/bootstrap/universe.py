"""What `livebot universe` shows: the choice as the daemon would make it now, or would have made it once.

Rules of this file: a look by hand changes nothing on disk; ccxt and pyarrow are imported only where they are used.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.adapters.state_files.universe_store import FILE_NAME, read_universe
from livebot.bootstrap.choice import rules_of, wants_spreads
from livebot.bootstrap.loading import load
from livebot.bootstrap.venue import market_of, start_ms_of
from livebot.config.load import LoadedConfig
from livebot.config.model import Config
from livebot.config.root import Paths, resolve
from livebot.config.venue import SIMULATOR
from livebot.core.universe import Selection, choose
from livebot.core.universe_memory import UniverseMemory
from livebot.core.universe_rules import Listing, UniverseRules
from livebot.errors import BadInput
from livebot.simulator.listings import SimulatedListings


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look by hand has shown; `memory` is what the daemon remembers, None if it never chose."""

    selection: Selection
    rules: UniverseRules
    source: str
    at_ms: int
    memory: UniverseMemory | None


def look(config_path: Path, root: Path | None, at_ms: int | None) -> Look:
    """Choose the universe as of now (or a past time, from candles), from the last one on; nothing is written.

    Raises:
        BadInput: the config has no universe, or cannot be used.
        Transient, Fatal: the symbols are not told.

    """
    loaded = load(config_path)
    section = loaded.config.universe
    if section is None:
        raise BadInput(f"{config_path}: the symbols are listed under symbols; a universe would find them at the venue")
    paths = resolve(loaded.config, config_path, root, os.environ)
    rules = rules_of(loaded.config, section)
    memory = read_universe(paths.state / FILE_NAME, loaded.config.system)
    return asyncio.run(_look(loaded, paths, rules, memory, at_ms))


async def _look(
    loaded: LoadedConfig, paths: Paths, rules: UniverseRules, memory: UniverseMemory | None, at_ms: int | None
) -> Look:
    listings: Sequence[Listing]
    before = UniverseMemory() if memory is None or at_ms is not None else memory
    if loaded.config.exchange.id == SIMULATOR:
        market = market_of(loaded, paths)
        now_ms = at_ms or max(before.asked_ms, start_ms_of(loaded, market))
        listings = await SimulatedListings(market, lambda: now_ms).listings()
        source = "the simulated market"
    elif at_ms is not None:
        now_ms, source = at_ms, f"the candle store {paths.candle_store}"
        listings = await _stored(loaded.config, paths, at_ms)
    else:
        # ccxt takes a second to import
        from livebot.bootstrap.real_venue import listed_now  # noqa: PLC0415

        source = loaded.config.exchange.id
        now_ms, listings = await listed_now(loaded.config, paths, spreads=wants_spreads(rules))
    selection = choose(rules, listings, before.membership, now_ms)
    return Look(selection=selection, rules=rules, source=source, at_ms=now_ms, memory=memory)


async def _stored(config: Config, paths: Paths, at_ms: int) -> Sequence[Listing]:
    """As of a past time, by the length of candles that most symbols have, the longest of those."""
    # pyarrow is heavy
    from livebot.history.store import CandleStore  # noqa: PLC0415
    from livebot.history.universe_facts import StoredListings  # noqa: PLC0415

    store = CandleStore(paths.candle_store, SystemFiles())
    ours = (config.exchange.id, config.market)
    places = [place for place in store.places() if (place.venue, place.market) == ours]
    lengths = Counter(place.timeframe for place in places)
    if not lengths:
        text = (
            f"{paths.candle_store} has no candles of {config.exchange.id} {config.market}; livebot data fetch gets them"
        )
        raise BadInput(text)
    frame = max(lengths, key=lambda each: (lengths[each], each.ms))
    return await StoredListings(store, [place for place in places if place.timeframe is frame], at_ms).listings()
