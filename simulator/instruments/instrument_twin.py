"""The twin of a rig: the rig's own driver over a simulated instrument, which goes on where it was left."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, Self, TypeVar

import numpy as np

from frugaltwin.amounts import Amounts
from frugaltwin.errors import DriverError, LinkError, Stopped
from frugaltwin.experiment import Experiment, Measurement, Settings, Trial
from frugaltwin.plugins import CountsSupplies, Driver, Prices
from frugaltwin.prices import Price
from simulator.instruments.experiment_noise import ExperimentNoise, performed_settings


class PricedDriver(Driver, Prices, Protocol):
    """A driver that names its price."""


Inner = TypeVar("Inner", bound=PricedDriver)


class InstrumentTwin(Generic[Inner]):
    """A driver over a simulated instrument. Satisfies `Driver`, `Prices`, `Estimates` and `Resumes`.

    What it reads follows from its seed and from the settings that it has performed, and from nothing else: the noise of the k-th
    experiment comes from (seed, k), and the instrument stands still while nobody is connected. So `resume` performs the earlier
    experiments once more, on a new instrument, when it is connected. An experiment that was stopped counts as not begun.
    """

    def __init__(self, make: Callable[[np.random.Generator], Inner], seed: int) -> None:
        """A twin without a past.

        Args:
            make: The driver over a new instrument that draws its random numbers from this generator.
        """
        self._make, self._seed = make, seed
        self._begin(())

    def _begin(self, past: Sequence[Settings]) -> None:
        """Take a new instrument, on which `past` is to be performed."""
        self._past = list(past)
        self._noise = ExperimentNoise(self._seed)
        self._driver = self._make(self._noise.random)
        self._is_ready = self._needs_person = self._is_busy = self._is_halted = False
        self._is_stopped = True  # until somebody connects

    @property
    def experiment(self) -> Experiment:
        return self._driver.experiment

    def resume(self, trials: Sequence[Trial]) -> None:
        """Go on as if this twin itself had performed the trials."""
        self._begin(performed_settings(trials))

    def __enter__(self) -> Self:
        """Connect, and bring a new instrument to where the past left it."""
        if self._is_halted:
            self._begin(self._past)
        self._is_stopped = False
        with self._in_use():
            if self._needs_person:
                self._driver.__exit__(None, None, None)
            if self._needs_person or not self._is_ready:
                self._driver.__enter__()
                self._needs_person = False
            for settings in () if self._is_ready else self._past:
                self._noise.begin()
                with contextlib.suppress(DriverError):  # it failed then, too
                    self._driver.perform(settings)
                self._check_not_stopped()
        self._is_ready = True
        return self

    def perform(self, settings: Settings) -> Measurement:
        """Perform settings with the random numbers of the next experiment. Takes no real time.

        Raises:
            Stopped: Somebody stopped it; enter it again to go on.
            DriverError: The measurement could not be taken.
        """
        self._check_not_stopped()
        with self._in_use():
            self._noise.begin()
            try:
                measurement = self._driver.perform(settings)
            except Stopped:
                raise
            except DriverError:
                self._past.append(settings)
                raise
            self._past.append(settings)
        return measurement

    def price(self) -> Price:
        """The price of its experiments."""
        price = self._driver.price()
        assert price is not None
        return price

    def estimate(self, settings: Settings) -> Amounts:
        """The cost that `perform` is expected to have, from where the past leaves the instrument."""
        return self.price().of(settings, self._past[-1] if self._past else None, len(self._past))

    def lacking(self, trials: Sequence[Trial], settings: Settings) -> str | None:
        """The supplies that have to be refilled before `settings`, in a sentence; None when there are enough, or nothing is counted."""
        return self._driver.lacking(trials, settings) if isinstance(self._driver, CountsSupplies) else None

    def left(self, trials: Sequence[Trial]) -> Mapping[str, float]:
        """Amount that is left of each supply that is counted, after these trials."""
        return self._driver.left(trials) if isinstance(self._driver, CountsSupplies) else {}

    def stop(self) -> None:
        """Stop now, from any thread; `perform` raises `Stopped` until it is entered again."""
        self._is_stopped = True
        if self._is_busy:
            self._is_halted = True
            self._driver.stop()

    def __exit__(self, *failure: object) -> None:
        """Disconnect: the simulated instrument stands still."""
        self._is_stopped = True

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        """The instrument works. One that was told to stop is not used any more; one that a person has to mend is connected again."""
        self._is_busy = True
        try:
            self._check_not_stopped()  # by a stop that came just before
            yield
        except (Stopped, LinkError):
            self._is_halted = self._is_stopped
            self._needs_person = True
            raise
        finally:
            self._is_busy = False

    def _check_not_stopped(self) -> None:
        if self._is_stopped:
            raise Stopped(f"the twin of {self.experiment.name} was stopped, or it is not connected")
