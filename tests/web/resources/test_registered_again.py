"""A host that is there is registered again: its key is compared as a key, before it is read."""

from base64 import b64encode

import asyncssh
import httpx
import pytest

from runners.security.private_keys import read_private_key
from tests.web.service import WebService, base64_of, new_key

HOST = "/host/10.0.0.7"
KINDS = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"]


def wrappings(key: asyncssh.SSHKey) -> list[str]:
    """The same key as clients may send it."""
    raw = key.export_private_key()
    plain = base64_of(raw)
    other = "pkcs8-pem" if key.get_algorithm() == "ssh-ed25519" else "pkcs1-pem"
    return [
        plain,
        plain + "\n",
        "\n".join(plain[i : i + 64] for i in range(0, len(plain), 64)),
        base64_of(raw + b"\n"),
        base64_of(raw.rstrip(b"\n")),
        base64_of(raw.replace(b"\n", b"\r\n")),
        base64_of(b"# of web1\n" + raw),
        base64_of(key.export_private_key(other)),
        base64_of(key.export_private_key("pkcs8-pem")),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_key_in_another_wrapping_is_no_news(
    service: WebService, api: httpx.Client, kind: str
) -> None:
    key = asyncssh.generate_private_key(kind)
    first, *others = wrappings(key)
    registered = api.put(HOST, json={"ssh_priv_key": first})
    assert registered.status_code == 201
    before = len(service.events)
    for other in others:
        answer = api.put(HOST, json={"ssh_priv_key": other})
        assert (answer.status_code, answer.json()) == (201, registered.json())
        rotated = api.put(f"{HOST}/creds", json={"ssh_priv_key": other, "unchecked": True})
        assert rotated.status_code == 201
    assert len(service.events) == before
    assert api.get(f"{HOST}/creds").json()["ssh_priv_key"] == first


NO_KEYS = [
    "",
    " ",
    "no base64!",
    "YQ",
    b64encode(b"no key").decode(),
    b64encode(b"-----BEGIN OPENSSH PRIVATE KEY-----").decode(),
    b64encode(b"x" * 100_000).decode(),
    base64_of(new_key()),
]


@pytest.mark.parametrize("text", NO_KEYS, ids=lambda text: text[:12])
def test_another_key_or_what_is_none_is_409(
    service: WebService, api: httpx.Client, key: str, text: str
) -> None:
    assert api.put(HOST, json={"ssh_priv_key": key}).status_code == 201
    before = len(service.events)
    answer = api.put(HOST, json={"ssh_priv_key": text})
    assert (answer.status_code, answer.json()["errors"][0]["key"]) == (409, "ssh_priv_key")
    assert len(service.events) == before
    wrongs: list[object] = [7, ["a"], {}, True]
    for wrong in wrongs:
        assert api.put(HOST, json={"ssh_priv_key": wrong}).status_code == 400
    assert api.put(HOST, json={}).status_code == 400


@pytest.mark.parametrize("text", NO_KEYS[:-1], ids=lambda text: text[:12])
def test_what_is_no_key_is_400_where_the_host_is_new(
    service: WebService, api: httpx.Client, text: str
) -> None:
    answer = api.put(HOST, json={"ssh_priv_key": text})
    assert (answer.status_code, answer.json()["errors"][0]["key"]) == (400, "ssh_priv_key")
    assert service.events == []


def test_a_key_that_is_kept_is_known_though_it_would_not_be_taken_any_more(
    service: WebService, api: httpx.Client, key: str
) -> None:
    assert api.put(HOST, json={"ssh_priv_key": key}).status_code == 201

    def stricter(raw: bytes) -> str:
        raise AssertionError("nobody reads it")

    service.parse_key = stricter
    assert api.put(HOST, json={"ssh_priv_key": key + "\n"}).status_code == 201


def test_after_a_rotation_the_new_key_is_the_one(api: httpx.Client) -> None:
    old, new = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    assert api.put(HOST, json={"ssh_priv_key": wrappings(old)[0]}).status_code == 201
    body = {"ssh_priv_key": wrappings(new)[0], "unchecked": True}
    assert api.put(f"{HOST}/creds", json=body).status_code == 201
    assert [api.put(HOST, json={"ssh_priv_key": text}).status_code for text in wrappings(new)] == [
        201
    ] * 9
    assert api.put(HOST, json={"ssh_priv_key": wrappings(old)[3]}).status_code == 409
    assert read_private_key(new.export_private_key()).fingerprint == new.get_fingerprint()
