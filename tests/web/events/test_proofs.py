"""What the log's tree is, signed, and proofs of it: over HTTP, on both engines."""

from base64 import b64decode
from typing import Any

import httpx
import pytest

from domain.log.tree.hashing import leaf_hash
from domain.log.tree.proofs import continues, includes
from tests.domain.log.tree.test_note import verified_by_the_specification
from tests.web.service import WebService

CLUSTERS = 12
REFUSED = [
    ("", 400, "either position, or from"),
    ("?position=1&from=1", 400, "either position, or from"),
    ("?position=0", 400, "position"),
    ("?position=x", 400, "position"),
    ("?from=-1", 400, "from"),
    ("?from=999", 400, "from"),
    ("?from=3&to=2", 400, "from"),
    ("?from=1&to=999", 404, "not 999"),
    ("?position=999", 404, "no position 999"),
    ("?position=3&to=2", 404, "no position 3"),
    ("?to=2", 400, "either position, or from"),
    ("?positon=2", 400, "position"),
]


@pytest.fixture
def client(api: httpx.Client) -> httpx.Client:
    """An administrator, of a log with some events."""
    for number in range(CLUSTERS):
        api.put(f"/cluster/c{number}").raise_for_status()
    return api


def told(client: httpx.Client, path: str) -> Any:
    """The answer to a GET."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_checkpoint_is_of_the_whole_log_and_signed(client: httpx.Client) -> None:
    found = told(client, "/log/checkpoint")
    origin, size, root = verified_by_the_specification(found["checkpoint"], found["key"])
    assert (size, root) == (found["size"], b64decode(found["root"]))
    assert found["key"].startswith(f"{origin}+")
    events = told(client, "/events?limit=1000")
    assert (len(events), events[-1]["id"]) == (size, str(found["position"]))
    client.put("/cluster/more").raise_for_status()
    assert told(client, "/log/checkpoint")["size"] == size + 1


def test_every_event_is_proved_to_be_in_the_log(client: httpx.Client) -> None:
    checkpoint = told(client, "/log/checkpoint")
    root = b64decode(checkpoint["root"])
    for event in told(client, "/events?limit=1000"):
        found = told(client, f"/log/proof?position={event['id']}")
        leaf = leaf_hash(found["row"].encode())
        path = [b64decode(each) for each in found["hashes"]]
        assert includes(leaf, found["leaf"], checkpoint["size"], path, root)
        assert f'"{event["type"]}"' in found["row"]
        assert (found["size"], found["root"]) == (checkpoint["size"], checkpoint["root"])


def test_the_log_is_proved_to_continue_what_it_was(client: httpx.Client) -> None:
    checkpoint = told(client, "/log/checkpoint")
    size = checkpoint["size"]
    for older in range(size + 1):
        earlier = told(client, f"/log/proof?from=0&to={older}")["root"]
        found = told(client, f"/log/proof?from={older}")
        path = [b64decode(each) for each in found["hashes"]]
        assert (found["older_size"], found["older_root"]) == (older, earlier)
        assert continues(older, b64decode(earlier), size, b64decode(checkpoint["root"]), path)


def test_what_cannot_be_proved_is_refused(client: httpx.Client) -> None:
    for query, status, word in REFUSED:
        answer = client.get(f"/log/proof{query}")
        assert (answer.status_code, word in answer.text) == (status, True), (query, answer.text)


def test_viewers_may_ask_and_nobody_else(service: WebService, client: httpx.Client) -> None:
    for path in ("/log/checkpoint", "/log/proof?from=0"):
        with service.client("viewer") as viewer:
            assert viewer.get(path).status_code == 200
        assert httpx.get(f"{service.url}/api/v0{path}").status_code == 401


def test_a_tree_that_is_broken_or_being_made_is_503(
    service: WebService, client: httpx.Client
) -> None:
    with service.engine.append(10) as appending:
        appending.tx.execute("UPDATE log_frontier SET position = position - 1")
        appending.commit()
    for path in ("/log/checkpoint", "/log/proof?from=0", "/log/proof?position=1"):
        answer = client.get(path)
        assert (answer.status_code, "being made" in answer.text) == (503, True)
    with service.engine.append(10) as appending:
        appending.tx.execute("UPDATE log_frontier SET size = size * 2 + 1")
        appending.commit()
    for path in ("/log/checkpoint", "/log/proof?from=0", "/log/proof?position=1"):
        answer = client.get(path)
        assert (answer.status_code, "cannot be used" in answer.text) == (503, True)
