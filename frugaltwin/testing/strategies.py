"""The promises of a strategy, over every kind of experiment."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TypeAlias

import numpy as np

from frugaltwin import catalog
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import (
    Categorical,
    Constraint,
    Continuous,
    Correction,
    Discrete,
    Experiment,
    LinearConstraint,
    Measurement,
    MixtureSum,
    Outcome,
    Parameter,
    Settings,
    Trial,
)
from frugaltwin.goals import Goal, Map, MatchColor, Maximize, Objective
from frugaltwin.laws import Additive, Exposure, KubelkaMunk
from frugaltwin.log import RELATIONS
from frugaltwin.plugins import Predicts, Recommends, Samples, Strategy, UsesEarlier
from frugaltwin.state import Earlier, State
from frugaltwin.tables import settings_array
from frugaltwin.testing.plugin import Plugin, Promise, drawn, suggested

ExperimentPromise: TypeAlias = Callable[[Plugin, Experiment], None]

Y = (Outcome("y"), Outcome("phase", labels=("one", "two")))
A, B, C = (Continuous(name, 0.0, 1.0) for name in "abc")
SOLVENTS = Categorical("solvent", ("water", "ethanol", "hexane"))
ROUNDING = 1e-12
"""The largest distance of a mixture from its total."""
N_CANDIDATES = 3000


@cache
def experiments() -> dict[str, Experiment]:
    """An experiment of every kind, by a word for it."""
    levels = tuple(float(v) for v in range(256))
    return {
        "color": catalog.make_driver("color-mixing").experiment,
        "simplex": Experiment("simplex", (A, B, C), Y, (MixtureSum(("a", "b", "c"), 1.0),)),
        "constrained": Experiment(
            "constrained",
            (A, B, C, Continuous("d", -5.0, 5.0), Continuous("e", 0.0, 0.2)),
            Y,
            (MixtureSum(("a", "b", "c"), 1.5), LinearConstraint({"d": 1.0, "a": 2.0}, low=-1.0, high=1.0)),
        ),
        "mixed": Experiment(
            "mixed",
            (A, Discrete("n", (1.0, 2.0, 4.0, 8.0)), SOLVENTS, Discrete("fixed", (3.0,))),
            Y,
            (LinearConstraint({"a": 1.0, "n": 0.25}, high=1.2),),
        ),
        "finite": Experiment("finite", (Discrete("n", tuple(range(12))), Categorical("solvent", ("water", "ethanol"))), Y),
        "candidates": Experiment(
            "candidates",
            (Continuous("temperature", 0.0, 1e6), Discrete("n", (1.0, 2.0, 3.0)), Categorical("solvent", ("water", "ethanol"))),
            Y,
            candidates=tuple({"temperature": 250.0 + i * i, "n": 1.0 + i % 3, "solvent": ("water", "ethanol")[i % 2]} for i in range(30)),
        ),
        "paint": Experiment("paint", (A, B), tuple(Outcome(name, law=KubelkaMunk(("a", "b"))) for name in ("y", "z"))),
        "light": Experiment(
            "light",
            (*(Discrete(name, levels) for name in ("red", "blue")), Discrete("gain", (1.0, 2.0, 4.0))),
            tuple(Outcome(name, law=Additive(("red", "blue"), Exposure((("gain", 0.0),)))) for name in ("y", "z")),
        ),
    }


def goals_of(experiment: Experiment) -> list[Goal]:
    """A goal of every kind that the experiment allows: with a score, a map divided by a value, a map of labels."""
    score = MatchColor(experiment, (60.0, 20.0, 10.0)) if experiment.color else Maximize(experiment, "y")
    divided = Map(experiment, experiment.outcomes[0].name, 0.5)
    return [score, divided, *(Map(experiment, o.name) for o in experiment.outcomes if o.labels)]


def serves(strategy: Strategy, goal: Goal) -> bool:
    """Whether a strategy works for a goal: it refuses all others with a sentence that names one that does."""
    try:
        suggested(strategy, goal)
    except InvalidInput as refusal:
        if f"strategy {goal.default_strategy}" not in str(refusal):
            raise AssertionError(
                f"{refusal!s}: this refusal of {goal.text} does not name the strategy {goal.default_strategy}"
            ) from refusal
        return False
    return True


def goal_of(plugin: Plugin, experiment: Experiment) -> Goal:
    """The last goal of the experiment that the strategy serves: it serves at least one."""
    served = [goal for goal in goals_of(experiment) if serves(plugin.make(), goal)]
    plugin.require(bool(served), f"it serves no goal of the experiment {experiment.name}")
    return served[-1]


def measurement(experiment: Experiment, settings: Settings) -> Measurement:
    """Some smooth outcomes."""
    (x,) = settings_array(experiment, [settings])
    bump = math.exp(-float(((x - 0.4 * x.size) ** 2).mean()) / (1 + float((x**2).mean())))
    return Measurement({o.name: o.labels[int(bump > 0.8)] if o.labels else bump / (1 + j) for j, o in enumerate(experiment.outcomes)})


def trials(experiment: Experiment, n: int, failed: Sequence[int] = ()) -> list[Trial]:
    """Trials at random settings, of which some failed."""
    settings = drawn(goals_of(experiment)[0], n, seed=7)
    return [Trial(i + 1, s, None if i in failed else measurement(experiment, s)) for i, s in enumerate(settings)]


def it_suggests_distinct_allowed_settings_that_nobody_tried_or_is_trying(plugin: Plugin, experiment: Experiment) -> None:
    """Three suggestions differ from one another, from all trials and from what is pending."""
    history = trials(experiment, 9, failed=(2, 5))
    pending = drawn(goals_of(experiment)[0], 2, seed=8, trials=history)
    found = suggested(plugin.make(), goal_of(plugin, experiment), history, 3, pending)
    keys = {experiment.key(experiment.check(s)) for s in found}
    plugin.require(len(found) == len(keys) == 3, f"asked for 3 settings of {experiment.name}, it suggested {len(keys)} different ones")
    taken = {experiment.key(s) for s in [*pending, *(t.settings for t in history)]}
    plugin.require(not keys & taken, f"it suggested settings of {experiment.name} that were tried, or are being tried")


def it_is_a_pure_function_of_its_arguments(plugin: Plugin, experiment: Experiment) -> None:
    """The same arguments give the same suggestions, also from another object."""
    history, goal, strategy = trials(experiment, 6), goal_of(plugin, experiment), plugin.make()
    first = suggested(strategy, goal, history, 2)
    again = [suggested(strategy, goal, history, 2), suggested(plugin.make(), goal, history, 2)]
    plugin.require(again == [first, first], f"the same arguments gave different settings of {experiment.name}")


def it_suggests_something_whatever_happened_before(plugin: Plugin, experiment: Experiment) -> None:
    """It goes on after no trial, one, one that failed, and trials that all failed."""
    goal = goal_of(plugin, experiment)
    failures: list[tuple[int, Sequence[int]]] = [(0, ()), (1, ()), (1, (0,)), (6, range(6))]
    for n, failed in failures:
        history = trials(experiment, n, failed)
        (settings,) = suggested(plugin.make(), goal, history)
        experiment.check(settings)
        tried = {experiment.key(t.settings) for t in history}
        plugin.require(experiment.key(settings) not in tried, f"it repeats settings of {experiment.name} after {n} trials")


def a_model_predicts_numbers_in_units_and_chances_that_add_up(plugin: Plugin, experiment: Experiment) -> None:
    """`predict` gives a mean and a deviation for every setting, and of a map the chances of its labels; where it has a model."""
    strategy: Strategy = plugin.make()
    if not isinstance(strategy, Predicts):
        return
    goal, asked = goal_of(plugin, experiment), [t.settings for t in trials(experiment, 12)]
    for n in (1, 2, 8):
        prediction = strategy.predict(State(goal, trials(experiment, n)), asked)
        if isinstance(goal, Map):
            plugin.require(tuple(prediction.probabilities) == goal.labels, f"it predicts chances of {list(prediction.probabilities)}")
            chances = np.array(list(prediction.probabilities.values()))
            plugin.require(chances.shape == (len(goal.labels), 12), f"its chances have the shape {chances.shape}")
            adds_up = bool(chances.min() >= 0) and np.allclose(chances.sum(axis=0), 1)
            plugin.require(adds_up, f"the chances of the labels of {experiment.name} do not add up to 1")
            plugin.require(set(prediction.labels) <= set(goal.labels), "it predicts labels that the goal does not have")
        else:
            plugin.require(not prediction.probabilities, "it predicts chances for a goal without labels")
            plugin.require("score" in prediction.means, "it predicts no score")
        plugin.require(set(prediction.means) == set(prediction.deviations), "means and deviations are of different outcomes")
        for mean, deviation in zip(prediction.means.values(), prediction.deviations.values(), strict=True):
            plugin.require(mean.shape == deviation.shape == (12,), f"it predicts {mean.shape} values for 12 settings")
            is_sound = bool(np.isfinite(mean).all()) and bool((deviation >= 0).all())
            plugin.require(is_sound, f"a mean of {experiment.name} is not finite, or a deviation is negative")


def its_sample_paths_agree_with_its_predictions(plugin: Plugin, experiment: Experiment) -> None:
    """`sample` gives paths of the score whose means and deviations are those of `predict`, up to the noise of a reading."""
    strategy: Strategy = plugin.make()
    if not isinstance(strategy, Samples):
        return
    state, asked, count = State(goal_of(plugin, experiment), trials(experiment, 8)), [t.settings for t in trials(experiment, 12)], 400
    paths = strategy.sample(state, asked, count, seed=3)
    plugin.require("score" in paths, "it samples no score")
    plugin.require(all(values.shape == (count, 12) for values in paths.values()), "its paths have not the shape [count, n]")
    again = strategy.sample(state, asked, count, seed=3)
    plugin.require(all(np.array_equal(values, again[name]) for name, values in paths.items()), "the same seed gives other paths")
    if not isinstance(strategy, Predicts):
        return
    prediction = strategy.predict(state, asked)
    for name, values in paths.items():
        mean, deviation = prediction.means[name], prediction.deviations[name]
        slack = 5 * deviation / np.sqrt(count) + 1e-9 * np.abs(mean)
        far = np.abs(values.mean(axis=0) - mean) > 2 * slack + prediction.noise.get(name, 0.0)
        plugin.require(not far.any(), f"the means of its paths of {name} on {experiment.name} are not those that it predicts")
        wide = np.abs(values.std(axis=0) - deviation) > 0.35 * deviation + 1e-6 * np.abs(mean)
        plugin.require(not wide.any(), f"the deviations of its paths of {name} on {experiment.name} are not those that it predicts")


def its_suggestions_do_not_depend_on_units(plugin: Plugin, experiment: Experiment) -> None:
    """The same, bit for bit, with all parameters and outcomes times powers of two; times others to 1e-6 of the range."""
    goal, history = goal_of(plugin, experiment), trials(experiment, 6)
    expected = suggested(plugin.make(), goal, history, 2)
    for of_settings, of_outcomes in ((2.0**50, 2.0**-50), (2.0**-50, 2.0**50), (1e15, 1e-15), (1e-15, 1e15)):
        units = _Units(experiment, of_settings, of_outcomes)
        found = [units.undone(s) for s in suggested(plugin.make(), units.goal(goal), [units.trial(t) for t in history], 2)]
        is_exact = of_settings in (2.0**50, 2.0**-50)
        same = found == expected if is_exact else all(map(units.is_nearly, found, expected))
        plugin.require(same, f"with other units of {experiment.name} ({of_settings:.3g}, {of_outcomes:.3g}) it suggests other settings")


@dataclass(frozen=True)
class _Units:
    """An experiment in other units: settings and outcomes times a factor, but for outcomes whose law has a fixed unit."""

    original: Experiment
    of_settings: float
    of_outcomes: float

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment in these units."""
        parameters = tuple(self._parameter(p) for p in self.original.parameters)
        candidates = tuple(self._settings(c) for c in self.original.candidates)
        return replace(
            self.original, parameters=parameters, constraints=tuple(map(self._constraint, self.original.constraints)), candidates=candidates
        )

    def goal(self, goal: Goal) -> Goal:
        """The goal in these units."""
        if isinstance(goal, Map) and goal.threshold is not None:
            return replace(goal, experiment=self.experiment, threshold=goal.threshold * self._factor(goal.outcome))
        return replace(goal, experiment=self.experiment)

    def trial(self, trial: Trial) -> Trial:
        """A trial in these units."""
        assert trial.measurement is not None
        outcomes = {name: v if isinstance(v, str) else v * self._factor(name) for name, v in trial.measurement.outcomes.items()}
        return replace(trial, settings=self._settings(trial.settings), measurement=replace(trial.measurement, outcomes=outcomes))

    def undone(self, settings: Settings) -> Settings:
        """Settings of these units in the original ones."""
        return {name: v if isinstance(v, str) else v / self.of_settings for name, v in settings.items()}

    def is_nearly(self, one: Settings, other: Settings) -> bool:
        """Whether settings in the original units are the same to 1e-6 of the range."""
        ranges = {p.name: p.high - p.low if isinstance(p, Continuous) else 1e-3 for p in self.original.parameters}
        return all(one[n] == v if isinstance(v, str) else abs(float(one[n]) - v) <= 1e-6 * ranges[n] for n, v in other.items())

    def _factor(self, outcome: str) -> float:
        return next(1.0 if o.law else self.of_outcomes for o in self.original.outcomes if o.name == outcome)

    def _settings(self, settings: Settings) -> Settings:
        return {name: v if isinstance(v, str) else v * self.of_settings for name, v in settings.items()}

    def _parameter(self, parameter: Parameter) -> Parameter:
        if isinstance(parameter, Continuous):
            return replace(parameter, low=parameter.low * self.of_settings, high=parameter.high * self.of_settings)
        if isinstance(parameter, Discrete):
            return replace(parameter, values=tuple(v * self.of_settings for v in parameter.values))
        return parameter

    def _constraint(self, constraint: Constraint) -> Constraint:
        if isinstance(constraint, MixtureSum):
            return replace(constraint, total=constraint.total * self.of_settings)
        return replace(constraint, low=constraint.low * self.of_settings, high=constraint.high * self.of_settings)


