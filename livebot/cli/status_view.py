"""A status on one screen: am I safe, what is open, what is wrong.

Rules of this file: the first line is the answer; whatever is cut says how much was cut; text from outside is shown, never
obeyed.
"""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from rich.console import Console, Group, RenderableType
from rich.text import Text

from livebot.cli.figures import ABSENT, age, clean, moment, money, percent_of, ratio, signed_money, span
from livebot.cli.model_lines import model_lines
from livebot.cli.symbol_rows import Row, Urgency, rows_of, table_of
from livebot.ports import LimitUse, SymbolStatus, SystemStatus

ROWS_MAX = 25
PROBLEMS_MAX = 10
NEARLY_USED = 0.8
_NAMED_MAX = 3
_ATTENTION = "bold black on yellow"
_BETWEEN = "  "
_TITLE_WIDTH = 9
_MORE = " ..."


def verdict(status: SystemStatus) -> Text:
    """The answer in one line."""
    unprotected = unprotected_signals(status)
    count = len(unprotected)
    if count:
        each = "position has" if count == 1 else "positions have"
        more = f" and {count - _NAMED_MAX} more" if count > _NAMED_MAX else ""
        named = ", ".join(map(clean, unprotected[:_NAMED_MAX])) + more
        return Text.assemble((" NOT SAFE ", "bold white on red"), f" {count} {each} no stop on the venue: {named}")
    held = any(signal.protected for symbol in status.symbols for signal in symbol.signals)
    safe = "every open position has its stop on the venue" if held else "no position is open"
    if status.trading_state != "ACTIVE":
        reason = clean(status.state_reason) or "no reason was given"
        mark = (f" {clean(status.trading_state)} ", _ATTENTION)
        return Text.assemble(mark, f" nothing opens: {reason}; {safe}")
    if status.problems:
        what = "is a problem" if len(status.problems) == 1 else f"are {len(status.problems)} problems"
        return Text.assemble((" SAFE ", _ATTENTION), f" {safe}, but there {what}")
    if not status.ready:
        return Text.assemble((" STARTING ", _ATTENTION), " nothing is decided yet")
    return Text.assemble((" SAFE ", "bold black on green"), f" {safe}")


def unprotected_signals(status: SystemStatus) -> list[str]:
    """Ids of the signals whose position has no stop, as the daemon watches them and as each symbol knows it."""
    signals = (signal for symbol in status.symbols for signal in symbol.signals)
    seen = (signal.signal_id or ABSENT for signal in signals if signal.protected is False)
    return list(dict.fromkeys([*status.unprotected, *seen]))


def identity(status: SystemStatus, width: int) -> Text:
    """Which daemon this is; what does not fit is left out from the end."""
    parts = [
        Text(clean(status.system), "bold"),
        Text(f"{clean(status.market)}, {clean(status.mode)} on {clean(status.exchange)}"),
        Text(moment(status.now_ms), "dim"),
        Text(f"up {span(status.now_ms - status.started_ms)}", "dim"),
        Text(f"pid {status.pid}", "dim"),
    ]
    if status.config_loaded_ms is not None and status.config_loaded_ms > status.started_ms:
        parts.insert(4, Text(f"config reloaded {span(status.now_ms - status.config_loaded_ms)} ago", "dim"))
    return packed(parts, width)[0]


def worth(status: SystemStatus) -> Text:
    """Trading state, equity and what the day brought."""
    colour = "green" if status.day_pnl > 0 else "red" if status.day_pnl < 0 else ""
    percent = percent_of(status.day_pnl, status.equity - status.day_pnl)
    state = ("ACTIVE", "green") if status.trading_state == "ACTIVE" else (clean(status.trading_state), "bold yellow")
    allowed = next((limit.allowed for limit in status.limits if limit.name == "open_signals"), None)
    return Text.assemble(
        ("Trading ", "dim"),
        state,
        ("  Equity ", "dim"),
        (money(status.equity), "bold"),
        ("  Day ", "dim"),
        (f"{signed_money(status.day_pnl)} ({percent})", colour),
        ("  Open ", "dim"),
        (f"{status.open_signals}" + (f" of {ratio(allowed)}" if allowed is not None else ""), "bold"),
        ("  Problems ", "dim"),
        (str(len(status.problems)), "bold red" if status.problems else ""),
    )


