"""The API's description for machines: OpenAPI 3.1, made of the types in described.py."""

import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from footfall_collector.receivers.api.described import OPERATIONS, Operation
from footfall_collector.receivers.api.naming import HEADER as IDEMPOTENCY_KEY
from footfall_collector.receivers.api.psr import PATH as RATINGS

PATH: Final = "/openapi.json"
_REFERENCE = "#/components/schemas/{name}"
_STATUSES: Final = {
    400: "What is sent cannot be used",
    401: "Nobody is known to be asking",
    403: "Who asks may not",
    404: "It is switched off, or not there",
    413: "It is too large",
    415: "It must be application/json",
    422: "The `Idempotency-Key` was given to another body",
    429: "That is too much; `Retry-After` says when to come again",
    503: "Postgres is away, or too much is in flight; `Retry-After` says when to come again",
}
_BEARER: Final = (
    "A JWT, an API key, or the token of a session. A trusted proxy may name users instead."
)
_ABOUT: Final = (
    "Counts, events, sessions and ratings of clients that do not speak OTLP. What the catalog does not"
    " declare is not stored. Who is asking is decided by the server."
)


def document(prefixes: Iterable[str]) -> dict[str, Any]:
    """The description.

    Args:
        prefixes: Below which the routes are.
    """
    schemas, components = _schemas()
    paths = [(prefix + below, below) for prefix in prefixes for below in OPERATIONS]
    schemes = {"bearer": {"type": "http", "scheme": "bearer", "description": _BEARER}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Footfall",
            "version": importlib.metadata.version("footfall"),
            "description": _ABOUT,
        },
        "paths": {
            path: {
                method.lower(): _operation(OPERATIONS[below], schemas, path, method)
                for method in OPERATIONS[below].methods
            }
            for path, below in (*paths, (RATINGS, RATINGS))
        },
        "components": {
            "schemas": components,
            "responses": _refusals(schemas),
            "securitySchemes": schemes,
        },
    }


def route(prefixes: Iterable[str]) -> Route:
    """Where it is served.

    Args:
        prefixes: As for `document`.
    """
    content = json.dumps(document(prefixes)).encode()

    async def serve(_: Request) -> Response:
        return Response(content, media_type="application/json")

    return Route(PATH, serve, methods=["GET"])


def _schemas() -> tuple[Mapping[Any, Any], dict[str, Any]]:
    """The schema of each type, and those that they refer to."""
    types = [
        each
        for operation in OPERATIONS.values()
        for each in (*operation.bodies, operation.answer, operation.refusal)
    ]
    unique = list(dict.fromkeys(types))
    schemas, components = msgspec.json.schema_components(unique, ref_template=_REFERENCE)
    return dict(zip(unique, schemas, strict=True)), components


def _refusals(schemas: Mapping[Any, Any]) -> dict[str, Any]:
    kinds = {operation.refusal: operation.refusal.__name__ for operation in OPERATIONS.values()}
    return {
        f"{name}{status}": _answer(text, schemas[kind])
        for kind, name in sorted(kinds.items(), key=lambda each: each[1])
        for status, text in _STATUSES.items()
    }


def _operation(
    operation: Operation, schemas: Mapping[Any, Any], path: str, method: str
) -> dict[str, Any]:
    answers: dict[str, Any] = {"200": _answer("As it should be", schemas[operation.answer])}
    name = operation.refusal.__name__
    answers |= {str(s): {"$ref": f"#/components/responses/{name}{s}"} for s in _STATUSES}
    said: dict[str, Any] = {
        "operationId": f"{method.lower()} {path}",
        "summary": operation.summary,
        "security": [{}, {"bearer": []}] if operation.anybody else [{"bearer": []}],
        "responses": answers,
    }
    if operation.bodies and method == "POST":
        content = {"application/json": {"schema": _any_of([schemas[b] for b in operation.bodies])}}
        said["requestBody"] = {"content": content, "required": not operation.anybody}
    if parameters := list(_parameters(operation, method)):
        said["parameters"] = parameters
    return said


def _parameters(operation: Operation, method: str) -> Iterable[dict[str, Any]]:
    for place, parameter in (("query", operation.query), ("header", operation.header)):
        if parameter is not None:
            name, kind, text = parameter
            schema = msgspec.json.schema(kind)
            yield {"name": name, "in": place, "description": text, "schema": schema}
    if operation.bodies and method == "POST":
        yield {
            "name": IDEMPOTENCY_KEY,
            "in": "header",
            "description": "A name of the client's for this request: a retry under it is stored once",
            "schema": {"type": "string", "maxLength": 255},
        }


def _any_of(schemas: list[Any]) -> Any:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _answer(text: str, schema: Any) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


if __name__ == "__main__":  # python -m footfall_collector.receivers.api.openapi > docs/openapi.json
    print(json.dumps(document(["/telemetry"]), indent=2))
