"""A client certificate is a user's; the role is in the users file, and so is the way to end it."""

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from runners.security.users import UsersFile
from tests.support.certificates import Authority, Pair
from tests.support.service import Service, wait_for
from web.authentication.authentication import (
    NO_PASSWORD,
    Account,
    Authentication,
    Forbidden,
    Identity,
    Scope,
)
from web.authentication.certificates import SCOPE_KEY, CertificateAuthentication, ClientCertificate

LIMIT_S = 60.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def service(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that knows the CA."""
    flags = [*authority.server().flags, "--tls-client-ca", str(authority.file)]
    service = Service(tmp_path_factory.mktemp("service"), None, *flags)
    service.trusted = authority.trust()
    UsersFile(service.data / "users.json").add("robot", NO_PASSWORD, "operator")
    with service:
        yield service


def client(service: Service, authority: Authority, pair: Pair | None) -> httpx.Client:
    """Somebody who shows this certificate, and nothing else."""
    return httpx.Client(
        base_url=f"{service.url}/api/v0", verify=authority.trust(pair), timeout=LIMIT_S
    )


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (["viewer"], 403),
        (["operator"], 201),
        (["robot"], 201),
        (["somebody", "operator"], 201),
        (["somebody", "nobody@example.com", "viewer"], 403),
        (["Operator"], 403),
        (["somebody"], 403),
    ],
)
def test_the_common_name_or_another_name_is_the_user_with_the_role_of_the_users_file(
    service: Service, authority: Authority, names: list[str], status: int
) -> None:
    pair = authority.client(*names)
    with client(service, authority, pair) as somebody:
        assert somebody.put("/cluster/web").status_code == status
        known = {"viewer", "operator", "robot"} & set(names)
        assert somebody.get("/clusters").status_code == (200 if known else 403)
        assert somebody.get("/host/10.0.0.1/creds").status_code == 403


def test_the_log_names_the_user_of_the_certificate(service: Service, authority: Authority) -> None:
    with client(service, authority, authority.client("robot")) as robot:
        robot.put("/cluster/by-robot", headers={"X-Request-ID": "robot-1"})
    assert '"actor":"robot","correlation":"robot-1"' in service.read_log().replace(": ", ":")


def test_without_a_certificate_passwords_count_and_nothing_is_401(
    service: Service, authority: Authority
) -> None:
    with client(service, authority, None) as nobody:
        assert nobody.get("/clusters").status_code == 401
        assert nobody.get("/clusters", auth=("admin", service.password)).status_code == 200


def test_credentials_in_the_request_win_over_the_certificate(
    service: Service, authority: Authority
) -> None:
    with client(service, authority, authority.client("admin")) as admin:
        assert admin.get("/clusters", auth=("admin", "wrong")).status_code == 403
        as_viewer = ("viewer", service.password)
        assert admin.put("/cluster/x", auth=as_viewer).status_code == 403
        assert admin.put("/cluster/x").status_code == 201


def test_a_user_without_a_password_cannot_log_in_with_any(service: Service) -> None:
    for password in ("", "robot", "x"):
        answer = httpx.get(
            f"{service.url}/api/v0/clusters", auth=("robot", password), verify=service.trusted
        )
        assert answer.status_code == 403


def test_a_removed_user_is_refused_at_once_on_an_open_connection(
    service: Service, authority: Authority
) -> None:
    users = UsersFile(service.data / "users.json")
    users.add("leaver", NO_PASSWORD, "viewer")
    with client(service, authority, authority.client("leaver")) as leaver:
        assert leaver.get("/clusters").status_code == 200
        users.remove("leaver")
        assert leaver.get("/clusters").status_code == 403


@pytest.mark.parametrize("what", ["expired", "of another CA", "for servers only"])
def test_a_certificate_that_is_not_vouched_for_gets_no_answer(
    service: Service, authority: Authority, tmp_path: Path, what: str
) -> None:
    if what == "expired":
        pair = authority.client("admin", valid=timedelta(minutes=-1))
    elif what == "of another CA":
        pair = Authority(tmp_path, "ca").client("admin")
    else:
        pair = authority.client("admin", purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    with client(service, authority, pair) as somebody, pytest.raises(httpx.TransportError):
        somebody.get("/clusters")


def test_where_certificates_are_required_nobody_else_gets_as_far_as_a_request(
    authority: Authority, tmp_path: Path
) -> None:
    flags = [*authority.server("strict").flags, "--tls-client-ca", str(authority.file)]
    service = Service(tmp_path, None, *flags, "--tls-client-required")
    service.trusted = authority.trust(authority.client("admin"))
    with service:
        assert service.client.get("/clusters").status_code == 200
        with client(service, authority, None) as nobody, pytest.raises(httpx.TransportError):
            nobody.get("/clusters", auth=("admin", service.password))


async def test_a_certificate_that_expires_on_an_open_connection_is_refused() -> None:
    users, clock = SimpleNamespace(users={"robot": Account(NO_PASSWORD, "operator")}), [99.9]
    door = Authentication(CertificateAuthentication(users, lambda: clock[0]))
    scope: Scope = {"headers": [], SCOPE_KEY: ClientCertificate(("robot",), expires_at=100.0)}
    assert await door.authenticate(scope) == Identity("robot", "operator")
    clock[0] = 100.0
    assert door.remembered(scope) is None
    with pytest.raises(Forbidden, match="has expired"):
        await door.authenticate(scope)


def test_a_ca_that_was_taken_out_is_trusted_no_more_after_sighup(
    authority: Authority, tmp_path: Path
) -> None:
    ca = tmp_path / "clients.pem"
    ca.write_bytes(authority.file.read_bytes())
    service = Service(
        tmp_path, None, *authority.server("swapped").flags, "--tls-client-ca", str(ca)
    )
    service.trusted = authority.trust()
    # One context, so that a session could be resumed.
    trust = authority.trust(authority.client("viewer"))
    with service:
        clusters = f"{service.url}/api/v0/clusters"
        assert httpx.get(clusters, verify=trust).status_code == 200
        other = Authority(tmp_path, "other")
        ca.write_bytes(other.file.read_bytes())
        os.kill(service.pid, signal.SIGHUP)
        wait_for(lambda: "tls.reloaded" in service.read_log())
        with pytest.raises(httpx.TransportError):
            httpx.get(clusters, verify=trust)
        assert service.client.get("/clusters").status_code == 200
