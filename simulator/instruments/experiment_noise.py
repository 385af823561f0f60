"""The random numbers of a twin's experiments: those of the k-th come from (seed, k), whatever was drawn for the others."""

from collections.abc import Iterable

import numpy as np

from frugaltwin.experiment import Settings, Trial


class ExperimentNoise:
    """A generator of random numbers that begins anew, from (seed, k), with every experiment of a twin.

    Its bits are a function of a key, here the seed's, and of a counter, here k's. Source: Salmon, Moraes, Dror & Shaw, Parallel random
    numbers: as easy as 1, 2, 3, Proc. SC11 (2011), doi:10.1145/2063384.2063405.

    >>> noise = ExperimentNoise(seed=3)
    >>> first, second = (noise.begin().random() for _ in range(2))
    >>> again = ExperimentNoise(seed=3, performed=1)
    >>> again.begin().random() == second
    True
    """

    def __init__(self, seed: int, performed: int = 0) -> None:
        """The numbers from before the first experiment; `begin` turns to those of the next one.

        Args:
            performed: Number of experiments that have been performed already.
        """
        self.performed = performed
        """k: number of the experiment that was begun last."""
        self.random = np.random.Generator(np.random.Philox(seed))
        """The generator, the same for all parts of a twin."""
        self._start = self.random.bit_generator.state
        self._turn()

    def begin(self) -> np.random.Generator:
        """Turn to the random numbers of the next experiment; return the generator."""
        self.performed += 1
        self._turn()
        return self.random

    def _turn(self) -> None:
        """Set the counter to (0, 0, 0, k): 2^192 steps to the next experiment's, whose numbers so have no need of a new seed."""
        self._start["state"]["counter"][3] = self.performed
        self.random.bit_generator.state = self._start


def performed_settings(trials: Iterable[Trial]) -> list[Settings]:
    """The settings that the driver performed to the end, failed ones included, in order.

    What was stopped counts as not begun, and what a person told was performed elsewhere.
    """
    return [trial.settings for trial in trials if trial.source == "driver"]
