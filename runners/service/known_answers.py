"""What keeps answers, as the settings want it."""

from projections.reads import SQLiteReads
from runners.service.storage import Storage
from runners.settings.settings import Settings
from web.authentication.authentication import Authentication
from web.events.live_window import EventWindow
from web.http.clients import Clients
from web.known_answers import KnownAnswers
from web.request_log import RequestLog


def known_answers(
    settings: Settings,
    storage: Storage,
    authentication: Authentication,
    log: RequestLog,
    window: EventWindow,
) -> KnownAnswers | None:
    """What keeps answers, where the settings want it and the database says whether it changed."""
    kept, reads = settings.known_answers_bytes, storage.log_reads
    if not (kept and isinstance(reads, SQLiteReads)) or settings.runners_only:
        return None
    return KnownAnswers(
        reads,
        storage.live_tables.must_go_on,
        authentication,
        Clients(settings.trusted_proxy),
        log,
        lambda: window.head,
        kept,
    )
