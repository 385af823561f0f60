"""What every driver of the catalog promises."""

import pytest

from frugaltwin import catalog, testing


@pytest.mark.parametrize("name", catalog.names("driver"))
@pytest.mark.parametrize("promise", testing.DRIVER_PROMISES)
def test_a_driver_keeps_a_promise(name: str, promise: testing.Promise) -> None:
    promise(testing.Plugin.of("driver", name))


@pytest.mark.parametrize("name", catalog.DRIVERS)
def test_a_data_sheet_of_ours_says_where_its_numbers_are_from_and_what_it_leaves_out(name: str) -> None:
    sheet = catalog.data_sheet("driver", name)
    for word in ("Source", "option", "Twin of", "Leaves out"):
        assert word.lower() in sheet.lower()


def test_every_driver_of_ours_has_a_seed() -> None:
    assert all(testing.Plugin.of("driver", name).has_seed for name in catalog.DRIVERS)
