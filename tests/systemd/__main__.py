"""Boots a real systemd in a container and checks livebot's units there: `make systemd`.

    python -m tests.systemd [WORD...]      only checks whose name has one of the words; the installing is always done

A minimal Debian root is made once by mmdebstrap and kept in the user's cache, also as it is after deploy/install.sh has
installed this lock in it; each run works on a fresh copy, which install.sh upgrades to this checkout.  Where a machine
cannot do that, the run says `skipped: ...` and why, and is no failure.  Its last line is the sum.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SUITE = "trixie"
PACKAGES = "systemd,dbus,python3,python3-venv,ca-certificates,libgomp1"
TOOLS = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container"}
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "livebot-systemd"
BOOT_S = 600.0
MARKETS = ("alpha", "beta", "gamma")
MEMORY_BYTES = 4 * 2**30  # more than a root with two versions takes
DRIVER = """
[Unit]
Description=The checks
After=multi-user.target
[Service]
Type=oneshot
WorkingDirectory=/checkout
StandardOutput=file:/out/transcript
StandardError=file:/out/errors
PassEnvironment=PIP_CERT PIP_DEFAULT_TIMEOUT PIP_INDEX_URL HTTPS_PROXY https_proxy NO_PROXY no_proxy
ExecStart=/bin/bash -c 'python3 -m tests.systemd.inside {words}; systemctl exit $?'
"""


class Skipped(Exception):
    """This machine cannot do it; the text says why."""


def main() -> int:
    """0 if all is well or cannot be looked at here."""
    began = time.monotonic()
    try:
        check_machine()
        base = base_root()
        with work_folder() as work:
            root = work / "root"
            root.mkdir()
            unpack(base, root)
            check_container(root)
            install(root)
            failed = boot(root, work / "out", sys.argv[1:])
    except Skipped as why:
        print(f"skipped: the systemd units are not checked: {why}", flush=True)
        return 0
    print(
        f"systemd: {failed or 'no'} check{'s' if failed != 1 else ''} failed, {time.monotonic() - began:.0f} s in all"
    )
    return min(failed, 1)


def run(*command: str, seconds: float = 900) -> str:
    """The output.  Raises AssertionError, with it, if the command fails."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@contextmanager
def work_folder() -> Iterator[Path]:
    """Where the container lies: in memory if there is plenty, because it has 100,000 files."""
    with tempfile.TemporaryDirectory(prefix="livebot-systemd-", dir="/var/tmp") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={MEMORY_BYTES},mode=0755", "tmpfs", folder]
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        in_memory = free > 2 * MEMORY_BYTES and subprocess.run(mount, check=False).returncode == 0
        try:
            yield Path(folder)
        finally:
            if in_memory:
                run("umount", folder)


def check_machine() -> None:
    """Raises Skipped if it is not a Linux with root and the tools, and cannot be made one."""
    if sys.platform != "linux":
        raise Skipped("it takes Linux")
    if os.geteuid() != 0:
        raise Skipped("it takes root (a container is booted)")
    lacking = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if not lacking:
        return
    if shutil.which("apt-get") is None:
        raise Skipped(f"{' and '.join(lacking)} are not installed")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    try:
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *lacking)
    except AssertionError as error:
        raise Skipped(f"{' and '.join(lacking)} could not be installed: {str(error).splitlines()[-1]}") from error


def base_root() -> Path:
    """The archive of a minimal Debian, made if it is not in the cache.  Raises Skipped."""
    name = hashlib.sha256(PACKAGES.encode()).hexdigest()[:10]
    made = CACHE / f"{SUITE}-{name}.tar"
    if not made.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = made.with_name(f".{os.getpid()}.tar")
        print(f"making a Debian root in {CACHE}, once", flush=True)
        try:
            run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(part))
        except AssertionError as error:
            part.unlink(missing_ok=True)
            raise Skipped(f"a Debian root cannot be made: {str(error).splitlines()[-1]}") from error
        part.rename(made)
    return made


