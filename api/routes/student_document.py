"""The OpenAPI document for a student's agent: what a student may call, and each thing said once, so that it fits into a prompt."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]

OTHERS = {"admin", "work"}
"""Scopes that no student has."""
FOR_WATCHERS = ("/metrics",)
"""For instructors and observers, by their role."""
LONGEST_PATTERN = 80
"""Letters; a longer one is for machines, and the description beside it says the same."""
SENT_WHOLE = "Every field of an answer is always there; null is nothing."

_SCHEMAS, _PARAMETERS = "#/components/schemas/", "#/components/parameters/"


def student_document(whole: Json) -> Json:
    """The part of the service's document that a student's token opens, in fewer words: it means the same."""
    paths: Json = {}
    for path, operations in whole["paths"].items():
        shown = {method: _operation(operation) for method, operation in operations.items() if _is_theirs(path, operation)}
        if shown:
            paths[path] = shown
    asked = _reached([operation.get("requestBody") for operations in paths.values() for operation in operations.values()], whole)
    known = whole["components"]["schemas"]
    schemas = {name: _short(known[name], is_asked=name in asked) for name in sorted(_reached(paths, whole) | {"Problem"})}
    _inherit(schemas)
    about = "; ".join(response["description"] for _, response in sorted(whole["components"]["responses"].items()))
    problem = {"description": about, "content": {"application/problem+json": {"schema": {"$ref": f"{_SCHEMAS}Problem"}}}}
    return {
        "openapi": whole["openapi"],
        "info": whole["info"] | {"description": f"{whole['info']['description']}\n{SENT_WHOLE}\n"},
        "servers": whole["servers"],
        "security": [{name: []} for name in whole["components"]["securitySchemes"]],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": _said_once(paths),
            "responses": {"Problem": problem},
            "securitySchemes": whole["components"]["securitySchemes"],
        },
    }


def _is_theirs(path: str, operation: Json) -> bool:
    needed = {scope for scheme in operation.get("security", []) for scopes in scheme.values() for scope in scopes}
    return not needed & OTHERS and path not in FOR_WATCHERS


def _operation(operation: Json) -> Json:
    """An operation; its summary is the first line of its description, and all its errors are problem documents."""
    shown = {key: value for key, value in operation.items() if key not in ("summary", "tags", "security")}
    shown["parameters"] = [_parameter(parameter) for parameter in operation.get("parameters", [])]
    shown["responses"] = {status: _answer(answer) for status, answer in operation["responses"].items() if status < "400"}
    shown["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
    if "security" not in operation:
        shown["security"] = []
    return {key: value for key, value in shown.items() if value != [] or key == "security"}


def _parameter(parameter: Json) -> Json:
    schema = _short(parameter["schema"], is_asked=True)
    schema.pop("description", None)  # the parameter has it
    if isinstance(schema.get("type"), list):  # to leave it out is to say nothing
        schema["type"] = schema["type"][0]
    return {key: value for key, value in parameter.items() if key != "required" or value} | {"schema": schema}


def _answer(answer: Json) -> Json:
    content = {kind: body | {"schema": _short(body["schema"])} for kind, body in answer.get("content", {}).items()}
    return {"description": answer["description"]} | ({"content": content} if content else {})


def _short(schema: Any, is_asked: bool = False) -> Any:
    """A schema without titles, which only repeat names, and with several simple types in one word.

    Args:
        is_asked: Whether it is of a request: of an answer, what is required is told for all.
    """
    if not isinstance(schema, dict):
        return schema
    left_out = {"title"} | (set() if is_asked else {"required", "default"})
    shown = {key: value for key, value in schema.items() if key not in left_out and not (key == "default" and value is None)}
    if len(shown.get("pattern", "")) > LONGEST_PATTERN:
        del shown["pattern"]
    if "properties" in shown:
        shown["properties"] = {name: _short(value, is_asked) for name, value in shown["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in shown:
            shown[key] = _short(shown[key], is_asked)
    if "anyOf" in shown:
        kinds = [_short(kind, is_asked) for kind in shown.pop("anyOf")]
        full = [kind for kind in kinds if kind.keys() != {"type"}]
        if len(full) > 1 or any("enum" in kind or not isinstance(kind.get("type"), str) for kind in full):
            return shown | {"anyOf": kinds}
        types = [kind["type"] for kind in kinds]
        shown = {**(full[0] if full else {}), **shown, "type": types}
    return shown


def _inherit(schemas: Json) -> None:
    """State a resource that has all fields of another one as that one and what it has besides."""
    objects = {name: schema["properties"] for name, schema in schemas.items() if len(schema.get("properties", {})) > 3}
    for name, own in objects.items():
        parents = [other for other, fields in objects.items() if other != name and fields.items() <= own.items()]
        if parents:
            parent = max(parents, key=lambda other: len(objects[other]))
            rest = {field: schema for field, schema in own.items() if field not in objects[parent]}
            schemas[name] = {
                "description": schemas[name]["description"],
                "allOf": [{"$ref": f"{_SCHEMAS}{parent}"}, {"type": "object", "properties": rest}],
            }


def _said_once(paths: Json) -> Json:
    """The parameters that several operations have, by name; the operations refer to them then."""
    lists = [operation["parameters"] for operations in paths.values() for operation in operations.values() if "parameters" in operation]
    times = Counter(json.dumps(parameter, sort_keys=True) for parameters in lists for parameter in parameters)
    names: dict[str, str] = {}
    found: Json = {}
    for parameters in lists:
        for i, parameter in enumerate(parameters):
            words = json.dumps(parameter, sort_keys=True)
            if times[words] == 1:
                continue
            if words not in names:
                taken = sum(known["name"] == parameter["name"] for known in found.values())
                names[words] = parameter["name"] + (str(taken + 1) if taken else "")
                found[names[words]] = parameter
            parameters[i] = {"$ref": f"{_PARAMETERS}{names[words]}"}
    return found


def _reached(part: Any, whole: Json) -> set[str]:
    """The names of the schemas that a part refers to, and those that these refer to."""
    waiting, found = [*_references(part)], set[str]()
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += _references(whole["components"]["schemas"][name])
    return found


def _references(part: Any) -> Iterator[str]:
    values = part.items() if isinstance(part, Mapping) else enumerate(part) if isinstance(part, list) else ()
    for key, value in values:
        if key == "$ref" and value.startswith(_SCHEMAS):
            yield value.removeprefix(_SCHEMAS)
        yield from _references(value)
