"""What is wrong now: one plain sentence for each source, told once and lifted when it has passed."""

from collections.abc import Callable

import structlog

_log = structlog.get_logger(__name__)

# (source, sentence); None instead of a sentence says that it has passed
Report = Callable[[str, str | None], None]


class Problems:
    """The present problems, in the order in which they arose.  `changed` hears each change, for alerts and the log."""

    def __init__(self, changed: Report | None = None) -> None:
        """Start with none."""
        self._sentences: dict[str, str] = {}
        self._changed = changed

    def report(self, source: str, sentence: str | None) -> None:
        """Say what is wrong with `source`, or None that nothing is any more.  Saying the same again changes nothing."""
        if sentence == self._sentences.get(source):
            return
        if sentence is None:
            del self._sentences[source]
        else:
            self._sentences[source] = sentence
        try:
            if self._changed is not None:
                self._changed(source, sentence)
        except Exception as error:  # noqa: BLE001 - a listener; who reports a problem must not get another one
            _log.error("problem_not_told", source=source, exc_info=error)

    def of(self, source: str) -> str | None:
        """What is wrong with this source, if anything is."""
        return self._sentences.get(source)

    def sentences(self) -> tuple[str, ...]:
        """For the operator's screen."""
        return tuple(self._sentences.values())