def equal_outcomes_do_no_harm(plugin: Plugin, experiment: Experiment) -> None:
    """It goes on when all outcomes are the same."""
    same = Measurement({o.name: o.labels[0] if o.labels else 0.0 for o in experiment.outcomes})
    history = [Trial(t.number, t.settings, same) for t in trials(experiment, 8)]
    (settings,) = suggested(plugin.make(), goal_of(plugin, experiment), history)
    experiment.check(settings)


def a_recommendation_is_allowed_with_and_without_history(plugin: Plugin, experiment: Experiment) -> None:
    """`recommend` gives allowed settings. A strategy with a model that serves a score recommends."""
    strategy: Strategy = plugin.make()
    if not isinstance(strategy, Recommends):
        has_model = isinstance(strategy, Predicts)
        serves_score = any(isinstance(g, Objective) and serves(strategy, g) for g in goals_of(experiment))
        plugin.require(not (has_model and serves_score), "it has a model of a score and recommends nothing")
        return
    goal = goal_of(plugin, experiment)
    for history in ([], trials(experiment, 1, failed=(0,)), trials(experiment, 8, failed=(1,))):
        experiment.check(strategy.recommend(State(goal, history)))


def its_mixtures_add_up_exactly(plugin: Plugin) -> None:
    """The parts of a suggested mixture add up to its total."""
    for name in ("simplex", "constrained", "color"):
        experiment = experiments()[name]
        (mixture,) = (c for c in experiment.constraints if isinstance(c, MixtureSum))
        for n in (0, 7):
            for settings in suggested(plugin.make(), goal_of(plugin, experiment), trials(experiment, n), 2):
                total = math.fsum(float(settings[part]) for part in mixture.parameters)
                plugin.require(abs(total - mixture.total) <= ROUNDING, f"the parts of a mixture add up to {total!r}, not {mixture.total!r}")


