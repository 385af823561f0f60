"""The outcome model: a known physical law plus a Gaussian process for what the law leaves out.

Outcomes with the same law share one model. It works on a latent quantity that the law makes linear: absorbance for
`BeerLambert`, absorption over scattering for `KubelkaMunk`, signal per exposure for `Additive`, the outcome itself without a law.
In units of its root mean square,

    latent(x) = Σ w_k u_k(x) + |u(x)| r(x),     w_k ~ N(0, 3²),  r ~ GP(0, amplitude² · RBF)

where u are the amounts of the absorbers or sources, so that nothing in is nothing out; without a law, u = 1. Two errors are
learned: one proportional to the amounts (pumps), and one of the reading, which a logarithm enlarges where little light is left.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import torch
from torch import Tensor

from frugaltwin.experiment import Measurement, Settings, Trial
from frugaltwin.laws import Law
from frugaltwin.state import Doubt
from frugaltwin.tables import exposure, outcomes_array
from optimizers.models.doubts import doubted, surprising
from optimizers.space.descent import lowest_point
from optimizers.space.search import Acquisition, torch_loss
from optimizers.space.space import Floats, Space

Paths: TypeAlias = Callable[[Tensor], Tensor]
"""S equally probable functions: values [S, b] or [S, b, m] at points X [b, D] of the unit box."""

WEIGHT = 3.0  # prior standard deviation of a law's coefficients
_WAVES = 256  # random Fourier features of a prior path
_EVERYWHERE = 128  # points that stand for the whole space
_JITTER = 1e-8  # variance, of 1

# Log-normal priors, as likeliest value and standard deviation of the logarithm: amplitude, error in proportion, error of the reading.
_WITH_LAW = ((0.3, 1.0), (0.02, 0.7), (0.005, 1.0))
_WITHOUT_LAW = ((1.0, 0.5), (1e-6, 1e-3), (0.05, 1.5))


@dataclass(frozen=True)
class Inputs:
    """The inputs that a law, or no law, computes from the settings."""

    space: Space
    law: Law | None

    @property
    def sources(self) -> tuple[str, ...]:
        """The parameters that the law is linear in."""
        return self.law.linear_in if self.law else ()

    @property
    def n_starts(self) -> int:
        """The number of measurements that determine the law's coefficients, or, without a law, a plane."""
        return len(self.sources) or self.space.size + 1

    @property
    def priors(self) -> tuple[tuple[float, float], ...]:
        """Likeliest value and standard deviation of the logarithm: amplitude, error in proportion, error of the reading, length scales.

        Source: length scales without a law, the mode of Hvarfner, Hellsten & Nardi, ICML (2024), arXiv:2402.02229.
        """
        D = self.space.size
        if self.law is None:
            return (*_WITHOUT_LAW, *((math.exp(math.sqrt(2) - 3) * math.sqrt(D), math.sqrt(3)),) * D)
        return (*_WITH_LAW, *((1.65, 0.7),) * D)

    def amounts(self, X: Tensor) -> Tensor:
        """u [b, k] at points X [b, D]: 1 is the most of an absorber or source that the experiment allows."""
        if self.law is None:
            return X.new_ones(len(X), 1)
        names = [p.name for p in self.space.experiment.parameters]
        columns = [names.index(name) for name in self.sources]
        return natural(self.space, X)[:, columns] / torch.from_numpy(self.space.greatest[columns])

    def exposure(self, X: Tensor) -> Tensor:
        """The exposure at points X [b, D], [b]; 1 where that has no meaning."""
        collected = exposure(self.space.experiment, self.law.collected if self.law else None, natural(self.space, X))
        return torch.as_tensor(collected, dtype=X.dtype).expand(len(X))


def kernel(X1: Tensor, u1: Tensor, X2: Tensor, u2: Tensor, amplitude: Tensor | float, length: Tensor) -> Tensor:
    """Prior covariance [n1, n2] of the latent between points X [n, D] with amounts u [n, k]; length scales [D]."""
    square = ((X1 / length)[:, None] - X2 / length).square().sum(-1)
    return WEIGHT**2 * (u1 @ u2.T) + amplitude**2 * torch.exp(-square / 2) * _total(u1)[:, None] * _total(u2)


