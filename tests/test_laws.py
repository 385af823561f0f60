"""Laws: what they promise over numpy and torch."""

from typing import get_args

import numpy as np
import pytest
import torch

from frugaltwin.laws import Additive, Array, BeerLambert, Exposure, KnownLaw, KubelkaMunk, Law

LAWS: list[Law] = [BeerLambert(("a", "b")), Additive(("a", "b"), Exposure((("gain", 0.0),))), KubelkaMunk(("a", "b"))]
LATENT = np.array([[0.05, 0.2], [0.4, 0.9], [1.5, 0.6]])
EXPOSURE = np.array([[1.0], [2.0], [4.0]])


def as_torch(array: Array) -> Array:
    return torch.from_numpy(array)


def test_every_known_law_is_tried() -> None:
    assert {type(law) for law in LAWS} == set(get_args(KnownLaw))


@pytest.mark.parametrize("law", LAWS)
def test_the_latent_quantity_of_its_outcomes_is_what_they_came_from(law: Law) -> None:
    exposure = EXPOSURE if law.collected else 1.0
    assert law.latent(law.outcomes(LATENT, exposure), exposure) == pytest.approx(LATENT, rel=1e-3)
    assert law.linear_in == ("a", "b")


@pytest.mark.parametrize("law", LAWS)
def test_numpy_and_torch_agree_and_gradients_pass(law: Law) -> None:
    latent = as_torch(LATENT).requires_grad_()
    outcomes = law.outcomes(latent, as_torch(EXPOSURE))
    assert outcomes.detach().numpy() == pytest.approx(law.outcomes(LATENT, EXPOSURE), rel=1e-12)
    law.latent(outcomes, as_torch(EXPOSURE)).sum().backward()
    assert latent.grad is not None
    assert latent.grad.numpy() == pytest.approx(1.0, rel=0.01)
    variance = law.reading_variance(as_torch(LATENT), as_torch(EXPOSURE), torch.ones(2))
    assert variance.numpy() == pytest.approx(law.reading_variance(LATENT, EXPOSURE, np.ones(2)), rel=1e-12)


@pytest.mark.parametrize("law", LAWS)
def test_an_error_of_a_reading_counts_as_the_slope_says(law: Law) -> None:
    exposure = EXPOSURE if law.collected else np.ones_like(EXPOSURE)
    outcomes, step = law.outcomes(LATENT, exposure), 1e-7
    slope = (law.latent(outcomes + step, exposure) - law.latent(outcomes - step, exposure)) / (2 * step)
    found = np.broadcast_to(law.reading_variance(LATENT, exposure, np.ones(2)), LATENT.shape)
    assert found == pytest.approx(slope**2, rel=1e-2)


def test_readings_beyond_what_a_law_allows_count_as_the_last_that_it_allows() -> None:
    beer, layer = BeerLambert(("a",)), KubelkaMunk(("a",))
    assert beer.latent(np.array([-1.0]))[0] == beer.latent(np.array([3e-3]))[0]
    assert layer.latent(np.array([1.2]))[0] == 0.0
