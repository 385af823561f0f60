"""The two seams of the project, who performs an experiment and who chooses the next one, and what some can do besides.

An ability that only some have is a small protocol of its own, asked for by `isinstance`. What one lacks is never faked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.diagram import Diagram
from frugaltwin.experiment import Experiment, Measurement, Outcomes, Settings, Trial
from frugaltwin.instruments import Mixer
from frugaltwin.prices import Price
from frugaltwin.state import Doubt, Earlier, Prediction, State, Suggestion


@runtime_checkable
class Driver(Protocol):
    """Performs settings on a rig or on its twin; nobody above this line can tell which."""

    @property
    def experiment(self) -> Experiment:
        """The settings that this driver takes, and the outcomes that it measures."""
        ...

    def __enter__(self) -> Self:
        """Connect. Nothing touches hardware before this."""
        ...

    def perform(self, settings: Settings) -> Measurement:
        """Set, wait, measure. Blocks until done and leaves the rig at rest. The settings have been checked.

        Raises:
            DriverError: The measurement could not be taken; the rig is at rest.
        """
        ...

    def stop(self) -> None:
        """Safe now, from any thread; the `perform` in flight raises `Stopped`."""
        ...

    def __exit__(self, *failure: object) -> None:
        """Leave the rig safe and disconnect, whatever happened. May be called twice."""
        ...


@runtime_checkable
class Strategy(Protocol):
    """Chooses what to try next. Keeps no memory: all it knows is the state that it is given."""

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        """Return `count` suggestions that the experiment allows, best first.

        The same arguments always give the same answer, so that a campaign can be resumed.

        Raises:
            InvalidInput: The goal is not one that the strategy works for.
        """
        ...


@runtime_checkable
class Recommends(Protocol):
    """A strategy with a model of the outcomes, which can say what it believes is best, tried or not."""

    def recommend(self, state: State) -> Settings:
        """The settings with the best expected score."""
        ...


@runtime_checkable
class Predicts(Protocol):
    """A strategy with a model that can say what it expects at any settings."""

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        """The measurement that the model expects at settings that have been checked, in a state in which something was measured.

        Raises:
            InvalidInput: The goal is not one that the strategy works for.
        """
        ...


@runtime_checkable
class Samples(Protocol):
    """A strategy with a model that can draw sample paths: values that the truth may have, at many settings at once.

    Fronts, constraints, the worth of a suggestion and when to stop are functions of such paths.
    """

    def sample(self, state: State, settings: Sequence[Settings], count: int, seed: int = 0) -> Mapping[str, NDArray[np.float64]]:
        """Sample paths of ``score``, and of each outcome that is modeled, in their units, in a state in which something was measured.

        Args:
            settings: The n settings; they have been checked.
            count: Number of paths.

        Returns:
            Values [count, n] by name. A row is one function of the settings, without the noise of a reading.

        Raises:
            InvalidInput: The goal is not one that the strategy works for.
        """
        ...


@runtime_checkable
class LeavesOut(Protocol):
    """A strategy with a model that can be tested on the measurements that it has: each is predicted from all others."""

    def left_out(self, state: State) -> Prediction:
        """The prediction of each trial that did not fail, in order, as if it alone had not been measured.

        The deviations may include the noise of a reading or leave it to `Prediction.noise`.

        Raises:
            InvalidInput: The goal is not one that the strategy works for.
        """
        ...


@runtime_checkable
class Doubts(Protocol):
    """A strategy with a model that says which readings it can hardly believe: a slipped decimal, a spill, a bubble."""

    def doubts(self, state: State) -> Sequence[Doubt]:
        """The readings that are far from what all others make expect, by trial; none where there are too few to say.

        Raises:
            InvalidInput: The goal is not one that the strategy works for.
        """
        ...


@runtime_checkable
class Questions(Protocol):
    """A strategy with a model that says about which readings a person is to be asked before they are stored."""

    def surprises(self, state: State, new: Trial) -> Sequence[Doubt]:
        """The readings of a new trial, at settings at which the goal counts, that are far from what those of the state make expect."""
        ...


@runtime_checkable
class UsesEarlier(Protocol):
    """A strategy that learns from trials of earlier campaigns (`State.earlier`). Others leave them aside, and displays say so."""

    def uses(self, earlier: Earlier) -> bool:
        """Whether it learns from this one."""
        ...


@runtime_checkable
class KnowsTruth(Protocol):
    """A twin that can say what a rig without random errors and without a past would measure. Never part of a measurement."""

    def truth(self, settings: Settings) -> Outcomes:
        """The noise-free outcomes.

        Raises:
            DriverError: A rig could not measure these settings (a channel would saturate, say).
        """
        ...


@runtime_checkable
class KnowsTruths(KnowsTruth, Protocol):
    """A twin whose truth is much cheaper for many settings at once."""

    def truths(self, settings: Sequence[Settings]) -> list[Outcomes]:
        """`truth` of each of them.

        Raises:
            DriverError: A rig could not measure one of them.
        """
        ...


@runtime_checkable
class UsesMixer(Protocol):
    """A driver that shows the mixer that it performs on, so that the mixer is held to its promises, too."""

    @property
    def mixer(self) -> Mixer:
        """The mixer, connected or not."""
        ...


@runtime_checkable
class KnowsDiagram(Protocol):
    """A twin that knows more of its diagram than the truth at single settings."""

    def diagram(self, at: float | None = None) -> Diagram:
        """The true diagram.

        Args:
            at: Where its section is cut, in the unit of that axis; the twin chooses without it.

        Raises:
            InvalidInput: There is nothing to cut there.
        """
        ...


@runtime_checkable
class Resumes(Protocol):
    """A driver whose state follows from what it performed: a twin, with its clock, its samples and its random numbers.

    The noise of its k-th experiment comes from (seed, k), so that a campaign reads the same whether it is interrupted or not.
    """

    def resume(self, trials: Sequence[Trial]) -> None:
        """Go on as if this driver itself, when it was new, had performed these trials; called before connecting.

        From then on it measures, bit for bit, what an uninterrupted one measures. Trials that were stopped count as not begun, and
        those that a person told were performed elsewhere: neither is one of the k. Without trials it is as good as new.
        """
        ...


@runtime_checkable
class NamesGoal(Protocol):
    """A driver that says what it is usually for."""

    @property
    def default_goal(self) -> str:
        """Objectives and requirements as one text; empty where it says nothing."""
        ...


@runtime_checkable
class CountsSupplies(Protocol):
    """A driver that knows what its experiments use up, and how much of it there was."""

    def lacking(self, trials: Sequence[Trial], settings: Settings) -> str | None:
        """Supplies that have to be refilled before these settings can be performed, in a sentence; None when there are enough.

        Args:
            trials: All that the campaign has performed: what is left follows from them.
        """
        ...

    def left(self, trials: Sequence[Trial]) -> Mapping[str, float]:
        """Amount that is left of each supply that is counted, after these trials."""
        ...


@dataclass(frozen=True)
class Attempt:
    """A trial that a campaign is about to have performed."""

    campaign: str
    """The campaign's id, which no other campaign has, of whatever name and in whatever store."""
    number: int
    """Of the trial, from 1."""
    words: Mapping[str, Any]
    """The campaign's specification: its ``name``, ``goal``, ``strategy``, ``seed``, ``budget`` and ``stop`` (a score, or None)."""


