"""One campaign of a comparison, performed and judged, and the bytes of its result."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from frugaltwin import catalog
from frugaltwin.bench import code
from frugaltwin.bench.plan import FORMAT, Shard
from frugaltwin.bench.problems import Judge, Problem
from frugaltwin.campaign import Campaign
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Trial
from frugaltwin.goals import Map
from frugaltwin.plugins import Predicts
from frugaltwin.store import Store

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that give a process one thread of each BLAS, when they are 1 before it imports numpy."""
_one_at_a_time = threading.Lock()


def result_bytes(shard: Shard) -> bytes:
    """The result of a campaign as a file; the same shard gives the same bytes, in whichever process.

    Raises:
        InvalidInput: This process has other code than the shard was made with, or several threads of a BLAS.
        FrugalTwinError: The campaign cannot be made.
    """
    here = {"code": code.digest(), "versions": dict(code.versions())}
    if different := [name for name in here if here[name] != shard.words[name]]:
        raise InvalidInput(f"this worker has other {' and '.join(different)} than the plan; install the same version there")
    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise InvalidInput("this worker may use several threads, which round in other ways; start it with OMP_NUM_THREADS=1")
    with _one_at_a_time:  # strategies set the random numbers of a whole process
        body = {"format": FORMAT, "words": shard.words} | _performed(shard)
    return json.dumps(body, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def perform_into(shard: Shard, folder: Path) -> None:
    """Perform a campaign and keep its result in a folder, all of it or nothing; one that is there is left as it is."""
    if not (folder / shard.file).exists():
        write_atomically(folder / shard.file, result_bytes(shard))


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that, whenever it is interrupted, there is the whole file or none."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        error.filename = str(path)
        raise


def read_result(path: Path) -> dict[str, Any]:
    """The result of a campaign.

    Raises:
        InvalidInput: The file is none, or one of another version.
    """
    try:
        body = json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInput(f"{path} is no result of a campaign; delete it and run the plan again") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise InvalidInput(f"{path} is a result of another version; delete it and run the plan again")
    return body


def _performed(shard: Shard) -> dict[str, Any]:
    words, seed = shard.words, shard.seed
    problem = Problem(words["problem"], shard.folder)
    driver = problem.driver(seed)
    goal = problem.goal(driver, seed)
    replicate = int(words["replicate"])
    own = int(np.random.SeedSequence((seed, replicate)).generate_state(1)[0]) if replicate else seed
    chosen = words["strategy"]
    strategy = catalog.make_strategy(chosen["name"], chosen["options"], seed=own)
    specification = {"driver": {"name": driver.experiment.name, "options": {}}, "goal": goal.text, "strategy": chosen, "seed": own}
    campaign = Campaign("shard", driver, goal, strategy, Store(":memory:"), problem.budget, specification=specification)
    judge = problem.judge(problem.driver(seed), goal)  # a twin of its own: to be judged changes nothing
    model = problem.model(strategy, goal, own) if isinstance(goal, Map) else None
    judged: list[dict[str, Any]] = []
    begun = problem.begin(driver, goal, seed)
    with driver:
        for settings in begun:
            trial = _attempt(campaign, settings)
            judged.append(_judgment(campaign, judge, model if trial.number == len(begun) else None, trial, problem))
    optimum = problem.optimum(problem.driver(seed), goal)
    if not problem.is_over(judged, optimum):
        for trial in campaign.run():
            judged.append(_judgment(campaign, judge, model, trial, problem))
            if problem.is_over(judged, optimum):
                break
    return {"goal": goal.text, "unit": goal.unit, "optimum": optimum, "ended": campaign.stopped_because, "trials": judged}


def _attempt(campaign: Campaign, settings: Any) -> Trial:
    """A trial of the start, performed and told as one of the driver's."""
    from frugaltwin.errors import DriverError

    checked = campaign.driver.experiment.check(settings)
    try:
        measurement = campaign.driver.perform(checked)
    except DriverError as error:
        return campaign.tell(checked, None, error.cost, str(error) or "failed", source="driver")
    return campaign.tell(checked, measurement.outcomes, measurement.cost, source="driver")


def _judgment(campaign: Campaign, judge: Judge, model: Predicts | None, trial: Trial, problem: Problem) -> dict[str, Any]:
    """A trial as it is stored, without the time of day, and how it is judged."""
    outcomes = dict(trial.measurement.outcomes) if trial.measurement else None
    found: dict[str, Any] = {"settings": dict(trial.settings), "outcomes": outcomes, "cost": trial.cost.cost()}
    found |= {"error": trial.error} if trial.error else {}
    if campaign.goal.objectives:
        found["losses"] = judge.losses(trial.settings, trial)
    if model is not None and (state := campaign.state()).counted:
        found["right"], found["f1"] = judge.agreement(model, state)
    if trial.number in problem.recommend and (advised := campaign.recommendation()) is not None:
        found["recommended"] = judge.losses(advised, None)
    return found
