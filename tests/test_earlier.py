"""Earlier campaigns: their trials are part of the state, now and when a campaign goes on; a strategy says whether it uses them."""

import pickle
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import frugaltwin
from frugaltwin.amounts import Amounts
from frugaltwin.budget import Budget
from frugaltwin.campaign import Campaign
from frugaltwin.cli.main import app
from frugaltwin.errors import CampaignError, FrugalTwinError, InvalidInput, UnknownName
from frugaltwin.experiment import Continuous, Experiment, Measurement, Outcome, Trial
from frugaltwin.goals import Minimize
from frugaltwin.log import Relation
from frugaltwin.spec import CampaignSpec
from frugaltwin.state import Earlier, State, Suggestion
from frugaltwin.store import Store
from tests.test_campaigns_api import RANDOM, RIG, Lab, until

MIX = {"red": 0.5, "yellow": 0.0, "blue": 0.5, "water": 3.0}


def lab(*parameters: str, outcomes: Sequence[str] = ("y",)) -> Experiment:
    return Experiment("lab", tuple(Continuous(p, 0, 1, "mL") for p in parameters), tuple(Outcome(o) for o in outcomes))


def measured(experiment: Experiment, relation: Relation = "same") -> Earlier:
    settings = {p.name: 0.5 for p in experiment.parameters}
    trial = Trial(1, settings, Measurement({o.name: 1.0 for o in experiment.outcomes}), None, Amounts(seconds=1.0))
    return Earlier(experiment, (trial,), relation, "monday")


