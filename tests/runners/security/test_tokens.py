"""API tokens: shown once, kept as a digest, good for their role until they end."""

import json
import math
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runners.os_support.json_file import BrokenFile, ChangeRefused
from runners.security.tokens import TokensFile, expiry
from tests.runners.cli.test_cli import commissaire
from web.authentication.authentication import (
    Authentication,
    Forbidden,
    Identity,
    Scope,
    Unauthenticated,
)
from web.authentication.tokens import Token, TokenAuthentication, digest

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
SERVICE_USER = 12_345


@pytest.fixture
def file(tmp_path: Path) -> TokensFile:
    return TokensFile(tmp_path / "tokens.json")


def scope(*headers: bytes) -> Scope:
    return {"type": "http", "headers": [(b"authorization", header) for header in headers]}


def test_a_token_is_256_random_bits_of_which_the_file_has_only_a_digest(file: TokensFile) -> None:
    tokens = [file.create(f"t{number}", "viewer", NOW, None) for number in range(20)]
    assert len(set(tokens)) == 20
    for token in tokens:
        assert re.fullmatch(r"cmsr_[A-Za-z0-9_-]{43}", token)
        assert token.removeprefix("cmsr_") not in file.path.read_text()
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_a_running_service_sees_new_and_revoked_tokens_at_the_next_look(file: TokensFile) -> None:
    other = TokensFile(file.path)
    for number in range(30):
        token = other.create("ci", "operator", NOW, None)
        found = file.find(digest(token.encode()))
        assert found == Token(Identity("token:ci", "operator"), math.inf), number
        other.revoke("ci")
        assert file.find(digest(token.encode())) is None


def test_a_name_is_taken_until_it_is_revoked(file: TokensFile) -> None:
    file.create("ci", "viewer", NOW, None)
    with pytest.raises(ChangeRefused, match="revoke it first"):
        file.create("ci", "admin", NOW, None)
    file.revoke("ci")
    with pytest.raises(ChangeRefused, match="no token 'ci'"):
        file.revoke("ci")


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("60s", NOW + timedelta(seconds=60)),
        ("1.5h", NOW + timedelta(minutes=90)),
        ("12h", NOW + timedelta(hours=12)),
        ("30d", NOW + timedelta(days=30)),
        ("2w", NOW + timedelta(weeks=2)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
    ],
)
def test_the_end_of_a_token_is_a_time_or_a_day(text: str, end: datetime) -> None:
    assert expiry(text, NOW) == end


@pytest.mark.parametrize(
    "text", ["", "0d", "-1d", "5", "5y", "0m", "2026-11-25", "2027-02-30", "٣d"]
)
def test_an_end_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ChangeRefused, match="--expires"):
        expiry(text, NOW)


async def test_a_token_is_good_until_the_second_in_which_it_ends(file: TokensFile) -> None:
    token = file.create("ci", "admin", NOW, NOW + timedelta(hours=1))
    clock = [NOW.timestamp()]
    door = Authentication(TokenAuthentication(file, lambda: clock[0]))
    request = scope(b"Bearer " + token.encode())
    assert await door.authenticate(request) == Identity("token:ci", "admin")
    clock[0] += 3599.9
    assert door.remembered(request) is not None
    clock[0] += 0.1
    assert door.remembered(request) is None
    with pytest.raises(Forbidden, match="unknown, was revoked, or has expired"):
        await door.authenticate(request)


@pytest.mark.parametrize(
    "header",
    [
        b"Bearer",
        b"Bearer ",
        b"Bearer cmsr_",
        b"Bearer cmsr_" + b"A" * 43,
        b"Bearer %b x",
        b"Bearer %b, Bearer %b",
        b"Bearer\t%b",
        b"Basic %b",
        b"Token %b",
        b"%b",
        b"Bearer \xff\xfe",
    ],
)
async def test_what_is_no_known_token_is_wrong(file: TokensFile, header: bytes) -> None:
    token = file.create("ci", "admin", NOW, None).encode()
    door = Authentication(TokenAuthentication(file))
    with pytest.raises(Forbidden):
        await door.authenticate(scope(header.replace(b"%b", token)))
    for good in (b"Bearer %b", b"bearer %b", b"BEARER  %b"):
        assert (await door.authenticate(scope(good % token))).user == "token:ci"


