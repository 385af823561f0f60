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
from functools import cached_property, partial
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugaltwin.experiment import Measurement, Settings, Trial
from frugaltwin.laws import Law
from frugaltwin.state import Doubt
from frugaltwin.tables import exposure, outcomes_array
from optimizers.models.doubts import doubted, surprising
from optimizers.models.gaussian_process import Evidence, GaussianProcess, Noise
from optimizers.models.gaussian_process import Paths as LatentPaths
from optimizers.models.kernels import Kernel, Stationary
from optimizers.models.law_kernel import WEIGHT, Amounts, LawKernel
from optimizers.models.outliers import Booleans, Judgment, sound
from optimizers.models.with_slopes import with_slopes
from optimizers.space.search import Acquisition
from optimizers.space.space import Floats, Space

Integers = NDArray[np.intp]

Known: TypeAlias = Sequence[tuple[Settings, Measurement]]

Score: TypeAlias = Callable[[Tensor], Tensor]
"""S equally probable functions: values [S, b] at points X [b, D] of the unit box."""

_DRAWS = 8  # of the hyperparameters, for a prediction
_WAVES = 256  # random features of a prior path
_EVERYWHERE = 128  # points that stand for the whole space
_LEFT_OUT = 1e8  # the factor of the variance of what is left out
_MOST_FITTED = 64  # measurements that the hyperparameters are learned from

# Log-normal priors, as likeliest value and standard deviation of the logarithm.
_AMPLITUDE, _LENGTH = (0.3, 1.0), (1.65, 0.7)
_DOSE, _READING = (0.02, 0.7), (0.005, 1.0)
_AMPLITUDE_ALONE, _READING_ALONE = (1.0, 0.5), (0.05, 1.5)  # without a law


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

    @cached_property
    def amounts(self) -> Amounts:
        """The amounts of the law's absorbers or sources."""
        return Amounts(self.space, self.sources)

    @cached_property
    def kernel(self) -> Kernel:
        """The prior of the latent.

        Source: length scales without a law, the mode of Hvarfner, Hellsten & Nardi, ICML (2024), arXiv:2402.02229.
        """
        D = self.space.size
        if self.law is None:
            length = (math.exp(math.sqrt(2) - 3) * math.sqrt(D), math.sqrt(3))
            return Stationary(_AMPLITUDE_ALONE, (length,) * D, offset=WEIGHT)
        return LawKernel(self.amounts, Stationary(_AMPLITUDE, (_LENGTH,) * D))

    def exposure(self, X: Any) -> Any:
        """The exposure at points X [b, D], an array or a tensor, [b, 1]; 1 where that has no meaning."""
        collected = self.law.collected if self.law else None
        if collected is None:
            return 1.0
        light: Any = exposure(self.space.experiment, collected, natural(self.space, X))
        return light[..., None]