def it_asks_for_what_can_be_delivered(plugin: Plugin) -> None:
    """Amounts are 0 or the smallest dose or more, those that others leave over included, in suggestions and in recommendations."""
    doses = tuple(replace(p, smallest=0.25) for p in (A, B, C))
    for constraints in ((), (MixtureSum(("a", "b", "c"), 1.0),)):
        experiment = Experiment("doses", doses, Y, constraints)
        history = trials(experiment, 6)
        strategy: Strategy = plugin.make()
        for settings in suggested(strategy, goal_of(plugin, experiment), history, 2):
            plugin.require(experiment.allows(settings), f"it asks for {settings}, which no pump with a smallest dose of 0.25 delivers")
        goal = Maximize(experiment, Y[0].name)
        if serves(strategy, goal) and isinstance(strategy, Recommends):
            settings = strategy.recommend(State(goal, history))
            plugin.require(experiment.allows(settings), f"it recommends {settings}, which cannot be delivered")


def a_small_space_is_used_up_before_anything_is_repeated(plugin: Plugin) -> None:
    """It repeats settings when all are tried, but none that failed; it refuses to suggest more than there are."""
    experiment = Experiment("small", (Discrete("n", (1.0, 2.0)), SOLVENTS), Y)
    goal, strategy, history = goal_of(plugin, experiment), plugin.make(), list[Trial]()
    for number in range(8):
        (settings,) = suggested(strategy, goal, history)
        history.append(Trial(number, settings, None if number == 3 else measurement(experiment, settings)))
    keys = [experiment.key(t.settings) for t in history]
    plugin.require(len(set(keys[:6])) == 6, "it repeats settings while there are others")
    plugin.require(keys[3] not in keys[6:], "it repeats settings that failed while there are others")
    with plugin.raises(InvalidInput, "asked for 7 settings of 6", "only 6"):
        suggested(strategy, goal, history, 7)


