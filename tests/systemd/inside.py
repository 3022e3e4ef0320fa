"""What is checked inside the container, by a unit of its own, with systemd as the first process.

Standard library only: this is the container's Python.  Each check is a function whose name is told, with the seconds it
took and what it found; the first line that is wrong ends that check and not the others.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from tests.systemd import retraining
from tests.systemd.asking import (
    CHECKOUT,
    DROP_INS,
    ETC,
    FAILURES,
    OPT,
    VAR,
    closes,
    log,
    named,
    pid,
    restarts,
    seal,
    sh,
    shown,
    until,
    write_config,
)

SECRET = "a-key-that-must-not-be-seen-anywhere-81c0"
CONFIG = """
system: {name}
market: perpetual
exchange: {{id: simulator, simulator: {{speed: 600, seed: 3, volatility: 3, wallet: 1000000{more}}}}}
symbols: [BTC/USDT:USDT, ETH/USDT:USDT]
strategies: [{{class: "mischief:Mischief"}}]
risk:
  sizing: {{kind: fixed, notional: 1000}}
  entry: {{minimum_stop_distance: 0.0001, minimum_target_distance: 0.0001}}
  limits: {{open_signals: null, gross_exposure: null, orders_per_minute: null, daily_loss: null, drawdown: null}}
  loss_limit: null
  win_rate: null
