"""Paired comparison of strategies: intervals of the median difference, p-values held to the number of strategies, a verdict in words.

Both strategies of a pair met the same lab, noise and target, so their difference is one number a seed. *Better* or *worse* is said where
the signed-rank test of these, corrected after Holm for the number of strategies, is below 0.05 and the bootstrap interval leaves zero out.
The test is exact under exchange of the two, as in a comparison of a strategy with itself; the interval says how large the difference is.

Sources: Wilcoxon, Biometrics Bull. 1 (1945) 80, doi:10.2307/3001968; Holm, Scand. J. Stat. 6 (1979) 65; Efron & Tibshirani, An Introduction
to the Bootstrap (1993), ch. 13.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from frugaltwin.bench.metrics import Trajectory

Floats = NDArray[np.float64]

LEVEL = 0.05
DRAWS = 1000
"""Bootstrap samples of an interval."""
HANDICAP = 0.1
"""The slow-down that a comparison is to find: so many more runs for the same gap."""
POWER = 0.9
"""The share of comparisons that are to find it."""
TRIES = 100
"""Comparisons that are drawn to count that share."""
SIZES = (5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400)
"""The numbers of seeds that are tried."""


@dataclass(frozen=True)
class Comparison:
    """A strategy against the baseline on one problem. Differences are strategy less baseline, so that negative ones are good."""

    strategy: str
    n: int
    """Pairs of campaigns."""
    median: float
    low: float
    high: float
    """The 95 % interval of the median difference."""
    p: float
    """Corrected for the number of strategies."""

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``not distinguishable``."""
        if not self.p < LEVEL or self.low <= 0 <= self.high:
            return "not distinguishable"
        return "better" if self.median < 0 else "worse"

    def sentence(self, baseline: str) -> str:
        """The verdict as a sentence.

        >>> Comparison("a", 20, -2.0, -3.0, -1.0, 0.001).sentence("b")
        'a is better than b: area -2 (-3 to -1) in the median of 20 pairs, p = 0.001'
        """
        words = {"better": "is better than", "worse": "is worse than"}.get(self.verdict, "is not distinguishable from")
        size = f"area {self.median:.3g} ({self.low:.3g} to {self.high:.3g}) in the median of {self.n} pairs"
        return f"{self.strategy} {words} {baseline}: {size}, p {'< 0.001' if self.p < 0.001 else f'= {self.p:.2g}'}"


def comparisons(differences: Mapping[str, Sequence[float]]) -> list[Comparison]:
    """The comparisons of strategies with a baseline, corrected for their number.

    Args:
        differences: Differences of the pairs by strategy.
    """
    of = {name: np.array(values, dtype=float) for name, values in differences.items()}
    corrected = holm({name: signed_rank(values) for name, values in of.items()})
    return [Comparison(name, len(d), float(np.median(d)), *interval(d), corrected[name]) for name, d in of.items()]


def interval(differences: Floats) -> tuple[float, float]:
    """The 95 % bootstrap interval of the median [n] of paired differences; the same numbers always give the same one."""
    draws = np.random.default_rng(1979).integers(0, len(differences), (DRAWS, len(differences)))
    medians = np.median(differences[draws], axis=1)
    low, high = np.quantile(medians, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def signed_rank(differences: Floats) -> float:
    """The p-value of the signed-rank test of differences [n], two-sided; 1 where all are zero. Zeros are split between both signs."""
    if not differences.any():
        return 1.0
    from scipy.stats import wilcoxon

    sizes = np.abs(differences)
    is_exact = len(differences) <= 50 and 0 not in sizes and len(np.unique(sizes)) == len(sizes)  # with ties, scipy tries all signs: slow
    method: Literal["exact", "approx"] = "exact" if is_exact else "approx"
    return float(wilcoxon(differences, zero_method="zsplit", correction=not is_exact, method=method).pvalue)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """The p-values corrected by Holm's steps.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.5})
    {'a': 0.03, 'b': 0.08, 'c': 0.5}
    """
    ordered, worst, found = sorted(p, key=lambda name: p[name]), 0.0, {}
    for k, name in enumerate(ordered):
        worst = max(worst, min(1.0, p[name] * (len(p) - k)))
        found[name] = worst
    return {name: found[name] for name in p}


def paired(strategy: Sequence[Trajectory], baseline: Sequence[Trajectory], value: Callable[[Trajectory], float]) -> list[float]:
    """The differences of a value, seed by seed; a seed that only one of them has is no pair yet."""
    of = {t.seed: value(t) for t in baseline}
    return [value(t) - of[t.seed] for t in strategy if t.seed in of]


def slowed(trajectory: Trajectory, by: float = HANDICAP) -> Trajectory:
    """The course of a strategy that needs so many more runs for the same gap, at the same cost a run.

    >>> slowed(Trajectory(0, np.array([4.0, 2.0, 1.0]), {"runs": np.array([1.0, 2.0, 3.0])}, 0, {}, None), 0.5).gaps.tolist()
    [4.0, 4.0, 2.0]
    """
    n = len(trajectory.gaps)
    done = np.floor(np.arange(1, n + 1) / (1 + by) + 1e-9).astype(int)  # runs that the unhampered one needs for the same
    return replace(trajectory, gaps=trajectory.gaps[np.clip(done - 1, 0, n - 1)])


def seeds_needed(
    baseline: Sequence[Trajectory], replicate: Sequence[Trajectory], value: Callable[[Trajectory], float], n_others: int = 1
) -> int | None:
    """The number of seeds with which a strategy slowed by a tenth is found in 90 % of comparisons; None where 400 are not enough.

    Drawn from pairs of a strategy with itself, on development seeds, of which one partner is slowed.

    Args:
        replicate: The same strategy with other random numbers at the same seeds.
        n_others: Strategies of the plan besides the baseline, for which p-values are corrected.
    """
    either = ((replicate, baseline), (baseline, replicate))  # both ways round, so that which of the two was lucky does not count
    drawn = np.array([d for slow, other in either for d in paired([slowed(t) for t in slow], other, value)])

    def is_enough(n: int) -> bool:
        tries = drawn[np.random.default_rng((1912, n)).integers(0, len(drawn), (TRIES, n))]
        found = [d for d in tries if np.median(d) > 0 and signed_rank(d) * n_others < LEVEL and interval(d)[0] > 0]
        return len(found) >= POWER * TRIES

    k = bisect_left(SIZES, True, key=is_enough)
    return SIZES[k] if k < len(SIZES) else None
