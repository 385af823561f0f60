"""The goals that a strategy works for; others are refused with the strategy to try."""

from frugaltwin.errors import InvalidInput
from frugaltwin.goals.goal import Goal, Objective
from frugaltwin.goals.map import Map


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
