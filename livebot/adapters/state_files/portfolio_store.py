"""`state/portfolio.json`: what the portfolio must remember over a restart, above all a halt."""

from pathlib import Path

from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.durable_files import DurableFiles, fatal_of
from livebot.adapters.state_files.sealed_json import seal, unseal
from livebot.adapters.state_files.state_schemas import PORTFOLIO_UPGRADES
from livebot.errors import BadInput, Fatal, LivebotError
from livebot.ports import PortfolioMemory

FILE_NAME = "portfolio.json"
MEMORY: Codec[PortfolioMemory] = Codec(PortfolioMemory)


class FilePortfolioStore:
    """A PortfolioStore in a folder.  A damaged file is never moved or replaced: an operator must look at it."""

    def __init__(self, folder: Path, system: str, files: DurableFiles) -> None:
        self._path = folder / FILE_NAME
        self._system = system
        self._files = files

    async def load(self) -> PortfolioMemory | None:
        """None if there is none yet; call it before the first save.

        Raises:
            Fatal: it is damaged, of another system, of another version, or cannot be read; nothing was moved.

        """
        return await self._files.run(self._load)

    async def save(self, memory: PortfolioMemory) -> None:
        """Durable when it returns.

        Raises:
            Fatal: not written, and the old file still stands.

        """
        await self._files.write(self._path, seal({"system": self._system, **MEMORY.to_tree(memory)}))

    def _load(self) -> PortfolioMemory | None:
        try:
            data = self._files.layer.read(self._path)
        except FileNotFoundError:
            self._files.remove_scratch(self._path.parent)
            return None
        except OSError as error:
            raise fatal_of("read", self._path, error) from error
        try:
            tree = unseal(data, PORTFOLIO_UPGRADES)
            system = tree.pop("system", None)
            if system != self._system:
                message = f"it is of system {system}, and this is {self._system}: give each system a root of its own"
                raise Fatal(message)
            memory = MEMORY.from_tree(tree)
        except BadInput as error:
            raise Fatal(self._damaged(error)) from None
        except Fatal as error:
            message = f"{self._path}: {error}"
            raise Fatal(message) from None
        self._files.make_names_durable(self._path.parent)
        self._files.remove_scratch(self._path.parent)
        return memory

    def _damaged(self, error: BadInput) -> str:
        aside = self._path.with_name(f"{FILE_NAME}.damaged")
        return (
            f"{self._path} is damaged: {error}. It would say whether trading is halted and why, and the equity that "
            f"daily loss and drawdown count from. Read it (cat {self._path}). If trading may go on, move it away "
            f"(mv {self._path} {aside}) and start again: livebot then starts ACTIVE and counts both from that moment. "
            "If it was halted, start it and `livebot halt` at once, or leave it stopped"
        )


def seen_memory(path: Path) -> PortfolioMemory | None:
    """What a `portfolio.json` says, for who only looks; None if there is none, or none that can be read."""
    try:
        tree = unseal(path.read_bytes(), PORTFOLIO_UPGRADES)
        tree.pop("system", None)
        return MEMORY.from_tree(tree)
    except (OSError, LivebotError):
        return None
