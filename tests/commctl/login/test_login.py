"""How a log-in is kept, replaced and refused: one service for all of these tests."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.commctl.operator import Operator
from tests.support.service import Service, wait_for

# What `keyring` offers, over a file: tried by hand with the package itself (25.7).
KEYRING = """
import json, os, pathlib
from keyring.errors import KeyringError
path = pathlib.Path(os.environ["HOME"], "ring")
def _ring():
    if os.environ.get("LOCKED"):
        raise KeyringError("the ring is\\nlocked")
    return json.loads(path.read_text()) if path.exists() else {}
def get_password(service, user):
    return _ring().get(f"{service} {user}")
def set_password(service, user, token):
    path.write_text(json.dumps({**_ring(), f"{service} {user}": token}))
def delete_password(service, user):
    if os.environ.get("STUCK"):
        raise KeyringError("it is not for us to delete")
    ring = _ring()
    del ring[f"{service} {user}"]
    path.write_text(json.dumps(ring))
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service."""
    with Service(tmp_path_factory.mktemp("login")) as running:
        yield running


@pytest.fixture
def ada(tmp_path: Path) -> Operator:
    """Somebody away from the service."""
    return Operator(tmp_path / "ada")


def log_in(ada: Operator, shared: Service, *more: str, status: int = 0) -> str:
    """By a password; gives what is said."""
    command = ("login", shared.url, "-u", "admin", "--password-stdin", "--profile", "here", *more)
    return ada.run(*command, stdin=f"{shared.password}\n", status=status).stderr


def tokens(shared: Service) -> set[str]:
    """The names of all of them."""
    return {token["name"] for token in shared.client.get("/tokens").json()}


def test_a_log_in_anew_replaces_the_token_of_the_one_before(ada: Operator, shared: Service) -> None:
    before = tokens(shared)
    log_in(ada, shared)
    (first,) = tokens(shared) - before
    # Their names have the second in which they were made.
    wait_for(lambda: int(first.rpartition("-")[2]) < int(datetime.now(UTC).timestamp()))
    log_in(ada, shared)
    (second,) = tokens(shared) - before
    assert second != first
    assert ["name", f"token:{second}"] in ada.rows("whoami")
    ada.run("logout")
    assert tokens(shared) == before


def test_a_token_that_has_ended_is_told_with_where_it_is_from(
    ada: Operator, shared: Service
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=4)
    log_in(ada, shared, "--expires", f"{soon:%Y-%m-%dT%H:%M:%S.%f}")

    def refused() -> str | None:
        done = ada.run("cluster", "list", status=None)
        return done.stderr if done.returncode == 6 else None

    said = wait_for(refused)
    assert "profile here" in said
    assert "log in again: commctl login" in said
    log_in(ada, shared)
    ada.run("cluster", "list")
    ada.run("logout")


def test_two_log_ins_of_one_second_are_two_tokens(ada: Operator, shared: Service) -> None:
    before = tokens(shared)
    log_in(ada, shared)
    command = ("login", shared.url, "-u", "admin", "--password-stdin", "--profile", "other")
    ada.run(*command, stdin=f"{shared.password}\n")
    assert len(tokens(shared) - before) == 2
    ada.run("logout")
    ada.run("logout", "--profile", "here")
    assert tokens(shared) == before


def test_a_log_out_that_revokes_nothing_is_no_success(ada: Operator, shared: Service) -> None:
    log_in(ada, shared)
    config = ada.home / ".config" / "commctl" / "config.toml"
    config.write_text(config.read_text().replace(shared.url, "http://127.0.0.1:1"))
    said = ada.run("logout", status=1).stderr
    assert "could not be revoked" in said
    assert "here is forgotten" in said


def test_a_directory_without_a_service_says_nothing_where_a_server_is_named(
    ada: Operator, shared: Service
) -> None:
    log_in(ada, shared)
    ada.environment["COMMCTL_DATA"] = str(ada.home)
    assert ada.run("whoami").stdout
    assert ada.run("whoami", "-s", shared.url).stdout
    told = ada.run("whoami", "-s", shared.url, "--data", str(ada.home), status=6).stderr
    assert "no service that runs" in told
    ada.run("logout")
    assert "no service that runs" in ada.run("whoami", status=6).stderr


def test_a_file_of_a_token_that_is_empty_is_said(ada: Operator, shared: Service) -> None:
    file = ada.home / "token"
    file.touch(mode=0o600)
    told = ada.run("whoami", "-s", shared.url, "--token-file", str(file), status=2).stderr
    assert told == f"commctl: {file} is empty.\n"


def test_a_keyring_is_used_only_where_the_profile_says_so(ada: Operator, shared: Service) -> None:
    where = ("--profile", "here")
    by_keyring(ada, shared)
    missing = ada.run("whoami", *where, status=6, PYTHONPATH=without_keyring(ada))
    assert "pip install keyring" in missing.stderr
    assert "no entry commctl/here" in ada.run("whoami", *where, status=6).stderr
    assert "the ring is locked" in ada.run("whoami", *where, status=6, LOCKED="1").stderr
    before = tokens(shared)
    log_in(ada, shared)
    assert list(json.loads((ada.home / "ring").read_text())) == ["commctl here"]
    assert not list(ada.home.glob(".config/commctl/*.token"))
    assert ["role", "admin"] in ada.rows("whoami")
    assert ["log-in", "a token, by profile here"] in ada.rows("profile", "show")
    ada.run("logout")
    assert json.loads((ada.home / "ring").read_text()) == {}
    assert tokens(shared) == before
    # Other profiles have no use for it.
    log_in(ada, shared)
    assert json.loads((ada.home / "ring").read_text()) == {}
    ada.run("logout")


def test_a_token_that_the_keyring_does_not_take_is_revoked(ada: Operator, shared: Service) -> None:
    config = ada.home / ".config/commctl/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[profile.here]\nserver = "{shared.url}"\nkeyring = "no-user"\n')
    before = tokens(shared)
    assert "SERVICE/USER" in log_in(ada, shared, status=2)
    assert tokens(shared) == before


def by_keyring(ada: Operator, shared: Service) -> None:
    """A keyring, and the profile `here` that keeps its token there."""
    config = ada.home / ".config/commctl/config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f'[profile.here]\nserver = "{shared.url}"\nkeyring = "commctl/here"\n')
    package = ada.home / "packages/keyring"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(KEYRING)
    (package / "errors.py").write_text("class KeyringError(Exception): pass\n")
    ada.environment["PYTHONPATH"] = f"{package.parent}:{ada.environment['PYTHONPATH']}"


def without_keyring(ada: Operator) -> str:
    """A PYTHONPATH with which there is no such package, also where it is installed."""
    package = ada.home / "none/keyring"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('none')\n")
    return f"{package.parent}:{ada.environment['PYTHONPATH']}"


def test_a_log_in_takes_the_service_of_s_and_spans_of_all_units(
    ada: Operator, shared: Service
) -> None:
    command = ("login", "-u", "admin", "--password-stdin", "--profile", "here")
    password = f"{shared.password}\n"
    ada.run("-s", shared.url, *command, "--expires", "90m", stdin=password)
    assert ["server", shared.url] in ada.rows("whoami")
    ada.run(*command, shared.url, "-s", shared.url, "--expires", "60s", stdin=password)
    assert "Which service? commctl login URL" in ada.run(*command, status=2).stderr
    two = ada.run(*command, shared.url, "-s", "http://other.example", status=2).stderr
    assert "Which service, http" in two
    ada.run("logout")


def test_a_log_out_is_of_the_profile_that_is_meant_and_by_its_own_token(
    ada: Operator, shared: Service
) -> None:
    before = tokens(shared)
    log_in(ada, shared)
    (here,) = tokens(shared) - before
    command = ("login", shared.url, "-u", "viewer", "--password-stdin", "--profile", "other")
    ada.run(*command, stdin=f"{shared.password}\n")
    assert "no log-in to end" in ada.run("logout", "-s", "http://other.example", status=1).stderr
    wrong = ada.run("logout", "-s", "http://other.example", "--profile", "here", status=2).stderr
    assert f"Profile here is of {shared.url}" in wrong
    assert "There is no profile none" in ada.run("logout", COMMCTL_PROFILE="none", status=2).stderr
    file = ada.home / "wrong"
    file.touch(mode=0o600)
    file.write_text("cmsr_none")
    ada.environment |= {"COMMCTL_TOKEN": "cmsr_none"}
    ended = ada.run("logout", "--token-file", str(file), COMMCTL_PROFILE="here")
    assert ended.stderr == "here is forgotten.\n"
    assert here not in tokens(shared)
    assert ada.run("logout").stderr == "other is forgotten.\n"
    assert tokens(shared) == before


def test_a_keyring_that_gives_nothing_or_keeps_an_entry_is_said_and_the_profile_goes(
    ada: Operator, shared: Service
) -> None:
    by_keyring(ada, shared)
    ring, before = ada.home / "ring", tokens(shared)
    log_in(ada, shared)
    locked = ada.run("logout", status=1, LOCKED="1").stderr
    assert "could not be revoked: The keyring does not give" in locked
    assert locked.endswith("here is forgotten.\n")
    assert json.loads(ring.read_text()), "the token is alive"
    (left,) = tokens(shared) - before
    shared.client.delete(f"/token/{left}").raise_for_status()
    config = ada.home / ".config/commctl/config.toml"
    config.write_text(f'[profile.here]\nserver = "{shared.url}"\nkeyring = "commctl/here"\n')
    log_in(ada, shared)
    stuck = ada.run("logout", status=1, STUCK="1").stderr
    assert "commctl/here could not be removed" in stuck
    assert stuck.endswith("here is forgotten.\n")
    assert tokens(shared) == before
    assert "no log-in to end" in ada.run("logout", status=1).stderr


def test_a_token_that_no_file_takes_is_revoked(ada: Operator, shared: Service) -> None:
    before = tokens(shared)
    (ada.home / ".config/commctl/here.token").mkdir(parents=True)
    assert "Is a directory" in log_in(ada, shared, status=1)
    assert tokens(shared) == before


def test_a_file_of_a_token_takes_the_place_of_a_log_in(ada: Operator, shared: Service) -> None:
    before = tokens(shared)
    log_in(ada, shared)
    kept = ada.home / ".config/commctl/here.token"
    over = ("login", shared.url, "--profile", "here", "--token-file")
    ada.run(*over, str(kept))  # the very one that there is
    assert ["role", "admin"] in ada.rows("whoami")
    made = shared.client.put("/token/ci", json={"role": "viewer", "expires": "1h"}).json()
    file = ada.home / "ci"
    file.touch(mode=0o600)
    file.write_text(made["token"])
    ada.run(*over, str(file))
    assert tokens(shared) - before == {"ci"}
    assert not kept.exists()
    ada.run("logout")
    assert file.exists()
    assert tokens(shared) - before == {"ci"}
    shared.client.delete("/token/ci").raise_for_status()
