"""What the commands that need no running daemon do."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from livebot.adapters.ledger.ledger_reader import LedgerReader
from livebot.adapters.state_files.portfolio_store import seen_memory
from livebot.bootstrap.alerts import Outcome, channels_of, send_tests
from livebot.bootstrap.loading import load
from livebot.bootstrap.strategies import with_models
from livebot.bootstrap.venue import market_of
from livebot.config.clusters import told_of
from livebot.config.load import LoadedConfig
from livebot.config.model_terms import training_spec
from livebot.config.models import ModelConfig
from livebot.config.problems import ConfigErrors
from livebot.config.root import Paths, resolve
from livebot.config.secrets import WITHOUT_MODEL_KEY, check_confirmation, control_token, model_key, read_secrets
from livebot.config.venue import SIMULATOR
from livebot.errors import BadInput, LivebotError
from livebot.reporting.live_report import LiveReport, live_report
from livebot.reporting.run_record import trades_of
from livebot.reporting.signals_report import DecisionRow, Selection, make_report, row_of


def check(config_path: Path, root: Path | None) -> list[str]:
    """Everything that can be validated without running: problem sentences, none if all is well."""
    try:
        loaded = with_models(load(config_path))
        paths = resolve(loaded.config, config_path, root, os.environ)
        _check_candles(loaded, paths)
        _check_venue(loaded, paths)
        channels_of(loaded.config.alerts, os.environ)
        if loaded.config.control.http is not None:
            control_token(os.environ)
        if loaded.config.model is not None:
            model_key(os.environ)
            _check_training(loaded, loaded.config.model)
    except ConfigErrors as errors:
        return str(errors).splitlines()
    except LivebotError as error:
        return str(error).splitlines()
    return []


def to_know(config_path: Path) -> tuple[str, ...]:
    """What follows from a config in which nothing is wrong and is easily overlooked: sentences.  Raises BadInput."""
    config = load(config_path).config
    unsealed = config.model is not None and model_key(os.environ) is None
    return (*told_of(config.risk.clusters), *((WITHOUT_MODEL_KEY,) if unsealed else ()))


def alerts_test(config_path: Path, channel: str | None) -> Sequence[Outcome]:
    """Send one message over each channel of alerts, or over this one, and say what came of it.

    Raises:
        ConfigErrors, BadInput: there is no (such) channel, or a URL is missing or not understood.

    """
    config = load(config_path).config
    return send_tests(config.system, config.alerts, channel, os.environ)


def _check_candles(loaded: LoadedConfig, paths: Paths) -> None:
    if paths.candles is not None and paths.venue_socket is None:
        market_of(loaded, paths)


def _check_training(loaded: LoadedConfig, section: ModelConfig) -> None:
    """Whether `livebot train` could fit what is configured, whatever its rows are.  Raises BadInput."""
    # here because scikit-learn is heavy, and who asks no model has no use for it
    from livebot.learning.modes import check_spec  # noqa: PLC0415

    for plan in loaded.strategies:
        if section.strategies is None or plan.id in section.strategies:
            check_spec(training_spec(section, plan.symbols))


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


def report(config_path: Path, root: Path | None, selection: Selection, *, candles: bool = False) -> LiveReport:
    """The report over the ledger of this config; with `candles` those of the store belong to it.

    Raises BadInput, Transient.
    """
    loaded = load(config_path)
    paths = resolve(loaded.config, config_path, root, os.environ)
    made = report_of(loaded.config.system, paths, selection)
    if not (candles and made.record.trades and paths.candle_store.is_dir()):
        return made
    # not on the way on which a daemon stops, and most reports have no candles: reading them takes pyarrow
    from livebot.bootstrap.report_candles import with_candles  # noqa: PLC0415

    return with_candles(made, loaded.config, paths)


def report_of(system: str, paths: Paths, selection: Selection) -> LiveReport:
    """The report over the ledger of these paths.  Raises BadInput, Transient."""
    with LedgerReader(paths.ledger) as reader:
        strategy, symbol, since_ms = selection.strategy, selection.symbol, selection.since_ms
        facts = list(reader.facts(strategy=strategy, symbol=symbol, since_ms=since_ms))
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
        ledger = make_report(system, map(row_of, facts), decisions, selection)
        return live_report(ledger, trades_of(facts), capital_at=partial(_capital_at, reader, paths))


def _capital_at(reader: LedgerReader, paths: Paths, ts_ms: int) -> float | None:
    """The account's equity then: that of the last day's start, less what was realised between."""
    memory = seen_memory(paths.portfolio)
    if memory is None or memory.day_start_equity is None:
        return None
    day_ms = memory.day_start_ms
    realised = reader.realised(ts_ms, day_ms) if ts_ms < day_ms else -reader.realised(day_ms, ts_ms)
    return float(memory.day_start_equity - realised)
