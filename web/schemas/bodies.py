"""Bodies of requests: JSON objects, whatever `Content-Type` says, checked key by key.

Unknown keys are ignored where old clients send whole records, and wrong where something is set in
motion or decided (`Exact`). `null` for a key that is optional is as if it were not there, and so is
`""` for some.
"""

import base64
import binascii
import codecs
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, ClassVar, TypeVar

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from domain import names
from domain.aggregates import container_manager, network
from domain.options import Known
from domain.refusal import Refusal
from web.http.problems import KeyFault, Problem
from web.http.requests import Request
from web.http.unknown_keys import unknown, wrong_at
from web.schemas import addresses
from web.schemas.examples import example

ADDRESSES_REMEMBERED = 20_000
ASIDE_BYTES_MIN = 16 * 1024
"""A body from this size on is checked in a thread: a long list takes longer than a pause may."""

NOTHING_SAID = "There is no body; an empty object, {}, takes all away."
EMPTY = "must have a value: leave it out to do without"
ABSENT_WHERE_EMPTY = ("cluster", "network", "container_manager", "remote_user", "source")
"""`""` for these is as if they were not there: old clients fill in whole records."""

HOST_KEY = re.compile(r"SHA256:[A-Za-z0-9+/]{43}", re.ASCII)
NO_MEMORY = "Not enough memory"
"""How orjson (3.11) says it, as if the text were wrong."""
NO_KEY = "must be a private key in base64"
WHITE_SPACE = re.compile(r"\s+", re.ASCII)

B = TypeVar("B", bound="Body")
V = TypeVar("V")

# A path, a list or a query names the same hosts again and again.
host_address = lru_cache(ADDRESSES_REMEMBERED)(names.host_address)


def _or_said_why(check: Callable[[str], V]) -> Callable[[str], V]:
    """A check of `domain.names`, as pydantic takes it."""

    def checked(value: str) -> V:
        try:
            return check(value)
        except Refusal as refusal:
            raise refuse(refusal.sentence) from None

    return checked


def refuse(sentence: str) -> PydanticCustomError:
    """What a check of one key raises: the end of what is told of it."""
    # A template, so that braces in the sentence are not taken for fields.
    return PydanticCustomError("refused", "{sentence}", {"sentence": sentence})


def _container_manager(name: str) -> str:
    return name and names.resource_name(name)


def _sent_key(text: object) -> bytes:
    """What is behind the base64; empty where it is none."""
    if not isinstance(text, str):
        raise refuse("must be a string")
    try:
        return base64.b64decode(WHITE_SPACE.sub("", text), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _private_key(text: object) -> bytes:
    raw = _sent_key(text)
    if not raw:
        raise refuse(NO_KEY)
    return raw


def _fingerprint(text: str) -> str:
    if not HOST_KEY.fullmatch(text):
        raise refuse("must be a fingerprint as ssh-keygen -l shows it: SHA256: and 43 characters")
    return text


def _said(schema: Mapping[str, object]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **schema})


# What is checked, and how `/openapi.json` says it.
NAME_SCHEMA = {"pattern": f"^{names.NAME.pattern}$", "examples": ["web"]}

Name = Annotated[str, AfterValidator(_or_said_why(names.resource_name)), _said(NAME_SCHEMA)]
NameInBody = Annotated[Name, _said(NAME_SCHEMA | {"pattern": f"^({names.NAME.pattern})?$"})]
"""Empty is as if it were not there (`ABSENT_WHERE_EMPTY`)."""
ContainerManager = Annotated[
    str,
    AfterValidator(_or_said_why(_container_manager)),
    _said({"pattern": f"^({names.NAME.pattern})?$", "description": "Empty for none."}),
]
Address = Annotated[
    str, AfterValidator(_or_said_why(host_address)), WithJsonSchema(addresses.SCHEMA)
]
OPERATION_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
OperationId = Annotated[str, Field(pattern=f"^{OPERATION_ID.pattern}$")]
RemoteUser = Annotated[
    str,
    AfterValidator(_or_said_why(names.remote_user)),
    _said({"pattern": f"^({names.REMOTE_USER.pattern})?$", "examples": ["root"]}),
]
Fingerprint = Annotated[
    str, AfterValidator(_fingerprint), _said({"pattern": f"^{HOST_KEY.pattern}$"})
]
KEY_SCHEMA = _said(
    {
        "contentEncoding": "base64",
        "format": "ssh-private-key",
        "description": "A private key without a passphrase, in base64.",
    }
)
PrivateKey = Annotated[bytes, BeforeValidator(_private_key), KEY_SCHEMA]
SentKey = Annotated[bytes, BeforeValidator(_sent_key), KEY_SCHEMA]
"""Empty where it is none, for whoever compares it with another before it is read."""
NetworkType = Annotated[str, _said({"enum": list(network.OPTIONS)})]
ContainerManagerType = Annotated[str, _said({"enum": list(container_manager.OPTIONS)})]
Port = Annotated[int, Field(ge=1, le=65535)]


