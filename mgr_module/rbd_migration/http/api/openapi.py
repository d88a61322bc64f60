"""The OpenAPI document, made from the table of routes."""

import json
from functools import lru_cache
from typing import Any, Dict, List

from . import cluster_schemas, plan_schemas, retry, schemas
from .fields import Field, object_schema
from .route import BASE, MEDIA, Route
from .routes import ROUTES

VERSIONED = "application/vnd.ceph.api.v1.0+json"  # the media type of the dashboard's API
_PLAIN = "application/json"
_ERRORS = {
    "400": "The request is invalid or refused; `detail` says why.",
    "401": "There is no login, or it has expired.",
    "403": "The user or key lacks the permission.",
    "404": "There is no such migration, or no such path.",
    "413": "The body is too large.",
    "415": "The body is not JSON, or another version of the API is requested.",
    "500": "An error in the module; the manager's log has the details.",
    "503": "The module is disabled, or is still reading its records.",
}
_RETRY = {
    "description": "Seconds after which to repeat the request.",
    "schema": {"type": "integer", "minimum": 0},
    "example": retry.SECONDS,
}
_SCHEMAS = {"Report": schemas.REPORT, "Error": schemas.ERROR, "Check": schemas.CHECK,
            "Summary": cluster_schemas.SUMMARY, "Throttle": cluster_schemas.THROTTLE,
            "Limits": cluster_schemas.LIMITS,
            "Window": cluster_schemas.WINDOW, "Plan": plan_schemas.PLAN,
            "PlanDetail": plan_schemas.PLAN_DETAIL,
            "PlanCheck": plan_schemas.PLAN_CHECK}  # fmt: skip


@lru_cache(maxsize=2)
def document(version: str) -> str:
    """Return the OpenAPI document as JSON text."""
    return json.dumps(
        {
            "openapi": "3.0.3",
            "info": {
                "title": "RBD live migration",
                "version": version,
                "description": "Live migration of RBD images, by the ceph-mgr module "
                "rbd_migration. The same in the Ceph dashboard and on the module's own server.",
                "license": {"name": "LGPL-2.1-or-later"},
            },
            "servers": [{"url": "/"}],
            "tags": [{"name": "RbdMigration", "description": "Live migration of RBD images"}],
            "paths": _paths(),
            "components": {
                "schemas": {name: object_schema(fields) for name, fields in _SCHEMAS.items()},
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            },
        }
    )


def _paths() -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for route in ROUTES:
        found.setdefault(BASE + route.path, {})[route.method.lower()] = _operation(route)
    return found


def _operation(route: Route) -> Dict[str, Any]:
    operation: Dict[str, Any] = {
        "operationId": route.name,
        "tags": ["RbdMigration"],
        "summary": route.summary,
        "description": f"{route.description} Needs the permission `{route.permission}` for "
        "`rbd-image`.",
        "parameters": _parameters(route),
        "responses": {str(route.status): _answer(route), **_refusals(route)},
        "security": [{"bearer": []}],
    }
    if route.method in ("POST", "PUT"):
        media: Dict[str, Any] = {"schema": _body(route)}
        if route.example is not None:
            media["example"] = route.example
        needed = route.parameter is None or route.method == "PUT"
        operation["requestBody"] = {"required": needed, "content": {_PLAIN: media}}
    return operation


def _body(route: Route) -> Dict[str, Any]:
    """Return the schema of a request's body: refuses unknown fields, takes null for left out."""
    schema: Dict[str, Any] = {"type": "object", "properties": {}, **object_schema(route.body)}
    _close(schema)
    for field in route.body:
        _limit(schema["properties"][field.name], field)
        if field.fields:
            _close(schema["properties"][field.name])
    return schema


def _limit(schema: Dict[str, Any], field: Field) -> None:
    """Add the maximum length of a field's texts to its schema."""
    texts = {
        "string": [schema],
        "size": schema.get("oneOf", [])[:1],
        "array": [schema.get("items", {})],
    }
    for text in texts.get(field.type, []):
        text["maxLength"] = field.longest
    for inner in field.fields:
        _limit(schema["properties"][inner.name], inner)


def _close(schema: Dict[str, Any]) -> None:
    schema["additionalProperties"] = False
    for inner in schema["properties"].values():
        inner["nullable"] = True
        if "enum" in inner:
            inner["enum"] = [*inner["enum"], None]


def _parameters(route: Route) -> List[Dict[str, Any]]:
    found = [_parameter(field, "query") for field in route.query]
    return [_parameter(route.parameter, "path"), *found] if route.parameter else found


def _parameter(field: Field, where: str) -> Dict[str, Any]:
    schema = field.schema()
    if field.type == "array":  # several values, separated by commas ("explode": False)
        schema = {"type": "array", "items": {"type": "string", "enum": list(field.choices)}}
    found = {
        "name": field.name,
        "in": where,
        "description": field.text,
        "required": field.required,
        "schema": schema,
    }
    return {**found, "style": "form", "explode": False} if field.type == "array" else found


def _answer(route: Route) -> Dict[str, Any]:
    name = next((name for name, fields in _SCHEMAS.items() if fields is route.answer), None)
    schema: Dict[str, Any] = object_schema(route.answer)
    if name is not None:
        schema = {"$ref": f"#/components/schemas/{name}"}
    if route.many:
        schema = {"type": "array", "items": schema}
    answer: Dict[str, Any] = {"description": route.summary + ".", "content": _content(schema)}
    if route.download:
        answer["content"] = _file_content(route, schema)
    if route.name == "list":
        answer["headers"] = {
            "X-Total-Count": {
                "description": "The number of migrations on all pages.",
                "schema": {"type": "integer"},
            }
        }
    return answer


def _file_content(route: Route, schema: Dict[str, Any]) -> Dict[str, Any]:
    formats = next(field.choices for field in route.query if field.name == "export")
    text = {"type": "string"}
    return {
        MEDIA[name].partition(";")[0]: {"schema": schema if name == "json" else text}
        for name in formats
    }


def _content(schema: Dict[str, Any]) -> Dict[str, Any]:
    return {VERSIONED: {"schema": schema}, _PLAIN: {"schema": schema}}


def _refusals(route: Route) -> Dict[str, Any]:
    error = _content({"$ref": "#/components/schemas/Error"})
    found: Dict[str, Any] = {
        status: {"description": text, "content": error}
        for status, text in _ERRORS.items()
        if route.method != "GET" or status != "413"
    }
    for status, answer in found.items():
        names = retry.headers(int(status))
        if names:
            answer["headers"] = dict.fromkeys(names, _RETRY)
    return found
