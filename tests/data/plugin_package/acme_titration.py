"""Somebody else's package: a driver, a strategy, a goal and a mixer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from frugaltwin import (
    Amounts,
    Continuous,
    Experiment,
    InvalidInput,
    Measurement,
    Mixer,
    Objective,
    Outcome,
    Outcomes,
    Settings,
    State,
    Stopped,
    Suggestion,
    Trial,
    make_mixer,
    make_strategy,
)


class Titration:
    """A weak acid that is titrated with a strong base.

    The pH follows Henderson and Hasselbalch, Biochem. Z. 78 (1917) 112, between 5 % and 95 % of the base that the acid takes up.
    Set: base, the share of the acid that is neutralized. Measured: pH, with noise of 0.02.

    Options: seed of the noise, and pka of the acid.
    """

    def __init__(self, pka: float = 4.76, seed: int = 0) -> None:
        self.experiment = Experiment(
            "titration", (Continuous("base", 0.05, 0.95, "1", "share of the acid that is neutralized"),), (Outcome("pH", "1", "acidity"),)
        )
        self._pka, self._seed, self._performed, self._is_ready = pka, seed, 0, False

    def resume(self, trials: Sequence[Trial]) -> None:
        self._performed = sum(trial.source == "driver" for trial in trials)

    def __enter__(self) -> Self:
        self._is_ready = True
        return self

    def perform(self, settings: Settings) -> Measurement:
        if not self._is_ready:
            raise Stopped("the titration was stopped, or it is not connected")
        self._performed += 1
        noise = 0.02 * np.random.default_rng((self._seed, self._performed)).standard_normal()
        return Measurement({"pH": float(self.truth(settings)["pH"]) + noise}, self.estimate(settings))

    def truth(self, settings: Settings) -> Outcomes:
        base = float(settings["base"])
        return {"pH": self._pka + float(np.log10(base / (1 - base)))}

    def estimate(self, settings: Settings) -> Amounts:
        return Amounts(seconds=30.0 + 60.0 * float(settings["base"]), volume=10.0 * float(settings["base"]))

    def stop(self) -> None:
        self._is_ready = False

    def __exit__(self, *failure: object) -> None:
        self._is_ready = False


@dataclass(frozen=True)
class MiddleOut:
    """Random settings, those in the middle of the numbers first: a strategy without a model."""

    seed: int = 0

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        drawn = make_strategy("random", seed=self.seed).suggest(state, count)
        middle = {p.name: (p.low + p.high) / 2 for p in state.experiment.parameters if isinstance(p, Continuous)}
        return sorted(drawn, key=lambda s: sum(abs(float(s.settings[name]) - m) for name, m in middle.items()))


@dataclass(frozen=True)
class Approach(Objective):
    """Bring an outcome near to a value: ``approach:OUTCOME:VALUE``; the score is the distance from it."""

    outcome: str
    value: float

    name = "approach"

    @classmethod
    def parse(cls, argument: str, experiment: Experiment, draw: Callable[[int], tuple[float, float, float]], seed: int) -> Self:
        outcome, _, value = argument.rpartition(":")
        try:
            number = float(value)
        except ValueError:
            raise InvalidInput(f"approach:{argument} needs a value, such as approach:pH:7") from None
        if outcome not in [o.name for o in experiment.outcomes if not o.labels]:
            raise InvalidInput(f"{experiment.name} measures no number {outcome!r}")
        return cls(experiment, outcome, number)

    @property
    def text(self) -> str:
        return f"approach:{self.outcome}:{self.value!r}"

    @property
    def outcomes(self) -> tuple[str, ...]:
        return (self.outcome,)

    def score(self, outcomes: Any, settings: Any, amounts: Any = None) -> Any:
        return abs(outcomes[..., [o.name for o in self.experiment.outcomes].index(self.outcome)] - self.value)


def fine_pumps(words: str, **parts: Any) -> Mixer:
    """The simulated mixer with pumps that repeat a dose ten times better."""
    return make_mixer(f"simulated:{words}", **parts | {"imperfections": replace(parts["imperfections"], pump_error=0.1)})
