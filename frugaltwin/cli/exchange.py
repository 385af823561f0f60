"""Exchange of campaigns between stores: a campaign as one JSON document, and back."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frugaltwin.amounts import Amounts
from frugaltwin.errors import InvalidInput, OutOfBounds
from frugaltwin.experiment import Experiment, Measurement, Trial, total
from frugaltwin.goals.goal import Goal
from frugaltwin.goals.trial_table import own_names, trial_rows
from frugaltwin.log import Log, Logged, entry_from_json, entry_to_json
from frugaltwin.store import CampaignRecord, experiment_from_json, trial_from_json, trial_json


def campaign_document(record: CampaignRecord, goal: Goal, log: Log) -> dict[str, Any]:
    """A campaign with raw readings and provenance: `trials` as tables have them, `performed` as they were performed."""
    rows, performed = trial_rows(goal, log.trials), [json.loads(trial_json(t)) for t in log.performed]
    original, readings, happened = own_names(goal, ("original", "raw", "happened")).values()
    raws = [dict(t.measurement.raw) if t.measurement else {} for t in log.performed]
    trials = [row | {original: row[original] and json.loads(row[original]), readings: raw} for row, raw in zip(rows, raws, strict=True)]
    for row, trial in zip(trials, log.performed, strict=True):
        if trial.measurement and trial.measurement.happened:
            row[happened] = dict(trial.happened)
    entries = [entry_to_json(x.entry) | {"after": x.after, "at": x.at} for x in log.entries]
    document = {"name": record.name, "created_at": record.created_at, **record.body, "trials": trials, "performed": performed}
    return document | {"entries": entries, "spent": total(log.trials).cost()}


def read_campaign(path: Path, name: str | None = None) -> tuple[CampaignRecord, Log]:
    """A campaign from a file with its document, also of a version that wrote no `performed`.

    Args:
        name: A name for it in place of its own.

    Raises:
        InvalidInput: The file cannot be read, or it is no such document.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInput(f"{path} is no JSON; write it with frugaltwin export NAME --format json --out {path.stem}.json") from error
    try:
        return _understood(document, name)
    except OutOfBounds as error:
        raise InvalidInput(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"{path} is no exported campaign; write it with frugaltwin export NAME --format json") from error


def _understood(document: Mapping[str, Any], name: str | None) -> tuple[CampaignRecord, Log]:
    experiment = experiment_from_json(document["experiment"])
    named = name or str(document["name"])
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", named):
        raise OutOfBounds(f"{named!r} is no name of a campaign; give it another name")
    words = ("trials", "performed", "entries", "spent", "name", "created_at", "plan")
    body = {key: word for key, word in document.items() if key not in words}
    for word in ("driver", "strategy"):
        body[word] = {"name": str(body[word]["name"]), "options": dict(body[word]["options"])}
    body |= {"goal": str(body["goal"]), "seed": int(body["seed"])}
    if "performed" in document:
        trials = [trial_from_json(json.dumps(row)) for row in document["performed"]]
    else:
        trials = [_trial(experiment, row) for row in document["trials"]]
    if [t.number for t in trials] != list(range(1, len(trials) + 1)):
        raise OutOfBounds("its trials are not numbered from 1 without gaps")
    for trial in trials:
        experiment.check_told(trial.settings)
        if trial.measurement:
            experiment.check_outcomes(trial.measurement.outcomes, ())
    entries = [
        Logged(entry_from_json({k: v for k, v in x.items() if k not in ("after", "at")}), x["after"], x["at"]) for x in document["entries"]
    ]
    return CampaignRecord(named, str(document["created_at"]), body), Log(trials, entries)


def _trial(experiment: Experiment, row: Mapping[str, Any]) -> Trial:
    """A trial as it was performed, from its row of a table."""
    taken = set(experiment.measured_names)

    def ours(name: str) -> Any:
        while name in taken:
            name = f"trial_{name}"
        return row.get(name)

    known = {o.name: row[o.name] for o in experiment.outcomes if row.get(o.name) is not None}
    outcomes = ours("original") if ours("correction") else known or None
    cost = Amounts(**{kind.name: ours(kind.name) for kind in Amounts.cost_kinds()})
    measurement = Measurement(outcomes, cost, ours("raw") or {}) if outcomes else None
    settings = {p.name: row[p.name] for p in experiment.parameters}
    return Trial(ours("number"), settings, measurement, ours("error"), cost, ours("source"), ours("finished_at"))
