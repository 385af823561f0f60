"""A Gaussian process regression of one number, in its unit."""

import math
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from optimizers.models.gaussian_process import Evidence, GaussianProcess, Noise
from optimizers.models.kernels import Form, Stationary
from optimizers.models.spread import spread
from optimizers.space.space import Floats, Space

_DRAWS = 16  # of the hyperparameters, for what is told to people
_WIDTH = 2.0  # of these draws: with it, about nine of ten readings to come lie in intervals of 90 %
_MOST_FITTED = 64  # readings that the hyperparameters are learned from
_DRIFT = (0.1, 1.0)  # over a campaign, in units of the spread: likeliest size, and standard deviation of its logarithm
_TO_DRIFT = 8  # readings from which on a drift is looked for
_NOTABLE = 1.0  # squared size of a drift in units of its standard deviation, from which on a model with it is fitted
_DRIFTS = 0.5  # logarithm of the factor by which the readings must be likelier with a drift than without
_DIGITS = 10  # of a reading in units of the spread: the unit that a person chose has no say in those behind


@dataclass(frozen=True)
class Prior:
    """Beliefs about a number before it is measured. Pairs are log-normal: likeliest value, and standard deviation of the logarithm.

    Amplitude, noise and offset are in units of the readings' standard deviation, the length per root of the number of parameters.
    """

    amplitude: tuple[float, float] = (1.0, 0.1)
    noise: tuple[float, float] = (0.01, 1.5)
    length: tuple[float, float] = (0.3, 1.0)
    name: tuple[float, float] = (1.0, 1.0)
    """Length of the column of a name of a categorical parameter."""
    form: Form = "matern52"
    offset: float = 1.0

    def kernel(self, space: Space) -> Stationary:
        """The kernel of a space: every name of a categorical parameter has a length scale of its own."""
        names = {first + i for first, n in space.choices for i in range(n)}
        likeliest = self.length[0] * math.sqrt(max(space.size - len(names) + len(space.choices), 1))
        lengths = [self.name if column in names else (likeliest, self.length[1]) for column in range(space.size)]
        return Stationary(self.amplitude, tuple(lengths), self.form, self.offset)


@dataclass(frozen=True)
class Doubtful:
    """A reading that is hardly to be believed."""

    number: int
    expected: float
    deviation: float
    """Standard deviation of a reading around what is expected."""
    odds: float
    """That it is bad."""


_BAD = 0.01  # share of readings that are bad, before anything is known of them
_ANYTHING = 10.0  # width of a Cauchy distribution of bad readings, in units of the spread of the good ones: slipped decimals
_ODDS = 20.0  # that a reading is bad, from which on it is left out
_SURE = 30.0  # logarithm of the largest odds that are told
_FEWEST = 8  # readings below which nothing is said
_SHARE = 4  # of so many readings, one may be doubted
_FAR = 4.0  # times as far from what the others make expect as these usually are: worth a closer look
_USUAL = 0.5
_WIDE = (2.0, 0.1, 0.6)
"""Amplitude, noise and length per root of the dimension of the unit box for doubts: a bad reading would spoil those that are fitted."""