class LawModel:
    """The posterior of m outcomes with one law, after n measurements; the hyperparameters are shared and maximize the posterior."""

    def __init__(self, inputs: Inputs, X: Floats, Y: Floats, order: Integers | None = None) -> None:
        """Learn from outcomes Y [n, m] at points X [n, D].

        Args:
            order: The numbers of the measurements [n], the best ones first: of many, the hyperparameters are learned from some.
        """
        self.inputs, self.X, self._order = inputs, X, np.arange(len(X)) if order is None else order
        exposed = inputs.exposure(X)
        self._typical = float(np.sort(exposed[:, 0])[(len(X) - 1) // 2]) if inputs.law and inputs.law.collected else 1.0
        latent = inputs.law.latent(Y, exposed) if inputs.law else Y
        self._center = latent.mean(0) * (inputs.law is None)
        scale, largest = np.sqrt(((latent - self._center) ** 2).mean(0)), np.abs(latent).max(0)
        alike = np.where(largest > 0, largest, 1.0)
        self._scale = np.where(scale > 1e-12 * largest, scale, alike)  # where all are the same, these are their size
        self.z = np.ascontiguousarray(((latent - self._center) / self._scale).T)  # [m, n]
        if inputs.law:
            u = inputs.amounts(X)
            self._coefficients = np.linalg.solve(u.T @ u + 1e-3 * np.eye(u.shape[1]), u.T @ self.z.T)  # [k, m]

    @cached_property
    def noise(self) -> Noise:
        """The errors of the readings, with their priors."""
        m, n = self.z.shape
        if self.inputs.law is None:
            return Noise(np.array([_READING_ALONE]), np.ones((1, 1, n)), np.zeros((1, n)))
        dose, reading = self._error_shapes(self.X)
        return Noise(np.array([_DOSE, _READING]), np.stack([(dose**2).sum(0), reading]), np.zeros((m, n)))

    def _error_shapes(self, X: Floats) -> tuple[Floats, Floats]:
        """At points X [b, D], how much z changes per relative error of each amount, [k, m, b], and its variance [m, b] per unit variance
        of a reading (delta method)."""
        law, u = self.inputs.law, self.inputs.amounts(X)
        assert law is not None
        dose = u.T[:, None] * self._coefficients[..., None]
        latent = (u @ self._coefficients) * self._scale
        variance = law.reading_variance(latent, self.inputs.exposure(X) / self._typical, self._scale)
        return dose, np.broadcast_to(variance.T, dose.shape[1:])

    def errors(self, X: Floats, n: int, theta: Floats, random: np.random.Generator, *, is_alike: bool = False) -> Floats:
        """n errors of readings at points X [b, D], [m, n, b]: a wrong dose shows in all outcomes.

        Args:
            is_alike: The same luck at all points: what is drawn at one does not depend on the others.
        """
        b = 1 if is_alike else len(X)
        own = random.standard_normal((len(self.z), n, b))
        if self.inputs.law is None:
            return math.exp(theta[-1]) * np.broadcast_to(own, (*own.shape[:2], len(X)))
        dose, reading = self._error_shapes(X)
        shared = np.broadcast_to(random.standard_normal((len(dose), n, b)), (len(dose), n, len(X)))
        wrong: Floats = (
            math.exp(theta[-2]) * np.einsum("kmb,ksb->msb", dose, shared) + math.exp(theta[-1]) * np.sqrt(reading)[:, None] * own
        )
        return wrong

    def errors_so_far(self, n: int, theta: Floats, random: np.random.Generator) -> Floats:
        """n errors that the measurements may have, [m, n, readings]: large ones of suspected measurements."""
        return self.errors(self.X, n, theta, random) * np.sqrt(self._robust.factor)

    def posterior(self, random: np.random.Generator | None = None) -> GaussianProcess:
        """The posterior of z, in which a measurement that is suspected of a fault counts little.

        Args:
            random: Draws hyperparameters that the measurements leave open; without it they are the likeliest ones.
        """
        theta = self._robust.theta
        if random is not None:
            (theta,) = self._evidence(self._robust.kept).draws(theta, 1, random)
        return GaussianProcess(self.inputs.kernel, self.X, self.z, _times(self.noise, self._robust.factor), theta)

    @cached_property
    def _robust(self) -> "_Robust":
        n = len(self.X)
        every = np.ones(n, dtype=bool)
        if self.inputs.law is None or n <= self.inputs.n_starts:
            return _Robust(self._evidence(every).maximized(), np.ones(n), every, None)
        kept, judgment = sound(partial(self._judged, self._evidence(every).likeliest), n)
        theta = self._evidence(kept).maximized()
        if not kept.all():
            kept, judgment = sound(partial(self._judged, theta), n)
        return _Robust(theta, judgment.inflation(kept), kept, judgment)

    def _evidence(self, kept: Booleans) -> Evidence:
        """The evidence of the measurements that are kept [n], or of many of them, the best and some others."""
        order = self._order[kept[self._order]]
        if len(order) > _MOST_FITTED:
            best, others = np.split(order, [_MOST_FITTED // 2])
            order = np.concatenate([best, np.random.default_rng(len(order)).permutation(others)[: _MOST_FITTED // 2]])
        rows = np.sort(order)
        return Evidence(self.inputs.kernel, self.X[rows], self.z[:, rows], self.noise.at(rows.tolist()))

    def _judged(self, theta: Floats, kept: Booleans) -> Judgment:
        """The judgment of all measurements by those that are kept, for these hyperparameters."""
        noise = _times(self.noise, np.where(kept, 1.0, _LEFT_OUT))
        expected, deviation = GaussianProcess(self.inputs.kernel, self.X, self.z, noise, theta).left_out()
        q = theta[-2:]
        dose, reading = self._error_shapes(self.X)
        errors = np.exp(2 * q[0]) * np.einsum("kmn,kln->nml", dose, dose) + np.exp(2 * q[1]) * reading.T[:, :, None] * np.eye(len(self.z))
        unknown = np.maximum(deviation**2 - noise.variance(q), 0.0)
        return Judgment.of(self.z, expected, unknown, errors)

    def outcomes(self, X: Any, z: Any) -> Any:
        """Outcomes [..., b, m] of z [..., b, m] at points X [b, D], arrays or tensors."""
        scale, center = (self._scale, self._center) if isinstance(z, np.ndarray) else map(torch.from_numpy, (self._scale, self._center))
        latent = z * scale + center
        return self.inputs.law.outcomes(latent, self.inputs.exposure(X)) if self.inputs.law else latent

    def _likeliest(self) -> Floats:
        """Covariance [m, n, n] of the measurements, for the hyperparameters that the prior thinks likeliest."""
        evidence = Evidence(self.inputs.kernel, self.X, self.z, self.noise)
        p = len(self.inputs.kernel.priors)
        shared = self.inputs.kernel.covariance(evidence.likeliest[:p], self.X, self.X)
        noise = np.broadcast_to(self.noise.variance(evidence.likeliest[p:]) + 1e-8, self.z.shape)
        return shared + noise[..., None] * np.eye(len(self.X))

    def left_out(self) -> tuple[Floats, Floats]:
        """Lower and upper end of one standard deviation around the expectation of every reading from all others, [n, m] each."""
        random = np.random.default_rng(6)
        parts = [self.posterior(random).left_out() if self.inputs.law is None else self._left_out(random) for _ in range(_DRAWS)]
        expectations, deviations = (np.stack(part) for part in zip(*parts, strict=True))
        expected, deviation = expectations.mean(0), np.sqrt((deviations**2).mean(0) + expectations.var(0))
        low, high = (self.outcomes(self.X, (expected + side * deviation).T) for side in (-1.0, 1.0))
        return np.minimum(low, high), np.maximum(low, high)

    def _left_out(self, random: np.random.Generator) -> tuple[Floats, Floats]:
        kept = self._robust.kept
        (theta,) = self._evidence(kept).draws(self._robust.theta, 1, random)
        judgment = self._judged(theta, kept)
        return judgment.expected, judgment.deviation

    def doubts(self) -> Iterator[tuple[int, int, float, float, float | None]]:
        """The numbers of a measurement and an outcome that are hardly to be believed, its expectation and deviation, and the odds."""
        if self.inputs.law is None:
            for k, (covariance, z) in enumerate(zip(self._likeliest(), self.z, strict=True)):
                for i, expected, deviation in doubted(covariance, z):
                    yield i, k, *self._reading(i, k, expected, deviation), None
            return
        kept, judgment = self._robust.kept, self._robust.judgment
        if judgment is None:
            return
        odds = np.exp(np.minimum(judgment.log_odds(kept), 50.0)).tolist()
        far = np.abs(self.z - judgment.expected) / judgment.deviation
        for i in np.flatnonzero(~kept).tolist():
            k = int(far[:, i].argmax())
            yield i, k, *self._reading(i, k, float(judgment.expected[k, i]), float(judgment.deviation[k, i])), odds[i]

    def surprises(self) -> Iterator[tuple[int, float, float]]:
        """The numbers of the outcomes of the last measurement that a person is to be asked about, what is expected, and its deviation."""
        for k, (covariance, z) in enumerate(zip(self._likeliest(), self.z, strict=True)):
            if (found := surprising(covariance, z)) is not None:
                yield k, *self._reading(len(z) - 1, k, *found)

    def _reading(self, i: int, k: int, expected: float, deviation: float) -> tuple[float, float]:
        """An expectation of the latent of outcome k at measurement i, and its deviation, as of a reading."""
        z = np.zeros((3, len(self.z)))
        z[:, k] = expected + deviation * np.array([0.0, 1.0, -1.0])
        middle, *ends = self.outcomes(self.X[[i, i, i]], z)[:, k].tolist()
        return middle, abs(ends[0] - ends[1]) / 2


@dataclass(frozen=True)
class _Robust:
    """The fit of a model to measurements of which some may be faulty."""

    theta: Floats
    """The likeliest hyperparameters."""
    factor: Floats
    """The factor of the variance of the errors of each measurement, [n]: large for suspected ones."""
    kept: Booleans
    """Which measurements are no faults, [n]."""
    judgment: Judgment | None
    """None where too few measurements are there to say."""


def _times(noise: Noise, factor: Floats) -> Noise:
    return Noise(noise.priors, noise.shapes * factor, noise.given)


@dataclass(frozen=True)
class _Drawn:
    """Sample paths of the outcomes with one law."""

    model: LawModel
    posterior: GaussianProcess
    paths: LatentPaths
    columns: tuple[int, ...]

    def __call__(self, X: Tensor) -> Tensor:
        return self.model.outcomes(X, with_slopes(self.paths, self.paths.slopes, X))  # type: ignore[no-any-return]

    def read(self, X: Floats, random: np.random.Generator) -> Floats:
        z = self.paths(X)
        errors = self.model.errors(X, len(z), self.posterior.theta, random, is_alike=True)
        return self.model.outcomes(X, z + np.moveaxis(errors, 0, -1))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Paths:
    """S equally probable functions from points X [b, D] of the unit box to outcomes; those that are not modeled are NaN."""

    parts: tuple[_Drawn, ...]
    n_outcomes: int

    def __call__(self, X: Tensor) -> Tensor:
        """Outcomes [S, b, m], without the noise of a reading; torch knows their derivatives."""
        return self._in_order([part(X) for part in self.parts])

    def read(self, X: Floats, seed: int) -> Floats:
        """Outcomes [S, b, m] as they may be read at points X [b, D]."""
        random = np.random.default_rng([seed, 5])
        read: Floats = self._in_order([torch.from_numpy(part.read(X, random)) for part in self.parts]).numpy()
        return read

    def some(self, n: int) -> "Paths":
        """n (even) of them."""
        return Paths(tuple(_Drawn(p.model, p.posterior, p.paths.some(n), p.columns) for p in self.parts), self.n_outcomes)

    def _in_order(self, parts: list[Tensor]) -> Tensor:
        order = [j for part in self.parts for j in part.columns]
        nothing = parts[0].new_full((*parts[0].shape[:-1], 1), torch.nan)
        return torch.cat([*parts, nothing], dim=-1)[..., [order.index(j) if j in order else -1 for j in range(self.n_outcomes)]]


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

    def paths(self, known: Known, n: int, seed: int, order: Integers | None = None) -> Paths:
        """n equally probable functions from settings to outcomes, given what was measured, for the likeliest hyperparameters.

        Args:
            order: Of the measurements, the best ones first; as they are without.
        """
        return self._drawn(self._learned(known, order), n, seed)

    def averaged_paths(self, known: Known, n: int, seed: int, order: Integers | None = None) -> list[Paths]:
        """At least n equally probable functions, as many for each of several hyperparameters that the measurements leave open."""
        learned, random = self._learned(known, order), np.random.default_rng(6)  # the same hyperparameters whatever the seed
        each = 2 * math.ceil(n / (2 * _DRAWS))
        return [self._drawn(learned, each, seed + k, random) for k in range(_DRAWS)]

    def _learned(self, known: Known, order: Integers | None) -> list[LawModel]:
        X = self.space.encode([s for s, _ in known])
        Y = outcomes_array(self.space.experiment, [m.outcomes for _, m in known])
        return [LawModel(inputs, X, Y[:, list(group)], order) for inputs, group in self.groups]

    def _drawn(self, learned: Sequence[LawModel], n: int, seed: int, random: np.random.Generator | None = None) -> Paths:
        parts = []
        for k, (model, (_, group)) in enumerate(zip(learned, self.groups, strict=True)):
            posterior = model.posterior(random)
            errors = model.errors_so_far(n // 2, posterior.theta, np.random.default_rng([seed, k, 4]))
            parts.append(_Drawn(model, posterior, posterior.paths(n, seed + k, errors, _WAVES), group))
        return Paths(tuple(parts), len(self.space.experiment.outcomes))

    def doubts(self, trials: Sequence[Trial]) -> list[Doubt]:
        """The readings of the trials that did not fail that are hardly to be believed, given the others."""
        told = [(t.number, t.happened, t.measurement.outcomes) for t in trials if t.measurement is not None]
        if not told:
            return []
        X = self.space.encode([settings for _, settings, _ in told])
        Y = outcomes_array(self.space.experiment, [outcomes for _, _, outcomes in told])
        found = []
        for inputs, group in self.groups:
            for i, k, expected, deviation, odds in LawModel(inputs, X, Y[:, list(group)]).doubts():
                number, _, outcomes = told[i]
                name = self.space.experiment.outcomes[group[k]].name
                found.append(Doubt(number, name, float(outcomes[name]), expected, deviation, odds))
        return sorted(found, key=lambda doubt: doubt.number)

    def left_out(self, known: Known) -> dict[str, tuple[Floats, Floats]]:
        """By outcome, the expectation of every reading from all others, [n], and its standard deviation, [n]."""
        found: dict[str, tuple[Floats, Floats]] = {}
        for model, (_, group) in zip(self._learned(known, None), self.groups, strict=True):
            low, high = model.left_out()
            names = [self.space.experiment.outcomes[j].name for j in group]
            found |= {name: ((low[:, k] + high[:, k]) / 2, (high[:, k] - low[:, k]) / 2) for k, name in enumerate(names)}
        return found

    def surprises(self, trials: Sequence[Trial], new: Trial) -> list[Doubt]:
        """The readings of a new trial that a person is to be asked about, given the other trials."""
        doubtful = {doubt.number for doubt in self.doubts(trials)}
        told = [t for t in (*trials, new) if t.measurement is not None and t.number not in doubtful]
        if new.measurement is None:
            return []
        X = self.space.encode([t.happened for t in told])
        Y = outcomes_array(self.space.experiment, [t.measurement.outcomes for t in told if t.measurement])
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
        everywhere = self.space.sample(_EVERYWHERE, [seed, 3])
        gains = [_gain(inputs, done, everywhere) for inputs in {inputs.law: inputs for inputs, _ in self.groups}.values()]
        return lambda X: torch.stack([gain(X) for gain in gains]).sum(0).log()


def _gain(inputs: Inputs, done: Floats, everywhere: Floats) -> Acquisition:
    """The amount by which a measurement lowers the variance of the latent at the points `everywhere` [e, D], after those `done` [n, D]."""
    kernel = inputs.kernel
    theta = np.log(kernel.priors[:, 0])

    def noise(X: Floats) -> Floats:
        if inputs.law is None:
            return np.full(len(X), _READING_ALONE[0] ** 2)
        return np.asarray((WEIGHT * _DOSE[0]) ** 2 * (inputs.amounts(X) ** 2).sum(1) + _READING[0] ** 2)

    def own(X: Floats) -> Floats:
        return kernel.variance(theta, X) + noise(X)

    def own_slopes(X: Floats, pull: Floats) -> Floats:
        slopes = kernel.variance_slopes(theta, X) + np.zeros_like(X)
        if inputs.law is not None:
            u, by_x = inputs.amounts.with_slopes(X)
            slopes += 2 * (WEIGHT * _DOSE[0]) ** 2 * (u[:, None] @ by_x)[:, 0]
        return np.asarray(pull[:, None] * slopes)

    both = np.concatenate([done, everywhere])
    L = np.linalg.cholesky(kernel.covariance(theta, done, done) + np.diag(noise(done)))
    a = torch.from_numpy(np.linalg.solve(L, kernel.covariance(theta, done, everywhere)))
    inverse = torch.from_numpy(np.linalg.inv(L).T.copy())

    def gain(X: Tensor) -> Tensor:
        with_both = with_slopes(lambda X: kernel.covariance(theta, X, both), lambda X, pull: kernel.slopes(theta, X, both, pull), X)
        b, c = with_both[:, : len(done)] @ inverse, with_both[:, len(done) :]
        lowered: Tensor = (c - b @ a).square().mean(1) / (with_slopes(own, own_slopes, X) - b.square().sum(1))
        return lowered

    return gain


def natural(space: Space, X: Any) -> Any:
    """Settings [b, d] in natural units of points X [b, D], an array or a tensor."""
    if isinstance(X, np.ndarray):
        bent = X @ space.slope.T + space.origin
        return np.where(space.unit > 0, space.unit * np.exp(np.where(space.unit > 0, bent, 0.0)), bent)
    bent = X @ torch.from_numpy(space.slope.T) + torch.from_numpy(space.origin)
    if not space.unit.any():
        return bent
    unit = torch.from_numpy(space.unit)
    return torch.where(unit > 0, unit * torch.where(unit > 0, bent, 0.0).exp(), bent)
