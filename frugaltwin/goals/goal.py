"""Goals and objectives: the aim of a campaign, and the words, columns and results that it shows."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from frugaltwin.amounts import Amounts
from frugaltwin.color import Array, Lab, hex_code
from frugaltwin.errors import InvalidInput, OutOfBounds
from frugaltwin.experiment import Experiment, Outcomes, Settings, Trial, describe, quantity, significant
from frugaltwin.tables import outcomes_array, settings_array

Value = float | str | bool | None
"""A cell of a column that a goal supplies; None where a trial has none."""

NO_AMOUNTS: Mapping[str, Array] = MappingProxyType({})


@dataclass(frozen=True)
class Column:
    """A column that a goal adds to the tables of trials."""

    name: str
    unit: str = ""
    width: int = 6
    """In characters, on a terminal."""

    @property
    def title(self) -> str:
        """The name with the unit."""
        return f"{self.name}, {self.unit}" if self.unit not in ("", "1") else self.name


@dataclass(frozen=True)
class Tally:
    """Counts of trials: with the good ones among them, all that a summary needs."""

    n_trials: int = 0
    n_measured: int = 0
    seen: Mapping[str, int] = field(default_factory=dict[str, int])
    """By label of a map."""
    n_uncounted: int = 0
    """Of the measured ones, those at another fidelity than the goal's."""

    @property
    def n_counted(self) -> int:
        """The number of measurements that count."""
        return self.n_measured - self.n_uncounted