@runtime_checkable
class PerformsOnce(Protocol):
    """A driver on the far side of a network, which may have performed an attempt although its answer never came."""

    def announce(self, attempt: Attempt) -> Settings | None:
        """Announce the next `perform`. One that was begun before, in any process, is not performed again.

        Returns:
            The settings that it was begun with, if it was: they are to be performed.

        Raises:
            FrugalTwinError: The attempt cannot be made now. Nothing was performed.
        """
        ...


@runtime_checkable
class Fingerprints(Protocol):
    """A driver that depends on something outside the project, such as a file."""

    @property
    def fingerprint(self) -> str:
        """Changes when that changes."""
        ...


@runtime_checkable
class Calibrated(Protocol):
    """A driver of a rig that has calibrations. A campaign that was measured with one does not go on with another."""

    @property
    def calibration(self) -> str:
        """The id of the calibration that it works by, once connected; empty without one. It stands in each measurement's `raw`, too."""
        ...


@runtime_checkable
class Prices(Protocol):
    """A driver that can say how it prices settings, without being connected, to somebody who has hundreds of them."""

    def price(self) -> Price | None:
        """The price of its experiments; None for a remote rig that names none."""
        ...


@runtime_checkable
class StartsOthers(Protocol):
    """A driver that a file describes, and that starts or asks something of this machine, which a person has to have named here."""

    @property
    def performer(self) -> str:
        """The words of what is started or asked, and where; empty where nothing is."""
        ...


@runtime_checkable
class ByHand(Protocol):
    """A driver whose experiments a person may perform, at the cost that it estimates."""

    @property
    def sheet(self) -> Path | None:
        """The sheet on which that person finds what to do; None without one."""
        ...

    def estimate(self, settings: Settings) -> Amounts:
        """The cost of an experiment that is told without one."""
        ...


@runtime_checkable
class Estimates(Protocol):
    """A driver that can price settings before it performs them."""

    def estimate(self, settings: Settings) -> Amounts:
        """The cost that `perform` is expected to have."""
        ...
