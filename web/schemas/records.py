"""Records as GET and PUT answer them: for `/openapi.json`, and for tests to hold answers against.

Read models encode them (`projections`); a record has these keys in this order, no more, no fewer.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from domain.aggregates import container_manager, network
from web.schemas.examples import example

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}"
LAST_CHECK = "2015-12-17T15:48:18.710454"
FINGERPRINT = "SHA256:2KvQJsVfDcDZbTVf0OYLOnWWdLIqLLMlUIIxJzWbFjw"

Amount = Annotated[int, Field(ge=0)]
Checked = Annotated[
    str, Field(pattern=f"^({TIME})?$", description="UTC; empty where it was never looked at.")
]
HostStatusName = Literal["investigating", "bootstrapping", "disassociated", "active", "failed"]
# Any: options are plain JSON; `domain.options` knows what each may be.
Options = dict[str, Any]


class Record(BaseModel):
    """What all records have in common: nothing may be there that is not described."""

    model_config = ConfigDict(extra="forbid")


class Counts(Record):
    """How many members a cluster has, and how many of these are `active`."""

    total: Amount
    available: Amount
    unavailable: Amount


class ClusterRecord(Record):
    """A cluster. `ok`: no member is unavailable; `degraded`: some are; `failed`: all are."""

    name: str
    status: Literal["ok", "degraded", "failed"]
    network: str
    container_manager: str = Field(description="Empty where it has none.")
    hosts: Counts

    model_config = example(
        name="web",
        status="degraded",
        network="default",
        container_manager="",
        hosts={"total": 3, "available": 2, "unavailable": 1},
    )


HOST_EXAMPLE: JsonDict = {
    "address": "192.168.100.50",
    "status": "active",
    "os": "atomic",
    "cpus": 4,
    "memory": 11989228,
    "space": 487652,
    "last_check": LAST_CHECK,
}


class ListedHost(Record):
    """A host, as it is in lists."""

    address: str
    status: HostStatusName
    os: str = Field(description="Such as `fedora`; empty until it was looked at.")
    cpus: Amount
    memory: Amount = Field(description="Kilobytes.")
    space: Amount = Field(description="Kilobytes on the root file system.")
    last_check: Checked

    model_config = example(**HOST_EXAMPLE)


class HostRecord(ListedHost):
    """A host."""

    source: str = Field(description="The inventory that owns it; empty where none does.")

    model_config = example(**HOST_EXAMPLE | {"source": ""})


class HostPart(Record):
    """What Commissaire itself knows of a host's status."""

    last_check: Checked
    status: HostStatusName


class HostStatusRecord(Record):
    """A host's status, and what its container manager last said of the node."""

    type: Literal["host_only"]
    host: HostPart
    container_manager: Options = Field(description="Empty where there is none to ask.")

    model_config = example(
        type="host_only", host={"last_check": LAST_CHECK, "status": "active"}, container_manager={}
    )


class CredentialsRecord(Record):
    """How a host is logged in to."""

    ssh_priv_key: str = Field(description="The private key in base64.")
    remote_user: str

    model_config = example(ssh_priv_key="dGVzdAo=", remote_user="root")


class LoginRecord(Record):
    """How a host is logged in to from now on; the key itself is told by its fingerprint."""

    fingerprint: str
    remote_user: str
    ssh_port: int

    model_config = example(fingerprint=FINGERPRINT, remote_user="root", ssh_port=22)


class HostKeyRecord(Record):
    """A host's own key: the one that is trusted, and the one that was shown and refused."""

    fingerprint: str | None
    refused: str | None

    model_config = example(fingerprint=FINGERPRINT, refused=None)


class NetworkRecord(Record):
    """A network."""

    name: str
    type: str = Field(json_schema_extra={"enum": list(network.OPTIONS)})
    options: Options

    model_config = example(
        name="mynetwork", type="flannel_server", options={"address": "192.168.152.101:8080"}
    )


class ManagerRecord(Record):
    """A container manager. A token is shown as `********`."""

    name: str
    type: str = Field(json_schema_extra={"enum": list(container_manager.OPTIONS)})
    options: Options

    model_config = example(
        name="prod_openshift",
        type="openshift",
        options={"apiserver": "https://192.168.152.101:8080/api/"},
    )


class FaultRecord(Record):
    """What is wrong with one key of the body, or one parameter of the query."""

    key: str
    message: str


class ProblemRecord(Record):
    """Why a request is not carried out (RFC 9457)."""

    type: str = Field(pattern="^urn:commissaire:problem:[a-z-]+$")
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str = Field(description="A sentence that says what to do.")
    # Left out where there are none.
    errors: list[FaultRecord] = Field(default=[], description="Which keys are wrong.")


class PartRecord(Record):
    """A part of the service; the last three only where there is something to be done, and not for
    strangers."""

    name: str = Field(examples=["database"])
    ready: bool
    kind: str = Field("", description="Stable.", examples=["database.away"])
    reason: str = ""
    action: str = Field("", description="What a person can do about it.")


class ReadinessRecord(Record):
    """Whether every part of the service can do its work."""

    status: Literal["ready", "not_ready"]
    parts: list[PartRecord]


Names = Annotated[list[str], Field(description="Sorted.", examples=[["db", "web"]])]
Members = Annotated[
    list[str], Field(description="In order of joining.", examples=[["192.168.100.50"]])
]
OneMember = Annotated[list[str], Field(min_length=1, max_length=1, examples=[["192.168.100.50"]])]
Nothing = Annotated[list[str], Field(max_length=0, examples=[[]])]
# Any: it is described by OpenAPI itself.
OpenAPI = Annotated[dict[str, Any], Field(description="OpenAPI 3.1.")]
Text = str
