"""Equilibria of three components at one temperature: tie lines, three-phase triangles, plait points, and how much of each phase.

Equations first, as functions of arrays. `phase_map` then finds the whole diagram once: the lower convex hull of the free energy over a
grid tells where phases are, and Newton's method makes every tie line and every triangle exact. After that any composition is looked up
and solved on its own tie line. Composition stands for mole fraction, or for volume fraction where molecules have sizes; free energies
are those of mixing, in units of RT per mole (of lattice sites).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root
from scipy.spatial import ConvexHull, QhullError

from simulator.equations.arrays import Array, as_array, namespace, x_log_x

Floats = NDArray[np.float64]
Triple: TypeAlias = tuple[float, float, float]

TOLERANCE = 1e-10
"""Largest difference of the chemical potentials of a component between the phases of an equilibrium, RT per site."""

_SIDES = ((0, 1), (0, 2), (1, 2))
_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(3) / 2]])  # the triangle that is drawn on paper, side 1
_STEP = 0.012  # of its side: how far apart the tie lines of a family are found
_SHORTEST = 2e-3  # a tie line so short is as good as its plait point for finding that one
_EXPONENT = 300.0  # exp of it still leaves room for products


@dataclass(frozen=True)
class Mixing:
    """A free energy of mixing: g = Σ x_i ln x_i / n_i + ab·x_a x_b + ac·x_a x_c + bc·x_b x_c + abc·x_a x_b x_c.

    With sizes 1 it is the regular solution, with chain lengths and volume fractions Flory and Huggins' theory.
    """

    ab: float
    ac: float
    bc: float
    abc: float = 0.0
    sizes: Triple = (1.0, 1.0, 1.0)

    @cached_property
    def pairs(self) -> Floats:
        """The interactions as a matrix [3, 3]."""
        return np.array([[0, self.ab, self.ac], [self.ab, 0, self.bc], [self.ac, self.bc, 0]], dtype=float)

    def as_arrays(self, like: Array) -> tuple[Array, Array]:
        """The interactions [3, 3] and the sizes [3] in the library of the array `like`; gradients of constants that are tensors go on."""
        xp = namespace(like)
        if xp is np:
            return self.pairs, np.array(self.sizes)
        zero, ab, ac, bc, *sizes = (as_array(v, like) for v in (0.0, self.ab, self.ac, self.bc, *self.sizes))
        rows = ((zero, ab, ac), (ab, zero, bc), (ac, bc, zero))
        return xp.stack([xp.stack(row) for row in rows]), xp.stack(sizes)

    def permuted(self, order: tuple[int, int, int]) -> "Mixing":
        """The same mixture with its components in another order."""
        p, n = self.pairs, self.sizes
        i, j, k = order
        return Mixing(float(p[i, j]), float(p[i, k]), float(p[j, k]), self.abc, (n[i], n[j], n[k]))


def free_energy(mixing: Mixing, x: Array) -> Array:
    """g [...] at compositions x [..., 3]; 0 at the corners.

    Source: Hildebrand, J. Am. Chem. Soc. 51 (1929) 66, doi:10.1021/ja01376a009 (sizes 1); Flory, J. Chem. Phys. 10 (1942) 51,
    doi:10.1063/1.1723621 (chains).

    >>> round(float(free_energy(Mixing(2.0, 0.0, 0.0), np.array([0.5, 0.5, 0.0]))), 6)  # 0.5 - ln 2
    -0.193147
    """
    ideal = (x_log_x(x) / mixing.as_arrays(x)[1]).sum(axis=-1)
    pairs = mixing.ab * x[..., 0] * x[..., 1] + mixing.ac * x[..., 0] * x[..., 2] + mixing.bc * x[..., 1] * x[..., 2]
    return ideal + pairs + mixing.abc * (x[..., 0] * x[..., 1] * x[..., 2])


def excess_potentials(mixing: Mixing, x: Array) -> Array:
    """Chemical potentials per site without their logarithm, h_i = m_i - ln x_i / n_i, [..., 3]; finite on the edges as well."""
    (pairs, sizes), t = mixing.as_arrays(x), mixing.abc
    n, q = 1 / sizes, x @ pairs
    others = x[..., [1, 0, 0]] * x[..., [2, 2, 1]]
    common = -(x * n).sum(axis=-1) - (x * q).sum(axis=-1) / 2 - 2 * t * (x[..., 0] * x[..., 1] * x[..., 2])
    return n + q + t * others + common[..., None]


def potentials(mixing: Mixing, x: Array) -> Array:
    """Chemical potentials per site over RT, [..., 3]: where the tangent plane at x [..., 3] meets the corners.

    That of a chain of n segments is n times as large. Source: as `free_energy`.

    >>> potentials(Mixing(2.0, 0.0, 0.0), np.array([0.5, 0.5, 0.0])).round(4).tolist()
    [-0.1931, -0.1931, -inf]
    """
    with np.errstate(divide="ignore"):
        return namespace(x).log(x) / mixing.as_arrays(x)[1] + excess_potentials(mixing, x)


def curvature(mixing: Mixing, x: Array) -> Array:
    """Second derivatives [..., 3, 3] of g by the three compositions as if they were independent, x inside the triangle."""
    xp, (na, nb, nc), t = namespace(x), (1 / n for n in mixing.sizes), mixing.abc
    a, b, c = x[..., 0], x[..., 1], x[..., 2]
    ab, ac, bc = mixing.ab + t * c, mixing.ac + t * b, mixing.bc + t * a
    rows = ((na / a, ab, ac), (ab, nb / b, bc), (ac, bc, nc / c))
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def stability(mixing: Mixing, x: Array) -> Array:
    """x_a x_b x_c · det of the curvature in the plane of compositions, [...]: above 0 where a mixture is stable to small fluctuations.

    It is 0 on the spinodal. Source: Meijering, Philips Res. Rep. 5 (1950) 333.
    """
    (na, nb, nc), t = (1 / n for n in mixing.sizes), mixing.abc
    a, b, c = x[..., 0], x[..., 1], x[..., 2]
    ab, ac, bc = mixing.ab + t * c, mixing.ac + t * b, mixing.bc + t * a
    ideal = nb * nc * a + na * nc * b + na * nb * c
    mixed = 2 * (nc * a * b * ab + nb * a * c * ac + na * b * c * bc)
    return ideal - mixed + a * b * c * (2 * (ab * ac + ab * bc + ac * bc) - ab**2 - ac**2 - bc**2)


@dataclass(frozen=True)
class TieLine:
    """Two phases in equilibrium."""

    first: Triple
    second: Triple
    log_ratios: Triple
    """ln of second over first, component by component: finite even where both are 0."""

    @property
    def length(self) -> float:
        """Length on the triangle of side 1."""
        a, b, c = (q - p for p, q in zip(self.first, self.second, strict=True))
        return math.sqrt((a * a + b * b + c * c) / 2)

    @property
    def middle(self) -> Triple:
        """Half of each."""
        a, b, c = ((p + q) / 2 for p, q in zip(self.first, self.second, strict=True))
        return a, b, c

    @property
    def reversed(self) -> "TieLine":
        """The phases the other way round."""
        a, b, c = self.log_ratios
        return TieLine(self.second, self.first, (-a, -b, -c))


@dataclass(frozen=True)
class Family:
    """Tie lines that follow each other; `plait` says at which ends they shrink to a plait point (a line of length 0)."""

    first: Floats
    """[k, 3]"""
    second: Floats
    """[k, 3]"""
    log_ratios: Floats
    """[k, 3]"""
    directions: Floats
    """[k, 2] of length 1, on the drawn triangle; also of the plait points."""
    plait: tuple[bool, bool] = (False, False)

    @property
    def plait_points(self) -> list[Floats]:
        """Plait points, [3] each: tie lines shrink to a point there."""
        return [self.first[end] for end, is_plait in zip((0, -1), self.plait, strict=True) if is_plait]


@dataclass(frozen=True)
class Equilibria:
    """The phases of n mixtures; phases that a mixture does not have are filled with NaN and amount 0."""

    count: NDArray[np.int64]
    """[n]"""
    amounts: Floats
    """Fraction of the mixture in each phase, [n, 3]."""
    compositions: Floats
    """[n, 3 phases, 3 components]"""


class PhaseMap:
    """Everything that is known of one mixture at one temperature. Made by `phase_map`, which keeps the latest."""

    def __init__(self, mixing: Mixing, triangles: list[Floats], families: list[Family]) -> None:
        self.mixing, self.triangles, self.families = mixing, triangles, families
        """`triangles`: compositions [3 phases, 3] of each three-phase region."""
        self._inverses = [np.linalg.inv(t.T) for t in triangles]
        self._gaps = _Gaps.of(families)

    @property
    def plait_points(self) -> list[Floats]:
        """Every plait (critical) point, [3] each."""
        return [p for family in self.families for p in family.plait_points]

    def equilibria(self, X: Floats) -> Equilibria:
        """The phases of mixtures X [n, 3]; corners and edges are allowed.

        Mass is conserved to rounding; the chemical potentials agree to `TOLERANCE` (as far as a composition is above 1e-130,
        which stands for none).

        Raises:
            ArithmeticError: A mixture is not stable, and its tie line cannot be found.
        """
        X = X / X.sum(axis=1, keepdims=True)  # a sum may be off by what settings may be
        n = len(X)
        count, amounts = np.ones(n, dtype=np.int64), np.zeros((n, 3))
        compositions = np.full((n, 3, 3), np.nan)
        amounts[:, 0], compositions[:, 0] = 1.0, X
        is_open = (X > 0).sum(axis=1) > 1  # a pure component cannot demix
        for triangle, inverse in zip(self.triangles, self._inverses, strict=True):
            f = X @ inverse.T
            inside = np.flatnonzero(is_open & (f > 0).all(axis=1))
            if inside.size:
                count[inside], compositions[inside] = 3, triangle
                amounts[inside] = f[inside] / f[inside].sum(axis=1, keepdims=True)
                is_open[inside] = False
        doubtful = np.zeros(n, dtype=bool)
        for rows, guess in self._gaps.around(X, np.flatnonzero(is_open)):
            left = is_open[rows]
            at = rows[left]
            if not at.size:
                continue
            f, first, second = _solved(self.mixing, X[at], guess if left.all() else guess.of(left))
            doubtful[at[np.isnan(f)]] = True
            hit = (f > 0) & (f < 1)
            at, f = at[hit], f[hit]
            count[at], is_open[at] = 2, False
            amounts[at, 0], amounts[at, 1] = 1 - f, f
            compositions[at, 0], compositions[at, 1] = first[hit], second[hit]
        for k in (doubtful & is_open).nonzero()[0]:
            if (split := self._split(X[k])) is not None:
                share, line = split
                count[k] = 2
                amounts[k, 0], amounts[k, 1] = 1 - share, share
                compositions[k, 0], compositions[k, 1] = line.first, line.second
        return Equilibria(count, amounts, compositions)

    def _split(self, x: Floats) -> tuple[float, TieLine] | None:
        """Phases of a mixture [3] near tie lines at which Newton's method failed; None when it is stable."""
        plane = np.where(x > 0, np.log(np.where(x > 0, x, 1.0)) / np.array(self.mixing.sizes) + excess_potentials(self.mixing, x), 0.0)
        depth = np.where((_GRID[:, x == 0] == 0).all(axis=1), self._energy - _GRID @ plane, np.inf)
        k = int(np.argmin(depth))
        if depth[k] > -1e-9:
            return None
        found = _followed(self.mixing, _middle_tie_line(self.mixing, x, _GRID[k]), x)
        if found is None or not 0 < found[0] < 1:
            raise ArithmeticError(f"no tie line found through {x.tolist()}, which is not stable")
        return found

    @cached_property
    def _energy(self) -> Floats:
        energy: Floats = free_energy(self.mixing, _GRID)
        return energy


