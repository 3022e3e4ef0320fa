"""A file of faults: what goes wrong at a local exchange, and when.

A list, in YAML or JSON; every entry has a `kind` and whatever else it needs:

    - {kind: freeze, symbols: [BTC/USDT:USDT], endpoints: [kline], seconds: 25, after_s: 20}
    - {kind: cut, endpoints: [order/create], odds: 0.2, times: null}      # every fifth order, for ever
    - {kind: status, status: 503, after_s: 30, every_s: 60, for_s: 10}    # one answer, each minute, if one comes in 10 s

Rules of this file: a file that is wrong is refused whole, with everything that is wrong in it.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from livebot.errors import BadInput
from livebot.simulator import venue_faults
from livebot.simulator.market import parts_of
from livebot.simulator.venue_faults import Fault

SIZE_MAX_BYTES = 1_000_000
ENTRIES_MAX = 1_000
KEYS = """\
    symbols     [BTC/USDT:USDT, ...]; none: any
    endpoints   [order/create, kline, ...]: the end of a path, or a topic's first word; none: any
    odds        how likely it strikes when it fits, above 0 to 1 (1)
    times       how often it strikes, null for ever (1)
    seconds     how long, for the kinds that say so
    code, text  of a refusal, in the venue's own words
    status      of an HTTP answer
    pieces      of an order's fills (3)
    after_s     armed so many seconds after the start (0)
    every_s     and again, each so many seconds
    for_s       withdrawn again so many seconds after each time"""
_FAULTS = TypeAdapter(list[Fault])


def format_text() -> str:
    """The format in full, for `--help`."""
    kinds = str(venue_faults.__doc__).partition("\n\n    ")[2]
    example = str(__doc__).partition("\n\n")[2].partition("\n\nRules")[0]
    return f"{example}\n\nKinds:\n\n    {kinds.rstrip()}\n\nOther keys, with what they are if left out:\n\n{KEYS}\n"


def read_faults(path: Path) -> tuple[Fault, ...]:
    """The faults of a file.

    Raises:
        BadInput: with all that is wrong, each with the number of its entry.

    """
    return parse_faults(_read(path), str(path))


def parse_faults(text: str, source: str) -> tuple[Fault, ...]:
    """The faults of a text; `source` is what messages call it.  Raises BadInput with all that is wrong."""
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise BadInput(f"{source}: this is neither YAML nor JSON: {why}") from None
    if data is None:
        return ()
    entries = data if isinstance(data, list) else [data]
    if len(entries) > ENTRIES_MAX:
        raise BadInput(f"{source}: {len(entries)} faults are more than {ENTRIES_MAX}")
    try:
        return tuple(_FAULTS.validate_python(entries))
    except ValidationError as error:
        told = venue_faults.sentences(error)
    raise BadInput("\n".join(f"{source}: {sentence}" for sentence in told))


def check_symbols(faults: Sequence[Fault], symbols: Collection[str], source: str) -> None:
    """Raises BadInput, with all of them, if faults are meant for symbols that are not traded."""
    known = {name for symbol in symbols for name in (symbol, "".join(parts_of(symbol)[:2]))}
    told = [
        f"{source}: entry {number}: symbols: {name} is not traded at this exchange"
        for number, fault in enumerate(faults, 1)
        for name in fault.symbols
        if name not in known
    ]
    if told:
        raise BadInput("\n".join(told))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_MAX_BYTES + 1)
        if len(content) > SIZE_MAX_BYTES:
            raise BadInput(f"{path}: is larger than {SIZE_MAX_BYTES} bytes; these are no faults")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path}: the faults cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: is not UTF-8 text; save it as UTF-8") from None
