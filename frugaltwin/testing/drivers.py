"""The promises of a driver."""

import contextlib
import json
import math
import pickle
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from itertools import chain
from pathlib import Path

from frugaltwin import catalog
from frugaltwin.data_sheets import Option, options_of
from frugaltwin.errors import DriverError, InvalidInput, OutOfBounds, Stopped
from frugaltwin.experiment import Categorical, Outcomes, Settings, Trial
from frugaltwin.plugins import Driver, Estimates, KnowsTruth, KnowsTruths, Resumes, UsesMixer
from frugaltwin.tables import color_of
from frugaltwin.testing.mixers import MIXER_PROMISES, MixerTrial
from frugaltwin.testing.plugin import Plugin, Promise, drawn

LONGEST = 120
"""Characters of the first line of a data sheet: it is a row of `frugaltwin catalog`."""
STOPPED = 2
"""Number of the trial that is stopped where a campaign is resumed."""


def allowed(driver: Driver, count: int = 8) -> list[Settings]:
    """Settings that a rig could measure, where the driver can tell, at every fidelity."""
    return [s for s in _drawn(driver, 8 * count) if _is_measurable(driver, s)][:count]


def _drawn(driver: Driver, count: int) -> list[Settings]:
    """Random settings, measurable or not; as many as there are where these are fewer."""
    first = driver.experiment.outcomes[0]
    goal = catalog.make_goal(f"map:{first.name}" if first.labels else f"minimize:{first.name}", driver)
    return drawn(goal.on(replace(driver.experiment, fidelities={})), min(count, len(driver.experiment.candidates) or count), seed=3)


def it_measures_every_outcome_with_a_cost_and_leaves_no_truth_in_it(plugin: Plugin) -> None:
    """Every measurement has the outcomes of the experiment, costs 0 or more, and says nothing that only a twin knows."""
    with plugin.make() as driver:
        for settings in allowed(driver):
            measurement = driver.perform(settings)
            checked = driver.experiment.check_outcomes(measurement.outcomes)
            expected = [o.name for o in driver.experiment.outcomes]
            plugin.require(list(checked) == expected, f"it measured {list(checked)} in place of {expected}")
            plugin.require(min(vars(measurement.cost).values()) >= 0, f"a measurement has the negative cost {measurement.cost}")
            plugin.require(
                measurement.cost.runs == 0, "a measurement counts runs in its cost; leave them to the campaign, which counts trials"
            )
            told = [key for key in measurement.raw if "truth" in key or "target" in key]
            plugin.require(not told, f"raw of a measurement holds {', '.join(told)}, which a rig cannot know")
            color = set(color_of(driver.experiment, settings, checked))
            plugin.require(
                color == (set("Lab") if driver.experiment.color else set()), "its outcomes give no color, and its experiment has one"
            )


def the_same_seed_gives_the_same_measurements(plugin: Plugin) -> None:
    """Two drivers of one seed measure the same, where a driver has a seed."""
    if not plugin.has_seed:
        return

    def performed() -> list[dict[str, float | str]]:
        with plugin.make(seed=5) as driver:
            return [dict(driver.perform(settings).outcomes) for settings in allowed(driver)]

    plugin.require(performed() == performed(), "two of them with the same seed measured different outcomes")


def a_resumed_twin_measures_what_an_uninterrupted_one_measures(plugin: Plugin) -> None:
    """n + m experiments in one go, and n, then m on a new twin after `resume`, give the same bit for bit, also after failed ones."""
    seed = {"seed": 5} if plugin.has_seed else {}
    whole: Driver = plugin.make(**seed)
    if not isinstance(whole, Resumes):
        is_twin = plugin.has_seed and isinstance(whole, KnowsTruth)
        plugin.require(not is_twin, "it draws random numbers and cannot go on with a campaign: it needs `resume`")
        return
    settings = _some_that_fail(whole)
    began = _attempts(whole, settings)
    whole.resume(())
    plugin.require(_attempts(whole, settings) == began, "after resume(()) it is not as good as new")
    for n in range(1, len(settings)):
        part: Driver = plugin.make(**seed)
        assert isinstance(part, Resumes)
        part.resume(began[:n])
        went_on = _attempts(part, settings[n:], n + 1)
        plugin.require(went_on == began[n:], f"resumed after trial {n} of {len(settings)}, it measured something else")
    if isinstance(whole, Estimates):
        two: Driver = plugin.make(**seed)
        assert isinstance(two, Resumes)
        assert isinstance(two, Estimates)
        two.resume(began)
        with two:
            pass  # what it calibrates when it connects is known
        expected = [driver.estimate(s) for driver in (whole, two) for s in settings]
        plugin.require(expected[: len(settings)] == expected[len(settings) :], "a resumed one estimates another cost")