def an_experiment_with_one_allowed_setting_is_no_problem(plugin: Plugin) -> None:
    """The only setting is suggested, tried or not."""
    experiment = Experiment("one", (Discrete("n", (2.0,)), Categorical("solvent", ("water",))), Y)
    only: Settings = {"n": 2.0, "solvent": "water"}
    goal = goal_of(plugin, experiment)
    for history in ([], [Trial(1, only, measurement(experiment, only))]):
        (settings,) = suggested(plugin.make(), goal, history)
        plugin.require(dict(settings) == only, f"it suggested {dict(settings)}, and {only} is the only setting allowed")


def constraints_that_nothing_satisfies_are_refused(plugin: Plugin) -> None:
    """An experiment that allows nothing is refused with a sentence."""
    impossible = (LinearConstraint({"a": 1.0, "b": 1.0}, high=0.5), LinearConstraint({"a": 1.0, "c": 1.0}, low=1.9))
    goal = goal_of(plugin, experiments()["simplex"])
    for constraints in (impossible, (MixtureSum(("a", "b", "c"), 4.0),), (MixtureSum(("a", "b"), 1.9), impossible[0])):
        experiment = Experiment("impossible", (A, B, C), Y, constraints)
        with plugin.raises(InvalidInput, "for constraints that nothing satisfies", "no settings of impossible satisfy its constraints"):
            suggested(plugin.make(), replace(goal, experiment=experiment))