@dataclass(frozen=True)
class _Guess:
    """The tie lines on which k mixtures seem to lie."""

    ratios: Floats
    """[k, 3], logarithms."""
    share: Floats
    """[k], of the second phase."""
    middle: Floats
    """[k, 3]"""
    half: Floats
    """[k, 3]: from the middle to the second phase."""

    def of(self, rows: NDArray[Any]) -> "_Guess":
        """A selection of them."""
        return _Guess(self.ratios[rows], self.share[rows], self.middle[rows], self.half[rows])

    def is_like(self, f: Floats, first: Floats, second: Floats) -> NDArray[np.bool_]:
        """Whether tie lines are near to the expected ones, [k]."""
        length, guessed = ((second - first) ** 2).sum(axis=1), 4 * (self.half**2).sum(axis=1)
        like: NDArray[np.bool_] = (np.abs(f - self.share) < 0.5) & (length > 0.1 * guessed)
        return like


@dataclass(frozen=True)
class _Gaps:
    """Every gap between two neighboring tie lines, g of them, of all families: what a mixture is looked up in.

    Arrays [2, g, …]: of the line before the gap and of the line after it.
    """

    sides: Floats
    """[3, 2 g]: times (paper x, paper y, 1) it is the distance of a point from a line."""
    middles: Floats
    """[2, g, 3], compositions."""
    halves: Floats
    """[2, g, 3], half of the way from the first phase to the second."""
    ratios: Floats
    """[2, g, 3]"""
    shrinks: NDArray[np.bool_]
    """[2, g]: whether the line on the other side of the gap is a plait point."""

    @classmethod
    def of(cls, families: list[Family]) -> "_Gaps":
        def pairs(arrays: list[Floats], size: int) -> Floats:
            ends = [np.concatenate([a[at] for a in arrays]) if arrays else np.zeros((0, size)) for at in (slice(-1), slice(1, None))]
            return np.stack(ends)

        middles = pairs([(f.first + f.second) / 2 for f in families], 3)
        ahead = pairs([f.directions for f in families], 2)
        points = middles @ _CORNERS
        constant = ahead[..., 1] * points[..., 0] - ahead[..., 0] * points[..., 1]
        sides = np.stack([-ahead[..., 1], ahead[..., 0], constant]).reshape(3, -1)
        last = [(k == len(f.first) - 2 and f.plait[1], k == 0 and f.plait[0]) for f in families for k in range(len(f.first) - 1)]
        return cls(
            sides,
            middles,
            pairs([(f.second - f.first) / 2 for f in families], 3),
            pairs([f.log_ratios for f in families], 3),
            np.array(last, dtype=bool).reshape(-1, 2).T,
        )

    def around(self, X: Floats, rows: NDArray[np.int64]) -> Iterable[tuple[NDArray[np.int64], _Guess]]:
        """Rows of X that may lie on tie lines, and on which."""
        g = self.middles.shape[1]
        if not g or not rows.size:
            return
        distance = X[rows] @ _CORNERS @ self.sides[:2] + self.sides[2]
        before, after = distance[:, :g], distance[:, g:]
        near = 1e-12
        row, gap = ((before * after <= 0) | (np.minimum(np.abs(before), np.abs(after)) < near)).nonzero()
        if not row.size:
            return
        b, a = np.abs(before[row, gap]), np.abs(after[row, gap])
        s = b / np.maximum(a + b, 1e-300)
        # Towards a plait point the square of the length falls evenly, not the length.
        weight = np.where(self.shrinks[0, gap], np.sqrt(1 - s), 1 - s)[:, None]
        next_weight = np.where(self.shrinks[1, gap], np.sqrt(s), s)[:, None]
        half = self.halves[0, gap] * weight + self.halves[1, gap] * next_weight
        s = s[:, None]
        middle = self.middles[0, gap] * (1 - s) + self.middles[1, gap] * s
        off = ((X[rows[row]] - middle) * half).sum(axis=1) / (2 * np.maximum((half * half).sum(axis=1), 1e-300))
        keep = np.abs(off) < 0.6  # neighbors are near: what lies between them bends by far less than this margin
        if not keep.any():
            return
        row, off = row[keep], off[keep]
        ratios = self.ratios[0, gap] * weight + self.ratios[1, gap] * next_weight
        guess = _Guess(ratios[keep], off + 0.5, middle[keep], half[keep])
        if len(row) > 1:
            order = np.lexsort((np.abs(off), row))
            row, guess = row[order], guess.of(order)
        rank = np.arange(len(row)) - row.searchsorted(row)
        for k in range(int(rank.max()) + 1):
            at = rank == k
            yield (rows[row], guess) if at.all() else (rows[row[at]], guess.of(at))


