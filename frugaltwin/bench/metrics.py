"""Metrics of campaigns from their stored trials: how far from the best they were, after how many runs, how much lab time and money."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.goals.hypervolume import missing

Floats = NDArray[np.float64]

AXES = tuple(kind.name for kind in Amounts.kinds())
"""The amounts against which a trajectory is drawn: runs, seconds, money, volume."""


@dataclass(frozen=True)
class Trajectory:
    """The course of one campaign: after each trial, how far its best is from the best there is.

    The gap is the true regret of a score, the share of a map that is wrong, or the share of the hypervolume that a front lacks. It never
    grows, except that of a map. Before the first success it is the worst gap that any campaign of the problem had.
    """

    seed: int
    gaps: Floats
    """The gap [n] after each trial."""
    spent: Mapping[str, Floats]
    """The amounts [n] by kind that were spent by then."""
    n_failed: int
    recommended: Mapping[int, float]
    """The gap of what the strategy recommended, by the number of trials."""
    f1: float | None
    """The mean F1 over the labels of a map at its end."""

    def until(self, level: float, axis: str = "runs") -> float:
        """The amount after which the gap is at most `level`; infinite for a campaign that ended before: it is censored.

        >>> halves = Trajectory(0, np.array([4.0, 2.0, 1.0]), {"runs": np.array([1.0, 2.0, 3.0])}, 0, {}, None)
        >>> halves.until(2.0), halves.until(0.5)
        (2.0, inf)
        """
        within = np.flatnonzero(self.gaps <= level * (1 + 1e-12) + 1e-15)
        return float(self.spent[axis][within[0]]) if len(within) else math.inf

    def after(self, amount: float, axis: str = "runs") -> float:
        """The gap when that much was spent; infinite before the first trial."""
        n = int(np.searchsorted(self.spent[axis], amount, side="right"))
        return float(self.gaps[n - 1]) if n else math.inf

    def area(self, limit: float, axis: str = "runs") -> float:
        """The mean gap over an axis, from the first trial to `limit`; a campaign that ended before keeps its last gap.

        >>> Trajectory(0, np.array([4.0, 2.0, 1.0]), {"runs": np.array([1.0, 2.0, 3.0])}, 0, {}, None).area(4)
        2.0
        """
        at = self.spent[axis]
        if axis == "runs":
            n = int(limit)
            gaps = np.concatenate([self.gaps[:n], np.full(max(n - len(self.gaps), 0), self.gaps[-1])])
            return float(gaps.mean())
        edges = np.minimum(np.append(at, max(limit, at[0])), max(limit, at[0]))
        widths = np.diff(edges)
        return float(widths @ self.gaps / widths.sum()) if widths.sum() > 0 else float(self.gaps[0])


def trajectories(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[Trajectory]]:
    """The trajectories of a problem's campaigns by strategy, from their results; they belong together, because some gaps follow from all.

    Where nobody knows the best score or the best front, the best that any of these campaigns found takes its place, seed by seed.
    """
    everybody = [result for of in results.values() for result in of]
    by_seed: dict[int, list[Mapping[str, Any]]] = {}
    for result in everybody:
        by_seed.setdefault(result["words"]["seed"], []).append(result)
    raw = {id(result): _gaps(result, by_seed[result["words"]["seed"]]) for result in everybody}
    finite = [gap for gaps in raw.values() for gap in gaps if math.isfinite(gap)]
    worst = max(finite, default=1.0)
    return {name: [_trajectory(result, raw[id(result)], worst, by_seed) for result in of] for name, of in results.items()}


def _trajectory(result: Mapping[str, Any], gaps: Floats, worst: float, by_seed: Mapping[int, Sequence[Mapping[str, Any]]]) -> Trajectory:
    trials, seed = result["trials"], result["words"]["seed"]
    costs = {kind.name: np.cumsum([t["cost"][kind.name] for t in trials]) for kind in Amounts.cost_kinds()}
    best = _best_loss(result, by_seed[seed])
    recommended = {
        n: t["recommended"][0] - best if t["recommended"] else worst for n, t in enumerate(trials, start=1) if "recommended" in t
    }
    return Trajectory(
        seed,
        np.where(np.isfinite(gaps), gaps, worst),
        {"runs": np.arange(1.0, len(trials) + 1), **costs},
        sum("error" in t for t in trials),
        recommended,
        trials[-1].get("f1") if trials else None,
    )


def _gaps(result: Mapping[str, Any], rivals: Sequence[Mapping[str, Any]]) -> Floats:
    """The gaps [n] of a campaign, infinite before its first success."""
    trials = result["trials"]
    if any("right" in t for t in trials):
        shares = [1 - t["right"] if "right" in t else math.inf for t in trials]
        return np.array([shares[k] if math.isfinite(shares[k]) else math.inf for k in range(len(shares))])
    losses = [t.get("losses") for t in trials]
    if next((len(one) for one in losses if one), 1) > 1:
        return missing(losses, [t["losses"] for r in rivals for t in r["trials"] if t.get("losses")])
    best = _best_loss(result, rivals)
    found: Floats = np.minimum.accumulate(np.array([one[0] - best if one else math.inf for one in losses]))
    return found


def _best_loss(result: Mapping[str, Any], rivals: Sequence[Mapping[str, Any]]) -> float:
    if result["optimum"] is not None:
        return float(result["optimum"])
    return min((t["losses"][0] for r in rivals for t in r["trials"] if t.get("losses")), default=0.0)


def acceleration(strategy: Sequence[Trajectory], reference: Sequence[Trajectory], levels: Sequence[float]) -> list[float]:
    """Factor by which a strategy needs fewer runs than the reference, in the median, to come within each level; NaN where neither does.

    Source: Adesiji et al., Digital Discovery (2025): the acceleration factor of self-driving labs.
    """
    return [_ratio(_median([t.until(level) for t in reference]), _median([t.until(level) for t in strategy])) for level in levels]


def enhancement(strategy: Sequence[Trajectory], reference: Sequence[Trajectory], runs: Sequence[int]) -> list[float]:
    """Factor by which the median gap of a strategy is smaller than the reference's after so many runs; NaN where both are 0."""
    return [_ratio(_median([t.after(n) for t in reference]), _median([t.after(n) for t in strategy])) for n in runs]


def _ratio(above: float, below: float) -> float:
    if math.isinf(above) and math.isinf(below):
        return math.nan
    if below == 0:
        return math.nan if above == 0 else math.inf
    return above / below


def _median(values: Sequence[float]) -> float:
    """The median; infinite where half of the values are, so that censored ones count."""
    return quantile(values, 0.5)


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile of values that may be infinite, between neighbors as numpy's.

    >>> quantile([1.0, 3.0, math.inf], 0.5), quantile([1.0, math.inf], 0.5)
    (3.0, inf)
    """
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low, high = ordered[math.floor(at)], ordered[math.ceil(at)]
    return low if low == high else math.inf if math.isinf(high) else low + (at - math.floor(at)) * (high - low)
