"""The table of symbols: which come first, and what stands in each column.

Rules of this file: what needs the operator comes first, then what is open, then what is held back, then the quiet ones;
a symbol with several open signals has several rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from rich.table import Column, Table
from rich.text import Text

from livebot.cli.figures import ABSENT, age, clean, price, signed_money
from livebot.ports import SignalStatus, SymbolStatus, SystemStatus

_IN_ORDER = {"running", "waiting", "stopped", "done"}
_GAP = 1


class Urgency(IntEnum):
    """Why a row stands where it stands."""

    UNPROTECTED = 0
    TROUBLE = 1
    OPEN = 2
    HELD_BACK = 3
    QUIET = 4


@dataclass(frozen=True, slots=True)
class Row:
    """A signal that is not Idle, or a symbol without one (`signal` None, `strategies` those that are idle there)."""

    urgency: Urgency
    symbol: SymbolStatus
    signal: SignalStatus | None
    strategies: tuple[str, ...]
    candle_age_ms: int | None


@dataclass(frozen=True, slots=True)
class _Kind:
    """A column: what it is called and shows; `gives_way` says how early it is left out where the table is too broad."""

    title: str
    cell: Callable[[Row], Text]
    right: bool = False
    gives_way: int | None = None


def rows_of(status: SystemStatus) -> list[Row]:
    """All rows, the most urgent first, else in the order of the config."""
    rows = [row for symbol in status.symbols for row in _rows(symbol, status)]
    return sorted(rows, key=lambda row: row.urgency)


def _rows(symbol: SymbolStatus, status: SystemStatus) -> list[Row]:
    candle_age_ms = None if symbol.last_close_ms is None else max(0, status.now_ms - symbol.last_close_ms)
    present = [signal for signal in symbol.signals if signal.state != "Idle"]
    if not present:
        idle = tuple(signal.strategy for signal in symbol.signals)
        return [Row(_urgency(symbol, None, status), symbol, None, idle, candle_age_ms)]
    return [
        Row(_urgency(symbol, signal, status), symbol, signal, (signal.strategy,), candle_age_ms) for signal in present
    ]


def _urgency(symbol: SymbolStatus, signal: SignalStatus | None, status: SystemStatus) -> Urgency:
    if signal is not None and (signal.protected is False or signal.signal_id in status.unprotected):
        return Urgency.UNPROTECTED
    if symbol.worker not in _IN_ORDER:
        return Urgency.TROUBLE
    if signal is not None:
        return Urgency.OPEN
    if symbol.blocks or symbol.last_error:
        return Urgency.HELD_BACK
    return Urgency.QUIET


def table_of(rows: Sequence[Row], width: int) -> Table:
    """The rows with as many columns as fit; what must stay is cut with an ellipsis."""
    judged = any(row.signal is not None and row.signal.confidence is not None for row in rows)
    kinds = [kind for kind in _KINDS if judged or kind is not _CONFIDENCE]
    cells = {kind.title: [kind.cell(row) for row in rows] for kind in kinds}
    for kind in sorted((kind for kind in kinds if kind.gives_way is not None), key=lambda kind: kind.gives_way or 0):
        if _width(kinds, cells) <= width:
            break
        kinds.remove(kind)
        if kind.title == "Worker":
            cells["State"] = [_state_or_worker(row) for row in rows]
        if kind.title == "Side":
            cells["Qty"] = [_signed_quantity(row) for row in rows]
    table = Table(
        *(
            Column(kind.title, justify="right" if kind.right else "left", no_wrap=True, overflow="ellipsis")
            for kind in kinds
        ),
        box=None,
        padding=(0, _GAP, 0, 0),
        pad_edge=False,
        header_style="bold dim",
    )
    for place in range(len(rows)):
        table.add_row(*(cells[kind.title][place] for kind in kinds))
    return table


def _width(kinds: Sequence[_Kind], cells: dict[str, list[Text]]) -> int:
    widths = (max(len(kind.title), *(cell.cell_len for cell in cells[kind.title]), 0) for kind in kinds)
    return sum(widths) + _GAP * (len(kinds) - 1)


# what stands in a column


def _symbol(row: Row) -> Text:
    style = {
        Urgency.UNPROTECTED: "bold red",
        Urgency.TROUBLE: "bold red",
        Urgency.OPEN: "bold",
        Urgency.HELD_BACK: "yellow",
    }
    return Text(clean(row.symbol.symbol), style.get(row.urgency, ""))


def _worker(row: Row) -> Text:
    symbol = row.symbol
    if symbol.worker not in _IN_ORDER:
        return Text(clean(symbol.worker), "bold red")
    if symbol.blocks:
        return Text(clean(symbol.blocks[0]), "yellow")
    return Text(clean(symbol.worker), "dim")


def _strategy(row: Row) -> Text:
    more = f" +{len(row.strategies) - 1}" if len(row.strategies) > 1 else ""
    return Text(clean(row.strategies[0] if row.strategies else ABSENT) + more, "" if row.signal else "dim")


def _state(row: Row) -> Text:
    if row.signal is None:
        return Text("Idle", "dim")
    if row.signal.protected is False:
        return Text("NO STOP", "bold white on red")
    return Text(clean(row.signal.state), "cyan")


def _state_or_worker(row: Row) -> Text:
    """One column for both, where there is room for one: the worse of the two."""
    no_stop = row.signal is not None and row.signal.protected is False
    in_order = row.symbol.worker in _IN_ORDER and (row.signal is not None or not row.symbol.blocks)
    return _state(row) if no_stop or in_order else _worker(row)


def _side(row: Row) -> Text:
    side = row.signal.side if row.signal else None
    return Text(clean(side or ABSENT), {"long": "green", "short": "magenta"}.get(side or "", "dim"))


def _of_signal(name: str) -> Callable[[Row], Text]:
    def cell(row: Row) -> Text:
        value: Decimal | None = getattr(row.signal, name) if row.signal else None
        return Text(price(value), "" if value is not None else "dim")

    return cell


def _signed_quantity(row: Row) -> Text:
    text = _of_signal("quantity")(row)
    sign = {"long": "+", "short": "-"}.get((row.signal.side or "") if row.signal else "", "")
    return Text(sign + text.plain, _side(row).style)


def _unrealised(row: Row) -> Text:
    amount = row.signal.unrealised if row.signal else None
    return Text(signed_money(amount), "dim" if not amount else "green" if amount > 0 else "red")


def _confidence(row: Row) -> Text:
    said = row.signal.confidence if row.signal else None
    return (
        Text(ABSENT, "dim") if said is None else Text(f"{said:.2f}", "" if row.signal and row.signal.model else "dim")
    )


def _age(row: Row) -> Text:
    return Text(age(row.candle_age_ms), "dim")


_CONFIDENCE = _Kind("Conf", _confidence, right=True, gives_way=0)  # of a strategy's own where it is dim
_KINDS = (
    _Kind("Symbol", _symbol),
    _Kind("Worker", _worker, gives_way=1),
    _Kind("Strategy", _strategy, gives_way=5),
    _Kind("State", _state),
    _Kind("Side", _side, gives_way=2),
    _Kind("Qty", _of_signal("quantity"), right=True),
    _Kind("Entry", _of_signal("entry_price"), right=True),
    _Kind("Stop", _of_signal("stop_loss"), right=True),
    _Kind("Target", _of_signal("take_profit"), right=True, gives_way=3),
    _Kind("PnL", _unrealised, right=True),
    _CONFIDENCE,
    _Kind("Age", _age, right=True, gives_way=4),
)
