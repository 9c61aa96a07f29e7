"""What mends each kind of failure of a host: a sentence for whoever is asked to."""

from domain.aggregates.host_events import FailureKind

CURES: dict[FailureKind, str] = {
    "unreachable": "See that the host is up, and that its SSH port can be reached from here.",
    "authentication": "Add the public key to the host's authorized_keys, or rotate the"
    " credentials: PUT /api/v0/host/ADDRESS/creds.",
    "host_key": "Compare the fingerprint on the host itself; an administrator approves it with"
    " PUT /api/v0/host/ADDRESS/hostkey.",
    "facts": "Log in as the remote user and see what the host says of itself: its answer could not"
    " be understood.",
    "sudo": "Let the remote user run sudo without a password (NOPASSWD in sudoers).",
    "setup": "Read the host's reason and the output of the step; what is mended is tried again.",
}
UNKNOWN_OUTCOME = (
    "See on the host whether the step was done; PUT /api/v0/operation/ID/retry proves it or does"
    " it again."
)
GIVEN_UP_WEBHOOK = (
    "Mend the receiver, then PUT the webhook once more, with its URL as it is shown: it goes on"
    " where it stopped, and nothing is lost."
)
FAILING_WEBHOOK = (
    "Mend the receiver: it is tried again by itself, what it is to be sent waits, and nothing is"
    " lost."
)
STALE_SOURCE = (
    "See why the inventory does not answer: what it said of its hosts is old. Nothing is lost"
    " meanwhile."
)
STOPPED = {
    "approval": "See how the wave before went; PUT /api/v0/operation/ID/approval lets the next one"
    " begin.",
    "soak": "Mend the host: the soak begins anew once it is active; or cancel the operation.",
}
"""By what an operation waits for until somebody does something."""
