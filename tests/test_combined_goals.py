"""Goals of several objectives, and goals with requirements, from their words to every place where a campaign is shown."""

import csv
import io
import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import frugaltwin
from frugaltwin import Amounts, Campaign, Combined, Continuous, Experiment, Goal, Measurement, Outcome, State, Store, Trial, catalog
from frugaltwin.campaign import OfflineDriver
from frugaltwin.errors import CampaignError, FrugalTwinError, InvalidInput
from frugaltwin.pictures import picture, report
from tests.conftest import Cli, events
from tests.forms import times

EXPERIMENT = Experiment(
    "demo",
    (Continuous("x", 0, 1),),
    (Outcome("cost", "EUR"), Outcome("yield"), Outcome("phase", labels=("alpha", "beta"))),
)
WORDS = ["match-color:coral", "minimize:volume"]
REQUIRED = "t_415 <= 0.3"


def goal(words: str | list[str], *require: str) -> Goal:
    return catalog.make_goal(words, OfflineDriver(EXPERIMENT), require=require)


def trials(*values: tuple[float, float] | None) -> list[Trial]:
    """Trials of these costs and yields; None is one that failed."""
    found = []
    for k, pair in enumerate(values, start=1):
        done = None if pair is None else Measurement({"cost": pair[0], "yield": pair[1], "phase": "alpha"})
        found.append(Trial(k, {"x": k / 100}, done, None if pair else "spilled", Amounts(seconds=60.0 * k, money=0.5 * k, volume=8.0)))
    return found


@pytest.mark.parametrize(
    ("words", "require"),
    [
        (["minimize:cost", "maximize:yield"], []),
        (["minimize:cost"], ["yield >= 0.5"]),
        (["minimize:money", "minimize:seconds", "maximize:yield"], ["cost<=3", "volume ≤ 8.5"]),
    ],
)
def test_the_text_of_a_goal_is_read_back_to_the_same_goal(words: list[str], require: list[str]) -> None:
    made = goal(words, *require)
    assert goal(made.text) == made == pickle.loads(pickle.dumps(made))
    assert made.text == goal(made.text).text
    assert set(made.outcomes) <= {o.name for o in EXPERIMENT.outcomes}


def test_one_objective_alone_is_the_goal_that_it_always_was() -> None:
    assert goal(["minimize:cost", ""]) == goal(["minimize:cost"]) == goal("minimize:cost") == frugaltwin.Minimize(EXPERIMENT, "cost")


def test_the_front_is_what_no_other_trial_dominates() -> None:
    random = np.random.default_rng(7)
    for _ in range(30):
        pairs = [(float(c), float(y)) for c, y in random.integers(0, 5, (12, 2))]
        done = trials(*pairs, None)
        beaten = [any((c <= a and y >= b) and (c < a or y > b) for c, y in pairs) for a, b in pairs]
        front = goal(["minimize:cost", "maximize:yield"]).front(done)
        assert [t.number for t in front] == [k for k, is_beaten in enumerate(beaten, start=1) if not is_beaten]


def test_what_does_not_keep_a_requirement_is_neither_best_nor_on_the_front() -> None:
    done = trials((1.0, 0.2), (2.0, 0.6), (3.0, 0.5), None)
    one, both = goal("minimize:cost", "yield >= 0.5"), goal(["minimize:cost", "maximize:yield"], "yield >= 0.5")
    best = one.best(done)
    assert best is not None
    assert (best[0].number, best[1]) == (2, 2.0)
    assert [t.number for t in both.front(done)] == [2]
    assert [both.meets(t) for t in done] == [False, True, True, None]
    assert one.summary(done) == "best reading: 2 EUR in experiment 2, with yield ≥ 0.5"
    assert both.best(done) is None


def test_a_goal_that_nothing_reaches_says_so_and_not_that_nothing_was_measured() -> None:
    done = trials((1.0, 0.2), (2.0, 0.3))
    for words in ("minimize:cost", ["minimize:cost", "maximize:yield"]):
        made = goal(words, "yield >= 0.5")
        assert made.summary(done) == "no experiment meets yield ≥ 0.5 yet"
        assert made.best(done) is None
        assert made.front(done) == []
        assert made.summary([]) == made.summary(trials(None)) == "nothing was measured yet"


@dataclass(frozen=True)
class Explore(Goal):
    """A goal of somebody else's that has neither a score nor a map."""

    name = "explore"
    text = "explore:everything"
    default_strategy = "sobol"
    outcomes = ("cost",)


