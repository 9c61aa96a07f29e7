"""Records of users, tokens and sessions, as GET answers them."""

from typing import Literal

from pydantic import Field
from pydantic.config import JsonDict

from domain.roles import Role
from web.schemas.examples import example
from web.schemas.records import Record

TIME = "2015-12-17T15:48:18.710454"
LATER = "2016-01-16T15:48:18.710454"
ID = "019a3c5e-7b1f-7d2a-9c44-5a0f3b6c1e2d"
TOKEN_EXAMPLE: JsonDict = {
    "name": "ci",
    "role": "viewer",
    "clusters": {},
    "owner": "ada",
    "created": TIME,
    "expires": LATER,
    "kept_in": "database",
}
SESSION_EXAMPLE: JsonDict = {
    "id": ID,
    "user": "ada",
    "started": TIME,
    "ends": LATER,
    "current": True,
}
Kept = Literal["database", "file"]


class UserRecord(Record):
    """A user. What is kept in a file is changed there."""

    name: str
    role: Role
    clusters: dict[str, Role] = Field(description="More in some clusters.")
    has_password: bool
    added: str | None = Field(description="UTC; null where a file has the user.")
    kept_in: Kept

    model_config = example(
        name="ada",
        role="viewer",
        clusters={"web": "operator"},
        has_password=True,
        added=TIME,
        kept_in="database",
    )


class TokenRecord(Record):
    """A token, which nobody can show again."""

    name: str
    role: Role
    clusters: dict[str, Role]
    owner: str | None = Field(description="Whom it ends with; null where it is nobody's.")
    created: str
    expires: str | None
    kept_in: Kept

    model_config = example(**TOKEN_EXAMPLE)


class NewTokenRecord(TokenRecord):
    """A token that was made by this request, and is shown this once."""

    token: str

    model_config = example(**TOKEN_EXAMPLE | {"token": "cmsr_…"})


class SessionRecord(Record):
    """A session; it ends earlier where nobody uses it for an hour."""

    id: str
    user: str
    started: str
    ends: str
    current: bool = Field(description="Whether it is the one that asks.")

    model_config = example(**SESSION_EXAMPLE)


class NewSessionRecord(SessionRecord):
    """A session that was opened by this request."""

    csrf_token: str = Field(description="For the header `X-CSRF-Token` of changes.")

    model_config = example(**SESSION_EXAMPLE | {"csrf_token": "5f…"})


class MeRecord(Record):
    """Who asks, and what they may do."""

    name: str
    role: Role
    clusters: dict[str, Role]
    session: str | None = Field(description="The id of the session; null without one.")
    csrf_token: str | None = Field(description="For changes with the session.")

    model_config = example(
        name="ada", role="viewer", clusters={"web": "operator"}, session=None, csrf_token=None
    )
