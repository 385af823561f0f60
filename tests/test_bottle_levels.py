"""Bottles that somebody counts: a campaign ends before one is empty, says which, and goes on when it is refilled."""

from collections import deque
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from frugaltwin import Budget, Campaign, catalog
from frugaltwin.cli.open_campaign import say_what_is_left, specification
from frugaltwin.cli.options import Given
from frugaltwin.errors import InvalidInput, UnknownName
from frugaltwin.plugins import CountsSupplies
from frugaltwin.spec import CampaignSpec
from frugaltwin.store import Store
from simulator.cloud_point import cloud_point
from simulator.color_mixing import color_mixing
from simulator.instruments.photometry import MORE, RESERVE
from tests.conftest import Cli, events


def campaign_with(store: Path, **options: Any) -> Campaign:
    twin = catalog.make_driver("color-mixing", options)
    strategy = catalog.make_strategy("sobol", seed=1)
    return Campaign("levels", twin, catalog.make_goal("match-color:teal", twin), strategy, Store(store), Budget(runs=12))


def test_a_campaign_ends_before_a_bottle_is_empty_and_the_next_one_would_not_have_been(tmp_path: Path) -> None:
    free = campaign_with(tmp_path / "free.db")
    list(free.run())
    used = [MORE * (0.25 + sum(float(t.settings["red"]) for t in free.trials[:n])) for n in range(13)]  # 0.25 mL fill its tube

    counted = campaign_with(tmp_path / "counted.db", bottles="red:4")
    trials = list(counted.run())
    assert 0 < len(trials) < 12
    assert all(t.measurement == f.measurement for t, f in zip(trials, free.trials, strict=False))
    assert used[len(trials)] <= 4 - RESERVE < used[len(trials) + 1] + 0.25
    left = 4 - used[len(trials)]
    assert counted.stopped_because is not None
    assert counted.stopped_because.startswith(f"red is nearly empty: {left:.1f} mL are left, and the next experiment may take ")
    assert counted.stopped_because.endswith("; refill it, add what you filled in to red:4 in the option bottles, and go on")
    assert list(counted.run()) == []  # and not by being asked again


def test_it_goes_on_when_it_is_refilled_with_the_same_readings(cli_here: Cli) -> None:
    words = ("run", "--driver", "color-mixing", "--goal", "match-color:teal", "--strategy", "sobol", "--seed", 3, "--budget", 3, "--json")
    whole = events(cli_here(*words, "--name", "whole"))
    first = cli_here(*words, "--name", "refilled", "--option", "bottles=water:45")
    assert first.returncode == 0
    assert "water is nearly empty: " in first.stdout
    second = events(cli_here("run", "--name", "refilled", "--option", "bottles=water:545", "--budget", 3, "--json"))
    trials = [row for row in events(first) + second if "number" in row]
    assert len(events(first)) > 1
    assert [row["outcomes"] for row in trials] == [row["outcomes"] for row in whole if "number" in row]


def test_the_next_campaign_goes_on_with_the_bottles_of_the_last_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "s.db"

    def given(name: str, *option: str, goal: list[str] | None = None) -> CampaignSpec:
        return specification(Given(option=list(option), goal=goal, strategy="sobol", name=name), store)

    first = Campaign.open(given("levels", "bottles=red:30+water:500", goal=["match-color:teal"]))
    deque(islice(first.run(), 12), maxlen=0)
    assert isinstance(first.driver, CountsSupplies)
    left = first.driver.left(first.trials)
    assert 18 < left["red"] < 29
    assert 350 < left["water"] < 450
    say_what_is_left(first, as_json=False)
    (said,) = capsys.readouterr().err.splitlines()
    levels = said.removeprefix("left in the bottles, mL: ").split(";")[0]
    assert {k: float(v) for k, v in (word.split(":") for word in levels.split("+"))} == pytest.approx(left, abs=0.1)
    assert said.endswith("by --option bottles=after:levels")

    def bottles(words: str) -> str:
        driver = given("next", f"bottles={words}").driver
        assert driver is not None
        return str(driver.options["bottles"])

    assert bottles("after:levels") == levels
    red = levels.split("+")[0].removeprefix("red:")
    assert bottles("after:levels+red:70") == levels.replace(f"red:{red}", f"red:{float(red) + 70:g}")
    assert bottles("red:5") == "red:5"
    with pytest.raises(InvalidInput, match="after levels, write what was filled in since, as in red:250"):
        bottles("after:levels+rouge:5")
    with pytest.raises(UnknownName, match="levels"):
        bottles("after:levls")
    Campaign.open(given("uncounted", "seed=1", goal=["match-color:teal"])).begin()
    with pytest.raises(InvalidInput, match="uncounted counts no bottles; write how many mL are in them now, as in bottles=red:250"):
        bottles("after:uncounted")


def test_water_of_rinses_and_references_counts_to_the_mL(tmp_path: Path) -> None:
    campaign = campaign_with(tmp_path / "s.db")
    list(campaign.run())
    driver: Any = campaign.driver
    with driver:
        used = driver._driver._used(campaign.trials)
    pumped = driver.mixer.used
    assert {name: used[name] for name in pumped} == pytest.approx(pumped, rel=0.03)


def test_nobody_who_says_nothing_is_stopped() -> None:
    for twin in (color_mixing(), cloud_point()):
        assert isinstance(twin, CountsSupplies)
        assert twin.lacking([], {p.name: 1.0 for p in twin.experiment.parameters}) is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("rouge:5", "there is no 'rouge'; there are red, yellow, blue, water"),
        ("red", "write how many mL of each, as in red:250"),
        ("red:-1", "write how many mL of each, as in red:250"),
        ("red:5+", "there is no ''"),
    ],
)
def test_bottles_that_cannot_be_understood_are_refused(words: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        color_mixing(bottles=words)