def _solved(mixing: Mixing, Z: Floats, guess: _Guess) -> tuple[Floats, Floats, Floats]:
    """Amount of the second phase [n] and the two phases [n, 3] on the tie lines through Z [n, 3]; NaN where none was found."""
    f, first, second = np.full(len(Z), np.nan), np.full(Z.shape, np.nan), np.full(Z.shape, np.nan)
    done = _newton_many(mixing, Z, guess.ratios, f, first, second) if len(Z) > 3 else np.zeros(len(Z), dtype=bool)
    for k in (~done).nonzero()[0]:
        if (found := _tie_line(mixing, _triple(Z[k]), _triple(guess.ratios[k]), float(guess.share[k]))) is not None:
            f[k], line = found
            first[k], second[k] = line.first, line.second
    lost = ~guess.is_like(f, first, second)
    for k in lost.nonzero()[0]:  # between neighbors the logarithms of long chains may change by hundreds
        f[k] = np.nan
        if (found := _tie_line_near(mixing, Z[k], guess.middle[k] - guess.half[k], guess.middle[k] + guess.half[k])) is not None:
            share, line = found
            ends = np.array([line.first]), np.array([line.second])
            if guess.of(np.array([k])).is_like(np.array([share]), *ends)[0]:
                f[k], first[k], second[k] = share, ends[0], ends[1]
    return f, first, second


def _between(mixing: Mixing, first: Floats, second: Floats) -> Triple:
    """The logarithms of the ratios that second [3] would have over first [3] if only their excess potentials counted."""
    n = np.array(mixing.sizes)
    return _triple(-n * (excess_potentials(mixing, second) - excess_potentials(mixing, first)))


def _tie_line_near(mixing: Mixing, z: Floats, first: Floats, second: Floats) -> tuple[float, TieLine] | None:
    """The same as `_tie_line`, from two phases [3] that are roughly in equilibrium.

    Successive substitution is slow and hard to mislead; Newton's method goes on from there.
    """
    ratios, at = _between(mixing, first, second), _triple(z)
    for _ in range(30):
        f = _amount(at, ratios)
        if f is None:
            return None
        k = np.array([_exp(r) for r in ratios])
        x = z / (1 + f * (k - 1))
        ratios = _between(mixing, x, k * x)
    return _tie_line(mixing, at, ratios)


def _middle_tie_line(mixing: Mixing, first: Floats, second: Floats) -> TieLine | None:
    """The tie line through the middle of two phases that are roughly in equilibrium, each [3]."""
    z = (first + second) / 2
    found = _tie_line(mixing, _triple(z), _between(mixing, first, second))
    if found is None or not _is_like(found[1], first, second):
        found = _tie_line_near(mixing, z, first, second)
    return found[1] if found is not None else None


def _followed(mixing: Mixing, line: TieLine | None, x: Floats) -> tuple[float, TieLine] | None:
    """Follow the tie lines from one to that through x [3], in steps as small as needed."""
    if line is None:
        return None
    start, gone, step = np.array(line.middle), 0.0, 0.25
    found = None
    while gone < 1 and step > 1e-6:
        new = _tie_line(mixing, _triple(start + min(gone + step, 1.0) * (x - start)), line.log_ratios)
        if new is not None and 0 < new[0] < 1 and _is_like(new[1], np.array(line.first), np.array(line.second)):
            found, line, gone, step = new, new[1], min(gone + step, 1.0), 1.5 * step
        else:
            step /= 2
    return found if gone == 1 else None