def _some_that_fail(driver: Driver) -> list[Settings]:
    """Settings that a rig can measure, with repeats, and one that it may not be able to."""
    first, second = allowed(driver, 2)
    unmeasurable = [s for s in _drawn(driver, 16) if not _is_measurable(driver, s)]
    return [first, second, *unmeasurable[:1], second, first]


def _attempts(driver: Driver, settings: Sequence[Settings], number: int = 1) -> list[Trial]:
    """Trials of one session; the one with the number `STOPPED` is stopped, after which the driver is entered again.

    Args:
        number: Of the first.
    """
    trials = []
    with driver:
        for k, s in enumerate(settings, start=number):
            if k == STOPPED:
                driver.stop()
            try:
                measurement = driver.perform(s)
                trials.append(Trial(k, s, measurement, None, measurement.cost))
            except Stopped as error:
                trials.append(Trial(k, s, None, str(error), error.cost, "stopped"))
                driver.__enter__()
            except DriverError as error:
                trials.append(Trial(k, s, None, str(error), error.cost))
    return trials


def the_truth_is_the_same_whatever_the_seed_and_whatever_was_performed(plugin: Plugin) -> None:
    """The truth depends on the settings alone."""
    one: Driver = plugin.make(seed=1)
    two: Driver = plugin.make(seed=2)
    if not (isinstance(one, KnowsTruth) and isinstance(two, KnowsTruth)):
        return
    settings = allowed(one)
    before = [one.truth(s) for s in settings]
    plugin.require(before == [two.truth(s) for s in settings], "its truth depends on the seed")
    with one:
        for s in settings:
            one.perform(s)
    plugin.require([one.truth(s) for s in settings] == before, "its truth depends on what was performed")


def the_truth_of_many_settings_is_the_truth_of_each(plugin: Plugin) -> None:
    """`truths` agrees with `truth` to 1e-9, where there is one."""
    driver: Driver = plugin.make()
    if not isinstance(driver, KnowsTruths):
        return
    settings = allowed(driver)
    for one, many in zip(map(driver.truth, settings), driver.truths(settings), strict=True):
        plugin.require(_is_close(one, many), f"truths says {many} where truth says {one}")


def its_options_change_what_they_say(plugin: Plugin) -> None:
    """An option that is stated to change the truth does so, and one of the imperfections leaves it and the experiment as they are.

    Options without a statement, and those that no other value is known of, are not tried.
    """
    driver: Driver = plugin.make()
    stated = options_of(plugin.target)
    if stated is None or not isinstance(driver, KnowsTruth):
        return
    few = allowed(driver, 3)
    many: list[Settings] = []
    before = _truths(driver, few)
    for name, about in stated.stated.items():
        if about.changes in ("", "experiment"):
            continue
        is_imperfection, others = about.changes == "imperfections", _with_another(plugin, name, about)
        if is_imperfection:
            for other in others:
                is_same = other.experiment == driver.experiment and _truths(other, few) == before
                plugin.require(is_same, f"its option {name} is stated to be an imperfection, and changes the truth or the experiment")
        elif first := next(others, None):
            if not (is_changed := _truths(first, few) != before):
                many = many or allowed(driver, 32)  # a boundary moves past few of them
                known = _truths(driver, many)
                is_changed = any(_truths(other, many) != known for other in chain([first], others))
            plugin.require(is_changed, f"its option {name} is stated to change the truth, and does not")


