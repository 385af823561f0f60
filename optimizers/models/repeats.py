"""Settings that were measured more than once."""

from collections import defaultdict
from collections.abc import Sequence

from frugaltwin.experiment import Settings, Trial
from frugaltwin.goals import Objective


def or_measured_better(settings: Settings, expected: float, goal: Objective, trials: Sequence[Trial]) -> Settings:
    """The settings, or others that were measured at least twice and whose every reading was better than what is expected of these.

    A model that one bad reading misleads expects too little of good settings, and recommends others.

    Args:
        expected: The score that the model expects of the settings.
    """
    sign = -1.0 if goal.is_minimized else 1.0
    readings: dict[tuple[float | str, ...], list[tuple[float, Settings]]] = defaultdict(list)
    for trial in trials:
        if (score := goal.score_of_trial(trial)) is not None and goal.experiment.allows(trial.settings):
            readings[goal.experiment.key(trial.settings)].append((sign * score, trial.settings))
    repeated = [(min(score for score, _ in those), those[0][1]) for those in readings.values() if len(those) > 1]
    worst, steady = max(repeated, key=lambda pair: pair[0], default=(sign * expected, settings))
    return steady if worst > sign * expected else settings
