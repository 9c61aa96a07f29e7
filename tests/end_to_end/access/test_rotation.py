"""Credentials are rotated on real hosts: tried over SSH, kept, used; the old ones are destroyed."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx

from tests.end_to_end.access.test_secrets import assert_nowhere, traces, vault_rows
from tests.fleet import Fleet
from tests.fleet.host import Host
from tests.fleet.keys import KeyPair, new_key
from tests.support.service import Service, wait_for
from tests.support.user_certificates import Certified, certified, renewed


def rotate(service: Service, host: Host, key: KeyPair, **more: Any) -> httpx.Response:
    """PUT new credentials of a host."""
    body = {"ssh_priv_key": b64encode(key.private).decode(), **more}
    return service.client.put(f"/host/{host.address}/creds", json=body)


def test_a_key_is_rotated_once_the_host_takes_it_and_the_old_one_is_gone_for_good(
    service: Service, database_url: str, fleet: Fleet
) -> None:
    host = fleet.add("debian")
    old, new = traces(host.private_key), new_key()
    service.register(host)
    service.wait_for_status(host.address, "disassociated")
    sealed = vault_rows(service, database_url)

    refused = rotate(service, host, new)
    assert refused.status_code == 409
    assert "did not let" in refused.json()["detail"]
    assert vault_rows(service, database_url) == sealed

    host.let_in(new.public)
    answer = rotate(service, host, new)
    assert answer.status_code == 201
    assert answer.json() == {
        "fingerprint": new.fingerprint,
        "remote_user": host.user,
        "ssh_port": host.port,
    }
    # Not as ciphertext either: in no page of the database, nor in what it logs ahead.
    assert len(vault_rows(service, database_url)) == 2
    assert_nowhere([*old, *traces(new.private), *sealed], service, database_url)


def test_after_a_wrong_key_nothing_is_changed_and_the_old_one_still_works(
    tmp_path: Any, fleet: Fleet
) -> None:
    host = fleet.add("debian")
    with Service(tmp_path, None, "--check-interval", "0.2") as service:
        service.register(host)
        service.wait_for_status(host.address, "disassociated")
        before = service.client.get(f"/host/{host.address}/creds").json()
        refused = rotate(service, host, new_key(), remote_user="root", ssh_port=host.port)
        assert refused.status_code == 409
        assert refused.json()["type"] == "urn:commissaire:problem:conflict"
        assert refused.json()["detail"].endswith("Nothing was changed.")
        assert service.client.get(f"/host/{host.address}/creds").json() == before
        assert "host.credentials_rotated" not in service.read_log()
        path = f"/host/{host.address}"
        checked = service.client.get(path).json()["last_check"]
        wait_for(lambda: service.client.get(path).json()["last_check"] > checked)
        assert service.status(host.address) == "disassociated"


def test_every_rotation_is_an_event_with_who_did_it_and_no_secret(
    service: Service, database_url: str, fleet: Fleet
) -> None:
    host = fleet.add("debian")
    service.register(host)
    keys = [new_key(), new_key()]
    for number, (key, more) in enumerate(zip(keys, ({}, {"unchecked": True}), strict=True)):
        host.let_in(key.public)
        answer = rotate(service, host, key, **more)
        assert answer.status_code == 201
        lines = [line for line in service.read_log().splitlines() if '"change"' in line]
        rotations = [json.loads(line) for line in lines if "host.credentials_rotated" in line]
        assert len(rotations) == number + 1
        assert rotations[-1]["actor"] == "admin"
        assert rotations[-1]["correlation"] == answer.headers["X-Request-ID"]
    service.wait_for_status(host.address, "disassociated")
    changes = [json.loads(x) for x in service.read_log().splitlines() if '"change"' in x]
    assert {change["actor"] for change in changes} == {"admin", "runner:investigator"}
    assert all(change["correlation"] for change in changes)
    secrets = [piece for key in keys for piece in traces(key.private)]
    assert_nowhere(secrets, service, database_url)


def test_a_failed_host_is_looked_at_again_at_once_with_the_new_credentials(
    tmp_path: Any, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    key = new_key()
    host.let_in(key.public)
    # Nobody looks by himself for an hour.
    with Service(tmp_path, None, "--retry-pause-s", "3600") as service:
        service.register(host)
        service.wait_for_status(host.address, "failed")
        assert rotate(service, host, key).status_code == 201
        service.wait_for_status(host.address, "disassociated")


def test_a_wrong_port_a_stranger_and_another_host_key_are_409_with_what_is_wrong(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("debian")
    key = new_key()
    host.let_in(host.public_key, key.public)
    service.register(host)
    service.wait_for_status(host.address, "disassociated")
    for more, word in (
        ({"ssh_port": 1}, "refused the connection on port 1"),
        ({"remote_user": "stranger"}, "did not let stranger log in"),
    ):
        answer = rotate(service, host, key, **more)
        assert answer.status_code == 409
        assert word in answer.json()["detail"]
    host.change_host_key()
    answer = rotate(service, host, key)
    assert answer.status_code == 409
    assert "another host key" in answer.json()["detail"]
    assert service.status(host.address) == "disassociated"
    assert rotate(service, host, key, unchecked=True).status_code == 201


def test_a_user_who_cannot_become_root_is_refused(service: Service, fleet: Fleet) -> None:
    host = fleet.add("ubuntu", user="ops")
    service.register(host)
    service.wait_for_status(host.address, "disassociated")
    key = new_key()
    host.let_in(key.public)
    host.sudo("password")
    answer = rotate(service, host, key)
    assert answer.status_code == 409
    assert "sudo asks ops for a password" in answer.json()["detail"]


def test_the_try_is_a_first_contact_where_there_was_none(service: Service, fleet: Fleet) -> None:
    host = fleet.add("debian")
    host.stop()
    service.register(host)
    service.wait_for_status(host.address, "failed")
    host.start()
    key = new_key()
    host.let_in(key.public)
    assert rotate(service, host, key).status_code == 201
    service.wait_for_status(host.address, "disassociated")
    pinned = service.client.get(f"/host/{host.address}/hostkey").json()["fingerprint"]
    assert pinned == host.host_key_fingerprint


def test_a_renewed_certificate_of_the_same_key_is_tried_and_kept(
    service: Service, fleet: Fleet, tmp_path: Path
) -> None:
    host = fleet.add("debian")
    first = certified(tmp_path, "-n", host.user)
    second = renewed(tmp_path, "-n", host.user, "-V", "+52w")
    host.path("/etc/ssh/authority.pub").write_text(first.authority)
    host.let_in()
    host.sshd("TrustedUserCAKeys /etc/ssh/authority.pub")
    path = f"/host/{host.address}"

    def sent(made: Certified) -> dict[str, str]:
        return {"ssh_priv_key": b64encode(made.key + made.certificate).decode()}

    def kept() -> str:
        return str(service.client.get(f"{path}/creds").json()["ssh_priv_key"])

    body = sent(first) | {"ssh_port": host.port, "remote_user": host.user}
    assert service.client.put(path, json=body).status_code == 201
    service.wait_for_status(host.address, "disassociated")
    again = service.client.put(path, json=sent(second))
    assert (again.status_code, "certificate" in again.json()["detail"]) == (409, True)
    for _ in range(2):
        assert service.client.put(f"{path}/creds", json=sent(second)).status_code == 201
        assert kept() == sent(second)["ssh_priv_key"]
    assert service.read_log().count('"host.credentials_rotated"') == 1
    alone = {"ssh_priv_key": b64encode(first.key).decode()}
    assert service.client.put(path, json=alone).status_code == 201  # it says nothing of it
    refused = service.client.put(f"{path}/creds", json=alone)  # no key alone is let in
    assert (refused.status_code, kept()) == (409, sent(second)["ssh_priv_key"])
