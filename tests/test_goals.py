"""What every goal of the catalog promises."""

import pytest

from frugaltwin import catalog, testing


@pytest.mark.parametrize("name", catalog.names("goal"))
@pytest.mark.parametrize("promise", testing.GOAL_PROMISES)
def test_a_goal_keeps_a_promise(name: str, promise: testing.Promise) -> None:
    promise(testing.Plugin.of("goal", name))
