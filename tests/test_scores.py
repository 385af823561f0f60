"""The score of a trial, to the last bit."""

from collections.abc import Sequence

import numpy as np
import pytest

from frugaltwin import catalog
from frugaltwin.color import Array
from frugaltwin.experiment import Experiment, Outcomes, Settings, Trial
from frugaltwin.goals import Objective
from frugaltwin.goals.trial_table import trial_rows
from frugaltwin.tables import color_array, outcomes_array, settings_array
from frugaltwin.testing import Plugin
from frugaltwin.testing.drivers import allowed


@pytest.mark.parametrize("name", catalog.names("driver"))
def test_a_trial_has_one_score_alone_and_among_others(name: str) -> None:
    """To the last bit: people compare scores with ==."""
    driver = Plugin.of("driver", name).make()
    if driver.experiment.color is None:
        pytest.skip(f"{name} measures no color")
    goal = catalog.make_goal("match-color:lab(52, 10, -30)", driver)
    assert isinstance(goal, Objective)
    with driver:
        trials = [Trial(k, s, driver.perform(s)) for k, s in enumerate(allowed(driver, 40), start=1)]
    measured = [(t.settings, t.measurement.outcomes) for t in trials if t.measurement]
    scores = [goal.score_of_trial(t) for t in trials]
    assert [goal.score_of(*m) for m in measured] == scores
    for some in (slice(1), slice(2), slice(3, 8), slice(0, 40, 3), slice(None, None, -1), slice(None)):
        outcomes, settings = arrays(driver.experiment, measured[some])
        for lying in (outcomes, outcomes.copy("C"), outcomes.copy("F"), np.stack([outcomes, outcomes])):
            found = goal.score(lying, settings).reshape(-1, len(settings))
            assert found.tolist() == [scores[some]] * len(found)
        best = goal.best(trials[some])
        assert best is not None
        assert best == (best[0], goal.score_of_trial(best[0])) == (best[0], min(s for s in scores[some] if s is not None))
    rows = trial_rows(goal, trials)
    assert [row["score"] for row in rows] == scores
    assert [[row[c] for c in "Lab"] for row in rows] == color_array(driver.experiment, *arrays(driver.experiment, measured)).tolist()


def arrays(experiment: Experiment, measured: Sequence[tuple[Settings, Outcomes]]) -> tuple[Array, Array]:
    return outcomes_array(experiment, [y for _, y in measured]), settings_array(experiment, [s for s, _ in measured])
