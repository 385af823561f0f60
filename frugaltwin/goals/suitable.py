"""The goals that a strategy works for; others are refused with the strategy to try. And what suits an experiment."""

from frugaltwin.color import parse_color
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Experiment
from frugaltwin.goals.extreme import Maximize, Minimize
from frugaltwin.goals.goal import Goal, Objective
from frugaltwin.goals.map import Map
from frugaltwin.goals.match_color import MatchColor

GREEN = "#8fb04a"
"""A color well within reach of dyes and of LEDs."""


def single(goal: Goal, strategy: str) -> Objective:
    """The goal, for a strategy that improves one score.

    Raises:
        InvalidInput: It has none, several, or requirements.
    """
    if not goal.objectives:
        raise InvalidInput(
            f"{goal.text} has no score for {strategy} to improve; try the strategy {goal.default_strategy}", field="strategy"
        )
    if not isinstance(goal, Objective):
        text = f"{strategy} improves one score and knows no requirements; for {goal.text} try the strategy {goal.default_strategy}"
        raise InvalidInput(text, field="strategy")
    return goal


def mapped(goal: Goal, strategy: str) -> Map:
    """The goal, for a strategy that draws maps.

    Raises:
        InvalidInput: It wants something else.
    """
    if not isinstance(goal, Map):
        text = f"{strategy} draws maps and cannot work towards {goal.text}; try the strategy {goal.default_strategy}"
        raise InvalidInput(text, field="strategy")
    return goal


def examples(experiment: Experiment) -> dict[str, Goal]:
    """A goal of each kind that makes sense for an experiment, by its words. Another color, outcome or value makes another goal."""
    number = next((o.name for o in experiment.outcomes if not o.labels), None)
    label = next((o.name for o in experiment.outcomes if o.labels), None)
    found: list[Goal] = [Map(experiment, label)] if label is not None else []
    if number is not None:
        found += [Minimize(experiment, number), Maximize(experiment, number), Map(experiment, number, 0.5)]
    colors = {f"match-color:{GREEN}": MatchColor(experiment, parse_color(GREEN))} if experiment.color is not None else {}
    return {**colors, **{goal.text: goal for goal in found}}


def strategies(goal: Goal) -> list[str]:
    """Our strategies that work for a goal, its default strategy first."""
    labeled = {o.name for o in goal.experiment.outcomes if o.labels}
    found = [goal.default_strategy]
    if isinstance(goal, Objective):
        found += ["composite"] if goal.outcomes and not labeled & set(goal.outcomes) else []
        found += ["bayesian"]
    if isinstance(goal, Map):
        found += ["phase-map", "gp-classifier", "label-propagation"] + (["straddle"] if goal.threshold is not None else [])
    return list(dict.fromkeys([*found, "sobol", "random"]))
