"""Landau theory of a ferroelectric with an orientational anisotropy: the 2-4-6 polynomial and its minima."""

from simulator.equations.arrays import Array, floats


def free_energy(P: Array, stiffness: Array, quartic: Array, anisotropy: Array, sextic: Array) -> Array:
    """Free energy density [...] of a polarization vector P [..., 3], J/m³, less that of the cubic phase.

    F = ½ a P² + ¼ b P⁴ + ½ κ (Px²Py² + Py²Pz² + Pz²Px² - P⁴/6) + ⅙ c P⁶: the anisotropy κ sets [001] (where the bracket is
    -P⁴/6) against [111] (+P⁴/6) and leaves their mean alone.
    Source: the 2-4-6 polynomial with an orientational anisotropy that vanishes at the morphotropic boundary is that of Rossetti
    and Khachaturyan, Inherent nanoscale structural instabilities near morphotropic boundaries in ferroelectric solid solutions,
    Appl. Phys. Lett. 91 (2007) 072909. The -P⁴/6, which only shares the isotropic term out differently, is ours.

    >>> free_energy([[0, 0, 1], [3**-0.5] * 3], stiffness=-4, quartic=2, anisotropy=0.6, sextic=3).round(6).tolist()
    [-1.05, -0.95]
    """
    _, P, a, b, kappa, c = floats(P, stiffness, quartic, anisotropy, sextic)
    p = P**2
    x, y, z = p[..., 0], p[..., 1], p[..., 2]
    square = x + y + z
    angular = x * y + y * z + z * x - square**2 / 6
    even = (a / 2 + square * (b / 4 + square * c / 6)) * square
    return even + kappa * angular / 2


def squared_polarization(stiffness: Array, quartic: Array, sextic: Array) -> Array:
    """P² [...] at the lower minimum of F = ½ a P² + ¼ b P⁴ + ⅙ c P⁶ with c > 0 that is not at P = 0, (C/m²)²; 0 where there is none.

    Source: Devonshire, Theory of barium titanate, Phil. Mag. 40 (1949) 1040 (not opened for this project).

    >>> squared_polarization([-8.0, 1.0, 3.0], [2.0, -4.0, -4.0], 3.0).round(6).tolist()
    [1.333333, 1.0, 0.0]
    """
    xp, a, b, c = floats(stiffness, quartic, sextic)
    inside = b**2 - 4 * a * c
    is_real = inside >= 0
    square = (xp.sqrt(xp.where(is_real, inside, 1.0)) - b) / (2 * c)  # 1 keeps gradients finite where there is no minimum
    return xp.where(is_real & (square > 0), square, 0.0)


def energy_along(stiffness: Array, quartic: Array, sextic: Array) -> Array:
    """Free energy density [...] at that minimum, J/m³; 0 where there is none."""
    _, a, b, c = floats(stiffness, quartic, sextic)
    square = squared_polarization(a, b, c)
    return square * (a / 2 + square * (b / 4 + square * c / 6))


def transition(stiffness_slope: Array, quartic: Array, sextic: Array, quartic_slope: Array = 0.0) -> Array:
    """Distance above the Curie-Weiss temperature at which the polarization along one axis appears, [...], K.

    It is 0 where the quartic coefficient there, `quartic` [...], is positive (second order); else the first-order transition is at
    stiffness = 3 b² / 16 c. `quartic_slope` is the change of b with temperature; NaN where the polar phase lasts at every temperature.
    Source: Devonshire 1949.

    >>> transition(2.0, [1.0, -4.0], 3.0).tolist()
    [0.0, 0.5]
    """
    xp, slope, b, c, g = floats(stiffness_slope, quartic, sextic, quartic_slope)
    A = 3 / (16 * c)
    # A (b + g τ)² = slope · τ, the smaller root, written so that g may be 0.
    half = slope - 2 * A * b * g
    inside = half**2 - (2 * A * b * g) ** 2
    ends = (inside >= 0) & (half > 0)
    root = xp.sqrt(xp.where(ends, inside, 1.0))
    first = xp.where(ends, 2 * A * b**2 / xp.where(ends, half + root, 1.0), xp.nan)
    return xp.where(b < 0, first, 0.0)