def _total(u: Tensor) -> Tensor:
    """|u|, [n], root mean square over the amounts u [n, k]."""
    return (u.square().mean(-1) + 1e-12).sqrt()


class LawModel:
    """The posterior of m outcomes with one law, after n measurements; the paths' hyperparameters are shared and maximize the posterior."""

    def __init__(self, inputs: Inputs, X: Tensor, Y: Tensor) -> None:
        """Learn from outcomes Y [n, m] at points X [n, D]."""
        self._inputs, self._X, self._u = inputs, X, inputs.amounts(X)
        latent = self._latent(X, Y)
        self._center = latent.mean(0) * (inputs.law is None)
        scale, largest = (latent - self._center).square().mean(0).sqrt(), latent.abs().amax(0)
        alike = torch.where(largest > 0, largest, 1.0)
        self._scale = torch.where(scale > 1e-12 * largest, scale, alike)  # where all are the same, these are their size
        self._z = ((latent - self._center) / self._scale).T  # [m, n]
        self._dose_variance, self._reading_variance = self._error_shapes()

    def _latent(self, X: Tensor, Y: Tensor) -> Tensor:
        law = self._inputs.law
        latent: Tensor = law.latent(Y, self._inputs.exposure(X)[:, None]) if law else Y
        return latent

    def _outcomes(self, X: Tensor, latent: Tensor) -> Tensor:
        law = self._inputs.law
        outcomes: Tensor = law.outcomes(latent, self._inputs.exposure(X)[:, None]) if law else latent
        return outcomes

    def _error_shapes(self) -> tuple[Tensor, Tensor]:
        """Variances [m, n] of z per unit variance of the amounts (relative) and of a reading (delta method)."""
        u, law = self._u, self._inputs.law
        if law is None:
            return torch.zeros_like(self._z), torch.ones_like(self._z)
        ridge = 1e-3 * torch.eye(u.shape[1], dtype=u.dtype)
        w = torch.linalg.solve(u.T @ u + ridge, u.T @ self._z.T)  # [k, m]
        dose = (u[:, :, None] * w).square().sum(1).T
        variance: Tensor = law.reading_variance((u @ w) * self._scale, self._inputs.exposure(self._X)[:, None], self._scale)
        return dose, variance.T.expand(len(self._z), -1)

    def _fit(self) -> None:
        priors = torch.tensor(self._inputs.priors, dtype=torch.double)
        mean, spread = priors[:, 0].log(), priors[:, 1]

        def loss(theta: Tensor) -> Tensor:
            L = torch.linalg.cholesky(self._covariance(theta.exp()))
            white = torch.linalg.solve_triangular(L, self._z[..., None], upper=False)
            likelihood = -white.square().sum() / 2 - L.diagonal(dim1=-2, dim2=-1).log().sum()
            value: Tensor = ((theta - mean) / spread).square().sum() / 2 - likelihood
            return value

        box = [(m - 4 * s, m + 4 * s) for m, s in zip(mean.tolist(), spread.tolist(), strict=True)]
        values = torch.from_numpy(lowest_point(torch_loss(loss), mean.numpy(), box)).exp()
        self._amplitude, self._length = values[0], values[3:]
        self._noise = self._noise_variance(values)
        self._L = torch.linalg.cholesky(self._covariance(values))

    def _noise_variance(self, values: Tensor) -> Tensor:
        """[m, n]"""
        return values[1] ** 2 * self._dose_variance + values[2] ** 2 * self._reading_variance + _JITTER

    def _covariance(self, values: Tensor) -> Tensor:
        """[m, n, n] of the measurements, for hyperparameters in the order of the priors."""
        shared = kernel(self._X, self._u, self._X, self._u, values[0], values[3:])
        return shared + torch.diag_embed(self._noise_variance(values))

    def doubts(self) -> Iterator[tuple[int, int, float, float]]:
        """The numbers of a measurement and an outcome that are hardly to be believed, what is expected, and its standard deviation."""
        likeliest = torch.tensor([value for value, _ in self._inputs.priors], dtype=torch.double)
        for k, (covariance, z) in enumerate(zip(self._covariance(likeliest), self._z, strict=True)):
            for i, expected, deviation in doubted(covariance, z, has_law=self._inputs.law is not None):
                yield i, k, *self._reading(i, k, expected, deviation)

    def surprises(self) -> Iterator[tuple[int, float, float]]:
        """The numbers of the outcomes of the last measurement that a person is to be asked about, what is expected, and its deviation."""
        likeliest = torch.tensor([value for value, _ in self._inputs.priors], dtype=torch.double)
        for k, (covariance, z) in enumerate(zip(self._covariance(likeliest), self._z, strict=True)):
            if (found := surprising(covariance, z)) is not None:
                yield k, *self._reading(len(z) - 1, k, *found)

    def _reading(self, i: int, k: int, expected: float, deviation: float) -> tuple[float, float]:
        """An expectation of the latent of outcome k at measurement i, and its deviation, as of a reading."""
        latent = torch.tensor([[expected], [expected + deviation], [expected - deviation]]) * self._scale[k] + self._center[k]
        middle, *ends = self._outcomes(self._X[[i, i, i]], latent)[:, 0].tolist()
        return middle, abs(ends[0] - ends[1]) / 2

    def paths(self, n: int, seed: int) -> Paths:
        """n (even) functions to outcomes [n, b, m], in pairs on either side of the mean.

        Source: Wilson et al., J. Mach. Learn. Res. 22 (2021) 105 (pathwise conditioning, with random Fourier features as prior).
        """
        self._fit()
        random = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            half = torch.randn(*shape, n // 2, generator=random, dtype=torch.double)
            return torch.cat([half, -half], dim=-1)

        m, k, D = len(self._z), self._u.shape[1], self._X.shape[1]
        frequencies = torch.randn(D, _WAVES // 2, generator=random, dtype=torch.double) / self._length[:, None]
        weights = WEIGHT * normal(m, k)
        heights = self._amplitude * normal(m, _WAVES) / math.sqrt(_WAVES / 2)

        def prior(X: Tensor, u: Tensor) -> Tensor:
            angles = X @ frequencies
            waves = torch.cat([angles.cos(), angles.sin()], dim=-1) * _total(u)[:, None]
            return u @ weights + waves @ heights  # [m, b, n]

        errors = self._noise.sqrt()[..., None] * normal(m, len(self._X))
        update = torch.cholesky_solve(self._z[..., None] - prior(self._X, self._u) - errors, self._L)

        def outcomes(X: Tensor) -> Tensor:
            u = self._inputs.amounts(X)
            z = prior(X, u) + kernel(X, u, self._X, self._u, self._amplitude, self._length) @ update
            return self._outcomes(X, z.permute(2, 1, 0) * self._scale + self._center)

        return outcomes


@dataclass(frozen=True)
class OutcomeModel:
    """Outcomes of one experiment, grouped by their law; made by `OutcomeModel.of`."""

    space: Space
    groups: tuple[tuple[Inputs, tuple[int, ...]], ...]
    """Inputs and numbers of the outcomes; an outcome without a law is alone in its group."""

    @classmethod
    def of(cls, space: Space, columns: Sequence[int]) -> Self:
        """A model of the outcomes of these numbers."""
        laws = {j: space.experiment.outcomes[j].law for j in columns}
        lawful = {law: tuple(j for j in columns if laws[j] == law) for law in laws.values() if law is not None}
        alone = [(Inputs(space, None), (j,)) for j in columns if laws[j] is None]
        return cls(space, (*((Inputs(space, law), group) for law, group in lawful.items()), *alone))

    @property
    def has_law(self) -> bool:
        """Whether a law stands behind any of the outcomes."""
        return any(inputs.law is not None for inputs, _ in self.groups)

    @property
    def n_starts(self) -> int:
        """The number of measurements that it takes to know anything of the outcomes everywhere."""
        return max((inputs.n_starts for inputs, _ in self.groups), default=1)

    def paths(self, known: Sequence[tuple[Settings, Measurement]], n: int, seed: int) -> Paths:
        """n equally probable functions from settings to outcomes, given what was measured; other outcomes are NaN."""
        X = torch.from_numpy(self.space.encode([s for s, _ in known]))
        Y = torch.from_numpy(outcomes_array(self.space.experiment, [m.outcomes for _, m in known]))
        drawn = [(list(group), LawModel(inputs, X, Y[:, list(group)]).paths(n, seed)) for inputs, group in self.groups]

        def outcomes(X: Tensor) -> Tensor:
            parts = torch.cat([path(X) for _, path in drawn], dim=-1)
            order = [j for group, _ in drawn for j in group]
            nothing = parts.new_full((n, len(X), 1), torch.nan)
            return torch.cat([parts, nothing], dim=-1)[..., [order.index(j) if j in order else -1 for j in range(Y.shape[1])]]

        return outcomes

    def doubts(self, trials: Sequence[Trial]) -> list[Doubt]:
        """The readings of the trials that did not fail that are hardly to be believed, given the others."""
        told = [(t.number, t.happened, t.measurement.outcomes) for t in trials if t.measurement is not None]
        if not told:
            return []
        X = torch.from_numpy(self.space.encode([settings for _, settings, _ in told]))
        Y = torch.from_numpy(outcomes_array(self.space.experiment, [outcomes for _, _, outcomes in told]))
        found = []
        for inputs, group in self.groups:
            for i, k, expected, deviation in LawModel(inputs, X, Y[:, list(group)]).doubts():
                number, _, outcomes = told[i]
                name = self.space.experiment.outcomes[group[k]].name
                found.append(Doubt(number, name, float(outcomes[name]), expected, deviation))
        return sorted(found, key=lambda doubt: doubt.number)

    def surprises(self, trials: Sequence[Trial], new: Trial) -> list[Doubt]:
        """The readings of a new trial that a person is to be asked about, given the other trials."""
        doubtful = {doubt.number for doubt in self.doubts(trials)}
        told = [t for t in (*trials, new) if t.measurement is not None and t.number not in doubtful]
        if new.measurement is None:
            return []
        X = torch.from_numpy(self.space.encode([t.happened for t in told]))
        Y = torch.from_numpy(outcomes_array(self.space.experiment, [t.measurement.outcomes for t in told if t.measurement]))
        found = []
        for inputs, group in self.groups:
            for k, expected, deviation in LawModel(inputs, X, Y[:, list(group)]).surprises():
                name = self.space.experiment.outcomes[group[k]].name
                found.append(Doubt(new.number, name, float(new.measurement.outcomes[name]), expected, deviation))
        return found

    def information(self, done: Floats, seed: int) -> Acquisition:
        """The logarithm of how much a measurement at points X [b, D] lowers the variance of all outcomes, averaged over the space, [b].

        Args:
            done: Points [n, D] that were measured before.

        Source: Cohn, Neural Netw. 9 (1996) 1071, doi:10.1016/0893-6080(95)00137-9 (active learning).
        """
        everywhere = torch.from_numpy(self.space.sample(_EVERYWHERE, [seed, 3]))
        before = torch.from_numpy(done)
        kinds = {inputs.law: inputs for inputs, _ in self.groups}.values()

        def gain(inputs: Inputs, X: Tensor) -> Tensor:
            amplitude, dose, reading, *lengths = (median for median, _ in inputs.priors)
            length = X.new_tensor(lengths)

            def covariance(A: Tensor, B: Tensor) -> Tensor:
                return kernel(A, inputs.amounts(A), B, inputs.amounts(B), amplitude, length)

            def noise(A: Tensor) -> Tensor:
                return (WEIGHT * dose) ** 2 * inputs.amounts(A).square().sum(-1) + reading**2

            L = torch.linalg.cholesky(covariance(before, before) + torch.diag(noise(before)))
            a = torch.linalg.solve_triangular(L, covariance(before, everywhere), upper=False)
            b = torch.linalg.solve_triangular(L, covariance(before, X), upper=False)
            own = WEIGHT**2 * inputs.amounts(X).square().sum(-1) + (amplitude * _total(inputs.amounts(X))) ** 2
            lowered: Tensor = ((covariance(everywhere, X) - a.T @ b).square() / (own - b.square().sum(0) + noise(X))).mean(0)
            return lowered

        return lambda X: torch.stack([gain(inputs, X) for inputs in kinds]).sum(0).log()


def natural(space: Space, X: Tensor) -> Tensor:
    """Settings [b, d] in natural units of points X [b, D]."""
    bent = X @ torch.from_numpy(space.slope.T) + torch.from_numpy(space.origin)
    if not space.unit.any():
        return bent
    unit = torch.from_numpy(space.unit)
    return torch.where(unit > 0, unit * torch.where(unit > 0, bent, 0.0).exp(), bent)
