"""The OpenAPI document for a student's agent: what a student may call, and each thing said once, so that it fits into a prompt."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from frugaltwin.amounts import PURSE

Json = dict[str, Any]

OTHERS = {"admin", "teach", "work"}
"""Scopes that no student has."""
FOR_ADMINISTRATORS = "health"
"""The tag of what is for those who look after the service."""
FOR_WATCHERS = ("/v1/names",)
"""For instructors and observers, by their role."""
LONGEST_PATTERN = 80
"""Letters; a longer one is for machines, and the description beside it says the same."""
SHORT = (40, 80)
"""Letters that an id or a name may have."""
LONG = 100
"""Letters or items that are more than anybody sends."""
LARGEST = 1_000_000
"""A limit from here on stands in nobody's way."""
CONVENTIONS = """
Every field of an answer is always there; any may be null, which is nothing. `person`, `campaign` and `experiment` are ids, `rig` is a
name; `…_at` is in s since 1970; amounts are `runs` (experiments, failed ones included), `rig_runs` (those on real rigs where they have a
limit of their own, else they are `runs`), `seconds` (lab time, s), `money` (USD) and `volume` (liquid, mL). Lists come in pages: `items`,
as many as `limit` or the last, and `next`, the `cursor` of the next page; null when this is the last. What a request does not need may be
left out, what it does not list is refused. Every request may be answered with a `Problem` (`components/responses`).
"""
"""Said once for all schemas, which leave it out then."""
SAID = (
    "s since 1970",
    "as many as `limit`, or the last",
    "all there are",
    "plain text on one line, without a space at either end; shown to others",
    "by kind of amount",
    "s since 1970; nothing is never",
    "`cursor` of the next page; nothing when this is the last",
    "`next` of the page before",
    "the id of its owner",
    "the rig's name",
    "the id of its campaign",
    "the id of its experiment",
    "its id",
    *(kind.text for kind in PURSE),
)
PLAIN = ("BoardRow", "ClassTask", "Expected", "ListedToken", "Nickname", "Token")
"""Schemas whose fields say by their names what they are; the whole document describes them."""
PRICE = {"type": ["object", "null"], "description": "the price of an experiment, as /openapi.json explains it; `dry_run` says it too"}

_MOST = {"maxLength": LONG, "maxItems": LONG, **dict.fromkeys(("maximum", "exclusiveMaximum", "le", "lt"), LARGEST)}
_NULL = {"type": "null"}
_KEYWORDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
"""Pydantic's words in place of those of JSON Schema, where a type is validated before."""
_INSTRUCTORS = re.compile(r"; (for )?an instructor[^.;]*")
_TELLING: Mapping[str, set[str]] = {"object": {"properties", "additionalProperties"}, "array": {"items"}}
"""Keywords of a schema that say its type as well."""
_SCHEMAS = "#/components/schemas/"


def student_document(whole: Json) -> Json:
    """The part of the service's document that a student's token opens, in fewer words: it means the same."""
    whole = _without_instructors(whole)
    paths: Json = {}
    for path, operations in whole["paths"].items():
        shown = {method: _operation(operation, whole) for method, operation in operations.items() if _is_theirs(path, operation)}
        if shown:
            paths[path] = shown
    all_of = [operation for operations in paths.values() for operation in operations.values()]
    asked = _reached([operation.get("requestBody") for operation in all_of], whole)
    known = whole["components"]["schemas"]
    problem = {"application/problem+json": {"schema": {"$ref": f"{_SCHEMAS}Problem"}}}
    schemas = {name: _short(known[name], is_asked=name in asked) for name in sorted(_reached([paths, problem], whole))}
    schemas["Rig"]["properties"]["price"] = PRICE
    for name in schemas.keys() - asked:  # which the requests that they answer describe
        schemas[name].pop("description", None)
    for name in PLAIN:
        schemas[name].pop("examples", None)
        schemas[name]["properties"] = {field: _undescribed(one) for field, one in schemas[name]["properties"].items()}
    _inherit(schemas)
    _name_repeated(schemas)
    names = [re.findall("`(.*?)`", response["description"]) for response in whole["components"]["responses"].values()]
    about = f"The names at the end of `type`: {', '.join(sorted({name for found in names for name in found}))}."
    return {
        "openapi": whole["openapi"],
        "info": whole["info"] | {"description": whole["info"]["description"].rpartition("\n\n")[0] + "\n" + CONVENTIONS},
        "servers": whole["servers"],
        "security": [{name: []} for name in whole["components"]["securitySchemes"]],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": _said_once([one["parameters"] for one in all_of if "parameters" in one], "parameters", lambda part: part["name"]),
            "responses": {
                **_said_once([one["responses"] for one in all_of], "responses", lambda part: next(_references(part), "Done")),
                "Problem": {"description": about, "content": problem},
            },
            "securitySchemes": whole["components"]["securitySchemes"],
        },
    }


