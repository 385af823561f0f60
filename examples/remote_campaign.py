"""Class with one student: serve a twin, join with the code, and run a campaign on it over the network."""

import json
import subprocess
import sys
from pathlib import Path

import frugaltwin

# In a classroom the instructor has started this, and the address and the code stand on the board.
words = [sys.executable, "-m", "frugaltwin", "serve", "--port", "0", "--json", "--rig", "color-1=color-mixing"]
with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as service:
    try:
        assert service.stdout is not None
        board = json.loads(service.stdout.readline())

        with frugaltwin.Client(board["address"]) as client:
            token = client.join(board["join_code"], "Ada").token  # with keep=True it need not be named again
            print(client.submit("color-1", {"red": 0.2, "yellow": 0.3, "blue": 0.1, "water": 3.4}, wait=60).outcomes)

            # The rig is the service's; the strategy, the goal and the store are yours.
            driver = frugaltwin.RemoteDriver(f"{board['address']}/rigs/color-1", token)
            goal, strategy = frugaltwin.make_goal("match-color:coral", driver), frugaltwin.make_strategy("sobol")
            store = frugaltwin.Store(Path("mine.db"))
            campaign = frugaltwin.Campaign("reef", driver, goal, strategy, store, frugaltwin.Budget(runs=5))
            for trial in campaign.run():
                print(trial.number, dict(trial.settings), campaign.score(trial))
            print(campaign.stopped_because, client.me().budget["spent"])
            store.close()
    finally:
        service.terminate()
