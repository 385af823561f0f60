"""Goals that map, what is predicted, and the pictures of it."""

import base64
import csv
import hashlib
import json
import math
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frugaltwin import catalog, picture
from frugaltwin.budget import Budget, Expectation, MapRule, StopRule
from frugaltwin.campaign import Campaign
from frugaltwin.errors import CampaignError, InvalidInput, UnknownName
from frugaltwin.experiment import (
    Categorical,
    Continuous,
    Discrete,
    Experiment,
    LinearConstraint,
    Measurement,
    MixtureSum,
    Outcome,
    Settings,
    Trial,
)
from frugaltwin.goals import Map
from frugaltwin.pictures.belief import MOST_STEPS, MapView
from frugaltwin.pictures.phase_fields import COARSE
from frugaltwin.pictures.plane import Plane
from frugaltwin.pictures.report import html
from frugaltwin.pictures.truth import diagram_figure
from frugaltwin.plugins import KnowsTruth
from frugaltwin.state import Prediction
from frugaltwin.store import Store
from tests.conftest import Cli, events
from tests.forms import times

X, T = Continuous("composition", 0.0, 1.0), Continuous("temperature", 300.0, 900.0, "K")
PHASE, SIGNAL = Outcome("phase", "", "what it is", labels=("solid", "liquid")), Outcome("signal", "mV", "what is read")
ALLOY = Experiment("alloy", (X, T), (PHASE, SIGNAL))


class Furnace:
    """A driver in ten lines: liquid above 600 K, and nothing can be measured above 850 K."""

    experiment = ALLOY

    def __enter__(self) -> "Furnace":
        return self

    def perform(self, settings: Settings) -> Measurement:
        from frugaltwin.errors import RigFault

        if float(settings["temperature"]) > 850:
            raise RigFault("too hot")
        return Measurement(self.truth(settings))

    def truth(self, settings: Settings) -> dict[str, float | str]:
        above = float(settings["temperature"]) - 600
        return {"phase": "liquid" if above > 0 else "solid", "signal": above / 10}

    def stop(self) -> None: ...

    def __exit__(self, *failure: object) -> None: ...


def campaign(goal: str = "map:phase", strategy: str = "gp-classifier", runs: int = 8) -> Campaign:
    driver = Furnace()
    return Campaign("alloy", driver, catalog.make_goal(goal, driver), catalog.make_strategy(strategy), Store(":memory:"), Budget(runs=runs))


def test_a_map_of_labels_and_a_map_of_a_value_are_read_back_from_their_words() -> None:
    maps: list[Map] = []
    for text, strategy, labels in (
        ("map:phase", "phase-map", ("solid", "liquid")),
        ("map:signal:2.5", "straddle", ("signal < 2.5 mV", "signal ≥ 2.5 mV")),
    ):
        goal = catalog.make_goal(text, Furnace())
        assert isinstance(goal, Map)
        maps.append(goal)
        assert goal == catalog.make_goal(goal.text, Furnace())
        assert (goal.labels, goal.default_strategy) == (labels, strategy)
    assert maps[1].label_of({"phase": "solid", "signal": 2.5}) == "signal ≥ 2.5 mV"
    assert maps[1].label_of({"phase": "solid", "signal": 2.499}) == "signal < 2.5 mV"
    assert maps[0].score_of_trial(Trial(1, {}, None)) is None


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("map:fase", UnknownName, "has no outcome 'fase' to map; did you mean 'phase'"),
        ("map:", UnknownName, "there are phase, signal"),
        ("map:signal", InvalidInput, "signal of alloy is a number: say which value divides the map, such as map:signal:0.5"),
        ("map:signal:warm", InvalidInput, "warm is not a finite number"),
        ("map:signal:nan", InvalidInput, "nan is not a finite number"),
        ("map:phase:3", InvalidInput, "phase of alloy is a label and has no value 3 to pass; write map:phase"),
    ],
)
def test_words_that_are_no_map_are_refused(text: str, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=re.escape(sentence)):
        catalog.make_goal(text, Furnace())


def test_a_driver_with_labels_and_no_color_is_mapped_when_nobody_says() -> None:
    assert catalog.default_goal(Furnace()) == "map:phase"


def test_a_map_has_no_score_to_stop_at_or_to_improve() -> None:
    driver = Furnace()
    goal = catalog.make_goal("map:phase", driver)
    with pytest.raises(InvalidInput, match="map:phase has no score to stop at"):
        Campaign("c", driver, goal, catalog.make_strategy("random"), Store(":memory:"), stop_rule=StopRule(1.0))
    with pytest.raises(InvalidInput, match="is no map, so no share of it can be right; name a score, such as 0"):
        MapRule(0.95).check(catalog.make_goal("match-color:coral", catalog.make_driver("color-mixing")))
    with pytest.raises(InvalidInput, match="has no score for bayesian to improve; try the strategy phase-map"):
        list(campaign(strategy="bayesian").run())
    with pytest.raises(InvalidInput, match=r"gp-classifier draws maps .* try the strategy bayesian"):
        list(campaign("minimize:signal").run())


