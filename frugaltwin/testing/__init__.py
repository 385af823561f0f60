"""The promises of plug-ins as checks: ours and other people's are held to the same ones.

    def test_my_lab_keeps_its_promises() -> None:
        testing.check_driver(MyLab)

A promise that is broken raises `AssertionError` with one sentence. With pytest, every promise can be a test of its own:

    @pytest.mark.parametrize("promise", testing.DRIVER_PROMISES)
    def test_my_lab(promise: testing.Promise) -> None:
        promise(testing.Plugin.of("driver", MyLab))

Nothing here needs pytest. A plug-in with options that it cannot do without says in its attribute ``example_options`` with which ones it is
tried.
"""

from collections.abc import Mapping

from frugaltwin.catalog import Target
from frugaltwin.testing.drivers import DRIVER_PROMISES
from frugaltwin.testing.goals import GOAL_PROMISES
from frugaltwin.testing.mixers import MIXER_PROMISES, MixerPromise, MixerTrial
from frugaltwin.testing.plugin import Plugin, Promise
from frugaltwin.testing.strategies import EXPERIMENT_PROMISES, STRATEGY_PROMISES, ExperimentPromise, experiments

__all__ = [
    "DRIVER_PROMISES",
    "EXPERIMENT_PROMISES",
    "GOAL_PROMISES",
    "MIXER_PROMISES",
    "STRATEGY_PROMISES",
    "ExperimentPromise",
    "MixerPromise",
    "MixerTrial",
    "Plugin",
    "Promise",
    "check_driver",
    "check_goal",
    "check_mixer",
    "check_strategy",
    "experiments",
]


def check_driver(target: Target, options: Mapping[str, object] | None = None) -> None:
    """Hold a driver to every promise of a driver. It performs some twenty experiments: a rig needs its stand-in.

    Args:
        target: Its class or function, or its name in the catalog.
        options: With which it is made; its ``example_options`` without them.

    Raises:
        AssertionError: A promise is broken; the message says which.
    """
    plugin = Plugin.of("driver", target, options)
    for promise in DRIVER_PROMISES:
        promise(plugin)


def check_strategy(target: Target, options: Mapping[str, object] | None = None) -> None:
    """Hold a strategy to every promise of a strategy, over every kind of experiment; arguments and errors as for `check_driver`."""
    plugin = Plugin.of("strategy", target, options)
    for promise in STRATEGY_PROMISES:
        promise(plugin)
    for experiment in experiments().values():
        for over in EXPERIMENT_PROMISES:
            over(plugin, experiment)


def check_goal(target: Target) -> None:
    """Hold a goal to every promise of a goal; arguments and errors as for `check_driver`."""
    plugin = Plugin.of("goal", target)
    for promise in GOAL_PROMISES:
        promise(plugin)


def check_mixer(mixer: str, options: Mapping[str, object] | None = None) -> None:
    """Hold a mixer of the catalog to every promise of a mixer, under the driver ``color-mixing`` and with its liquids.

    A mixer that only one driver performs on is held to them by `check_driver`, where the driver shows it in its attribute ``mixer``.

    Args:
        mixer: Its name, after `frugaltwin.register` or as an entry point.
        options: Others of the driver, such as the sensor.

    Raises:
        AssertionError: A promise is broken; the message says which.
    """
    for promise in MIXER_PROMISES:
        MixerTrial.of(mixer, options).keep(promise)
