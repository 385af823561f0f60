"""A budget in experiments, as an instructor sets it."""

from __future__ import annotations

import pytest

from api.commands.allowance import DRAWN, Reservations, experiments, in_words
from api.commands.serve import announce
from api.records.rigs import Offer
from api.settings import CodeTerms
from api.workers.worker import RigWords
from frugaltwin import catalog
from frugaltwin.amounts import Amounts

EVENING = {"runs": 200.0, "seconds": 7200.0, "volume": 500.0}


@pytest.mark.parametrize("driver", ["color-mixing", "light-mixing"])
def test_a_budget_lets_in_what_is_said(driver: str) -> None:
    """Submitted one after the other, until one is refused: at least so many of the dearest, about so many of others."""
    offer = Offer.of_driver(driver, {})
    assert offer.price is not None
    found = Reservations.of(offer.experiment, offer.price)
    left, n, before = Amounts(**EVENING), 0, None
    for settings in catalog.random_settings(catalog.make_driver(driver), DRAWN, seed=3):
        price = offer.price.of(settings, before, n) + Amounts(runs=1)
        if any(getattr(price, kind) > getattr(left, kind) for kind in EVENING):
            break
        left, n, before = left - price, n + 1, settings
    assert experiments(EVENING, found.dearest) <= n
    assert n == pytest.approx(experiments(EVENING, found.typical), rel=0.1)


def test_a_kind_that_is_not_limited_limits_nothing() -> None:
    each = Reservations(Amounts(runs=1, seconds=60.0), Amounts(runs=1, seconds=100.0))
    assert in_words({"runs": 20.0}, each) == "about 20 experiments, 20 of the dearest"
    assert in_words({"seconds": 600.0, "runs": None}, each) == "about 10 experiments, 6 of the dearest"
    assert in_words({"volume": 5.0}, each) == "no limit"
    assert Reservations.of(Offer.of_driver("color-mixing", {}).experiment, None).typical == Amounts(runs=1)


def test_the_first_evening_says_how_many_experiments_its_budget_is(capsys: pytest.CaptureFixture[str]) -> None:
    rigs = [RigWords.parse("color-1=color-mixing")]
    announce("http://127.0.0.1:1", rigs, None, "abcd-efgh-jkmn", CodeTerms(30, EVENING), as_json=False)
    assert "on color-1: about" in capsys.readouterr().out
    announce("http://127.0.0.1:1", rigs, None, "abcd-efgh-jkmn", CodeTerms(30, {"runs": 200.0, "rig_runs": 5.0}), as_json=False)
    said = capsys.readouterr().out
    assert "each may spend 200 runs on twins, 5 runs on real rigs; nothing else is limited." in said
    assert "on color-1" not in said  # the terms say it
