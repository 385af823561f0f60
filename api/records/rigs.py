"""Rigs as the service knows them: registered in the database, priced by their driver, which is never connected here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from api.records.fair_queue import NotFound
from api.records.prepared_statement import Prepared
from api.records.tables import rig
from frugaltwin import catalog
from frugaltwin.campaign import unconnected
from frugaltwin.costs import Cost
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Experiment, Settings
from frugaltwin.plugins import Driver, Estimates
from frugaltwin.store import experiment_from_json, experiment_to_json

_by_name = Prepared(select(rig).where(rig.c.name == bindparam("which")))

OFFLINE = 15.0
"""s without a word from its worker after which a rig counts as offline."""
OPEN, PAUSED, STOPPED = "open", "paused", "stopped"


@dataclass(frozen=True)
class Bench:
    """A rig's fixed side."""

    name: str
    driver: str
    options: Mapping[str, Any]
    is_real: bool
    experiment: Experiment
    model: Driver
    """Made like the rig's driver and never connected: it names prices, where its parts are installed here."""

    def estimate(self, settings: Settings) -> Cost:
        """What checked settings are expected to take; nothing where nobody can tell."""
        return self.model.estimate(settings) if isinstance(self.model, Estimates) else Cost()


def register(
    connection: Connection, now: float, name: str, driver: str, options: Mapping[str, Any], is_real: bool,
    experiment: Experiment | None = None,
) -> None:  # fmt: skip
    """Make a rig known, or known anew under the same name.

    Args:
        experiment: What it can be asked to do, where its worker says so; else the driver is made, and says it.

    Raises:
        FrugalTwinError: There is no such driver, or it has no such options.
    """
    if not name or len(name) > 40 or not all(c.isalnum() or c == "-" for c in name):
        raise InvalidInput(f"{name!r} is no name for a rig: 1 to 40 letters, digits and -")
    experiment = experiment or catalog.make_driver(driver, options).experiment
    row = {
        "driver": driver, "options_json": json.dumps(dict(options)), "is_real": is_real,
        "experiment_json": json.dumps(experiment_to_json(experiment), allow_nan=False),
    }  # fmt: skip
    known = connection.execute(select(rig.c.experiment_json).where(rig.c.name == name)).scalar_one_or_none()
    if known is None:
        connection.execute(insert(rig), row | {"name": name, "state": OPEN, "clock": 0.0, "created_at": now})
        return
    if experiment_from_json(json.loads(known)).is_nearly(experiment):  # its campaigns go on, and their scores stay, on every processor
        row["experiment_json"] = known
    connection.execute(update(rig).where(rig.c.name == name).values(**row))


class Benches:
    """The rigs, kept in mind."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], Bench] = {}

    def knows(self, name: str) -> bool:
        """Whether a rig has been asked for before; the first time its driver is imported, which takes a second."""
        return any(known == name for known, _, _ in self._known)

    def get(self, connection: Connection, name: str) -> tuple[Bench, dict[str, Any]]:
        """A rig's fixed side and its row.

        Raises:
            NotFound: There is no such rig.
        """
        row = next(iter(_by_name(connection, {"which": name})), None)
        if row is None:
            raise NotFound(f"there is no rig {name!r}; GET /v1/rigs lists them")
        key = (name, row["driver"], row["options_json"])
        if key not in self._known:
            self._known[key] = _bench(row)
        return self._known[key], row


def status_of(row: Mapping[str, Any], now: float) -> str:
    """``open``, ``paused``, ``stopped``, or ``offline`` when its worker was not heard for a while."""
    if row["state"] != OPEN:
        return str(row["state"])
    return OPEN if row["seen_at"] is not None and now - row["seen_at"] < OFFLINE else "offline"


def _bench(row: Mapping[str, Any]) -> Bench:
    options, experiment = json.loads(row["options_json"]), experiment_from_json(json.loads(row["experiment_json"]))
    model = unconnected(row["driver"], options, experiment)
    return Bench(row["name"], row["driver"], options, row["is_real"], experiment, model)
