"""The Gaussian process against gpytorch's, and its derivatives against differences."""

import math
import warnings
from typing import Any

import numpy as np
import pytest

from frugaltwin.experiment import Continuous, Experiment, Measurement, Outcome, Trial
from optimizers.models.feasibility import log_feasibility
from optimizers.models.gaussian_process import Evidence, GaussianProcess, Noise
from optimizers.models.kernels import Form, Kernel, Stationary
from optimizers.space.space import Floats, Space

FORMS: tuple[Form, ...] = ("gaussian", "matern52", "matern32")
RANDOM = np.random.default_rng(5)
X, A = RANDOM.random((23, 3)), RANDOM.random((40, 3))
Z = np.stack([np.sin(5 * X[:, 0]) + X[:, 1], np.cos(4 * X[:, 2])]) + 0.05 * RANDOM.standard_normal((2, 23))
THETA = np.log([1.3, 0.4, 0.7, 1.1, 0.08])


def kernel(form: Form = "gaussian") -> Stationary:
    return Stationary((1.0, 0.5), ((0.6, 0.5), (0.8, 0.5), (1.0, 0.7)), form, offset=0.6)


def noise(n: int = 23) -> Noise:
    return Noise.learned(n, 0.1, 0.7)


def gpytorch_model(form: Form) -> tuple[Any, Any]:
    """The same process of gpytorch, with the same hyperparameters and priors."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        import gpytorch

    amplitude, *lengths, deviation = np.exp(THETA)
    smoothness = {"matern52": 2.5, "matern32": 1.5}
    kernels = gpytorch.kernels
    own = kernels.RBFKernel(ard_num_dims=3) if form == "gaussian" else kernels.MaternKernel(smoothness[form], ard_num_dims=3)
    likelihood = gpytorch.likelihoods.GaussianLikelihood(noise_constraint=gpytorch.constraints.GreaterThan(1e-9)).double()

    class Model(gpytorch.models.ExactGP):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(torch.from_numpy(X), torch.from_numpy(Z[0]), likelihood)
            self.mean_module = gpytorch.means.ZeroMean()
            self.covar_module = kernels.ScaleKernel(own) + kernels.ConstantKernel()

        def forward(self, x: Any) -> Any:
            return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    model = Model().double()
    own.lengthscale = torch.tensor([lengths], dtype=torch.double)
    model.covar_module.kernels[0].outputscale = amplitude**2
    model.covar_module.kernels[1].constant = torch.tensor([0.36], dtype=torch.double)
    likelihood.noise = deviation**2 + 1e-8  # ours has that jitter
    return model, likelihood


@pytest.mark.parametrize("form", FORMS)
def test_posterior_and_evidence_are_those_of_gpytorch(form: Form) -> None:
    import torch

    model, likelihood = gpytorch_model(form)
    import gpytorch

    ours = GaussianProcess(kernel(form), X, Z[:1], noise(), THETA)
    mean, deviation = ours.expected(A)
    value, gradient = Evidence(kernel(form), X, Z[:1], noise()).likelihood(THETA)
    theirs = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)(model(model.train_inputs[0]), model.train_targets) * len(X)
    assert value == pytest.approx(theirs.item(), abs=1e-6)
    theirs.backward()
    # d/dlog(length) = length · d/dlength, and gpytorch's raw parameter is behind a softplus.
    raw = model.covar_module.kernels[0].base_kernel.raw_lengthscale
    slope = raw.grad[0] * torch.exp(torch.from_numpy(THETA[1:4])) / torch.sigmoid(raw.detach()[0])
    assert gradient[1:4] == pytest.approx(slope.numpy(), abs=1e-6)
    model.eval()
    likelihood.eval()
    with torch.no_grad(), gpytorch.settings.fast_pred_var(False):
        posterior = model(torch.from_numpy(A))
    assert mean[:, 0] == pytest.approx(posterior.mean.numpy(), abs=1e-6)
    assert deviation[:, 0] == pytest.approx(posterior.variance.sqrt().numpy(), abs=1e-6)
    assert ours.covariance(A)[0] == pytest.approx(posterior.covariance_matrix.numpy(), abs=1e-6)


def differences(function: Any, at: Floats, step: float = 1e-5) -> Floats:
    """Derivatives of a function of [k] numbers by differences, [k]."""
    return np.array([(function(at + d) - function(at - d)) / (2 * step) for d in step * np.eye(len(at))])


@pytest.mark.parametrize("is_drifting", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_differences(form: Form, is_drifting: bool) -> None:
    shapes = np.stack([np.ones((2, 23)), RANDOM.random((2, 23))])
    own = Noise(np.array([[0.1, 0.7], [0.2, 1.0]]), shapes, 0.01 * RANDOM.random((2, 23)))
    theta = np.append(THETA, math.log(0.2))
    if is_drifting:
        own, theta = own.drifting(RANDOM.standard_normal((2, 23)), 0.1, 1.0), np.append(theta, math.log(0.5))
    evidence = Evidence(kernel(form), X, Z, own)
    assert evidence(theta)[1] == pytest.approx(differences(lambda t: evidence(t)[0], theta), rel=1e-5, abs=1e-5)
    model = GaussianProcess(kernel(form), X, Z[:1], noise(), THETA)
    paths = GaussianProcess(kernel(form), X, Z, own, theta).paths(6, seed=1)
    pull = RANDOM.standard_normal((6, 1, 2))
    for a in A[:3]:
        mean, deviation = (differences(lambda x, k=k: float(model.expected(x[None])[k][0, 0]), a) for k in (0, 1))
        assert model.expected_slopes(a[None])[2][0] == pytest.approx(mean, rel=1e-4, abs=1e-5)
        assert model.expected_slopes(a[None])[3][0] == pytest.approx(deviation, rel=1e-4, abs=1e-5)
        along = differences(lambda x: float((paths(x[None]) * pull).sum()), a)
        assert paths.slopes(a[None], pull)[0] == pytest.approx(along, rel=1e-4, abs=1e-5)


def test_leaving_a_reading_out_is_learning_from_the_others() -> None:
    own = Noise.known(0.01 + 0.1 * RANDOM.random((2, 23)))
    model = GaussianProcess(kernel(), X, Z, own, THETA[:4])
    mean, deviation = model.left_out()
    others = np.arange(23) != 4
    less = GaussianProcess(kernel(), X[others], Z[:, others], own.at(others), THETA[:4])
    expected, around = less.expected(X[4:5])
    assert mean[:, 4] == pytest.approx(expected[0], abs=1e-6)
    assert deviation[:, 4] ** 2 == pytest.approx(around[0] ** 2 + own.given[:, 4], abs=1e-6)


def test_a_drift_is_what_the_readings_share_and_the_function_has_not() -> None:
    """By the joint normal distribution of the readings, the function at other points and the heights of the drift, written out."""
    courses, theta = RANDOM.standard_normal((2, 23)), np.append(THETA, math.log(0.8))
    model = GaussianProcess(kernel(), X, Z, noise().drifting(courses, 0.1, 1.0), theta)
    both = kernel().covariance(THETA[:4], np.concatenate([X, A]), np.concatenate([X, A]))
    heights = 0.64 * courses
    readings = both[:23, :23] + courses.T @ heights + (math.exp(2 * THETA[4]) + 1e-8) * np.eye(23)
    mean, deviation = model.expected(A)
    assert mean == pytest.approx(both[23:, :23] @ np.linalg.solve(readings, Z.T), abs=1e-6)
    left = both[23:, 23:] - both[23:, :23] @ np.linalg.solve(readings, both[:23, 23:])
    assert deviation[:, 0] ** 2 == pytest.approx(left.diagonal(), abs=1e-6)
    found, variance = model.drift
    assert found == pytest.approx(Z @ np.linalg.solve(readings, heights.T), abs=1e-6)
    assert variance[0] == pytest.approx(0.64 * np.eye(2) - heights @ np.linalg.solve(readings, heights.T), abs=1e-6)
    values = np.concatenate([model.paths(500, seed)(A) for seed in range(8)])
    assert np.abs(values.mean(0) - mean).max() < 1e-9
    assert values.std(0) == pytest.approx(np.repeat(deviation, 2, axis=1), rel=0.2)
    later = model.conditioned_on(A[:2])
    assert later.mean(A) == pytest.approx(mean, abs=1e-6)
    assert (later.expected(A[:2])[1] < deviation[:2]).all()


@pytest.mark.parametrize("form", FORMS)
def test_sample_paths_have_the_moments_of_the_posterior(form: Form) -> None:
    model = GaussianProcess(kernel(form), X, Z, noise(), THETA)
    mean, deviation = model.expected(A)
    values = np.concatenate([model.paths(500, seed)(A) for seed in range(8)])
    assert np.abs(values.mean(0) - mean).max() < 1e-9
    assert values.std(0) == pytest.approx(np.repeat(deviation, 2, axis=1), rel=0.2)


def test_hyperparameters_that_made_the_data_are_found_again_and_their_doubt_is_that_of_the_prior_without_data() -> None:
    random = np.random.default_rng(1)
    many = random.random((120, 3))
    own: Kernel = kernel()
    L = np.linalg.cholesky(own.covariance(THETA[:4], many, many) + 0.08**2 * np.eye(120))
    Z = (L @ random.standard_normal((120, 3))).T
    evidence = Evidence(own, many, Z, noise(120))
    found = evidence.maximized()
    assert found == pytest.approx(THETA, abs=0.35)
    assert np.abs(evidence(found)[1]).max() < 0.05
    nothing = Evidence(own, many[:1], np.zeros((1, 1)), Noise.known(np.full(1, 1e6)))
    drawn = nothing.draws(nothing.likeliest, 4000, random)
    assert drawn.std(0) == pytest.approx(own.priors[:, 1], rel=0.05, abs=0.25)


def test_pending_points_count_as_if_they_read_what_is_expected() -> None:
    model = GaussianProcess(kernel(), X, Z, noise(), THETA)
    later = model.conditioned_on(A[:2])
    assert later.mean(A) == pytest.approx(model.mean(A), abs=1e-6)
    assert (later.expected(A[:2])[1] < 0.75 * model.expected(A[:2])[1]).all()


def test_the_gradient_of_the_chance_to_succeed_is_that_of_differences() -> None:
    parameters = tuple(Continuous(name, 0.0, 1.0) for name in "abc")
    space = Space.of(Experiment("box", parameters, (Outcome("y"),)))
    trials = [Trial(k, space.decode(x), None if x[0] > 0.6 else Measurement({"y": 0.0})) for k, x in enumerate(X)]
    chance = log_feasibility(space, trials)
    values, slopes = chance.slopes(A[:5])
    assert values == pytest.approx(chance.values(A[:5]))
    for a, slope in zip(A[:5], slopes, strict=True):
        assert slope == pytest.approx(differences(lambda x: float(chance.values(x[None])[0]), a), rel=1e-4, abs=1e-5)
