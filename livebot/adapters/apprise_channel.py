"""A channel of alerts: one or several services that apprise knows, each by its URL.

Rules of this file: no URL, and no part of one, is in any message, log, error or repr; apprise blocks, and its own pool of
threads would hold up the end of the process, so that each channel has one daemon thread of its own; a thread that hangs
is waited for no longer than the time limit, and gets nothing new before it is free again.
"""

import asyncio
import logging
import os
import queue
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import apprise

from livebot.adapters.log.redaction import Redaction, secrets_of
from livebot.adapters.log.url_secrets import secret_parts
from livebot.errors import BadInput, Transient

_WHY_LENGTH_MAX = 200
_POLL_S = 0.05
_TYPES = {
    "info": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "critical": apprise.NotifyType.FAILURE,
}
_Job = tuple[str, str, str, Callable[[str | None], None]]


class AppriseChannel:
    """Sends to all of its services; what one of them refused is tried again there alone."""

    def __init__(self, name: str, urls: Sequence[str], *, timeout_s: float) -> None:
        """`urls` are secrets; a message is given `timeout_s` to arrive.

        Raises:
            BadInput: there is none, or apprise does not understand one (told by its place, never by its text).

        """
        self.name = name
        self._timeout_s = timeout_s
        own = (part for url in urls for part in (url, *secret_parts(url)))
        self._redact = Redaction((*own, *secrets_of(os.environ)))
        self._spare = Redaction(secrets_of(os.environ))  # what must not leave with a message
        _keep_quiet()
        self._services = [_service(url, place, name) for place, url in enumerate(urls, start=1)]
        if not self._services:
            raise BadInput(f"{name}: no URL stands there")
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._busy = False
        self._late: tuple[str, str] | None = None  # what arrived when nobody waited for it any more
        self._message: tuple[str, str] | None = None  # the last one, and who has it already
        self._reached: set[int] = set()

    def __repr__(self) -> str:
        return f"AppriseChannel({self.name!r}, {len(self._services)} services)"

    async def send(self, title: str, body: str, level: str) -> None:
        """Return once all services have the message.

        Raises:
            Transient: one of them has not, or nobody knows; the text says why, without a secret.

        """
        title, body = self._spare(title), self._spare(body)
        try:
            async with asyncio.timeout(self._timeout_s):
                while self._busy:  # noqa: ASYNC110 - an earlier message hangs in the thread, which nobody can end
                    await asyncio.sleep(_POLL_S)
                why = None
                if (title, body) != self._late:
                    why = await self._hand_over(title, body, level)
                self._late = None
        except TimeoutError:
            raise Transient(f"no answer within {self._timeout_s:g} s") from None
        if why is not None:
            raise Transient(why)

    def _hand_over(self, title: str, body: str, level: str) -> "asyncio.Future[str | None]":
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"alerts:{self.name}", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str | None] = loop.create_future()

        def settle(why: str | None) -> None:
            self._busy = False
            if not answer.done():
                answer.set_result(why)
            elif why is None:
                self._late = (title, body)

        def done(why: str | None) -> None:
            with suppress(RuntimeError):  # the loop has ended before the service answered
                loop.call_soon_threadsafe(settle, why)

        self._busy = True
        self._jobs.put((title, body, level, done))
        return answer

    # ------------------------------------------------------------ on the channel's thread

    def _work(self) -> None:
        while True:
            title, body, level, done = self._jobs.get()
            done(self._send_to_all(title, body, level))

    def _send_to_all(self, title: str, body: str, level: str) -> str | None:
        if self._message != (title, body):
            self._message, self._reached = (title, body), set()
        failures = []
        for place, service in enumerate(self._services):
            if place in self._reached:
                continue
            why = self._send_to_one(service, title, body, level)
            if why is None:
                self._reached.add(place)
            else:
                failures.append(why)
        if not failures:
            self._message = None
            return None
        return "; ".join(failures)

    def _send_to_one(self, service: apprise.Apprise, title: str, body: str, level: str) -> str | None:
        try:
            result: Any = service.notify(
                body=body, title=title, notify_type=_TYPES[level], body_format=apprise.NotifyFormat.TEXT
            )
            said = " ".join(str(entry.message) for entry in result.logs()) if not result else ""
        except Exception as error:  # noqa: BLE001 - code of many services; whatever it raises, this one has not got it
            return self._redact(f"{type(error).__name__}: {error}")[:_WHY_LENGTH_MAX]
        if result:
            return None
        return self._redact(said)[:_WHY_LENGTH_MAX] or "the service did not take it"


def _service(url: str, place: int, name: str) -> apprise.Apprise:
    asset = apprise.AppriseAsset(
        async_mode=False,  # no pool of threads
        service_timeout=0,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        result_log_disk_size=0,
    )
    made = apprise.Apprise(asset=asset)
    with warnings.catch_warnings():  # the first URL loads the code of all services, which warns of itself
        warnings.simplefilter("ignore", DeprecationWarning)
        understood = made.add(url)
    for service in made:
        if "overflow=" not in url:
            service.overflow_mode = apprise.OverflowMode.SPLIT  # as it comes, a text too long would be refused
    if not understood or len(made) != 1:
        raise BadInput(
            f"{name}: URL {place} is not one that apprise understands; https://appriseit.com lists the services and how "
            "their URLs are written"
        )
    return made


def _keep_quiet() -> None:
    """What apprise logs may hold URLs; what matters of it comes with the result of each call."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
