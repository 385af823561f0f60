"""Draw the picture of every twin that its page shows.

python docs/draw_pictures.py [NAME …]
"""

import sys
from pathlib import Path

import frugaltwin
from frugaltwin.catalog import DRIVERS
from frugaltwin.testing import Plugin

HOME = Path(__file__).parent
NOTHING_TO_DRAW = {"table"}


def main() -> None:
    for name in sys.argv[1:] or sorted(set(DRIVERS) - NOTHING_TO_DRAW):
        path = HOME / "pictures" / f"{name}.svg"
        frugaltwin.picture(Plugin.of("driver", name).make()).save(path)
        print(path)


if __name__ == "__main__":
    main()
