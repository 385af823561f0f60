"""Scan a dye and run a campaign under Bluesky's RunEngine, without any hardware. Needs: pip install 'frugaltwin[bluesky]'."""

from typing import Any

from bluesky import RunEngine
from bluesky.plans import scan

import frugaltwin
from frugaltwin.bluesky import Rig, campaign_plan


def show(name: str, document: dict[str, Any]) -> None:
    if name == "event":
        read = document["data"]
        print(*(f"{field} {read[f'rig_{field}']:.2f}" for field in ("red", "yellow", "blue", "water", "L", "a", "b")))


engine: Any = RunEngine()
engine.subscribe(show)

start = {"red": 0.0, "yellow": 0.2, "blue": 0.1, "water": 3.7}
rig = Rig(frugaltwin.make_driver("color-mixing"), start=start, balance="water")
engine(scan([rig], rig.parameter("red"), 0, 1, 5))

campaign = frugaltwin.Campaign.open(name="first", driver="color-mixing", goal="match-color:coral", budget=5, store=":memory:")
engine(campaign_plan(Rig(campaign.driver), campaign))
print(campaign.stopped_because, campaign.recommendation())
