"""Bodies of requests about users, tokens and sessions."""

from typing import Annotated

from pydantic import Field, WithJsonSchema
from pydantic.config import JsonDict

from domain.names import ACCOUNT_NAME
from domain.roles import Role
from web.schemas.bodies import OPERATION_ID, Exact, Name
from web.schemas.examples import example

USER_EXAMPLE: JsonDict = {
    "role": "viewer",
    "clusters": {"web": "operator"},
    "password": "made up",
}
LOG_IN_EXAMPLE: JsonDict = {"user": "ada", "password": "made up"}
AccountName = Annotated[
    str,
    WithJsonSchema({"type": "string", "pattern": f"^{ACCOUNT_NAME.pattern}$", "examples": ["ada"]}),
]
SessionId = Annotated[str, Field(pattern=f"^{OPERATION_ID.pattern}$")]
Password = Annotated[str, Field(min_length=1, max_length=72)]
Clusters = Annotated[
    dict[Name, Role], Field(description="More in some clusters: roles by their names.")
]


class UserBody(Exact):
    """What a PUT of a user asks for; what is left out stays as it is."""

    role: Role | None = Field(None, description="Needed for a new user.")
    clusters: Clusters | None = None
    password: Password | None = Field(
        None,
        repr=False,
        description="Without one, a new user comes with a client certificate only.",
    )

    model_config = example(**USER_EXAMPLE)


class PasswordBody(Exact):
    """Another password, for whoever has the old one."""

    old: Password = Field(repr=False)
    new: Password = Field(repr=False)

    model_config = example(old="made up", new="another")


class TokenBody(Exact):
    """What a token may do, no more than whoever makes it, and when it ends."""

    role: Role
    clusters: Clusters | None = None
    expires: str = Field(
        description="A span such as `60s`, `12h` or `30d`, or a time, UTC where no offset is said.",
        examples=["30d"],
    )

    model_config = example(role="viewer", expires="30d")


class LogInBody(Exact):
    """Who logs in."""

    user: str = Field(min_length=1, max_length=256)
    password: Password = Field(repr=False)

    model_config = example(**LOG_IN_EXAMPLE)
