"""Drivers as devices of Bluesky's RunEngine: twin, emulated board and rig alike.

`Rig` measures; plans move its recipe, or single parameters of it:

    rig = Rig(make_driver("color-mixing"), start=recipe, balance="water")
    RE(count([rig], num=3))
    RE(scan([rig], rig.parameter("red"), 0, 1, 5))
    RE(campaign_plan(rig, campaign))

Dosing is not idempotent: a pump that is set twice doses twice. So nothing moves when a recipe is set; a `trigger` performs the whole of
it, from the empty cell to the reading, and may be repeated when the RunEngine replays a plan after a pause.

Bluesky's protocols are structural: only `campaign_plan` imports it, when it is called. Source: bluesky/protocols.py, 1.15.
"""

import threading
import time
from collections.abc import Callable, Generator, Mapping
from difflib import get_close_matches
from math import fsum
from typing import Any

import numpy as np

from frugaltwin.amounts import Amounts
from frugaltwin.campaign import Campaign
from frugaltwin.errors import DriverError, InvalidInput, Stopped, UnknownName
from frugaltwin.experiment import Categorical, Measurement, MixtureSum, Outcome, Parameter, Settings
from frugaltwin.plugins import Driver, Resumes
from frugaltwin.state import Suggestion
from frugaltwin.tables import color_of

Fields = dict[str, Any]
"""By the name of a field, its data key of the event model, or its value and timestamp."""

COLOR = {"L": "lightness", "a": "green to red", "b": "blue to yellow"}
COST = {kind.name: kind.unit for kind in Amounts.cost_kinds()}


class Status:
    """Status of an act: whether it is done, and how it ended. Satisfies Bluesky's `Status`."""

    def __init__(self) -> None:
        self.stopped_with: bool | None = None
        """Whether an act that somebody has stopped counts as done."""
        self._error: BaseException | None = None
        self._finished = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[Status], None]] = []

    @classmethod
    def of(cls, act: "Callable[[Status], None]") -> "Status":
        """The status of an act that begins now, on a thread of its own: that of the RunEngine must stay free to stop it."""
        status = cls()

        def perform() -> None:
            try:
                act(status)
            except BaseException as error:  # the RunEngine raises it where somebody sees it
                status._finish(error)
            else:
                status._finish(None)

        threading.Thread(target=perform, name="frugaltwin rig").start()  # no daemon: a program that ends leaves the rig at rest
        return status

    @classmethod
    def finished(cls) -> "Status":
        """The status of an act that takes no time."""
        status = cls()
        status._finish(None)
        return status

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._finished.is_set()

    @property
    def success(self) -> bool:
        """Whether it has ended well."""
        return self.done and self._error is None

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        """The error that it failed with, or None.

        Args:
            timeout: Time to wait for its end, s; None waits without limit.

        Raises:
            TimeoutError: It has not ended by then.
        """
        if not self._finished.wait(timeout):
            raise TimeoutError(f"the rig is not done after {timeout:g} s; wait longer, or stop it")
        return self._error

    def add_callback(self, callback: "Callable[[Status], None]") -> None:
        """Call it with this status at the end, or now when that was before."""
        with self._lock:
            if not self.done:
                self._callbacks.append(callback)
                return
        callback(self)

    def _finish(self, error: BaseException | None) -> None:
        with self._lock:
            self._error = error
            self._finished.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)


