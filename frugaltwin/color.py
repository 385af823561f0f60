"""Color: spectra → XYZ → Lab → CIEDE2000, written once on the array API standard.

Every function takes numpy arrays and torch tensors alike and keeps gradients. XYZ has Y = 1 for white; Lab is CIE 1976 under
D65 and the 2° observer. Reference in the tests: the `colour-science` package.
"""

import re
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias, cast

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Colorimetry

Array: TypeAlias = Any
"""A numpy array or a torch tensor: the array API has no static type yet."""

Lab: TypeAlias = tuple[float, float, float]

_TINY = 1e-18  # keeps square roots differentiable at 0; moves a color difference by 1e-9 at most
_DELTA = 6 / 29

SRGB_TO_XYZ = (
    (0.4123907993, 0.3575843394, 0.1804807884),
    (0.2126390059, 0.7151686788, 0.0721923154),
    (0.0193308187, 0.1191947798, 0.9505321522),
)
"""Linear sRGB → XYZ. The rows add up to D65. Source: IEC 61966-2-1:1999."""

FARTHEST = 200
"""Largest a* and b* of a color: no green of a display or a spectrum is farther than about 190."""

_SRGB_WHITE = np.array(SRGB_TO_XYZ).sum(axis=1)
_XYZ_TO_SRGB = np.linalg.inv(np.array(SRGB_TO_XYZ))


@cache
def cie_table() -> dict[str, NDArray[np.float64]]:
    """Columns of the CIE's published tables, 380–780 nm by 5 nm, each [81].

    ``wavelength_nm``, ``x_bar y_bar z_bar`` (1931 2° observer), ``d65`` and ``led_b4`` (illuminants, arbitrary units).
    Source: CIE 018:2019, doi:10.25039/TR.018.2019; CIE 015:2018, doi:10.25039/TR.015.2018.
    """
    text = files("frugaltwin").joinpath("cie", "observer_and_illuminants.csv").read_text().splitlines()
    values = np.array([[float(cell) for cell in line.split(",")] for line in text[1:]])
    return {name: values[:, j].copy() for j, name in enumerate(text[0].split(","))}


@cache
def transmitted_weights() -> NDArray[np.float64]:
    """The matrix [81, 3] that turns a transmittance spectrum into XYZ under D65: white is transmittance 1.

    Source: CIE 015:2018, eq. 7.1 (summation at 5 nm).
    """
    table = cie_table()
    bars = np.stack([table["x_bar"], table["y_bar"], table["z_bar"]], axis=1) * table["d65"][:, None]
    return cast(NDArray[np.float64], bars / bars[:, 1].sum())


