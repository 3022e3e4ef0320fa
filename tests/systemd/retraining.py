"""The checks of the unit that trains models, beside a daemon on the simulator: the market gamma.

Standard library only, as inside.py.
"""

import json
import random
from pathlib import Path

from tests.systemd.asking import CHECKOUT, ETC, VAR, log, pid, restarts, seal, sh, shown, until, write_config

MARKET = "gamma"
ROOT = VAR / MARKET
UNIT = f"livebot-retrain@{MARKET}"
UNITS = Path("/etc/systemd/system")
KEY = "a-key-of-models-that-is-long-enough-5d1e0c77"
STRATEGY = "prying"
WAIT_S = 60
DAYS = 8
FIRST_MS = 1_766_448_000_000
SYMBOLS = ("BTC", "ETH")
MODEL = """
model:
  training_mode: multi_symbol
  estimator: {name: hist_gradient_boosting, params: {max_iter: 20}}
  minimum_events: 20
  history: {minimum_days: 5, target_days: 8}
  threshold: 0.01
  retrain: {window_days: 2, minimum_trades: 5, minimum_gain: -0.5, maximum_loss_rise: 0.9, symbol_floor: null}
  serving: {poll_seconds: 1, deadline_ms: 5000}
"""
UNFIT = MODEL.replace("minimum_days: 5, target_days: 8", "minimum_days: 900, target_days: 900").replace(
    "retrain: {", "retrain: {every_hours: 0.0001, "
)
# The watchdog's few seconds in the other checks are not what is looked at here.
CALM = "[Service]\nWatchdogSec=60\nTimeoutStopSec=60\nEnvironment=LIVEBOT_STALE_RESTART_SECONDS=120\n"


def trained(text: str) -> str:
    """Start the unit and wait for its end; what it told in the journal.  The outcome is to be as `text` says."""
    before = len(told())
    sh(f"timeout {WAIT_S} systemctl start {UNIT}", check=False)
    assert about("ActiveState") in ("inactive", "failed"), f"it does not end: {told()[before:]}"
    said = told()[before:]
    assert about("Result") == text, (about("Result"), said)
    return said


def told() -> str:
    sh("journalctl --sync")
    return sh(f"journalctl --unit {UNIT} --output cat --no-pager --boot")


def about(name: str) -> str:
    return sh(f"systemctl show {UNIT} --property={name} --value")


def in_use() -> str | None:
    """The version that the daemon says it asks."""
    status = json.loads(sh(f"livebot-on {MARKET} status --json"))
    (scope,) = status["models"]
    return scope["version"]


def the_current() -> str:
    return (ROOT / "models" / STRATEGY / "current").read_text().strip()


def write_candles(folder: Path) -> None:
    """A CSV file of one-minute candles by chance for each symbol."""
    for seed, name in enumerate(SYMBOLS):
        chance, close = random.Random(seed), 100.0
        rows = ["time,open,high,low,close,volume"]
        for minute in range(DAYS * 1440):
            opened, close = close, close * (1 + chance.gauss(0, 0.001))
            high, low = max(opened, close) * 1.0002, min(opened, close) * 0.9998
            rows.append(f"{FIRST_MS + minute * 60_000},{opened:.4f},{high:.4f},{low:.4f},{close:.4f},5")
        (folder / f"{name}.csv").write_text("\n".join(rows))


# ---------------------------------------------------------------- the checks


def a_training_without_candles_fails_and_leaves_a_place_to_start_in(config: str) -> str:
    """Of a market that never ran: what the unit makes of its folders is not in the daemon's way."""
    drop_in = UNITS / f"livebot@{MARKET}.service.d/zz-calm.conf"
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text(CALM)
    (ETC / MARKET / "strategies/prying.py").write_text((CHECKOUT / "tests/systemd/prying.py").read_text())
    sh("chmod -R g+rX /etc/livebot; chgrp -R livebot /etc/livebot; systemctl daemon-reload")
    write_config(MARKET, config + MODEL)
    seal(MARKET, "LIVEBOT_MODEL_KEY", KEY)
    said = trained("exit-code")
    assert about("ActiveState") == "failed" and "no perpetual candles are there" in said, said
    sh(f"systemctl start livebot@{MARKET}")
    until(lambda: "2 of 2 symbols run" in shown(MARKET, "StatusText"), WAIT_S, "it runs")
    assert sh(f"stat -c '%U %a' {ROOT} {ROOT}/models {ROOT}/candles").split() == ["livebot", "700"] * 3
    assert in_use() is None
    return f"exit {about('ExecMainStatus')}, no candles; then the daemon: {shown(MARKET, 'StatusText')}"


