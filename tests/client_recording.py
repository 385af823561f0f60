"""A recording of a client's requests and the service's answers, kept in `tests/data`, and its replay against another service.

`python -m tests.client_recording FILE` makes one of the client and the service of this checkout. A kept one is never made anew: it says
what clients that are installed somewhere ask for and read.
"""

from __future__ import annotations

import json
import math
import re
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from api.migrations import upgrade
from frugaltwin import Client
from frugaltwin.catalog import make_driver
from frugaltwin.errors import FrugalTwinError
from frugaltwin.plugins import Prices
from frugaltwin.prices import price_to_json
from frugaltwin.store import experiment_to_json
from tests.running_service import Running, running
from tests.service_database import SETTINGS

KEPT_HEADERS = ("authorization", "prefer", "idempotency-key", "accept", "last-event-id")
COST = {"seconds": 12.0, "money": 0.02, "volume": 4.5}
OUTCOMES = {f"t_{wavelength}": 0.5 for wavelength in (415, 445, 480, 515, 555, 590, 630, 680)}
NAMES = re.compile(r"[a-z]_[0-9a-f]{6,}|ft_[\w-]{20,}|[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4}|[0-9a-f]{16}")
"""What a service makes up: ids, tokens, codes and leases."""
PASSING = re.compile(r"(.*_)?(at|id|key|seed|next)$")
"""Fields of numbers and times that are others each time."""
SENTENCES = ("detail", "description", "error", "reason", "result", "title", "waiting_because", "why")
"""Texts for people, which may be said better."""


def record(service: Running) -> dict[str, Any]:
    """Send every kind of request that the client has, and keep what was asked and answered."""
    exchanges: list[dict[str, Any]] = []
    clients: list[Client] = []

    def keep(response: httpx.Response) -> None:
        request = response.request
        answer = response.read()
        is_json = answer and "json" in response.headers.get("content-type", "")
        exchanges.append(
            {
                "method": request.method,
                "path": request.url.raw_path.decode(),
                "headers": {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers},
                "body": json.loads(request.content) if request.content else None,
                "status": response.status_code,
                "answer": json.loads(answer) if is_json else answer.decode(),
            }
        )

    def client(token: str | None) -> Client:
        made = Client(service.address, token, patience=0.0)
        made._connections = httpx.Client(base_url=service.address, event_hooks={"response": [keep]}, trust_env=False)
        clients.append(made)
        return made

    try:
        _journey(client(service.admin), client("ft_" + "0" * 43), client)
    finally:
        for one in clients:
            one.close()
    return {"admin": service.admin, "exchanges": exchanges}


def _journey(admin: Client, ada: Client, client: Any) -> None:
    code = admin.make_code(30, {"runs": 50, "seconds": 7200.0}, "Monday").code
    assert code
    admin.codes()
    bench = client(admin.make_token(["work"], "bench", rigs=["color-2", "light-2", "mixer-1"]).token)
    for rig, driver, is_real in (("color-2", "color-mixing", False), ("light-2", "light-mixing", False), ("mixer-1", "color-mixing", True)):
        made = make_driver(driver)
        price = made.price() if isinstance(made, Prices) else None
        assert price is not None
        words = {"experiment": experiment_to_json(made.experiment), "price": price_to_json(price), "worker": "w"}
        bench.ask("PUT", f"/v1/work/{rig}", {"driver": driver, "options": {}, "is_real": is_real, **words})
    person = ada.join(code, "Ada").person
    ada.me()
    ada.rigs()
    for rig in ("color-1", "light-2"):
        ada.rig(rig)
    ada.price("color-2", SETTINGS)
    _perform(bench, ada, "color-2", ada.submit("color-2", SETTINGS, key="mine-0000").id)
    ada.submit("color-2", SETTINGS, key="mine-0000")
    admin.approve("mixer-1", person)
    admin.approvals("mixer-1")
    _perform(bench, ada, "mixer-1", ada.submit("mixer-1", SETTINGS).id)
    waiting = ada.submit("color-1", SETTINGS)
    ada.wait(waiting.id, 1.0)
    list(ada.experiments(state="queued"))
    ada.abort(waiting.id)
    reef = ada.start_campaign("reef", "color-2", "match-color:coral", strategy="mine", budget=4, mode="client").id
    for red in (0.1, 0.3):
        trial = ada.submit("color-2", {**SETTINGS, "red": red, "water": 3.5 - red}, campaign=reef).id
        _perform(bench, ada, "color-2", trial)
    _wrong(ada, waiting.id, reef)
    ada.trials(reef)
    ada.campaign(reef)
    ada.campaigns("running")
    ada.prefer(reef, 1, 2)
    ada.amend(reef, 1, {"t_415": 0.4}, "a bubble")
    ada.retract(reef, 2, "a bubble")
    ada.reject(reef, SETTINGS)
    ada.entries(reef)
    for action, budget in (("pause", None), ("resume", None), ("extend", {"runs": 2}), ("stop", None)):
        ada.act(reef, action, budget)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("reef.csv", "reef.json"):
            ada.export(reef, Path(folder) / name)
        ada.export_experiments(Path(folder) / "all.csv")
    ada.ask("GET", "/v1/events?after=0&limit=1000")
    ada.ledger()
    token = ada.make_token(["read"], "for my agent").id
    ada.tokens()
    ada.revoke_token(token)
    for action in ("pause", "open", "stop"):
        admin.steer("light-2", action)
    admin.people()
    admin.grant(person, {"runs": 5})
    admin.set_left(person, {"runs": 0, "seconds": None})
    with suppress(FrugalTwinError):
        ada.submit("color-1", SETTINGS)
    admin.person(person)
    admin.ledger(person)
    added = admin.add_person("Grace", "observer").person
    admin.tokens(added)
    admin.revoke_tokens(added)
    admin.remove_person(added)
    admin.revoke_code(admin.codes()[0].id)
    admin.experiment(waiting.id)