def nspawn(root: Path, *more: str) -> list[str]:
    """The beginning of a command that enters the container."""
    pip = CACHE / "pip"
    pip.mkdir(parents=True, exist_ok=True)
    command = ["systemd-nspawn", "--quiet", f"--directory={root}", "--register=no", "--keep-unit"]
    command += ["--machine=livebot-systemd", f"--bind-ro={CHECKOUT}:/checkout", f"--bind={pip}:/var/cache/pip"]
    command += ["--resolv-conf=replace-host", *more]
    for name, value in os.environ.items():
        if name.lower() in ("pip_index_url", "pip_default_timeout", "https_proxy", "no_proxy"):
            command.append(f"--setenv={name}={value}")
    if os.environ.get("PIP_CERT"):
        command.append("--setenv=PIP_CERT=/etc/ssl/certs/ca-certificates.crt")
    return command


def check_container(root: Path) -> None:
    """Raises Skipped if no container runs here at all."""
    try:
        run(*nspawn(root), "/bin/true", seconds=60)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        raise Skipped(f"no container runs here: {str(error).splitlines()[-1]}") from error


def install(root: Path) -> None:
    """deploy/install.sh in the container, before it is booted: from the lock once, then as an upgrade of that."""
    certificates = Path(os.environ.get("PIP_CERT", "/etc/ssl/certs/ca-certificates.crt"))
    if certificates.is_file():
        shutil.copy(certificates, root / "etc/ssl/certs/ca-certificates.crt")
    (root / "etc/pip.conf").write_text("[global]\ncache-dir = /var/cache/pip\n")
    lock = hashlib.sha256((CHECKOUT / "requirements.lock").read_bytes()).hexdigest()[:10]
    kept = CACHE / f"{SUITE}-with-{lock}.tar"
    began = time.monotonic()
    if kept.exists():
        unpack(kept, root)
        said = run(*nspawn(root), "/checkout/deploy/install.sh", "--upgrade", *MARKETS)
    else:
        said = run(*nspawn(root), "/checkout/deploy/install.sh", *MARKETS)
        part = kept.with_name(f".{os.getpid()}.tar")
        run("tar", "--create", "--file", str(part), "--directory", str(root), "opt/livebot")
        part.rename(kept)
        for older in set(CACHE.glob(f"{SUITE}-with-*.tar")) - {kept}:
            older.unlink()
    print(said, end="")
    print(f"installed in {time.monotonic() - began:.0f} s", flush=True)


def unpack(archive: Path, root: Path) -> None:
    """Put the files of an archive where they belong."""
    run("tar", "--extract", "--file", str(archive), "--directory", str(root))


def boot(root: Path, out: Path, words: list[str]) -> int:
    """Boot it, let the driver run, and tell what it found; how many checks failed."""
    out.mkdir()
    units = root / "etc/systemd/system"
    (units / "checks.service").write_text(DRIVER.format(words=" ".join(words)))
    (units / "multi-user.target.wants").mkdir(exist_ok=True)
    (units / "multi-user.target.wants/checks.service").symlink_to("../checks.service")
    with (out / "console").open("wb") as console:
        container = subprocess.Popen(
            [*nspawn(root, "--boot", "--console=pipe", f"--bind={out}:/out")],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
        try:
            code = container.wait(BOOT_S)
        except subprocess.TimeoutExpired:
            container.terminate()
            container.wait(30)
            code = 100
    transcript = out / "transcript"
    text = transcript.read_text() if transcript.exists() else ""
    print(text, end="", flush=True)
    if code and "FAILED" not in text:
        print((out / "console").read_text(errors="replace")[-4000:])
        errors = out / "errors"
        print(errors.read_text() if errors.exists() else f"the container ended with {code}, and no check was made")
    return code


if __name__ == "__main__":
    sys.exit(main())
