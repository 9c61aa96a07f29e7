"""What a person is told of each type of event: one sentence in one table.

The subject is named beside it, so the sentence begins with what happened to it. Whoever adds an
event adds its sentence (`tests/projections/test_history.py`).
"""

import re
from collections.abc import Callable
from typing import Any

from domain.aggregates import (
    cluster,
    host_events,
    log_history,
    network,
    operation_events,
    source,
    webhook,
)
from domain.aggregates import container_manager_events as container_manager
from domain.aggregates.accounts import session, token, user
from domain.aggregates.planning import schedule_events, window
from domain.event import Event
from domain.rollouts.moves import WaitsFor

WAITS_FOR: dict[WaitsFor, str] = {
    "soak": "its soak",
    "approval": "an approval",
    "window": "its window",
    "gate": "a gate",
    "members": "members that are unavailable",
    "start": "its time",
}
"""What an operation waits for, in words."""
TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z?")
"""A time as events have it: people are told it to the second."""
# Any: a function for one class of events stands beside those for others.
Telling = str | Callable[[Any], str]
"""Words with the event's fields in braces, or a function where words alone will not do."""


def _registered(event: host_events.Registered) -> str:
    by = f", owned by {event.source}" if event.source else ""
    return f"registered, to be logged in to as {event.remote_user} at port {event.ssh_port}{by}"


def _gathered(event: host_events.FactsGathered) -> str:
    return f"said what it is: {event.os} {event.os_version}".rstrip()


def _sourced(event: host_events.FactsSourced) -> str:
    said = [n for n in ("os", "cpus", "memory", "space") if getattr(event, n) is not None]
    return f"described by {event.source}: {', '.join(said) or 'nothing'}"


def _labelled(event: host_events.LabelsChanged) -> str:
    return f"labelled {', '.join(f'{k}={v}' for k, v in event.labels.items()) or 'with nothing'}"


def _to_be_checked(event: host_events.CheckRequested) -> str:
    return f"is to be looked at now{', also for updates' if event.updates else ''}"


def _updates(event: host_events.UpdatesFound) -> str:
    security = f", {event.security} of them for security" if event.security is not None else ""
    return f"has {event.all} updates waiting{security}"


def _set_up(event: host_events.BootstrapStepDone) -> str:
    changed = ", ".join(file["path"] for file in event.changed)
    return f"step {event.step} of setting it up done{f', which wrote {changed}' if changed else ''}"


def _created(event: cluster.Created) -> str:
    manager = f" and container manager {event.container_manager}" if event.container_manager else ""
    return f"created with network {event.network}{manager}"


def _policy(event: cluster.PolicyChanged) -> str:
    most = event.max_unavailable
    away = (
        "has no limit to members that are away" if most is None else f"{most} members may be away"
    )
    kept = [("window", event.window), ("gate", event.gate)]
    return ", ".join([away, *(f"keeps to {what} {name}" for what, name in kept if name)])


def _started(event: operation_events.Started) -> str:
    version = f" to {event.version}" if event.version else ""
    skipped = f", {len(event.skipped)} skipped" if event.skipped else ""
    again = f", again after {event.predecessor}" if event.predecessor else ""
    return (
        f"{event.kind} of {event.cluster}{version} began: {len(event.hosts)} hosts{skipped}{again}"
    )


def _scheduled(event: schedule_events.Defined) -> str:
    what = f"{event.operation.get('kind')} of {event.operation.get('cluster')}"
    return f"fires at '{event.cron}' in {event.zone}: {what}"


def _waits(event: operation_events.Waits) -> str:
    if not event.what:
        return "waits for its own hosts only"
    until = f" until {event.until}" if event.until else ""
    return f"waits for {WAITS_FOR[event.what]}{until}"


def _roles(event: user.Added | user.RoleChanged | token.Created) -> str:
    more = "".join(f", {role} in cluster {name}" for name, role in event.clusters.items())
    return f"{event.role}{more}"


def _user_added(event: user.Added) -> str:
    how = "" if event.has_password else ", without a password"
    return f"added as {_roles(event)}{how}"


def _password_changed(event: user.PasswordChanged) -> str:
    return "has another password" if event.has_password else "has no password any more"


def _token_created(event: token.Created) -> str:
    whose = f" by {event.owner}" if event.owner else ""
    end = f", until {event.expires}" if event.expires else ""
    return f"made{whose}, to act as {_roles(event)}{end}"