def thousands_of_candidates_of_any_scale_are_searched(plugin: Plugin) -> None:
    """Thousands of candidates are searched, and the recommended one is among the best."""
    random = np.random.default_rng(0)
    X = random.random((N_CANDIDATES, 3)) * [1e-3, 1e4, 1.0]
    candidates = tuple(dict(zip("abc", map(float, x), strict=True)) for x in X)
    parameters = tuple(Discrete(name, tuple(sorted(set(X[:, j].tolist())))) for j, name in enumerate("abc"))
    experiment = Experiment("table", parameters, (Outcome("y"),), candidates=candidates)
    history = [Trial(i, c, Measurement({"y": float(c["b"])})) for i, c in enumerate(candidates[:12])]
    strategy: Strategy = plugin.make()
    (settings,) = suggested(strategy, goal_of(plugin, experiment), history)
    experiment.check(settings)
    if isinstance(strategy, Recommends):
        found = float(strategy.recommend(State(Maximize(experiment, "y"), history))["b"])
        plugin.require(found > 0.95e4, f"of outcomes up to 1e4 that follow one parameter, it recommends {found:g}")


def it_does_not_ask_for_the_same_failure_for_ever(plugin: Plugin) -> None:
    """After some failures in a corner that always fails, it looks elsewhere."""
    experiment = Experiment("corner", (A, B), (Outcome("y"),))
    goal, strategy, history = goal_of(plugin, experiment), plugin.make(), list[Trial]()
    for number in range(14):
        (settings,) = suggested(strategy, goal, history)
        total = float(settings["a"]) + float(settings["b"])
        history.append(Trial(number, settings, Measurement({"y": total}) if total < 1.5 else None))
    n_failed = sum(t.measurement is None for t in history[-7:])
    plugin.require(n_failed <= 5, f"{n_failed} of its last 7 suggestions failed in a corner where all before had failed")


