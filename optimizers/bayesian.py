"""Model the score alone, whatever the outcomes mean: the strategy that needs no knowledge."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Settings, Trial
from frugaltwin.goals import Objective
from frugaltwin.goals.suitable import single
from frugaltwin.state import Doubt, Drift, Prediction, State, Suggestion
from optimizers.models.feasibility import failures, log_feasibility
from optimizers.models.improvement import expectation, improvement
from optimizers.models.reasons import EVEN, IMPROVEMENT
from optimizers.models.regression import Doubtful, Regression
from optimizers.models.repeats import or_measured_better
from optimizers.space.search import best_points
from optimizers.space.space import Floats, Space

_AHEAD = 64  # points of the sequence to choose from, in case some were tried
_CURIOSITY = 0.01  # where experiments fail: see `improvement`
_WIDE = 10  # parameters from which on the middle comes first: in so many dimensions any other place is far from most of the box
_SEEN = 2.0  # standard deviations of a drift from which on it is told
_NEAR = 3  # of the best settings so far: the search looks around them


@dataclass(frozen=True)
class Bayesian:
    """A Gaussian process on the score, and expected improvement.

    It works for any goal and any outcomes, and needs more experiments than `composite`, which knows how the score comes about.

    ============== ================ ==========================================================================
    option         default          meaning
    ============== ================ ==========================================================================
    starts         5                evenly spread settings before the model takes over, 1 to 1000
    seed           0                of everything random
    ============== ================ ==========================================================================

    Of ten and more parameters, the first setting is the middle of their ranges.

    Several suggestions at once, and those beside pending experiments: each counts on what the model expects of those before it.

    Sources: Ament et al., NeurIPS (2023), arXiv:2310.20708 (logarithmic improvement); Hvarfner, Hellsten & Nardi, ICML (2024),
    arXiv:2402.02229 (priors of the length scales); Ginsbourger, Le Riche & Carraro (2010), doi:10.1007/978-3-642-10701-6_6 (batches).
    """

    seed: int = 0
    starts: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.starts <= 1000:
            raise InvalidInput(f"starts = {self.starts} is outside [1, 1000]")

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        state = state.at_fidelity()
        goal, space = single(state.goal, "bayesian"), Space.of(state.experiment)
        known = _scored(space, goal, state.trials)
        model = known.trusted if known.n and known.n + len(state.unavailable) + count > self.starts else None
        chance = log_feasibility(space, state.trials)
        failed = space.encode(failures(state.trials))
        curiosity = _CURIOSITY if len(failed) else 0.0
        chosen: list[Settings] = []
        whys: list[str] = []
        while len(chosen) < count:
            busy = [*state.unavailable, *chosen]
            turn = len(state.trials) + len(busy)
            if model is None or known.n + len(busy) < self.starts:
                found = space.sample(turn + _AHEAD, self.seed)[turn:]
                if not turn and space.is_graded.sum() >= _WIDE:
                    found = np.concatenate([space.pulled_inside(np.full(space.size, 0.5))[None], found])
                whys.append(EVEN)
            else:
                later = model.conditioned_on(space.encode(busy), failed).model
                best = float(later.mean(later.X).max())
                found = best_points(improvement(later, best, curiosity) + chance, space, self.seed + turn, known.X[:_NEAR])
                whys.append(IMPROVEMENT)
            chosen += space.untried(found, 1, state, chosen)
        return [Suggestion(s, why) for s, why in zip(chosen, whys, strict=True)]

    def recommend(self, state: State) -> Settings:
        state = state.at_fidelity()
        goal, space = single(state.goal, "bayesian"), Space.of(state.experiment)
        known = _scored(space, goal, state.trials)
        if not known.n:
            return space.decode(space.sample(1, self.seed)[0])
        model, chance = known.trusted, log_feasibility(space, state.trials)
        best = best_points(expectation(model.model) + chance, space, self.seed, known.X[:_NEAR])[:1]
        if model.has_drift:  # readings of different times do not compare
            return space.decode(best[0])
        expected = known.sign * float(model.expected(best)[0][0])
        trials = state.without([_doubt(known, doubtful) for doubtful in known.doubts]).trials
        return or_measured_better(space.decode(best[0]), expected, goal, trials)

    def doubts(self, state: State) -> list[Doubt]:
        state = state.at_fidelity()
        goal, space = single(state.goal, "bayesian"), Space.of(state.experiment)
        known = _scored(space, goal, state.trials)
        return [_doubt(known, doubtful) for doubtful in known.doubts]

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        state = state.at_fidelity()
        goal, space = single(state.goal, "bayesian"), Space.of(state.experiment)
        known = _scored(space, goal, state.trials)
        mean, deviation, noise = known.trusted.averaged(space.encode(settings))
        drifts = [Drift("score", known.sign * change, sd) for change, sd in [known.trusted.drift] if abs(change) > _SEEN * sd]
        return Prediction({}, {"score": known.sign * mean}, {"score": deviation}, {"score": noise}, drifts=drifts)

    def sample(self, state: State, settings: Sequence[Settings], count: int, seed: int = 0) -> dict[str, Floats]:
        state = state.at_fidelity()
        goal, space = single(state.goal, "bayesian"), Space.of(state.experiment)
        known = _scored(space, goal, state.trials)
        return {"score": known.sign * known.trusted.paths(count, seed)(space.encode(settings))}


@dataclass(frozen=True)
class _Scores:
    """Scores of the trials that did not fail, the best first."""

    space: Space
    trials: Sequence[Trial]
    X: Floats
    """Points [n, D]"""
    values: Floats
    """[n]: sign · score, the larger the better."""
    sign: float

    @property
    def n(self) -> int:
        return len(self.trials)

    @cached_property
    def model(self) -> Regression:
        return Regression(self.space, self.X, self.values, times=self._times)

    @cached_property
    def _times(self) -> Floats:
        return np.array([float(t.number) for t in self.trials])

    @cached_property
    def doubts(self) -> list[Doubtful]:
        """The scores that are hardly to be believed, by their place in the order."""
        return list(self.model.doubts()) if self.n else []

    @cached_property
    def trusted(self) -> Regression:
        """The regression on the others."""
        if not self.doubts:
            return self.model
        kept = np.delete(np.arange(self.n), [doubtful.number for doubtful in self.doubts])
        return Regression(self.space, self.X[kept], self.values[kept], times=self._times[kept])


def _scored(space: Space, goal: Objective, trials: Sequence[Trial]) -> _Scores:
    sign = -1.0 if goal.is_minimized else 1.0
    told = [(t, sign * score) for t in trials if (score := goal.score_of_trial(t)) is not None]
    told.sort(key=lambda pair: -pair[1])
    X = space.encode([t.happened for t, _ in told])
    return _Scores(space, [t for t, _ in told], X, np.array([value for _, value in told]), sign)


def _doubt(known: _Scores, doubtful: Doubtful) -> Doubt:
    trial = known.trials[doubtful.number]
    measured = known.sign * float(known.values[doubtful.number])
    return Doubt(trial.number, "score", measured, known.sign * doubtful.expected, doubtful.deviation, doubtful.odds)