async def test_two_headers_are_wrong_and_none_is_401_with_the_challenge(file: TokensFile) -> None:
    token = b"Bearer " + file.create("ci", "admin", NOW, None).encode()
    door = Authentication(TokenAuthentication(file))
    with pytest.raises(Forbidden):
        await door.authenticate(scope(token, token))
    with pytest.raises(Unauthenticated) as refused:
        await door.authenticate(scope())
    assert refused.value.challenges == ('Bearer realm="commissaire"',)


GOOD = {"hash": "0" * 64, "role": "viewer", "created": "2026-11-25T12:00:00Z"}


@pytest.mark.parametrize(
    "entry",
    [
        {**GOOD, "expire": "2026-11-25T12:00:00Z"},
        {**GOOD, "expires": None},
        {**GOOD, "expires": "tomorrow"},
        {**GOOD, "role": "root"},
        {**GOOD, "hash": "0" * 63},
        {key: GOOD[key] for key in ("hash", "role")},
        [],
    ],
)
def test_a_broken_file_keeps_the_tokens_and_is_reported_once(tmp_path: Path, entry: object) -> None:
    reports: list[BrokenFile] = []
    file = TokensFile(tmp_path / "tokens.json", reports.append)
    token = file.create("ci", "viewer", NOW, None)
    assert file.find(digest(token.encode()))
    file.path.write_text(json.dumps({"ci": entry}))
    for _ in range(3):
        assert file.find(digest(token.encode()))
    assert len(reports) == 1
    file.path.unlink()
    assert file.find(digest(token.encode())) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_first_token_made_by_root_is_for_the_owner_of_the_directory(file: TokensFile) -> None:
    os.chown(file.path.parent, SERVICE_USER, SERVICE_USER)
    file.create("ci", "viewer", NOW, None)
    assert file.path.stat().st_uid == SERVICE_USER


def test_tokens_are_made_listed_and_revoked_on_the_command_line(tmp_path: Path) -> None:
    data = ("--tokens", str(tmp_path / "tokens.json"))
    made = commissaire("token", "create", "ci", "--role", "operator", "--expires", "30d", *data)
    token = made.stdout.decode().strip()
    assert re.fullmatch(r"cmsr_[A-Za-z0-9_-]{43}", token)
    assert token not in made.stderr.decode()
    assert "ci may act as operator until 20" in made.stderr.decode()
    listed = commissaire("token", "list", "--json", *data)
    (row,) = json.loads(listed.stdout)
    assert list(row) == [
        *("name", "role", "clusters", "owner"),
        *("created", "expires", "expired"),
    ]
    assert (row["name"], row["role"], row["expired"]) == ("ci", "operator", False)
    table = commissaire("token", "list", *data).stdout.decode()
    assert "ci" in table
    assert token[5:] not in table + listed.stdout.decode()
    assert commissaire("token", "revoke", "ci", *data).returncode == 0
    assert json.loads((tmp_path / "tokens.json").read_text()) == {}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["token", "create", "ci"], 2),
        (["token", "create", "ci", "--role", "root"], 2),
        (["token", "create", "a b", "--role", "viewer"], 1),
        (["token", "create", "ci", "--role", "viewer", "--expires", "never"], 1),
        (["token", "revoke", "ci"], 1),
    ],
)
def test_a_wrong_command_is_one_line_and_changes_nothing(
    tmp_path: Path, arguments: list[str], status: int
) -> None:
    done = commissaire(*arguments, "--tokens", str(tmp_path / "tokens.json"))
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