def _newton(mixing: Mixing, z: tuple[Any, Any, Any], ratios: tuple[Any, Any, Any], f: Any, exp: Any) -> tuple[Any, Any, Any]:
    """One step of Newton's method for the tie line through z, on floats or on arrays [n] alike.

    The unknowns are the logarithms of the ratios K_i = x″_i / x′_i. With x′_i = z_i / (1 + f (K_i - 1)) mass is conserved whatever K
    is, and nothing is lost where compositions are 1e-12 or 0. The potentials are equal when ln K_i + n_i (h_i″ - h_i′) = 0.
    Source: Michelsen, Fluid Phase Equilib. 9 (1982) 21, doi:10.1016/0378-3812(82)85002-4; Rachford & Rice, J. Pet. Technol. 4 (1952)
    19, doi:10.2118/952327-G.

    Returns:
        The step of the logarithms, that of f, and the differences of the potentials per site.
    """
    na, nb, nc = mixing.sizes
    ab, ac, bc, t = mixing.ab, mixing.ac, mixing.bc, mixing.abc
    (za, zb, zc), (la, lb, lc) = z, ratios
    ka, kb, kc = exp(la), exp(lb), exp(lc)
    da, db, dc = 1 + f * (ka - 1), 1 + f * (kb - 1), 1 + f * (kc - 1)
    a, b, c = za / da, zb / db, zc / dc
    A, B, C = ka * a, kb * b, kc * c

    ga, gb, gc = ab * b + ac * c, ab * a + bc * c, ac * a + bc * b
    Ga, Gb, Gc = ab * B + ac * C, ab * A + bc * C, ac * A + bc * B
    common = -(a / na + b / nb + c / nc) - (a * ga + b * gb + c * gc) / 2 - 2 * t * a * b * c
    Common = -(A / na + B / nb + C / nc) - (A * Ga + B * Gb + C * Gc) / 2 - 2 * t * A * B * C
    ra = la / na + Ga + t * B * C + Common - (ga + t * b * c + common)
    rb = lb / nb + Gb + t * A * C + Common - (gb + t * a * c + common)
    rc = lc / nc + Gc + t * A * B + Common - (gc + t * a * b + common)

    pa, pb, pc = -1 / na - ga - 2 * t * b * c, -1 / nb - gb - 2 * t * a * c, -1 / nc - gc - 2 * t * a * b
    Pa, Pb, Pc = -1 / na - Ga - 2 * t * B * C, -1 / nb - Gb - 2 * t * A * C, -1 / nc - Gc - 2 * t * A * B
    wa, wb, wc = A / da, B / db, C / dc
    qa, qb, qc = (ka - 1) * a / da, (kb - 1) * b / db, (kc - 1) * c / dc
    Qa, Qb, Qc = ka * qa, kb * qb, kc * qc
    spread = Qa - qa + Qb - qb + Qc - qc
    mix = pa * qa + pb * qb + pc * qc - (Pa * Qa + Pb * Qb + Pc * Qc)
    uc, ub, ua = ab + t * c, ac + t * b, bc + t * a
    Uc, Ub, Ua = ab + t * C, ac + t * B, bc + t * A
    ea = (uc * qb + ub * qc - Uc * Qb - Ub * Qc + mix) / spread
    eb = (uc * qa + ua * qc - Uc * Qa - Ua * Qc + mix) / spread
    ec = (ub * qa + ua * qb - Ub * Qa - Ua * Qb + mix) / spread
    g = 1 - f
    sa, sb, sc = g * Pa + f * pa, g * Pb + f * pb, g * Pc + f * pc
    mc, mb, ma = g * Uc + f * uc, g * Ub + f * ub, g * Ua + f * ua

    j00, j01, j02 = 1 / na + wa * (sa + ea), wb * (mc + sb + ea), wc * (mb + sc + ea)
    j10, j11, j12 = wa * (mc + sa + eb), 1 / nb + wb * (sb + eb), wc * (ma + sc + eb)
    j20, j21, j22 = wa * (mb + sa + ec), wb * (ma + sb + ec), 1 / nc + wc * (sc + ec)
    c00, c01, c02 = j11 * j22 - j12 * j21, j12 * j20 - j10 * j22, j10 * j21 - j11 * j20
    determinant = j00 * c00 + j01 * c01 + j02 * c02
    xa = -(ra * c00 + rb * (j02 * j21 - j01 * j22) + rc * (j01 * j12 - j02 * j11)) / determinant
    xb = -(ra * c01 + rb * (j00 * j22 - j02 * j20) + rc * (j02 * j10 - j00 * j12)) / determinant
    xc = -(ra * c02 + rb * (j01 * j20 - j00 * j21) + rc * (j00 * j11 - j01 * j10)) / determinant
    return (xa, xb, xc), (wa * xa + wb * xb + wc * xc) / spread, (ra, rb, rc)


def _exp(value: float) -> float:
    return math.exp(min(max(value, -_EXPONENT), _EXPONENT))


def _amount(z: Triple, ratios: Triple, start: float = 0.5) -> float | None:
    """The root f of Σ z_i (K_i - 1) / (1 + f (K_i - 1)) between the poles around it; None when there is none."""
    (za, zb, zc), (la, lb, lc) = z, ratios
    a, b, c = _exp(la) - 1, _exp(lb) - 1, _exp(lc) - 1
    present = [k for k, zi in ((a, za), (b, zb), (c, zc)) if zi > 0]
    high, low = max(present), min(present)
    if high <= 0 or low >= 0:
        return None
    left, right = -1 / high, -1 / low
    f = start if left < start < right else 0.5 if left < 0.5 < right else (left + right) / 2
    # A component that is not there has no pole.
    a, b, c = a if za > 0 else 0.0, b if zb > 0 else 0.0, c if zc > 0 else 0.0
    for _ in range(200):
        da, db, dc = a / (1 + f * a), b / (1 + f * b), c / (1 + f * c)
        value = za * da + zb * db + zc * dc
        if value > 0:
            left = f
        elif value < 0:
            right = f
        else:
            return f
        new = f + value / (za * da * da + zb * db * db + zc * dc * dc)
        if not left < new < right:
            new = (left + right) / 2
        if abs(new - f) <= 4e-16 * abs(new):
            return new
        f = new
    return f