@dataclass(frozen=True)
class Goal(ABC):
    """The aim of a campaign on `experiment`: one or more objectives, requirements that a good trial meets, or a map.

    It supplies its own columns, sentences and results, so that no display has to know which goals there are.
    """

    experiment: Experiment

    name: ClassVar[str]

    @classmethod
    def parse(cls, argument: str, experiment: Experiment, draw: Callable[[int], Lab], seed: int) -> Self:
        """The goal of ``name:argument``; every goal of the catalog has its own.

        Args:
            draw: Gives a reachable color for a seed.
            seed: The campaign's.

        Raises:
            InvalidInput: The argument cannot be understood, or the experiment does not measure what it needs.
        """
        raise InvalidInput(f"{cls.name} is no goal of the catalog: name each of its parts by itself", field="goal")

    def _repr_html_(self) -> str:
        code = hex_code(self.target_color) if self.target_color else ""
        swatch = f'<span style="display:inline-block;width:2em;height:1em;border:1px solid #888;background:{code}"></span> ' if code else ""
        return f"<div>{swatch}<b>{escape(self.title)}</b>{f'<br>{escape(self.explanation)}' if self.explanation else ''}</div>"

    @property
    @abstractmethod
    def text(self) -> str:
        """The words that `parse` reads back to this very goal."""

    @property
    def title(self) -> str:
        """The goal in words for people."""
        return self.text

    @property
    @abstractmethod
    def default_strategy(self) -> str:
        """The strategy that is made for it."""

    @property
    @abstractmethod
    def outcomes(self) -> tuple[str, ...]:
        """The names of the outcomes that it depends on."""

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The scores to be made small or large; none for a map."""
        return ()

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The bounds within which a trial counts."""
        return ()

    @property
    def has_score(self) -> bool:
        """Whether one number says how good a trial is: what a stop rule compares."""
        return len(self.objectives) == 1

    @property
    def has_front(self) -> bool:
        """Whether a good trial is a choice: there are several objectives."""
        return len(self.objectives) > 1

    @property
    def unit(self) -> str:
        """The unit of the score."""
        return self.objectives[0].unit if self.has_score else ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names that a place of its map can have; none without a map."""
        return ()

    @property
    def target_color(self) -> Lab | None:
        """The color that is wanted; None when none is."""
        return next((o.target_color for o in self.objectives if o is not self and o.target_color), None)

    @property
    def explanation(self) -> str:
        """A sentence that says what its unit is; empty where that needs none."""
        return next((o.explanation for o in self.objectives if o is not self and o.explanation), "")

    def on(self, experiment: Experiment) -> Self:
        """The same goal of another experiment with the same names."""
        return replace(self, experiment=experiment)

    def check(self, settings: Settings, outcomes: Outcomes, cost: Amounts) -> None:
        """Refuse outcomes whose score is not a finite number.

        Raises:
            OutOfBounds: One is not.
        """
        for objective in (*self.objectives, *(r.objective for r in self.requirements)):
            if not math.isfinite(score := objective.score_of(settings, outcomes, cost)):
                raise OutOfBounds(f"the outcomes give the score {score}, which is not a finite number")

    def counts(self, trial: Trial) -> bool:
        """Whether a trial has a measurement at the experiment's fidelities, of all that the goal needs.

        Others have no score, no label and no place on a front.
        """
        return trial.measurement is not None and self.experiment.counts(trial.settings) and not self.missing(trial)

    def missing(self, trial: Trial) -> list[str]:
        """The outcomes that the goal needs and that were not measured."""
        if trial.measurement is None or len(trial.measurement.outcomes) == len(self.experiment.outcomes):
            return []
        return [name for name in self.outcomes if name not in trial.measurement.outcomes]

    def remark(self, trial: Trial) -> str:
        """The remark about a trial: that it failed, was corrected, or does not count; empty for most."""
        if trial.measurement is None or self.counts(trial):
            return trial.remark
        missing = ", ".join(self.missing(trial))
        return "; ".join(filter(None, [trial.remark, f"does not count: {f'no {missing}' if missing else f'{self._fidelity} does'}"]))

    def label_of_trial(self, trial: Trial) -> str | None:
        """The label of a trial; None when it failed or does not count, or without a map."""
        return None

    def seen(self, trials: Sequence[Trial]) -> dict[str, int]:
        """The number of times that every label was measured, in the order of the labels; those that never were are left out."""
        found = [self.label_of_trial(t) for t in trials]
        return {label: n for label in self.labels if (n := found.count(label))}

    def score_of_trial(self, trial: Trial) -> float | None:
        """The score of a trial, whether it meets the requirements or not; None when it failed or does not count, or without a score."""
        return self.objectives[0].score_of_trial(trial) if self.has_score else None

    def meets(self, trial: Trial) -> bool | None:
        """Whether a trial meets every requirement; None when it failed or does not count."""
        return all(r.is_met_by(trial) for r in self.requirements) if self.counts(trial) else None

    def best(self, trials: Sequence[Trial]) -> tuple[Trial, float] | None:
        """The trial with the best score among those that meet the requirements, and its score; None when there is none."""
        if not self.has_score:
            return None
        return self.objectives[0].best([t for t in trials if self.meets(t)])

    def front(self, trials: Sequence[Trial]) -> list[Trial]:
        """The Pareto front: the trials that meet the requirements and that no other one dominates; empty without objectives.

        One trial dominates another that is as good in every objective and better in one.
        With one objective these are the best trial and its equals.
        """
        counted = [t for t in trials if self.meets(t)]
        if not counted or not self.objectives:
            return []
        is_undominated = undominated(np.array([self.losses(t) for t in counted]))
        return [t for t, is_one in zip(counted, is_undominated, strict=True) if is_one]

    def losses(self, trial: Trial) -> list[float]:
        """The scores of a trial by objective, each with the sign that makes small ones good; infinite when it failed."""
        return [o.loss_of_trial(trial) for o in self.objectives]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of `values`."""
        return ()

    def values(self, trial: Trial) -> dict[str, Value]:
        """The cells of a trial by the names of `columns`; scores and labels as they were read, whether they count or not."""
        return {}

    def describe(self, trial: Trial) -> str:
        """The values of a trial in one line; empty when it failed."""
        values = self.values(trial) if trial.measurement else {}
        return ", ".join(f"{c.name} {shown(values[c.name], c.unit)}" for c in self.columns if values.get(c.name) is not None)

    @property
    def standing_column(self) -> Column | None:
        """The column of `standing`, if there is one."""
        return None

    def standing(self, trials: Sequence[Trial]) -> float | str | None:
        """State of these trials in one cell: the best score, how many labels were seen, how large the front is."""
        return None

    def summary(self, trials: Sequence[Trial]) -> str:
        """The result of these trials in one sentence."""
        best = self.best(trials)
        good = self.front(trials) if self.has_front else [best[0]] if best else []
        measured = [t for t in trials if t.measurement]
        n_uncounted = len(measured) - sum(map(self.counts, measured))
        return self.sentence(Tally(len(trials), len(measured), self.seen(trials), n_uncounted), good)

    def sentence(self, tally: Tally, good: Sequence[Trial]) -> str:
        """The result in one sentence, from what is known without going through all trials.

        Args:
            good: The front of a goal with several objectives, else the best trial, if there is one.
        """
        if not tally.n_measured:
            return "nothing was measured yet"
        none = "" if tally.n_counted else f", none at {self._fidelity}, where the goal counts"
        return f"{tally.n_measured} of {tally.n_trials} experiments gave a reading{none}"

    def result(self, trials: Sequence[Trial]) -> dict[str, Any]:
        """The result of these trials for scripts: ``best``, ``front`` and ``labels``, each None where the goal has none."""
        best, front = self.best(trials), self.front(trials)
        chosen = [{"number": t.number, "settings": dict(t.settings), "values": self.values(t)} for t in front]
        return {
            "best": best and {"number": best[0].number, "score": best[1], "settings": dict(best[0].settings)},
            "front": chosen if self.has_front else None,
            "labels": self.seen(trials) if self.labels else None,
        }

    @property
    def _fidelity(self) -> str:
        """The fidelities in words, such as ``look spectrum``."""
        return describe(self.experiment.fidelities)