def test_a_prediction_says_label_chance_and_doubt() -> None:
    p = Prediction({"a": np.array([1.0, 0.5, 0.2]), "b": np.array([0.0, 0.5, 0.8])}, {"y": np.array([1.0, 2.0, 3.0])}, {"y": np.ones(3)})
    assert p.labels == ["a", "a", "b"]
    assert p.probability.tolist() == [1.0, 0.5, 0.8]
    assert p.uncertainty == pytest.approx([0.0, 1.0, -(0.2 * math.log(0.2) + 0.8 * math.log(0.8)) / math.log(2)])
    assert p.rows()[2] == {"label": "b", "probability": 0.8, "uncertainty": pytest.approx(0.7219, abs=1e-4)} | {
        "p(a)": 0.2, "p(b)": 0.8, "y_mean": 3.0, "y_sd": 1.0
    }  # fmt: skip


def test_a_mixture_of_three_is_a_triangle_and_others_are_held() -> None:
    parts = tuple(Continuous(name, 0.0, 2.0, "mL") for name in ("water", "ethanol", "oil"))
    experiment = Experiment("ouzo", (*parts, T), (PHASE,), (MixtureSum(("water", "ethanol", "oil"), 2.0),))
    plane = Plane.of(experiment, n=11)
    assert plane.is_triangle
    assert plane.fixed == {"temperature": 600.0}
    assert len(plane.points) == 66
    assert plane.points.sum(axis=1) == pytest.approx(2.0)
    for settings in plane.settings():
        experiment.check(settings)


def test_a_table_of_parts_that_add_up_is_a_triangle_too() -> None:
    rows = [{"a": i / 4, "b": j / 4, "c": (4 - i - j) / 4} for i in range(5) for j in range(5 - i)]
    parts = tuple(Discrete(name, tuple(k / 4 for k in range(5))) for name in "abc")
    plane = Plane.of(Experiment("table", parts, (PHASE,), candidates=tuple(rows)))
    assert plane.is_triangle
    assert len(plane.points) == 15


def test_a_plane_keeps_to_what_is_allowed() -> None:
    plane = Plane.of(
        Experiment("half", (X, T), (PHASE,), (LinearConstraint({"composition": 600.0, "temperature": 1.0}, high=900.0),)), n=11
    )
    assert plane.shape is None
    assert 0 < len(plane.points) < 121
    levels = Plane.of(Experiment("levels", (Discrete("n", (1.0, 2.0, 5.0)), T), (PHASE,)), n=11)
    assert levels.shape == (3, 11)
    assert set(levels.points[:, 0]) == {1.0, 2.0, 5.0}
    with pytest.raises(InvalidInput, match="solvents has no two numeric parameters to draw a map over"):
        Plane.of(Experiment("solvents", (T, Categorical("solvent", ("water", "ethanol"))), (PHASE,)))


@pytest.mark.parametrize(("goal", "strategy"), [("map:phase", "gp-classifier"), ("map:signal:0", "straddle"), ("map:phase", "random")])
def test_a_campaign_maps_and_its_map_is_right_where_it_looked(goal: str, strategy: str) -> None:
    mapping = campaign(goal, strategy, runs=14)
    trials = list(mapping.run())
    assert mapping.best() is None
    assert mapping.recommendation() is None
    assert {t.error for t in trials} <= {None, "too hot"}
    cold, hot = {"composition": 0.5, "temperature": 400.0}, {"composition": 0.5, "temperature": 800.0}
    assert isinstance(mapping.goal, Map)
    assert mapping.predict([cold, hot]).labels == list(mapping.goal.labels)
    view = MapView.of(mapping.record(), COARSE)
    predicted = np.array([mapping.goal.labels.index(label) for label in mapping.predict(view.plane.settings()).labels])
    assert np.mean(predicted == view.truth().codes) > 0.85


def test_nothing_is_predicted_from_nothing() -> None:
    with pytest.raises(CampaignError, match="has measured nothing yet"):
        campaign().predict([{"composition": 0.5, "temperature": 400.0}])


