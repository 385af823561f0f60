"""Goals of several objectives, and goals with requirements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from frugaltwin.color import Lab
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Experiment, Trial, free_name
from frugaltwin.goals.goal import Column, Goal, Objective, Requirement, Tally, Value, best_reading, shown

SHOWN = 6
"""Number of trials of a front that the summary names one by one."""


@dataclass(frozen=True)
class Combined(Goal):
    """One or more objectives, and requirements that a good trial meets: ``minimize:volume; match-color:coral; require t_415 <= 0.3``.

    One objective with requirements has a score and a best trial, among those that meet the requirements. Several objectives have a front:
    the trials that meet the requirements and that no other one dominates, which is as good in every objective and better in one.
    """

    parts: tuple[Objective, ...]
    bounds: tuple[Requirement, ...] = ()

    name = "combined"

    def __post_init__(self) -> None:
        if not self.parts:
            raise InvalidInput("requirements alone are no goal: name what is to be made small or large", field="goal")
        texts = [part.text for part in self.parts]
        if twice := next((text for text in texts if texts.count(text) > 1), None):
            raise InvalidInput(f"the goal {twice} is named twice; once is enough", field="goal")

    @property
    def text(self) -> str:
        return "; ".join([*(part.text for part in self.parts), *(f"require {bound.text}" for bound in self.bounds)])

    @property
    def title(self) -> str:
        wanted, bounds = (" and ".join(x.title for x in group) for group in (self.parts, self.bounds))
        return f"{wanted}, with {bounds}" if bounds else wanted

    @property
    def default_strategy(self) -> str:
        return "sobol"

    @property
    def outcomes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for o in self._valued for name in o.outcomes))

    @property
    def objectives(self) -> tuple[Objective, ...]:
        return self.parts

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        return self.bounds

    @property
    def target_color(self) -> Lab | None:
        return next((o.target_color for o in self._valued if o.target_color), None)

    def on(self, experiment: Experiment) -> Self:
        bounds = tuple(replace(bound, objective=bound.objective.on(experiment)) for bound in self.bounds)
        return replace(self, experiment=experiment, parts=tuple(part.on(experiment) for part in self.parts), bounds=bounds)

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self._columns, *([Column(self._meets, width=5)] if self.bounds else []))

    def values(self, trial: Trial) -> dict[str, Value]:
        scores: dict[str, Value] = {c.name: o.reading_of_trial(trial) for c, o in self._columns.items()}
        return scores | ({self._meets: self.meets(trial)} if self.bounds else {})

    @property
    def standing_column(self) -> Column | None:
        return Column("best", self.unit) if self.has_score else Column("front", width=5)

    def standing(self, trials: Sequence[Trial]) -> float | str | None:
        if not self.has_score:
            return str(len(self.front(trials)))
        best = self.best(trials)
        return best[1] if best else None

    def sentence(self, tally: Tally, good: Sequence[Trial]) -> str:
        bounds = " and ".join(bound.title for bound in self.bounds)
        if not good:
            return f"no experiment meets {bounds} yet" if tally.n_counted else super().sentence(tally, good)
        within = f", with {bounds}" if bounds else ""
        if self.has_score:
            return f"{best_reading(self, good)}{within}"
        named = [self._described(trial) for trial in good[:SHOWN]] + ["…"] * (len(good) > SHOWN)
        return f"front: {len(good)} of {tally.n_trials} experiments are not dominated{within}: {'; '.join(named)}"

    @property
    def _meets(self) -> str:
        return free_name("meets", [c.name for c in self._columns])

    @property
    def _valued(self) -> list[Objective]:
        return [*self.parts, *(bound.objective for bound in self.bounds)]

    @property
    def _columns(self) -> dict[Column, Objective]:
        """A column for each different number, under a name of its own; ``score`` where there is one objective."""
        columns: dict[Column, Objective] = {}
        for objective in self._valued:
            if any(o.quantity == objective.quantity for o in columns.values()):
                continue
            column = Column("score", objective.unit) if self.has_score and objective is self.parts[0] else objective.column
            taken = [c.name.partition(" ")[0] for c in columns].count(column.name)
            name = f"{column.name} {taken + 1}" if taken else column.name
            columns[replace(column, name=name, width=max(column.width, len(name)))] = objective
        return columns

    def _described(self, trial: Trial) -> str:
        """A trial by its objectives."""
        named = [(c, o.score_of_trial(trial)) for c, o in self._columns.items() if o in self.parts]
        return f"experiment {trial.number} ({', '.join(f'{c.name} {shown(score, c.unit)}' for c, score in named)})"
