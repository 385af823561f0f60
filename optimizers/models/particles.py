"""The posterior over families of free energies and their parameters, as particles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optimizers.models.families import Axes, Codes, Family, families
from optimizers.models.mapping import Integers
from optimizers.space.space import Floats

_PRIOR = 500  # particles before anything was measured
_KEPT = 128  # afterwards
_MOVES = 3  # of all particles, after each resampling
_ERRORS = np.array([0.003, 0.02, 0.08])  # shares of labels that may be wrong
_ERROR_WEIGHTS = np.array([0.5, 0.35, 0.15])
_TWICE = 1.5  # what it costs, in logarithms of a chance, that two fields have the same label
_UNSEEN = 0.05  # share of a field that nobody measured which a label takes that has another field
_AFRESH = 36  # labels up to which a cloud is made from the prior
_EARLY = 8  # labels before which no family is left out
_LOST = 5.0  # how far, in logarithms of evidence, a family may be behind before it is left out
_FEWEST = 12  # particles of a family of which a map is drawn
_ENOUGH = 0.02  # odds of a family below which nothing is drawn of it
_DRAWN = 96  # particles of which a map is drawn


@dataclass(frozen=True)
class Cloud:
    """Equally probable parameters of one family, and the evidence for it."""

    family: Family
    z: Floats
    """[k, size]"""
    evidence: float
    """The logarithm of the chance of all labels so far."""
    n_labels: int
    """The number of these labels."""


class FreeEnergies:
    """Families of free energies, each with the odds that the labels give it, as a model of a map."""

    def __init__(self, clouds: Sequence[Cloud], X: Floats, labels: Integers, n_labels: int) -> None:
        """Read labels [n], at points X [n, D], of which the clouds are the posterior."""
        evidence = np.array([cloud.evidence for cloud in clouds])
        odds = np.exp(evidence - evidence.max())
        self.odds = {cloud.family.name: float(o) for cloud, o in zip(clouds, odds / odds.sum(), strict=True)}
        self.clouds = tuple(clouds)
        self._parts: list[tuple[Family, Floats, Floats, float]] = []
        for cloud, odd in zip(clouds, odds / odds.sum(), strict=True):
            if odd >= _ENOUGH:
                k = int(np.clip(round(_DRAWN * odd), _FEWEST, min(_DRAWN, len(cloud.z))))
                z = cloud.z[np.linspace(0, len(cloud.z) - 1, k).astype(int)]
                tables = _labels_of_fields(cloud.family, cloud.family.fields(z, X), labels, n_labels)
                self._parts.append((cloud.family, z, tables, float(odd)))
        self._total = sum(odd for *_, odd in self._parts)
        self._latest: tuple[bytes, Floats, Floats] = (b"", X, X)

    def drawn(self, X: Floats) -> tuple[Floats, Floats]:
        """The chances [b, C] of every label at points X [b, D], and their largest variance [b] over the worlds that may be."""
        key = X.tobytes()
        if self._latest[0] != key:
            tables, weights = self.worlds(X)
            mean = np.einsum("k,kbc->bc", weights, tables)
            self._latest = key, mean, np.einsum("k,kbc->bc", weights, (tables - mean) ** 2).max(1)
        return self._latest[1:]

    def worlds(self, X: Floats) -> tuple[Floats, Floats]:
        """Chances [k, b, C] of every label at points X [b, D] in each of the worlds that may be, and their weights [k]."""
        tables, weights = [], []
        for family, z, homes, odd in self._parts:
            tables.append(homes[np.arange(len(z))[:, None], family.fields(z, X)])
            weights.append(np.full(len(z), odd / self._total / len(z)))
        return np.concatenate(tables), np.concatenate(weights)

    def chances(self, X: Tensor) -> Tensor:
        """The chance [b, C] of every label at points X [b, D]; without a gradient."""
        return torch.from_numpy(self.drawn(X.detach().numpy())[0].copy())

    def openness(self, X: Tensor) -> Tensor:
        """The logarithm of the largest standard deviation of the chances over the worlds at points X [b, D], [b]."""
        return torch.from_numpy(np.log(self.drawn(X.detach().numpy())[1] + 1e-18) / 2)


def inferred(axes: Axes, X: Floats, labels: Integers, n_labels: int, before: Sequence[Cloud], is_exam: bool) -> list[Cloud]:
    """The clouds after labels [n] at points X [n, D].

    As long as it takes little time each is made from the prior: clouds that are moved on stick to what they believed early.

    Args:
        before: Those after the first ones of these labels, of families that may still be; empty at first.
        is_exam: Whether one of the families that were left out gets another chance.
    """
    n = len(labels)
    random = np.random.default_rng((n, 2017))
    old = {cloud.family.name: cloud for cloud in before}
    known = [family for family in families(axes, n_labels) if len(set(labels.tolist())) <= family.n_codes]
    out = [family.name for family in known if family.name not in old]
    if before:
        out = out[n % len(out) :][:1] if out and is_exam and n <= _AFRESH else []
    found = []
    for family in known:
        if family.name not in old and family.name not in out:
            continue
        last = old.get(family.name)
        begun = Cloud(family, random.standard_normal((_PRIOR, family.size)), 0.0, 0) if last is None or n <= _AFRESH else last
        found.append(_moved_on(begun, X, labels, n_labels, random))
    best = max((cloud.evidence for cloud in found), default=0.0)
    return [cloud for cloud in found if n < _EARLY or cloud.evidence > best - _LOST]


def _moved_on(cloud: Cloud, X: Floats, labels: Integers, n_labels: int, random: np.random.Generator) -> Cloud:
    """The cloud with the labels that came since it was made, which are believed little by little.

    Sources: Del Moral, Doucet & Jasra, J. R. Stat. Soc. B 68 (2006) 411, doi:10.1111/j.1467-9868.2006.00553.x (tempering); ter Braak,
    Stat. Comput. 16 (2006) 239, doi:10.1007/s11222-006-8769-1 (moves along differences of particles); Vrugt et al., Int. J. Nonlinear
    Sci. Numer. Simul. 10 (2009) 273, doi:10.1515/IJNSNS.2009.10.3.273 (of some parameters at a time).
    """
    family, n, evidence, heat = cloud.family, cloud.n_labels, cloud.evidence, 0.0

    def fits(z: Floats) -> tuple[Floats, Floats]:
        codes = family.fields(z, X)
        before = _log_likelihood(family, codes[:, :n], labels[:n], n_labels)
        return before, _log_likelihood(family, codes, labels, n_labels) - before

    z = cloud.z
    base, gain = fits(z)
    while heat < 1:
        step = _step(gain, 1 - heat)
        heat = heat + step if step < 1 - heat else 1.0
        weight = np.exp(step * (gain - gain.max()))
        evidence += float(np.log(weight.mean()) + step * gain.max())
        ticks = (np.arange(_KEPT) + random.random()) / _KEPT
        chosen = np.minimum(np.searchsorted(np.cumsum(weight / weight.sum()), ticks), len(z) - 1)
        z, base, gain = z[chosen], base[chosen], gain[chosen]
        for _ in range(_MOVES):
            proposed = _moved(z, random)
            base_there, gain_there = fits(proposed)
            prior = ((z**2).sum(1) - (proposed**2).sum(1)) / 2
            accepted = np.log(random.random(_KEPT)) < prior + base_there - base + heat * (gain_there - gain)
            z[accepted], base[accepted], gain[accepted] = proposed[accepted], base_there[accepted], gain_there[accepted]
    return Cloud(family, z, evidence, len(labels))


def _step(gain: Floats, most: float) -> float:
    """The largest step, up to `most`, after which half as many particles count as are kept."""
    low, high = 0.0, most
    for k in range(20):
        step = high if k == 0 else (low + high) / 2
        weight = np.exp(step * (gain - gain.max()))
        if weight.sum() ** 2 / (weight**2).sum() >= _KEPT / 2:
            if k == 0:
                return most
            low = step
        else:
            high = step
    return max(low, 1e-3)


def _moved(z: Floats, random: np.random.Generator) -> Floats:
    """Particles [k, d], each moved along the difference of two others, in some of its parameters."""
    k, d = z.shape
    first, second = random.integers(k, size=(2, k))
    some = random.random((k, d)) < np.maximum(random.choice([0.12, 0.35, 0.9], size=(k, 1)), 1.2 / d)
    size = 1.7 / np.sqrt(2 * np.maximum(some.sum(1), 1)) * np.exp(random.standard_normal(k) / 2)
    moved: Floats = z + some * (size[:, None] * (z[first] - z[second]) + 0.03 * random.standard_normal((k, d)))
    return moved


def _counts(codes: Codes, labels: Integers, n_codes: int, n_labels: int) -> Floats:
    """The number [k, f, C] of times that a label was read in a field; codes [k, n], labels [n]."""
    k = len(codes)
    cell = (np.arange(k)[:, None] * n_codes + codes) * n_labels + labels
    return np.bincount(cell.ravel(), minlength=k * n_codes * n_labels).reshape(k, n_codes, n_labels).astype(float)


def _log_likelihood(family: Family, codes: Codes, labels: Integers, n_labels: int) -> Floats:
    """The logarithm of the chance [k] of labels [n] in fields of these numbers [k, n].

    A field has one label, nobody knows which; a share of the labels is wrong, nobody knows how large a one.
    """
    good, bad = np.log(1 - _ERRORS), np.log(_ERRORS / max(n_labels - 1, 1))
    if family.has_labels:
        right = (codes == labels).sum(1)[:, None]
        fit = right * good + (len(labels) - right) * bad
        return np.asarray(np.logaddexp.reduce(fit + np.log(_ERROR_WEIGHTS), axis=1))
    count = _counts(codes, labels, family.n_codes, n_labels)
    total = count.sum(2)
    seen = total > 0
    fit = bad * total.sum(1)[:, None] + np.stack(
        [(np.logaddexp.reduce(count * (g - b), axis=2) - np.log(n_labels)).sum(1, where=seen) for g, b in zip(good, bad, strict=True)],
        axis=1,
    )
    home = np.where(seen, count.argmax(2), -1)
    n_homes = sum(((home == label).any(1) for label in range(n_labels)), np.zeros(len(codes)))
    twice = seen.sum(1) - n_homes
    return np.asarray(np.logaddexp.reduce(fit + np.log(_ERROR_WEIGHTS), axis=1) - _TWICE * twice)


def _labels_of_fields(family: Family, codes: Codes, labels: Integers, n_labels: int) -> Floats:
    """The chance [k, f, C] of every label in every field, from the labels [n] that were read in the fields with these numbers [k, n]."""
    error = float(_ERRORS @ _ERROR_WEIGHTS)
    if family.has_labels:
        homes = np.tile(np.eye(n_labels), (len(codes), 1, 1))
    else:
        count = _counts(codes, labels, family.n_codes, n_labels)
        homes = np.exp(count * np.log((1 - error) * max(n_labels - 1, 1) / error))
        homes /= homes.sum(2, keepdims=True)
        seen = count.sum(2, keepdims=True) > 0
        free = np.clip(1 - (homes * seen).max(1, keepdims=True), _UNSEEN, 1)
        homes = np.where(seen, homes, free / free.sum(2, keepdims=True))
    mixed: Floats = homes * (1 - error) + (1 - homes) * error / max(n_labels - 1, 1)
    return mixed
