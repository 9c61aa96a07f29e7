"""Records of operations, as `web/schemas/records.py` has those of everything else."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from domain.aggregates.rolling_policy import Kind, Outcome, Reboot
from domain.rollouts.moves import Status, WaitsFor
from domain.rollouts.waves import Approval
from web.schemas.examples import example
from web.schemas.records import HOST_EXAMPLE, TIME, Amount, ListedHost, Record

BEGAN = "2015-12-17T15:48:18.710454"
ENDED = "2015-12-17T15:49:01.016722"

Moment = Annotated[str, Field(pattern=f"^{TIME}$")]
V0_STATUS = Literal["in_process", "finished", "failed"]
AmountOrPercentage = int | str


def _example(**more: Any) -> ConfigDict:
    shown: JsonDict = {
        "name": "web",
        "status": "finished",
        **more,
        "in_process": [],
        "started_at": BEGAN,
        "finished_at": ENDED,
    }
    return example(**shown)


class DeployRecord(Record):
    """The latest deploy of a cluster."""

    name: str
    status: V0_STATUS
    version: str
    deployed: list[ListedHost]
    in_process: list[ListedHost]
    started_at: Moment
    finished_at: Moment | None

    model_config = _example(version="27.93", deployed=[HOST_EXAMPLE])


class UpgradeRecord(Record):
    """The latest upgrade of a cluster."""

    name: str
    status: V0_STATUS
    upgraded: list[ListedHost]
    in_process: list[ListedHost]
    started_at: Moment
    finished_at: Moment | None

    model_config = _example(upgraded=[HOST_EXAMPLE])


class RestartRecord(Record):
    """The latest restart of a cluster."""

    name: str
    status: V0_STATUS
    restarted: list[ListedHost]
    in_process: list[ListedHost]
    started_at: Moment
    finished_at: Moment | None

    model_config = _example(restarted=[HOST_EXAMPLE])


class WaveOption(Record):
    """A wave as it was asked for."""

    hosts: int | str | dict[str, str]
    soak_s: float
    approval: Approval


class WaveRecord(Record):
    """A wave, or the rest after the last; `soak_s` and `approval` stand before the next one."""

    hosts: Amount = Field(description="So many have had their turn at its end, with all before.")
    soak_s: float
    approval: Approval
    began_at: Moment | None
    approved_by: str | None = Field(description="Who approved what follows it.")


class WaitRecord(Record):
    """What an operation as a whole waits for."""

    what: WaitsFor
    until: str | None = Field(description="UTC; `null`: until something happens.")
    reason: str


class OptionsRecord(Record):
    """How careful an operation is. Times in seconds."""

    max_parallel: AmountOrPercentage
    max_failures: AmountOrPercentage
    max_unavailable: AmountOrPercentage | None
    healthy_for_s: float
    step_timeout_s: float = Field(description="0: the default of the kind.")
    reboot: Reboot
    drain: bool | None = Field(
        description="Whether pods leave a node before its step. `null` where nobody had decided."
    )
    waves: list[WaveOption]
    starts_at: str = Field(description="No host is started before; empty: at once.")
    override_policy: bool = Field(description="The policy of the cluster does not count.")
    window: str = Field(description="Hosts are started only while it is open; empty: always.")
    gate: str = Field(description="It is asked before each start of a host; empty: nobody is.")


class OutcomesRecord(Record):
    """How many hosts have each outcome."""

    waiting: Amount
    in_process: Amount
    done: Amount
    failed: Amount
    unknown: Amount
    skipped: Amount


class EvidenceRecord(Record):
    """What proves an outcome. A key is there where it has a value."""

    exit_status: int | None = None
    output_sha256: str | None = None
    output_bytes: int | None = None
    boot_id_before: str | None = None
    boot_id_after: str | None = None
    packages_before: str | None = Field(
        None, description="SHA-256 of the sorted list of what was installed; on OSTree, of trees."
    )
    packages_after: str | None = None
    packages_changed: int | None = Field(
        None, description="So many packages were installed, changed or removed meanwhile."
    )
    told: str | None = Field(None, description="What a step that went well left undone.")


class OperationHostRecord(Record):
    """How far an operation has come with one host."""

    address: str
    outcome: Outcome
    step: Literal["drain", "upgrade", "deploy", "run", "reboot", "health", "uncordon"] | None
    attempts: int = Field(description="In this operation and those that it retries.")
    started_at: Moment | None
    finished_at: Moment | None
    reason: str
    evidence: EvidenceRecord


class ListedOperation(Record):
    """An operation, as it is in lists."""

    id: str
    kind: Kind
    cluster: str
    version: str = Field(description="Empty but for a deploy.")
    script_sha256: str | None = Field(
        description="Of the script of a run, which is in its `operation.started`."
    )
    targets: dict[str, Any] | None = Field(
        description="`null`: all members. The filters that it was begun with; where its hosts were"
        " named, how many (`hosts`). Of a retry, those of its predecessor."
    )
    options: OptionsRecord
    status: Status
    cancelling: bool = Field(description="It is to be cancelled; steps are being stopped.")
    reason: str
    actor: str = Field(description="Who asked for it.")
    note: str = Field(description="Why, in their words.")
    predecessor: str | None = Field(description="The operation that this one retries.")
    started_at: Moment
    finished_at: Moment | None
    waits_for: WaitRecord | None = Field(
        description="`null`: nothing but its own hosts. Each start of a host ends it."
    )
    wave: int | None = Field(description="Which of the waves it is in, from 1; `null`: no waves.")
    waves: list[WaveRecord] = Field(description="With the rest as the last; empty: no waves.")
    counts: OutcomesRecord


class OperationRecord(ListedOperation):
    """An operation, with its hosts: those that it takes in order, then those that it skips."""

    hosts: list[OperationHostRecord]


class SkippedRecord(Record):
    """A member that an operation would not take, and why."""

    address: str
    reason: str


class PlanRecord(Record):
    """What an operation would do, and the limits that its options come to, in hosts."""

    cluster: str
    kind: Kind
    version: str
    options: OptionsRecord
    hosts: list[str]
    drained: list[str] = Field(description="Those of the hosts whose pods leave before the step.")
    skipped: list[SkippedRecord]
    max_parallel: int
    max_failures: int
    max_unavailable: int | None
    waves: list[int] = Field(description="So many have had their turn at the end of each wave.")


class DigestedPlan(PlanRecord):
    """The same, with a digest of what was decided on."""

    plan: str = Field(
        description="The same as long as the same would be done to the same hosts; why a host is"
        " skipped does not matter."
    )
