"""Reads what a daemon has written, beside it and without touching anything.

Rules of this file: a file is either whole (it is replaced by rename) or not there; one that cannot be read is a finding,
not an error.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from livebot.adapters.ledger.ledger_reader import LedgerReader
from livebot.adapters.state_files.portfolio_store import FILE_NAME
from livebot.adapters.state_files.sealed_json import unseal
from livebot.adapters.state_files.signal_store import STATES
from livebot.adapters.state_files.state_schemas import PORTFOLIO_UPGRADES, SIGNAL_UPGRADES
from livebot.core.facts import Fact
from livebot.core.inputs import SymbolState
from livebot.errors import LivebotError
from livebot.rehearsal.sights import Key

_LARGEST_FILE = 1 << 30


def read_states(folder: Path) -> tuple[dict[Key, SymbolState], list[str]]:
    """Every sound state file under `signals/`, and a sentence for each that is not."""
    states: dict[Key, SymbolState] = {}
    said = []
    for path in sorted(folder.glob("*/*")):
        if path.name.endswith(".scratch") or not path.is_file():
            continue
        try:
            state = STATES.from_tree(unseal(path.read_bytes(), SIGNAL_UPGRADES))
        except FileNotFoundError:
            continue
        except (LivebotError, OSError) as error:
            said.append(f"{path.name} of {path.parent.name}: {error}")
            continue
        states[state.strategy, state.symbol] = state
    return states, said


def read_facts(ledger: Path) -> tuple[Fact, ...]:
    """All facts of the ledger, none if it was not made yet.  Raises Transient."""
    if not ledger.exists():
        return ()
    try:
        with LedgerReader(ledger) as reader:
            return tuple(reader.facts())
    except LivebotError as error:
        if "is not a ledger" in str(error):  # killed before it had made its tables
            return ()
        raise


def read_denials(ledger: Path) -> Counter[str]:
    """How often an entry was denied, by code.  Raises Transient."""
    if not ledger.exists():
        return Counter()
    with LedgerReader(ledger) as reader:
        return Counter(each.code for each in reader.decisions() if each.outcome == "denied")


def read_trading_state(state: Path) -> str | None:
    """What the portfolio's memory says, None if there is none."""
    try:
        tree = unseal((state / FILE_NAME).read_bytes(), PORTFOLIO_UPGRADES)
    except FileNotFoundError:
        return None
    return str(tree.get("trading_state"))


@dataclass(frozen=True, slots=True)
class Told:
    """A problem that the daemon told the operator of; `passed` if it said later that it was over."""

    what: str
    passed: bool


def read_problems(log: bytes) -> list[Told]:
    """What the daemon's log (JSON lines) says of problems, each sentence once, in order."""
    problems: dict[str, str] = {}  # sentence -> source
    passed: set[str] = set()
    for line in log.splitlines():
        try:
            event = json.loads(line)
            name, source = event["event"], str(event.get("source"))
        except (ValueError, KeyError, TypeError):
            continue  # not of the log, or cut when it was killed
        if name == "problem":
            problems.setdefault(str(event.get("what")), source)
            passed.discard(source)
        elif name == "problem_passed":
            passed.add(source)
    return [Told(what, source in passed) for what, source in problems.items()]


def every_file(folder: Path) -> list[Path]:
    """All plain files under a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size < _LARGEST_FILE)