def _tie_line(mixing: Mixing, z: Triple, ratios: Triple, share: float = 0.5, steps: int = 40) -> tuple[float, TieLine] | None:
    """Amount of the second phase and the tie line through z (or whose extension meets z), near ratios; None when there is none."""
    is_turned = False
    try:
        for k in range(steps):
            f = _amount(z, ratios, share)
            if f is not None and f > 0.5:  # the small amount is the one that can be told exactly
                ratios, is_turned = (-ratios[0], -ratios[1], -ratios[2]), not is_turned
                f = _amount(z, ratios, 1 - f)
            if f is None:
                return None
            (xa, xb, xc), change, (ra, rb, rc) = _newton(mixing, z, ratios, f, _exp)
            worst = max(abs(ra), abs(rb), abs(rc))
            if worst < 1e-13:
                break
            na, nb, nc = mixing.sizes
            size = max(abs(xa) / na, abs(xb) / nb, abs(xc) / nc)
            if worst < TOLERANCE / 10 and (k >= 12 or size < 1e-13):
                break
            if not size < 1e6:
                return None
            scale = 1.0 if size <= 1 else 1.0 / size
            ratios = (ratios[0] + scale * xa, ratios[1] + scale * xb, ratios[2] + scale * xc)
            share = f + scale * change
        else:
            return None
    except (ZeroDivisionError, OverflowError):
        return None
    if max(abs(r) for r, zi in zip(ratios, z, strict=True) if zi > 0) < 1e-7:
        return None  # twice the same phase solves the equations as well
    first, second = [], []
    for zi, r in zip(z, ratios, strict=True):
        k_i = _exp(r)
        x = zi / (1 + f * (k_i - 1))
        first.append(x)
        second.append(k_i * x)
    line = TieLine((first[0], first[1], first[2]), (second[0], second[1], second[2]), ratios)
    return (1 - f, line.reversed) if is_turned else (f, line)


def _newton_many(mixing: Mixing, Z: Floats, ratios: Floats, f: Floats, first: Floats, second: Floats) -> NDArray[np.bool_]:
    """Fill in the tie lines through Z [n, 3] near ratios [n, 3]; True [n] where it went as smoothly as it does near a solution."""

    def clipped(value: Floats) -> Floats:
        return np.exp(np.clip(value, -_EXPONENT, _EXPONENT))

    with np.errstate(all="ignore"):
        log_k = ratios.copy()
        amount = _amounts(Z, clipped(log_k) - 1)
        turned = amount > 0.5
        log_k[turned] *= -1
        z = (Z[:, 0], Z[:, 1], Z[:, 2])
        amount = _amounts(Z, clipped(log_k) - 1)
        rest = np.full(len(Z), np.inf)
        for _ in range(8):
            step, _, parts = _newton(mixing, z, (log_k[:, 0], log_k[:, 1], log_k[:, 2]), amount, clipped)
            rest = np.max(np.abs(parts), axis=0)
            if not (rest > 1e-13).any():
                break
            small = rest <= 1e-13  # another step would only stir the last digit
            log_k += np.where(small, 0.0, np.stack(step)).T
            amount = _amounts(Z, clipped(log_k) - 1)
        k = clipped(log_k)
        x = Z / (1 + amount[:, None] * (k - 1))
        y = k * x
        good: NDArray[np.bool_] = (rest < TOLERANCE / 10) & (np.abs(x.sum(axis=1) - 1) < 1e-13) & (np.abs(y.sum(axis=1) - 1) < 1e-13)
        good &= np.abs(log_k).max(axis=1) > 1e-3
        good &= amount < 0.75
        good &= (x >= 0).all(axis=1) & (y >= 0).all(axis=1)
    f[good] = np.where(turned, 1 - amount, amount)[good]
    first[good] = np.where(turned[:, None], y, x)[good]
    second[good] = np.where(turned[:, None], x, y)[good]
    return good


def _amounts(Z: Floats, c: Floats) -> Floats:
    """The same as `_amount` for Z [n, 3] and K - 1 [n, 3], as the root of a square equation; NaN where there is none."""
    linear = Z[:, 0] * c[:, 0] * (c[:, 1] + c[:, 2]) + Z[:, 1] * c[:, 1] * (c[:, 0] + c[:, 2]) + Z[:, 2] * c[:, 2] * (c[:, 0] + c[:, 1])
    square, constant = c.prod(axis=1), (Z * c).sum(axis=1)
    q = -(linear + np.where(linear >= 0, 1.0, -1.0) * np.sqrt(linear**2 - 4 * square * constant)) / 2
    one, two = constant / q, q / square

    def is_between(f: Floats) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = ((1 + f[:, None] * c > 0) | (Z == 0)).all(axis=1)
        return inside

    f = np.where(is_between(one), one, np.where(is_between(two), two, np.nan))
    for _ in range(2):
        d = 1 + f[:, None] * c
        f = f + (Z * c / d).sum(axis=1) / (Z * c**2 / d**2).sum(axis=1)
    return f


