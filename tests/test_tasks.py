"""Tasks: hidden labs, judged on the truth, scored beside par."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from frugaltwin import catalog, testing
from frugaltwin.amounts import Amounts
from frugaltwin.errors import FrugalTwinError, InvalidInput
from frugaltwin.plugins import KnowsDiagram, KnowsTruth, UsesMixer
from frugaltwin.tasks.instance import Instance
from frugaltwin.tasks.judge import Expected, HandIn, InstanceJudge
from frugaltwin.tasks.page import Reading, Work, html
from frugaltwin.tasks.practice import practice_instance
from frugaltwin.tasks.score import Found, Par, points
from frugaltwin.tasks.task import Task, find, shipped
from tests.conftest import Cli, events

SECRET = b"a class"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


QUICK = """
[task]
name = "quick"
title = "A quick match"
text = "Match it."
driver = "color-mixing"
goal = "match-color:reachable"
budget = { runs = 5 }
draw = { system = "any", pump_error = { low = 0.001, high = 0.004 }, sensor = { of = ["as7341", "tcs34725"] } }
score = { rule = "quality", fine = 0.5 }
reference = { plays = 1 }
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "quick.toml"
    path.write_text(text)
    return path


def test_every_shipped_task_can_be_made_and_says_what_is_asked() -> None:
    for name in shipped():
        task = find(name)
        assert task.name == name
        assert task.draw, "the lab of everybody is the same"


def test_a_student_has_the_same_lab_each_time_and_another_one_than_anybody_else(tmp_path: Path) -> None:
    task = Task.read(written(tmp_path, QUICK))
    ours, again = (Instance.of(task, SECRET, "ada") for _ in range(2))
    assert ours.options == again.options
    assert ours.goal == again.goal
    others = [Instance.of(task, SECRET, "bob"), Instance.of(task, b"another class", "ada"), Instance.of(task, SECRET, "ada", draw=1)]
    assert len({o.options["system"] for o in [ours, *others]}) == 4
    assert len({o.goal.text for o in [ours, *others]}) == 4
    drawn = [Instance.of(task, SECRET, f"student {k}").options for k in range(40)]
    assert all(0.001 <= options["pump_error"] < 0.004 for options in drawn)
    assert {options["sensor"] for options in drawn} == {"as7341", "tcs34725"}
    assert min(options["system"] for options in drawn).bit_length() > 64


def test_what_is_drawn_depends_on_no_library() -> None:
    """A regrade years later draws the same labs: the figures are those of the first version."""
    drawn = Instance.of(find("eutectic-map"), SECRET, "ada")
    assert drawn.key.hex()[:16] == "56ecbfc60906ccba"
    assert drawn.number("goal") == 76569773536222427852609354045


def test_readings_are_the_students_own_and_the_same_each_time() -> None:
    instance = practice_instance(find("ferroelectric-response"), 1)

    def readings(noise: str) -> list[dict[str, float | str]]:
        with instance.twin(noise) as twin:
            settings = {"titanate": 0.4, "temperature": 500.0}
            return [dict(twin.perform(settings).outcomes) for _ in range(2)]

    assert readings("student") == readings("student")
    assert readings("student") != readings("par 0")


def test_a_practice_lab_tells_no_truth() -> None:
    lab = catalog.make_driver("practice", {"task": "ferroelectric-response", "lab": 2})
    assert not isinstance(lab, KnowsTruth | KnowsDiagram | UsesMixer)


PROMISES = [promise for promise in testing.DRIVER_PROMISES if "data_sheet" not in promise.__name__]
"""All but that of the data sheet: the parameters are those of the task's twin."""


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_a_practice_lab_is_a_driver_like_any_other(promise: testing.Promise) -> None:
    promise(testing.Plugin.of("driver", "practice", {"task": "ferroelectric-response"}))


def test_the_points_of_par_random_and_nothing() -> None:
    task, par = find("color-match"), Par(gap=0.5, random_gap=9.5, cost=math.inf)
    for gap, expected in ((0.5, 100.0), (9.5, 0.0), (0.0, 100.0), (30.0, 0.0), (math.inf, 0.0), (math.sqrt(10) - 0.5, 50.0)):
        assert points(task, par, Found(gap, {}), Amounts()).points == pytest.approx(expected), gap
    with pytest.raises(InvalidInput, match="no better than random"):
        points(task, Par(3.0, 2.0, math.inf), Found(1.0, {}), Amounts())


def test_the_points_of_a_race_are_pars_cost_over_ones_own_for_who_arrived() -> None:
    task, par = find("color-race"), Par(gap=0.5, random_gap=9.5, cost=300.0)
    got = [points(task, par, Found(gap, {}), Amounts(seconds=s)).points for gap, s in ((1.0, 600.0), (2.0, 200.0), (2.1, 60.0))]
    assert got == [50.0, 100.0, 0.0]


