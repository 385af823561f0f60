"""The promises of a goal."""

import inspect
import math
import pickle
from dataclasses import replace

import numpy as np

from frugaltwin import catalog
from frugaltwin.errors import FrugalTwinError
from frugaltwin.experiment import Categorical, Experiment
from frugaltwin.goals import Goal, Objective
from frugaltwin.plugins import Predicts
from frugaltwin.tables import outcomes_array, settings_array
from frugaltwin.testing.plugin import Plugin, Promise
from frugaltwin.testing.strategies import experiments, serves, trials

TARGET = (60.0, 20.0, 10.0)
"""The color that is drawn when a goal asks for one that can be reached."""


def understood(plugin: Plugin, experiment: Experiment) -> list[Goal]:
    """The goals that it makes for an experiment: of nothing, of each outcome, and of each outcome with a value."""
    found = []
    words = [word for o in experiment.outcomes for word in (o.name, f"{o.name}:0.5")]
    for argument in ("", *words, *plugin.target.__dict__.get("example_arguments", ())):
        try:
            found.append(plugin.target.parse(argument, experiment, lambda seed: TARGET, 0))
        except FrugalTwinError:
            continue  # the experiment has nothing for it, or the words are another goal's
    return found


def some(plugin: Plugin) -> list[Goal]:
    """The goals that it makes of every kind of experiment: at least one."""
    found = [goal for experiment in experiments().values() for goal in understood(plugin, experiment)]
    plugin.require(bool(found), "it understands neither an outcome nor OUTCOME:VALUE; name words in its attribute example_arguments")
    return found


def it_is_a_goal_of_its_name(plugin: Plugin) -> None:
    """It is a subclass of `Goal`, and its texts begin with its name in the catalog."""
    plugin.require(inspect.isclass(plugin.target) and issubclass(plugin.target, Goal), "it is no subclass of frugaltwin.Goal")
    for goal in some(plugin):
        plugin.require(goal.text.partition(":")[0] == goal.name, f"the text {goal.text!r} does not begin with its name {goal.name!r}")
        plugin.require(bool(goal.title), f"{goal.text} has no title")


def its_text_reads_back_to_the_same_goal(plugin: Plugin) -> None:
    """`parse` makes the very same goal of `text`: a campaign goes on with it."""
    for goal in some(plugin):
        _, _, argument = goal.text.partition(":")
        again = plugin.target.parse(argument, goal.experiment, lambda seed: TARGET, 0)
        plugin.require(again == goal, f"{goal.text} reads back as {again.text}")


def it_depends_on_outcomes_of_the_experiment(plugin: Plugin) -> None:
    """`outcomes` names outcomes that the experiment has."""
    for goal in some(plugin):
        known = {o.name for o in goal.experiment.outcomes}
        plugin.require(
            set(goal.outcomes) <= known, f"{goal.text} depends on {goal.outcomes}, and {goal.experiment.name} has {sorted(known)}"
        )


def it_can_be_sent_to_another_process(plugin: Plugin) -> None:
    """It survives pickling."""
    for goal in some(plugin):
        plugin.require(pickle.loads(pickle.dumps(goal)) == goal, f"{goal.text} is another goal after pickling")  # noqa: S301


def its_best_trial_has_the_best_score(plugin: Plugin) -> None:
    """A score has one value, alone and among others; the best trial has the best one."""
    for goal in some(plugin):
        history = trials(goal.experiment, 6, failed=(1,))
        best = goal.best(history)
        if not isinstance(goal, Objective):
            continue
        done = [(t, t.measurement.outcomes) for t in history if t.measurement]
        outcomes = outcomes_array(goal.experiment, [y for _, y in done])
        together = goal.score(outcomes, settings_array(goal.experiment, [t.settings for t, _ in done]))
        alone = [goal.score_of(t.settings, y) for t, y in done]
        plugin.require(np.allclose(together, alone, rtol=1e-12, atol=1e-12), f"{goal.text} scores trials otherwise together than alone")
        plugin.require(best is not None, f"{goal.text} finds no best trial")
        extreme = min(alone) if goal.is_minimized else max(alone)
        plugin.require(
            best is not None and math.isclose(best[1], extreme, rel_tol=1e-12), f"{goal.text} has the best score {extreme}, not {best}"
        )


def it_is_not_judged_by_other_fidelities(plugin: Plugin) -> None:
    """A trial at another fidelity has no score and no label, and is neither the best one nor on the front."""
    look = Categorical("look", ("glance", "stare"))
    for goal in some(plugin):
        plain = goal.experiment
        if plain.candidates:
            continue
        looked = goal.on(replace(plain, parameters=(*plain.parameters, look), fidelities={"look": "stare"}))
        history = [replace(t, settings={**t.settings, "look": look.values[t.number % 2]}) for t in trials(plain, 6)]
        others = [t for t in history if not looked.experiment.counts(t.settings)]
        is_judged = any(looked.score_of_trial(t) is not None or looked.label_of_trial(t) or looked.counts(t) for t in others)
        plugin.require(not is_judged, f"{goal.text} has a score or a label for a trial that does not count")
        plugin.require(not (looked.best(others) or looked.front(others) or looked.seen(others)), f"{goal.text} counts trials that do not")
        counted = [t for t in history if t not in others]
        plugin.require(looked.result(history) == looked.result(counted), f"the result of {goal.text} depends on trials that do not count")


def its_default_strategy_serves_it_with_a_model(plugin: Plugin) -> None:
    """The strategy that it names serves it, and can predict."""
    for goal in some(plugin):
        strategy = catalog.make_strategy(goal.default_strategy)
        plugin.require(serves(strategy, goal), f"its default strategy {goal.default_strategy} refuses {goal.text}")
        plugin.require(isinstance(strategy, Predicts), f"its default strategy {goal.default_strategy} has no model")


GOAL_PROMISES: tuple[Promise, ...] = (
    it_is_a_goal_of_its_name,
    its_text_reads_back_to_the_same_goal,
    it_depends_on_outcomes_of_the_experiment,
    it_can_be_sent_to_another_process,
    its_best_trial_has_the_best_score,
    it_is_not_judged_by_other_fidelities,
    its_default_strategy_serves_it_with_a_model,
)
