"""Judging: what a student hands in, compared with the truth of the student's own lab."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from scipy.special import ndtr

from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.bench.problems import Judge, label_agreement
from frugaltwin.campaign import Campaign
from frugaltwin.errors import CampaignError, InvalidInput
from frugaltwin.experiment import Settings, Trial, total
from frugaltwin.goals import Map
from frugaltwin.plugins import Predicts
from frugaltwin.state import State
from frugaltwin.tasks.instance import Instance
from frugaltwin.tasks.score import Found

SAMPLED = 1000
"""Number of settings among which the best score is looked for, where no theory says it."""


@dataclass(frozen=True)
class Expected:
    """Statement about a recipe: its true score, as a mean and a standard deviation."""

    mean: float
    sd: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.sd) and self.sd > 0):
            raise InvalidInput(f"the expected score {self.mean:g} ± {self.sd:g} is none: both are numbers, and the second is above 0")

    def error(self, truth: float) -> float:
        """The continuous ranked probability score of the normal distribution, in the unit of the score; 0 for one who is sure and right.

        To say less than one is sure of and more than one is sure of both make it larger.
        Source: Gneiting & Raftery, J. Am. Stat. Assoc. 102 (2007) 359, doi:10.1198/016214506000001437, section 4.2.

        >>> round(Expected(0.0, 1.0).error(0.0), 4), round(Expected(0.0, 1e-9).error(2.0), 4)
        (0.2337, 2.0)
        """
        z = (truth - self.mean) / self.sd
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return self.sd * float(z * (2 * ndtr(z) - 1) + 2 * density - 1 / math.sqrt(math.pi))


@dataclass(frozen=True)
class HandIn:
    """A hand-in, and what it took."""

    recipe: Settings | None = None
    labels: Sequence[str] | None = None
    """Of a map: the label at each of the places that are asked about."""
    expected: Expected | None = None
    spent: Amounts = Amounts()

    @classmethod
    def of_campaign(cls, campaign: Campaign, places: Sequence[Settings], is_sure: bool = False) -> HandIn:
        """The hand-in that a campaign recommends: its recipe, or the map that its model draws.

        Args:
            places: The places of the map.
            is_sure: Whether to say how good the recipe is expected to be, as far as the model does.

        Raises:
            CampaignError: Nothing was measured yet.
        """
        spent = total(campaign.trials)
        if isinstance(campaign.goal, Map):
            return cls(labels=list(campaign.predict(places).labels), spent=spent)
        recipe = campaign.recommendation()
        if recipe is None:
            raise CampaignError(f"campaign {campaign.name!r} has measured nothing yet, so there is nothing to hand in")
        expected = None
        if is_sure and isinstance(campaign.strategy, Predicts):
            found = campaign.predict([recipe])
            if "score" in found.means:
                expected = Expected(float(found.means["score"][0]), max(float(found.deviations["score"][0]), 1e-12))
        return cls(recipe=recipe, expected=expected, spent=spent)


class InstanceJudge:
    """Judges hand-ins on one instance. Nothing of it is for students before they have handed in."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self._judge = Judge(instance.twin("judge"), instance.goal)

    @property
    def places(self) -> list[Settings]:
        """The places at which a map is asked about; the same for all students of a task."""
        return self._judge.places[0] if isinstance(self.instance.goal, Map) else []

    def judged(self, one: HandIn) -> Found:
        """A hand-in on the truth.

        Raises:
            InvalidInput: It is none for this task, or it has labels that there are not.
            OutOfBounds: The experiment does not allow the recipe.
        """
        goal = self.instance.goal
        if isinstance(goal, Map):
            if one.labels is None:
                raise InvalidInput(f"{self.instance.task.name} asks for a map: hand in a label for each of its {len(self.places)} places")
            if len(one.labels) != len(self.places):
                raise InvalidInput(f"{len(one.labels)} labels were handed in, and there are {len(self.places)} places")
            if odd := sorted(set(one.labels) - set(goal.labels)):
                raise InvalidInput(f"there is no label {odd[0]!r}; there are {', '.join(goal.labels)}")
            share, f1 = label_agreement(self._judge.places[1], list(one.labels))
            return Found(1 - (share + f1) / 2, {"share right": share, "mean F1": f1})
        if one.recipe is None:
            raise InvalidInput(f"{self.instance.task.name} asks for a recipe: hand in settings")
        recipe = goal.experiment.check(one.recipe)
        if not goal.experiment.counts(recipe):
            raise InvalidInput("a recipe stands at the settings at which the goal counts")
        losses = self._losses(recipe)
        if losses is None:
            return Found(math.inf, {})
        score = losses if goal.objectives[0].is_minimized else -losses
        error = one.expected.error(score) if one.expected else None
        return Found(max(losses - self.best, 0.0), {"true score": score}, error)

    @cached_property
    def best(self) -> float:
        """The smallest loss there is: 0 for a color, else the smallest of a sample of settings."""
        if self.instance.goal.target_color is not None:
            return 0.0
        sampler = catalog.make_strategy("sobol", seed=0)
        drawn = [suggestion.settings for suggestion in sampler.suggest(State(self.instance.goal), SAMPLED)]
        return min((loss for settings in drawn if (loss := self._losses(settings)) is not None), default=0.0)

    def _losses(self, settings: Settings) -> float | None:
        """The true loss; None where the recipe cannot be measured or misses a requirement."""
        losses = self._judge.losses(settings, None)
        return losses[0] if losses else None


def within_budget(instance: Instance, trials: Sequence[Trial]) -> None:
    """Refuse what took more than the task allows.

    Raises:
        InvalidInput: It did; the sentence has both figures.
    """
    limits, spent = instance.task.limits, total(trials)
    for name, limit in limits.limits.items():
        used = float(getattr(spent, name))
        if used > limit * (1 + 1e-9):
            raise InvalidInput(f"the campaign used {used:g} {name}, and the task allows {limit:g}; hand in one that kept to it")
