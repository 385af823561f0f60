"""Draw the picture of every twin that its page shows, and the front of a campaign.

python docs/draw_pictures.py [NAME …]
"""

import sys
from pathlib import Path

import frugaltwin
from frugaltwin.catalog import DRIVERS
from frugaltwin.pictures import front, progress
from frugaltwin.testing import Plugin

HOME = Path(__file__).parent
NOTHING_TO_DRAW = {"table"}


def main() -> None:
    for name in sys.argv[1:] or [*sorted(set(DRIVERS) - NOTHING_TO_DRAW), "front"]:
        path = HOME / "pictures" / f"{name}.svg"
        picture = campaign_front() if name == "front" else frugaltwin.picture(Plugin.of("driver", name).make())
        picture.save(path)
        print(path)


def campaign_front() -> frugaltwin.Picture:
    """The front of the campaign with two goals and a requirement in docs/commands.md."""
    goals = ["match-color:coral", "minimize:money"]
    campaign = frugaltwin.Campaign.open(goal=goals, require=["t_415 <= 0.3"], strategy="sobol", budget=30, store=":memory:")
    list(campaign.run())
    return frugaltwin.Picture(progress.figure([front.draw_front], campaign.record()))


if __name__ == "__main__":
    main()
