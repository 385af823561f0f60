"""The same knowledge from stock parts: botorch's Gaussian process per channel, in absorbance, with gpytorch's linear mean, and qLogNEI.

`optimizers.composite` is compared with it, to show the value of a model of its own.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch

from frugaltwin.experiment import measured
from frugaltwin.goals.suitable import single
from frugaltwin.state import State, Suggestion
from frugaltwin.tables import outcomes_array

TOTAL = 4.0
STARTS = 5
DARKEST = 1e-3


@dataclass(frozen=True)
class StockComposite:
    """Strategy for the three dyes and water of the liquid twin only."""

    seed: int = 0

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        experiment, goal, history = state.experiment, single(state.goal, "stock-composite"), state.trials
        from botorch.acquisition.logei import qLogNoisyExpectedImprovement
        from botorch.acquisition.objective import GenericMCObjective
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.models.transforms import Standardize
        from botorch.optim.optimize import optimize_acqf
        from botorch.sampling.normal import SobolQMCNormalSampler
        from botorch.utils.sampling import manual_seed
        from gpytorch.means import LinearMean
        from gpytorch.mlls import ExactMarginalLogLikelihood
        from scipy.stats import qmc

        names = [p.name for p in experiment.parameters[:3]]
        if len(history) < STARTS:
            x = qmc.Sobol(3, rng=self.seed).random(8)[len(history)]
        else:
            known = measured(history)
            X = torch.tensor([[float(s[n]) for n in names] for s, _ in known], dtype=torch.double)
            Y = torch.from_numpy(outcomes_array(experiment, [m.outcomes for _, m in known]))
            A = -Y.clamp_min(DARKEST).log10()
            m = A.shape[-1]
            water = torch.zeros(len(experiment.parameters), dtype=torch.double)

            def closeness(Z: torch.Tensor, X: torch.Tensor | None = None) -> torch.Tensor:
                negative: torch.Tensor = -goal.score(10.0**-Z, water)
                return negative

            with manual_seed(self.seed + len(history)), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                mean = LinearMean(3, batch_shape=torch.Size([m])).double()
                model = SingleTaskGP(X, A, outcome_transform=Standardize(m), mean_module=mean)
                fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
                sampler = SobolQMCNormalSampler(torch.Size([64]))
                acquisition = qLogNoisyExpectedImprovement(
                    model, X, sampler=sampler, objective=GenericMCObjective(closeness), prune_baseline=True
                )
                box = torch.tensor([[0.0] * 3, [1.0] * 3], dtype=torch.double)
                options: dict[str, bool | float | int | str] = {"batch_limit": 4, "maxiter": 100}
                found, _ = optimize_acqf(acquisition, box, q=1, num_restarts=4, raw_samples=128, options=options)
            x = np.clip(found[0].numpy(), 0.0, 1.0)
        doses = dict(zip(names, x.tolist(), strict=True))
        return [Suggestion({**doses, "water": TOTAL - sum(doses.values())})]
