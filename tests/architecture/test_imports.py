"""The shape of the code: who imports whom, what things are called, what never stands in a file."""

import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
MODE_WORDS = re.compile(r"backtest|paper|is_live|dry_run", re.IGNORECASE)
EMPTY_NAMES = {"utils", "helpers", "common", "manager"}


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Each module of livebot with the modules of livebot it imports."""
    graph = grimp.build_graph("livebot", cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def files_of_the_checkout() -> list[Path]:
    """Every file that is in git, or would be after `git add --all`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_every_import_contract_is_kept():
    """The contracts stand in pyproject.toml, under tool.importlinter."""
    lint_imports = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [lint_imports, "--no-cache", "--no-logo"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_modules_import_each_other_in_a_circle(imports):
    """A circle, also one through an import inside a function, has no first module to understand."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_every_module_is_named_for_what_it_does(imports):
    """A name like `utils` says nothing, so anything ends up in it."""
    assert [] == sorted(module for module in imports if EMPTY_NAMES & set(re.split(r"[._]", module)))


@pytest.mark.parametrize("room", ["core", "strategies"])
def test_the_kernel_does_not_know_which_driver_runs_it(room):
    """One kernel: live, paper, backtest and replay differ in the clock and the exchange, never in here."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "livebot" / room).rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if MODE_WORDS.search(line)
    ]
    assert [] == found


def test_the_lock_names_no_host():
    """The lock holds names, versions and hashes; where packages come from is the machine's affair."""
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    hosts = re.compile(r"\w+://|--index-url|--extra-index-url|--find-links")
    assert [] == [line for line in lock.splitlines() if hosts.search(line)]
    assert "--hash=sha256:" in lock


def test_no_file_names_the_machine_it_was_written_on():
    """Neither the folder of this checkout nor the home folder of whoever runs the tests stands in a file."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout, so nothing says which files are its own")
    here = {str(ROOT), f"{Path.home()}/"} - {"/", "//"}
    found = [
        f"{path.relative_to(ROOT)}: {place}"
        for path in files_of_the_checkout()
        for place in here
        if place.encode() in path.read_bytes()
    ]
    assert [] == found
