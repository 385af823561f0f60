"""Log-normal priors of hyperparameters, and the hyperparameters that maximize their posterior."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from optimizers.space.descent import lowest_point
from optimizers.space.space import Floats

Likelihood: TypeAlias = Callable[[Floats], tuple[float, Floats]]
"""The logarithm of a likelihood of hyperparameters θ [p], and its gradient [p]."""

_BOX = 4.0  # standard deviations of the prior on either side


@dataclass(frozen=True)
class LogNormal:
    """Independent priors of p positive numbers, whose logarithms are the hyperparameters θ [p]."""

    values: Floats
    """Likeliest value of every number, not its logarithm, and standard deviation of its logarithm, [p, 2]."""

    @cached_property
    def likeliest(self) -> Floats:
        """The hyperparameters that are likeliest."""
        return np.log(self.values[:, 0])

    @cached_property
    def box(self) -> list[tuple[float, float]]:
        """Limits of the hyperparameters."""
        reach = _BOX * self.values[:, 1]
        return list(zip((self.likeliest - reach).tolist(), (self.likeliest + reach).tolist(), strict=True))

    def posterior(self, likelihood: Likelihood) -> Likelihood:
        """The likelihood times the prior, up to a constant."""

        def value_and_gradient(theta: Floats) -> tuple[float, Floats]:
            value, gradient = likelihood(theta)
            away = (theta - self.likeliest) / self.values[:, 1]
            return value - float(away @ away) / 2, gradient - away / self.values[:, 1]

        return value_and_gradient

    def maximized(self, likelihood: Likelihood, starts: Sequence[Floats] = ()) -> Floats:
        """The hyperparameters that maximize their posterior: the best of climbs from these starts, or from the likeliest ones."""
        posterior = self.posterior(likelihood)

        def loss(theta: Floats) -> tuple[float, Floats]:
            value, gradient = posterior(theta)
            return -value, -gradient

        climbs = [lowest_point(loss, theta, self.box) for theta in starts or [self.likeliest]]
        return climbs[0] if len(climbs) == 1 else max(climbs, key=lambda theta: posterior(theta)[0])