def test_a_page_of_a_student_says_what_was_judged_and_runs_nothing() -> None:
    judged = Work("Match <it>", "a rule", "Judged.", 82.4, {"true score": 1.3}, {"gap": 0.8, "runs": None}, {"runs": 3.0}, {"runs": 5.0},
                  [Reading(1, 9.0), Reading(3, 4.0)], True, "ΔE00", 0.8, 1.3)  # fmt: skip
    text = html("<b>Ada", "chem", [judged, Work("A map", "a rule", "Nothing was handed in.")])
    assert "<b>Ada" not in text
    assert "<it>" not in text
    assert "<script" not in text
    assert "http" not in text.replace('http-equiv="', "")
    for words in ("82 of 100 points", "1.3 ΔE00", "never", "3 of 5", "Nothing was handed in.", ">par</text>", ">handed in</text>"):
        assert words in text, words
    assert text.count("<svg") == 1, "a map has no scores before it is judged"
    one_reading = html("Ada", "chem", [Work("One", "a rule", "Judged.", readings=[Reading(1, 0.0)])])
    assert one_reading.count("<circle") == 1


def test_half_of_the_points_are_for_saying_how_good_it_is() -> None:
    task, par = find("sure-color"), Par(gap=0.5, random_gap=9.5, cost=math.inf)
    assert points(task, par, Found(0.5, {}, error=0.0), Amounts()).points == 100
    assert points(task, par, Found(0.5, {}, error=0.25), Amounts()).points == 75
    assert points(task, par, Found(0.5, {}), Amounts()).points == 50


@pytest.mark.parametrize(("mean", "sd", "truth"), [(0.3, 0.1, 0.5), (2.0, 1.0, 2.0), (-1.0, 0.5, 3.0)])
def test_the_error_of_a_statement_is_the_ranked_probability_score(mean: float, sd: float, truth: float) -> None:
    from scipy.integrate import quad
    from scipy.stats import norm

    def integrand(x: float) -> float:
        return float((norm.cdf(x, mean, sd) - (x >= truth)) ** 2)

    numeric = sum(quad(integrand, *part, limit=200)[0] for part in ((-20.0, truth), (truth, 20.0)))
    assert Expected(mean, sd).error(truth) == pytest.approx(numeric, abs=1e-6)


def test_a_recipe_is_judged_by_the_truth_of_the_students_own_lab() -> None:
    one, other = (InstanceJudge(practice_instance(find("ferroelectric-response"), lab)) for lab in (1, 2))
    recipe = HandIn(recipe={"titanate": 0.45, "temperature": 400.0})
    truth = one.instance.twin().truth(recipe.recipe)["piezoelectric"]  # type: ignore[attr-defined]
    found = one.judged(recipe)
    assert found.parts["true score"] == truth
    assert found.gap == pytest.approx(-one.best - truth)
    assert other.judged(recipe).gap != found.gap
    with pytest.raises(FrugalTwinError, match="titanate"):
        one.judged(HandIn(recipe={"titanate": 1.5, "temperature": 400.0}))
    with pytest.raises(InvalidInput, match="asks for a recipe"):
        one.judged(HandIn(labels=["cubic"]))