def test_a_goal_with_neither_a_score_nor_a_map_is_shown_with_what_was_measured(tmp_path: Path) -> None:
    campaign = Campaign("free", OfflineDriver(EXPERIMENT), Explore(EXPERIMENT), catalog.make_strategy("sobol"), Store(":memory:"))
    for t in trials((1.0, 0.2), (2.0, 0.6)):
        assert t.measurement is not None
        campaign.tell(t.settings, t.measurement.outcomes)
    shown = [campaign._repr_html_(), report.html(campaign.record()), campaign.goal.summary(campaign.trials)]
    assert all("2 of 2 experiments gave a reading" in text for text in shown)
    assert not any("othing was measured" in text for text in shown)
    assert list(campaign.to_pandas()["score"]) == [None, None]
    picture.picture(campaign).save(tmp_path / "free.svg")


def test_amounts_are_objectives_and_can_be_required() -> None:
    done = trials((3.0, 0.2), (2.0, 0.6), (1.0, 0.9))
    assert [goal("minimize:money").score_of_trial(t) for t in done] == [0.5, 1.0, 1.5]
    cheap = goal("minimize:cost", "seconds <= 120")
    best = cheap.best(done)
    assert best is not None
    assert best[0].number == 2
    assert goal("minimize:money").unit == "USD"


def test_an_amount_is_a_score_that_strategies_can_model() -> None:
    made = goal("minimize:seconds")
    (suggestion,) = catalog.make_strategy("bayesian").suggest(State(made, trials(*[(1.0, 0.1)] * 6)))
    assert float(suggestion.settings["x"]) < 0.06  # the cheapest experiments are those with the smallest x
    with pytest.raises(InvalidInput, match="depends on none; try the strategy bayesian"):
        catalog.make_strategy("composite").suggest(State(made))


@pytest.mark.parametrize(
    ("words", "require", "said"),
    [
        (["minimize:cost", "map:phase"], [], "map:phase has no score"),
        ("map:phase", ["cost <= 3"], "map:phase has no score"),
        (["minimize:cost", "minimize:cost"], [], "named twice"),
        ("minimize:cost", ["yield < 3"], "not of the form"),
        ("minimize:cost", ["yield <= much"], "not of the form"),
        ("minimize:cost", ["yield <= nan"], "not of the form"),
        ("minimize:cost", ["phase <= 3"], "phase of demo is no number to require"),
        ("minimize:cost", ["yeild <= 3"], "did you mean 'yield'"),
        ("minimize:cost", ["map:phase <= 3"], "no score that could be required"),
        ("minimize:mony", [], "did you mean 'money'"),
        ("maximize:money", [], "no outcome 'money' to maximize"),
        (["minimize:cost", "Fast!"], [], "there is no goal 'Fast!'"),
    ],
)
def test_words_that_make_no_goal_are_refused_with_one_sentence(words: str | list[str], require: list[str], said: str) -> None:
    with pytest.raises(FrugalTwinError, match=said):
        goal(words, *require)


@pytest.mark.parametrize("strategy", ["composite", "bayesian", "gp-classifier"])
def test_strategies_that_improve_one_score_refuse_several_with_one_sentence(strategy: str, cli_here: Cli) -> None:
    words = [part for word in WORDS for part in ("--goal", word)]
    done = cli_here("run", *words, "--strategy", strategy, "--budget", 2)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "try the strategy sobol" in line


def test_a_stop_rule_needs_one_score_and_counts_what_keeps_the_requirements() -> None:
    with pytest.raises(InvalidInput, match="has no score to stop at"):
        Campaign.open(goal=WORDS, stop=2, store=":memory:")
    campaign = Campaign.open(goal="minimize:t_415", require="volume >= 1e6", stop=1e6, budget=2, strategy="sobol", store=":memory:")
    list(campaign.run())
    assert campaign.stopped_because == "budget: 2 of 2 runs"
    campaign = Campaign.open(goal="minimize:t_415", require="volume <= 1e6", stop=1e6, budget=2, strategy="sobol", store=":memory:")
    list(campaign.run())
    assert str(campaign.stopped_because).startswith("goal: ")


