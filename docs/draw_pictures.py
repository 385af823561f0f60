"""Draw the picture of every twin that its page shows.

python docs/draw_pictures.py [NAME …]
"""

import sys
from pathlib import Path

import frugaltwin
from frugaltwin.catalog import DRIVERS

HOME = Path(__file__).parent
EUTECTIC = HOME.parent / "tests" / "data" / "eutectic.tdb"
NEEDED: dict[str, dict[str, object]] = {"calphad": {"path": EUTECTIC, "temperature_low": 350.0, "temperature_high": 650.0}}
"""What some drivers cannot do without."""
NOTHING_TO_DRAW = {"table"}


def main() -> None:
    for name in sys.argv[1:] or sorted(set(DRIVERS) - NOTHING_TO_DRAW):
        path = HOME / "pictures" / f"{name}.svg"
        frugaltwin.picture(frugaltwin.make_driver(name, NEEDED.get(name, {}))).save(path)
        print(path)


if __name__ == "__main__":
    main()
