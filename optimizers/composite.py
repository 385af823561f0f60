"""Model what is measured, and push it through the goal, which is known: the strategy for matching colors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Experiment, Settings, Trial, measured
from frugaltwin.goals import Goal
from optimizers.outcome_model import Inputs, paths
from optimizers.search import best_points
from optimizers.space import Floats, Space


@dataclass(frozen=True)
class Composite:
    seed: int = 0
    starts: int | None = None
    acq: str = "nei"
    n_paths: int = 64

    def suggest(
        self, experiment: Experiment, goal: Goal, history: Sequence[Trial], count: int = 1, pending: Sequence[Settings] = ()
    ) -> list[Settings]:
        space = Space.of(experiment)
        seed = self.seed * 1009 + len(history) + len(pending)
        known = measured(history)
        chosen: list[Settings] = []
        tried = [t.settings for t in history]
        columns = needed(experiment, goal)
        laws = {experiment.outcomes[j].law for j in columns}
        while len(chosen) < count:
            busy = [*pending, *chosen]
            n = len(known) + len(busy)
            if not known or n < self._n_starts(space, laws):
                X = self._start(space, laws, [s for s, _ in known] + busy, seed + len(chosen))
            else:
                X = self._improve(space, goal, known, columns, busy, seed)
            chosen += space.fresh(X, 1, tried, busy)
        return chosen

    def recommend(self, experiment: Experiment, goal: Goal, history: Sequence[Trial]) -> Settings:
        space = Space.of(experiment)
        known = measured(history)
        columns = needed(experiment, goal)
        score = self._scores(space, goal, known, columns, self.seed)
        X = best_points(lambda X: -score(X).mean(0), space, self.seed, space.encode([s for s, _ in known]))
        return space.decode(X[0])

    def _n_starts(self, space, laws):
        if self.starts is not None:
            return self.starts
        return max(Inputs(space, law).amounts(torch.zeros(1, space.size, dtype=torch.double)).shape[1] if law else space.size + 2 for law in laws)

    def _start(self, space: Space, laws, done, seed) -> Floats:
        """the most informative"""
        pool = space.sample(256, [seed, 3])
        eval_ = torch.from_numpy(space.sample(128, [seed, 4]))
        P = torch.from_numpy(pool)
        total = torch.zeros(len(pool), dtype=torch.double)
        for law in laws:
            inputs = Inputs(space, law)
            def k(A, B):
                ua, ub = inputs.amounts(A), inputs.amounts(B)
                d = ((A[:, None] - B[None]).square().sum(-1)) / 1.0
                amp = 1.0 if law is None else 0.2
                da, db = ua.square().mean(-1).sqrt(), ub.square().mean(-1).sqrt()
                return 1.0 * ua @ ub.T + amp**2 * torch.exp(-d / 2 ) * da[:, None] * db
            def noise(A):
                return (0.05**2 * inputs.amounts(A).square().sum(-1) + 0.02**2)
            Kee = k(eval_, eval_).diagonal()
            Kep, Kpp = k(eval_, P), k(P, P).diagonal()
            if done:
                B = torch.from_numpy(space.encode(done))
                L = torch.linalg.cholesky(k(B, B) + torch.diag(noise(B)))
                a = torch.linalg.solve_triangular(L, k(B, P), upper=False)
                b = torch.linalg.solve_triangular(L, k(B, eval_), upper=False)
                Kep = Kep - b.T @ a
                Kpp = Kpp - a.square().sum(0)
            total += (Kep.square() / (Kpp + noise(P))).mean(0)
        return pool[np.argsort(-total.numpy(), kind="stable")]

    def _scores(self, space, goal, known, columns, seed):
        sign = 1.0 if goal.is_minimized else -1.0
        inputs = Inputs(space, None)
        drawn = paths(space, [s for s, _ in known], [m.outcomes for _, m in known], columns, self.n_paths, seed)
        return lambda X: sign * goal.score(drawn(X), inputs.natural(X))

    def _improve(self, space, goal, known, columns, busy, seed) -> Floats:
        score = self._scores(space, goal, known, columns, seed)
        done = space.encode([s for s, _ in known] + list(busy))
        with torch.no_grad():
            at = score(torch.from_numpy(done))
            best = at.min(1, keepdim=True).values
            order = at.mean(1 - 1).argsort()[:3].numpy()
            tau = 1e-2 * float(at.std()) + 1e-9
        if self.acq == "nei":
            def acquisition(X: Tensor) -> Tensor:
                return torch.logsumexp(log_softplus((best - score(X)) / tau), dim=0)
        else:
            def acquisition(X):
                return -score(X).mean(0)
        return best_points(acquisition, space, seed, done[order])


def needed(experiment: Experiment, goal: Goal) -> list[int]:
    """The outcomes that the score depends on."""
    d, m = len(experiment.parameters), len(experiment.outcomes)
    Y = np.ones((m, m)) * 0.5
    Y[np.diag_indices(m)] = np.nan
    return np.flatnonzero(np.isnan(goal.score(Y, np.ones((m, d))))).tolist()


def log_softplus(x: Tensor) -> Tensor:
    """log log(1 + e^x), without underflow."""
    small = x < -30
    return torch.where(small, x, torch.nn.functional.softplus(torch.where(small, 0.0, x)).log())
