"""The promises of a mixer, whatever it is made of: simulated, a firmware on an emulated board, a rig on the table."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self, TypeAlias

from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.errors import DriverError, FrugalTwinError, RigFault, Stopped
from frugaltwin.experiment import Settings
from frugaltwin.instruments import Mixer, Reading
from frugaltwin.plugins import Driver, UsesMixer
from frugaltwin.testing.plugin import Plugin, drawn

LONG = 3600.0
"""Seconds of stirring: nothing else takes so long."""


@dataclass(frozen=True)
class MixerTrial:
    """A mixer that is tried, and all that has to be known of it. Nothing is connected yet."""

    plugin: Plugin
    driver: Driver
    """A driver that performs on the mixer, its liquids in mL among the parameters, ``water`` too. More of the first one is darker."""
    mixer: Mixer
    has_dye: bool = True
    """No: water in all bottles, so that nothing can be told by its color."""
    lag: float = 0.02
    """Seconds that a request and its answer may take."""

    @classmethod
    def of(cls, mixer: str, options: catalog.Options | None = None) -> Self:
        """A mixer of the catalog, under the driver ``color-mixing`` and with its liquids.

        Args:
            mixer: Its name, after `frugaltwin.register` or as an entry point; or in words such as ``/dev/ttyACM0``.
            options: Others of the driver, such as the sensor.

        Raises:
            UnknownName: It is neither a mixer nor like a port.
            MissingPart: Something is not installed.
        """
        given = {**(options or {}), "mixer": mixer}
        driver = catalog.make_driver("color-mixing", given)
        return cls.under(Plugin("mixer", mixer, None, given), driver)

    @classmethod
    def under(cls, plugin: Plugin, driver: Driver) -> Self:
        """The mixer that a driver performs on.

        Raises:
            AssertionError: It does not show any.
        """
        if not isinstance(driver, UsesMixer):
            raise AssertionError(f"{plugin}: its driver does not show it; give the driver an attribute `mixer`")
        return cls(plugin, driver, driver.mixer)

    def keep(self, promise: MixerPromise) -> None:
        """Hold it to a promise; it is disconnected afterwards.

        Raises:
            AssertionError: The promise is broken.
        """
        try:
            promise(self)
        finally:
            self.mixer.__exit__(None, None, None)

    def require(self, is_kept: bool, sentence: str) -> None:
        """Report a broken promise.

        Raises:
            AssertionError: It is not kept.
        """
        self.plugin.require(is_kept, sentence)

    @property
    def liquids(self) -> tuple[str, ...]:
        """The liquids of the driver, ``water`` among them."""
        return tuple(p.name for p in self.driver.experiment.parameters if getattr(p, "unit", "") == "mL")

    @property
    def dyes(self) -> tuple[str, ...]:
        """Those of them that take light away."""
        return tuple(name for name in self.liquids if name != "water")

    @property
    def recipe(self) -> Settings:
        """Settings of the driver."""
        goal = catalog.make_goal(f"minimize:{self.driver.experiment.outcomes[0].name}", self.driver)
        return drawn(goal, 1, seed=3)[0]

    @property
    def cell(self) -> float:
        """Volume that fits in, mL."""
        return self.mixer.specification.cell

    def instructions(self) -> dict[str, Callable[[], object]]:
        """One of each kind, in an order that works from a drained cell on."""
        mixer = self.mixer
        return {
            "dispense": partial(mixer.dispense, self.liquids[0], 0.5),
            "mix": partial(mixer.mix, 1.0),
            "read": mixer.read,
            "rinse": partial(mixer.rinse, 0.5),
            "drain": mixer.drain,
        }

    def empty(self) -> None:
        """Rinse twice, then drain: on connecting nobody knows what is in the cell, or in the tubes."""
        for _ in range(2):
            self.mixer.drain()
            self.mixer.rinse(self.cell / 2)
        self.mixer.drain()

    def prime(self) -> None:
        """Fill the tubes, then empty the cell."""
        self.mixer.drain()
        for liquid in self.liquids:
            self.mixer.dispense(liquid, 0.5)
        self.empty()

    def is_repeated(self, reading: float, other: float) -> bool:
        """Whether two readings may be of the same liquid."""
        return math.isclose(reading, other, rel_tol=self.mixer.specification.repeatability)


MixerPromise: TypeAlias = Callable[[MixerTrial], None]


def light(reading: Reading) -> float:
    """Counts of all channels together."""
    return float(sum(reading.counts.values()))


def pumped(mixer: Mixer) -> tuple[float, float]:
    """All that the mixer took but time: mL and money."""
    return mixer.spent.volume, mixer.spent.money


def nothing_moves_and_nothing_is_read_before_it_is_connected(trial: MixerTrial) -> None:
    """Every instruction raises `Stopped`, and nothing is spent."""
    for word, act in trial.instructions().items():
        with trial.plugin.raises(Stopped, f"at {word} before it is connected"):
            act()
    trial.require(trial.mixer.spent == Amounts(), f"it spent {trial.mixer.spent} before it was connected")


def it_says_who_it_is(trial: MixerTrial) -> None:
    """It names itself, always in the same way."""
    with trial.mixer as mixer:
        name = mixer.identify()
        trial.require(len(name) > 5, f"it calls itself {name!r}, which says neither model nor version")
        trial.require(mixer.identify() == name, "it names itself differently when it is asked again")


def a_reading_has_all_channels_within_full_scale(trial: MixerTrial) -> None:
    """Clean water gives light; all readings have the same channels, in whole counts from 0 to full scale."""
    with trial.mixer as mixer:
        trial.empty()
        mixer.rinse(trial.cell / 2)
        reading = mixer.read()
        again = mixer.read()
    trial.require(bool(reading.counts) and tuple(reading.counts) == tuple(again.counts), "two readings have different channels")
    are_counts = all(isinstance(count, int) and 0 <= count <= reading.full_scale for count in reading.counts.values())
    trial.require(are_counts, f"it read {dict(reading.counts)}; whole counts from 0 to {reading.full_scale} are right")
    trial.require(light(reading) > 0.05 * reading.full_scale, f"it sees no light through clean water: {dict(reading.counts)}")


def without_the_lamp_there_is_next_to_no_light_and_with_it_there_is_again(trial: MixerTrial) -> None:
    """The lamp is on or off as asked; a mixer that cannot read in the dark says so."""
    with trial.mixer as mixer:
        trial.empty()
        mixer.rinse(trial.cell / 2)
        if not mixer.specification.reads_dark:
            with trial.plugin.raises(RigFault, "reading without the lamp", "dark"):
                mixer.read(lamp=False)
            return
        on, *off, on_again = (light(mixer.read(lamp)) for lamp in (True, False, False, True))
    trial.require(max(off) < 0.1 * min(on, on_again), f"it reads {max(off):g} counts without the lamp and {on:g} with it")
    trial.require(trial.is_repeated(on, on_again), f"it read {on:g} counts, and {on_again:g} after the lamp was off")


def dye_takes_light_away_and_rinsing_gives_it_back(trial: MixerTrial) -> None:
    """Doses of dye darken the cell; after two rinses it is as bright as before."""
    if not trial.has_dye:
        return
    mixer, half = trial.mixer, trial.cell / 2
    with mixer:
        trial.prime()
        mixer.rinse(half)
        clean = light(mixer.read())
        mixer.drain()
        looks = []
        for dye in trial.dyes:
            mixer.dispense(dye, half / 8)
            mixer.mix(1.0)
            looks.append(light(mixer.read()))
        rinsed = []
        for _ in range(2):
            mixer.drain()
            mixer.rinse(half)
            rinsed.append(light(mixer.read()))
    trial.require(
        looks[0] < clean * (1 - mixer.specification.repeatability), f"{trial.dyes[0]} takes no light away: {looks[0]:g} of {clean:g}"
    )
    trial.require(looks[-1] < 0.6 * clean, f"with every dye in it, {looks[-1]:g} of {clean:g} counts are left")
    trial.require(looks[-1] < 0.9 * rinsed[0], f"a rinse does not bring the light back: {rinsed[0]:g} after {looks[-1]:g} counts")
    trial.require(trial.is_repeated(rinsed[1], clean), f"after two rinses it reads {rinsed[1]:g} counts, not {clean:g}")


def more_of_a_dye_is_darker_and_water_thins_it(trial: MixerTrial) -> None:
    """The darkest channel falls with each dose of a dye, and rises with water."""
    if not trial.has_dye:
        return
    mixer, dye = trial.mixer, trial.dyes[0]
    with mixer:
        trial.prime()
        mixer.rinse(trial.cell / 4)
        looks = [mixer.read()]
        for liquid in (dye, dye, "water"):
            mixer.dispense(liquid, trial.cell / 8)
            looks.append(mixer.read())
    clean, some, more, thinned = (min(look.counts.values()) for look in looks)
    trial.require(clean > some > more, f"two doses of {dye} read {some} and {more} counts, after {clean} without")
    trial.require(thinned > more, f"water does not thin: {thinned} counts after {more}")


def a_dose_costs_time_money_and_what_it_pumps(trial: MixerTrial) -> None:
    """A dose of 1 mL of each liquid is 1 mL to 10 %, and takes money and time."""
    with trial.mixer as mixer:
        mixer.drain()
        for liquid in trial.liquids:
            before = mixer.spent
            mixer.dispense(liquid, 1.0)
            cost = mixer.spent - before
            trial.require(math.isclose(cost.volume, 1.0, rel_tol=0.1), f"1 mL of {liquid} were {cost.volume:g} mL")
            trial.require(cost.money > 0, f"1 mL of {liquid} cost nothing")
            trial.require(0.3 < cost.seconds < 5, f"1 mL of {liquid} took {cost.seconds:g} s")


def no_dose_is_pumped_that_is_no_volume(trial: MixerTrial) -> None:
    """A dose of 0 pumps nothing; a volume that is negative or no number is refused, and all else still works."""
    with trial.mixer as mixer:
        mixer.drain()
        before = pumped(mixer)
        mixer.dispense(trial.liquids[0], 0.0)
        trial.require(pumped(mixer)[0] - before[0] < 0.01, "a dose of 0 mL pumps something")
        for volume in (-1.0, math.nan, math.inf):
            before = pumped(mixer)
            with trial.plugin.raises(FrugalTwinError, f"dispensing {volume} mL"):
                mixer.dispense(trial.liquids[0], volume)
            trial.require(pumped(mixer) == before, f"a dose of {volume} mL is refused and costs something")
            mixer.drain()
            mixer.rinse(1.0)


def a_price_moves_nothing_and_is_near_to_what_it_takes(trial: MixerTrial) -> None:
    """The price of an instruction is right to 10 %."""
    mixer, dye = trial.mixer, trial.liquids[0]
    with mixer:
        mixer.drain()
        tried: dict[str, tuple[float, str, Callable[[], object]]] = {
            "dispense": (1.0, dye, partial(mixer.dispense, dye, 1.0)),
            "rinse": (2.0, "water", partial(mixer.rinse, 2.0)),
            "mix": (8.0, "water", partial(mixer.mix, 8.0)),
            "read": (0.0, "water", mixer.read),
            "drain": (0.0, "water", mixer.drain),
        }
        mixer.read()  # the lamp is on from here
        for word, (amount, pump, act) in tried.items():
            before = pumped(mixer)
            price = mixer.price(word, amount, pump)
            trial.require(pumped(mixer) == before, f"to ask for the price of {word} pumps something")
            began = mixer.spent
            act()
            cost = mixer.spent - began
            for kind, slack in (("seconds", trial.lag), ("volume", 1e-6), ("money", 1e-6)):
                took, said = getattr(cost, kind), getattr(price, kind)
                trial.require(
                    math.isclose(took, said, rel_tol=0.1, abs_tol=slack), f"{kind} of {word} were {took:g}, and {said:g} its price"
                )


def what_does_not_fit_is_refused_and_all_else_still_works(trial: MixerTrial) -> None:
    """A dose that would spill is refused, and changes nothing."""
    with trial.mixer as mixer:
        trial.empty()
        mixer.rinse(trial.cell / 2)
        before = pumped(mixer)
        with trial.plugin.raises(RigFault, "dispensing more than fits", "fit"):
            mixer.dispense("water", trial.cell / 2 + mixer.specification.residue)
        trial.require(pumped(mixer) == before, "a dose that is refused costs something")
        trial.require(light(mixer.read()) > 0, "it reads nothing after it refused a dose")
        mixer.dispense(trial.liquids[0], 0.5)
        mixer.drain()
        mixer.rinse(trial.cell / 2)


def a_full_cell_can_be_drained_and_filled_again(trial: MixerTrial) -> None:
    """Drained, it takes all but the residue."""
    with trial.mixer as mixer:
        for _ in range(3):
            mixer.drain()
            mixer.rinse(trial.cell - mixer.specification.residue - 0.1)


def stop_from_another_thread_ends_what_is_under_way_and_the_next_connect_clears_it(trial: MixerTrial) -> None:
    """`stop` ends a stirring of an hour; then every instruction raises `Stopped` until it is connected again."""
    mixer = trial.mixer
    begun, is_over = threading.Event(), threading.Event()
    ended: list[Amounts] = []  # when the last instruction began, and when it ended

    def stir() -> None:
        before = mixer.spent
        try:
            while not is_over.is_set():  # on a virtual clock it may end before anybody can stop it
                before = mixer.spent
                begun.set()
                mixer.mix(LONG)
        except Stopped:
            ended.extend((before, mixer.spent))

    with mixer:
        worker = threading.Thread(target=stir, daemon=True)
        worker.start()
        trial.require(begun.wait(30), "it does not begin to stir")
        mixer.stop()
        worker.join(20)
        is_over.set()
        trial.require(bool(ended), "it stirs on after stop")
        trial.require((ended[1] - ended[0]).seconds < LONG / 2, "it stirs to the end after stop")
        for word, act in trial.instructions().items():
            with trial.plugin.raises(Stopped, f"at {word} after stop"):
                act()
        mixer.stop()
    with mixer:
        mixer.drain()
        mixer.dispense(trial.liquids[0], 0.5)


def it_disconnects_twice_and_then_nothing_moves(trial: MixerTrial) -> None:
    """Left, once or twice, every instruction raises `Stopped`, and nothing is spent any more."""
    with trial.mixer as mixer:
        mixer.drain()
    mixer.__exit__(None, None, None)
    before = mixer.spent
    for word, act in trial.instructions().items():
        with trial.plugin.raises(Stopped, f"at {word} after it is disconnected"):
            act()
    trial.require(mixer.spent == before, "it spends something while it is disconnected")


def it_connects_again_and_again_even_without_leaving(trial: MixerTrial) -> None:
    """It may be entered again, left or not."""
    mixer = trial.mixer
    for _ in range(2):
        mixer.__enter__()
        mixer.__enter__()
        mixer.drain()
        mixer.rinse(1.0)
        mixer.__exit__(None, None, None)


def what_it_took_only_grows(trial: MixerTrial) -> None:
    """`spent` never falls, whatever is done, and counts what was pumped to 10 %."""
    mixer = trial.mixer
    seen = [mixer.spent]
    for _ in range(2):
        with mixer:
            seen.append(mixer.spent)
            mixer.drain()
            for act in trial.instructions().values():
                act()
                seen.append(mixer.spent)
        seen.append(mixer.spent)
    for before, after in itertools.pairwise(seen):
        trial.require(min(vars(after - before).values()) >= 0, f"what it spent fell from {before} to {after}")
    trial.require(math.isclose(seen[-1].volume, 2.0, rel_tol=0.1), f"it pumped 2 mL and counted {seen[-1].volume:g}")


def its_driver_measures_right_again_after_a_failure_in_the_middle(trial: MixerTrial) -> None:
    """A mixture that does not fit fails, at a cost; the next one is measured as if nothing had been."""
    with trial.driver as driver:
        before = driver.perform(trial.recipe)
        trial.mixer.dispense(trial.liquids[0], 0.7 * trial.cell)  # behind the driver's back: now its mixture does not fit
        try:
            driver.perform(trial.recipe)
        except DriverError as error:
            trial.require("fit" in str(error), f"a mixture that does not fit fails with {str(error)!r}")
            trial.require(error.cost.seconds > 0, "a mixture that failed in the middle cost no time")
        else:
            trial.require(False, "a mixture that does not fit is measured")
        after = driver.perform(trial.recipe)
    for name, value in before.outcomes.items():
        one, other = float(value), float(after.outcomes[name])
        trial.require(math.isclose(one, other, rel_tol=0.2, abs_tol=0.02), f"{name} was {one:g}, and {other:g} after a failure")
    trial.require(after.cost.seconds > before.cost.seconds / 2, "to measure after a failure cost less than half of the time")


MIXER_PROMISES: tuple[MixerPromise, ...] = (
    nothing_moves_and_nothing_is_read_before_it_is_connected,
    it_says_who_it_is,
    a_reading_has_all_channels_within_full_scale,
    without_the_lamp_there_is_next_to_no_light_and_with_it_there_is_again,
    dye_takes_light_away_and_rinsing_gives_it_back,
    more_of_a_dye_is_darker_and_water_thins_it,
    a_dose_costs_time_money_and_what_it_pumps,
    no_dose_is_pumped_that_is_no_volume,
    a_price_moves_nothing_and_is_near_to_what_it_takes,
    what_does_not_fit_is_refused_and_all_else_still_works,
    a_full_cell_can_be_drained_and_filled_again,
    stop_from_another_thread_ends_what_is_under_way_and_the_next_connect_clears_it,
    it_disconnects_twice_and_then_nothing_moves,
    it_connects_again_and_again_even_without_leaving,
    what_it_took_only_grows,
    its_driver_measures_right_again_after_a_failure_in_the_middle,
)