@dataclass(frozen=True)
class Objective(Goal):
    """A score of every measurement, to be made small or large; alone, it is a goal."""

    @property
    def default_strategy(self) -> str:
        return "bayesian"

    @property
    def is_minimized(self) -> bool:
        """Whether a low score is a good one."""
        return True

    @abstractmethod
    def score(self, outcomes: Array, settings: Array, amounts: Mapping[str, Array] = NO_AMOUNTS) -> Array:
        """The score [...] of outcomes [..., m] at settings [..., d], both in natural units; differentiable.

        Args:
            amounts: The lab time, money and liquid [...] that the experiments take, by kind; only goals about amounts need them.
        """

    @property
    def objectives(self) -> tuple[Objective, ...]:
        return (self,)

    @property
    def unit(self) -> str:
        """The unit of the score."""
        return ""

    @property
    def quantity(self) -> str:
        """The words for the score in a requirement, such as the name of an outcome."""
        return self.text

    @property
    def column(self) -> Column:
        """The score as a column beside those of other objectives."""
        return Column(self.name, self.unit)

    @property
    def levels(self) -> Mapping[float, str]:
        """Scores that mean something to people, by their names, for pictures."""
        return {}

    @property
    def is_ratio(self) -> bool:
        """Whether half of a score is half as far from the aim, so that pictures show it on a logarithmic axis."""
        return False

    def score_of(self, settings: Settings, outcomes: Outcomes, cost: Amounts = Amounts()) -> float:
        """The score of one measurement."""
        with np.errstate(over="ignore", invalid="ignore"):  # absurd outcomes have no score: NaN says so
            return float(self._scores([settings], [outcomes], [cost])[0])

    def score_of_trial(self, trial: Trial) -> float | None:
        return self.reading_of_trial(trial) if self.counts(trial) else None

    def reading_of_trial(self, trial: Trial) -> float | None:
        """The score of a trial as it was read, whether it counts or not; None when it failed."""
        if trial.measurement is None or self.missing(trial):
            return None
        return self.score_of(trial.happened, trial.measurement.outcomes, trial.cost)

    def loss_of_trial(self, trial: Trial) -> float:
        """The score of a trial, with the sign that makes small ones good; infinite when it failed or does not count."""
        score = self.score_of_trial(trial)
        return math.inf if score is None else score if self.is_minimized else -score

    def is_better(self, score: float, than: float) -> bool:
        """Whether one score beats another."""
        return score < than if self.is_minimized else score > than

    def best(self, trials: Sequence[Trial]) -> tuple[Trial, float] | None:
        done = [(t, t.measurement.outcomes) for t in trials if t.measurement is not None and self.counts(t)]
        if not done:
            return None
        scores = self._scores([t.happened for t, _ in done], [y for _, y in done], [t.cost for t, _ in done])
        trial, outcomes = done[int(np.argmin(scores) if self.is_minimized else np.argmax(scores))]
        return trial, self.score_of(trial.happened, outcomes, trial.cost)  # as every display says it

    @property
    def columns(self) -> tuple[Column, ...]:
        return (Column("score", self.unit),)

    def values(self, trial: Trial) -> dict[str, Value]:
        return {"score": self.reading_of_trial(trial)}

    @property
    def standing_column(self) -> Column | None:
        return Column("best", self.unit)

    def standing(self, trials: Sequence[Trial]) -> float | str | None:
        best = self.best(trials)
        return best[1] if best else None

    def sentence(self, tally: Tally, good: Sequence[Trial]) -> str:
        return best_reading(self, good) or super().sentence(tally, good)

    def _scores(self, settings: Sequence[Settings], outcomes: Sequence[Outcomes], costs: Sequence[Amounts]) -> Array:
        """The scores [n] of n measurements."""
        amounts = {kind.name: np.array([getattr(cost, kind.name) for cost in costs]) for kind in Amounts.cost_kinds()}
        return self.score(outcomes_array(self.experiment, outcomes), settings_array(self.experiment, settings), amounts)