def a_training_gives_the_running_daemon_a_model() -> str:
    process = pid(MARKET)
    folder = Path("/srv/candles")
    folder.mkdir()
    write_candles(folder)
    for name in SYMBOLS:
        options = f"--exchange bybit --market perpetual --symbol {name}/USDT:USDT --timeframe 1m"
        sh(f"livebot-on {MARKET} data import {folder}/{name}.csv {options}")
    said = trained("success")
    assert "it was never trained" in said and "in use from now on" in said, said
    assert "which venue's candles?" in said  # the fetch before it failed, and hindered nothing
    assert (about("ActiveState"), about("ExecMainStatus")) == ("inactive", "0")
    version = the_current()
    assert '"seal": "hmac-sha256:' in (ROOT / "models" / STRATEGY / version / "manifest.json").read_text()
    took = until(lambda: in_use() == version, WAIT_S, "the daemon takes it up")
    assert f"model {STRATEGY}/{version} decides from now on" in log(MARKET)
    judged = f'"model": "{STRATEGY}/{version}"'
    until(lambda: judged in sh(f"livebot-on {MARKET} status --json"), WAIT_S, "a signal names it")
    listed = sh(f"livebot-on {MARKET} models list")
    assert version in listed, listed
    assert (pid(MARKET), restarts(MARKET)) == (process, 0)
    for text in (said, log(MARKET), sh(f"systemctl show {UNIT}")):
        assert KEY not in text
    return f"{STRATEGY}/{version}, sealed with the market's key, in use {took:.1f} s later by the same process"


def a_training_writes_models_and_candles_only() -> str:
    line = [line for line in told().splitlines() if line.startswith("pried:")][-1]
    found = json.loads(line.removeprefix("pried:"))
    can = {folder for folder, written in found["written"].items() if written}
    assert can == {f"{ROOT}/models", f"{ROOT}/candles"}, line
    assert {str(ROOT), f"{ROOT}/state", f"{ROOT}/signals"} <= set(found["written"]) - can, line
    assert found["keys"] == ["LIVEBOT_MODEL_KEY"], line
    assert about("Slice") == "livebot.slice"
    return f"{', '.join(sorted(can))} of {len(found['written'])} folders of its user; no key but {', '.join(found['keys'])}"


def a_training_that_is_not_due_ends_well() -> str:
    version = the_current()
    said = trained("success")
    assert "nothing is due, nothing was trained" in said, said
    assert the_current() == version
    return f"exit {about('ExecMainStatus')}: nothing is due"


def a_training_that_fails_leaves_daemon_and_model_alone() -> str:
    process, version, good = pid(MARKET), the_current(), (ETC / MARKET / "config.yaml").read_text()
    write_config(MARKET, good.replace(MODEL, UNFIT))
    said = trained("exit-code")
    write_config(MARKET, good)
    assert about("ActiveState") == "failed" and "too little to learn from" in said, said
    assert (the_current(), in_use()) == (version, version)
    assert (pid(MARKET), restarts(MARKET), shown(MARKET, "ActiveState")) == (process, 0, "active")
    return f"exit {about('ExecMainStatus')}, failed; the daemon: {shown(MARKET, 'StatusText')}"


def the_timer_is_there() -> str:
    sh(f"systemctl enable --now {UNIT}.timer")
    assert sh(f"systemctl is-active {UNIT}.timer") == "active"
    assert (UNITS / f"timers.target.wants/{UNIT}.timer").is_symlink()
    assert about("ActiveState") == "failed"  # of the check before: uninstalling finds it so
    due = sh(f"systemctl show {UNIT}.timer --property=NextElapseUSecRealtime --value")
    assert due, "it is never due"
    return f"enabled, next at {due}"
