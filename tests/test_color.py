"""Color against the reference implementation and against published numbers."""

import re
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugaltwin import catalog
from frugaltwin.color import cie_table, delta_e, delta_e_and_slope, hex_code, lab, lab_of_hex, parse_color, transmitted_weights, xyz
from frugaltwin.errors import InvalidInput

WHITE = np.array([0.95047, 1.0, 1.08883])


@pytest.fixture(scope="module")
def colour() -> Any:
    """The reference. To import it takes as long as everything else here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about optional packages that it does not find
        import colour
    return colour


def colors(n: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.column_stack([random.uniform(0, 100, n), random.uniform(-110, 110, (n, 2))])


def test_lab_agrees_with_the_reference_from_black_to_white(colour: Any) -> None:
    given_xyz = np.vstack([np.random.default_rng(0).random((1000, 3)), np.geomspace(1e-6, 1, 50)[:, None] * WHITE])
    xy = WHITE[:2] / WHITE.sum()
    assert np.abs(lab(given_xyz, WHITE) - colour.XYZ_to_Lab(given_xyz, xy)).max() < 1e-4


def test_ciede2000_agrees_with_the_reference_near_and_far(colour: Any) -> None:
    one = colors(5000)
    for distance in (0.01, 1, 30):
        two = one + distance * np.random.default_rng(1).standard_normal(one.shape)
        assert np.abs(delta_e(one, two) - colour.delta_E(one, two, method="CIE 2000")).max() < 1e-9


@pytest.mark.parametrize(
    ("one", "two", "published"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, -1.0, 2.0), (50.0, 0.0, 0.0), 2.3669),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_ciede2000_gives_the_published_pairs(one: tuple[float, ...], two: tuple[float, ...], published: float) -> None:
    """Pairs 1, 7, 17 and 34 of Sharma, Wu & Dalal (2005), table 1."""
    assert round(float(delta_e(np.array(one), np.array(two))), 4) == published


def test_the_differentiable_form_agrees_with_the_reference_to_1e_6(colour: Any) -> None:
    import torch

    one, two = colors(2000), colors(2000, seed=1)
    found = delta_e(torch.tensor(one), torch.tensor(two)).numpy()
    assert np.abs(found - colour.delta_E(one, two, method="CIE 2000")).max() < 1e-6
    given_xyz = np.random.default_rng(0).random((1000, 3))
    assert np.abs(lab(torch.tensor(given_xyz), WHITE).numpy() - lab(given_xyz, WHITE)).max() < 1e-9


def test_gradients_are_right_and_finite_even_for_equal_and_gray_colors() -> None:
    import torch

    def total(x: torch.Tensor) -> torch.Tensor:
        distance: torch.Tensor = delta_e(lab(x, WHITE), torch.tensor([50.0, 20.0, -30.0], dtype=torch.double))
        return distance

    x = torch.tensor(np.random.default_rng(0).uniform(0.05, 1, (20, 3)), requires_grad=True)
    assert torch.autograd.gradcheck(total, (x,), atol=1e-4)
    for special in ((50.0, 0.0, 0.0), (50.0, 20.0, -30.0), (0.0, 0.0, 0.0)):
        at = torch.tensor(special, dtype=torch.double, requires_grad=True)
        delta_e(at, torch.tensor((50.0, 20.0, -30.0), dtype=torch.double)).backward()
        assert at.grad is not None
        assert torch.isfinite(at.grad).all()


def test_the_written_derivatives_of_ciede2000_are_those_of_autograd_and_of_differences_up_to_the_neutral_axis() -> None:
    import torch

    random = np.random.default_rng(3)
    one, two = colors(600), colors(600, seed=1)
    one[:100, 1:] *= 1e-3  # nearly gray
    two[50:150, 1:] = 0.0  # a gray target
    one[150:200] = two[150:200] + 0.1 * random.standard_normal((50, 3))
    value, slope = delta_e_and_slope(one, two)
    assert np.array_equal(value, delta_e(one, two))
    step = 1e-4 * np.minimum(1.0, np.hypot(one[:, 1], one[:, 2]))
    for j, axis in enumerate(np.eye(3)):
        away = step[:, None] * axis
        differences = (delta_e(one + away, two) - delta_e(one - away, two)) / (2 * step)
        assert np.abs(slope[:, j] - differences).max() < 1e-4
    one[:20, 1:] = 0.0  # gray: no differences, the hue jumps
    target = torch.from_numpy(two).requires_grad_()  # derivatives by both are left to autograd
    x = torch.from_numpy(one).requires_grad_()
    (by_autograd,) = torch.autograd.grad(delta_e(x, target).sum(), x)
    (written,) = torch.autograd.grad(delta_e(x, target.detach()).sum(), x)
    assert np.abs(written.numpy() - by_autograd.numpy()).max() < 1e-9
    assert np.array_equal(written.numpy(), delta_e_and_slope(one, two)[1])


@given(st.tuples(st.floats(0, 100), st.floats(-100, 100), st.floats(-100, 100)))
def test_lab_and_xyz_are_inverse(color: tuple[float, float, float]) -> None:
    assert np.allclose(lab(xyz(np.array(color), WHITE), WHITE), color, atol=1e-8)


@given(st.integers(0, 2**24 - 1))
def test_a_hex_code_survives_the_way_to_lab_and_back(number: int) -> None:
    code = f"#{number:06x}"
    assert hex_code(lab_of_hex(code)) == code


def test_the_tables_of_the_cie_are_the_published_ones(colour: Any) -> None:
    table = cie_table()
    shape = colour.SpectralShape(380, 780, 5)
    bars = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"].copy().align(shape).values
    assert np.allclose(np.column_stack([table["x_bar"], table["y_bar"], table["z_bar"]]), bars)
    assert np.allclose(table["d65"], colour.SDS_ILLUMINANTS["D65"].copy().align(shape).values)
    assert np.allclose(table["led_b4"], colour.SDS_ILLUMINANTS["LED-B4"].copy().align(shape).values)


def test_spectra_become_the_xyz_that_the_reference_integrates(colour: Any) -> None:
    shape = colour.SpectralShape(380, 780, 5)
    spectrum = 0.5 + 0.4 * np.sin(cie_table()["wavelength_nm"] / 50)
    reference = colour.sd_to_XYZ(
        colour.SpectralDistribution(spectrum, shape.wavelengths),
        cmfs=colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"].copy().align(shape),
        illuminant=colour.SDS_ILLUMINANTS["D65"].copy().align(shape),
        method="Integration",
    )
    assert np.allclose(spectrum @ transmitted_weights(), reference / 100, atol=1e-6)


BEYOND = ("rgb(300 0 0)", "lab(9, 201, 0)", "hsl(0 0% 101%)", "currentcolor", "oklch(5 0.2 140)", "color(xyz 0 1 0)")


@pytest.mark.parametrize("text", ["#12345", "#gggggg", "lab(1,2)", "lab(101, 0, 0)", "lab(nan,0,0)", "reed", "", "rgb(1,2)", *BEYOND])
def test_what_is_no_color_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no color"):
        parse_color(text)


def test_colors_are_read_from_hex_lab_and_names_alike() -> None:
    assert parse_color("Teal") == parse_color("#008080")
    assert parse_color("lab(-0, 1.5, -2)") == (0.0, 1.5, -2.0)


def test_names_of_css_are_those_of_the_standard() -> None:
    from matplotlib.colors import CSS4_COLORS

    assert [name for name, code in CSS4_COLORS.items() if parse_color(name) != lab_of_hex(str(code).lower())] == []
    assert len(CSS4_COLORS) == 148


def test_colors_of_css_are_what_the_standard_says() -> None:
    assert parse_color("rebeccapurple") == parse_color("RebeccaPurple") == parse_color("#663399") == parse_color("rgb(102, 51, 153)")
    assert parse_color("#fff") == parse_color("#ffff") == parse_color("white") == lab_of_hex("#ffffff")
    assert parse_color("hsl(0 100% 50%)") == parse_color("hwb(0 0% 0%)") == lab_of_hex("#ff0000")
    for text in (
        "oklch(62.7955% 0.257683 29.2339)",
        "oklab(0.627955 0.224863 0.125846)",
        "color(srgb 1 0 0)",
        "lab(54.2905 80.8049 69.891)",
    ):
        assert parse_color(text) == pytest.approx(lab_of_hex("#ff0000"), abs=2e-3)
    of_xyz = lab(np.array([0.2, 0.3, 0.4]), np.array([0.95046, 1, 1.08906]))
    assert parse_color("color(xyz-d65 0.2 0.3 0.4)") == pytest.approx(of_xyz, abs=1e-3)


@pytest.mark.parametrize(("text", "xy", "luminance"), [("display-p3", (0.265, 0.69), 0.691739), ("rec2020", (0.17, 0.797), 0.677998)])
def test_colors_that_no_screen_shows_keep_their_lab(text: str, xy: tuple[float, float], luminance: float) -> None:
    x, y = xy
    X, Z = x / y * luminance, (1 - x - y) / y * luminance
    green = parse_color(f"color({text} 0 1 0)")
    assert green == pytest.approx(lab(np.array([X, luminance, Z]), np.array([0.3127 / 0.329, 1.0, 0.3583 / 0.329])), abs=1e-3)
    assert green[1] < lab_of_hex("#00ff00")[1] - 25
    driver = catalog.make_driver("color-mixing", {}, seed=0)
    goal = catalog.make_goal(f"match-color:color({text} 0 1 0)", driver)
    assert catalog.make_goal(goal.text, driver) == goal
    assert goal.target_color == pytest.approx(green, abs=1e-6)


@pytest.mark.parametrize(("text", "words"), [
    ("rebecapurple", "did you mean 'rebeccapurple'"), ("#fff8", "is transparent"), ("rgb(1 2 3 / 50%)", "is transparent"),
    ("transparent", "is transparent"), ("rgb(1 2 3 / none)", "is transparent"), ("rgb(0 300 0)", "beyond the limits of srgb"),
    ("shiny", "or a color of CSS such as"),
])  # fmt: skip
def test_a_refused_color_says_what_to_write(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(words)):
        parse_color(text)


def test_importing_the_package_does_not_read_the_colors_of_css() -> None:
    words = [sys.executable, "-X", "importtime", "-c", "import frugaltwin, frugaltwin.color"]
    assert "coloraide" not in subprocess.run(words, capture_output=True, text=True, check=True).stderr