@dataclass(frozen=True)
class Requirement:
    """A bound on a score: a trial beyond it does not count as good. In words ``OUTCOME <= VALUE`` or ``OUTCOME >= VALUE``."""

    objective: Objective
    """What is bounded; whether it is to be made small does not matter here."""
    is_upper: bool
    bound: float

    @property
    def text(self) -> str:
        """The words that are read back to this very requirement."""
        return f"{self.objective.quantity} {'<=' if self.is_upper else '>='} {self.bound!r}"

    @property
    def title(self) -> str:
        """The requirement in words for people."""
        name = self.objective.title if self.objective.target_color else self.objective.quantity
        return f"{name} {'≤' if self.is_upper else '≥'} {quantity(self.bound, self.objective.unit)}"

    def excess(self, score: Array) -> Array:
        """The part [...] of scores [...] that is beyond the bound, in their unit; negative within it; differentiable."""
        return score - self.bound if self.is_upper else self.bound - score

    def is_met_by(self, trial: Trial) -> bool:
        """Whether a trial meets it; one that failed or does not count does not."""
        score = self.objective.score_of_trial(trial)
        return score is not None and bool(self.excess(np.array(score)) <= 0)


def undominated(losses: Array) -> Array:
    """Whether [n] each row of losses [n, m] is on the Pareto front: no other row is as small everywhere and smaller in one place.

    >>> undominated(np.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [1.0, 2.0]])).tolist()
    [True, True, False, True]
    """
    is_one, front, n = np.zeros(len(losses), dtype=bool), np.empty_like(losses), 0
    for i in np.lexsort(losses.T[::-1]):  # so that whatever dominates a row comes before it
        found = front[:n]
        if not ((found <= losses[i]).all(axis=1) & (found < losses[i]).any(axis=1)).any():
            is_one[i], front[n], n = True, losses[i], n + 1
    return is_one


def best_reading(goal: Goal, trials: Sequence[Trial]) -> str | None:
    """The best reading in words; None when there is none."""
    best = goal.best(trials)
    return f"best reading: {rounded(best[1], goal.unit)} in experiment {best[0].number}" if best else None


def rounded(value: float, unit: str) -> str:
    """A score to three digits or more, with its unit.

    >>> rounded(0.48551, "ΔE00")
    '0.486 ΔE00'
    """
    return quantity(float(significant(value, 3)), unit)


def shown(value: Value, unit: str = "") -> str:
    """A cell of a goal's column as text.

    >>> shown(0.48551, "ΔE00"), shown(True), shown("alpha"), shown(None)
    ('0.486 ΔE00', 'yes', 'alpha', '')
    """
    if value is None or isinstance(value, str):
        return value or ""
    return ("yes" if value else "no") if isinstance(value, bool) else rounded(value, unit)