def _without_instructors(part: Any) -> Any:
    """A part without what is said about instructors after a semicolon."""
    if isinstance(part, dict):
        return {key: _without_instructors(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_without_instructors(value) for value in part]
    return _INSTRUCTORS.sub("", part) if isinstance(part, str) else part


def _is_theirs(path: str, operation: Json) -> bool:
    needed = {scope for scheme in operation.get("security", []) for scopes in scheme.values() for scope in scopes}
    return not needed & OTHERS and FOR_ADMINISTRATORS not in operation["tags"] and path not in FOR_WATCHERS


def _operation(operation: Json, whole: Json) -> Json:
    """An operation; its summary is the first line of its description, and all its errors are problem documents."""
    shown = {key: value for key, value in operation.items() if key not in ("operationId", "summary", "tags", "security")}
    shown["parameters"] = [_parameter(one) for one in operation.get("parameters", []) if not _is_besides(one)]
    shown["responses"] = {status: _answer(answer, whole) for status, answer in operation["responses"].items() if status < "400"}
    if "security" not in operation:
        shown["security"] = []
    return {key: value for key, value in shown.items() if value != [] or key == "security"}


def _is_besides(parameter: Json) -> bool:
    """Whether the query has another word for it, or it is for instructors."""
    return parameter["name"] in ("prefer", "Last-Event-ID") or parameter["description"].startswith("an instructor may")


def _parameter(parameter: Json) -> Json:
    kinds = [kind for kind in parameter["schema"].get("anyOf", []) if kind != {"type": "null"}]  # to leave it out is to say nothing
    schema = _short(kinds[0] if len(kinds) == 1 else parameter["schema"], is_asked=True)
    shown = {key: value for key, value in parameter.items() if (key != "required" or value) and value not in SAID}
    return shown | {"schema": {key: value for key, value in schema.items() if key != "description"}}


def _answer(answer: Json, whole: Json) -> Json:
    """An answer; where its description is that of its schema, it stands there alone."""
    content = {kind: {"schema": _short(body["schema"])} for kind, body in answer.get("content", {}).items()}
    about = [whole["components"]["schemas"][name]["description"] for name in _references(content)]
    return {"description": "done" if about == [answer["description"]] else answer["description"]} | (
        {"content": content} if content else {}
    )


def _short(schema: Any, is_asked: bool = False) -> Any:
    """A schema without what goes without saying, and with several simple types in one word.

    Args:
        is_asked: Whether it is of a request: of an answer, what is required is told for all.
    """
    if not isinstance(schema, dict):
        return schema
    shown: Json = {str(_KEYWORDS.get(key, key)): value for key, value in schema.items() if not _is_needless(key, value, is_asked)}
    if "patternProperties" in shown:  # of names, which are described at their field
        (shown["additionalProperties"],) = shown.pop("patternProperties").values()
    if "properties" in shown:
        is_page = "items" in shown["properties"] and shown["properties"].keys() <= {"items", "next"}
        if is_page:  # which its request describes
            shown.pop("description", None)
        fields = {name: value for name, value in shown["properties"].items() if not (is_page and name == "next")}
        shown["properties"] = {name: _short(value, is_asked) for name, value in fields.items()}
    for key in ("items", "additionalProperties"):
        if key in shown:
            shown[key] = _short(shown[key], is_asked)
    if "anyOf" in shown:
        kinds = [_short(kind, is_asked) for kind in shown.pop("anyOf") if kind != _NULL]
        shown = _united(kinds, shown)
    if isinstance(shown.get("type"), list) and "null" in shown["type"]:
        rest = [kind for kind in shown["type"] if kind != "null"]
        shown["type"] = rest[0] if len(rest) == 1 else rest
    if _TELLING.get(str(shown.get("type")), set()) & shown.keys() or "enum" in shown:
        shown.pop("type", None)
    return shown


def _undescribed(schema: Json) -> Json:
    return {key: value for key, value in schema.items() if key != "description"}


def _is_needless(key: str, value: Any, is_asked: bool) -> bool:
    if key in ("title", "propertyNames", "maxProperties") or value in ([], {}):
        return True  # a title repeats a name
    if key in ("required", "default"):
        return not is_asked or value is None
    if key in _MOST:
        return bool(value >= _MOST[key] or (key == "maxLength" and value in SHORT))
    if key in ("minimum", "ge"):
        return bool(value in (0, 1))
    if key == "pattern":
        return len(value) > LONGEST_PATTERN
    told: Mapping[str, Sequence[Any]] = {"description": SAID, "minLength": (1,), "additionalProperties": (True, False)}
    return any(value is one or (isinstance(value, str | int) and value == one) for one in told.get(key, ()))


def _united(kinds: list[Json], rest: Json) -> Json:
    """A schema of one of several kinds; of plain types with at most one limit among them, in one word."""
    if len(kinds) == 1:
        return {**kinds[0], **rest}
    full = [kind for kind in kinds if kind.keys() != {"type"}]
    if len(full) > 1 or any("enum" in kind or "$ref" in kind or isinstance(kind.get("type"), list) for kind in full):
        return rest | {"anyOf": kinds}
    types = [kind.get("type", "array" if "items" in kind else "object") for kind in kinds]
    return {**(full[0] if full else {}), **rest, "type": types}


def _inherit(schemas: Json) -> None:
    """State a resource that has all fields of another one as that one and what it has besides."""
    objects = {name: schema["properties"] for name, schema in schemas.items() if len(schema.get("properties", {})) > 3}
    for name, own in objects.items():
        parents = [other for other, fields in objects.items() if other != name and fields.items() <= own.items()]
        if parents:
            parent = max(parents, key=lambda other: len(objects[other]))
            rest = {field: schema for field, schema in own.items() if field not in objects[parent]}
            schemas[name] = {
                **({"description": about} if (about := schemas[name].get("description")) else {}),
                "allOf": [{"$ref": f"{_SCHEMAS}{parent}"}, {"properties": rest}],
            }


def _name_repeated(schemas: Json) -> None:
    """Give objects that stand in several places a name, that of the first field that has one, and refer to it."""
    places = [(fields, name) for schema in schemas.values() for fields in _fields(schema) for name in fields]
    bare = {id(fields[name]): json.dumps({"properties": fields[name].get("properties")}, sort_keys=True) for fields, name in places}
    times = Counter(words for words in bare.values())
    names: dict[str, str] = {}
    for fields, name in places:
        schema = fields[name]
        words = bare[id(schema)]
        if "properties" not in schema or times[words] == 1:
            continue
        if words not in names:
            names[words] = name.capitalize() + "Object" * (name.capitalize() in schemas)
            schemas[names[words]] = {"properties": schema["properties"]}
        reference: Json = {"$ref": f"{_SCHEMAS}{names[words]}"}
        about = {"description": schema["description"]} if "description" in schema else {}
        fields[name] = about | ({"anyOf": [reference, {"type": "null"}]} if isinstance(schema.get("type"), list) else reference)


def _fields(schema: Any) -> Iterator[Json]:
    """All objects of fields in a schema, the innermost first."""
    for value in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _fields(value)
    if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
        yield schema["properties"]


def _said_once(places: Sequence[Json | list[Json]], kind: str, name_of: Callable[[Json], str]) -> Json:
    """The parts that stand in several places, by name; the places refer to them then.

    Args:
        places: Lists or objects of such parts.
        kind: Of component.
    """
    keys = [(place, key) for place in places for key in (place if isinstance(place, dict) else range(len(place)))]
    words = [json.dumps(place[key], sort_keys=True) for place, key in keys]  # type: ignore[index]
    times, names, found = Counter(words), dict[str, str](), dict[str, Any]()
    for (place, key), text in zip(keys, words, strict=True):
        if times[text] == 1:
            continue
        if text not in names:
            part = json.loads(text)
            taken = sum(name_of(known) == name_of(part) for known in found.values())
            names[text] = name_of(part) + (str(taken + 1) if taken else "")
            found[names[text]] = part
        place[key] = {"$ref": f"#/components/{kind}/{names[text]}"}  # type: ignore[index]
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
