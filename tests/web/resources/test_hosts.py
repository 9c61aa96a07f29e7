"""`/hosts`, `/host/{address}` and `/host/{address}/status`."""

import re
from base64 import b64decode
from textwrap import fill

import asyncssh
import httpx
import pytest

from tests.web.service import WebService, base64_of, new_key

RECORD_KEYS = ["address", "status", "os", "cpus", "memory", "space", "last_check", "source"]
HIDDEN = "hidden-word"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")


def put(api: httpx.Client, address: str, key: str, /, **more: object) -> httpx.Response:
    """Register a host."""
    return api.put(f"/host/{address}", json={"ssh_priv_key": key, **more})


def test_a_new_host_is_answered_201_as_investigating(api: httpx.Client, key: str) -> None:
    answer = put(api, "192.168.1.7", key)
    assert answer.status_code == 201
    assert list(answer.json()) == RECORD_KEYS
    assert answer.json() == {
        "address": "192.168.1.7",
        "status": "investigating",
        "os": "",
        "cpus": 0,
        "memory": 0,
        "space": 0,
        "last_check": "",
        "source": "",
    }
    get = api.get("/host/192.168.1.7")
    assert (get.status_code, get.content) == (200, answer.content)


def test_what_was_learned_of_a_host_is_in_its_record_and_status(
    service: WebService, api: httpx.Client, key: str
) -> None:
    put(api, "192.168.1.7", key)
    service.settle("192.168.1.7", os="atomic")
    record = api.get("/host/192.168.1.7").json()
    assert TIME.fullmatch(record["last_check"])
    assert (record["os"], record["cpus"]) == ("atomic", 4)
    assert (record["memory"], record["space"]) == (11989228, 487652)
    status = api.get("/host/192.168.1.7/status")
    assert status.status_code == 200
    assert list(status.json()) == ["type", "host", "container_manager"]
    assert status.json() == {
        "type": "host_only",
        "host": {"last_check": record["last_check"], "status": "disassociated"},
        "container_manager": {},
    }


def test_a_host_that_is_not_there_is_404(api: httpx.Client) -> None:
    for path in ("/host/10.9.9.9", "/host/10.9.9.9/status"):
        assert api.get(path).status_code == 404
    assert api.delete("/host/10.9.9.9").status_code == 404


def test_a_host_is_a_member_of_the_cluster_it_was_registered_into_at_once(
    api: httpx.Client, key: str
) -> None:
    api.put("/cluster/web")
    assert put(api, "10.0.0.1", key, cluster="web").status_code == 201
    assert api.get("/cluster/web/hosts").json() == ["10.0.0.1"]
    unavailable = {"total": 1, "available": 0, "unavailable": 1}
    assert api.get("/cluster/web").json()["hosts"] == unavailable


def test_a_cluster_that_does_not_exist_is_409_and_nothing_is_registered(
    service: WebService, api: httpx.Client, key: str
) -> None:
    answer = put(api, "10.0.0.1", key, cluster="none")
    assert answer.status_code == 409
    assert answer.json()["errors"][0]["key"] == "cluster"
    assert api.get("/host/10.0.0.1").status_code == 404
    assert service.topics() == []


def test_a_registration_that_is_sent_again_is_answered_with_the_record_as_it_is(
    service: WebService, api: httpx.Client, key: str
) -> None:
    api.put("/cluster/web")
    put(api, "10.0.0.1", key, cluster="web")
    service.settle("10.0.0.1")
    happened = service.topics()
    for more in (
        {},
        {"cluster": "web"},
        {"remote_user": "root", "ssh_port": 22, "source": ""},
        {"status": "failed", "cpus": "many", "address": "10.0.0.2", "os": 3},
        {"cluster": None, "remote_user": None, "ssh_port": None, "source": None},
    ):
        answer = put(api, "10.0.0.1", key, **more)
        assert answer.status_code == 201
        assert answer.json()["status"] == "active"
        assert answer.json()["address"] == "10.0.0.1"
    assert service.topics() == happened


def test_a_registration_that_differs_is_409_and_names_the_key(
    service: WebService, api: httpx.Client, key: str
) -> None:
    api.put("/cluster/web")
    put(api, "10.0.0.1", key)
    happened = service.topics()
    for different in (
        {"ssh_priv_key": base64_of(new_key())},
        # No key at all, but it is compared before it is parsed.
        {"ssh_priv_key": base64_of(b"no key")},
        {"cluster": "web"},
        {"remote_user": "fedora"},
        {"ssh_port": 2222},
    ):
        answer = api.put("/host/10.0.0.1", json={"ssh_priv_key": key} | different)
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["key"] == next(iter(different))
    assert service.topics() == happened


