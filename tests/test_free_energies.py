"""Free energies and their derivatives: the same in numpy and in torch, gradients included."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from simulator.equations import binary_equilibrium as binary
from simulator.equations import landau
from simulator.equations import ternary_equilibrium as ternary

Equation = Callable[..., Any]

LIQUID = (-120.0, 800.0, 0.3, -0.4, 9000.0, 700.0, -300.0, 1.5)  # enthalpies, entropies, three Redlich-Kister terms, a slope
COMPOSITIONS, TEMPERATURES = np.array([[1e-3, 0.2, 0.5], [0.61, 0.9, 0.999]]), np.array([[300.0], [650.0]])
MIXTURES = np.array([[0.2, 0.3, 0.5], [0.7, 0.05, 0.25], [1e-3, 0.9, 0.099]])
INTERACTIONS, CHAINS = (2.4, -0.7, 1.9, 0.8), (100.0, 1.0, 2.5)


def liquid(*constants: Any) -> binary.Solution:
    h_a, h_b, s_a, s_b, *excess, slope = constants
    return binary.Solution("liquid", (h_a, h_b), (s_a, s_b), tuple(excess), (slope,))


def of_phase(function: Equation, n: int) -> Equation:
    """The function of n variables of a liquid, as one of its variables and of its constants."""
    return lambda *values: function(liquid(*values[n:]), *values[:n])


def of_mixture(function: Equation) -> Equation:
    return lambda x, ab, ac, bc, abc, *sizes: function(ternary.Mixing(ab, ac, bc, abc, sizes), x)


POLAR = (np.array([[0.1, -0.2, 0.4], [0.3, 0.3, 0.3]]), -4.0, 2.0, 0.6, 3.0)
ALONG = (np.array([-8.0, -1.0, 0.2, 5.0]), np.array([2.0, -4.0, -3.0, 1.0]), 3.0)  # the last two: a higher minimum, and none

EQUATIONS: dict[str, tuple[Equation, tuple[Any, ...]]] = {
    **{
        f"binary {f.__name__}": (of_phase(f, 2), (COMPOSITIONS, TEMPERATURES, *LIQUID))
        for f in (binary.energy, binary.slope, binary.curvature, binary.chemical_potentials)
    },
    "binary spinodal_temperature": (of_phase(binary.spinodal_temperature, 1), (COMPOSITIONS[0], *LIQUID)),
    "binary energy of a compound": (
        lambda x, T, h, s: binary.energy(binary.Compound("AB", 0.5, h, s), x, T),
        (0.5, TEMPERATURES, -900.0, 2.0),
    ),
    **{
        f"ternary {f.__name__}, {name}": (of_mixture(f), (MIXTURES, *INTERACTIONS, *sizes))
        for f in (ternary.free_energy, ternary.excess_potentials, ternary.potentials, ternary.curvature, ternary.stability)
        for name, sizes in (("regular solution", (1.0, 1.0, 1.0)), ("Flory-Huggins", CHAINS))
    },
    "landau free_energy": (landau.free_energy, POLAR),
    "landau squared_polarization": (landau.squared_polarization, ALONG),
    "landau energy_along": (landau.energy_along, ALONG),
    "landau transition": (landau.transition, (2.0, np.array([1.0, -4.0]), 3.0, np.array([0.0, 0.1]))),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_numpy_and_torch_agree_and_gradients_of_all_variables_and_constants_are_right(name: str) -> None:
    equation, values = EQUATIONS[name]
    tensors = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]
    ours, theirs = equation(*values), equation(*tensors)
    for one, two in zip(ours, theirs, strict=True) if isinstance(ours, tuple) else [(ours, theirs)]:
        assert isinstance(two, torch.Tensor)
        np.testing.assert_allclose(two.detach().numpy(), one, rtol=1e-12, atol=1e-12 * np.abs(one).max())
    assert torch.autograd.gradcheck(equation, tensors, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("x", [[0.0, 0.4, 0.6], [0.0, 0.0, 1.0]])
def test_free_energies_and_their_gradients_are_finite_on_edges_and_corners(x: list[float]) -> None:
    point = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(ternary.free_energy(ternary.Mixing(2.0, 1.0, 0.0), point), point)
    assert torch.isfinite(slopes).all()
    end = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(binary.energy(liquid(*LIQUID), end, 300.0).sum(), end)
    assert torch.isfinite(slopes).all()


def test_no_minimum_has_no_energy_and_no_gradient() -> None:
    stiffness = torch.tensor(5.0, dtype=torch.float64, requires_grad=True)
    energy = landau.energy_along(stiffness, 1.0, 3.0)
    assert energy.item() == 0
    assert torch.autograd.grad(energy, stiffness)[0].item() == 0
