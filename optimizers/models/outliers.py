"""Faulty measurements: a bubble, a spill, a slipped decimal. Each is judged by all of its outcomes at once.

The errors of a measurement come from a mixture: nearly always of their usual size, seldom ten times that. A fault of any size counts
little in what is learned, because such errors have the tails of Student's t. The size of the usual errors is not fitted to a
measurement that is suspected: it would take faults for a bad pump.

Sources: Tukey, A survey of sampling from contaminated distributions (1960) (the mixture); Lange, Little & Taylor, J. Am. Stat. Assoc.
84 (1989) 881, doi:10.1080/01621459.1989.10478852 (weights by Student's t).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from optimizers.space.space import Floats

Booleans = NDArray[np.bool_]

_RARE = 0.05  # of measurements: those that go wrong
_WIDER = 10.0  # how many times larger the errors of these are
_DEGREES = 4.0  # of freedom of Student's t
_MOST_USUAL = 2.0  # times the squared distance that the model expects
_AS_FAR = 0.5  # of the largest distance: measurements so far away are left out at the same time
_SHARE = 3  # of so many measurements, one may be faulty


@dataclass(frozen=True)
class Judgment:
    """n measurements of m outcomes, each judged by all others."""

    expected: Floats
    """Expectation of every reading from all others, [m, n]."""
    deviation: Floats
    """Standard deviation of a reading around it, [m, n]."""
    distance: Floats
    """Squared distance of each measurement from its expectation, in units of what is usual, [n]: m on average."""

    @classmethod
    def of(cls, z: Floats, expected: Floats, unknown: Floats, errors: Floats) -> Self:
        """Judge readings z [m, n] by their expectation from others.

        Args:
            unknown: The variance of the expectation, [m, n].
            errors: The covariance [n, m, m] of the errors of the outcomes of each measurement.
        """
        V = errors + unknown.T[:, :, None] * np.eye(len(z))
        away = (z - expected).T
        distance = (away * np.linalg.solve(V, away[..., None])[..., 0]).sum(1)
        return cls(expected, np.sqrt(np.diagonal(V, axis1=1, axis2=2)).T, distance)

    def log_odds(self, among: Booleans) -> Floats:
        """The logarithm of the odds that each measurement is faulty, [n].

        Args:
            among: Which measurements, [n], say what distance is usual.
        """
        m = len(self.expected)
        squared = self.distance / self._usual(among)
        return np.asarray(np.log(_RARE / (1 - _RARE)) - m * np.log(_WIDER) + squared * (1 - _WIDER**-2) / 2)

    def inflation(self, among: Booleans) -> Floats:
        """The factor [n] of the variance of the errors of each measurement: 1 for what is surely no fault."""
        m, usual = len(self.expected), self._usual(among)
        tails = (_DEGREES + self.distance / usual) / (_DEGREES + m)
        chance = 1 / (1 + np.exp(-np.clip(self.log_odds(among), -50, 50)))
        return np.asarray(1 / (1 - chance + chance / np.maximum(tails, 1.0)))

    def _usual(self, among: Booleans) -> float:
        """The factor by which squared distances are larger than the model says, at least 1; faults must not pass for what is usual."""
        return min(max(1.0, float(np.median(self.distance[among])) / float(chi2.median(len(self.expected)))), _MOST_USUAL)


def sound(judged: Callable[[Booleans], Judgment], n: int) -> tuple[Booleans, Judgment]:
    """Which of n measurements are no faults, as booleans [n], and the judgment of all by these.

    Args:
        judged: The judgment of all measurements by some of them, given as booleans [n].
    """
    kept = np.ones(n, dtype=bool)
    while True:
        judgment = judged(kept)
        odds = np.where(kept, judgment.log_odds(kept), -np.inf)
        worst = float(odds.max())
        if worst <= 0 or n - kept.sum() >= n // _SHARE:
            return kept, judgment
        far = (odds > 0) & (judgment.distance >= _AS_FAR * judgment.distance[odds.argmax()])
        room = n // _SHARE - int(n - kept.sum())
        kept[np.argsort(-np.where(far, judgment.distance, -np.inf))[: min(room, int(far.sum()))]] = False
