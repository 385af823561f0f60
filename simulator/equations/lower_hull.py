"""Tie lines of many binary mixtures at once: the lower convex hull of free energies that are known at nodes.

Source: Gibbs, Trans. Conn. Acad. 3 (1876) 108 (the hull of the free energies is the stable state).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Integers = NDArray[np.int64]

_PIVOTS = 60  # more than any hull of a few hundred nodes took
_STRIDE = 4  # of the nodes that are tried first, where that divides them evenly
_TINY = 1e-6  # of the spread of the energies: what rounding may do


def tie_line_nodes(energies: Floats, nodes: Floats, at: Floats) -> tuple[Integers, Integers]:
    """The nodes at both ends of the tie line of two components through mixtures; they are neighbors where there is no tie line.

    The node farthest below the line through both ends takes the place of the end on its side, until there is none below it.

    Args:
        energies: Free energy [r, m] at every node, in any unit, of r mixtures, each with energies of its own.
        nodes: Mole fractions [m] of the second component, from 0 on, in order, to 1.
        at: Mole fractions [r] of the mixtures.

    >>> x = np.array([0.0, 0.2, 0.5, 0.8, 1.0])
    >>> [end.tolist() for end in tie_line_nodes(np.array([[0.0, -1.0, -0.9, -1.0, 0.0]]), x, np.array([0.4]))]
    [[1], [3]]
    """
    left = np.zeros(len(energies), dtype=np.int64)
    right = np.full(len(energies), len(nodes) - 1)
    tiny = _TINY * (energies.max(1) - energies.min(1))
    x = nodes.astype(energies.dtype)
    for stride in (_STRIDE, 1) if (len(nodes) - 1) % _STRIDE == 0 else (1,):
        _descend(np.ascontiguousarray(energies[:, ::stride]), x, stride, at, tiny, left, right)
    return left, right


def _descend(G: Floats, x: Floats, stride: int, at: Floats, tiny: Floats, left: Integers, right: Integers) -> None:
    """Move the ends of tie lines, `left` and `right` [r], to nodes that lie lower, of which `G` [r, m] has each `stride`-th."""
    rows, kept, some = np.arange(len(G)), np.arange(len(G)), x[::stride]
    buffer = np.empty_like(G)
    for _ in range(_PIVOTS):
        a, b = left[rows], right[rows]
        low = G[kept, a // stride]
        slope = (G[kept, b // stride] - low) / (x[b] - x[a])
        below = np.multiply(slope[:, None], some, out=buffer[: len(rows)])
        np.subtract(G, below, out=below)
        node = below.argmin(1)
        goes_on = below[kept, node] < low - slope * x[a] - tiny[rows]
        rows, node = rows[goes_on], node[goes_on] * stride
        if not len(rows):
            return
        is_left = x[node] <= at[rows]
        left[rows[is_left]] = node[is_left]
        right[rows[~is_left]] = node[~is_left]
        G, kept = (G if len(rows) == len(G) else G[goes_on]), kept[: len(rows)]
