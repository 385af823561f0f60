"""Synthetic functions with known minima, as drivers: problems that cost nothing and that other benchmarks have too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from frugaltwin.errors import Stopped
from frugaltwin.experiment import Continuous, Experiment, Measurement, Outcome, Outcomes, Settings, Trial

Floats = NDArray[np.float64]


def branin(x: Floats) -> float:
    """Branin's function of x [2], with three minima of 0.397887.

    Source: Branin, IBM J. Res. Dev. 16 (1972) 504; constants as in Picheny et al., Struct. Multidiscip. Optim. 48 (2013) 607.

    >>> round(branin(np.array([math.pi, 2.275])), 6)
    0.397887
    """
    a, b = x[1] - 5.1 / (4 * math.pi**2) * x[0] ** 2 + 5 / math.pi * x[0] - 6, 10 * (1 - 1 / (8 * math.pi))
    return float(a**2 + b * math.cos(x[0]) + 10)


def hartmann6(x: Floats) -> float:
    """Hartmann's function of x [6] with four wells, whose minimum is -3.322368.

    Source: Hartmann 1973, as in Dixon & Szegő, Towards Global Optimisation 2 (1978) 1.

    >>> round(hartmann6(np.array([0.20168952, 0.15001069, 0.47687398, 0.27533243, 0.31165162, 0.65730054])), 6)
    -3.322368
    """
    return -float(HEIGHTS @ np.exp(-(WIDTHS * (x - CENTERS) ** 2).sum(axis=1)))


def ackley(x: Floats) -> float:
    """Ackley's function of x [n], with a regular grid of minima around the lowest one, 0 at the origin.

    Source: Ackley, A Connectionist Machine for Genetic Hillclimbing (1987), ch. 1.

    >>> round(ackley(np.zeros(4)), 12)
    0.0
    """
    return float(-20 * math.exp(-0.2 * math.sqrt((x**2).mean())) - math.exp(np.cos(2 * math.pi * x).mean()) + 20 + math.e)


HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
WIDTHS = np.array([[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]])
CENTERS = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


@dataclass(frozen=True)
class Function:
    """A function, the box in which it is minimized, and its minimum there."""

    value: Callable[[Floats], float]
    box: tuple[tuple[float, float], ...]
    minimum: float
    at: tuple[float, ...]
    """A place of the minimum."""


FUNCTIONS = {
    "branin": Function(branin, ((-5, 10), (0, 15)), 0.39788735772973816, (math.pi, 2.275)),
    "hartmann6": Function(
        hartmann6, ((0, 1),) * 6, -3.322368011415515, (0.20168951, 0.15001069, 0.47687398, 0.27533243, 0.31165162, 0.65730053)
    ),
    "ackley4": Function(ackley, ((-32.768, 32.768),) * 4, 0.0, (0.0,) * 4),
}
"""By the name that a plan calls them."""


class FunctionDriver:
    """A function as a lab: its outcome ``f`` at ``x1``, ``x2`` …, read with normal noise. It takes no time and costs nothing."""

    def __init__(self, name: str, noise: float = 0.0, seed: int = 0) -> None:
        self._function, self._noise, self._seed = FUNCTIONS[name], noise, seed
        parameters = tuple(Continuous(f"x{k}", low, high) for k, (low, high) in enumerate(self._function.box, start=1))
        self.experiment = Experiment(name, parameters, (Outcome("f"),))
        self._done, self._is_stopped = 0, True

    def __enter__(self) -> Self:
        self._is_stopped = False
        return self

    def perform(self, settings: Settings) -> Measurement:
        if self._is_stopped:
            raise Stopped("the function was stopped, or it is not connected")
        noise = self._noise * np.random.default_rng((self._seed, self._done)).standard_normal()
        self._done += 1
        return Measurement({"f": float(self.truth(settings)["f"]) + float(noise)})

    def truth(self, settings: Settings) -> Outcomes:
        """The value of the function."""
        return {"f": self._function.value(np.array([float(settings[p.name]) for p in self.experiment.parameters]))}

    def resume(self, trials: Sequence[Trial]) -> None:
        """Go on with the noise of the next experiment."""
        self._done = sum(trial.source == "driver" for trial in trials)

    def stop(self) -> None:
        self._is_stopped = True

    def __exit__(self, *failure: object) -> None:
        self._is_stopped = True
