"""Prints the part of requirements.lock that a daemon needs, with its hashes: no test, lint or research tool.

    python3 deploy/runtime_requirements.py pyproject.toml requirements.lock NAME...

`NAME...` are wanted besides the project's dependencies.  What a requirement needs is read from the lock's own `# via`
lines.  Rules of this file: standard library only, because it runs before anything is installed.
"""  # noqa: INP001 - a script, not of the package

import re
import sys
import tomllib
from pathlib import Path

_REQUIREMENT = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)==")
_PARENT = re.compile(r"^ +#(?: via)? +(?P<name>[a-z0-9][a-z0-9.-]*)")


def needed(lock: str, wanted: list[str]) -> str:
    """The lines of the lock for `wanted` and all that they need, as far as the lock says why something is in it."""
    blocks: dict[str, list[list[str]]] = {}
    parents: dict[str, set[str]] = {}
    current: list[str] = []
    name = ""
    for line in lock.splitlines():
        if found := _REQUIREMENT.match(line):
            name, current = found["name"], []
            blocks.setdefault(name, []).append(current)  # one name can stand there once for each range of Pythons
        if name:
            current.append(line)
            if via := _PARENT.match(line):
                parents.setdefault(name, set()).add(via["name"])
    kept = {each for each in blocks if each in {_normal(want) for want in wanted}}
    while more := {each for each in blocks if each not in kept and kept & parents.get(each, set())}:
        kept |= more
    return "\n".join(line for each in blocks if each in kept for block in blocks[each] for line in block) + "\n"


def _normal(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement.strip())[0]).lower()


def main() -> None:
    """As the module says."""
    project, lock, *more = sys.argv[1:]
    dependencies = tomllib.loads(Path(project).read_text("utf-8"))["project"]["dependencies"]
    sys.stdout.write(needed(Path(lock).read_text("utf-8"), [*dependencies, *more]))


if __name__ == "__main__":
    main()
