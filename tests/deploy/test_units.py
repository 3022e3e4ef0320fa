"""The files of deploy/, as far as they can be judged without a systemd that runs; `make systemd` boots one."""

import importlib.util
import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).resolve().parents[2]
DEPLOY = CHECKOUT / "deploy"
UNIT = DEPLOY / "livebot@.service"
RETRAIN = DEPLOY / "livebot-retrain@.service"
SCRIPTS = sorted(DEPLOY.glob("*.sh"))
NEWER_KEYS = ("RestartSteps", "RestartMaxDelaySec", "RestartMode")  # than systemd 252, which says so and goes on
EXPOSURE_MAX = 2.0


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def settings(unit: Path = UNIT) -> dict[str, list[str]]:
    """Every key of a unit with its values."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(\w*)", text).groups()
    return float(number) * {"": 1, "s": 1, "min": 60, "h": 3600}[unit]


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copies that name a program which is here, because `verify` looks for it."""
    for file in (*DEPLOY.glob("*.service"), *DEPLOY.glob("*.slice"), *DEPLOY.glob("*.timer")):
        text = re.sub(
            r"^(ExecStart(?:Pre)?=-?)/opt/\S+|(ExecStart=)/usr/local/\S+",
            r"\1\2/bin/true",
            file.read_text(),
            flags=re.MULTILINE,
        )
        (tmp_path / file.name).write_text(text)
    return tmp_path


UNITS = (
    "livebot@.service",
    "livebot-failure@.service",
    "livebot.slice",
    "livebot-retrain@.service",
    "livebot-retrain@.timer",
)


@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_every_line(units: Path, name: str) -> None:
    run = subprocess.run([tool("systemd-analyze"), "verify", units / name], capture_output=True, text=True, check=False)
    # unknown keys are complaints that leave the exit code 0; other units of the machine are none of ours
    said = [line for line in run.stderr.splitlines() if "livebot" in line]
    said = [line for line in said if not any(f"'{key}'" in line for key in NEWER_KEYS)]
    assert (run.returncode, said) == (0, [])


@pytest.mark.parametrize("name", ["livebot@.service", "livebot-retrain@.service"])
def test_little_is_exposed(units: Path, name: str) -> None:
    command = [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", units / name]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for .*: (\d+\.\d+)", run.stdout)
    assert found, run.stdout + run.stderr
    assert float(found[1]) <= EXPOSURE_MAX


def test_the_start_limit_can_be_reached_and_not_too_soon() -> None:
    """The wait before the n-th restart is first * (most / first) ** (n / steps)."""
    keys = settings()
    first, most = seconds(keys["RestartSec"][0]), seconds(keys["RestartMaxDelaySec"][0])
    burst, steps = int(keys["StartLimitBurst"][0]), int(keys["RestartSteps"][0])
    waits = [min(most, first * (most / first) ** (number / steps)) for number in range(burst)]
    interval = seconds(keys["StartLimitIntervalSec"][0])
    assert sum(waits) + burst * 180 < interval, "with three minutes for each start the limit would never be reached"
    assert sum(waits) > 20 * 60, "what mends itself within twenty minutes is not given up"


def test_the_unit_and_the_code_mean_the_same() -> None:
    from livebot.bootstrap.service import STALE
    from livebot.cli.as_service import EX_CONFIG
    from livebot.config.running import RuntimeConfig
    from livebot.config.secrets import API_KEY, API_PASSWORD, API_SECRET, CONTROL_TOKEN, MODEL_KEY

    keys = settings()
    assert str(EX_CONFIG) in keys["RestartPreventExitStatus"][0].split()
    sealed = {value.partition(":")[0] for value in keys["LoadCredentialEncrypted"]}
    assert sealed == {API_KEY, API_SECRET, API_PASSWORD, CONTROL_TOKEN, MODEL_KEY}
    assert seconds(keys["TimeoutStopSec"][0]) > RuntimeConfig().shutdown_seconds
    assert STALE in (DEPLOY / "README.md").read_text()


HARDENING = (
    *("NoNewPrivileges", "CapabilityBoundingSet", "ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices"),
    *("PrivateUsers", "PrivateIPC", "ProtectProc", "ProcSubset", "RestrictAddressFamilies", "RestrictNamespaces"),
    *(
        "RestrictSUIDSGID",
        "MemoryDenyWriteExecute",
        "SystemCallFilter",
        "DevicePolicy",
        "KeyringMode",
        "UMask",
        "LimitCORE",
    ),
)


