"""What the checks ask and tell systemd and livebot, inside the container.

Standard library only, as inside.py.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

CHECKOUT = Path("/checkout")
ETC, VAR, OPT = Path("/etc/livebot"), Path("/var/lib/livebot"), Path("/opt/livebot")
DROP_INS = Path("/etc/systemd/system/livebot@.service.d")
FAILURES = Path("/var/lib/livebot-failures")


def sh(command: str, *, check: bool = True) -> str:
    """The output of a shell command, with what it complains of."""
    done = subprocess.run(
        ["bash", "-c", command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
    return done.stdout.strip()


def shown(market: str, name: str) -> str:
    return sh(f"systemctl show livebot@{market} --property={name} --value")


def pid(market: str) -> int:
    return int(shown(market, "MainPID"))


def restarts(market: str) -> int:
    return int(shown(market, "NRestarts"))


def log(market: str) -> str:
    return sh(f"journalctl --unit livebot@{market} --output cat --no-pager --boot")


def named(link: str) -> str:
    """The version that `current` or `previous` names."""
    return (OPT / link).readlink().name


def until(true: Callable[[], object], seconds: float, what: str) -> float:
    """How long it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds:g} s"
        time.sleep(0.05)
    return time.monotonic() - began


def closes(market: str) -> list[int]:
    """The last close of each symbol."""
    return [int(each) for each in re.findall(r'"last_close_ms": (\d+)', sh(f"livebot-on {market} status --json"))]


def write_config(market: str, text: str) -> None:
    path = ETC / market / "config.yaml"
    path.write_text(text)
    shutil.chown(path, "root", "livebot")
    path.chmod(0o640)


def seal(market: str, name: str, value: str) -> None:
    sh("install -d -m 0700 /etc/credstore.encrypted")
    path = f"/etc/credstore.encrypted/livebot.{market}.{name}"
    sh(f"printf %s '{value}' | systemd-creds encrypt --with-key=host --name={name} - {path}")
