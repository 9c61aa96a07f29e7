"""`/openapi.json`: what every route takes and answers, made from the table of routes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from web.http.problems import KINDS, Problem
from web.openapi.headers import HEADERS, SAID_WITH, given, references, taken
from web.routing.description import JSON_TYPE, Content, Shape
from web.routing.route import Route
from web.routing.where import TOLD
from web.schemas.account_bodies import AccountName, SessionId
from web.schemas.bodies import Address, Name, OperationId
from web.schemas.records import ProblemRecord

# Any: a JSON document.
Schema = dict[str, Any]

REFERENCE = "#/components/schemas/{model}"
PROBLEM_TYPE = "application/problem+json"

PARAMETERS: Mapping[str, Shape] = {
    "name": Name,
    "address": Address,
    "id": OperationId,
    "user": AccountName,
    "token": AccountName,
    "session": SessionId,
}
"""What stands in a path in braces, by its name there."""

ABOUT = """Commissaire looks after fleets of hosts over SSH.

Every path may end in a slash. A body is a JSON object whatever `Content-Type` says; none at all is
an empty one; `null` is as if the key were not there. Keys that nobody knows are ignored, but where
`additionalProperties` is false they are 400, and so are query keys that a path does not know. GET
answers HEAD too. Before a route is even looked for, the service may answer 400 (no HTTP), 431 (a
head that is too large) and 503 (too many connections)."""

SECURITY_SCHEMES: Schema = {
    "basic": {"type": "http", "scheme": "basic", "description": "A user and a password."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API token."},
    "certificate": {
        "type": "mutualTLS",
        "description": "A client certificate, where the service was started with a CA for these.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "commissaire",
        "description": "The cookie of `POST /sessions`; over TLS `__Host-commissaire`. Changes need"
        " the header `X-CSRF-Token`, too.",
    },
}

SAID_BY_ALL = ("defect", "unavailable")
SAID_TO_STRANGERS = ("unauthenticated", "forbidden", "session_ended", "too_many_failures")
SAID_OF_BODIES = ("invalid", "timeout", "body_size")
SAID_OF_CHANGES = ("storage_full",)


def document(routes: Sequence[Route]) -> Schema:
    """The whole description, OpenAPI 3.1."""
    schemas = Schemas(routes)
    paths: dict[str, Schema] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.verb.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Commissaire",
            "version": version("commissaire"),
            "description": ABOUT,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.shared,
            "responses": _problems(routes, schemas),
            "headers": HEADERS,
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


class Schemas:
    """The JSON schemas of all shapes that routes take and answer; `shared` has the named ones."""

    def __init__(self, routes: Iterable[Route]) -> None:
        wanted: dict[tuple[int, JsonSchemaMode], TypeAdapter[Any]] = {}
        # Held on to, so that no two have one id.
        self._shapes: list[Shape] = []
        for mode, shape in _shapes(routes):
            self._shapes.append(shape)
            wanted[id(shape), mode] = TypeAdapter(shape)
        self._found, shared = TypeAdapter.json_schemas(
            [(key, mode, adapter) for (key, mode), adapter in wanted.items()],
            ref_template=REFERENCE,
        )
        self.shared: Schema = shared["$defs"]
        for mode, shape in _shapes(routes):
            if mode == "validation" and hasattr(shape, "model_fields"):
                _allow_null(self.shared[shape.__name__])

    def of(self, shape: Shape, mode: JsonSchemaMode) -> Schema:
        """The schema of a shape, or a reference to it."""
        return self._found[id(shape), mode]


def _shapes(routes: Iterable[Route]) -> Iterable[tuple[JsonSchemaMode, Shape]]:
    yield "serialization", ProblemRecord
    for shape in PARAMETERS.values():
        yield "validation", shape
    for route in routes:
        description = route.description
        for content in description.answers.values():
            yield "serialization", content.shape
        for shape in (*description.query.values(), *description.headers.values()):
            yield "validation", shape
        if description.body is not None:
            yield "validation", description.body


def _allow_null(body: Schema) -> None:
    """`null` for a key that is optional is as if it were not there (`web.schemas.bodies.parse`)."""
    for key, schema in body["properties"].items():
        if key not in body.get("required", ()) and {"type": "null"} not in schema.get("anyOf", ()):
            default = {"default": schema.pop("default")} if "default" in schema else {}
            body["properties"][key] = {"anyOf": [schema, {"type": "null"}], **default}


def _operation(route: Route, schemas: Schemas) -> Schema:
    description = route.description
    operation: Schema = {
        "operationId": _operation_id(route),
        "summary": route.summary.removesuffix("."),
        "tags": [_tag(route)],
        "parameters": [*_parameters(route, schemas)],
        "responses": _responses(route, schemas),
        "security": [{name: []} for name in SECURITY_SCHEMES] if route.is_private else [],
    }
    if route.is_private:
        there = f", in {TOLD[route.acts_on]} or everywhere" if route.acts_on else ""
        operation["description"] = f"Takes the role `{route.audience}`{there}."
    if description.body is not None:
        schema = schemas.of(description.body, "validation")
        required = schemas.shared[description.body.__name__].get("required", ())
        operation["requestBody"] = {
            "required": bool(required),
            "content": {JSON_TYPE: {"schema": schema}},
        }
    return operation


def _operation_id(route: Route) -> str:
    """Such as `put_v0_cluster_name_hosts`: stable, and unique as verb and path are."""
    words = re.findall(r"[A-Za-z0-9]+", route.path.removeprefix("/api"))
    return "_".join([route.verb.lower(), *words])


def _tag(route: Route) -> str:
    """What belongs together for readers: hosts, clusters, networks …"""
    above, _, below = route.path.partition("/api/v0/")
    if above or "openapi" in below:
        return "service"
    return below.split("/")[0].removesuffix("s") + "s"


def _parameters(route: Route, schemas: Schemas) -> Iterable[Schema]:
    for name in re.findall(r"{(\w+)}", route.path):
        schema = schemas.of(PARAMETERS[name], "validation")
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    for name, shape in route.description.query.items():
        schema = schemas.of(shape, "validation")
        yield {"name": name, "in": "query", "required": False, "schema": schema}
    for name, shape in route.description.headers.items():
        schema = schemas.of(shape, "validation")
        needed = name in route.description.needed_headers
        yield {"name": name, "in": "header", "required": needed, "schema": schema}
    yield from taken(route)


def _responses(route: Route, schemas: Schemas) -> Schema:
    description = route.description
    answers = {
        str(status): _success(route, content, schemas)
        for status, content in description.answers.items()
    }
    if description.is_tagged:
        answers["304"] = {
            "description": "Nothing has changed.",
            "headers": references(*given(route)),
        }
    for status, kinds in _refusals(route).items():
        if status in description.answers:
            continue  # `/readyz` says with 503 what it has to say
        answers[str(status)] = {"$ref": f"#/components/responses/{_together(kinds)}"}
    return dict(sorted(answers.items()))


def _problems(routes: Iterable[Route], schemas: Schemas) -> Schema:
    """Every answer that refuses, by the kinds of problems that it may be."""
    problem = schemas.of(ProblemRecord, "serialization")
    found: Schema = {}
    for route in routes:
        for status, kinds in _refusals(route).items():
            found[_together(kinds)] = _problem(status, kinds, problem)
    return dict(sorted(found.items()))


def _together(kinds: Iterable[str]) -> str:
    return "_or_".join(kinds)


def _refusals(route: Route) -> dict[int, list[str]]:
    """The kinds of problems that a route may answer, by status."""
    found: dict[int, list[str]] = {}
    for kind in dict.fromkeys(_kinds(route)):
        found.setdefault(KINDS[kind].status, []).append(kind)
    return found


def _kinds(route: Route) -> Iterable[str]:
    description = route.description
    yield from description.refuses
    if route.is_private:
        yield from SAID_TO_STRANGERS
    if description.body is not None:
        yield from SAID_OF_BODIES
    if route.is_api:
        yield "invalid"  # a query key that is not known
    if route.verb != "GET":
        yield from SAID_OF_CHANGES
    yield from SAID_BY_ALL


def _success(route: Route, content: Content, schemas: Schemas) -> Schema:
    schema = schemas.of(content.shape, "serialization")
    more = {
        name: {"description": text, "schema": {"type": "string"}}
        for name, text in content.headers.items()
    }
    return {
        "description": content.done or route.summary,
        "headers": references(*given(route)) | more,
        "content": {
            media_type: {"schema": schema}
            for media_type in (content.media_type, content.also)
            if media_type
        },
    }


def _problem(status: int, kinds: Sequence[str], schema: Schema) -> Schema:
    said_with = [SAID_WITH[status]] if status in SAID_WITH else []
    examples = {kind: {"value": Problem(kind, f"{KINDS[kind].title}.").record()} for kind in kinds}
    return {
        "description": ", or: ".join(KINDS[kind].title for kind in kinds) + ".",
        "headers": references(*said_with),
        "content": {PROBLEM_TYPE: {"schema": schema, "examples": examples}},
    }