def test_a_training_is_as_hardened_as_the_daemon_and_cannot_write_what_the_daemon_keeps() -> None:
    daemon, training = settings(), settings(RETRAIN)
    for key in HARDENING:
        assert training[key] == daemon[key], key
    assert training["StateDirectory"] == ["livebot/%i/models livebot/%i/candles"]
    assert "ReadWritePaths" not in training


def test_a_training_gives_way_to_the_daemon_and_gets_no_key_of_a_venue() -> None:
    from livebot.config.secrets import MODEL_KEY

    keys = settings(RETRAIN)
    assert int(keys["CPUWeight"][0]) < 100  # the weight of whoever says nothing
    assert int(keys["Nice"][0]) > 0
    assert int(keys["OOMScoreAdjust"][0]) > 0
    assert int(keys["MemoryMax"][0].rstrip("%")) <= 50
    assert keys["Type"] == ["oneshot"]
    assert {value.partition(":")[0] for value in keys["LoadCredentialEncrypted"]} == {MODEL_KEY}


def test_the_timer_asks_only_for_what_is_due_and_the_command_line_is_one_of_the_cli() -> None:
    from typer.main import get_command

    from livebot.cli.app import app

    for key in ("ExecStart", "ExecStartPre"):
        (line,) = settings(RETRAIN)[key]
        words = (
            line.removeprefix("-")
            .replace("${LIVEBOT_TRAIN_SINCE}", "100d")
            .replace("${LIVEBOT_TRAIN_TIMEFRAME}", "1m")
            .split()[1:]
        )
        command = get_command(app)
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        found = command.make_context("livebot", words).params
        assert key == "ExecStartPre" or found["if_due"] is True
    assert settings(DEPLOY / "livebot-retrain@.timer")["WantedBy"] == ["timers.target"]


def test_the_installer_puts_in_and_takes_away_every_unit() -> None:
    text = (DEPLOY / "install.sh").read_text()
    listed = re.search(r"UNIT_FILES=\(([^)]*)\)", text)[1].split()
    assert sorted(listed) == sorted(
        path.name for pattern in ("*.service", "*.slice", "*.timer") for path in DEPLOY.glob(pattern)
    )
    assert "livebot-retrain@*.timer" in text[text.index("uninstall() {") :]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    run = subprocess.run([tool("shellcheck"), script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert script.stat().st_mode & 0o111, "it is to be run"


def test_the_installer_says_how_it_is_used_and_refuses_the_rest() -> None:
    script = DEPLOY / "install.sh"
    told = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    for option in ("--upgrade", "--rollback", "--uninstall", "--list"):
        assert option in told.stdout
    as_nobody = ["setpriv", "--reuid=65534", "--clear-groups"] if shutil.which("setpriv") and _is_root() else []
    refused = subprocess.run([*as_nobody, script, "alpha"], capture_output=True, text=True, check=False)
    if as_nobody or not _is_root():
        assert refused.returncode != 0
        assert not Path("/etc/livebot/alpha").exists()


def _is_root() -> bool:
    import os

    return os.geteuid() == 0


# ---------------------------------------------------------------- what a daemon needs of the lock


def _script():
    spec = importlib.util.spec_from_file_location("runtime_requirements", DEPLOY / "runtime_requirements.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _needed(name: str, extras: frozenset[str], found: set[str]) -> None:
    """All that an installed distribution needs here, by its own metadata."""
    for text in metadata.requires(name) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            child = canonicalize_name(requirement.name)
            if child not in found:
                found.add(child)
                _needed(child, frozenset(requirement.extras), found)


def test_what_is_installed_is_all_that_the_daemon_needs_and_no_tool_of_ours() -> None:
    lock = (CHECKOUT / "requirements.lock").read_text()
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    kept = _script().needed(lock, [*project["dependencies"], "hatchling"])
    names = set(re.findall(r"^([a-z0-9.-]+)==", kept, re.MULTILINE))
    needed: set[str] = set()
    for text in project["dependencies"]:
        requirement = Requirement(text)
        needed.add(canonicalize_name(requirement.name))
        _needed(requirement.name, frozenset(requirement.extras), needed)
    assert needed <= names
    assert not names & {"pytest", "mypy", "ruff", "hypothesis", "playwright", "optuna", "uv"}
    for block in kept.split("\n\n"):
        assert "--hash=sha256:" in block
    assert set(kept.splitlines()) <= {*lock.splitlines(), ""}