def test_a_report_shows_the_map_after_every_experiment_and_no_truth_unless_asked() -> None:
    runs = times(3, 6)
    mapping = campaign(runs=runs)
    list(mapping.run())
    text = html(mapping.record())
    maps = json.loads(re.findall(r'<script type="application/json" id="maps">(.*?)</script>', text, re.S)[0])
    measured = [t.number for t in mapping.trials if t.measurement]
    assert [m["n"] for m in maps] == list(range(measured[0], runs + 1))
    assert all(m["url"].startswith("data:image/png;base64,") for m in maps)
    assert "no recommendation" not in text
    assert "<th>score" not in text
    script = re.findall(r"<script>(.*?)</script>", text, re.S)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in text or f"script-src 'sha256-{digest}'" in text
    assert html(mapping.record(), with_truth=True) != text


def test_a_notebook_shows_the_map_and_what_was_measured() -> None:
    mapping = campaign(runs=6)
    list(mapping.run())
    shown = mapping._repr_html_()
    assert "<svg" in shown
    assert isinstance(mapping.goal, Map)
    for label, n in mapping.goal.seen(mapping.trials).items():
        assert f"{label} {n}" in shown


def test_the_truth_of_a_table_of_settings_is_that_of_each_row(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("composition,temperature\n0.1,300\n0.5,300\n0.9,480\n")
    arguments = ("binary-solution", "--settings", "in.csv", "--out", "out.csv", "--noise-free", "--option", "system=3")
    assert cli_here("simulate", *arguments).returncode == 0
    twin = catalog.make_driver("binary-solution", {"system": 3})
    assert isinstance(twin, KnowsTruth)
    for row in csv.DictReader((tmp_path / "out.csv").read_text().splitlines()):
        true = twin.truth({name: float(row[name]) for name in ("composition", "temperature")})
        assert row["phase"] == true["phase"]
        assert float(row["turbidity"]) == pytest.approx(float(true["turbidity"]))


def test_long_campaigns_are_shown_in_few_steps_the_last_one_included() -> None:
    mapping = campaign(strategy="random", runs=60)
    list(mapping.run())
    steps = MapView.of(mapping.record(), COARSE).steps()
    assert len(steps) == MOST_STEPS
    assert steps[-1] == 60


def test_a_report_without_a_single_reading_has_no_map() -> None:
    mapping = campaign()
    text = html(mapping.record())
    assert "Nothing was measured yet" in text
    assert "<script" not in text


def test_a_picture_of_a_campaign_has_names_numbers_and_the_next_point(tmp_path: Path) -> None:
    mapping = campaign(runs=9)
    list(mapping.run())
    picture(mapping, with_truth=True).save(tmp_path / "map.svg")
    text = (tmp_path / "map.svg").read_text()
    for word in ("solid", "liquid", "next", "temperature, K", "composition", "of the map right", "uncertainty"):
        assert word in text
    assert "of the map right" not in picture(mapping)._repr_svg_()


def test_a_number_over_two_parameters_is_drawn_as_the_model_expects_it(tmp_path: Path) -> None:
    mapping = campaign("maximize:signal", "bayesian", runs=7)
    list(mapping.run())
    picture(mapping).save(tmp_path / "score.svg")
    assert "expected score, mV" in (tmp_path / "score.svg").read_text()
    with pytest.raises(InvalidInput, match="has no map to lay the truth over"):
        picture(mapping, with_truth=True)


def test_a_story_from_the_catalog_to_the_map(cli_here: Cli, tmp_path: Path) -> None:
    budget = times(2, 8)
    assert "Redlich" in cli_here("catalog", "binary-solution").stdout
    drawn = cli_here("plot", "binary-solution", "--option", "system=3", "--out", "truth.png")
    assert drawn.returncode == 0, drawn.stderr
    ran = cli_here(
        "run", "--driver", "binary-solution", "--option", "system=3", "--goal", "map:phase", "--budget", str(budget), "--name", "gap"
    )
    assert ran.returncode == 0, ran.stderr
    assert "labels measured: " in ran.stdout
    assert "recommended" not in ran.stdout
    *trials, summary = events(cli_here("show", "gap", "--json"))
    assert len(trials) == budget
    assert all(t["label"] == t["outcomes"]["phase"] and t["score"] is None for t in trials)
    assert sum(summary["labels"].values()) == budget
    assert summary["best"] is None
    assert cli_here("plot", "gap", "--truth").returncode == 0
    assert cli_here("report", "gap", "--truth", "--out", "judged.html").returncode == 0
    (tmp_path / "grid.csv").write_text("composition,temperature\n0.1,300\n0.5,300\n0.9,480\n")
    predicted = cli_here("predict", "gap", "--settings", "grid.csv", "--out", "map.csv")
    assert predicted.returncode == 0, predicted.stderr
    rows = list(csv.DictReader((tmp_path / "map.csv").read_text().splitlines()))
    assert len(rows) == 3
    labels = list(summary["labels"])
    for row in rows:
        assert row["label"] in labels
        assert 0 <= float(row["uncertainty"]) <= 1
        assert float(row["probability"]) == max(float(v) for k, v in row.items() if k.startswith("p("))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("plot", "eutectik"), "there is no campaign and no driver 'eutectik'; did you mean 'eutectic'?"),
        (("plot", "eutectic", "--truth"), "its diagram is the truth; leave --truth out"),
        (("plot", "eutectic", "--at", "-3"), "-3"),
        (("plot", "light-mixing", "--at", "3"), "has no section to cut at 3; draw it without a cut (--at)"),
        (("plot", "eutectic", "--out", "a.xyz"), "has no ending of a picture"),
        (("plot", "table"), "the driver table needs the option path (--option KEY=VALUE)"),
        (("predict", "nothing", "--settings", "a.csv", "--out", "b.csv"), "there is no campaign 'nothing'"),
        (("report", "nothing"), "there is no campaign 'nothing'"),
        (
            ("run", "--driver", "eutectic", "--stop", "1"),
            "has no score to stop at; name the share of the map to be right, such as map 95% (--stop)",
        ),
        (("run", "--driver", "eutectic", "--strategy", "composite"), "has no score for composite to improve"),
        (("run", "--driver", "eutectic", "--option", "enthalpy_A=-5"), "has no physical meaning"),
    ],
)
def test_bad_input_gets_one_clear_sentence(cli_here: Cli, arguments: tuple[str, ...], sentence: str) -> None:
    done = cli_here(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["ferroelectric", "peritectic"])
