"""Bodies of requests about operations; `rolling_policy` knows which values are possible."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from domain.aggregates.rolling_policy import (
    HEALTHY_FOR_S_MAX,
    SCRIPT_BYTES_MAX,
    STEP_TIMEOUT_S_MAX,
    VERSION,
    Kind,
    Reboot,
)
from domain.rollouts.amounts import COUNT_MAX, PERCENTAGE
from domain.rollouts.waves import SOAK_S_MAX, WAVES_MAX, Approval
from web.http.unknown_keys import unknown
from web.schemas.bodies import Address, Exact, Name, refuse
from web.schemas.examples import example
from web.schemas.fleet_bodies import HostFilters, Label
from web.schemas.operation_records import DeployRecord, RestartRecord, UpgradeRecord

PERCENT = {"type": "string", "pattern": f"^{PERCENTAGE.pattern}$"}


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""20.0 is a whole number as well, says JSON Schema."""


def _amount(least: int, of: str) -> WithJsonSchema:
    number = {"type": "integer", "minimum": least, "maximum": COUNT_MAX}
    return WithJsonSchema(
        {"anyOf": [number, PERCENT], "description": f"A number, or a percentage of {of}."}
    )


def _seconds(least: float, most: float) -> WithJsonSchema:
    return WithJsonSchema({"type": "number", "minimum": least, "maximum": most})


Parallel = Annotated[int | str, _amount(1, "the hosts that it takes")]
Failures = Annotated[int | str, _amount(0, "the hosts that it takes")]
Unavailable = Annotated[int | str, _amount(1, "the members")]


class WaveLabel(Exact):
    """The hosts of a wave by a label."""

    label: Label


WaveHosts = Annotated[
    int | str | WaveLabel,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": COUNT_MAX},
                PERCENT,
                {
                    "type": "object",
                    "properties": {"label": {"type": "string"}},
                    "required": ["label"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
Version = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": f"^{VERSION.pattern}$", "maxLength": 128})
]


class OperationBody(Exact):
    """How careful an operation is to be. Without any of it: one host at a time.

    The keys of the operation's own record in v0 are passed over.
    """

    NARROWING = frozenset({"dry_run", "hosts", "plan"})

    max_parallel: Parallel | None = None
    max_failures: Failures | None = None
    max_unavailable: Unavailable | None = None
    healthy_for_s: Annotated[float, _seconds(0, HEALTHY_FOR_S_MAX)] | None = None
    step_timeout_s: Annotated[float, _seconds(1, STEP_TIMEOUT_S_MAX)] | None = None
    drain: bool | None = Field(
        None,
        description="Whether pods leave a node before its step. Without it: wherever the cluster"
        " has a container manager that runs pods.",
    )
    dry_run: bool = False


class UpgradeBody(OperationBody):
    """What a PUT of an upgrade asks for."""

    PASSED_OVER = frozenset(UpgradeRecord.model_fields)

    reboot: Reboot | None = None

    model_config = example(max_parallel="25%", max_failures=1, reboot="if_needed")


class RestartBody(OperationBody):
    """What a PUT of a restart asks for."""

    PASSED_OVER = frozenset(RestartRecord.model_fields)

    reboot: Reboot | None = Field(None, description="No option of a restart, which always does.")

    model_config = example(max_parallel=2, max_unavailable="10%", healthy_for_s=30)


class DeployBody(OperationBody):
    """What a PUT of a deploy asks for."""

    PASSED_OVER = frozenset(DeployRecord.model_fields.keys() - {"version"})

    version: Version
    reboot: Reboot | None = None

    model_config = example(version="27.93", max_parallel=2)


def _known_filters(hosts: object) -> object:
    if not isinstance(hosts, list | dict) or hosts == []:
        raise refuse("must be a list of addresses, one at least, or an object of filters")
    # What a script filled in with an empty variable must not take everybody.
    if isinstance(hosts, dict) and all(value in (None, []) for value in hosts.values()):
        raise refuse("must have a filter: leave hosts out to take all members")
    if isinstance(hosts, dict) and (faults := unknown(hosts, HostFilters.model_fields)):
        raise refuse("; ".join(f"{key} {message}" for key, message in faults))
    return hosts


Hosts = Annotated[
    Annotated[list[Address], Field(min_length=1)] | HostFilters, BeforeValidator(_known_filters)
]


class WaveBody(Exact):
    """Hosts that come first, and what stands between them and the next."""

    hosts: WaveHosts = Field(
        description="How many with all of the waves before, a percentage of the hosts that it"
        " takes, or those with a label."
    )
    soak_s: Annotated[float, _seconds(0, SOAK_S_MAX)] = Field(
        0.0, description="So long those that are done must be active before the next wave begins."
    )
    approval: Approval = Field(
        False,
        description='Whether somebody must approve the next wave; "second": not who began it.',
    )

    model_config = example(hosts="10%", soak_s=600, approval="second")


def _known_in_waves(waves: object) -> object:
    """Unknown keys are told with the nearest one that is known, as those of the body."""
    for number, wave in enumerate(waves if isinstance(waves, list) else [], 1):
        if isinstance(wave, dict) and (faults := unknown(wave, WaveBody.model_fields)):
            told = "; ".join(f"{key} {message}" for key, message in faults)
            raise refuse(f"is wrong at wave {number}: {told}")
    return waves


class BeginBody(OperationBody):
    """What a POST of an operation asks for: a kind, a cluster, and how careful to be."""

    REFUSES_NULLS = True

    kind: Kind
    cluster: Name
    hosts: Hosts | None = Field(
        None,
        description="Which members: addresses, or the filters of `/fleet/hosts`. Without it: all.",
    )
    version: Version | None = Field(None, description="Of a deploy, and of nothing else.")
    script: str | None = Field(
        None,
        description="Of a run, and of nothing else: for `/bin/sh`, as root. It stays in the log, so"
        " it must hold no secret.",
        json_schema_extra={"minLength": 1, "maxLength": SCRIPT_BYTES_MAX},
    )
    reboot: Reboot | None = Field(None, description="No option of a restart, which always does.")
    waves: Annotated[
        list[WaveBody], Field(max_length=WAVES_MAX), BeforeValidator(_known_in_waves)
    ] = Field(
        default_factory=list, description="Which hosts come first; what is left is the last wave."
    )
    starts_at: str | None = Field(
        None,
        description="No host is started before this time: ISO 8601, UTC where no offset is said."
        " Its members are chosen at once, and the cluster is its own from then on.",
        examples=["2015-12-18T02:00:00.000000"],
        json_schema_extra={"format": "date-time"},
    )
    override_policy: bool = Field(
        False,
        description="Whether the policy of the cluster does not count: administrators, with a"
        " `Commissaire-Note` that says why.",
    )
    window: Name | None = Field(
        None, description="Hosts are started only while this window is open; others finish."
    )
    gate: Name | None = Field(
        None, description="A check of the settings, asked before each start of a host."
    )
    plan: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{1,64}$",
        description="The `plan` of a dry run: 409 where it would be another one now.",
    )

    model_config = example(
        kind="upgrade",
        cluster="web",
        hosts={"label": "role=db"},
        max_parallel="25%",
        waves=[{"hosts": 1, "soak_s": 600}, {"hosts": "10%", "soak_s": 600, "approval": True}],
    )


class ApprovalBody(Exact):
    """Which wave may begin."""

    wave: Annotated[int, Field(ge=2, le=WAVES_MAX + 1), WHOLE]

    model_config = example(wave=2)


class StateBody(Exact):
    """Where an operation is to be steered."""

    state: Literal["paused", "in_process", "cancelled"]

    model_config = example(state="paused")