class Regression:
    """The posterior of a number after n readings of it; its hyperparameters maximize their posterior."""

    def __init__(
        self, space: Space, X: Floats, readings: Floats, typical: float = 0.0, prior: Prior | None = None, times: Floats | None = None
    ) -> None:
        """Learn from readings [n] at points X [n, D].

        Args:
            typical: The size of a reading, in its unit, where all those measured are 0.
            prior: Beliefs about it; those about a score without.
            times: When they were read [n], in any unit, should the readings drift; what is expected is then what would be read at the
                latest of these times.
        """
        self.X, self._readings, self._typical = X, readings, typical
        self._space, self._prior = space, prior or Prior()
        self.center = float(readings.mean())
        away = readings - self.center
        self.spread = spread(readings) or float(np.abs(readings).max()) or abs(typical) or 1.0
        self._z = np.round(away / self.spread, _DIGITS) if spread(readings) else 0 * away
        self._kernel, self._times = self._prior.kernel(space), times
        self._noise = Noise.learned(len(X), *self._prior.noise)
        self.model = self._with(self._evidence.maximized())
        """In units of the spread of the readings."""
        if times is not None and len(X) >= _TO_DRIFT and np.ptp(times) > 0:
            self._look_for_drift((times - times.max()) / np.ptp(times))

    def _look_for_drift(self, t: Floats) -> None:
        """Learn with a drift, where it makes the readings much likelier; at times t [n] from -1 to 0."""
        if float(self.model.evidence_of(t)[0]) < _NOTABLE:
            return
        steady = self._noise, self.model
        before = self._evidence(self.model.theta)[0]
        self._noise = self._noise.drifting(np.stack([t, t * (t + 1)]), *_DRIFT)
        evidence = self._evidence
        starts = [np.append(self.model.theta, math.log(_DRIFT[0])), evidence.likeliest]
        theta = evidence.maximized(starts)
        if evidence(theta)[0] - before < _DRIFTS:
            self._noise, self.model = steady
        else:
            self.model = self._with(theta)

    @property
    def has_drift(self) -> bool:
        """Whether the readings are likelier with a drift than without."""
        return self._noise.drift is not None

    @property
    def drift(self) -> tuple[float, float]:
        """The rise of readings of the same settings over the campaign, and its standard deviation; 0 where there is no drift."""
        if not self.has_drift:
            return 0.0, 0.0
        height, variance = self.model.drift
        return self.spread * float(height[0, 0]), self.spread * math.sqrt(float(variance[0, 0, 0]))

    @property
    def _evidence(self) -> Evidence:
        """Of as many readings as hyperparameters are learned from: of more, the best half and a random half of the others."""
        n = len(self.X)
        if n <= _MOST_FITTED:
            return Evidence(self._kernel, self.X, self._z[None], self._noise)
        order, half = np.argsort(-self._z, kind="stable"), _MOST_FITTED // 2
        rows = np.concatenate([order[:half], np.random.default_rng(n).permutation(order[half:])[: _MOST_FITTED - half]])
        return Evidence(self._kernel, self.X[rows], self._z[None, rows], self._noise.at(rows))

    def _with(self, theta: Floats) -> GaussianProcess:
        return GaussianProcess(self._kernel, self.X, self._z[None], self._noise, theta)

    @property
    def noise(self) -> float:
        """Standard deviation of the noise of a reading."""
        return self.spread * math.sqrt(float(self.model.reading_variance[0]))

    def conditioned_on(self, busy: Floats, failed: Floats | None = None) -> Self:
        """The same, once points busy [p, D] will have been measured, should they read what is expected of them.

        Args:
            failed: Points [k, D] that count as measured, too, and as no better than the best reading.
        """
        later = copy(self)
        model = self.model if failed is None else self.model.conditioned_on(failed, float(self._z.max()))
        later.model = model.conditioned_on(busy)
        return later

    @cached_property
    def ensemble(self) -> list[GaussianProcess]:
        """Posteriors with hyperparameters that the readings leave open, equally probable: one alone is too sure of itself."""
        drawn = self._evidence.draws(self.model.theta, _DRAWS, np.random.default_rng(len(self.X)), _WIDTH)
        return [self._with(theta) for theta in drawn]

    def averaged(self, X: Floats) -> tuple[Floats, Floats, Floats]:
        """Mean [b] and standard deviation [b] at points X [b, D] over all of them, and standard deviation [b] of the noise of a reading."""
        moments = [model.expected(X) for model in self.ensemble]
        means = np.stack([mean[:, 0] for mean, _ in moments])
        variances = np.stack([deviation[:, 0] ** 2 for _, deviation in moments])
        noise = math.sqrt(float(np.mean([model.reading_variance[0] for model in self.ensemble])))
        deviation = np.sqrt(variances.mean(0) + means.var(0))
        return self.center + self.spread * means.mean(0), self.spread * deviation, np.full(len(X), self.spread * noise)

    def expected(self, X: Floats) -> tuple[Floats, Floats]:
        """Mean [b] and standard deviation [b] at points X [b, D], without the noise of a reading."""
        mean, deviation = self.model.expected(X)
        return self.center + self.spread * mean[:, 0], self.spread * deviation[:, 0]

    def paths(self, n: int, seed: int) -> Callable[[Floats], Floats]:
        """n (even) equally probable functions of points X [b, D], [n, b], of all posteriors of the ensemble."""
        share = 2 * math.ceil(n / 2 / _DRAWS)
        drawn = [model.paths(share, seed + k) for k, model in enumerate(self.ensemble)]
        order = np.random.default_rng(seed).permutation(share * len(drawn))[:n]
        return lambda X: self.center + self.spread * np.concatenate([paths(X)[..., 0] for paths in drawn])[order]

    @cached_property
    def log_evidence(self) -> float:
        """The logarithm of the density of the readings, in their unit, with the likeliest hyperparameters and their prior."""
        evidence = Evidence(self._kernel, self.X, self._z[None], self._noise)
        return evidence(self.model.theta)[0] - len(self.X) * math.log(self.spread)

    def doubts(self) -> Iterator[Doubtful]:
        """The readings that are hardly to be believed, given the others.

        Two explanations of a reading that is far from all others are compared: the process alone, and the process for the others
        alone, while this one may be anything. Both are fitted anew, for a bad reading spoils what is fitted to it.
        """
        kept, model = np.arange(len(self.X)), self
        while len(kept) >= max(_FEWEST, len(self.X) - len(self.X) // _SHARE):
            found = max(filter(None, (model._without(k) for k in model._suspects())), key=lambda pair: pair[0].odds, default=None)
            if found is None or found[0].odds < _ODDS:
                return
            doubtful, model = found
            yield replace(doubtful, number=int(kept[doubtful.number]))
            kept = np.delete(kept, doubtful.number)

    def _suspects(self) -> set[int]:
        """The readings that are farthest from what all others make expect: for this posterior, and for one that was not fitted."""
        D, n = self.X.shape[1], len(self.X)
        values = np.array([_WIDE[0], *[_WIDE[2] * math.sqrt(D)] * D])
        wide = Stationary((1.0, 1.0), ((1.0, 1.0),) * D)
        middle = float(np.median(self._z))
        unit = 1.4826 * float(np.median(np.abs(self._z - middle))) or 1.0
        plain = GaussianProcess(wide, self.X, (self._z[None] - middle) / unit, Noise.known(np.full(n, _WIDE[1] ** 2)), np.log(values))
        found = set()
        for model in (plain, self.model):
            expected, around = model.left_out()
            away = np.abs(model.Z - expected)[0] / around[0]
            k = int(away.argmax())
            if away[k] > _FAR * max(1.4826 * float(np.median(np.delete(away, k))), _USUAL):
                found.add(k)
        return found

    def _without(self, k: int) -> tuple[Doubtful, Self]:
        """The reading k with the odds that it is bad, and what is learned from the others."""
        times = None if self._times is None else np.delete(self._times, k)
        less = type(self)(self._space, np.delete(self.X, k, axis=0), np.delete(self._readings, k), self._typical, self._prior, times)
        mean, deviation = less.expected(self.X[k : k + 1])
        scale = _ANYTHING * less.spread
        away = (float(self._readings[k]) - less.center) / scale
        anything = -math.log(math.pi * scale) - math.log1p(away * away)
        log_odds = less.log_evidence + anything - self.log_evidence + math.log(_BAD / (1 - _BAD))
        return Doubtful(k, float(mean[0]), math.hypot(float(deviation[0]), less.noise), math.exp(min(log_odds, _SURE))), less