def test_a_map_is_judged_by_share_and_f1() -> None:
    judge = InstanceJudge(practice_instance(find("eutectic-map"), 1))
    true = judge._judge.places[1]
    assert judge.judged(HandIn(labels=true)).gap == 0
    most = max(set(true), key=true.count)
    found = judge.judged(HandIn(labels=[most] * len(true)))
    assert found.parts["share right"] == pytest.approx(true.count(most) / len(true))
    assert found.parts["mean F1"] < found.parts["share right"]
    for labels, fault in ((["ice"] * len(true), "no label 'ice'"), (true[:-1], "places"), (None, "asks for a map")):
        with pytest.raises(InvalidInput, match=fault):
            judge.judged(HandIn(labels=labels))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("[task]", "", "begins with \\[task\\]|no table"),
        ('system = "any"', 'system = "all"', "draw.system"),
        ('system = "any"', 'sistem = "any"', "no option of color-mixing 'sistem'"),
        ("low = 0.001", "low = 0.004", "not below"),
        ("low = 0.001", "low = -500", "pump_error"),
        ('of = ["as7341", "tcs34725"]', 'of = ["eye"]', "sensor"),
        ('goal = "match-color:reachable"', 'goal = ["match-color:reachable", "minimize:money"]', "one objective"),
        ('goal = "match-color:reachable"', 'goal = "map:phase"', "phase"),
        ('rule = "quality"', 'rule = "cost"', "within"),
        ("runs = 5", "runs = 0", "runs"),
        ('driver = "color-mixing"', 'driver = { name = "color-mixing", options = { system = 3 } }', "already"),
        ("fine = 0.5", "fine = 0", "fine"),
    ],
)
def test_a_task_that_cannot_be_is_refused_in_one_sentence(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in QUICK
    with pytest.raises(FrugalTwinError, match=fault) as refused:
        Task.read(written(tmp_path, QUICK.replace(old, new)))
    assert "\n" not in str(refused.value)


def test_a_lab_that_is_impossible_only_where_two_ranges_meet_is_refused() -> None:
    """The lows fit each other, and so do the highs."""
    words = {
        "name": "x",
        "title": "x",
        "text": "x",
        "driver": "eutectic",
        "goal": "map:phase",
        "budget": {"runs": 5},
        "score": {"fine": 0.1},
    }
    draw = {"coldest": {"low": 300, "high": 500}, "hottest": {"low": 400, "high": 600}}
    with pytest.raises(InvalidInput, match=r"coldest = 500 K must lie below hottest = 400 K"):
        Task.model_validate(words | {"draw": draw}).check()
    Task.model_validate(words | {"draw": draw | {"hottest": {"low": 550, "high": 600}}}).check()


def test_practice_from_the_first_line_to_the_points(cli_here: Cli, tmp_path: Path) -> None:
    task = written(tmp_path, QUICK)
    begun = cli_here("practice", task)
    assert "go on with: frugaltwin run --name quick-1" in begun.stdout
    assert "system" not in begun.stdout
    assert cli_here("hand-in", "quick-1").returncode == 2, "nothing was measured"
    assert cli_here("run", "--name", "quick-1").returncode == 0
    (best,) = events(cli_here("hand-in", "quick-1", "--json"))
    assert 0 < best["points"] <= 100
    (water,) = events(cli_here("hand-in", "quick-1", "--settings", "red=0,yellow=0,blue=0,water=4", "--json"))
    assert water["points"] < best["points"]
    assert water["par"] == best["par"]
    (kept,) = (tmp_path / "cache" / "frugaltwin" / "par").iterdir()
    played = json.loads(kept.read_text())
    played["reference"][0][0] = 0.125
    kept.write_text(json.dumps(played))
    (again,) = events(cli_here("hand-in", "quick-1", "--json"))
    assert again["par"]["gap"] == pytest.approx(0.125), "par is played once"
    kept.write_text("{")
    (mended,) = events(cli_here("hand-in", "quick-1", "--json"))
    assert mended["par"] == best["par"]
    assert cli_here("run", "--name", "quick-1", "--budget", "6").returncode == 0
    refused = cli_here("hand-in", "quick-1")
    assert refused.returncode == 2
    assert "used 6 runs, and the task allows 5" in refused.stderr


def test_a_map_is_handed_in_by_the_numbers_of_its_places(cli_here: Cli, tmp_path: Path) -> None:
    task = written(
        tmp_path,
        '[task]\nname = "fields"\ntitle = "Fields"\ntext = "Map."\ndriver = "eutectic"\ngoal = "map:phase"\nbudget = { runs = 12 }\n'
        'draw = { system = "any" }\nscore = { rule = "quality", fine = 0.02 }\nreference = { strategy = "phase-map", plays = 1 }\n',
    )
    assert cli_here("practice", task).returncode == 0
    assert cli_here("practice", task, "--places", tmp_path / "map.csv").returncode == 0
    rows = list(csv.DictReader((tmp_path / "map.csv").read_text().splitlines()))
    assert {row["phase"] for row in rows} == {""}
    true = InstanceJudge(practice_instance(Task.read(task), 1))._judge.places[1]
    order = np.random.default_rng(2).permutation(len(rows))
    filled = ["place,phase", *(f"{k + 1},{true[k]}" for k in order)]
    (tmp_path / "map.csv").write_text("\n".join(filled))
    (got,) = events(cli_here("hand-in", "fields-1", "--labels", tmp_path / "map.csv", "--json"))
    assert got["points"] == 100
    (tmp_path / "map.csv").write_text("\n".join(filled[:-1]))
    assert "1 are missing" in cli_here("hand-in", "fields-1", "--labels", tmp_path / "map.csv").stderr
    (tmp_path / "map.csv").write_text("\n".join([*filled, filled[-1]]))
    assert "stands twice" in cli_here("hand-in", "fields-1", "--labels", tmp_path / "map.csv").stderr


def test_what_is_no_task_is_said_without_flags_that_there_are_not(cli_here: Cli) -> None:
    assert cli_here("run", "--name", "mine", "--strategy", "random", "--budget", 1).returncode == 0
    for arguments, said in ((("practice", "color-mach"), "there is no task 'color-mach'"), (("hand-in", "mine"), "no campaign of a task")):
        refused = cli_here(*arguments)
        assert refused.returncode == 2
        assert said in refused.stderr
        assert "--" not in refused.stderr


def test_an_instructor_sees_what_others_would_get(cli_here: Cli, tmp_path: Path) -> None:
    rows = {row["who"]: row for row in events(cli_here("class", "task", "check", written(tmp_path, QUICK), "--labs", "1", "--json"))}
    assert float(rows["blank"]["points"]) == 0
    assert float(rows["random"]["points"]) < float(rows["reference"]["points"])