def test_no_name_on_a_true_diagram_lies_on_another(name: str) -> None:
    figure = diagram_figure(catalog.make_driver(name))
    figure.draw_without_rendering()
    names = [(text.get_text().strip(), text.get_window_extent()) for text in figure.axes[0].texts]
    assert len(names) >= 6
    assert [(a, b) for (a, one), (b, other) in combinations(names, 2) if one.overlaps(other)] == []


def test_a_map_ends_by_itself_after_random_checks_and_goes_on_where_one_disagrees() -> None:
    that = campaign(runs=30)
    that.stop_rule = MapRule(0.7)
    assert len(list(that.run())) < 30
    trials = that.trials
    assert re.fullmatch(
        r"goal: 7.* % of the map expected to be right, 70 % wanted, and the last 3 random.*agreed", that.stopped_because or ""
    )
    befores = [that.expectation(trials[:-k]) for k in (3, 2, 1)]
    for before, trial in zip(befores, trials[-3:], strict=True):
        assert before
        assert before.right >= 0.7
        assert (before.check, before.label) == (trial.settings, that.goal.label_of_trial(trial))
    wrong = Expectation(0.9, befores[1].check if befores[1] else None, "something else")
    seen = dict(zip((len(trials) - 3, len(trials) - 2, len(trials) - 1), (befores[0], wrong, befores[2]), strict=True))
    assert MapRule(0.7).reason(that.goal, trials, lambda some: seen.get(len(some), that.expectation(trials))) is None
    assert MapRule(0.999).reason(that.goal, trials, that.expectation) is None


def test_one_label_alone_is_no_map_to_stop_at(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,phase\n" + "".join(f"{k},a\n" for k in range(20)) + "20,b\n")
    driver = catalog.make_driver("table", {"path": str(tmp_path / "t.csv"), "outcomes": "phase"})
    that = Campaign(
        "c",
        driver,
        catalog.make_goal("map:phase", driver),
        catalog.make_strategy("random"),
        Store(":memory:"),
        Budget(runs=6),
        MapRule(0.5),
    )
    assert [t.measurement.outcomes["phase"] for t in that.run() if t.measurement] == ["a"] * 6
    assert that.stopped_because == "budget: 6 of 6 runs"
    assert that.record().expected_right is None


def test_the_stop_rule_of_a_map_is_kept_in_words(tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "driver": "binary-solution",
        "goal": "map:phase",
        "store": str(tmp_path / "s.db"),
        "strategy": "random",
        "budget": 1,
    }
    list(Campaign.open(name="m", stop="map 97.5%", **fields).run())
    assert Campaign.open(name="m", store=fields["store"]).stop_rule == MapRule(0.975)
    assert Campaign.open(name="m", store=fields["store"], stop={"map": 0.9}).stop_rule == MapRule(0.9)
    assert Campaign.open(name="m", store=fields["store"], stop=None).stop_rule is None
    for word, why in (("map 100%", "no share to stop at"), ({"map": 0.2}, "0.5"), ({"map": 0.9, "score": 1}, "a score, or the share")):
        with pytest.raises(InvalidInput, match=why):
            Campaign.open(stop=word, **fields)