def a_retracted_reading_counts_for_nothing(plugin: Plugin) -> None:
    """The next suggestion is the same, whatever was read in a trial that a person retracted."""
    experiment = Experiment("corner", (A, B), (Outcome("y"),))
    goal = goal_of(plugin, experiment)
    history = [Trial(k, {"a": 0.1 * k, "b": 1 - 0.1 * k}, Measurement({"y": 0.1 * (k - 4) ** 2})) for k in range(1, 8)]

    def after(reading: float) -> list[Settings]:
        performed = replace(history[2], measurement=Measurement({"y": reading}))
        retracted = replace(performed, measurement=None, correction=Correction("a typing mistake", performed))
        return suggested(plugin.make(), goal, [*history[:2], retracted, *history[3:]])

    plugin.require(after(1e3) == after(-1e3), "a reading that was retracted decides what it suggests")


def earlier_campaigns_count_where_it_says_so(plugin: Plugin) -> None:
    """With earlier campaigns it suggests allowed settings, and the same as without them where it says that it does not use them."""
    experiment = experiments()["constrained"]
    sister = replace(experiment, parameters=(*experiment.parameters[:-1], replace(experiment.parameters[-1], name="f")))
    goal, strategy, history = goal_of(plugin, experiment), plugin.make(), trials(experiment, 7)
    alone = suggested(strategy, goal, history)
    for relation in RELATIONS:
        lab = sister if relation == "sister" else experiment
        earlier = Earlier(lab, trials(lab, 9, failed=(4,)), relation, "before")
        (settings,) = (s.settings for s in strategy.suggest(State(goal, history, earlier=(earlier,))))
        experiment.check(settings)
        if not (isinstance(strategy, UsesEarlier) and strategy.uses(earlier)):
            plugin.require([settings] == alone, "an earlier campaign decides what it suggests, and it does not say that it uses it")