def spinodal(mixing: Mixing) -> list[Floats]:
    """Lines [k, 3] where `stability` is 0, each in order; a closed one ends where it began.

    Crossings of the sides of small triangles are found to rounding, and joined triangle by triangle.
    """
    values = stability(mixing, _GRID)
    values = np.where(values == 0, 1e-300, values)
    sides = np.sort(np.concatenate([_CELLS[:, [0, 1]], _CELLS[:, [0, 2]], _CELLS[:, [1, 2]]]), axis=1)
    keys = (sides[:, 0].astype(np.int64) * len(_GRID) + sides[:, 1]).reshape(3, -1)
    crossed = (values[sides[:, 0]] * values[sides[:, 1]] < 0).reshape(3, -1)
    places, where = np.unique(keys[crossed], return_inverse=True)
    one, two = _GRID[places // len(_GRID)], _GRID[places % len(_GRID)]
    sign = values[places // len(_GRID)] > 0
    low, high = np.zeros(len(places)), np.ones(len(places))
    for _ in range(50):
        middle = (low + high) / 2
        is_before = (stability(mixing, one + middle[:, None] * (two - one)) > 0) == sign
        low, high = np.where(is_before, middle, low), np.where(is_before, high, middle)
    points = one + low[:, None] * (two - one)
    number = np.full(crossed.shape, -1)
    number[crossed] = where
    neighbors: list[list[int]] = [[] for _ in places]
    for cell in number[:, crossed.any(axis=0)].T:
        p, q = (int(k) for k in cell if k >= 0)  # a sign changes along two sides of a triangle, or along none
        neighbors[p].append(q)
        neighbors[q].append(p)
    lines, seen = [], np.zeros(len(places), dtype=bool)
    for start in sorted(range(len(places)), key=lambda k: len(neighbors[k])):  # open ends first
        if seen[start]:
            continue
        line = [start]
        seen[start] = True
        while (onward := next((k for k in neighbors[line[-1]] if not seen[k]), None)) is not None:
            line.append(onward)
            seen[onward] = True
        if len(line) > 2 and start in neighbors[line[-1]]:
            line.append(start)
        lines.append(points[line])
    return lines


@lru_cache(maxsize=64)
def phase_map(mixing: Mixing) -> PhaseMap:
    """The whole diagram of a mixture.

    Regions are found on a grid of some 5,000 compositions that is finer towards the edges; a region smaller than a cell of it (about
    1/50 of the side in the middle, 1/1000 at the edges) is missed, everything found is exact.
    """
    return _Search(mixing).phase_map()


def _grid(n: int) -> Floats:
    """Compositions [m, 3] of the whole triangle, finer towards the edges, the same for every order of the components."""
    i, j = np.mgrid[: n + 1, : n + 1]
    inside = i + j <= n
    y = np.stack([i[inside], j[inside], n - i[inside] - j[inside]], axis=1) / n
    x = y**1.6
    grid: Floats = x / x.sum(axis=1, keepdims=True)
    return grid


def _cells(n: int) -> NDArray[np.int64]:
    """The small triangles between the points of `_grid`, as three rows of it each, [n², 3]."""
    i, j = np.mgrid[: n + 1, : n + 1]
    row = np.full((n + 2, n + 2), -1)
    row[:-1, :-1][i + j <= n] = np.arange((n + 1) * (n + 2) // 2)
    up = np.stack([row[:-1, :-1], row[1:, :-1], row[:-1, 1:]], axis=-1).reshape(-1, 3)
    down = np.stack([row[1:, :-1], row[:-1, 1:], row[1:, 1:]], axis=-1).reshape(-1, 3)
    cells = np.concatenate([up, down])
    return cells[(cells >= 0).all(axis=1)]


_GRID, _CELLS = _grid(96), _cells(96)
_EDGE = (np.arange(1, 800) / 800) ** 2  # and its mirror image: compositions of an edge


class _Search:
    """Finds the regions of one mixture, in the order: triangles, then from their sides and the edges inwards, then what is left."""

    def __init__(self, mixing: Mixing) -> None:
        self.mixing = mixing
        self.energy = free_energy(mixing, _GRID)
        self.triangles: list[Floats] = []
        self.families: list[Family] = []

    def phase_map(self) -> PhaseMap:
        chords, candidates = self.hull()
        for triangle in candidates:
            self.add_triangle(triangle)
        done: set[tuple[int, int]] = set()
        while len(done) < 3 * len(self.triangles):  # tracing may find another triangle
            t, k = next((t, k) for t in range(len(self.triangles)) for k in range(3) if (t, k) not in done)
            done.add((t, k))
            if not self.is_traced(self.side(t, k)):
                self.trace_from_side(t, k)
        for side in range(3):
            for line in self.edge_gaps(side):
                if not self.is_traced(line):
                    self.trace_from_edge(line, side)
        self.trace_what_is_left(chords)
        return PhaseMap(self.mixing, self.triangles, self.families)

    def hull(self) -> tuple[Floats, list[Floats]]:
        """Chords [n, 2, 3] of the lower hull that bridge an unstable mixture, longest first, and guesses [3, 3] of triangles."""
        lifted = np.column_stack([_GRID[:, :2], self.energy])
        try:
            hull = ConvexHull(lifted)
        except QhullError:  # flat: nothing mixes and nothing demixes
            return np.zeros((0, 2, 3)), []
        facets = hull.simplices[hull.equations[:, 2] < -1e-12]
        edges = np.sort(np.concatenate([facets[:, [0, 1]], facets[:, [0, 2]], facets[:, [1, 2]]]), axis=1)
        bridges = self.bridges(edges)
        keys = edges[:, 0].astype(np.int64) * len(_GRID) + edges[:, 1]
        bridged = bridges.reshape(3, -1)
        guesses = [_GRID[facet] for facet in facets[bridged.all(axis=0)]]
        _, unique = np.unique(keys[bridges], return_index=True)
        chords = _GRID[edges[bridges][unique]]
        length = np.abs(chords[:, 0] - chords[:, 1]).sum(axis=1)
        guesses.sort(key=lambda g: -float(abs(np.linalg.det(g))))
        return chords[np.argsort(-length, kind="stable")], guesses

    def bridges(self, edges: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Whether g is concave somewhere along each of these lines between points of the grid, [n]."""
        p, q = _GRID[edges[:, 0]], _GRID[edges[:, 1]]
        result = np.zeros(len(edges), dtype=bool)
        long = np.abs(p - q).max(axis=1) > 1e-3
        p, q = p[long], q[long]
        s = np.linspace(0.02, 0.98, 17)
        v = q - p
        ideal = np.zeros((len(p), len(s)))
        for i, n in enumerate(self.mixing.sizes):
            x = p[:, i, None] + s * v[:, i, None]
            ideal += v[:, i, None] ** 2 / (n * np.maximum(x, 1e-300))
        mixed = ((v @ self.mixing.pairs) * v).sum(axis=1)[:, None]
        if self.mixing.abc:
            x = p[:, None, :] + s[:, None] * v[:, None, :]
            for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
                mixed = mixed + 2 * self.mixing.abc * v[:, None, i] * v[:, None, j] * x[:, :, k]
        result[long] = (ideal + mixed < 0).any(axis=1)
        return result

    def add_triangle(self, guess: Floats) -> Floats | None:
        """The three-phase region near a guess [3 phases, 3], if there is one and it is stable; known afterwards."""
        if any(np.abs(_sorted(guess) - _sorted(t)).max() < 1e-9 for t in self.triangles):
            return None
        middle = guess.mean(axis=0)
        if any((np.linalg.solve(t.T, middle) > 0).all() for t in self.triangles):
            return None
        triangle = _three_phases(self.mixing, guess)
        if triangle is None or any(np.abs(_sorted(triangle) - _sorted(t)).max() < 1e-6 for t in self.triangles):
            return None
        if self.lowest(triangle)[0] < -1e-9:
            return None
        self.triangles.append(triangle)
        return triangle

    def lowest(self, phases: Floats) -> tuple[float, int]:
        """Largest distance of g below the tangent plane of phases [p, 3], and its place on the grid."""
        richest = phases[np.argmax(phases, axis=0), [0, 1, 2]]
        if richest.min() < 1e-280:
            return 0.0, 0
        best = np.argmax(phases, axis=0)
        plane = potentials(self.mixing, phases)[best, [0, 1, 2]]
        above = self.energy - _GRID @ plane
        k = int(np.argmin(above))
        return float(above[k]), k

    def side(self, t: int, k: int) -> TieLine:
        """The tie line opposite to corner k of triangle t."""
        first, second = (self.triangles[t][i] for i in _SIDES[2 - k])
        return self.between(first, second)

    def between(self, first: Floats, second: Floats) -> TieLine:
        """The tie line of two phases in equilibrium [3]."""
        return TieLine(_triple(first), _triple(second), _between(self.mixing, first, second))

    def is_traced(self, line: TieLine) -> bool:
        """Whether a family begins or ends with that line."""
        for family in self.families:
            for end in (0, -1):
                ends = family.first[end], family.second[end]
                for one, two in (ends, ends[::-1]):
                    if np.abs(one - line.first).max() < 1e-9 and np.abs(two - line.second).max() < 1e-9:
                        return True
        return False

    def edge_gaps(self, side: int) -> list[TieLine]:
        """Stable tie lines of the two components of an edge."""
        i, j = _SIDES[side]
        t = np.unique(np.concatenate([[0.0, 1.0], _EDGE, 1 - _EDGE]))
        x = np.zeros((len(t), 3))
        x[:, i], x[:, j] = 1 - t, t
        g = free_energy(self.mixing, x)
        kept = _lower_hull(t, g)
        found = []
        for left, right in pairwise(kept):
            if right - left > 1 and (line := _middle_tie_line(self.mixing, x[left], x[right])) is not None:
                found.append(line)
        return found

    def trace_from_side(self, t: int, k: int) -> None:
        line = self.side(t, k)
        outward = np.array(line.middle) @ _CORNERS - self.triangles[t][k] @ _CORNERS
        self.families.append(self.traced(line, outward, None))

    def trace_from_edge(self, line: TieLine, side: int) -> None:
        third = 3 - sum(_SIDES[side])
        inward = _CORNERS[third] - np.array(line.middle) @ _CORNERS
        self.families.append(self.traced(line, inward, side))

    def trace_what_is_left(self, chords: Floats) -> None:
        """Follow chords of the hull that no family covers: regions that touch neither an edge nor a triangle."""
        failed: list[Floats] = []
        for _ in range(12):
            if not len(chords):
                return
            known = PhaseMap(self.mixing, self.triangles, self.families)
            chords = chords[known.equilibria(chords.mean(axis=1)).count == 1]
            left = [c for c in chords if not any(c is f or np.array_equal(c, f) for f in failed)]
            if not left:
                return
            failed.append(left[0])
            line = _middle_tie_line(self.mixing, left[0][0], left[0][1])
            if line is None or known.equilibria(np.array([line.middle])).count[0] > 1:
                continue
            if self.lowest(np.array([line.first, line.second]))[0] < -1e-9:
                continue
            normal = _normal(line)
            one, two = self.traced(line, normal, None), self.traced(line, -normal, None)
            self.families.append(_joined(two, one))

    def traced(self, start: TieLine, ahead: Floats, edge: int | None) -> Family:
        """The family that begins with a tie line and goes on in the direction `ahead` [2] to an edge, a triangle or a plait point."""
        lines, directions = [start], [_direction(start)]
        towards = ahead / np.linalg.norm(ahead)
        step, is_plait = _STEP, False
        for _ in range(2000):
            line = lines[-1]
            normal = _normal(line)
            normal = normal if normal @ towards > 0 else -normal
            new, used, is_last = self.next_line(lines, normal, step)
            if new is None:
                step /= 2
                if step > 1e-9:
                    continue
                break
            shrinks = (line.length**2 - new.length**2) / used
            if new.length < 0.75 * line.length and line.length > 2 * _SHORTEST and not is_last and used > 1e-9:
                step = used / 2
                continue
            moved = (np.array(new.middle) - np.array(line.middle)) @ _CORNERS
            if not is_last and (end := self.triangle_between(line, new)) is not None:
                lines.append(end)
                directions.append(_direction(end))
                break
            if moved @ moved > 0:
                towards = moved / math.sqrt(moved @ moved)
            lines.append(new)
            directions.append(_direction(new))
            if is_last:
                break
            if new.length < _SHORTEST or (shrinks > 0 and new.length < 0.02 and new.length**2 / shrinks < 1e-6):
                if (plait := _plait_point(self.mixing, new)) is not None:
                    x, direction = plait
                    lines.append(TieLine(x, x, (0.0, 0.0, 0.0)))
                    directions.append(direction if direction @ directions[-1] > 0 else -direction)
                    is_plait = True
                break
            step = min(_STEP, 2 * step)
            if shrinks > 0:
                step = min(step, 0.4 * new.length**2 / shrinks)
        return Family(
            np.array([one.first for one in lines]),
            np.array([one.second for one in lines]),
            np.array([one.log_ratios for one in lines]),
            np.array(directions),
            (False, is_plait),
        )

    def next_line(self, lines: list[TieLine], normal: Floats, step: float) -> tuple[TieLine | None, float, bool]:
        """The tie line a step further, if it is found; the step, shorter where an edge is nearer; whether that edge was reached."""
        line = lines[-1]
        middle = np.array(line.middle)
        change = normal @ _FROM_PAPER
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(change < 0, -middle / change, np.inf)
        is_last = bool(room.min() <= step)
        used = min(step, float(room.min()))
        z = middle + used * change
        if is_last:
            z[int(np.argmin(room))] = 0.0
            if used < 1e-300:
                return None, used, False
        z = np.maximum(z, 0.0)
        ratios = np.array(line.log_ratios)
        if len(lines) > 1:
            before = lines[-2]
            gone = float(np.linalg.norm((middle - np.array(before.middle)) @ _CORNERS))
            if gone > 1e-12:
                slope = (ratios - np.array(before.log_ratios)) * used / gone
                worst = np.abs(slope / np.array(self.mixing.sizes)).max()
                ratios = ratios + slope * min(1.0, 0.5 / max(float(worst), 1e-300))
        found = _tie_line(self.mixing, _triple(z / z.sum()), _triple(ratios))
        if found is None or not 0 < found[0] < 1 or not _is_like(found[1], np.array(line.first), np.array(line.second)):
            return None, used, is_last
        return found[1], used, is_last

    def triangle_between(self, line: TieLine, new: TieLine) -> TieLine | None:
        """The side of a triangle that lies between two neighboring tie lines."""
        phases = np.array([new.first, new.second])
        depth, k = self.lowest(phases)
        inside = [t for t, x in enumerate(self.triangles) if (np.linalg.solve(x.T, np.array(new.middle)) > 1e-12).all()]
        if depth < -1e-9 and not inside:
            triangle = _three_phases(self.mixing, np.vstack([phases, _GRID[k]]))
            if triangle is not None and self.lowest(triangle)[0] >= -1e-9:
                if same := [t for t, x in enumerate(self.triangles) if np.abs(_sorted(x) - _sorted(triangle)).max() < 1e-6]:
                    inside = same
                else:
                    self.triangles.append(triangle)
                    inside = [len(self.triangles) - 1]
        for t in inside:
            for side in range(3):
                end = self.side(t, side)
                for one in (end, end.reversed):
                    if _is_like(one, np.array(line.first), np.array(line.second)):
                        return one
        return None


_FROM_PAPER = np.linalg.inv(np.column_stack([_CORNERS, np.ones(3)]))[:2]
"""[2, 3]: a step on the drawn triangle as a change of composition."""


def _triple(x: Floats) -> Triple:
    a, b, c = x.tolist()
    return a, b, c


def _sorted(triangle: Floats) -> Floats:
    return triangle[np.lexsort(triangle.round(6).T)]


def _direction(line: TieLine) -> Floats:
    v = (np.array(line.second) - np.array(line.first)) @ _CORNERS
    direction: Floats = v / np.linalg.norm(v)
    return direction


def _normal(line: TieLine) -> Floats:
    x, y = _direction(line)
    return np.array([-y, x])


def _is_like(line: TieLine, first: Floats, second: Floats) -> bool:
    """Whether a tie line is near to a guess of its ends, [3] each, and has not collapsed."""
    length = float(np.linalg.norm((second - first) @ _CORNERS))
    off = max(float(np.abs(line.first - first).max()), float(np.abs(line.second - second).max()))
    return line.length > 0.4 * length and off < max(0.06, 0.3 * length)


def _joined(one: Family, two: Family) -> Family:
    """Two families that begin with the same line, as one."""
    parts = [np.concatenate([getattr(one, n)[:0:-1], getattr(two, n)]) for n in ("first", "second", "log_ratios", "directions")]
    return Family(parts[0], parts[1], parts[2], parts[3], (one.plait[1], two.plait[1]))


def _lower_hull(t: Floats, g: Floats) -> list[int]:
    """Indices of the points of a curve on its lower convex hull. Source: Andrew, Inf. Process. Lett. 9 (1979) 216."""
    kept: list[int] = []
    for k in range(len(t)):
        while len(kept) > 1:
            i, j = kept[-2], kept[-1]
            if (g[j] - g[i]) * (t[k] - t[i]) >= (g[k] - g[i]) * (t[j] - t[i]):
                kept.pop()
            else:
                break
        kept.append(k)
    return kept


def _three_phases(mixing: Mixing, guess: Floats) -> Floats | None:
    """Compositions [3 phases, 3] of three phases in equilibrium near a guess [3, 3]; None when Newton's method finds none.

    The unknowns are logarithms of compositions, so that a trace is as exact as a main component.
    """
    n = np.array(mixing.sizes)
    try:
        plane = np.linalg.solve(guess, free_energy(mixing, guess))
    except np.linalg.LinAlgError:
        return None
    h = excess_potentials(mixing, guess)
    with np.errstate(divide="ignore"):
        u = np.where(guess > 0, np.log(guess), np.minimum(n * (plane - h), -1.0))
    for _ in range(60):
        x = np.exp(np.clip(u, -700, 1))
        m = u / n + excess_potentials(mixing, x)
        rest = np.concatenate([m[0] - m[1], m[0] - m[2], x.sum(axis=1) - 1])
        jacobian = np.zeros((9, 9))
        for k in range(3):
            block = _excess_slopes(mixing, x[k]) * x[k] + np.diag(1 / n)
            rows = slice(3 * k, 3 * k + 3)
            if k == 0:
                jacobian[0:3, rows] = jacobian[3:6, rows] = block
            else:
                jacobian[3 * k - 3 : 3 * k, rows] = -block
            jacobian[6 + k, rows] = x[k]
        try:
            step = -np.linalg.solve(jacobian, rest)
        except np.linalg.LinAlgError:
            return None
        size = float(np.abs(step.reshape(3, 3) / n).max())
        if not np.isfinite(size):
            return None
        u = u + step.reshape(3, 3) * min(1.0, 1.0 / max(size, 1e-300))
        if size < 1e-13 or (np.abs(rest).max() < 1e-14):
            break
    x = np.exp(np.clip(u, -700, 1))
    if np.abs(rest).max() > TOLERANCE / 10 or _is_flat(x):
        return None
    phases: Floats = x / x.sum(axis=1, keepdims=True)
    return phases


def _is_flat(triangle: Floats) -> bool:
    """Whether three phases are not distinct: two are equal, or all are in a small row near a plait point."""
    # Near a plait point every point of such a row solves the equations.
    points = triangle @ _CORNERS
    sides = np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1)
    height = abs(float(np.linalg.det(triangle))) * math.sqrt(3) / 2 / sides.max()
    return bool(sides.min() < 1e-4 or (sides.max() < 0.05 and height < 0.02 * sides.max()) or height < 1e-9)


def _excess_slopes(mixing: Mixing, x: Floats) -> Floats:
    """∂h_i/∂x_k, [3, 3], at one composition [3]."""
    n, t = 1 / np.array(mixing.sizes), mixing.abc
    others = x[[1, 0, 0]] * x[[2, 2, 1]]
    slopes: Floats = mixing.pairs - (n + mixing.pairs @ x + 2 * t * others)
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        slopes[i, j] += t * x[k]
        slopes[j, i] += t * x[k]
    return slopes


def _plait_point(mixing: Mixing, line: TieLine) -> tuple[Triple, Floats] | None:
    """The plait point next to a short tie line, and the direction [2] of the tie lines that shrink to it.

    There the curvature of g along that direction is zero and does not change. Source: Meijering, Philips Res. Rep. 5 (1950) 333.
    """
    n = np.array(mixing.sizes)

    def conditions(unknown: Floats) -> Floats:
        x = np.array([unknown[0], unknown[1], 1 - unknown[0] - unknown[1]])
        v = np.array([math.cos(unknown[2]), math.sin(unknown[2])]) @ _FROM_PAPER
        bent = curvature(mixing, x) @ v
        third = -float((v**3 / (n * x**2)).sum()) + 6 * mixing.abc * float(v.prod())
        return np.array([*(_FROM_PAPER @ bent), third])

    direction = _direction(line)
    middle = line.middle
    start = [middle[0], middle[1], math.atan2(direction[1], direction[0])]
    with np.errstate(all="ignore"):
        solved = root(conditions, start, tol=1e-13)
    a, b, angle = (float(v) for v in solved.x)
    x = (a, b, 1 - a - b)
    if not np.abs(solved.fun).max() < 1e-8 or min(x) <= 0 or max(abs(p - q) for p, q in zip(x, middle, strict=True)) > 5 * line.length:
        return None
    return x, np.array([math.cos(angle), math.sin(angle)])
