"""Every route, asked what its schema allows and much that it does not: no 5xx, and no answer that the document does not announce."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api import people
from api.app import create_app
from api.database import Database
from api.service import Settings
from tests.service_database import ServiceProcess, new_person, new_rig, submit

EXAMPLES = int(os.environ.get("FRUGALTWIN_EXAMPLES", "2"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance]
DOCUMENT = create_app(Settings()).openapi()
schema = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig.from_dict({}))
OPEN = {("POST", "/v1/join"), ("GET", "/health"), ("GET", "/ready")}


@dataclass(frozen=True)
class Running:
    """A service with something in it."""

    address: str
    tokens: dict[str, str]
    ids: dict[str, Iterator[str]]
    """What stands for each word of a path."""


@pytest.fixture(scope="module")
def running(sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("openapi")
    shutil.copy(sqlite_file, folder / "service.db")
    url = f"sqlite:///{folder}/service.db"
    database = Database(url)
    student = new_person(database)
    rigs = [new_rig(database), new_rig(database, "pump-1", is_real=True)]
    experiments = [submit(database, student) for _ in range(3)]
    instructor = database.write_now(lambda c, now: people.add_person(c, now, "Ms Curie", "instructor", {}))
    tokens, spare = {}, []
    for name, whose, scopes in (
        ("student", student, ["read", "run:sim"]),
        ("instructor", instructor, people.OF_ROLE["instructor"].split()),
    ):
        tokens[name] = database.write_now(lambda c, now, w=whose, s=scopes: people.add_token(c, now, w, s))[1]  # type: ignore[misc]
        spare.append(database.write_now(lambda c, now, w=whose, s=scopes: people.add_token(c, now, w, s))[0])  # type: ignore[misc]
    database.close()
    with ServiceProcess(url, folder) as service:
        words = {"name": "c1", "rig": "color-1", "goal": "match-color:#8fb04a", "mode": "client", "budget": {"runs": 5}}
        made = httpx.post(
            f"{service.address}/v1/campaigns", json=words, headers={"Authorization": f"Bearer {tokens['student']}"}, timeout=60
        )
        campaigns = [made.headers["location"].rpartition("/")[2]] if made.status_code == 202 else []
        identities = [*experiments, *campaigns, *spare, student]
        yield Running(service.address, tokens, {"name": cycle(rigs), "whose": cycle([student]), "identity": cycle(identities)})


@pytest.mark.parametrize("who", ["student", "instructor"])
@schema.parametrize()
@settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_no_answer_surprises(case: Any, running: Running, who: str) -> None:
    headers = {"Authorization": f"Bearer {running.tokens[who]}"}
    if case.path == "/v1/events":
        headers["Accept"] = "application/json"  # a stream has no end
    case.call_and_validate(base_url=running.address, headers=headers, checks=CHECKS, timeout=30)
    if case.path_parameters:  # and of something that is there
        case.path_parameters = {word: next(running.ids[word]) for word in case.path_parameters}
        case.call_and_validate(base_url=running.address, headers=headers, checks=CHECKS, timeout=30)


@pytest.mark.parametrize("words", [None, "Bearer ft_nobody", "Bearer", "Basic YTpi", "bearer\tft_nobody"])
def test_nobody_gets_in_without_a_token(running: Running, words: str | None) -> None:
    for path, method in ((path, method) for path, methods in DOCUMENT["paths"].items() for method in methods):
        if (method.upper(), path) in OPEN:
            continue
        asked = path.format(**{word: next(ids) for word, ids in running.ids.items()})
        answer = httpx.request(
            method, running.address + asked, headers={"Authorization": words} if words else {}, timeout=30, trust_env=False
        )
        if (method, path) == ("get", "/metrics"):
            continue
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json"), (method, path)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_every_error_of_the_document_is_a_problem() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                if status >= "400" and (status, path) != ("503", "/ready"):
                    assert list(response["content"]) == ["application/problem+json"], (method, path, status)
    assert "HTTPValidationError" not in DOCUMENT["components"]["schemas"]