def _with_another(plugin: Plugin, name: str, about: Option) -> Iterator[Driver]:
    """The same twin with another value of an option."""
    for value in about.others():
        with contextlib.suppress(InvalidInput):
            yield replace(plugin, options={**plugin.options, name: value}).make()


def _truths(driver: Driver, settings: Sequence[Settings]) -> list[Outcomes] | None:
    """The truths; None where a rig could not measure one of them."""
    assert isinstance(driver, KnowsTruth)
    try:
        return [driver.truth(s) for s in settings]
    except DriverError:
        return None


def bounds_are_refused(plugin: Plugin) -> None:
    """The experiment refuses settings outside of its bounds, and names the parameter."""
    driver: Driver = plugin.make()
    experiment, good = driver.experiment, dict(allowed(driver, 1)[0])
    experiment.check(good)
    for p in experiment.parameters:
        for value in (math.nan, 1e9):
            with plugin.raises(OutOfBounds, f"at {p.name} = {value}", p.name):
                experiment.check(good | {p.name: value})
        with plugin.raises(OutOfBounds, f"without {p.name}", f"{p.name} missing"):
            experiment.check({k: v for k, v in good.items() if k != p.name})


def it_stops_until_it_is_entered_again_and_leaves_twice(plugin: Plugin) -> None:
    """After `stop`, `perform` raises `Stopped`; it may be left twice, and entering it clears the stop."""
    driver: Driver = plugin.make()
    (settings,) = allowed(driver, 1)
    with driver:
        driver.stop()
        with plugin.raises(Stopped, "performing after stop"):
            driver.perform(settings)
    driver.__exit__(None, None, None)
    with driver:
        driver.perform(settings)


def it_measures_only_while_it_is_connected(plugin: Plugin) -> None:
    """Outside of ``with``, `perform` raises `Stopped`."""
    driver: Driver = plugin.make()
    (settings,) = allowed(driver, 1)
    with plugin.raises(Stopped, "performing before it is entered"):
        driver.perform(settings)


def an_estimate_is_near_to_what_it_takes(plugin: Plugin) -> None:
    """An estimate of the time is right to 10 %, where it gives one."""
    driver: Driver = plugin.make()
    if not isinstance(driver, Estimates):
        return
    with driver:
        settings = allowed(driver, 2)
        driver.perform(settings[0])
        expected = driver.estimate(settings[1]).seconds  # from where the first one left the rig
        took = driver.perform(settings[1]).cost.seconds
        plugin.require(math.isclose(took, expected, rel_tol=0.1), f"it estimated {expected:g} s and took {took:g} s")


def its_experiment_can_be_sent_to_another_process(plugin: Plugin) -> None:
    """The experiment survives pickling."""
    experiment = plugin.make().experiment
    plugin.require(pickle.loads(pickle.dumps(experiment)) == experiment, "its experiment is another one after pickling")  # noqa: S301


def its_options_can_be_sent_to_another_process(plugin: Plugin) -> None:
    """The options survive JSON and pickling, and give the same experiment there."""
    seed = {"seed": 3} if plugin.has_seed else {}
    options = catalog.resolved(plugin.name, plugin.target, dict(plugin.options) | seed)
    sent = json.loads(json.dumps(options))
    plugin.require(sent == pickle.loads(pickle.dumps(options)) == options, "its options are others after JSON")  # noqa: S301
    there = catalog.made(plugin.kind, plugin.name, plugin.target, sent, {})
    plugin.require(there.experiment == plugin.make().experiment, "the same options give another experiment")


def its_outcomes_have_units_and_say_what_they_are(plugin: Plugin) -> None:
    """Every outcome has a description, and a unit or labels; those that the user named by an option need none."""
    for outcome in plugin.make().experiment.outcomes:
        if outcome.name not in _named_by_options(plugin):
            plugin.require(bool(outcome.description), f"the outcome {outcome.name} has no description")
            plugin.require(bool(outcome.unit) != bool(outcome.labels), f"the outcome {outcome.name} needs a unit or labels, and not both")