runtime: {{history: 60, shutdown_seconds: {shutdown}}}
"""
QUICK = """
[Unit]
StartLimitIntervalSec=0
[Service]
WatchdogSec=3
RestartSec=200ms
RestartSteps=3
RestartMaxDelaySec=2
TimeoutStopSec=3
Environment=LIVEBOT_STALE_RESTART_SECONDS=4
"""


def comes_back(market: str, before: int, seconds: float = 20) -> float:
    """It runs again as another process, after exactly one restart more."""
    took = until(lambda: restarts(market) > before and shown(market, "ActiveState") == "active", seconds, "it is back")
    assert restarts(market) == before + 1
    return took


# ---------------------------------------------------------------- the checks, in this order


def installing_again_changes_nothing() -> str:
    current, config = named("current"), (ETC / "alpha/config.yaml").read_text()
    write_config("alpha", config + "# mine\n")
    said = sh("/checkout/deploy/install.sh alpha beta")
    assert named("current") == current
    assert (ETC / "alpha/config.yaml").read_text().endswith("# mine\n")
    assert "building" not in said
    return current


def systemd_understands_the_units() -> str:
    DROP_INS.mkdir(exist_ok=True)
    said = sh(
        "systemd-analyze verify livebot@alpha.service livebot-failure@alpha.service livebot.slice livebot-retrain@alpha.timer"
    )
    assert "livebot" not in said, said
    found = sh("systemd-analyze security --offline=true --threshold=20 /etc/systemd/system/livebot@.service | tail -1")
    score = float(re.search(r"(\d+\.\d+)", found)[1])
    assert score <= 2.0
    return f"exposure {score}, systemd {sh('systemctl --version').split()[1]}"


def a_start_blocks_until_first_decisions_are_possible() -> str:
    (DROP_INS / "test.conf").write_text(QUICK)
    for market in ("alpha", "beta"):
        write_config(market, CONFIG.format(name=market, more="", shutdown=20))
        shutil.copy(CHECKOUT / "tests/systemd/mischief.py", ETC / market / "strategies")
    sh("chmod -R g+rX /etc/livebot; chgrp -R livebot /etc/livebot; systemctl daemon-reload")
    seal("alpha", "LIVEBOT_API_KEY", SECRET)
    seal("alpha", "LIVEBOT_API_SECRET", SECRET[::-1])
    began = time.monotonic()
    sh("systemctl start --no-block livebot@alpha")
    states = set()
    while (state := shown("alpha", "ActiveState")) != "active":
        states.add((state, shown("alpha", "StatusText").partition(";")[0]))
        assert state in ("activating", "inactive") and time.monotonic() - began < 60, (state, log("alpha")[-3000:])
    took = time.monotonic() - began
    assert ("activating", "") in states, states
    until(lambda: said_ready_us("alpha"), 2, "the ready line")
    entered_us = int(shown("alpha", "ActiveEnterTimestampMonotonic"))
    assert entered_us > said_ready_us("alpha") - 50_000, "active before it was ready"
    return f"active {took:.1f} s after the start, when it had said that it is ready"


def said_ready_us(market: str) -> int:
    """When the log line of this name came; 0: it has not."""
    lines = sh(f"journalctl --unit livebot@{market} --boot --output json --no-pager").splitlines()
    entries = (json.loads(line) for line in lines if line.startswith("{"))
    ready = (each for each in entries if re.search(r'"event": ?"ready"', str(each["MESSAGE"])))
    return next((int(each["__MONOTONIC_TIMESTAMP"]) for each in ready), 0)


def the_status_says_how_it_stands() -> str:
    pattern = r"ACTIVE; 2 of 2 symbols run; \d+ open; nothing is wrong"
    until(lambda: re.fullmatch(pattern, shown("alpha", "StatusText")), 10, shown("alpha", "StatusText"))
    assert '"trading_state": "ACTIVE"' in sh("livebot-on alpha status --json")
    return shown("alpha", "StatusText")


def keys_arrive_encrypted_and_are_in_no_output() -> str:
    seen = (VAR / "alpha/credentials-seen").read_text()
    digest = sh(f"printf %s '{SECRET}' | sha256sum").split()[0]
    assert f"('LIVEBOT_API_KEY', '{digest}')" in seen, seen
    assert "LIVEBOT_API_SECRET" in seen and "LIVEBOT_API_PASSWORD" not in seen
    stored = Path("/etc/credstore.encrypted/livebot.alpha.LIVEBOT_API_KEY").read_text()
    environment = Path(f"/proc/{pid('alpha')}/environ").read_text()
    for text in (stored, environment, log("alpha"), sh("systemctl show livebot@alpha")):
        assert SECRET not in text
    paper = (ETC / "alpha/config.yaml").read_text()
    write_config("alpha", paper.replace("market: perpetual", "market: perpetual\nmode: live"))
    live = re.sub(r"exchange: .*", "exchange: {id: bybit}", (ETC / "alpha/config.yaml").read_text())
    write_config("alpha", live)
    (ETC / "alpha/environment").write_text("LIVEBOT_CONFIRM_LIVE=alpha\n")
    assert "nothing is wrong" in sh("livebot-on alpha check")
    write_config("alpha", paper)
    return "two sealed keys delivered, to `livebot-on alpha check` too; the third, which is not there, is no error"


def it_runs_confined() -> str:
    status = Path(f"/proc/{pid('alpha')}/status").read_text()
    assert re.search(r"CapEff:\s+0+\n", status)
    assert re.search(r"CapBnd:\s+0+\n", status)
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    assert sh(f"stat -c %U /proc/{pid('alpha')}") == "livebot"
    assert sh(f"stat -c '%U %a' {VAR}/alpha") == "livebot 700"
    assert shown("alpha", "Slice") == "livebot.slice"
    own = sh(f"nsenter -t {pid('alpha')} -m findmnt -no OPTIONS -T /etc/livebot; true")
    assert own.startswith("ro")
    return "no capability, seccomp, /etc read-only, user livebot"


def a_reload_follows_the_file_and_a_wrong_one_changes_nothing() -> str:
    before, good, restarted = pid("alpha"), (ETC / "alpha/config.yaml").read_text(), restarts("alpha")
    assert shown("alpha", "Type") == "notify-reload"  # by install.sh's drop-in; this systemd is new enough
    changed = good.replace("open_signals: null", "open_signals: 50")
    write_config("alpha", changed)
    began = time.monotonic()
    sh("systemctl reload livebot@alpha")
    took = time.monotonic() - began
    text = shown("alpha", "StatusText")
    assert text.startswith("reloaded /etc/livebot/alpha/config.yaml: risk.limits.open_signals null -> 50; ACTIVE"), text
    write_config("alpha", changed.replace("history: 60", "history: sixty"))
    sh("systemctl reload livebot@alpha")
    assert "was not reloaded" in shown("alpha", "StatusText") and "history" in shown("alpha", "StatusText")
    write_config("alpha", changed)
    assert "was not reloaded" in sh("livebot-on alpha status --json")
    write_config("alpha", good)
    sh("systemctl kill --signal=SIGHUP --kill-whom=main livebot@alpha")  # without systemd's asking
    until(lambda: "50 -> null" in shown("alpha", "StatusText"), 10, "it is told")
    assert "was not reloaded" not in sh("livebot-on alpha status --json")
    until(lambda: shown("alpha", "SubState") == "running", 10, "the reload is over for systemd")
    assert (pid("alpha"), restarts("alpha")) == (before, restarted)
    return f"systemctl reload took {took:.1f} s, to the end of it; a wrong file stood in the status; the same process"


def a_plain_credential_works_by_a_drop_in() -> str:
    folder = DROP_INS.parent / "livebot@beta.service.d"
    folder.mkdir()
    Path("/etc/livebot/beta.key").write_text(SECRET)
    Path("/etc/livebot/beta.key").chmod(0o600)
    (folder / "key.conf").write_text("[Service]\nLoadCredential=LIVEBOT_API_KEY:/etc/livebot/beta.key\n")
    sh("systemctl daemon-reload; systemctl start livebot@beta")
    assert "LIVEBOT_API_KEY" in (VAR / "beta/credentials-seen").read_text()
    SEEN["beta"] = pid("beta")
    return "LoadCredential= of a file that only root reads"


SEEN: dict[str, int] = {}  # the process of a market when it was last started


def a_blocked_loop_is_ended_by_the_watchdog() -> str:
    before = restarts("alpha")
    (VAR / "alpha/block").touch()
    took = comes_back("alpha", before)
    text = log("alpha")
    assert "Watchdog timeout" in text
    assert "mischief.py" in text and "in decide" in text, "no trace of where it stood"
    return f"back after {took:.1f} s (WatchdogSec=3), the log says where it stood"


def one_silent_symbol_restarts_nobody() -> str:
    before, process = restarts("alpha"), pid("alpha")
    (VAR / "alpha/silence-one").touch()
    until(lambda: not (VAR / "alpha/silence-one").exists(), 10, "it is heeded")
    time.sleep(1)
    first = closes("alpha")
    time.sleep(8)
    moved = [now > then for now, then in zip(closes("alpha"), first, strict=True)]
    assert sorted(moved) == [False, True], (first, closes("alpha"))
    assert (restarts("alpha"), pid("alpha")) == (before, process)
    return "9 s without a candle of one symbol, the bound being 4 s"


def stale_data_are_ended_by_the_watchdog() -> str:
    before = restarts("alpha")
    (VAR / "alpha/silence").touch()
    until(lambda: "NO PROGRESS" in shown("alpha", "StatusText"), 20, "it is told in the status")
    reason = shown("alpha", "StatusText").partition(";")[0]
    took = comes_back("alpha", before)
    assert '"event": "no_progress"' in log("alpha") or '"event":"no_progress"' in log("alpha")
    return f"{reason!r}; back {took:.1f} s later"


def kill_9_is_recovered_from() -> str:
    before = restarts("alpha")
    os.kill(pid("alpha"), signal.SIGKILL)
    return f"back after {comes_back('alpha', before):.1f} s"


def the_other_market_has_not_noticed() -> str:
    assert pid("beta") == SEEN["beta"] and restarts("beta") == 0
    assert not re.search("Watchdog timeout|no_progress", log("beta"))
    first = closes("beta")
    until(lambda: closes("beta") > first, 5, "its candles go on")
    return f"three deaths of alpha; beta is the same process, {shown('beta', 'StatusText')}"


def a_stop_is_graceful() -> str:
    began = time.monotonic()
    sh("systemctl stop livebot@alpha")
    took = time.monotonic() - began
    assert (shown("alpha", "Result"), shown("alpha", "ExecMainStatus")) == ("success", "0")
    assert re.search(r'"cause": ?"SIGINT"', log("alpha"))
    assert (VAR / "alpha/state/report.md").exists()
    return f"SIGINT, exit 0, report written, {took:.1f} s"


def a_drain_outlives_its_timeout_and_a_second_signal_cuts_it() -> str:
    sh("systemctl stop livebot@beta")
    socket = "/run/livebot-venue/venue.sock"
    sh(
        "systemd-run --quiet --unit=venue --uid=livebot -p RuntimeDirectory=livebot-venue -p PrivateUsers=no "
        f"{OPT}/current/bin/python -m livebot.simulator.host --socket {socket} --memory /run/livebot-venue/memory "
        "--symbols BTC/USDT:USDT,ETH/USDT:USDT --speed 600 --volatility 3 --latency-ms 300 --wallet 1000000"
    )
    until(lambda: Path(socket).exists(), 20, "the venue is up")
    config = CONFIG.format(name="beta", more="", shutdown=60)
    config = re.sub(r"simulator: \{.*?\}", f"simulator: {{socket: {socket}}}", config)
    shutil.rmtree(VAR / "beta/state", ignore_errors=True)
    shutil.rmtree(VAR / "beta/signals", ignore_errors=True)
    write_config("beta", config)
    for _ in range(6):  # until the venue falls silent with an order on its way
        sh("systemctl start livebot@beta")
        time.sleep(2)
        sh("systemctl kill --signal=SIGSTOP venue; systemctl stop --no-block livebot@beta")
        time.sleep(6)
        if shown("beta", "ActiveState") == "deactivating":
            break
        sh("systemctl kill --signal=SIGCONT venue")
    assert shown("beta", "ActiveState") == "deactivating", log("beta")[-3000:]
    assert shown("beta", "StatusText").startswith("stopping (SIGINT): "), shown("beta", "StatusText")
    sh("systemctl kill --signal=SIGINT --kill-whom=main livebot@beta")
    took = until(lambda: shown("beta", "ActiveState") != "deactivating", 10, "it ends")
    sh("systemctl kill --signal=SIGCONT venue; systemctl stop venue")
    assert (shown("beta", "Result"), shown("beta", "ActiveState")) == ("success", "inactive"), log("beta")[-3000:]
    return f"6 s into a stop with TimeoutStopSec=3 it still drains; the second SIGINT ends it in {took:.1f} s, success"


def a_bad_config_is_said_and_not_tried_again() -> str:
    recorder = ETC / "on-failure"
    recorder.write_text('#!/bin/sh\nprintf "ALERT %s\\n" "$1" >>/var/lib/livebot-failures/alerts\ncat >/dev/null\n')
    recorder.chmod(0o755)
    good = (ETC / "alpha/config.yaml").read_text()
    write_config("alpha", good.replace("history: 60", "history: sixty"))
    sh("systemctl start livebot@alpha", check=False)
    until(lambda: shown("alpha", "ActiveState") == "failed", 10, "it has failed")
    assert (shown("alpha", "ExecMainStatus"), restarts("alpha")) == ("78", 0)
    assert "history" in shown("alpha", "StatusText"), shown("alpha", "StatusText")
    on_a_terminal = subprocess.run(["livebot-on", "alpha", "run"], capture_output=True, text=True, check=False)
    assert on_a_terminal.returncode == 2, on_a_terminal
    write_config("alpha", good)
    return f"exit 78, 0 restarts, status {shown('alpha', 'StatusText')[:90]!r}; by hand exit 2"


def the_alert_says_what_failed() -> str:
    until((FAILURES / "alerts").exists, 10, "the alert command runs")
    until(lambda: shown_failure() == "inactive", 10, "it is done")
    story = (FAILURES / "alpha.txt").read_text()
    assert "ExecMainStatus=78" in story
    assert "history" in story
    assert (FAILURES / "alerts").read_text() == "ALERT alpha\n"
    return story.splitlines()[0]


def shown_failure() -> str:
    return sh("systemctl show livebot-failure@alpha --property=ActiveState --value")


def one_that_cannot_live_is_given_up_with_one_alert() -> str:
    (FAILURES / "alerts").unlink()
    limit = DROP_INS / "zz-limit.conf"
    limit.write_text("[Unit]\nStartLimitIntervalSec=60\nStartLimitBurst=4\n")
    sh("systemctl daemon-reload; systemctl reset-failed livebot@alpha")
    (VAR / "alpha/die").touch()
    sh("systemctl start livebot@alpha", check=False)
    until(lambda: shown("alpha", "ActiveState") == "failed", 40, "it is given up")
    until((FAILURES / "alerts").exists, 10, "the alert command runs")
    until(lambda: shown_failure() == "inactive", 10, "it is done")
    tried = restarts("alpha")
    assert 3 <= tried <= 4, tried
    assert (FAILURES / "alerts").read_text() == "ALERT alpha\n"
    (VAR / "alpha/die").unlink()
    limit.unlink()
    sh("systemctl daemon-reload; systemctl reset-failed livebot@alpha; systemctl start livebot@alpha")
    return f"{tried} restarts with growing waits, then failed, one alert; reset-failed and start: it runs"


def a_training_without_candles_fails_and_leaves_a_place_to_start_in() -> str:
    config = CONFIG.format(name="gamma", more="", shutdown=20).replace("mischief:Mischief", "prying:Prying")
    return retraining.a_training_without_candles_fails_and_leaves_a_place_to_start_in(config)


def an_upgrade_waits_until_every_config_passes() -> str:
    other, before, process = Path("/srv/other"), named("current"), pid("alpha")
    shutil.copytree(CHECKOUT, other, ignore=shutil.ignore_patterns(".*", "__pycache__", "tests"), symlinks=True)
    (other / "livebot/errors.py").open("a").write("\n# another version\n")
    assert "use --upgrade" in sh(f"{other}/deploy/install.sh", check=False)
    good = (ETC / "beta/config.yaml").read_text()
    write_config("beta", good.replace("market: perpetual", "market: bazaar"))
    said = sh(f"{other}/deploy/install.sh --upgrade", check=False)
    assert "nothing was switched" in said and "beta" in said, said
    assert named("current") == before
    write_config("beta", good)
    said = sh(f"{other}/deploy/install.sh --upgrade")
    assert named("current") != before and named("previous") == before, said
    assert pid("alpha") == process, "what runs is left alone"
    assert before in sh(f"tr '\\0' ' ' </proc/{process}/cmdline")
    return f"{before} -> {named('current')}"


def a_rollback_is_one_command() -> str:
    before = named("previous")
    sh("/checkout/deploy/install.sh --rollback")
    assert named("current") == before
    sh("systemctl restart livebot@alpha")
    assert before in sh(f"tr '\\0' ' ' </proc/{pid('alpha')}/cmdline")
    return sh("/checkout/deploy/install.sh --list").replace("\n", ", ")


def uninstalling_leaves_what_is_the_operators() -> str:
    sh("systemctl enable livebot@alpha")
    sh("/checkout/deploy/install.sh --uninstall")
    assert not OPT.exists()
    left = sh("systemctl list-units --all --plain --no-legend 'livebot@*' 'livebot-retrain@*'")
    assert left == "", left
    assert not list(Path("/etc/systemd/system").glob("*.target.wants/livebot*"))
    for kept in (ETC / "alpha/config.yaml", VAR / "alpha/state/ledger.sqlite", DROP_INS / "test.conf"):
        assert kept.exists(), kept
    assert list(Path("/etc/credstore.encrypted").glob("livebot.*"))
    return "stopped, disabled and gone; configs, keys, states and drop-ins stay"


CHECKS = (
    installing_again_changes_nothing,
    systemd_understands_the_units,
    a_start_blocks_until_first_decisions_are_possible,
    the_status_says_how_it_stands,
    keys_arrive_encrypted_and_are_in_no_output,
    it_runs_confined,
    a_reload_follows_the_file_and_a_wrong_one_changes_nothing,
    a_plain_credential_works_by_a_drop_in,
    a_blocked_loop_is_ended_by_the_watchdog,
    one_silent_symbol_restarts_nobody,
    stale_data_are_ended_by_the_watchdog,
    kill_9_is_recovered_from,
    the_other_market_has_not_noticed,
    a_stop_is_graceful,
    a_drain_outlives_its_timeout_and_a_second_signal_cuts_it,
    a_bad_config_is_said_and_not_tried_again,
    the_alert_says_what_failed,
    one_that_cannot_live_is_given_up_with_one_alert,
    a_training_without_candles_fails_and_leaves_a_place_to_start_in,
    retraining.a_training_gives_the_running_daemon_a_model,
    retraining.a_training_that_is_not_due_ends_well,
    retraining.a_training_writes_models_and_candles_only,
    retraining.a_training_that_fails_leaves_daemon_and_model_alone,
    retraining.the_timer_is_there,
    an_upgrade_waits_until_every_config_passes,
    a_rollback_is_one_command,
    uninstalling_leaves_what_is_the_operators,
)


def main() -> int:
    """How many checks failed."""
    failed, wanted = 0, sys.argv[1:]
    for check in CHECKS:
        if wanted and not any(word in check.__name__ for word in wanted):
            continue
        began = time.monotonic()
        try:
            found = check()
        except Exception:  # the others are checked all the same
            failed += 1
            outcome, found = "FAILED", traceback.format_exc(limit=3)
        else:
            outcome = "ok"
        name = check.__name__.replace("_", " ")
        print(f"{outcome:6} {name} ({time.monotonic() - began:.1f} s): {found}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(min(main(), 100))
