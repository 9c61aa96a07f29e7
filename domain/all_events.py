"""Every type of event there is: to import this is to know them all, whoever asks first."""

from domain.aggregates import (
    cluster,
    container_manager_events,
    host_events,
    log_history,
    network,
    operation_events,
    source,
    webhook,
)
from domain.aggregates.accounts import session, token, user
from domain.aggregates.planning import schedule_events, window
from domain.event import TOPICS

__all__ = ["MODULES", "TOPICS", "TYPES"]

MODULES = (
    cluster,
    container_manager_events,
    host_events,
    log_history,
    network,
    operation_events,
    schedule_events,
    session,
    source,
    token,
    user,
    webhook,
    window,
)
"""Where event classes are."""

TYPES = tuple(sorted(topic for topic, event in TOPICS.items() if not event.__subclasses__()))
"""The topics of those that are emitted; what they have in common has one too, and is in no log."""
