"""Model what is measured, and push it through the goal, which is known."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Settings, Trial, measured
from frugaltwin.goals import Goal, Objective
from frugaltwin.goals.suitable import single
from frugaltwin.state import Doubt, Prediction, State, Suggestion
from frugaltwin.tables import outcomes_array, settings_array
from optimizers.models.feasibility import log_feasibility
from optimizers.models.outcome_model import Integers, Known, OutcomeModel, Paths, Score, natural
from optimizers.models.reasons import IMPROVEMENT
from optimizers.models.repeats import or_measured_better
from optimizers.space.search import Graded, best_points, differentiated
from optimizers.space.space import Floats, Space

_PATHS = 64
_FEW_PATHS = 16  # find the points that are worth a closer look
_CLIMBS = 2
_MANY_PATHS = 1024  # a standard deviation to 2 %
_CHUNK = 64  # settings at once, for many paths
_LINEAR = -30.0  # log(1 + exp(x)) is exp(x) below it
_SOFT = 0.01  # of the spread of the scores: what smooths the kink of an improvement
_NAMED = 20.0  # odds that a reading is faulty, from which on it is named
_NEAR = 3  # of the best settings so far: the search looks around them


@dataclass(frozen=True)
class Composite:
    """A physical law plus a Gaussian process for every outcome, and noisy expected improvement of the known goal on top.

    It learns from a vector per experiment (eight channels, say) instead of one number, and it knows how the score follows from
    it. Where the experiment names a law (Beer-Lambert, Kubelka-Munk, additive light), the law is the mean, and the Gaussian process only
    learns what it leaves out. The first settings are those that tell most about the laws' coefficients.

    ============== ================ ==========================================================================
    option         default          meaning
    ============== ================ ==========================================================================
    starts         1 per source     measured trials before the goal counts: 1 per absorber or source of a law,
                                    1 per free parameter and 1 more without a law
    seed           0                of everything random
    ============== ================ ==========================================================================

    Sources: Astudillo & Frazier, ICML (2019), arXiv:1906.01537 (composite functions); Ament et al., NeurIPS (2023),
    arXiv:2310.20708 (logarithmic improvement); Wilson et al., J. Mach. Learn. Res. 22 (2021) 105 (sample paths).
    """

    seed: int = 0
    starts: int | None = None

    def __post_init__(self) -> None:
        if self.starts is not None and not 1 <= self.starts <= 1000:
            raise InvalidInput(f"starts = {self.starts} is outside [1, 1000]")

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        state = state.at_fidelity()
        goal, space = single(state.goal, "composite"), Space.of(state.experiment)
        model = OutcomeModel.of(space, needed_outcomes(goal))
        turn = self.seed + len(state.trials) + len(state.unavailable)
        known = measured(state.trials)
        # The same paths serve all suggestions of one call: each improves on what the paths say of those before it.
        paths = _paths(model, goal, state.trials, turn) if known else None
        chance = log_feasibility(space, state.trials)
        chosen: list[Settings] = []
        whys: list[str] = []
        while len(chosen) < count:
            busy = [*state.unavailable, *chosen]
            done = space.encode([*(s for s, _ in known), *busy])
            rough = None
            if paths is None or len(done) < (self.starts or model.n_starts):
                value, near = differentiated(model.information(done, turn)), done[:0]
                whys.append("most information about the " + ("coefficients of the law" if model.has_law else "outcomes"))
            else:
                value, near = _improvement(_score(paths, goal, space), done)
                rough, _ = _improvement(_score(paths.some(_FEW_PATHS), goal, space), done)
                whys.append(IMPROVEMENT)
            X = best_points(value + chance, space, turn + len(chosen), near, rough + chance if rough else None, _CLIMBS)
            chosen += space.untried(X, 1, state, chosen)
        return [Suggestion(s, why) for s, why in zip(chosen, whys, strict=True)]

    def recommend(self, state: State) -> Settings:
        state = state.at_fidelity()
        goal, space = single(state.goal, "composite"), Space.of(state.experiment)
        model = OutcomeModel.of(space, needed_outcomes(goal))
        state = state.without(model.doubts(state.trials))
        known = space.encode([s for s, _ in measured(state.trials)])
        if not len(known):
            return space.decode(space.sample(1, self.seed)[0])
        paths = _paths(model, goal, state.trials, self.seed)
        score, rough = _score(paths, goal, space), _score(paths.some(_FEW_PATHS), goal, space)
        chance = log_feasibility(space, state.trials)
        with torch.no_grad():
            order = score(torch.from_numpy(known)).mean(0).argsort(descending=True)
        near = known[order[:_NEAR].numpy()]
        closely, roughly = differentiated(lambda X: score(X).mean(0)) + chance, differentiated(lambda X: rough(X).mean(0)) + chance
        X = best_points(closely, space, self.seed, near, roughly, _CLIMBS)
        with torch.no_grad():
            expected = float(score(torch.from_numpy(X[:1])).mean())
        return or_measured_better(space.decode(X[0]), -expected if goal.is_minimized else expected, goal, state.trials)

    def doubts(self, state: State) -> list[Doubt]:
        state = state.at_fidelity()
        goal = single(state.goal, "composite")
        found = OutcomeModel.of(Space.of(state.experiment), needed_outcomes(goal)).doubts(state.trials)
        # One that was left out with others may look well once these are out, too: nobody is told that it is faulty.
        return [doubt for doubt in found if doubt.odds is None or doubt.odds >= _NAMED]

    def surprises(self, state: State, new: Trial) -> list[Doubt]:
        state = state.at_fidelity()
        numbers = [j for j, outcome in enumerate(state.experiment.outcomes) if not outcome.labels]
        return OutcomeModel.of(Space.of(state.experiment), numbers).surprises(state.trials, new)

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        state = state.at_fidelity()
        goal, space = single(state.goal, "composite"), Space.of(state.experiment)
        needed, X = needed_outcomes(goal), space.encode(settings)
        known = measured(state.trials)
        paths = OutcomeModel.of(space, needed).averaged_paths(known, _MANY_PATHS, self.seed, _best_first(goal, known))
        mean, deviation, noise = np.concatenate([_moments(paths, x, goal, space, needed, self.seed) for x in _chunks(X)], axis=1)
        tables = (dict(zip(_names(goal, needed), part.T, strict=True)) for part in (mean, deviation, noise))
        return Prediction({}, *tables)

    def left_out(self, state: State) -> Prediction:
        state = state.at_fidelity()
        goal = single(state.goal, "composite")
        found = OutcomeModel.of(Space.of(state.experiment), needed_outcomes(goal)).left_out(measured(state.trials))
        return Prediction(means={name: mean for name, (mean, _) in found.items()}, deviations={name: sd for name, (_, sd) in found.items()})

    def sample(self, state: State, settings: Sequence[Settings], count: int, seed: int = 0) -> dict[str, Floats]:
        state = state.at_fidelity()
        goal, space = single(state.goal, "composite"), Space.of(state.experiment)
        needed, X = needed_outcomes(goal), space.encode(settings)
        known = measured(state.trials)
        paths = OutcomeModel.of(space, needed).averaged_paths(known, count, seed, _best_first(goal, known))
        drawn = np.concatenate([_with_score(_along(paths, x), x, goal, space, needed) for x in _chunks(X)], axis=1)
        order = np.random.default_rng([seed, 7]).permutation(len(drawn))[:count]
        return {name: drawn[order, :, j] for j, name in enumerate(_names(goal, needed))}


def _chunks(X: Floats) -> list[Floats]:
    return [X[i : i + _CHUNK] for i in range(0, max(len(X), 1), _CHUNK)]


def _names(goal: Goal, needed: Sequence[int]) -> list[str]:
    return [*(goal.experiment.outcomes[j].name for j in needed), "score"]


def _with_score(outcomes: Floats, X: Floats, goal: Objective, space: Space, needed: Sequence[int]) -> Floats:
    """The needed ones of outcomes [S, b, m] at points X [b, D], and behind them the score."""
    score = goal.score(outcomes, natural(space, X))
    return np.concatenate([outcomes[..., needed], score[..., None]], axis=-1)


def _along(paths: Sequence[Paths], X: Floats) -> Floats:
    """Outcomes [S, b, m] at points X [b, D], along all sample paths."""
    return np.concatenate([some(torch.from_numpy(X)).numpy() for some in paths])


def _moments(paths: Sequence[Paths], X: Floats, goal: Objective, space: Space, needed: Sequence[int], seed: int) -> Floats:
    """Means of readings, standard deviations without their noise, and those of the noise, of outcomes and score at X [b, D], [3, b, m].

    Noise does not only spread a difference from a target, it makes it larger on average.
    """
    drawn = _with_score(_along(paths, X), X, goal, space, needed)
    read = _with_score(np.concatenate([some.read(X, seed + k) for k, some in enumerate(paths)]), X, goal, space, needed)
    deviation = drawn.std(0, ddof=1)
    return np.stack([read.mean(0), deviation, np.sqrt(np.maximum(read.var(0, ddof=1) - deviation**2, 0.0))])


def needed_outcomes(goal: Goal) -> list[int]:
    """The numbers of the outcomes that the score depends on.

    Raises:
        InvalidInput: One of them is a label, or it depends on none.
    """
    if not goal.outcomes:
        raise InvalidInput(f"composite models outcomes, and {goal.text} depends on none; try the strategy bayesian", field="strategy")
    outcomes = goal.experiment.outcomes
    needed = [j for j, o in enumerate(outcomes) if o.name in goal.outcomes]
    if labels := [outcomes[j].name for j in needed if outcomes[j].labels]:
        text = f"composite models numbers, but {goal.text} needs the label {labels[0]}; try the strategy bayesian"
        raise InvalidInput(text, field="strategy")
    return needed


def _paths(model: OutcomeModel, goal: Objective, history: Sequence[Trial], seed: int) -> Paths:
    """Sample paths of the outcomes."""
    known = measured(history)
    return model.paths(known, _PATHS, seed, _best_first(goal, known))


def _best_first(goal: Objective, known: Known) -> Integers:
    """The numbers of measurements by their scores, [n]."""
    outcomes = outcomes_array(goal.experiment, [m.outcomes for _, m in known])
    scores = goal.score(outcomes, settings_array(goal.experiment, [settings for settings, _ in known]))
    return np.argsort(scores if goal.is_minimized else -scores, kind="stable")


def _score(paths: Paths, goal: Objective, space: Space) -> Score:
    """Scores [S, b], the larger the better, along sample paths of the outcomes."""
    sign = -1.0 if goal.is_minimized else 1.0
    return lambda X: sign * goal.score(paths(X), natural(space, X))


def _improvement(score: Score, done: Floats) -> tuple[Graded, Floats]:
    """Logarithm of the expected improvement on the points done [n, D], and the best of these."""
    with torch.no_grad():
        reached = score(torch.from_numpy(done))
    best = reached.max(dim=1, keepdim=True).values
    unit = float(reached.std(correction=0)) or float(reached.abs().max()) or 1.0
    order = reached.mean(0).argsort(descending=True)
    return differentiated(lambda X: _log_mean((score(X) - best) / (unit * _SOFT))), done[order[:_NEAR].numpy()]


def _log_mean(gains: Tensor) -> Tensor:
    """The logarithm of the mean of log(1 + exp(gain)) over the gains [S, b], [b]: exact where exp(gain) is below what numbers can show."""
    soft = torch.where(gains > _LINEAR, torch.nn.functional.softplus(gains).clamp_min(1e-300).log(), gains)
    mean: Tensor = soft.logsumexp(0) - math.log(len(gains))
    return mean