def packed(parts: Iterable[Text], width: int) -> list[Text]:
    """The parts side by side, on as many lines as it takes; none is broken."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + len(_BETWEEN) + part.cell_len <= width:
            lines[-1].append(_BETWEEN).append_text(part)
        else:
            lines.append(part.copy())
    return lines


def problem_lines(status: SystemStatus, most: int) -> list[Text]:
    """The problems, one line each."""
    lines = [Text.assemble(("! ", "bold red"), clean(problem)) for problem in status.problems[:most]]
    more = len(status.problems) - most
    if more > 0:
        lines.append(Text(f"  ... and {more} more; `livebot status` tells", "red"))
    return lines


def limit_parts(limits: Iterable[LimitUse]) -> list[Text]:
    """What is used of each limit that is set, coloured where little is left; the most used first."""
    told = [(limit, share_used(limit)) for limit in limits if limit.allowed is not None]
    told.sort(key=lambda pair: -pair[1])
    return [Text.assemble((f"{clean(limit.name)} ", "dim"), _used(limit, share)) for limit, share in told]


def share_used(limit: LimitUse) -> float:
    """1.0 is all of it; a limit of nothing is always used up."""
    return limit.share


def _used(limit: LimitUse, share: float) -> tuple[str, str]:
    style = "bold red" if share >= 1 else "yellow" if share >= NEARLY_USED else ""
    return f"{ratio(limit.used)}/{ratio(limit.allowed or Decimal(0))}", style


def count_parts(status: SystemStatus) -> list[Text]:
    """What happened since the start, and the strategies that take long."""
    parts = [
        Text.assemble(("slowest ", "dim"), (f"{clean(name)} {longest:.0f} ms", "yellow"))
        for name, longest in sorted(status.slow_calls.items(), key=lambda item: -item[1])[:2]
    ]
    parts += [Text.assemble((f"{clean(name)} ", "dim"), str(count)) for name, count in status.counts.items()]
    return [*parts, Text.assemble(("instances ", "dim"), str(status.instances.get("live", ABSENT)))]


def titled(title: str, parts: list[Text], width: int, lines_max: int | None = None) -> list[Text]:
    """Parts behind a title, on lines that begin below each other; what is left out is counted."""
    room = width - _TITLE_WIDTH
    lines = packed(parts, room) or [Text("none", "dim")]
    if lines_max is not None and len(lines) > lines_max:
        lines = packed(parts, room - len(_MORE))[:lines_max]
        lines[-1].append(_MORE, "dim")
    titles = [title, *[""] * (len(lines) - 1)]
    return [
        Text.assemble((f"{head:{_TITLE_WIDTH}}", "bold dim"), line) for head, line in zip(titles, lines, strict=True)
    ]


def wrong_symbols(symbols: Iterable[SymbolStatus]) -> list[Text]:
    """A line for each symbol that failed or is held back: what, how often, why."""
    lines = []
    for symbol in symbols:
        trouble = symbol.worker not in {"running", "waiting", "stopped", "done"}
        if not (trouble or symbol.blocks or symbol.last_error):
            continue
        said = list(dict.fromkeys([*([symbol.worker] if trouble else []), *symbol.blocks]))
        if symbol.restarts:
            said.append(f"{symbol.restarts} restart{'' if symbol.restarts == 1 else 's'}")
        if symbol.last_error:
            said.append(symbol.last_error)
        name = (f"  {clean(symbol.symbol)}", "bold red" if trouble else "yellow")
        lines.append(Text.assemble(name, f"  {clean('; '.join(said))}"))
    return lines


def status_view(status: SystemStatus, width: int) -> RenderableType:
    """The whole screen of `livebot status`."""
    rows = rows_of(status)
    shown = [row for row in rows if row.signal is not None]
    parts: list[RenderableType] = [verdict(status), identity(status, width), worth(status), Text()]
    parts += _section("What is wrong", problem_lines(status, PROBLEMS_MAX) + wrong_symbols(status.symbols))
    parts += _open_section(shown, width)
    parts += _quiet_line(status, rows)
    parts += universe_line(status)
    parts += clusters_line(status)
    parts += model_lines(status, titled)
    parts += titled("Limits", limit_parts(status.limits), width)
    parts += titled("Counts", count_parts(status), width)
    return Group(*parts)


def _section(title: str, lines: list[Text]) -> list[RenderableType]:
    if not lines:
        return []
    cut = lines[:ROWS_MAX]
    if len(lines) > ROWS_MAX:
        cut.append(Text(f"  ... and {len(lines) - ROWS_MAX} more; `livebot status --json` shows all", "dim"))
    return [Text(title, "bold"), *cut, Text()]


def _open_section(rows: list[Row], width: int) -> list[RenderableType]:
    if not rows:
        return [Text("Nothing is open.", "bold"), Text()]
    parts: list[RenderableType] = [Text("What is open", "bold"), table_of(rows[:ROWS_MAX], width)]
    if len(rows) > ROWS_MAX:
        parts.append(Text(f"... and {len(rows) - ROWS_MAX} more; `livebot status --json` shows all", "dim"))
    return [*parts, Text()]


def universe_line(status: SystemStatus) -> list[Text]:
    """How many symbols the universe holds, who is on the way out, and when it is looked at next."""
    universe = status.universe
    if universe is None:
        return []
    parts = [f"{len(universe.members)} in, looked at {moment(universe.asked_ms)}, next {moment(universe.next_ms)}"]
    if universe.departing:
        parts.append(f"leaving: {', '.join(universe.departing)}")
    if universe.resting:
        parts.append(f"no longer listed: {', '.join(universe.resting)}")
    text = clean("; ".join(parts))
    return titled("Universe", [Text(text)], _TITLE_WIDTH + len(text))


def clusters_line(status: SystemStatus) -> list[Text]:
    """Which symbols count together, since when, and when that is worked out next."""
    clusters = status.clusters
    if clusters is None:
        return []
    if clusters.known:
        largest = ", ".join(f"{name} {size}" for name, size in clusters.largest)
        more = ", ..." if clusters.shared > len(clusters.largest) else ""
        parts = [f"{clusters.shared} of two or more symbols" + (f" ({largest}{more})" if largest else "")]
        unmeasured = f" ({clusters.unmeasured} for lack of candles)" if clusters.unmeasured else ""
        parts.append(f"{clusters.alone} alone{unmeasured}")
    else:
        parts = ["not known yet, and nothing opens until they are"]
    if clusters.at_ms is not None and clusters.next_ms is not None:
        parts.append(f"as of {moment(clusters.at_ms)}, next {moment(clusters.next_ms)}")
    text = clean("; ".join(parts))
    return titled("Clusters", [Text(text)], _TITLE_WIDTH + len(text))


def _quiet_line(status: SystemStatus, rows: list[Row]) -> list[Text]:
    workers = Counter(symbol.worker for symbol in status.symbols)
    told = ", ".join(f"{count} {clean(worker)}" for worker, count in workers.most_common())
    quiet = sum(row.urgency is Urgency.QUIET for row in rows)
    ages = [row.candle_age_ms for row in rows if row.candle_age_ms is not None]
    text = f"{len(status.symbols)}: {told}; {quiet} with nothing to tell"
    if ages:
        youngest, oldest = age(min(ages)), age(max(ages))
        text += f"; last candle {youngest} ago" if youngest == oldest else f"; last candle {youngest} to {oldest} ago"
    return titled("Symbols", [Text(text)], _TITLE_WIDTH + len(text))


def print_status(status: SystemStatus, console: Console) -> None:
    """Print the screen."""
    console.print(status_view(status, console.width), highlight=False, soft_wrap=False)