def it_measures_where_its_goal_counts(plugin: Plugin) -> None:
    """One of a few suggestions is at the goal's fidelity, whatever was measured at others; a model predicts, and recommends, for it."""
    looks, seconds = Categorical("look", ("glance", "stare")), Continuous("seconds", 1.0, 9.0, "s")
    experiment = Experiment("looks", (A, looks, B, seconds), Y, fidelities={"look": "stare", "seconds": 9.0})
    quick: Settings = {"a": 0.5, "look": "glance", "b": 0.5, "seconds": 2.0}
    goal, strategy, history = goal_of(plugin, experiment), plugin.make(), list[Trial]()
    for number in range(1, 9):
        if number in (1, 3):
            history.append(Trial(number, quick, measurement(experiment, quick)))
        else:
            (settings,) = suggested(strategy, goal, history, pending=[quick])
            history.append(Trial(number, experiment.check(settings), measurement(experiment, settings)))
    plugin.require(any(map(goal.counts, history)), f"it suggests no settings with {experiment.fidelities}, where the goal counts")
    state = State(goal, history)
    if isinstance(strategy, Predicts):
        prediction = strategy.predict(state, [quick, *(t.settings for t in history)])
        values = [*prediction.probabilities.values(), *prediction.means.values()]
        plugin.require(bool(np.isfinite(values).all()), "it predicts no finite numbers for settings of another fidelity")
    if isinstance(strategy, Recommends) and isinstance(goal, Objective):
        plugin.require(experiment.counts(strategy.recommend(state)), "it recommends settings at which the goal does not count")


def a_different_seed_gives_different_settings(plugin: Plugin) -> None:
    """The first suggestion depends on the seed, where it has one."""
    if plugin.has_seed:
        goal = goal_of(plugin, experiments()["constrained"])
        is_other = suggested(plugin.make(seed=1), goal) != suggested(plugin.make(seed=0), goal)
        plugin.require(is_other, "two seeds give the same first settings")


def its_data_sheet_names_its_options(plugin: Plugin) -> None:
    """The docstring has a first line, and names every option but the seed, which all share."""
    sheet = catalog.docstring(plugin.target)
    plugin.require(bool(sheet.partition("\n")[0]), "its class has no docstring")
    for option in catalog.parameters(plugin.target):
        plugin.require(option == "seed" or option in sheet, f"its docstring does not say what {option} is")


EXPERIMENT_PROMISES: tuple[ExperimentPromise, ...] = (
    it_suggests_distinct_allowed_settings_that_nobody_tried_or_is_trying,
    it_is_a_pure_function_of_its_arguments,
    it_suggests_something_whatever_happened_before,
    a_model_predicts_numbers_in_units_and_chances_that_add_up,
    its_sample_paths_agree_with_its_predictions,
    its_suggestions_do_not_depend_on_units,
    equal_outcomes_do_no_harm,
    a_recommendation_is_allowed_with_and_without_history,
)
"""Those that hold over every experiment."""
STRATEGY_PROMISES: tuple[Promise, ...] = (
    its_mixtures_add_up_exactly,
    it_asks_for_what_can_be_delivered,
    a_small_space_is_used_up_before_anything_is_repeated,
    an_experiment_with_one_allowed_setting_is_no_problem,
    constraints_that_nothing_satisfies_are_refused,
    thousands_of_candidates_of_any_scale_are_searched,
    it_does_not_ask_for_the_same_failure_for_ever,
    a_retracted_reading_counts_for_nothing,
    earlier_campaigns_count_where_it_says_so,
    it_measures_where_its_goal_counts,
    a_different_seed_gives_different_settings,
    its_data_sheet_names_its_options,
)
"""Those that have an experiment of their own."""