class Body(BaseModel):
    """A JSON object. Errors never quote what was sent: it may be a secret.

    `None` of an optional key: it was not said.
    """

    REPLACES: ClassVar[bool] = False
    """Whether what is not said is taken away: then nothing may be empty by mistake."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, hide_input_in_errors=True)


def _options(known: Known) -> str:
    """Which options each type can use, for people."""
    return "; ".join(f"{kind}: {', '.join(options) or 'none'}" for kind, options in known.items())


class Exact(Body):
    """A body of a request that sets something in motion or decides it: unknown keys are refused.

    A misspelt `dry_run` must not start the real thing.
    """

    PASSED_OVER: ClassVar[frozenset[str]] = frozenset()
    """Keys that do nothing, which old clients send back."""

    NARROWING: ClassVar[frozenset[str]] = frozenset()
    """Keys without which more is done: `null`, of an empty variable of a script, is wrong there."""

    REFUSES_NULLS: ClassVar[bool] = False
    """Whether a key that nobody knows is wrong with `null`, too: old clients send such."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        over = {key: {"description": "Passed over."} for key in sorted(cls.PASSED_OVER)}
        schema["properties"] = schema.get("properties", {}) | over
        return schema


class NoBody(Body):
    """Of a PUT that has nothing to say: what comes must be an object all the same."""

    model_config = example()


class NothingElse(Exact):
    """An empty body of a request that sets something in motion: any key is refused."""

    model_config = example()


class ClusterBody(Body):
    """What a PUT of a cluster asks for."""

    network: NameInBody = network.DEFAULT_NETWORK
    container_manager: ContainerManager = ""

    model_config = example(network="default", container_manager="prod_openshift")


class NetworkBody(Body):
    """What a PUT of a network asks for."""

    type: NetworkType = network.DEFAULT_TYPE
    options: dict[str, object] = Field(default_factory=dict, description=_options(network.OPTIONS))

    model_config = example(type="flannel_server", options={"address": "192.168.152.101:8080"})


class ContainerManagerBody(Body):
    """What a PUT of a container manager asks for; a token may be among the options."""

    type: ContainerManagerType = container_manager.DEFAULT_TYPE
    options: dict[str, object] = Field(
        default_factory=dict, repr=False, description=_options(container_manager.OPTIONS)
    )

    model_config = example(
        type="openshift", options={"apiserver": "https://192.168.152.101:8080/api/"}
    )


class MembersBody(Body):
    """The members that the client has seen, and those that it wants."""

    old: list[Address]
    new: list[Address]

    model_config = example(old=["192.168.100.50"], new=["192.168.100.50", "192.168.100.51"])


class HostBody(Body):
    """What a PUT of a host asks for."""

    ssh_priv_key: SentKey = Field(repr=False)
    remote_user: RemoteUser | None = None
    cluster: NameInBody | None = None
    ssh_port: Port | None = None
    source: str | None = None

    model_config = example(ssh_priv_key="dGVzdAo=", remote_user="root", cluster="default")


class OwnHostBody(HostBody):
    """What a host asks for that registers itself."""

    address: object = Field(None, description="The host's own, or nothing.")


class CredentialsBody(Exact):
    """What a PUT of credentials asks for; what is left out stays as it is."""

    ssh_priv_key: PrivateKey = Field(repr=False)
    remote_user: RemoteUser | None = None
    ssh_port: Port | None = None
    unchecked: bool = False

    model_config = example(ssh_priv_key="dGVzdAo=", remote_user="root")


class HostKeyBody(Exact):
    """The host key that an administrator vouches for."""

    fingerprint: Fingerprint

    model_config = example(fingerprint="SHA256:2KvQJsVfDcDZbTVf0OYLOnWWdLIqLLMlUIIxJzWbFjw")


async def read(request: Request, kind: type[B]) -> B:
    """The body of a request. Raises `Problem`, which names the keys that are wrong."""
    raw = await request.body()
    if len(raw) >= ASIDE_BYTES_MIN:
        return await request.aside(parse, raw, kind)
    return parse(raw, kind)


def parse(raw: bytes, kind: type[B]) -> B:
    """A body from its bytes. Raises `Problem`."""
    found = _object(raw)
    given = {key: value for key, value in found.items() if not _is_absent(key, value)}
    faults: list[KeyFault] = []
    if kind.REPLACES:
        if not raw:
            raise Problem("invalid", NOTHING_SAID)
        faults = [KeyFault(key, EMPTY) for key, value in found.items() if value is None]
    if issubclass(kind, Exact):
        known = [field.alias or name for name, field in kind.model_fields.items()]
        faults = [KeyFault(key, EMPTY) for key in kind.NARROWING if found.get(key, 0) is None]
        named = found if kind.REFUSES_NULLS else given
        faults += unknown([key for key in named if key not in kind.PASSED_OVER], known)
        given = {key: value for key, value in given.items() if key in known}
    try:
        body = kind.model_validate(given)
        if not faults:
            return body
    except ValidationError as error:
        faults += [
            KeyFault(str(fault["loc"][0]), fault["msg"])
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    raise wrong_at("body", faults)


def _is_absent(key: str, value: object) -> bool:
    return value is None or (value == "" and key in ABSENT_WHERE_EMPTY)


def _object(raw: bytes) -> dict[str, Any]:
    """A JSON object of unique keys; nothing at all is an empty one. Raises also `MemoryError`."""
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if not raw:
        return {}
    try:
        # Strict: no NaN, no invalid UTF-8, no lone surrogates, and a limit to nesting.
        found = orjson.loads(raw)
        OF_UNIQUE_KEYS.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        if str(error).startswith(NO_MEMORY):
            raise MemoryError from None
        raise Problem("invalid", "The body is no JSON, or has a key twice.") from None
    if not isinstance(found, dict):
        raise Problem("invalid", "The body must be a JSON object: { … }.")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key twice")


OF_UNIQUE_KEYS = json.JSONDecoder(object_pairs_hook=_unique)
