"""One campaign of a comparison, performed and judged, and the bytes of its result."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.bench import code
from frugaltwin.bench.plan import FORMAT, Shard
from frugaltwin.bench.problems import Judge, Problem, Spoilt
from frugaltwin.campaign import Campaign
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Outcomes, Settings, Trial
from frugaltwin.goals import Map
from frugaltwin.plugins import Doubts, Predicts, Resumes
from frugaltwin.store import Store

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that give a process one thread of each BLAS, when they are 1 before it imports numpy."""
Z90 = 1.6448536269514722
"""Half the width of a 90 % interval in standard deviations."""
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
            trial = campaign.tell(*_performed_at(campaign, settings), source="driver")
            judged.append(_judgment(campaign, judge, model if trial.number == len(begun) else None, trial, problem))
    optimum = problem.optimum(problem.driver(seed), goal)
    if not problem.is_over(judged, optimum):
        for trial in campaign.run() if problem.batch == 1 else _batches(campaign, problem):
            judged.append(_judgment(campaign, judge, model, trial, problem))
            if problem.is_over(judged, optimum):
                break
    if isinstance(driver, Spoilt) and driver.has_outliers:
        named = {d.number for d in strategy.doubts(campaign.state())} if isinstance(strategy, Doubts) and goal.has_score else None
        for number, judgment in enumerate(judged, start=1):
            judgment.update({"outlier": driver.is_outlier(number)} | ({} if named is None else {"named": number in named}))
    return {"goal": goal.text, "unit": goal.unit, "optimum": optimum, "ended": campaign.stopped_because, "trials": judged}


def _batches(campaign: Campaign, problem: Problem) -> Iterator[Trial]:
    """The trials of a campaign whose suggestions are asked for in batches, each told when the last one of its batch is performed."""
    if isinstance(campaign.driver, Resumes):
        campaign.driver.resume(campaign.trials)
    with campaign.driver:
        while (why := problem.budget.exhausted(campaign.trials)) is None:
            n = int(min(problem.batch, problem.budget.runs - len(campaign.trials)))
            attempts = [_performed_at(campaign, suggestion.settings) for suggestion in campaign.suggest(n)]
            yield from (campaign.tell(*attempt, source="driver") for attempt in attempts)
    campaign.stopped_because = why


def _performed_at(campaign: Campaign, settings: Any) -> tuple[Settings, Outcomes | None, Amounts, str | None]:
    """Settings that were performed, what was read, what it cost, and why it failed."""
    from frugaltwin.errors import DriverError

    checked = campaign.driver.experiment.check(settings)
    try:
        measurement = campaign.driver.perform(checked)
    except DriverError as error:
        return checked, None, error.cost, str(error) or "failed"
    return checked, measurement.outcomes, measurement.cost, None


def _judgment(campaign: Campaign, judge: Judge, model: Predicts | None, trial: Trial, problem: Problem) -> dict[str, Any]:
    """A trial as it is stored, without the time of day, and how it is judged."""
    outcomes = dict(trial.measurement.outcomes) if trial.measurement else None
    found: dict[str, Any] = {"settings": dict(trial.settings), "outcomes": outcomes, "cost": trial.cost.cost()}
    found |= {"error": trial.error} if trial.error else {}
    if campaign.goal.objectives:
        found["losses"] = judge.losses(trial.settings, trial)
    if model is not None and (state := campaign.state()).counted:
        found["right"], found["f1"] = judge.agreement(model, state)
    if problem.has_intervals and (inside := _inside(campaign, trial)):
        found["inside"] = inside
    if trial.number in problem.recommend and (advised := campaign.recommendation()) is not None:
        found["recommended"] = judge.losses(advised, None)
    return found


def _inside(campaign: Campaign, trial: Trial) -> list[int] | None:
    """Of the numbers of a reading, how many were in the 90 % intervals that the model stated before, and of how many it stated one."""
    strategy, before = campaign.strategy, campaign.state()
    before = replace(before, trials=[t for t in before.trials if t.number < trial.number])
    if not isinstance(strategy, Predicts) or trial.measurement is None or not before.counted:
        return None
    expected = strategy.predict(before, [trial.settings])
    read = {**trial.measurement.outcomes, "score": campaign.goal.score_of_trial(trial) if campaign.goal.has_score else None}
    around = expected.reading_deviations
    pairs = [(float(value), float(m[0]), float(around[n][0])) for n, m in expected.means.items() if (value := read.get(n)) is not None]
    return [sum(abs(value - mean) <= Z90 * sd for value, mean, sd in pairs), len(pairs)] if pairs else None
