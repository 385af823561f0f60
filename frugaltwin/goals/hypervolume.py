"""The hypervolume of a Pareto front, and the share of the best known one that a campaign's front lacks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from frugaltwin.goals.goal import undominated

Floats = NDArray[np.float64]


def missing(losses: Sequence[Sequence[float] | None], all_losses: Sequence[Sequence[float]]) -> Floats:
    """The share [n] of the hypervolume of all that was found that is missing, up to the worst corner, each objective on its own scale.

    Args:
        losses: Of the trials of a campaign in order, small ones good; None for a trial that does not count.
        all_losses: Of all trials that anybody is compared with, these included.

    Returns:
        The share after each trial; infinite before the first that counts.

    >>> missing([[0.0, 2.0], [2.0, 0.0], [1.0, 1.0]], [[0.0, 2.0], [2.0, 0.0], [1.0, 1.0]]).tolist()
    [1.0, 1.0, 0.0]
    """
    union = np.array(all_losses)
    low, corner = union.min(axis=0), union.max(axis=0)
    scale = np.where(corner > low, corner - low, 1.0)
    whole = hypervolume((union - low) / scale)
    gaps, found = [], np.empty((0, union.shape[1]))
    for one in losses:
        if one:
            found = np.vstack([found, (np.array(one) - low) / scale])
        gaps.append(1 - hypervolume(found) / whole if len(found) and whole > 0 else math.inf)
    return np.array(gaps)


def hypervolume(losses: Floats) -> float:
    """The volume of the unit box that losses [n, m] dominate, by slices along the last objective.

    Source: While et al., IEEE Trans. Evol. Comput. 10 (2006) 29, doi:10.1109/TEVC.2005.851275 (hypervolume by slicing objectives).

    >>> hypervolume(np.array([[0.0, 0.5], [0.5, 0.0]]))
    0.75
    """
    kept = losses[(losses < 1).all(axis=1)]
    if not len(kept):
        return 0.0
    if kept.shape[1] == 1:
        return float(1 - kept.min())
    kept = kept[undominated(kept)]
    kept = kept[np.argsort(kept[:, -1], kind="stable")]
    edges = np.append(kept[:, -1], 1.0)
    return sum(float(edges[k + 1] - edges[k]) * hypervolume(kept[: k + 1, :-1]) for k in range(len(kept)) if edges[k + 1] > edges[k])