class Rig:
    """A driver as a device: Readable, Triggerable, Stageable, Stoppable, Pausable, Configurable and HasHints.

    Staging connects the driver, unstaging leaves it at rest and disconnects. An event holds the settings that were performed, the
    outcomes, the color where there is one, and what it cost. When the driver fails, the status fails and the RunEngine raises.
    """

    parent = None

    def __init__(self, driver: Driver, name: str = "rig", start: Mapping[str, Any] | None = None, balance: str | None = None) -> None:
        """A device that is not connected yet.

        Args:
            driver: Driver that performs the settings.
            name: Every field begins with it.
            start: The recipe until another one is set; without it, one has to be set before the first measurement.
            balance: The part of a mixture that makes up the total, for example water, so that the others can be moved one by one.

        Raises:
            InvalidInput: The experiment does not allow `start`, or `balance` is no part of a mixture.
        """
        self.name, self.driver, self.experiment = name, driver, driver.experiment
        self.measurement: Measurement | None = None
        """The last measurement with its raw readings; None when it did not end."""
        self._mixture = _mixture_of(driver, balance)
        self._balance = balance
        self._asked: dict[str, float | str] = {} if start is None else self.experiment.check(_plain(start))
        self._performed: Settings = {}
        self._measured_at = 0.0
        self._is_connected = self._is_to_reconnect = False
        self._turn = threading.Lock()
        self._under_way = Status.finished()
        self.recipe = Recipe(self)
        self._parameters = {p.name: RigParameter(self, p) for p in self.experiment.parameters}

    def parameter(self, name: str) -> "RigParameter":
        """One parameter, to be moved alone.

        Raises:
            UnknownName: The experiment has no parameter of that name.
            InvalidInput: It is part of a mixture, and no balance was named or it is the balance.
        """
        if name not in self._parameters:
            near = get_close_matches(name, self._parameters, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self._parameters)}"
            raise UnknownName(f"{self.experiment.name} has no parameter {name!r}; {hint}")
        if name == self._balance:
            raise InvalidInput(f"{name} is the balance and follows from the other parts; move one of those")
        parts = {part for c in self.experiment.constraints if isinstance(c, MixtureSum) for part in c.parameters}
        if name in parts and self._balance is None:
            raise InvalidInput(f"{name} is part of a mixture that must add up; say which part makes up the total: Rig(…, balance='water')")
        return self._parameters[name]

    def __repr__(self) -> str:
        return f"<Rig {self.name!r}: {self.experiment.name}>"

    @property
    def asked(self) -> dict[str, float | str]:
        """The whole recipe as the next `trigger` performs it.

        Raises:
            InvalidInput: A parameter was never set, or the experiment does not allow the recipe.
        """
        asked = dict(self._asked)
        if self._mixture is not None and self._balance is not None:
            others = [float(asked[part]) for part in self._mixture.parameters if part in asked and part != self._balance]
            # Rounded, so that parts that add up to the total leave 0 and not -4e-16.
            asked[self._balance] = round(self._mixture.total - fsum(others), 12)
        return self.experiment.check(asked)

    def ask(self, settings: Mapping[str, float | str]) -> None:
        """Change some parameters, already checked one by one. Nothing moves."""
        self._asked |= settings

    def stage(self) -> Status:
        """Connect."""

        def connect(_: Status) -> None:
            with self._turn:
                self.driver.__enter__()
                self._is_connected, self._is_to_reconnect = True, False

        return Status.of(connect)

    def unstage(self) -> Status:
        """Stop the running measurement, leave the rig at rest, disconnect."""
        self.stop()

        def disconnect(_: Status) -> None:
            with self._turn:
                if self._is_connected:
                    self._is_connected = False
                    self.driver.__exit__(None, None, None)

        return Status.of(disconnect)

    def trigger(self) -> Status:
        """Perform the recipe.

        Raises:
            InvalidInput: There is no whole recipe that the experiment allows; nothing has moved.
        """
        settings = self.asked
        self._under_way = Status.of(lambda status: self._measure(settings, status))
        return self._under_way

    def stop(self, success: bool = True) -> None:
        """Come to rest. The running measurement gives nothing to read, and the next `trigger` connects again.

        Args:
            success: Whether the interrupted measurement counts as done, as the RunEngine wants it before a pause; else it fails with
                `Stopped`.
        """
        if not self._under_way.done:
            self._under_way.stopped_with = success
            self._is_to_reconnect = True
            self.driver.stop()

    def pause(self) -> None:
        """Come to rest; the RunEngine repeats the measurement when it resumes."""
        self.stop()

    def resume(self) -> None:
        """Do nothing: the RunEngine triggers again."""

    def read(self) -> Fields:
        """Settings, outcomes, color and cost of the last measurement.

        Raises:
            InvalidInput: Nothing was measured yet, or it was stopped.
        """
        if self.measurement is None:
            raise InvalidInput(f"{self.name} has measured nothing; trigger it, and let it end")
        cost = {f"cost_{part}": getattr(self.measurement.cost, part) for part in COST}
        color = color_of(self.experiment, self._performed, self.measurement.outcomes)
        values = {**self._performed, **self.measurement.outcomes, **color, **cost}
        return self._fields(values, self._measured_at)

    def describe(self) -> Fields:
        """Units, limits and labels of the fields of `read`."""
        keys = {p.name: self.key(p) for p in self.experiment.parameters}
        keys |= {o.name: self.key(o) for o in self.experiment.outcomes}
        if self.experiment.color is not None:
            keys |= {name: _number_key(f"{self._source}:{name}", "1") for name in COLOR}
        keys |= {f"cost_{part}": _number_key(f"{self._source}:cost", unit) for part, unit in COST.items()}
        return {f"{self.name}_{name}": key for name, key in keys.items()}

    def read_configuration(self) -> Fields:
        """The name of the driver."""
        kind = type(self.driver)
        return self._fields({"driver": f"{kind.__module__}.{kind.__qualname__}", "experiment": self.experiment.name}, time.time())

    def describe_configuration(self) -> Fields:
        """The data keys of `read_configuration`."""
        return {f"{self.name}_{name}": {"source": self._source, "dtype": "string", "shape": []} for name in ("driver", "experiment")}

    @property
    def hints(self) -> dict[str, list[str]]:
        """The fields to show: the color where there is one, else the outcomes."""
        shown = list(COLOR) if self.experiment.color is not None else [o.name for o in self.experiment.outcomes]
        return {"fields": [f"{self.name}_{name}" for name in shown]}

    def key(self, of: Parameter | Outcome) -> dict[str, Any]:
        """The data key of a parameter or an outcome, by the event model."""
        source = f"{self._source}:{of.name}"
        labels = of.labels if isinstance(of, Outcome) else of.values if isinstance(of, Categorical) else ()
        if labels:
            return {"source": source, "dtype": "string", "shape": [], "choices": list(labels)}
        if isinstance(of, Outcome | Categorical):
            return _number_key(source, of.unit)
        low, high = (of.values[0], of.values[-1]) if of.kind == "discrete" else (of.low, of.high)
        return _number_key(source, of.unit) | {"limits": {"control": {"low": low, "high": high}}}

    @property
    def _source(self) -> str:
        return f"frugaltwin:{self.experiment.name}"

    def _fields(self, values: Mapping[str, Any], at: float) -> Fields:
        return {f"{self.name}_{name}": {"value": value, "timestamp": at} for name, value in values.items()}

    def _measure(self, settings: Settings, status: Status) -> None:
        with self._turn:
            if not self._is_connected:
                raise Stopped(f"{self.name} is not connected; stage it first")
            self.measurement = None
            if self._is_to_reconnect:
                self._is_to_reconnect = False
                self.driver.__exit__(None, None, None)
                self.driver.__enter__()
            try:
                if status.stopped_with is not None:
                    raise Stopped(f"{self.name} was stopped before it began")
                measurement = self.driver.perform(settings)
            except Stopped:
                if status.stopped_with:
                    return
                raise
            self.experiment.check_outcomes(measurement.outcomes)
            self.measurement, self._performed, self._measured_at = measurement, settings, time.time()


