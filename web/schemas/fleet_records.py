"""Records of the fleet, as GET answers them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from domain.aggregates.host_events import FailureKind
from domain.aggregates.rolling_policy import Kind
from projections.beside_the_log.update_scans import ScanFailureKind
from web.schemas.examples import example
from web.schemas.operation_records import WaitRecord
from web.schemas.records import Amount, Checked, HostStatusName, Record

Named = Annotated[list[str], Field(description="20 of them at most.")]
HowMany = dict[str, int]


class UpdatesRecord(Record):
    """How many updates wait on a host: packages, or one tree where it is booted from OSTree."""

    all: Amount
    security: Amount | None = Field(description="Of them; null where its system does not tell.")
    at: str = Field(description="When it was asked last. UTC.")


class FailedScanRecord(Record):
    """Why a host could not tell how many updates wait when it was asked last."""

    kind: ScanFailureKind
    reason: str = Field(description="In a sentence.")
    at: str = Field(description="UTC.")


class FleetHost(Record):
    """A host with all that is known of it."""

    address: str
    status: HostStatusName
    os: str
    cpus: Amount
    memory: Amount = Field(description="Kilobytes.")
    space: Amount = Field(description="Kilobytes on the root file system.")
    source: str
    cluster: str | None
    labels: dict[str, str]
    since: str = Field(description="Of the status. UTC.")
    kind: FailureKind | None = Field(description="Of a failure.")
    reason: str | None = Field(description="Of a failure, in a sentence.")
    kernel: str | None = Field(description="The one that runs; null where it was not asked yet.")
    booted_at: str | None = Field(description="UTC.")
    reboot_needed: bool | None = Field(description="Null where nobody can tell.")
    updates: UpdatesRecord | None = Field(description="Null where nobody has looked for any.")
    updates_failed: FailedScanRecord | None = Field(
        description="Null where the last question was answered; of the past always."
    )
    last_check: Checked
    next_check: str | None = Field(
        description="When it is looked at next, of a host that failed. UTC; of the past null."
    )
    operation: str | None = Field(description="The operation that has it in its turn.")

    model_config = example(
        address="192.168.100.50",
        status="failed",
        os="fedora",
        cpus=4,
        memory=11989228,
        space=487652,
        source="",
        cluster="web",
        labels={"role": "db"},
        since="2015-12-17T15:48:18.710454",
        kind="unreachable",
        reason="Nothing answers at port 22: connection refused.",
        kernel="6.1.0-18-amd64",
        booted_at="2015-12-01T06:00:00.000000",
        reboot_needed=False,
        updates={"all": 12, "security": 3, "at": "2015-12-17T15:48:18.710454"},
        updates_failed=None,
        last_check="2015-12-17T15:48:18.710454",
        next_check="2015-12-17T15:50:18.710454",
        operation=None,
    )


class FleetCounts(Record):
    """How many hosts there are."""

    total: Amount
    status: HowMany
    os: HowMany
    cluster: HowMany = Field(description='"" is no cluster.')


class FailedHosts(Record):
    """Hosts that failed the same way."""

    kind: FailureKind
    count: Amount
    cure: str = Field(description="What mends it, in a sentence.")
    hosts: Named


class RunningOperation(Record):
    """An operation that is not over."""

    id: str
    kind: Kind
    cluster: str
    status: str
    cancelling: bool
    actor: str
    started_at: str
    counts: HowMany
    waits_for: WaitRecord | None


class HeldLock(Record):
    """A member that restarts by itself, and holds a slot of its cluster's budget."""

    cluster: str
    address: str
    id: str = Field(description="What it calls itself.")
    since: str = Field(description="UTC.")


class Need(Record):
    """Something that a person has to decide."""

    what: Literal[
        "host_key",
        "unknown_outcome",
        "stale_source",
        "given_up_webhook",
        "failing_webhook",
        "approval",
        "soak",
    ]
    count: Amount = Field(description="Of hosts, sources, or webhooks.")
    cure: str
    hosts: Named
    kind: FailureKind | None = None
    operation: str | None = None
    source: str | None = None
    webhook: str | None = None
    since: str | None = Field(None, description="When it began to fail. UTC.")
    reason: str | None = Field(None, description="Why it fails, or what the operation waits for.")


class FleetRecord(Record):
    """All in small."""

    position: Amount = Field(description="Of the log that this is as of.")
    hosts: FleetCounts
    failed: list[FailedHosts]
    operations: list[RunningOperation]
    locks: list[HeldLock] = Field(description="The oldest first; 100 at most.")
    needs_a_person: list[Need]


class FacetsRecord(Record):
    """How many hosts match, by what. The 100 most frequent values of each."""

    total: Amount
    status: HowMany
    kind: HowMany
    cluster: HowMany
    os: HowMany
    labels: dict[str, HowMany]


class CheckRecord(Record):
    """Which hosts will be looked at, and where in the log to follow from."""

    hosts: list[str]
    position: Amount


# Any: whatever keys an operator likes.
Labels = Annotated[dict[str, Any], Field(examples=[{"role": "db", "rack": "7"}])]
