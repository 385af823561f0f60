"""A mixture of models of a map; each has the weight that its predictions have earned."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from optimizers.models.classifier import Classifier
from optimizers.models.families import Axes
from optimizers.models.mapping import Chances, Integers
from optimizers.models.particles import Cloud, FreeEnergies, inferred
from optimizers.models.votes import Votes
from optimizers.space.space import Floats

_FIRST = 6  # labels at the first examination
_GROWTH = 1.28  # of the number of labels from one examination to the next
_INFERRED_AT = (6, 12, 24, 48, 99)  # examinations at which free energies are inferred anew: at others they are those of the last one
_MISREAD = 0.01  # lowest chance that a score counts: one label that was misread is no reason to dismiss a model
_SHARE = 0.01  # of all weight that is shared out anew at each examination, so that nobody is out for good
_ASLEEP = 0.03  # weight below which a model that takes time is not fitted
_YOUNG = 20  # labels up to which it is fitted all the same
_LEAST = 1e-9  # of a worth, whose logarithm is taken

VOTES, PROCESS, ENERGIES, CORRECTED = "votes", "process", "free energies", "corrected"
_PRIOR = {VOTES: 0.1, PROCESS: 0.3, ENERGIES: 0.4, CORRECTED: 0.2}


class Model(Protocol):
    """A model of a map."""

    def chances(self, X: Tensor) -> Tensor:
        """The chance [b, C] of every label at points X [b, D]."""
        ...


@dataclass(frozen=True)
class Mixture:
    """Models of a map, and weights that add up to one."""

    models: Mapping[str, Model]
    weights: Mapping[str, float]
    n_known: int
    """The number of labels that they were fitted to."""

    def chances(self, X: Tensor) -> Tensor:
        """The chance [b, C] of every label at points X [b, D]."""
        return torch.stack([weight * self.models[name].chances(X) for name, weight in self.weights.items()]).sum(0)

    def doubt(self, X: Tensor) -> Tensor:
        """The doubt at points X [b, D], [b], as a logarithm: that of all models, or of the leader where no family of energies is in it.

        A vote doubts empty space and borders alike: least confidence. The others know besides how open the chances are: where they know
        a border well, another label tells little.
        """
        leader = self.models[self.leader]
        if isinstance(leader, Votes):
            return (1 - leader.chances(X).amax(1) + _LEAST).log()
        if ENERGIES not in self.models and isinstance(leader, Classifier):
            return leader.doubt(X)
        doubt = (1 - self.chances(X).amax(1) + _LEAST).log()
        for name, model in self.models.items():
            if isinstance(model, Classifier | FreeEnergies):
                doubt = doubt + self.weights[name] * model.openness(X) / 2
        return doubt

    @property
    def leader(self) -> str:
        """The name of the model with most weight."""
        return max(self.weights, key=lambda name: self.weights[name])

    def examined(self, X: Floats, labels: Integers) -> Mapping[str, float]:
        """The weights after the labels [n] that were read at points X [n, D] since the models were fitted."""
        if not len(labels):
            return self.weights
        chances = {name: model.chances(torch.from_numpy(X)).numpy()[np.arange(len(X)), labels] for name, model in self.models.items()}
        score = {name: float(np.log(self.weights[name]) + np.log(np.maximum(c, _MISREAD)).sum()) for name, c in chances.items()}
        top = max(score.values())
        share = {name: float(np.exp(s - top)) for name, s in score.items()}
        total, n = sum(share.values()), len(share)
        return {name: (1 - _SHARE) * s / total + _SHARE / n for name, s in share.items()}


def learned(axes: Axes, X: Floats, labels: Integers, n_labels: int) -> Mixture:
    """The mixture that follows from labels [n], numbers below n_labels, in the order in which they were read at points X [n, D].

    At examinations, ever more labels apart, the models are fitted to all labels so far; each is scored by the chances that it gave to
    those that were read until the next one (the prequential score), and its weight is multiplied by that.
    Source: Dawid, J. R. Stat. Soc. A 147 (1984) 278, doi:10.2307/2981683; Herbster & Warmuth, Machine Learning 32 (1998) 151,
    doi:10.1023/A:1007424614876 (the share that nobody loses).
    """
    exam = max(_examinations(len(labels)), default=0)
    if not exam:
        return _fitted(axes, X, labels, n_labels, None, True)
    return _fitted(axes, X, labels, n_labels, _examined(axes, X[:exam].tobytes(), labels[:exam].tobytes(), n_labels), False)


@lru_cache(maxsize=64)
def _examined(axes: Axes, points: bytes, labels: bytes, n_labels: int) -> Mixture:
    """The mixture at an examination. It follows from its arguments, and is kept for whoever asks for the next one."""
    y = np.frombuffer(labels, dtype=np.int64).copy()
    X = np.frombuffer(points).reshape(len(y), -1).copy()
    last = max(_examinations(len(y) - 1), default=0)
    before = _examined(axes, X[:last].tobytes(), y[:last].tobytes(), n_labels) if last else None
    return _fitted(axes, X, y, n_labels, before, True)


def _examinations(n: int) -> Iterator[int]:
    """The numbers of labels, up to n, at which there is an examination."""
    exam = _FIRST
    while exam <= n:
        yield exam
        exam = max(exam + 1, int(exam * _GROWTH))


def _fitted(axes: Axes, X: Floats, labels: Integers, n_labels: int, before: Mixture | None, is_exam: bool) -> Mixture:
    """The models fitted to labels [n], with the weights that they have earned since the examination before.

    Between examinations hyperparameters stay as they were.
    """
    n, known = len(labels), before.n_known if before else 0
    weights = before.examined(X[known:], labels[known:]) if before else _PRIOR
    old = before.models if before else {}
    models: dict[str, Model] = {VOTES: Votes(X, labels, n_labels)}

    def is_awake(name: str) -> bool:
        return name in weights and (n <= _YOUNG or weights[name] >= _ASLEEP)

    def process(name: str, expected: Chances | None = None) -> None:
        last = old.get(name) if n > _YOUNG and not is_exam else None
        models[name] = Classifier(X, labels, n_labels, last.values if isinstance(last, Classifier) else None, expected)

    if is_awake(PROCESS):
        process(PROCESS)
    if is_awake(ENERGIES) or is_awake(CORRECTED):
        last = old.get(ENERGIES)
        clouds: Sequence[Cloud] = last.clouds if isinstance(last, FreeEnergies) else ()
        if not (clouds and is_exam) or n in _INFERRED_AT:
            clouds = inferred(axes, X, labels, n_labels, clouds, is_exam)
        if clouds:
            energies = models[ENERGIES] = FreeEnergies(clouds, X, labels, n_labels)
            process(CORRECTED, energies.chances)
    shares = {name: weights.get(name, _SHARE) for name in models}
    if before is None and ENERGIES not in models:
        shares[PROCESS] += _PRIOR[ENERGIES] + _PRIOR[CORRECTED]
    return Mixture(models, {name: share / sum(shares.values()) for name, share in shares.items()}, n)
