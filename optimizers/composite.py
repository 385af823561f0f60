"""Model what is measured, and push it through the goal, which is known."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Settings, Trial, measured
from frugaltwin.goals import Goal, Objective
from frugaltwin.goals.suitable import single
from frugaltwin.state import Doubt, Prediction, State, Suggestion
from optimizers.models.feasibility import log_feasibility
from optimizers.models.outcome_model import OutcomeModel, Paths, natural
from optimizers.models.reasons import IMPROVEMENT
from optimizers.models.repeats import or_measured_better
from optimizers.space.search import Acquisition, best_points, differentiated
from optimizers.space.space import Floats, Space

with warnings.catch_warnings():
    # linear_operator 0.6 decorates with torch.jit.script, which torch has deprecated.
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=DeprecationWarning)
    from botorch.utils.safe_math import log_softplus, logmeanexp

_PATHS = 64
_MANY_PATHS = 1024  # a standard deviation to 2 %
_CHUNK = 64  # settings at once, for many paths
_SOFT = 0.01  # of the spread of the scores: what smooths the kink of an improvement
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
        score = _score(model, goal, state.trials, turn) if known else None
        chosen: list[Settings] = []
        whys: list[str] = []
        while len(chosen) < count:
            busy = [*state.unavailable, *chosen]
            done = space.encode([*(s for s, _ in known), *busy])
            if score is None or len(done) < (self.starts or model.n_starts):
                value, near = model.information(done, turn), done[:0]
                whys.append("most information about the " + ("coefficients of the law" if model.has_law else "outcomes"))
            else:
                value, near = _improvement(score, done)
                whys.append(IMPROVEMENT)
            chance = log_feasibility(space, state.trials)
            X = best_points(differentiated(value) + chance, space, turn + len(chosen), near)
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
        score = _score(model, goal, state.trials, self.seed)
        chance = log_feasibility(space, state.trials)
        with torch.no_grad():
            order = score(torch.from_numpy(known)).mean(0).argsort(descending=True)
        X = best_points(differentiated(lambda X: score(X).mean(0)) + chance, space, self.seed, known[order[:_NEAR].numpy()])
        with torch.no_grad():
            expected = float(score(torch.from_numpy(X[:1])).mean())
        return or_measured_better(space.decode(X[0]), -expected if goal.is_minimized else expected, goal, state.trials)

    def doubts(self, state: State) -> list[Doubt]:
        state = state.at_fidelity()
        goal = single(state.goal, "composite")
        return OutcomeModel.of(Space.of(state.experiment), needed_outcomes(goal)).doubts(state.trials)

    def surprises(self, state: State, new: Trial) -> list[Doubt]:
        state = state.at_fidelity()
        numbers = [j for j, outcome in enumerate(state.experiment.outcomes) if not outcome.labels]
        return OutcomeModel.of(Space.of(state.experiment), numbers).surprises(state.trials, new)

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        state = state.at_fidelity()
        names, values = _sampled(state, settings, _MANY_PATHS, self.seed)
        mean, deviation = torch.cat([torch.stack([v.mean(0), v.std(0)]) for v in values], dim=1).numpy()
        return Prediction(means=dict(zip(names, mean.T, strict=True)), deviations=dict(zip(names, deviation.T, strict=True)))

    def sample(self, state: State, settings: Sequence[Settings], count: int, seed: int = 0) -> dict[str, Floats]:
        state = state.at_fidelity()
        names, values = _sampled(state, settings, count, seed)
        drawn = torch.cat(list(values), dim=1).numpy()
        return {name: drawn[..., j] for j, name in enumerate(names)}


def _sampled(state: State, settings: Sequence[Settings], count: int, seed: int) -> tuple[list[str], Iterator[Tensor]]:
    """Names of the modeled outcomes and of the score, m of them, and their sample paths [count, n, m], some settings at a time."""
    goal, space = single(state.goal, "composite"), Space.of(state.experiment)
    needed = needed_outcomes(goal)
    paths = OutcomeModel.of(space, needed).paths(measured(state.trials), count, seed)

    def values() -> Iterator[Tensor]:
        for X in torch.split(torch.from_numpy(space.encode(settings)), _CHUNK):
            with torch.no_grad():
                outcomes = paths(X)
                score = goal.score(outcomes, natural(space, X))
            yield torch.cat([outcomes[..., needed], score[..., None]], dim=-1)

    return [*(state.experiment.outcomes[j].name for j in needed), "score"], values()


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


def _score(model: OutcomeModel, goal: Objective, history: Sequence[Trial], seed: int) -> Paths:
    """Scores [S, b], the larger the better, along sample paths of the outcomes."""
    outcomes = model.paths(measured(history), _PATHS, seed)
    sign = -1.0 if goal.is_minimized else 1.0
    return lambda X: sign * goal.score(outcomes(X), natural(model.space, X))


def _improvement(score: Paths, done: Floats) -> tuple[Acquisition, Floats]:
    """Logarithm of the expected improvement on the points done [n, D], and the best of these."""
    with torch.no_grad():
        reached = score(torch.from_numpy(done))
    best = reached.max(dim=1, keepdim=True).values
    unit = float(reached.std(correction=0)) or float(reached.abs().max()) or 1.0
    order = reached.mean(0).argsort(descending=True)
    return lambda X: logmeanexp(log_softplus((score(X) - best) / unit, tau=_SOFT), dim=0), done[order[:_NEAR].numpy()]
