"""The options of plug-ins: profiles of imperfections, and the part of a twin that each changes."""

import re
from typing import ClassVar

import pytest

from frugaltwin import catalog
from frugaltwin.data_sheets import ImperfectOptions, SystemOptions, option, table
from frugaltwin.errors import FrugalTwinError, InvalidInput
from frugaltwin.spec import CampaignSpec


class Noisy(ImperfectOptions):
    """Options of a lab with noise."""

    noise: float = option(1.0, "of a reading", allowed=(0, 10), changes="imperfections")
    slip: float = option(0.0, "of a pump", allowed=(0, 1), changes="imperfections")
    profiles: ClassVar = {"teaching-lab": {"noise": 2.0, "slip": 0.1}}


class Outdoors(Noisy):
    """The same with wind."""

    wind: float = option(0.0, "of the day", "m/s", allowed=(0, 30), changes="imperfections")
    profiles: ClassVar = {"teaching-lab": {"wind": 3.0, "slip": 0.2}}


def test_a_profile_stands_for_values_stated_in_one_place_and_those_given_beside_it_count() -> None:
    assert (Noisy().noise, Noisy().slip, Noisy().scale) == (1.0, 0.0, 1.0)
    lab = Noisy(imperfections="teaching-lab")
    assert (lab.noise, lab.slip, lab.scale) == (2.0, 0.1, 1.0)
    lab = Noisy(imperfections="teaching-lab", slip=0.0)
    assert (lab.noise, lab.slip) == (2.0, 0.0)


def test_a_profile_of_a_twin_is_that_of_what_it_is_made_of_and_its_own() -> None:
    lab = Outdoors(imperfections="teaching-lab")
    assert (lab.noise, lab.slip, lab.wind) == (2.0, 0.2, 3.0)
    assert "``imperfections=teaching-lab`` sets noise = 2, slip = 0.2, wind = 3." in table(Outdoors).replace("\n", " ")


def test_a_profile_that_a_twin_lacks_and_other_words_are_refused() -> None:
    with pytest.raises(InvalidInput, match="imperfections = teaching-lab: this twin has no such profile; give a number"):
        ImperfectOptions(imperfections="teaching-lab")
    with pytest.raises(InvalidInput, match="is no number: it is 0 to 10 or teaching-lab"):
        Noisy(imperfections="terrible")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="imperfections = 11 is not allowed"):
        Noisy(imperfections=11.0)


def test_an_option_that_is_drawn_changes_the_truth_unless_it_says_something_else() -> None:
    class Pendulum(SystemOptions):
        length: float | None = option(1.0, "of the rope", "m", drawn=(0.5, 2.0))
        damping: float | None = option(0.1, "by air", drawn=(0.0, 0.2), changes="imperfections")

    assert {name: about.changes for name, about in Pendulum.stated.items()} == {
        "length": "truth",
        "damping": "imperfections",
        "system": "truth",
    }


def test_a_scale_of_text_is_a_number_and_a_profile_stays_a_name() -> None:
    assert catalog.resolved_options("driver", "lens", {"imperfections": "2"})["imperfections"] == 2.0
    with pytest.raises(InvalidInput, match=r"it takes a number or .*teaching-lab"):
        catalog.resolved_options("driver", "lens", {"imperfections": "terrible"})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"budget": {"runs": "ten"}}, "a whole number"),
        ({"budget": 0}, "1 or more"),
        ({"seed": "x"}, "a whole number"),
        ({"goal": 7}, "a text, or a list of texts"),
        ({"stop": "good"}, "a name, a number or a table"),
        ({"driver": {"name": "lens", "options": 3}}, "a table of fields"),
    ],
)
def test_what_a_field_takes_is_said_in_our_words(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=f"it takes {words}") as caught:
        CampaignSpec.parse(fields)
    assert not re.search(r"should be|valid|unable to|instance|tuple", str(caught.value))


@pytest.mark.parametrize(
    ("goal", "words"), [("coral", "did you mean 'match-color:coral'"), ("maximize", "say which outcome"), ("map:phase", "no outcome")]
)
def test_a_goal_that_is_half_written_is_understood(goal: str, words: str) -> None:
    with pytest.raises(FrugalTwinError, match=words):
        catalog.make_goal(goal, catalog.make_driver("color-mixing"))
    with pytest.raises(FrugalTwinError, match="did you mean 'bayesian'"):
        catalog.make_strategy("bayes")


def test_every_option_of_ours_says_what_it_changes() -> None:
    stated = {name: catalog.stated_options("driver", name) for name in catalog.DRIVERS}
    assert [f"{name}, {option}" for name, options in stated.items() for option, about in options.items() if not about.changes] == []
    assert [name for name, options in stated.items() if not options] == []
