"""Has commands carried out: each is audited, seen through to its end, and told once to who repeats it under one key.

Rules of this file: a command that was begun is never cut short because its caller went away; no command waits for
another one, so a halt is never behind a flatten; what came of it is audited also when nobody waits for it any more.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2s
from http import HTTPStatus
from itertools import count
from typing import Any

import orjson

from livebot.control_ports import SystemControl
from livebot.errors import LivebotError, Rejected
from livebot.ops.control.answers import Refused
from livebot.ops.control.commands import Command

Audit = Callable[[str, Mapping[str, object]], None]
"""Told of each command before it runs (`command`), of what came of it (`command_outcome`), and of who only repeated one
(`command_repeated`): the kind of the line, and its fields as plain JSON values."""

COMMAND_SECONDS = 30.0
KEYS_KEPT = 256
UNDER_WAY_MAX = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller is told."""

    status: HTTPStatus
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Begun:
    """A command under way, or ended; `digest` is of what was asked for."""

    number: int
    digest: bytes
    task: "asyncio.Task[Answer]"


class Desk:
    """One for a daemon, whichever way its callers come."""

    def __init__(
        self,
        control: SystemControl,
        audit: Audit,
        *,
        command_seconds: float = COMMAND_SECONDS,
        keys_kept: int = KEYS_KEPT,
    ) -> None:
        """Nothing is under way; the answers to the last `keys_kept` keys are kept."""
        self._control = control
        self._audit = audit
        self._command_seconds = command_seconds
        self._keys_kept = keys_kept
        self._keys: OrderedDict[str, _Begun] = OrderedDict()
        self._numbers = count(1)
        self._under_way: set[asyncio.Task[Answer]] = set()

    async def carry_out(self, command: Command, given: Mapping[str, Any], who: str, key: str | None) -> Answer:
        """Begin the command, unless it is one that was begun under this key; what came of it, or that it goes on.

        Raises:
            Refused: the key is another command's, or too much is under way; nothing was begun.

        """
        arguments = {name: str(value) if isinstance(value, Decimal) else value for name, value in given.items()}
        asked = orjson.dumps([command.name, arguments], option=orjson.OPT_SORT_KEYS)
        digest = blake2s(asked).digest()  # ten thousand symbols need not be kept
        known = None if key is None else self._keys.get(key)
        if known is not None:
            if known.digest != digest:
                text = (
                    f"this Idempotency-Key was another command's (number {known.number} in the journal); use a new one"
                )
                raise Refused(text, HTTPStatus.UNPROCESSABLE_ENTITY)
            self._audit("command_repeated", {"number": known.number, "command": command.name, "who": who})
            return await self._see_through(command, known.task)
        begun = self._begin(command, given, arguments, who, digest)
        if key is not None:
            self._keys[key] = begun
            if len(self._keys) > self._keys_kept:
                self._keys.popitem(last=False)
        return await self._see_through(command, begun.task)

    def _begin(
        self, command: Command, given: Mapping[str, Any], arguments: Mapping[str, object], who: str, digest: bytes
    ) -> _Begun:
        if len(self._under_way) >= UNDER_WAY_MAX * (2 if command.urgent else 1):
            text = f"{len(self._under_way)} commands are under way and none of them ends; try again, or halt"
            raise Refused(text, HTTPStatus.SERVICE_UNAVAILABLE)
        number = next(self._numbers)
        self._audit("command", {"command": command.name, "who": who, **arguments, "number": number})
        work = self._ask(number, command, given, who)
        task = asyncio.create_task(work, name=f"control {command.name}")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return _Begun(number, digest, task)

    async def _ask(self, number: int, command: Command, given: Mapping[str, Any], who: str) -> Answer:
        """Raises whatever is no deliberate error, after telling the audit."""
        outcome, text = "cut short", "livebot stopped meanwhile"
        try:
            text = await command.ask(self._control, given)
            outcome = "done"
            return Answer(HTTPStatus.OK, {"message": text})
        except Rejected as error:
            outcome, text = "refused", str(error)
            return Answer(HTTPStatus.CONFLICT, {"error": text})
        except LivebotError as error:  # the daemon's own trouble, not a refusal
            outcome, text = "failed", str(error)
            self._forget(number)
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": text})
        except Exception as error:
            outcome, text = "failed", f"{type(error).__name__}, see the log"
            self._forget(number)
            raise
        finally:
            line = {"number": number, "command": command.name, "who": who, "outcome": outcome, "text": text}
            self._audit("command_outcome", line)

    def _forget(self, number: int) -> None:
        """What livebot could not do, it may be able to do when it is asked again."""
        for key, begun in self._keys.items():
            if begun.number == number:
                del self._keys[key]
                return

    async def _see_through(self, command: Command, task: "asyncio.Task[Answer]") -> Answer:
        done, _ = await asyncio.wait({task}, timeout=self._command_seconds)
        if not done:
            text = (
                f"{command.name} is still under way after {self._command_seconds:g} s and goes on; "
                "`livebot status` shows what comes of it"
            )
            return Answer(HTTPStatus.GATEWAY_TIMEOUT, {"error": text})
        return task.result()

    async def close(self) -> None:
        """Let what is under way end, for a bounded time."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._command_seconds)
        for task in self._under_way:
            task.cancel()
