"""What is not there because the log went back: whoever asks for it is told so."""

from domain.log.continuity import lost_with
from domain.refusal import not_found
from projections.reads import Reads


async def must_not_be_lost(reads: Reads, found: object, subject: str) -> None:
    """Refuse what is not there, and was before the database lost it; `subject` as in events."""
    if found is not None:
        return
    lost = await reads.point(lost_with, subject)
    if lost is not None:
        position, at = lost
        kind, _, name = subject.partition("/")
        raise not_found(
            f"There is no {kind} {name} any more: the database lost what it had of it (event"
            f" {position}, log.went_back, {at}Z). Ask for it again."
        )