def opened(store: Path, name: str, **fields: Any) -> Campaign:
    return Campaign.open(CampaignSpec.parse({"name": name, "store": store, "strategy": "random", "budget": 3, **fields}))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a campaign of three trials."""
    path = tmp_path / "lab.db"
    assert len(list(opened(path, "monday").run())) == 3
    return path


class Repeats:
    """Suggests the first settings of the first earlier campaign of the same lab."""

    def uses(self, earlier: Earlier) -> bool:
        return earlier.relation == "same"

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        return [Suggestion(one.trials[0].settings) for one in state.earlier if self.uses(one)][:count]


def test_a_strategy_gets_the_trials_of_earlier_campaigns_in_its_state(store: Path) -> None:
    campaign = opened(store, "tuesday", earlier={"monday": "same"})
    (earlier,) = campaign.state().earlier
    assert (earlier.name, earlier.relation) == ("monday", "same")
    assert list(earlier.trials) == Store(store).trials("monday")
    assert earlier.experiment == campaign.driver.experiment
    assert pickle.loads(pickle.dumps(campaign.state())).earlier == (earlier,)


def test_a_campaign_that_goes_on_has_the_same_earlier_trials_although_the_earlier_campaign_went_on(store: Path) -> None:
    first = opened(store, "tuesday", budget=1, earlier={"monday": "same"})
    assert len(list(first.run())) == 1
    assert len(list(opened(store, "monday", budget=5).run())) == 2
    for again in (opened(store, "tuesday"), opened(store, "tuesday", earlier={"monday": "same"}), Campaign.stored("tuesday", Store(store))):
        assert again.state().earlier == first.state().earlier
    (later,) = opened(store, "wednesday", earlier={"monday": "same"}).state().earlier
    assert len(later.trials) == 5


def test_a_correction_of_an_earlier_trial_is_respected(store: Path) -> None:
    assert len(list(opened(store, "tuesday", budget=1, earlier={"monday": "same"}).run())) == 1
    opened(store, "monday").retract(2, "the wrong flask")
    (earlier,) = opened(store, "tuesday").state().earlier
    assert [t.is_retracted for t in earlier.trials] == [False, True, False]


def test_a_campaign_keeps_its_earlier_campaigns_from_its_first_suggestion_on(store: Path) -> None:
    (first,) = opened(store, "tuesday", earlier={"monday": "same"}).suggest()
    assert len(list(opened(store, "monday", budget=4).run())) == 1
    again = opened(store, "tuesday", earlier={"monday": "same"})
    assert [s.settings for s in again.pending] == [first.settings]
    assert len(again.state().earlier[0].trials) == 3
    assert not opened(store, "tuesday", earlier={}).earlier
    again.tell(MIX, None, error="spilled")
    assert len(opened(store, "tuesday").earlier) == 1


@pytest.mark.parametrize("relation", ["twin", None])
def test_a_campaign_that_has_begun_refuses_other_earlier_campaigns(store: Path, relation: str | None) -> None:
    list(opened(store, "tuesday", budget=1, earlier={"monday": "same"}).run())
    with pytest.raises(CampaignError, match="was started with earlier campaigns monday = same, not"):
        opened(store, "tuesday", earlier={"monday": relation} if relation else {})


def test_what_cannot_be_learned_from_is_refused(store: Path) -> None:
    opened(store, "empty").suggest()
    for earlier, words in (
        ({"mondy": "same"}, "did you mean 'monday'"),
        ({"monday": "cousin"}, "'same', 'sister' or 'twin'"),
        ({"empty": "same"}, "'empty' has measured nothing"),
        ({"tuesday": "same"}, "no earlier campaign of itself"),
    ):
        with pytest.raises(FrugalTwinError, match=words):
            opened(store, "tuesday", earlier=earlier)
    with pytest.raises(InvalidInput, match=r"measured t_415, .* and this one measures ch410 .*; leave it out"):
        opened(store, "tuesday", driver="light-mixing", earlier={"monday": "sister"})


@pytest.mark.parametrize(
    ("other", "relation", "words"),
    [
        (lab("a", "b"), "same", ""),
        (lab("a", "b", outcomes=("z", "y")), "twin", ""),
        (lab("a", "c"), "sister", ""),
        (lab("a", "c"), "same", "only a sister lab may have other parameters"),
        (lab("a"), "twin", r"set a \[mL\] and this one sets a \[mL\], b \[mL\]"),
        (lab("a", "b", outcomes=("z",)), "sister", "measured z and this one measures y"),
    ],
)
def test_an_earlier_campaign_fits_as_its_relation_says(other: Experiment, relation: Relation, words: str) -> None:
    earlier = measured(other, relation)
    if not words:
        earlier.check(lab("a", "b"))
        return
    with pytest.raises(InvalidInput, match=words):
        earlier.check(lab("a", "b"))
    with pytest.raises(InvalidInput, match="has measured nothing"):
        replace(earlier, trials=[replace(t, measurement=None) for t in earlier.trials]).check(lab("a", "b"))


def test_a_strategy_that_uses_them_is_told_apart_from_one_that_does_not(store: Path) -> None:
    whole = opened(store, "tuesday", earlier={"monday": "same"})
    assert whole.record().earlier == ["monday (same lab, 3 trials), not used: random does not learn from it"]
    user = Campaign("wednesday", whole.driver, whole.goal, Repeats(), Store(store), Budget(runs=1), earlier=whole.earlier)
    assert user.record().earlier == ["monday (same lab, 3 trials)"]
    (trial,) = user.run()
    assert trial.settings == Store(store).trials("monday")[0].settings


def test_a_campaign_by_hand_takes_earlier_campaigns_of_its_store(store: Path) -> None:
    kept = Store(store)
    driver = frugaltwin.make_driver("color-mixing")
    goal, strategy = Minimize(driver.experiment, "t_415"), frugaltwin.make_strategy("random")
    by_hand = Campaign("tuesday", driver, goal, strategy, kept, earlier=[kept.earlier("monday", "same", 2)])
    assert len(by_hand.state().earlier[0].trials) == 2
    foreign = Campaign("wednesday", driver, goal, strategy, kept, earlier=[replace(by_hand.earlier[0], name="elsewhere")])
    with pytest.raises(UnknownName, match="no campaign 'elsewhere'"):
        next(foreign.run())


def test_the_command_line_and_a_file_name_them(store: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    words = ["run", "--strategy", "random", "--budget", "1", "--store", str(store)]
    shown = run(app, [*words, "--name", "tuesday", "--from", "monday=same"])
    assert "earlier: monday (same lab, 3 trials), not used: random does not learn from it" in shown.output
    file = tmp_path / "wednesday.toml"
    file.write_text('strategy = "random"\nbudget = 1\n[earlier]\nmonday = "sister"\n')
    assert run(app, ["run", str(file), "--store", str(store)]).exit_code == 0
    assert "monday (sister lab, 3 trials)" in run(app, ["show", "wednesday", "--store", str(store)]).output
    assert "monday (same lab, 3 trials)" in (tmp_path / "tuesday.html").read_text(encoding="utf-8")
    for pair, reason in (("=same", "write CAMPAIGN=RELATION"), ("mondy=same", "did you mean 'monday'")):
        refused = run(app, [*words, "--name", "thursday", "--from", pair])
        assert isinstance(refused.exception, FrugalTwinError)
        assert reason in str(refused.exception)


def test_a_campaign_of_the_service_names_campaigns_of_its_owner(database_url: str) -> None:
    with ExitStack() as stack:
        place = Lab(database_url, stack)
        ada = place.service(place.token("Ada"))
        place.work()

        def post(name: str, **more: Any) -> Mapping[str, Any]:
            words = {"name": name, "rig": RIG, "goal": "match-color:coral", "strategy": RANDOM, "budget": {"runs": 2}}
            found: Mapping[str, Any] = ada.post("/v1/campaigns", json=words | more).json()
            return found

        assert "no campaign 'monday'" in post("tuesday", earlier={"monday": "same"})["detail"]
        monday = post("monday")
        until(lambda: ada.get(f"/v1/campaigns/{monday['id']}").json()["state"] == "ended")
        tuesday = post("tuesday", earlier={"monday": "same"})
        words = {"monday": {"campaign": monday["id"], "relation": "same", "trials": 2, "used": False}}
        assert tuesday["earlier"] == words
        until(lambda: ada.get(f"/v1/campaigns/{tuesday['id']}").json()["state"] == "ended")
        assert post("tuesday")["earlier"] == words
        assert "was started with the earlier campaigns" in post("tuesday", earlier={"monday": "twin"})["detail"]
        assert "earlier" in str(post("wednesday", earlier={"monday": "cousin"}))
        own = post("own", mode="client", strategy=None, earlier={"monday": "sister"})
        assert own["earlier"]["monday"]["used"] is None
        bob = stack.enter_context(type(ada)(base_url=ada.base_url, headers={"Authorization": f"Bearer {place.token('Bob')}"}))
        body = {"name": "mine", "rig": RIG, "strategy": RANDOM, "earlier": {"monday": "same"}}
        assert bob.post("/v1/campaigns", json=body).status_code == 404