TELLINGS: dict[type[Event], Telling] = {
    host_events.Registered: _registered,
    host_events.Removed: "removed, and its credentials destroyed",
    host_events.JoinedCluster: "joined cluster {cluster}",
    host_events.LeftCluster: "left cluster {cluster}",
    host_events.KeyPinned: "showed its host key for the first time: it is trusted from now on",
    host_events.KeyRefused: "showed another host key, which was refused",
    host_events.KeyApproved: "another host key was approved",
    host_events.KeyForgotten: "its host key was forgotten: the next one is trusted",
    host_events.FactsGathered: _gathered,
    host_events.FactsSourced: _sourced,
    host_events.BootstrapStepSent: "step {step} of setting it up for network {network} sent",
    host_events.BootstrapStepDone: _set_up,
    host_events.BootstrapStepFailed: "step {step} of setting it up failed",
    host_events.Bootstrapped: "set up",
    host_events.Activated: "took up work in its cluster",
    host_events.Failed: "failed",
    host_events.Recovered: "answered again",
    host_events.LabelsChanged: _labelled,
    host_events.CheckRequested: _to_be_checked,
    host_events.UpdatesFound: _updates,
    host_events.CredentialsRead: "its credentials were read",
    host_events.CredentialsRotated: "its credentials were changed",
    cluster.Created: _created,
    cluster.HostJoined: "{address} joined",
    cluster.HostLeft: "{address} left",
    cluster.RemovalStarted: "began to be removed",
    cluster.Removed: "removed",
    cluster.OperationStarted: "operation {operation} began",
    cluster.OperationEnded: "operation {operation} ended",
    cluster.PolicyChanged: _policy,
    cluster.LockTaken: "{address} took a lock, to restart by itself",
    cluster.LockGiven: "the lock of {address} is free again",
    network.Created: "created, of type {type}",
    network.TakenUp: "taken up by cluster {cluster}",
    network.Released: "released by cluster {cluster}",
    network.Removed: "removed",
    container_manager.Created: "created, of type {type}",
    container_manager.TakenUp: "taken up by cluster {cluster}",
    container_manager.Released: "released by cluster {cluster}",
    container_manager.NodeWanted: "{address} of cluster {cluster} is to become a node",
    container_manager.NodeRegistered: "{address} is a node",
    container_manager.NodeUnwanted: "{address} is not to be a node any more",
    container_manager.NodeRemoved: "{address} is no node any more",
    container_manager.UncordonWanted: "{address} may run pods again after operation {operation}",
    container_manager.NodeUncordoned: "{address} runs pods again after operation {operation}",
    container_manager.NodeGivenUp: "what was wished for {address} is given up",
    container_manager.RemovalStarted: "began to be removed",
    container_manager.Removed: "removed, and its token destroyed",
    operation_events.Started: _started,
    operation_events.HostStarted: "{address}: it is its turn",
    operation_events.StepSent: "{address}: step {step} sent",
    operation_events.StepWaits: "{address}: step {step} waits: {reason}",
    operation_events.StepDone: "{address}: step {step} done, {next} is next",
    operation_events.RebootRequested: "{address}: told to reboot",
    operation_events.HostDone: "{address}: done",
    operation_events.HostFailed: "{address}: failed",
    operation_events.HostUnknown: "{address}: nobody knows what became of it",
    operation_events.Paused: "paused",
    operation_events.Resumed: "resumed",
    operation_events.CancelRequested: "to be cancelled",
    operation_events.Ended: "ended: {status}",
    operation_events.Retried: "retried by {operation}",
    operation_events.Waits: _waits,
    operation_events.WaveStarted: "wave {wave} began",
    operation_events.WaveApproved: "wave {wave} was approved",
    operation_events.HostUnwell: "{address}: was done, and is not active any more",
    operation_events.HostWell: "{address}: active again",
    log_history.WentBack: "went back from position {known_position} to {common_position}",
    log_history.ClockSetBack: "was stamped ahead, up to {recorded_at}: its times begin anew",
    log_history.CheckpointSigned: "signed as it is up to its event number {size}",
    log_history.KeyRotated: "is signed with another key from now on",
    user.Added: _user_added,
    user.RoleChanged: lambda event: f"is {_roles(event)} from now on",
    user.PasswordChanged: _password_changed,
    user.Removed: "removed: may not log in any more",
    token.Created: _token_created,
    token.Revoked: "revoked",
    session.Started: "{user} logged in, until {ends}",
    session.Ended: "the session of {user} ended",
    window.Defined: "opens at '{starts}' in {zone}, for {duration_s} seconds",
    window.TakenUp: "taken up by {by}",
    window.Released: "released by {by}",
    window.Removed: "removed",
    schedule_events.Defined: _scheduled,
    schedule_events.Fired: "fired: operation {operation} began, as was due at {due}",
    schedule_events.NotBegun: "fired at {due}, and nothing could be begun",
    schedule_events.Missed: "missed {count} firings, the last was due at {due}",
    schedule_events.SetBack: "had a clock that was ahead: what is due after {after} is to come",
    schedule_events.Removed: "removed: it fires no more",
    source.BecameStale: "has not answered since {since}: what it said is old",
    source.CameBack: "answers again",
    webhook.Created: "created, to send to {url}",
    webhook.Changed: "changed, to send to {url}",
    webhook.SecretRotated: "has another secret, and the one before it too until {both_until}",
    webhook.GaveUp: "given up at position {position}: nothing was delivered since {since}",
    webhook.Resumed: "goes on from where it was given up",
    webhook.Removed: "removed, and its secret destroyed",
}


def sentence(event: Event) -> str:
    """What happened, for a person."""
    telling = TELLINGS[type(event)]
    told = telling.format_map(vars(event)) if isinstance(telling, str) else telling(event)
    return TIME.sub(r"\1 \2 UTC", told)


REASONS = {
    "unlocked": "It said that it is back.",
    "released": "Somebody released it.",
    "taken_out": "It was taken out of the cluster.",
    "host_removed": "The host was removed.",
    "cluster_removed": "The cluster was removed.",
    "revoked": "Somebody took it back.",
    "user_removed": "The user was removed.",
    "logged_out": "It was ended.",
    "password_changed": "The password was changed.",
    "expired": "Its time had come.",
}
"""Reasons that events have as one word, in a sentence."""


def why(event: Event) -> str | None:
    """The reason that an event gives, if it gives one."""
    reason: str = getattr(event, "reason", "")
    return REASONS.get(reason, reason) or None
