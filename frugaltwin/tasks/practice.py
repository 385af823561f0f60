"""Practice: the tasks of a class without a class. The labs are hidden from strategies and from displays, not from who reads the source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from frugaltwin.amounts import Amounts
from frugaltwin.experiment import Experiment, Measurement, Settings, Trial
from frugaltwin.plugins import Driver, Estimates, Prices, Resumes
from frugaltwin.prices import Price
from frugaltwin.tasks.instance import Instance
from frugaltwin.tasks.task import Task, find

SECRET = b"frugaltwin practice"
"""The secret of practice instances. It is no secret: what is graded is drawn under that of a class."""


def practice_instance(task: Task, lab: int) -> Instance:
    """The practice instance of a number."""
    return Instance.of(task, SECRET, str(lab))


class HiddenLab:
    """A twin that performs and tells nothing else: it knows no truth, draws no diagram and shows no mixer."""

    def __init__(self, twin: Driver) -> None:
        self._twin = twin

    @property
    def experiment(self) -> Experiment:
        return self._twin.experiment

    def __enter__(self) -> Self:
        self._twin.__enter__()
        return self

    def perform(self, settings: Settings) -> Measurement:
        return self._twin.perform(settings)

    def stop(self) -> None:
        self._twin.stop()

    def __exit__(self, *failure: object) -> None:
        self._twin.__exit__(*failure)

    def resume(self, trials: Sequence[Trial]) -> None:
        if isinstance(self._twin, Resumes):
            self._twin.resume(trials)

    def price(self) -> Price | None:
        return self._twin.price() if isinstance(self._twin, Prices) else None

    def estimate(self, settings: Settings) -> Amounts:
        return self._twin.estimate(settings) if isinstance(self._twin, Estimates) else Amounts()


def practice(task: str, lab: int = 1) -> HiddenLab:
    """Hidden lab of a task, to practise on: `frugaltwin practice` lists the tasks, `frugaltwin hand-in` judges what was found.

    What the task draws is another one for each number `lab`, and is not shown. It is no secret: who reads the source can compute it.
    Parameters, outcomes, noise, time and money are those of the twin that the task names.

    **Options**: `task`, the name of a task or its file; `lab`, a number (default 1).
    """
    return HiddenLab(practice_instance(find(task), lab).twin())


practice.example_options = {"task": "color-match"}  # type: ignore[attr-defined]


def task_lab(task: str, seed: int = 0) -> HiddenLab:
    """Hidden lab of a task of a class, which the service makes for each student.

    **Options**: `task`, what the file of the task says, as JSON; `seed`, the key of the instance (`frugaltwin.tasks.instance.key_of`) as a
    whole number: with it, an instructor has a student's lab at home.
    """
    return HiddenLab(Instance.of_key(Task.from_json(task), seed.to_bytes(32, "big")).twin())
