"""The state of a decision: all that a strategy may depend on, as plain data that can be pickled, and what it answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Experiment, Settings, Trial, html_table, quantity, significant
from frugaltwin.goals import Goal
from frugaltwin.log import RELATIONS, Preference, Rejection, Relation
from frugaltwin.prices import Price


@dataclass(frozen=True)
class Earlier:
    """Another campaign's trials, from which a strategy may learn."""

    experiment: Experiment
    """The experiment of its lab. That of a sister lab may have other parameters."""
    trials: Sequence[Trial]
    """As they stand after corrections, in the order of their numbers, failed and retracted ones included."""
    relation: Relation
    """The relation of its lab to the lab of the state."""
    name: str = ""
    """The name of the campaign."""

    def at_fidelity(self) -> Earlier:
        """The campaign with what counts alone, by its own fidelities."""
        counted = [t for t in self.trials if self.experiment.counts(t.settings)]
        return replace(self, experiment=self.experiment.at_fidelity, trials=counted)

    def check(self, experiment: Experiment) -> None:
        """Refuse a campaign that says nothing about an experiment.

        Raises:
            InvalidInput: Nothing was measured, no outcome is the same, or the parameters of the same lab or of a twin are others.
        """
        about = f"the earlier campaign {self.name!r}"
        if not any(t.measurement for t in self.trials):
            raise InvalidInput(f"{about} has measured nothing; leave it out", field="earlier")
        own, others = ({o.name: o.unit for o in x.outcomes} for x in (experiment, self.experiment))
        if not own.items() & others.items():
            text = f"{about} measured {_few(others)} and this one measures {_few(own)}; leave it out"
            raise InvalidInput(text, field="earlier")
        own, others = ({p.name: p.unit for p in x.parameters} for x in (experiment, self.experiment))
        if self.relation != "sister" and own != others:
            text = f"{about} set {_few(others)} and this one sets {_few(own)}; only a sister lab may have other parameters"
            raise InvalidInput(text, field="earlier")

    def describe(self) -> str:
        """The name, the relation and the number of trials in one line."""
        count = len(self.trials)
        return f"{self.name} ({RELATIONS[self.relation]}, {count} trial{'s' * (count != 1)})"


def _few(names: Mapping[str, str]) -> str:
    """Some of the names, with their units."""
    words = [f"{name} [{unit}]" if unit not in ("", "1") else name for name, unit in names.items()]
    return ", ".join(words if len(words) <= 6 else [*words[:5], "…"])


@dataclass(frozen=True)
class State:
    """All that a decision may depend on. A campaign makes it (`Campaign.state`), or a person at a notebook."""

    goal: Goal
    trials: Sequence[Trial] = ()
    """As they stand after corrections, in the order of their numbers, failed and retracted ones included."""
    pending: Sequence[Settings] = ()
    """Settings that are being performed; their outcomes are not known yet."""
    rejections: Sequence[Rejection] = ()
    """Suggestions that were turned down since the last trial."""
    preferences: Sequence[Preference] = ()
    """Judgments of people between trials, oldest first."""
    left: Amounts | None = None
    """The rest of the budget, infinity where there is no limit; None where nobody said it."""
    price: Price | None = None
    """The price of settings as the next experiment; None where nobody can say it.

    `amounts` are those of settings as the next experiment.
    """
    earlier: Sequence[Earlier] = ()
    """Trials of other campaigns; only a strategy of the kind `frugaltwin.plugins.UsesEarlier` learns from them."""

    performed: Sequence[Settings] = ()
    """Settings that the driver has performed when the next experiment begins, in order: a price depends on them.

    A rig that is connected again fills its tubes again, so only those since then count. A twin goes on, so all count.
    """

    def amounts(self, settings: Sequence[Settings]) -> Mapping[str, NDArray[np.float64]] | None:
        """The price of n checked settings, each as the next experiment: by kind of amount, [n]. None where nobody can say it."""
        last = self.performed[-1] if self.performed else None
        return self.price(settings, last, len(self.performed)) if self.price else None

    @property
    def experiment(self) -> Experiment:
        """The experiment that the goal belongs to."""
        return self.goal.experiment

    def without(self, doubts: Sequence[Doubt]) -> State:
        """The same state without the trials whose readings are doubted."""
        numbers = {doubt.number for doubt in doubts}
        return replace(self, trials=[t for t in self.trials if t.number not in numbers]) if numbers else self

    def at_fidelity(self) -> State:
        """The state for a strategy that knows no fidelities: its experiment allows no settings at which the goal does not count.

        Trials, pending and rejected settings at others are left out, trials without an outcome that the goal needs, and preferences about
        such trials.
        """
        experiment = self.experiment
        if not experiment.fidelities and not any(map(self.goal.missing, self.trials)):
            return self
        trials = [t for t in self.trials if experiment.counts(t.settings) and not self.goal.missing(t)]
        numbers = {t.number for t in trials}
        return replace(
            self,
            goal=self.goal.on(experiment.at_fidelity),
            trials=trials,
            pending=[s for s in self.pending if experiment.counts(s)],
            rejections=[r for r in self.rejections if experiment.counts(r.settings)],
            preferences=[p for p in self.preferences if {p.better, p.worse} <= numbers],
            earlier=[e.at_fidelity() for e in self.earlier],
        )

    @property
    def counted(self) -> list[Trial]:
        """The trials whose measurements count for the goal."""
        return [t for t in self.trials if self.goal.counts(t)]

    @property
    def unavailable(self) -> list[Settings]:
        """Settings that no suggestion may repeat: the pending and the rejected ones."""
        return [*self.pending, *(r.settings for r in self.rejections)]