@pytest.mark.parametrize("strategy", ["sobol", "random"][: times(1, 2)])
def test_a_campaign_with_two_goals_and_a_requirement_shows_its_front_everywhere(strategy: str, cli_here: Cli, tmp_path: Path) -> None:
    file = f'goal = {json.dumps(WORDS)}\nrequire = ["{REQUIRED}"]\nstrategy = "{strategy}"\nbudget = 6\nstore = "two.db"\n'
    (tmp_path / "two.toml").write_text(file)
    flags = [part for word in WORDS for part in ("--goal", word)]
    ran = cli_here("run", "two.toml", "--json")
    assert ran.returncode == 0, ran.stderr
    *said, summary = events(ran)
    cli_here("run", *flags, "--require", REQUIRED, "--strategy", strategy, "--budget", 6, "--name", "flags", "--store", "two.db")
    campaign = Campaign.stored("two", Store(tmp_path / "two.db"))
    by_flags = Campaign.stored("flags", Store(tmp_path / "two.db"))
    by_hand = Campaign.open(goal=WORDS, require=REQUIRED, strategy=strategy, budget=6, store=":memory:")
    list(by_hand.run())
    assert isinstance(campaign.goal, Combined)
    assert campaign.goal == by_flags.goal == by_hand.goal
    assert [t.settings for t in campaign.trials] == [t.settings for t in by_flags.trials] == [t.settings for t in by_hand.trials]

    front = [t.number for t in campaign.goal.front(campaign.trials)]
    assert front
    assert len(front) < 6
    assert [entry["number"] for entry in summary["front"]] == said[-1]["front"] == front
    assert summary["best"] is None
    assert summary["recommended"] is None
    shown = cli_here("show", "two", "--store", "two.db").stdout
    assert f"front: {len(front)} of 6 experiments" in shown
    page = (tmp_path / "two.html").read_text()
    assert f"Front: {len(front)} of 6 experiments" in page
    assert "Pareto front: experiments that no other one dominates" in page
    assert page.count('<tr class="best">') == len(front)
    rows = list(csv.DictReader(io.StringIO(cli_here("export", "two", "--store", "two.db").stdout)))
    assert [int(row["number"]) for row in rows if row["front"] == "True"] == front
    assert [row["meets"] == "True" for row in rows] == [campaign.goal.meets(t) for t in campaign.trials]
    assert [float(row["match-color"]) for row in rows] == [campaign.goal.objectives[0].score_of_trial(t) for t in campaign.trials]
    assert list(campaign.to_pandas()["front"]) == [t.number in front for t in campaign.trials]
    assert f"front: {len(front)} of 6" in campaign._repr_html_()
    svg = picture.picture(campaign).svg()
    assert "front" in svg
    assert not any("othing was measured" in text for text in (ran.stdout, shown, page, svg, campaign._repr_html_()))


def test_a_campaign_goes_on_with_its_goals_and_with_no_others(tmp_path: Path) -> None:
    store = tmp_path / "on.db"
    list(Campaign.open(goal=WORDS, require=REQUIRED, strategy="sobol", budget=2, name="on", store=store).run())
    assert len(list(Campaign.open(name="on", budget=3, store=store).run())) == 1
    assert len(list(Campaign.open(name="on", goal=WORDS, require=[REQUIRED], budget=4, store=store).run())) == 1
    with pytest.raises(CampaignError, match="was started with goal"):
        Campaign.open(name="on", goal=WORDS, budget=5, store=store)


def test_nothing_is_predicted_for_a_goal_that_no_strategy_models() -> None:
    campaign = Campaign.open(goal=WORDS, strategy="sobol", budget=2, store=":memory:")
    list(campaign.run())
    with pytest.raises(InvalidInput, match="no strategy here has a model"):
        campaign.predict([campaign.trials[0].settings])


def test_a_table_has_the_columns_of_all_goals_and_requirements_as_outcomes(tmp_path: Path) -> None:
    path = tmp_path / "records.csv"
    path.write_text("x,cost,yield,purity\n0,3,0.1,1\n1,2,0.6,0\n2,1,0.5,1\n")
    driver = {"name": "table", "options": {"path": str(path)}}
    campaign = Campaign.open(
        driver=driver, goal=["minimize:cost", "maximize:yield"], require="purity >= 1", strategy="sobol", budget=3, store=":memory:"
    )
    list(campaign.run())
    assert {o.name for o in campaign.driver.experiment.outcomes} == {"cost", "yield", "purity"}
    assert [t.settings["x"] for t in campaign.goal.front(campaign.trials)] == [2.0]
