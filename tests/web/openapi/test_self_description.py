"""`/openapi.json` says what is so, and `/docs` shows it without asking anybody else."""

import re
from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from domain.refusal import Refusal
from tests.web.service import WebService
from web.http.problems import KINDS
from web.schemas import addresses
from web.schemas.bodies import Exact, host_address
from web.schemas.records import Record

Document = dict[str, Any]
WEB = Path(__file__).parents[3] / "web"
LOG_IN = ("POST", "/api/v0/sessions")
"""It has the credentials in its body."""


@pytest.fixture(scope="module")
def document(front: WebService) -> Document:
    """What `/openapi.json` answers."""
    answer = httpx.get(f"{front.url}/openapi.json", auth=("viewer", "viewer"))
    assert answer.headers["content-type"] == "application/json"
    found: Document = answer.json()
    return found


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Verb, path and description of every operation."""
    for path, by_verb in document["paths"].items():
        for verb, operation in by_verb.items():
            yield verb.upper(), path, operation


def test_it_is_openapi_3_1(document: Document) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")


def test_every_route_of_the_table_is_in_it_and_nothing_else(
    front: WebService, document: Document
) -> None:
    table = {(route.verb, route.path) for route in front.table}
    assert {(verb, path) for verb, path, _ in operations(document)} == table
    assert len({operation["operationId"] for *_, operation in operations(document)}) == len(table)


def test_every_route_that_asks_who_is_there_says_so(document: Document) -> None:
    for verb, path, operation in operations(document):
        if (verb, path) == LOG_IN:
            assert operation["security"] == []
            assert {"403", "429"} <= operation["responses"].keys()
        elif path.startswith("/api") or operation["security"]:
            kinds = ("basic", "bearer", "certificate", "session")
            assert operation["security"] == [{kind: []} for kind in kinds]
            assert {"401", "403", "429"} <= operation["responses"].keys(), (verb, path)
        else:  # figures are open to whoever is on this machine only
            assert ("401" in operation["responses"]) == (path == "/metrics")


def test_what_needs_credentials_and_what_does_not(front: WebService, document: Document) -> None:
    for verb, path, operation in operations(document):
        here = re.sub(r"{\w+}", "10.0.0.1", path)
        status = httpx.request(verb, f"{front.url}{here}").status_code
        assert (status == 401) == bool(operation["security"]), (verb, path)


def test_every_success_says_what_was_done_or_what_is_shown(document: Document) -> None:
    for verb, path, operation in operations(document):
        for status in operation["responses"].keys() & {"200", "201"}:
            said = operation["responses"][status]["description"]
            if verb == "GET":
                assert said.removesuffix(".") == operation["summary"], path
            else:
                assert re.match(
                    r"(It|The operation) was .*\.|It is there as asked|Nothing was", said
                )


def test_examples_are_what_the_schemas_say(document: Document) -> None:
    schemas = document["components"]["schemas"]
    assert {"HostRecord", "ClusterRecord", "ProblemRecord", "HostBody"} <= schemas.keys()
    for name, schema in schemas.items():
        whole = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        shown_of_all = schema.get("examples", ())
        assert shown_of_all or not name.endswith("Body"), f"{name} has no example"
        for shown in shown_of_all:
            jsonschema_rs.Draft202012Validator(whole).validate(shown)
    for kinds, response in document["components"]["responses"].items():
        for kind, shown in response["content"]["application/problem+json"]["examples"].items():
            jsonschema_rs.Draft202012Validator(schemas["ProblemRecord"] | document).validate(
                shown["value"]
            )
            assert shown["value"]["status"] == KINDS[kind].status
            assert kind in kinds


def test_nothing_may_be_in_a_record_that_is_not_described(document: Document) -> None:
    schemas = document["components"]["schemas"]
    records = [kind.__name__ for kind in Record.__subclasses__() if kind.__name__ in schemas]
    assert len(records) > 5
    assert all(schemas[name]["additionalProperties"] is False for name in records)


def test_bodies_say_whether_a_key_that_is_not_known_is_wrong(document: Document) -> None:
    schemas = document["components"]["schemas"]
    exact = {kind.__name__ for kind in every_exact(Exact)} & schemas.keys()
    assert exact >= {"DeployBody", "UpgradeBody", "RestartBody", "StateBody", "HostKeyBody"}
    for name, schema in schemas.items():
        if name in exact:
            assert schema["additionalProperties"] is False
        elif name.endswith("Body") and name != "LabelsBody":  # every key is a label
            assert "additionalProperties" not in schema


READ_AS = (
    r'name == b"([a-z-]+)"',
    r'headers\.get\(\s*"([a-z-]+)"',
    r'_header\(scope, b"([a-z-]+)"',
    r'given\.get\(b"([a-z-]+)"',
    r'b"([a-z-]+)" in given',
    r'\bHEADER = "([A-Za-z-]+)"',
)
"""How the code asks for a header of a request."""
SAID_OTHERWISE = {
    "accept": "the media types of answers",
    "authorization": "the security schemes",
    "content-length": "how a body is sent",
    "cookie": "the security schemes",
    "host": "of whoever has a browser",
    "origin": "of whoever has a browser",
    "x-forwarded-proto": "of proxies",
}


def test_every_header_that_the_code_reads_is_a_parameter_where_it_counts(
    document: Document,
) -> None:
    code = "".join(file.read_text() for file in WEB.rglob("*.py") if "console" not in file.parts)
    read = {found.lower() for pattern in READ_AS for found in re.findall(pattern, code)}
    where: dict[str, set[tuple[str, str]]] = {}
    for verb, path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "header":
                where.setdefault(parameter["name"].lower(), set()).add((verb, path))
    assert read - SAID_OTHERWISE.keys() == where.keys()
    v0 = "/api/v0"
    output = ("GET", f"{v0}/operation/{{id}}/hosts/{{address}}/output")
    assert where["range"] == where["if-range"] == {output}
    assert where["last-event-id"] == {output, ("GET", f"{v0}/events/stream")}
    assert where["idempotency-key"] == {("POST", f"{v0}/operations")}
    assert where["if-match"] == {("PUT", f"{v0}/host/{{address}}/labels")}
    changes = {
        (verb, path)
        for verb, path, _ in operations(document)
        if verb != "GET" and not path.startswith("/v1/")  # a protocol that has no notes
    }
    assert where["commissaire-note"] == changes - {LOG_IN}


def test_every_get_says_which_position_it_is_as_of(document: Document) -> None:
    for verb, path, operation in operations(document):
        for status in operation["responses"].keys() & {"200", "206", "304"}:
            headers = operation["responses"][status]["headers"]
            is_told = verb == "GET" and path.startswith("/api/")
            assert ("Commissaire-Position" in headers) == is_told, (verb, path, status)
    of_nothing = {n: r for n, r in document["components"]["responses"].items() if "not_found" in n}
    assert of_nothing
    for name, response in of_nothing.items():
        assert "Commissaire-Position" in response["headers"], name


def test_what_may_be_empty_in_a_body_is_said_of_it_and_of_nothing_else(document: Document) -> None:
    schemas = document["components"]["schemas"]
    for body, key in (
        ("ClusterBody", "network"),
        ("ClusterBody", "container_manager"),
        ("HostBody", "cluster"),
        ("HostBody", "remote_user"),
        ("CredentialsBody", "remote_user"),
    ):
        assert jsonschema_rs.is_valid(schemas[body]["properties"][key], ""), (body, key)
    parameters = [
        parameter
        for _, _, operation in operations(document)
        for parameter in operation.get("parameters", ())
        if parameter["name"] in ("name", "cluster")
    ]
    assert len(parameters) > 5
    assert not any(jsonschema_rs.is_valid(found["schema"], "") for found in parameters)


def every_exact(kind: type[Exact]) -> Iterator[type[Exact]]:
    """The bodies that know all of their keys."""
    for below in kind.__subclasses__():
        yield below
        yield from every_exact(below)


def test_it_has_a_validator_and_is_answered_304(front: WebService) -> None:
    with front.client("viewer") as client:
        for path in ("/openapi.json", "/api/v0/openapi.json", "/docs", "/docs/swagger-ui.css"):
            first = client.get(f"{front.url}{path}")
            again = client.get(
                f"{front.url}{path}", headers={"If-None-Match": first.headers["etag"]}
            )
            assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
            assert "no-cache" in first.headers["cache-control"]


def test_the_page_may_load_nothing_from_elsewhere(front: WebService) -> None:
    with front.client("viewer") as client:
        page = client.get(f"{front.url}/docs/")
    policy = dict(
        part.split(" ", 1) for part in page.headers["content-security-policy"].split("; ")
    )
    assert policy.pop("default-src") == policy.pop("frame-ancestors") == "'none'"
    assert set(policy.values()) <= {"'self'", "'self' data:", "'none'"}
    assert "//" not in page.text
    assert page.headers["content-type"] == "text/html; charset=utf-8"


def test_every_file_that_the_page_names_is_served(front: WebService) -> None:
    with front.client("viewer") as client:
        page = client.get(f"{front.url}/docs").text
        named = [part.split('"')[0] for part in page.replace("src=", "href=").split('href="')[1:]]
        assert len(named) == 5
        for path in named:
            answer = client.get(f"{front.url}{path}")
            assert answer.status_code == 200, path
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.get(f"{front.url}/docs/index.html").status_code == 404


SCHEMA = jsonschema_rs.Draft202012Validator(addresses.SCHEMA, validate_formats=True)


def is_mapped(text: str) -> bool:
    """Whether it is an IPv4 address inside an IPv6 one, however that is written."""
    try:
        return IPv6Address(text).ipv4_mapped is not None
    except ValueError:
        return False


@given(
    st.one_of(
        st.ip_addresses().map(str),
        st.ip_addresses(v=6).map(lambda address: address.exploded.upper()),
        st.from_regex(r"\A[A-Za-z0-9.:x-]{0,20}\Z"),
        st.from_regex(r"\A([0-9]{1,3}\.){3}[0-9]{1,3}\Z"),
        st.text(max_size=8),
    )
)
@example("0.0.0.0")  # noqa: S104 - nothing is bound to it
@example("239.1.1.1")
@example("::")
@example("FF02::1")
@example("ff::1")
@example("::ffff:10.0.0.1")
@example("::ffff:0.0.0.0")
@example("web.0x1f")
@example("10.1")
@example("0000:0000:0000:0000:0000:FFFF:0000:0000")
@example("a" * 64)
@example(".".join(["a" * 61] * 4) + ".abcde")
@example(".".join(["a" * 61] * 4) + ".abcdef")
def test_an_address_is_described_as_it_is_checked(text: str) -> None:
    try:
        host_address(text)
    except Refusal:
        accepted = False
    else:
        accepted = True
    described = SCHEMA.is_valid(text)
    # Of IPv4 addresses inside IPv6 ones, a pattern says too little: 0.0.0.0 is none there, too.
    assert described == accepted or (described and is_mapped(text)), text
