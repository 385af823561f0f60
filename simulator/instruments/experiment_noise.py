"""The random numbers of a twin's experiments: those of the k-th come from (seed, k), whatever was drawn for the others."""

from collections.abc import Iterable

import numpy as np

from frugaltwin.experiment import Settings, Trial


class ExperimentNoise:
    """A generator of random numbers that begins anew, from (seed, k), with every experiment of a twin.

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
        self._seed = seed
        self.performed = performed
        """k: number of the experiment that was begun last."""
        self.random = np.random.Generator(np.random.PCG64((seed, performed)))
        """The generator, the same for all parts of a twin."""

    def begin(self) -> np.random.Generator:
        """Turn to the random numbers of the next experiment; return the generator."""
        self.performed += 1
        self.random.bit_generator.state = np.random.PCG64((self._seed, self.performed)).state
        return self.random


def performed_settings(trials: Iterable[Trial]) -> list[Settings]:
    """The settings that the driver performed to the end, failed ones included, in order.

    What was stopped counts as not begun, and what a person told was performed elsewhere.
    """
    return [trial.settings for trial in trials if trial.source == "driver"]
