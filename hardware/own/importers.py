"""Proposals of experiment files from what people have: tables of past experiments, and files of other tools."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from frugaltwin.errors import InvalidInput
from frugaltwin.table_reader import FileTable, read_rows

FEW = 10
"""Different numbers in a column, and half as many as it has rows: up to so many are a list of levels, more are a range."""
MOST = 10
"""Columns of numbers among which parts that add up are looked for."""
PENDING = "pending"
"""Cell of EDBO+ for an outcome that is not known."""
PRIORITY = "priority"
"""Column of EDBO+ that is none of the experiment."""
_UNIT = re.compile(r"(.+?)\s*[(\[]([^()\[\]]+)[)\]]")


def proposal(path: Path, outcomes: Sequence[str] = ()) -> dict[str, Any]:
    """The words of an experiment file for what a file says: a table (CSV), or a campaign of BayBE or a domain of BoFire (JSON).

    Args:
        outcomes: The columns of a table that are measured. Without them, those with empty cells or `PENDING`; else the last one.

    Raises:
        InvalidInput: It cannot be read, it is none of these, or it has no such columns.
    """
    if path.suffix.lower() != ".json":
        return _of_table(read_rows(path), path.stem, outcomes)
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError):
        raise InvalidInput(f"{path} is no JSON") from None
    try:
        if isinstance(document, dict) and "searchspace" in document:
            return {"name": _name(path.stem), **_of_baybe(document)}
        if isinstance(document, dict) and "inputs" in document:
            return {"name": _name(path.stem), **_of_bofire(document)}
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise InvalidInput(f"{path} is written by a version of its tool that is not known here ({error}); use its table as CSV") from error
    raise InvalidInput(f"{path} is neither a campaign of BayBE nor a domain of BoFire; a table as CSV will do, too")


def written(words: Mapping[str, Any]) -> str:
    """The words of an experiment file as TOML."""
    lines = [f"{key} = {_toml(value)}" for key, value in words.items() if not isinstance(value, dict) and not _are_tables(value)]
    for key, value in words.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]", *(f"{_key(name)} = {_toml(cell)}" for name, cell in value.items())]
        elif _are_tables(value):
            lines += [
                line for row in value for line in ("", f"[[{key}]]", *(f"{_key(name)} = {_toml(cell)}" for name, cell in row.items()))
            ]
    return "\n".join([*lines, ""])


def _of_table(table: FileTable, name: str, outcomes: Sequence[str]) -> dict[str, Any]:
    columns = {column: [table.rows[row][column] for row in table.rows] for column in table.names if column.lower() != PRIORITY}
    if unknown := [o for o in outcomes if o not in columns]:
        raise InvalidInput(f"{table.path} has no column {', '.join(unknown)}; it has {', '.join(columns)}")
    open_ones = [c for c, cells in columns.items() if any(cell.lower() in ("", PENDING) for cell in cells)]
    measured = list(outcomes) or open_ones or list(columns)[-1:]
    if len(measured) == len(columns):
        raise InvalidInput(f"{table.path}: which of its columns are set, and which are measured? Name the measured ones")
    numbers = {c: _numbers(table, c) for c in columns}
    parameters: dict[str, Any] = {}
    for column in (c for c in columns if c not in measured):
        plain, unit = _parted(column)
        found = numbers[column]
        if found is None:
            parameters[plain] = {"values": list(dict.fromkeys(cell for cell in columns[column] if cell))}
        elif len(levels := sorted(set(found))) <= FEW and 2 * len(levels) <= len(found) and len(levels) > 1:
            parameters[plain] = {"values": levels, **unit}
        else:
            low, high = levels[0], levels[-1]
            parameters[plain] = {"low": low, "high": high if high > low else low + 1.0, **unit}
    measured_words: dict[str, Any] = {}
    for column in measured:
        plain, unit = _parted(column)
        labels = list(dict.fromkeys(c for c in columns[column] if c and c.lower() != PENDING)) if numbers[column] is None else []
        measured_words[plain] = {"labels": labels} if labels else unit
    ranges = {_parted(c)[0]: found for c in columns if c not in measured and (found := numbers[c]) and "low" in parameters[_parted(c)[0]]}
    first = next(iter(measured_words))
    goal = f"map:{first}" if "labels" in measured_words[first] else f"maximize:{first}"
    words = {"name": _name(name), "goal": goal, "parameters": parameters, "outcomes": measured_words}
    return words | ({"sums": sums} if (sums := _sums(ranges)) else {})


def _sums(columns: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """The largest set of columns that add up to the same in every row, of three and more."""
    names = [name for name, numbers in columns.items() if min(numbers) >= 0][:MOST]
    for size in range(len(names), 1, -1):
        for parts in combinations(names, size):
            totals = [sum(row) for row in zip(*(columns[name] for name in parts), strict=True)]
            if len(totals) > 2 and max(totals) - min(totals) <= 1e-6 * max(totals):
                return [{"parts": list(parts), "total": float(f"{totals[0]:.9g}")}]
    return []


def _numbers(table: FileTable, column: str) -> list[float] | None:
    """The numbers of a column, without those that are missing; None where it has others."""
    found = []
    for row in table.rows:
        number = table.number(row, column)
        if number is None and not table.is_missing(row, column, True):
            return None
        found += [] if number is None else [number]
    return found or None


def _of_baybe(document: Mapping[str, Any]) -> dict[str, Any]:
    space = document["searchspace"]
    parameters: dict[str, Any] = {}
    for p in space["continuous"]["parameters"]:
        parameters[p["name"]] = {"low": p["bounds"]["lower"], "high": p["bounds"]["upper"], **_said(p)}
    for p in space["discrete"]["parameters"]:
        values = p["values"] if "values" in p else list(p["data"])
        parameters[p["name"]] = {"values": values, **_said(p)}
    objective = document.get("objective") or {"targets": []}
    targets = objective["targets"] if "targets" in objective else [objective["target"]]
    outcomes = {t["name"]: _said(t) for t in targets}
    goal = [f"{'minimize' if t.get('minimize') else 'maximize'}:{t['name']}" for t in targets]
    constraints = [*space["continuous"]["constraints_lin_eq"], *space["continuous"]["constraints_lin_ineq"]]
    found = [(c["parameters"], c["coefficients"], c["operator"], c["rhs"]) for c in constraints]
    return {"goal": goal, "parameters": parameters, "outcomes": outcomes or {"result": {}}, **_limits(found)}


def _of_bofire(document: Mapping[str, Any]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for f in document["inputs"]["features"]:
        unit = {"unit": f["unit"]} if f.get("unit") else {}
        if "bounds" in f:
            step = {"step": f["stepsize"]} if f.get("stepsize") else {}
            parameters[f["key"]] = {"low": f["bounds"][0], "high": f["bounds"][1], **step, **unit}
        elif "categories" in f:
            allowed = f.get("allowed") or [True] * len(f["categories"])
            parameters[f["key"]] = {"values": [c for c, is_allowed in zip(f["categories"], allowed, strict=True) if is_allowed]}
        else:
            parameters[f["key"]] = {"values": f["values"], **unit}
    outcomes, goal = {}, []
    for f in document["outputs"]["features"]:
        outcomes[f["key"]] = {"unit": f["unit"]} if f.get("unit") else {}
        way = {"MaximizeObjective": "maximize", "MinimizeObjective": "minimize"}.get((f.get("objective") or {}).get("type", ""))
        goal += [f"{way}:{f['key']}"] if way else []
    found = [
        (c["features"], c["coefficients"], "=" if c["type"] == "LinearEqualityConstraint" else "<=", c["rhs"])
        for c in document["constraints"]["constraints"] if "coefficients" in c
    ]  # fmt: skip
    return {"goal": goal, "parameters": parameters, "outcomes": outcomes, **_limits(found)}


def _limits(found: Iterable[tuple[Sequence[str], Sequence[float], str, float]]) -> dict[str, Any]:
    """Linear constraints as sums and limits."""
    sums, limits = [], []
    for names, weights, operator, bound in found:
        if operator == "=" and len(set(weights)) == 1 and weights[0]:
            sums.append({"parts": list(names), "total": bound / weights[0]})
        else:
            ends = {"=": {"low": bound, "high": bound}, ">=": {"low": bound}, "<=": {"high": bound}}[operator]
            limits.append({"terms": dict(zip(names, weights, strict=True)), **ends})
    return ({"sums": sums} if sums else {}) | ({"limits": limits} if limits else {})


def _said(of: Mapping[str, Any]) -> dict[str, str]:
    return {key: text for key in ("unit", "description") if (text := (of.get("metadata") or {}).get(key))}


def _parted(header: str) -> tuple[str, dict[str, str]]:
    """Name and unit of a column, as in ``temperature (°C)``."""
    found = _UNIT.fullmatch(header)
    return (found[1], {"unit": found[2]}) if found else (header, {})


def _name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._") or "mine"


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else json.dumps(text, ensure_ascii=False)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {_toml(cell)}" for name, cell in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return json.dumps(value, ensure_ascii=False)
