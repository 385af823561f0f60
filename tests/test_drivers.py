"""What every driver of the catalog promises."""

import pytest

from frugaltwin import catalog, testing
from frugaltwin.testing import drivers
from tests.forms import IS_LONG

SLOW = (("calphad", drivers.its_truth_can_be_drawn),)
"""3,721 equilibria by pycalphad: ten seconds. In the short form its diagram is tried in tests/test_calphad.py."""
TRIED = [
    (name, promise) for promise in testing.DRIVER_PROMISES for name in catalog.names("driver") if IS_LONG or (name, promise) not in SLOW
]


@pytest.mark.parametrize(("name", "promise"), TRIED)
def test_a_driver_keeps_a_promise(name: str, promise: testing.Promise) -> None:
    promise(testing.Plugin.of("driver", name))


@pytest.mark.parametrize("name", catalog.DRIVERS)
def test_a_data_sheet_of_ours_says_where_its_numbers_are_from_and_what_it_leaves_out(name: str) -> None:
    sheet = catalog.data_sheet("driver", name)
    for word in ("Source", "option", "Twin of", "Leaves out"):
        assert word.lower() in sheet.lower()


def test_every_driver_of_ours_has_a_seed() -> None:
    assert all(testing.Plugin.of("driver", name).has_seed for name in catalog.DRIVERS)