def test_keys_may_have_line_breaks_and_come_in_every_usual_format(api: httpx.Client) -> None:
    made = [
        asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_private_key("pkcs1-pem"),
        asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_private_key("pkcs8-pem"),
        new_key(),
    ]
    for i, raw in enumerate(made):
        answer = put(api, f"10.0.0.{i}", fill(base64_of(raw), 60) + "\r\n")
        assert answer.status_code == 201
        told = api.get(f"/host/10.0.0.{i}/creds").json()
        assert b64decode(told["ssh_priv_key"]) == raw


def test_a_key_that_is_none_is_400_and_is_not_shown_back(
    service: WebService, api: httpx.Client
) -> None:
    ed25519 = asyncssh.generate_private_key("ssh-ed25519")
    for bad in (
        b"no key at all",
        ed25519.export_public_key(),
        ed25519.export_private_key(passphrase=HIDDEN),
        new_key()[:-80],
    ):
        answer = put(api, "10.0.0.1", base64_of(bad))
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["key"] == "ssh_priv_key"
        assert base64_of(bad)[:40] not in answer.text
        assert HIDDEN not in answer.text
    assert service.topics() == []


def test_every_spelling_of_an_address_is_the_same_host(
    service: WebService, api: httpx.Client, key: str
) -> None:
    for stored, spellings in {
        "2001:db8::7": ("2001:DB8::7", "2001:0db8:0:0::7", "2001%3Adb8%3A%3A7"),
        "10.0.0.9": ("::ffff:10.0.0.9", "10.0.0.9/"),
        "node-1.example.com": ("Node-1.Example.COM", "node%2D1.example.com"),
    }.items():
        for spelling in (stored, *spellings):
            assert put(api, spelling, key).json()["address"] == stored
            assert api.get(f"/host/{spelling}").json()["address"] == stored
    assert service.topics().count("host.registered") == 3
    addresses = [host["address"] for host in api.get("/hosts").json()]
    assert addresses == ["10.0.0.9", "2001:db8::7", "node-1.example.com"]


@pytest.mark.parametrize(
    "address",
    [
        "10.1",
        "0x0a000001",
        "167772161",
        "10.0.0.256",
        "fe80::1",
        "FEBF::1",
        "fe80::1%25eth0",
        "a_b",
        "a..b",
        "-a",
        "%C3%A4",
        "10.0.0.1%2F24",
        "%20",
        "%00",
        "%FF",
        "[::1]",
        "a" * 64,
        "0.0.0.0",  # noqa: S104 - not bound to
        "224.0.0.1",
        "%252e",
    ],
)
def test_what_is_no_address_is_400_for_put_and_404_for_the_rest(
    client: httpx.Client, key: str, address: str
) -> None:
    assert put(client, address, key).status_code == 400
    assert client.get(f"/host/{address}").status_code == 404
    assert client.get(f"/host/{address}/status").status_code == 404
    assert client.get(f"/host/{address}/creds").status_code == 404
    assert client.delete(f"/host/{address}").status_code == 404


def test_a_deleted_host_leaves_its_cluster_and_takes_its_key_along(
    service: WebService, api: httpx.Client, key: str
) -> None:
    api.put("/cluster/web")
    put(api, "10.0.0.1", key, cluster="web")
    gone = api.delete("/host/10.0.0.1")
    assert (gone.status_code, gone.json()) == (200, [])
    for path in ("/host/10.0.0.1", "/host/10.0.0.1/status", "/host/10.0.0.1/creds"):
        assert api.get(path).status_code == 404
    assert api.get("/cluster/web/hosts").json() == []
    assert api.delete("/host/10.0.0.1").status_code == 404
    with service.engine.snapshot() as tx:
        found = tx.execute("SELECT 1 FROM vault WHERE subject = 'host/10.0.0.1'").fetchone()
    assert found is None
    other = base64_of(new_key())
    assert put(api, "10.0.0.1", other, remote_user="fedora").status_code == 201
    assert api.get("/host/10.0.0.1/creds").json()["remote_user"] == "fedora"


# The list


def test_the_list_has_records_without_source_sorted_by_address(api: httpx.Client, key: str) -> None:
    assert api.get("/hosts").json() == []
    for address in ("10.0.0.9", "10.0.0.10", "::1"):
        put(api, address, key)
    listed = api.get("/hosts/").json()
    assert [host["address"] for host in listed] == ["10.0.0.10", "10.0.0.9", "::1"]
    assert all(list(host) == RECORD_KEYS[:-1] for host in listed)