class _Setpoint:
    """The common part of the recipe and its parameters: setting takes no time and moves nothing."""

    def __init__(self, rig: Rig, name: str, parameters: tuple[Parameter, ...]) -> None:
        self.name, self.parent, self._parameters = name, rig, parameters
        self._set_at = time.time()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def read(self) -> Fields:
        """The values that were set last, under the names of the rig's own fields.

        Raises:
            InvalidInput: Nothing was, or the recipe is not whole.
        """
        asked = self.parent.asked
        return {f"{self.parent.name}_{p.name}": {"value": asked[p.name], "timestamp": self._set_at} for p in self._parameters}

    def describe(self) -> Fields:
        """Units and limits of the fields of `read`."""
        return {f"{self.parent.name}_{p.name}": self.parent.key(p) for p in self._parameters}

    def read_configuration(self) -> Fields:
        """No configuration: the rig has it."""
        return {}

    def describe_configuration(self) -> Fields:
        """No configuration: the rig has it."""
        return {}

    @property
    def hints(self) -> dict[str, list[str]]:
        """The fields to show."""
        return {"fields": [f"{self.parent.name}_{p.name}" for p in self._parameters]}

    def stop(self, success: bool = True) -> None:
        """Bring the rig to rest."""
        self.parent.stop(success)

    def _ask(self, settings: Mapping[str, float | str]) -> Status:
        self.parent.ask(settings)
        self._set_at = time.time()
        return Status.finished()


