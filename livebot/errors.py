"""Every exception livebot raises on purpose, by whose fault it is and what happens next.

Transient: try again, a bounded number of times.  Rejected: a definite no, it becomes a state change.
Unknown: nobody knows whether it happened, reconcile.  Fatal: this part cannot go on, stop it and say why.
"""


class LivebotError(Exception):
    """Base of all deliberate errors; the text is written for the operator."""


class Transient(LivebotError):
    """The outside failed in a way that may pass; the caller retries, bounded."""


class Rejected(LivebotError):
    """The outside, or a check of ours, said a definite no; nothing was changed there."""


class Unknown(LivebotError):
    """The outcome is not known; only a reconciliation with the venue can tell."""


class Fatal(LivebotError):
    """This part of the daemon cannot go on; the text says what to do."""


class IllegalTransition(Fatal):
    """A state machine was given an input that its table does not hold; nothing was changed."""


class BadInput(Rejected):
    """Something that came from outside (file, config, candle, request) is refused; the text says why and the mend."""
