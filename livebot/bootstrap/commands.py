"""What the commands that need no running daemon do."""

import os
from pathlib import Path

from livebot.adapters.ledger_reader import LedgerReader
from livebot.bootstrap.loading import load
from livebot.bootstrap.venue import market_of
from livebot.config.load import LoadedConfig
from livebot.config.problems import ConfigErrors
from livebot.config.root import Paths, resolve
from livebot.config.secrets import check_confirmation, read_secrets
from livebot.config.venue import SIMULATOR
from livebot.errors import BadInput, LivebotError
from livebot.reporting.signals_report import DecisionRow, Report, Selection, make_report, row_of


def check(config_path: Path, root: Path | None) -> list[str]:
    """Everything that can be validated without running: problem sentences, none if all is well."""
    try:
        loaded = load(config_path)
        paths = resolve(loaded.config, config_path, root, os.environ)
        _check_candles(loaded, paths)
        _check_venue(loaded, paths)
    except ConfigErrors as errors:
        return str(errors).splitlines()
    except LivebotError as error:
        return [str(error)]
    return []


def _check_candles(loaded: LoadedConfig, paths: Paths) -> None:
    if paths.candles is not None and paths.venue_socket is None:
        market_of(loaded, paths)


def _check_venue(loaded: LoadedConfig, paths: Paths) -> None:
    """What a real venue needs besides the config.  Raises BadInput."""
    exchange = loaded.config.exchange
    if exchange.id == SIMULATOR:
        return
    if paths.ca_file is not None and not paths.ca_file.is_file():
        raise BadInput(
            f"exchange.loopback.ca_file: {paths.ca_file} is not there; start the local exchange, it writes it"
        )
    if loaded.config.mode == "live":
        read_secrets(os.environ)
        if not (exchange.sandbox or exchange.loopback):
            check_confirmation(loaded.config.system, os.environ)


def control_socket(config_path: Path, root: Path | None) -> Path:
    """Where the daemon of this config answers.  Raises BadInput."""
    loaded = load(config_path)
    return resolve(loaded.config, config_path, root, os.environ).control_socket


def report(config_path: Path, root: Path | None, selection: Selection) -> Report:
    """The report over the ledger of this config.  Raises BadInput, Transient."""
    loaded = load(config_path)
    paths = resolve(loaded.config, config_path, root, os.environ)
    return report_of(loaded.config.system, paths, selection)


def report_of(system: str, paths: Paths, selection: Selection) -> Report:
    """The report over the ledger of these paths.  Raises BadInput, Transient."""
    with LedgerReader(paths.ledger) as reader:
        strategy, symbol, since_ms = selection.strategy, selection.symbol, selection.since_ms
        facts = [row_of(fact) for fact in reader.facts(strategy=strategy, symbol=symbol, since_ms=since_ms)]
        decisions = [
            DecisionRow(
                ts_ms=decision.ts_ms,
                strategy=decision.strategy,
                symbol=decision.symbol,
                outcome=decision.outcome,
                code=decision.code,
            )
            for decision in reader.decisions(strategy=strategy, symbol=symbol, since_ms=since_ms)
        ]
    return make_report(system, facts, decisions, selection)