def its_truth_can_be_drawn(plugin: Plugin) -> None:
    """The true diagram of a twin shows every label that is found; without a truth, or two numbers to set, drawing is refused."""
    from frugaltwin.pictures.picture import picture

    driver: Driver = plugin.make()
    n_numeric = sum(not isinstance(p, Categorical) and (p.kind == "continuous" or len(p.values) > 1) for p in driver.experiment.parameters)
    if n_numeric < 2 or not isinstance(driver, KnowsTruth):
        with plugin.raises(InvalidInput, "drawing it", "two numeric parameters" if isinstance(driver, KnowsTruth) else "knows no truth"):
            picture(driver)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.svg"
        picture(driver).save(path)
        text = path.read_text(encoding="utf-8")
    labeled = [o for o in driver.experiment.outcomes if o.labels]
    for label in {str(driver.truth(s)[o.name]) for o in labeled for s in allowed(driver)}:
        plugin.require(escape(label) in text, f"the label {label} is not in its picture")


def its_data_sheet_names_its_options_and_quantities(plugin: Plugin) -> None:
    """The docstring begins with one short line and names every option, parameter and outcome.

    The option ``goal``, which the campaign gives, and quantities with a digit in their names, which come in rows, may be left out.
    """
    sheet = catalog.docstring(plugin.target)
    first = sheet.partition("\n")[0]
    plugin.require(0 < len(first) <= LONGEST, f"the first line of its docstring has {len(first)} characters; 1 to {LONGEST} are right")
    experiment = plugin.make().experiment
    quantities = [n.name for n in (*experiment.parameters, *experiment.outcomes) if not re.search(r"\d", n.name)]
    options = [option for option in catalog.parameters(plugin.target) if option != "goal"]
    for word in [*options, *(name for name in quantities if name not in _named_by_options(plugin))]:
        plugin.require(bool(re.search(rf"\b{re.escape(word)}\b", sheet)), f"its docstring does not say what {word} is")


def its_own_mixer_keeps_the_promises_of_a_mixer(plugin: Plugin) -> None:
    """The mixer that a driver shows is held to all of them, unless it is chosen by the option ``mixer``: then it has tests of its own."""
    if "mixer" in catalog.parameters(plugin.target) or not isinstance(plugin.make(), UsesMixer):
        return
    for promise in MIXER_PROMISES:
        MixerTrial.under(replace(plugin, kind="mixer of"), plugin.make()).keep(promise)


def _is_measurable(driver: Driver, settings: Settings) -> bool:
    if isinstance(driver, KnowsTruth):
        try:
            driver.truth(settings)
        except DriverError:
            return False
    return True


def _is_close(one: Outcomes, other: Outcomes) -> bool:
    return one.keys() == other.keys() and all(
        a == b if isinstance(a, str) or isinstance(b, str) else math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
        for a, b in ((one[name], other[name]) for name in one)
    )


def _named_by_options(plugin: Plugin) -> set[str]:
    """The words in the texts of the options: columns of a file, say. Their meaning is the user's."""
    return {word.strip() for text in plugin.options.values() if isinstance(text, str) for word in text.split(",")}


DRIVER_PROMISES: tuple[Promise, ...] = (
    it_measures_every_outcome_with_a_cost_and_leaves_no_truth_in_it,
    the_same_seed_gives_the_same_measurements,
    a_resumed_twin_measures_what_an_uninterrupted_one_measures,
    the_truth_is_the_same_whatever_the_seed_and_whatever_was_performed,
    the_truth_of_many_settings_is_the_truth_of_each,
    its_options_change_what_they_say,
    bounds_are_refused,
    it_stops_until_it_is_entered_again_and_leaves_twice,
    it_measures_only_while_it_is_connected,
    an_estimate_is_near_to_what_it_takes,
    its_experiment_can_be_sent_to_another_process,
    its_options_can_be_sent_to_another_process,
    its_outcomes_have_units_and_say_what_they_are,
    its_truth_can_be_drawn,
    its_data_sheet_names_its_options_and_quantities,
    its_own_mixer_keeps_the_promises_of_a_mixer,
)
