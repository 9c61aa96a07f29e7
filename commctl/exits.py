"""How a command ends: exit statuses, and what ends one early with a sentence for people."""

DONE = 0
REFUSED = 1
USED_WRONGLY = 2
PARTIAL = 3
FAILED = 4
CANCELLED = 5
NO_SERVER = 6
TIMED_OUT = 124
INTERRUPTED = 130

OF_OPERATION = {"finished": DONE, "partial": PARTIAL, "failed": FAILED, "cancelled": CANCELLED}
"""By the status of an operation that is over."""


class Ended(Exception):
    """The command ends here; the sentences say why, on standard error."""

    status = REFUSED

    def __init__(self, *sentences: str) -> None:
        super().__init__(*sentences)
        self.sentences = sentences


class Refused(Ended):
    """The service does not do it, or there is no such thing."""

    def __init__(self, *sentences: str, code: int = 0, kind: str = "") -> None:
        super().__init__(*sentences)
        self.code = code
        """The status of HTTP; 0 where nothing was asked."""
        self.kind = kind
        """The last part of the problem's `type`: `conflict`, `not-found`."""


class WrongUse(Ended):
    """What was typed makes no sense."""

    status = USED_WRONGLY


class NoServer(Ended):
    """Nobody answers."""

    status = NO_SERVER


class NoLogin(Ended):
    """The service does not let us in."""

    status = NO_SERVER

    def __init__(self, *sentences: str, code: int = 0) -> None:
        super().__init__(*sentences)
        self.code = code
        """The status of HTTP; 0 where nothing was asked."""


class TimedOut(Ended):
    """The time that was given is over; what was begun goes on in the service."""

    status = TIMED_OUT


class Left(Ended):
    """Ctrl-C; what was begun goes on in the service."""

    status = INTERRUPTED
