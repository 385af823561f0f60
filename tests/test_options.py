"""The options of plug-ins: profiles of imperfections, and the part of a twin that each changes."""

from typing import ClassVar

import pytest

from frugaltwin import catalog
from frugaltwin.data_sheets import ImperfectOptions, SystemOptions, option, table
from frugaltwin.errors import InvalidInput


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
    with pytest.raises(InvalidInput, match=r"valid number.* or .*teaching-lab"):
        catalog.resolved_options("driver", "lens", {"imperfections": "terrible"})


def test_every_option_of_ours_says_what_it_changes() -> None:
    stated = {name: catalog.stated_options("driver", name) for name in catalog.DRIVERS}
    assert [f"{name}, {option}" for name, options in stated.items() for option, about in options.items() if not about.changes] == []
    assert [name for name, options in stated.items() if not options] == []