def _wrong(ada: Client, ended: str, campaign: str) -> None:
    """Requests that are refused, each for another reason."""
    for request in (
        lambda: ada.abort(ended),
        lambda: ada.experiment("x_000000000000"),
        lambda: ada.submit("color-1", {**SETTINGS, "red": 99.0}),
        lambda: ada.submit("color-2", SETTINGS, key="mine-0000", campaign=campaign),
        lambda: ada.submit("color-2", SETTINGS, campaign=campaign, trial=1),
        lambda: ada.start_campaign("reef", "color-2", "match-color:navy", mode="client"),
        lambda: ada.start_campaign("other", "color-2", "no-such-goal", mode="client"),
        ada.people,
        lambda: ada.steer("color-1", "stop"),
    ):
        with suppress(FrugalTwinError):
            request()


def _perform(bench: Client, whose: Client, rig: str, identity: str) -> None:
    """A worker performs the next experiment of a rig, and its owner looks at it in between."""
    jobs = bench.ask("POST", f"/v1/work/{rig}/leases", {"worker": "w", "count": 1})["jobs"]
    assert [job["id"] for job in jobs] == [identity]
    whose.experiment(identity)
    held = {"id": identity, "lease": jobs[0]["lease"]}
    bench.ask("POST", f"/v1/work/{rig}/begin", {"jobs": [held]})
    whose.experiment(identity)
    bench.ask("POST", f"/v1/work/{rig}/renew", {"worker": "w", "held": {identity: held["lease"]}})
    measured = {"outcomes": OUTCOMES, "cost": COST, "raw": {"reading": 1.0}}
    number = jobs[0]["twin"]["performed"] + 1 if jobs[0]["twin"] else None
    report = {**held, "measurement": measured, "error": None, "cost": COST, "provenance": {"rig": rig}, "twin_number": number}
    bench.ask("POST", f"/v1/work/{rig}/finish", {"reports": [report]})
    whose.wait(identity, 5.0)


def replay(recording: Mapping[str, Any], service: Running, renamed: Mapping[str, str]) -> list[str]:
    """Send the requests of a recording to a service; a line for each answer that a client of then could not read as it did.

    A field may be new, and there may be a value where there was none.

    Args:
        renamed: Words of answers that are said otherwise now.
    """
    known = {recording["admin"]: service.admin}
    faults: list[str] = []

    def now(words: str) -> str:
        return NAMES.sub(lambda found: known.get(found[0], found[0]), words)

    def compare(then: Any, here: Any, where: str) -> None:
        key = where.rpartition("/")[2]
        if isinstance(then, dict) and isinstance(here, dict):
            for name, value in then.items():
                place = f"{where}/{name}"
                if now(name) in here:
                    compare(value, here[now(name)], place)
                else:
                    faults.append(f"{place} is missing")
        elif isinstance(then, list) and isinstance(here, list):
            if len(then) != len(here):
                faults.append(f"{where} has {len(here)} items, not {len(then)}")
            for i, (a, b) in enumerate(zip(then, here, strict=False)):
                compare(a, b, f"{where}/{i}")
        elif isinstance(then, str) and isinstance(here, str):
            made_up, others = NAMES.findall(then), NAMES.findall(here)
            known.update({a: b for a, b in zip(made_up, others, strict=False) if a not in known})
            is_free = key in SENTENCES or key == "next" or key.endswith("_at")
            if not is_free and now(then) != here and renamed.get(then) != here:
                faults.append(f"{where} is {here!r}, not {then!r}")
        elif isinstance(then, int | float) and not isinstance(then, bool) and isinstance(here, int | float):
            if not PASSING.match(key) and not math.isclose(then, here, rel_tol=1e-9, abs_tol=1e-12):  # processors round in their own ways
                faults.append(f"{where} is {here!r}, not {then!r}")
        elif then is not None and then != here and key not in SENTENCES:
            faults.append(f"{where} is {here!r}, not {then!r}")

    with httpx.Client(base_url=service.address, timeout=30, trust_env=False) as client:
        for exchange in recording["exchanges"]:
            headers = {name: now(value) for name, value in exchange["headers"].items()} | {"content-type": "application/json"}
            body = None if exchange["body"] is None else now(json.dumps(exchange["body"]))
            answer = client.request(exchange["method"], now(exchange["path"]), content=body, headers=headers)
            where = f"{exchange['method']} {exchange['path']}"
            if answer.status_code != exchange["status"]:
                faults.append(f"{where} is answered {answer.status_code}, not {exchange['status']}: {answer.text[:200]}")
            elif isinstance(exchange["answer"], str):
                then, here = (text.partition("\n")[0].split(",") for text in (exchange["answer"], answer.text))
                faults += [f"{where}: the column {name} is missing" for name in then if name not in here]
            else:
                compare(exchange["answer"], answer.json(), where)
    return faults


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        upgrade(f"sqlite:///{folder}/service.db")
        with running(f"sqlite:///{folder}/service.db") as service:
            kept = record(service)
        Path(sys.argv[1]).write_text(json.dumps(kept, ensure_ascii=False, indent=None, separators=(",", ":")) + "\n")
