"""Synthetic functions with known minima, as drivers: problems that cost nothing and that other benchmarks have too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from frugaltwin.errors import Stopped
from frugaltwin.experiment import (
    Categorical,
    Constraint,
    Continuous,
    Discrete,
    Experiment,
    Measurement,
    MixtureSum,
    Outcome,
    Outcomes,
    Parameter,
    Settings,
    Trial,
)

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


def levy(x: Floats) -> float:
    """Levy's function of x [n], a long valley with many minima, of which the lowest, 0, is where all x are 1.

    Source: Laguna & Martí, J. Global Optim. 33 (2005) 235, doi:10.1007/s10898-004-1936-z.

    >>> round(levy(np.ones(20)), 12)
    0.0
    """
    w = 1 + (x - 1) / 4
    middle = (w[:-1] - 1) ** 2 * (1 + 10 * np.sin(math.pi * w[:-1] + 1) ** 2)
    return float(np.sin(math.pi * w[0]) ** 2 + middle.sum() + (w[-1] - 1) ** 2 * (1 + np.sin(2 * math.pi * w[-1]) ** 2))


def mixture6(x: Floats) -> float:
    """Score of a mixture of six parts x [6] that add up to 1: a rippled bowl, 0 at `BLEND`, of which two parts are absent.

    >>> mixture6(BLEND)
    0.0
    """
    off = x - BLEND
    return float(STEEPNESS @ off**2 + 0.05 * (1 - np.cos(6 * math.pi * off)).sum())


def mixed(x: Floats) -> float:
    """Score of a reaction: temperature and time [2] from 0 to 1, number of the solvent, load of catalyst in mol %.

    The best temperature and time depend on the solvent, and too much of a catalyst is as bad as too little. The minimum is 0.

    >>> mixed(np.array([0.7, 0.4, 2, 4]))
    0.0
    """
    solvent = int(x[2])
    bowl = 4 * ((x[:2] - BEST_CONDITIONS[solvent]) ** 2).sum()
    return float(PENALTIES[solvent] + bowl + 0.15 * math.log2(x[3] / 4) ** 2)


BLEND = np.array([0.45, 0.30, 0.15, 0.10, 0.0, 0.0])
STEEPNESS = np.array([2.0, 4.0, 6.0, 8.0, 3.0, 3.0])
SOLVENTS = ("water", "ethanol", "acetonitrile", "toluene", "hexane")
LOADS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
PENALTIES = np.array([0.9, 0.3, 0.0, 0.15, 0.6])
BEST_CONDITIONS = np.array([[0.2, 0.8], [0.5, 0.6], [0.7, 0.4], [0.9, 0.2], [0.3, 0.3]])
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
    """A function, where it is minimized, and its minimum there. Of a categorical parameter it takes the number of the name."""

    value: Callable[[Floats], float]
    parameters: tuple[Parameter, ...]
    minimum: float
    at: tuple[float, ...]
    """A place of the minimum."""
    constraints: tuple[Constraint, ...] = ()
    can_move: bool = False
    """Whether the minimum stays the lowest value when it is moved by up to a quarter of the box."""


def box(low: float, high: float, n: int) -> tuple[Parameter, ...]:
    """Parameters ``x1`` … in the same range, n of them."""
    return tuple(Continuous(f"x{k}", low, high) for k in range(1, n + 1))


PARTS = tuple(f"part{k}" for k in range(1, 7))


FUNCTIONS = {
    "branin": Function(branin, (Continuous("x1", -5, 10), Continuous("x2", 0, 15)), 0.39788735772973816, (math.pi, 2.275)),
    "hartmann6": Function(
        hartmann6, box(0, 1, 6), -3.322368011415515, (0.20168951, 0.15001069, 0.47687398, 0.27533243, 0.31165162, 0.65730053)
    ),
    "ackley4": Function(ackley, box(-32.768, 32.768, 4), 0.0, (0.0,) * 4, can_move=True),
    "ackley20": Function(ackley, box(-32.768, 32.768, 20), 0.0, (0.0,) * 20, can_move=True),
    "levy20": Function(levy, box(-10, 10, 20), 0.0, (1.0,) * 20, can_move=True),
    "mixture6": Function(mixture6, tuple(Continuous(p, 0, 1) for p in PARTS), 0.0, tuple(BLEND), (MixtureSum(PARTS, 1.0),)),
    "mixed": Function(
        mixed,
        (
            Continuous("temperature", 0, 1),
            Continuous("time", 0, 1),
            Categorical("solvent", SOLVENTS),
            Discrete("load", LOADS, "mol %", scale="log"),
        ),
        0.0,
        (0.7, 0.4, 2, 4),
    ),
}
"""By the name that a plan calls them."""


class FunctionDriver:
    """A function as a lab: its outcome ``f``, read with normal noise. It takes no time and costs nothing.

    Args:
        is_moved: Its minimum is moved by the seed, by up to a quarter of the box along every axis.
    """

    def __init__(self, name: str, noise: float = 0.0, seed: int = 0, is_moved: bool = False) -> None:
        self._function, self._noise, self._seed = FUNCTIONS[name], noise, seed
        parameters = self._function.parameters
        self.experiment = Experiment(name, parameters, (Outcome("f"),), self._function.constraints)
        self.shift = np.zeros(len(parameters))
        if is_moved:
            ranges = np.array([p.high - p.low if isinstance(p, Continuous) else 0.0 for p in parameters])
            self.shift = ranges * np.random.default_rng((seed, 1987)).uniform(-0.25, 0.25, len(parameters))
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
        values = [
            float(p.values.index(str(settings[p.name]))) if isinstance(p, Categorical) else float(settings[p.name])
            for p in self.experiment.parameters
        ]
        return {"f": self._function.value(np.array(values) - self.shift)}

    def resume(self, trials: Sequence[Trial]) -> None:
        """Go on with the noise of the next experiment."""
        self._done = sum(trial.source == "driver" for trial in trials)

    def stop(self) -> None:
        self._is_stopped = True

    def __exit__(self, *failure: object) -> None:
        self._is_stopped = True
