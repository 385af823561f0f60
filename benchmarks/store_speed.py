"""Time to find one campaign, and to list the names of all, in a store of 10,000 campaigns.

python benchmarks/store_speed.py
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from frugaltwin import make_driver
from frugaltwin.store import CampaignRecord, Store, experiment_to_json

N_CAMPAIGNS, ROUNDS = 10_000, 200
BAR = 2.0  # ms


def milliseconds(act: Callable[[int], object]) -> float:
    def one(k: int) -> float:
        start = perf_counter()
        act(k)
        return 1000 * (perf_counter() - start)

    return median(one(k) for k in range(ROUNDS))


def main() -> None:
    body = {"driver": {"name": "color-mixing", "options": {}}, "experiment": experiment_to_json(make_driver("color-mixing").experiment)}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store.db")
        store._connected().execute("pragma synchronous = off")  # only while it is filled
        for k in range(N_CAMPAIGNS):
            store.create(CampaignRecord(f"color-mixing-{k}", f"2026-11-22T00:00:00.{k:06d}+00:00", body))
        print(f"| among {N_CAMPAIGNS:,} campaigns | median of {ROUNDS}, ms | bar, ms |")
        print("|---|---|---|")
        print(f"| `Store.find` | {milliseconds(lambda k: store.find(f'color-mixing-{37 * k}')):.2f} | {BAR:g} |")
        print(f"| `Store.names` | {milliseconds(lambda k: store.names()):.2f} | |")
        store.close()


if __name__ == "__main__":
    main()
