"""How long it takes until something happens: importing, helping and listing as whole processes, beside a bare `python`.

python benchmarks/startup.py
"""

import subprocess
import sys
from statistics import median
from time import perf_counter

COMMANDS = {
    "python -c pass": ([sys.executable, "-c", "pass"], None),
    "import frugaltwin": ([sys.executable, "-c", "import frugaltwin"], 0.3),
    "import frugaltwin, first use of Campaign": ([sys.executable, "-c", "import frugaltwin; frugaltwin.Campaign"], None),
    "frugaltwin --help": ([sys.executable, "-m", "frugaltwin", "--help"], 0.5),
    "frugaltwin catalog": ([sys.executable, "-m", "frugaltwin", "catalog"], None),
}


def seconds(command: list[str]) -> float:
    start = perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return perf_counter() - start


def main() -> None:
    print("| what | median of 9, s | bar, s |")
    print("|---|---|---|")
    for name, (command, bar) in COMMANDS.items():
        seconds(command)  # fill the disk cache
        print(f"| `{name}` | {median(seconds(command) for _ in range(9)):.2f} | {'' if bar is None else bar} |")


if __name__ == "__main__":
    main()