class Recipe(_Setpoint):
    """All parameters at once: a Movable that takes a mapping from their names to their values."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig, f"{rig.name}_recipe", rig.experiment.parameters)

    def check_value(self, value: Mapping[str, Any]) -> None:
        """Refuse a recipe that the experiment does not allow.

        Raises:
            OutOfBounds: The message says which limit is broken.
        """
        self.parent.experiment.check(_plain(value))

    def set(self, value: Mapping[str, Any]) -> Status:
        """Set the recipe of the next measurement; `check_value` checks it."""
        return self._ask(self.parent.experiment.check(_plain(value)))

    @property
    def position(self) -> dict[str, float | str]:
        """The recipe that was set last."""
        return self.parent.asked


class RigParameter(_Setpoint):
    """One parameter of the recipe: a Movable.

    Its own limits are checked when it is set; whether the whole mixture is allowed, when it is performed: on the way from one point of
    a grid to the next, the parts need not fit together.
    """

    def __init__(self, rig: Rig, parameter: Parameter) -> None:
        super().__init__(rig, f"{rig.name}_{parameter.name}", (parameter,))
        self._parameter = parameter

    def check_value(self, value: Any) -> None:
        """Refuse a value outside the parameter's limits.

        Raises:
            OutOfBounds: It is.
        """
        self._parameter.check(_plain({"value": value})["value"])

    def set(self, value: Any) -> Status:
        """Set the value of the next measurement; `check_value` checks it."""
        return self._ask({self._parameter.name: self._parameter.check(_plain({"value": value})["value"])})

    @property
    def position(self) -> float | str:
        """The value that was set last."""
        return self.parent.asked[self._parameter.name]


def campaign_plan(rig: Rig, campaign: Campaign, md: Mapping[str, Any] | None = None) -> Generator[Any, Any, str]:
    """An adaptive plan: the campaign's strategy chooses, the RunEngine performs, and the campaign's store remembers.

    A campaign of the same name goes on where it stopped. A failed measurement is a failed trial, as in `Campaign.run`; after five in a
    row the plan gives up, and when somebody stops the rig. Afterwards `stopped_because` of the campaign says why it ended.

    Args:
        md: More for the start document.

    Returns:
        The uid of the run.

    Raises:
        InvalidInput: The campaign is about another experiment than the rig.
    """
    from bluesky import plan_stubs as bps
    from bluesky import preprocessors as bpp
    from bluesky.utils import FailedStatus

    if rig.experiment != campaign.driver.experiment:
        raise InvalidInput(f"campaign {campaign.name!r} is about {campaign.driver.experiment.name}; give a rig of that experiment")
    about = {"plan_name": "campaign_plan", "detectors": [rig.name], "motors": [rig.recipe.name]}
    about |= {"campaign": campaign.name, "goal": campaign.goal.text, "strategy": campaign.specification["strategy"]["name"], **(md or {})}

    def decided(n_before: int) -> Suggestion | None:
        # What is measured must be stored afterwards, so whether it can be is found out before.
        with campaign.store.locked(campaign.name):
            campaign.store.check_writable()
            return campaign.decide(n_before)

    @bpp.stage_decorator([rig])  # type: ignore[untyped-decorator, unused-ignore]
    @bpp.run_decorator(md=about)  # type: ignore[untyped-decorator, unused-ignore]
    def adaptive() -> Generator[Any, Any, None]:
        n_before = len(campaign.trials)
        failure: FailedStatus | None = None
        while (suggestion := decided(n_before)) is not None:
            settings = suggestion.settings
            yield from bps.checkpoint()
            yield from bps.abs_set(rig.recipe, settings, wait=True)
            try:
                yield from bps.trigger_and_read([rig])
            except FailedStatus as failed:
                failure, error = failed, failed.args[0].exception()
                cost = error.cost if isinstance(error, DriverError) else Amounts()
                source = "stopped" if isinstance(error, Stopped) else "driver"
                campaign.tell(settings, None, cost, str(error), source=source)
                if source == "stopped":  # it takes a person to go on
                    raise
            else:
                done = rig.measurement
                assert done is not None, "a trigger that succeeded has measured something"
                campaign.tell(settings, done.outcomes, done.cost, raw=done.raw, source="driver", happened=done.happened)
        if campaign.is_failing and failure is not None:
            raise failure

    if isinstance(rig.driver, Resumes):
        rig.driver.resume(campaign.log.performed)
    uid: str = yield from adaptive()
    return uid


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values with numpy's numbers, in which plans count, as Python's."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}


def _number_key(source: str, unit: str) -> dict[str, Any]:
    return {"source": source, "dtype": "number", "dtype_numpy": "<f8", "shape": [], "units": unit}


def _mixture_of(driver: Driver, balance: str | None) -> MixtureSum | None:
    if balance is None:
        return None
    for constraint in driver.experiment.constraints:
        if isinstance(constraint, MixtureSum) and balance in constraint.parameters:
            return constraint
    raise InvalidInput(f"{balance!r} is no part of a mixture of {driver.experiment.name}; leave balance out, or name a part")