@dataclass(frozen=True)
class Drift:
    """A slow change of what an instrument reads: a lamp that ages, a stock that evaporates."""

    name: str
    """Of the outcome, or ``score``."""
    change: float
    """The rise of readings of the same settings from the first trial to the latest."""
    deviation: float
    """Its standard deviation."""

    def __str__(self) -> str:
        moved = f"{'risen' if self.change > 0 else 'fallen'} by {significant(abs(self.change), 2)} ± {significant(self.deviation, 2)}"
        return f"readings of the same settings have {moved} ({self.name}) since the beginning; what is expected is what would be read now"


@dataclass(frozen=True)
class Prediction:
    """Prediction at n settings: the probability of every label of a map, or mean and standard deviation of numbers, or both."""

    probabilities: Mapping[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])
    """The probability [n] of every label of the goal, in their order; they add up to 1. Empty for goals with a score."""
    means: Mapping[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])
    """The mean [n] of each modeled outcome, or of ``score``, in its unit."""
    deviations: Mapping[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])
    """Their standard deviations [n]: of the quantity itself, without the noise of a reading."""
    noise: Mapping[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])
    """The standard deviations [n] of the noise of a reading, of those for which the model knows it."""
    drifts: Sequence[Drift] = field(default=(), kw_only=True)
    """The slow changes of readings that the model sees: means are those at the latest trial."""

    @property
    def reading_deviations(self) -> dict[str, NDArray[np.float64]]:
        """The standard deviations [n] of the next reading around each mean: of the quantity and of its noise together."""
        return {name: np.hypot(deviation, self.noise.get(name, 0.0)) for name, deviation in self.deviations.items()}

    @property
    def labels(self) -> list[str]:
        """The most probable label at every setting, [n]."""
        names = list(self.probabilities)
        return [names[k] for k in np.argmax(self._table, axis=0)]

    @property
    def probability(self) -> NDArray[np.float64]:
        """The probability of the most probable label, [n]."""
        highest: NDArray[np.float64] = self._table.max(axis=0)
        return highest

    @property
    def uncertainty(self) -> NDArray[np.float64]:
        """Uncertainty of the label, [n]: the entropy of the probabilities, 0 (certain) to 1 (all labels equally likely)."""
        p = self._table
        entropy: NDArray[np.float64] = -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=0) / np.log(max(len(p), 2))
        return np.clip(entropy, 0.0, 1.0)

    def _repr_html_(self) -> str:
        rows = self.rows()
        cells = [[significant(value, 3) if isinstance(value, float) else value for value in row.values()] for row in rows]
        return html_table(list(rows[0]) if rows else (), cells)

    def at(self, k: int) -> Prediction:
        """The prediction at the setting k alone."""
        parts = (
            {name: values[k : k + 1] for name, values in table.items()}
            for table in (self.probabilities, self.means, self.deviations, self.noise)
        )
        return Prediction(*parts, drifts=self.drifts)

    def rows(self) -> list[dict[str, Any]]:
        """One flat row a setting: ``label``, ``probability``, ``uncertainty``, ``p(LABEL)`` of a map; ``X_mean``, ``X_sd`` of numbers.

        ``X_sd`` is that of the next reading, its noise included.
        """
        columns: dict[str, Sequence[Any]] = {}
        around = self.reading_deviations
        if self.probabilities:
            columns |= {"label": self.labels, "probability": self.probability.tolist(), "uncertainty": self.uncertainty.tolist()}
            columns |= {f"p({label})": chances.tolist() for label, chances in self.probabilities.items()}
        for name, mean in self.means.items():
            columns |= {f"{name}_mean": mean.tolist(), f"{name}_sd": around[name].tolist()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    @property
    def _table(self) -> NDArray[np.float64]:
        return np.stack(list(self.probabilities.values()))


SHOWN = 3
"""Number of expected outcomes that are shown one by one; of more than that, the score alone."""


@dataclass(frozen=True)
class Doubt:
    """A reading that a model can hardly believe, given all the others."""

    number: int
    """Of the trial."""
    outcome: str
    """The name of the outcome, or ``score``."""
    measured: float
    expected: float
    deviation: float
    """Standard deviation of a reading around what is expected."""
    odds: float | None = None
    """The odds that it is bad, against 1; None from a model that does not know them."""

    def __str__(self) -> str:
        expected = f"{significant(self.expected, 4)} ± {significant(self.deviation, 2)}"
        odds = f" (odds of {significant(self.odds, 2)} to 1 that it is bad)" if self.odds else ""
        return f"experiment {self.number}: {self.outcome} = {significant(self.measured, 4)}, where {expected} is expected{odds}"


@dataclass(frozen=True)
class OutOfRange(Doubt):
    """A reading outside of the numbers that its outcome can have: `expected` is the middle of that range, `deviation` half its width."""

    unit: str = "1"

    def __str__(self) -> str:
        low, high = (significant(self.expected + side * self.deviation, 4) for side in (-1, 1))
        possible = f"{low} to {quantity(float(high), self.unit)}"
        return f"experiment {self.number}: {self.outcome} = {significant(self.measured, 4)}, where {possible} is possible"


@dataclass(frozen=True)
class Suggestion:
    """Settings that a strategy suggests, and why; a strategy without a model gives no reason."""

    settings: Settings
    why: str = ""
    """The reason, in words for people."""
    expected: Prediction | None = None
    """The measurement that the model expects at these settings (n = 1); None without a model."""
    worth: float | None = None
    """The improvement of the best score that the model expects of it, in the goal's unit; None where that has no meaning."""

    def as_dict(self) -> dict[str, Any]:
        """The suggestion for scripts and answers; what the strategy does not say is left out."""
        more = {"why": self.why or None, "expected": self.expected.rows()[0] if self.expected else None, "worth": self.worth}
        return {"settings": dict(self.settings)} | {name: value for name, value in more.items() if value is not None}

    def describe(self, unit: str = "") -> str:
        """The expectation in one line; empty where there is none.

        Args:
            unit: Of the goal's score.
        """
        parts, expected = [], self.expected or Prediction()
        if expected.probabilities:
            parts.append(f"{expected.labels[0]} ({expected.probability[0]:.0%})")
        names = list(expected.means) if len(expected.means) <= SHOWN else ["score"] if "score" in expected.means else []
        around = expected.reading_deviations
        for name in names:
            mean, deviation = expected.means[name][0], around[name][0]
            words = f"{name} {significant(mean, 3)} ± {significant(deviation, 2)}"
            parts.append(f"{words} {unit}" if name == "score" and unit not in ("", "1") else words)
        if self.worth is not None:
            parts.append(f"better than the best by {quantity(float(significant(self.worth, 2)), unit)} on average")
        return ", ".join(parts)
