"""Every type of event there is: to import this is to know them all, whoever asks first."""

from domain import cluster, container_manager_events, host_events, network, operation_events, source
from domain.event import TOPICS

__all__ = ["MODULES", "TOPICS"]

MODULES = (cluster, container_manager_events, host_events, network, operation_events, source)
"""Where event classes are."""