def lab(xyz: Array, white: Array) -> Array:
    """CIE 1976 L*a*b* of XYZ [..., 3] against `white` [3].

    Source: CIE 015:2018, eq. 8.3–8.11.

    >>> lab(np.array([0.2, 0.2, 0.2]), np.array([1.0, 1.0, 1.0])).round(3).tolist()
    [51.837, 0.0, 0.0]
    """
    xp = array_api_compat.array_namespace(xyz)
    t = xyz / xp.asarray(white, dtype=xyz.dtype)
    big = t > _DELTA**3
    f = xp.where(big, xp.where(big, t, 1.0) ** (1 / 3), t / (3 * _DELTA**2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return xp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def xyz(lab: Array, white: Array) -> Array:
    """The inverse of `lab`: XYZ [..., 3]."""
    xp = array_api_compat.array_namespace(lab)
    y = (lab[..., 0] + 16) / 116
    f = xp.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    return xp.where(f > _DELTA, f**3, 3 * _DELTA**2 * (f - 4 / 29)) * xp.asarray(white, dtype=lab.dtype)


def delta_e(lab1: Array, lab2: Array) -> Array:
    """CIEDE2000 color difference of Lab [..., 3] and [..., 3], broadcast to [...]. About 1 is just noticeable.

    Of torch tensors it has the first derivatives by `lab1`, by `delta_e_and_slope`, unless they are wanted by `lab2`, too.
    Source: Sharma, Wu & Dalal, Color Res. Appl. 30 (2005) 21, doi:10.1002/col.20070.

    >>> round(float(delta_e(np.array([50.0, 2.6772, -79.7751]), np.array([50.0, 0.0, -82.7485]))), 4)  # their pair 1
    2.0425
    """
    if getattr(lab1, "requires_grad", False) and not lab2.requires_grad:
        here = lab1.detach()
        value, slope = delta_e_and_slope(here.numpy(), lab2.numpy())
        return lab1.new_tensor(value) + (lab1.new_tensor(slope) * (lab1 - here)).sum(-1)  # the second term is 0, and has the slope
    return _difference(lab1, lab2)[0]


def delta_e_and_slope(lab1: NDArray[np.float64], lab2: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`delta_e` [...] and its derivatives by `lab1`, [..., 3].

    A hue has no derivative at a gray, and the difference none where the colors are the same: these parts count as 0 there.

    >>> value, slope = delta_e_and_slope(np.array([50.0, 0.0, 0.0]), np.array([52.0, 0.0, 0.0]))
    >>> slope.round(2).tolist()
    [-1.0, 0.0, 0.0]
    """
    E, p = _difference(lab1, lab2)
    a1, b1, a2, b2, C1, C2, C, h = (p[name] for name in ("a1", "b1", "a2", "b2", "C1", "C2", "C", "h"))
    degree = np.pi / 180

    def bent(chroma: Array) -> Array:  # the derivative of `_chroma_weight`
        return 3.5 * 25.0**7 * chroma**2.5 / (chroma**7 + 25.0**7) ** 1.5

    # By the parts of the sum of squares, which are divided by weights.
    by_l, by_c, by_k = p["l"] / E, (p["c"] + p["R"] * p["k"] / 2) / E, (p["k"] + p["R"] * p["c"] / 2) / E
    by_R = p["c"] * p["k"] / (2 * E)
    by_SL, by_SC, by_SH = -by_l * p["l"] / p["SL"], -by_c * p["c"] / p["SC"], -by_k * p["k"] / p["SH"]
    by_dL, by_dC, by_dH = by_l / p["SL"], by_c / p["SC"], by_k / p["SH"]

    # By the means of both colors.
    from_50 = p["L"] - 50
    root = np.sqrt(20 + from_50**2)
    by_L = by_SL * 0.015 * from_50 * (2 / root - from_50**2 / root**3)
    sines = 0.17 * np.sin((h - 30) * degree) - 0.48 * np.sin(2 * h * degree) - 0.96 * np.sin((3 * h + 6) * degree)
    by_T = by_SH * 0.015 * C
    turn = (60 * degree) * p["hump"]
    by_h = by_T * (sines + 0.80 * np.sin((4 * h - 63) * degree)) * degree
    by_h = by_h - by_R * 2 * p["weight"] * np.cos(turn) * turn * (-2 * (h - 275) / 625)
    by_C = by_SC * 0.045 + by_SH * 0.015 * p["T"] - by_R * 2 * bent(C) * np.sin(turn)

    # By chroma and hue of each color.
    half, product = p["dh"] * (degree / 2), np.sqrt(C1 * C2)
    by_dh = np.where(p["is_gray"], 0.0, by_dH * product * np.cos(half) * degree)
    by_C1 = by_C / 2 - by_dC + by_dH * C2 / product * np.sin(half)
    by_C2 = by_C / 2 + by_dC + by_dH * C1 / product * np.sin(half)
    share = np.where(p["is_gray"], 1.0, 0.5)

    def by_a_and_b(a: Array, b: Array, chroma: Array, by_chroma: Array, by_hue: Array) -> tuple[Array, Array]:
        square = a**2 + b**2
        around = np.where(square < 2e-24, 0.0, by_hue / (degree * np.where(square < 2e-24, 1.0, square)))
        return by_chroma * a / chroma - around * b, by_chroma * b / chroma + around * a

    by_a1, by_b1 = by_a_and_b(a1, b1, C1, by_C1, share * by_h - by_dh)
    by_a2, _ = by_a_and_b(a2, b2, C2, by_C2, share * by_h + by_dh)

    # By a and b before a was stretched by 1 + G, which depends on the chroma of both.
    by_G = by_a1 * lab1[..., 1] + by_a2 * lab2[..., 1]
    by_chroma = -0.25 * by_G * bent(p["mean_chroma"]) / p["chroma1"]
    by_a, by_b = by_a1 * (1 + p["G"]) + by_chroma * lab1[..., 1], by_b1 + by_chroma * lab1[..., 2]
    return E, np.stack(np.broadcast_arrays(by_L / 2 - by_dL, by_a, by_b), axis=-1)


def _chroma_weight(chroma: Array) -> Array:
    """sqrt(C^7 / (C^7 + 25^7)), which is C^3.5 / sqrt(...): smooth at 0."""
    return chroma**3.5 / (chroma**7 + 25.0**7) ** 0.5


def _difference(lab1: Array, lab2: Array) -> tuple[Array, dict[str, Array]]:
    """CIEDE2000 and its parts by name, as in the paper; a is the stretched a', and h are degrees."""
    xp = array_api_compat.array_namespace(lab1, lab2)
    L1, a1, b1 = lab1[..., 0], lab1[..., 1], lab1[..., 2]
    L2, a2, b2 = lab2[..., 0], lab2[..., 1], lab2[..., 2]

    def root(square: Array) -> Array:
        return xp.sqrt(square + _TINY)

    def hue(a: Array, b: Array) -> Array:  # degrees, 0 for a gray, where it has no meaning and no gradient
        gray = (xp.abs(a) < 1e-12) & (xp.abs(b) < 1e-12)
        angle = xp.atan2(xp.where(gray, 0.0, b), xp.where(gray, 1.0, a)) * (180 / np.pi)
        return xp.where(angle < 0, angle + 360, angle)

    chroma1 = root(a1**2 + b1**2)
    mean_chroma = (chroma1 + root(a2**2 + b2**2)) / 2
    G = 0.5 * (1 - _chroma_weight(mean_chroma))
    a1, a2 = (1 + G) * a1, (1 + G) * a2
    C1, C2 = root(a1**2 + b1**2), root(a2**2 + b2**2)
    h1, h2 = hue(a1, b1), hue(a2, b2)
    is_gray = C1 * C2 < 1e-12

    dh = h2 - h1
    dh = xp.where(dh > 180, dh - 360, xp.where(dh < -180, dh + 360, dh))
    dh = xp.where(is_gray, 0.0, dh)
    dL, dC, dH = L2 - L1, C2 - C1, 2 * xp.sqrt(C1 * C2) * xp.sin(dh * (np.pi / 360))

    L, C, total = (L1 + L2) / 2, (C1 + C2) / 2, h1 + h2
    h = xp.where(xp.abs(h1 - h2) <= 180, total / 2, xp.where(total < 360, total / 2 + 180, total / 2 - 180))
    h = xp.where(is_gray, total, h)

    def cosine(degrees: Array) -> Array:
        return xp.cos(degrees * (np.pi / 180))

    T = 1 - 0.17 * cosine(h - 30) + 0.24 * cosine(2 * h) + 0.32 * cosine(3 * h + 6) - 0.20 * cosine(4 * h - 63)
    weight, hump = _chroma_weight(C), xp.exp(-(((h - 275) / 25) ** 2))
    R = -2 * weight * xp.sin(60 * hump * (np.pi / 180))
    SL = 1 + 0.015 * (L - 50) ** 2 / xp.sqrt(20 + (L - 50) ** 2)
    SC = 1 + 0.045 * C
    SH = 1 + 0.015 * C * T
    l, c, k = dL / SL, dC / SC, dH / SH  # noqa: E741
    E = root(l**2 + c**2 + k**2 + R * c * k)
    parts = {"a1": a1, "b1": b1, "a2": a2, "b2": b2, "chroma1": chroma1, "mean_chroma": mean_chroma, "G": G, "C1": C1, "C2": C2}
    parts |= {"L": L, "C": C, "h": h, "dh": dh, "is_gray": is_gray, "T": T, "weight": weight, "hump": hump, "R": R}
    return E, parts | {"SL": SL, "SC": SC, "SH": SH, "l": l, "c": c, "k": k}


def _product(values: Array, matrix: Array) -> Array:
    """The product [..., m] of a matrix [m, n] and values [..., n], the same to the last bit alone and among others.

    A library's matrix product rounds one row otherwise than several, and otherwise on each processor. This sum has one order. Of torch
    tensors the product is the library's: derivatives of many small steps would take most of the time of a suggestion.
    """
    if not isinstance(values, np.ndarray):
        return values @ matrix.T
    total = values[..., 0:1] * matrix[:, 0]
    for k in range(1, matrix.shape[1]):
        total = total + values[..., k : k + 1] * matrix[:, k]
    return total


def reading_xyz(color: Colorimetry, channels: Array, exposure: Array | float = 1.0) -> Array:
    """XYZ [..., 3] of the readings of sensor channels [..., n] at `exposure` [...]."""
    xp = array_api_compat.array_namespace(channels)
    per_exposure = channels / exposure[..., None] if not isinstance(exposure, float) else channels / exposure
    return _product(per_exposure, xp.asarray(np.array(color.to_xyz), dtype=channels.dtype))


def reading_lab(color: Colorimetry, channels: Array, exposure: Array | float = 1.0) -> Array:
    """Lab [..., 3] of the readings of sensor channels [..., n] at `exposure` [...]."""
    return lab(reading_xyz(color, channels, exposure), np.array(color.white))


def srgb(lab: Array) -> NDArray[np.float64]:
    """The nearest displayable sRGB in [0, 1], [..., 3], of Lab [..., 3]: for swatches on a screen only."""
    linear = np.clip(_product(xyz(np.asarray(lab, dtype=float), _SRGB_WHITE), _XYZ_TO_SRGB), 0.0, 1.0)
    encoded: NDArray[np.float64] = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return encoded


def hex_code(lab: Array) -> str:
    """The nearest ``#rrggbb`` of Lab [3].

    >>> hex_code((100.0, 0.0, 0.0))
    '#ffffff'
    """
    return "#" + "".join(f"{round(255 * float(v)):02x}" for v in srgb(lab))


def lab_of_hex(code: str) -> Lab:
    """Lab of ``#rrggbb``.

    Source: IEC 61966-2-1:1999.

    >>> [round(v, 2) for v in lab_of_hex("#ff0000")]
    [53.24, 80.09, 67.2]
    """
    return _lab_of_srgb(np.array([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]))


def _lab_of_srgb(v: NDArray[np.float64]) -> Lab:
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    L, a, b = lab(_product(linear, np.array(SRGB_TO_XYZ)), _SRGB_WHITE)
    return float(L), float(a), float(b)


def parse_color(text: str) -> Lab:
    """Lab under D65 of ``lab(50, 20, -30)``, which is that already, or of a color of CSS: ``#8fb04a``, ``coral``, ``oklch(…)``.

    CSS writes no commas in ``lab(50 20 -30)`` and means D50 there and in ``lch()``: these are adapted to D65. Colors that no screen
    shows, such as ``color(display-p3 0 1 0)``, keep their Lab.
    Source: CSS Color Module Level 4, https://www.w3.org/TR/css-color-4, by the library ColorAide.

    Raises:
        InvalidInput: It is none of these, is transparent, or no color is like that.

    >>> parse_color("lab(50, 20, -30)")
    (50.0, 20.0, -30.0)
    >>> parse_color("rgb(143 176 74)") == parse_color("#8fb04a")
    True
    """
    word = text.strip().lower()
    if re.fullmatch(r"#[0-9a-f]{6}", word):
        return lab_of_hex(word)
    number = r"\s*([-+]?\d+(?:\.\d*)?|[-+]?\.\d+)\s*"
    if found := re.fullmatch(rf"lab\({number},{number},{number}\)", word):
        return _possible(text, float(found[1]), float(found[2]), float(found[3]))
    import webcolors

    try:
        return lab_of_hex(webcolors.name_to_hex(word))
    except ValueError:
        return _possible(text, *_css_lab(text, word, [*webcolors.names(), "rebeccapurple"]))


def _css_lab(text: str, word: str, names: list[str]) -> Lab:
    from coloraide import Color

    try:
        color = Color(word)
    except ValueError:
        from difflib import get_close_matches

        near = get_close_matches(word, names, n=1)
        forms = "write #8fb04a, lab(L, a, b), or a color of CSS such as coral, rgb(143 176 74) or oklch(0.7 0.2 140)"
        raise InvalidInput(f"{text!r} is no color; {f'did you mean {near[0]!r}?' if near else forms}") from None
    if not color.alpha() >= 1:  # also NaN, for `none`
        raise InvalidInput(f"{text!r} is transparent, and a target is the color that is seen; name that one, without alpha")
    if not color.in_gamut(tolerance=1e-6):
        raise InvalidInput(f"{text!r} is no color; a part of it is beyond the limits of {color.space()}")
    if color.space() in ("srgb", "hsl", "hwb"):
        return _lab_of_srgb(np.array(color.convert("srgb").coords(nans=False)))
    L, a, b = lab(np.array(color.convert("xyz-d65").coords(nans=False)), _SRGB_WHITE).round(9)
    return float(L), float(a), float(b)


def _possible(text: str, L: float, a: float, b: float) -> Lab:
    """Lab, where there can be such a color."""
    if not (0 <= L <= 100 and abs(a) <= FARTHEST and abs(b) <= FARTHEST):
        raise InvalidInput(f"{text!r} is no color; L goes from 0 to 100, a and b from -{FARTHEST} to {FARTHEST}")
    return L, a, b