def test_the_list_can_be_filtered_and_paged(
    service: WebService, api: httpx.Client, key: str
) -> None:
    api.put("/cluster/web")
    for i in range(1, 6):
        put(api, f"10.0.0.{i}", key, **({"cluster": "web"} if i > 3 else {}))
    for i in (1, 4):
        service.settle(f"10.0.0.{i}")

    def listed(query: str) -> list[str]:
        return [
            host["address"].removeprefix("10.0.0.") for host in api.get(f"/hosts?{query}").json()
        ]

    assert listed("status=active") == ["4"]
    assert listed("status=disassociated") == ["1"]
    assert listed("cluster=web") == ["4", "5"]
    assert api.get("/hosts?cluster=none").status_code == 404
    assert listed("cluster=web&status=investigating") == ["5"]
    assert listed("limit=2") == ["1", "2"]
    assert listed("limit=2&after=10.0.0.2") == ["3", "4"]
    assert listed("after=10.0.0.5") == []
    assert listed("after=::ffff:10.0.0.4") == ["5"]


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("status=broken", "status"),
        ("status=", "status"),
        ("cluster=a/b", "cluster"),
        ("cluster=", "cluster"),
        ("after=10.1", "after"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("limit=1&limit=2", "limit"),
        ("status=%FF", None),
        ("&".join(["a=1"] * 200), None),
    ],
)
def test_a_bad_parameter_is_400_and_named(
    client: httpx.Client, query: str, key: str | None
) -> None:
    answer = client.get(f"/hosts?{query}")
    assert answer.status_code == 400
    assert [error["key"] for error in answer.json().get("errors", [])] == ([key] if key else [])


# Validators


def test_get_carries_a_weak_etag_and_what_has_not_changed_is_304(
    service: WebService, api: httpx.Client, key: str
) -> None:
    api.put("/cluster/web")
    put(api, "10.0.0.1", key, cluster="web")
    paths = ["/hosts", "/hosts?status=active&limit=3", "/host/10.0.0.1", "/host/10.0.0.1/status"]
    paths += ["/cluster/web", "/cluster/web/hosts"]
    for path in paths:
        first = api.get(path)
        tag = first.headers["ETag"]
        assert re.fullmatch(r'W/"[^"]+"', tag)
        assert "no-cache" in first.headers["Cache-Control"]
        for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
            again = api.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["ETag"] == tag
        assert api.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
        head = api.head(path)
        assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", tag)
        assert head.headers["Content-Length"] == str(len(first.content))
    before = {path: api.get(path).headers["ETag"] for path in paths}
    service.settle("10.0.0.1")
    for path, tag in before.items():
        if path != "/cluster/web/hosts":
            assert api.get(path, headers={"If-None-Match": tag}).status_code == 200
    for path in ("/clusters", "/cluster/web/hosts/10.0.0.1"):
        tag = api.get(path).headers["ETag"]
        assert api.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_a_heartbeat_moves_last_check_but_not_the_etag(
    service: WebService, api: httpx.Client, key: str
) -> None:
    put(api, "10.0.0.1", key)
    service.settle("10.0.0.1")
    paths = ("/host/10.0.0.1", "/host/10.0.0.1/status", "/hosts")
    before = [api.get(path) for path in paths]
    with service.engine.append(5) as appending:
        sql = "INSERT INTO heartbeats (address, last_check) VALUES (?, ?)"
        appending.tx.execute(sql, ("10.0.0.1", "2099-01-01T00:00:00.000000"))
        appending.commit()
    for path, old in zip(paths, before, strict=True):
        new = api.get(path)
        assert "2099-01-01" in new.text
        assert new.headers["ETag"] == old.headers["ETag"]


def test_a_heartbeat_goes_with_its_host(service: WebService, api: httpx.Client, key: str) -> None:
    put(api, "10.0.0.1", key)
    with service.engine.append(5) as appending:
        sql = "INSERT INTO heartbeats (address, last_check) VALUES (?, ?)"
        for address in ("10.0.0.1", "10.0.0.2"):
            appending.tx.execute(sql, (address, "2099-01-01T00:00:00.000000"))
        appending.commit()
    assert api.delete("/host/10.0.0.1").status_code == 200
    with service.engine.snapshot() as tx:
        assert tx.execute("SELECT address FROM heartbeats").fetchall() == [("10.0.0.2",)]
