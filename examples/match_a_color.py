"""Match a color in ten experiments, without any hardware."""

import frugaltwin

campaign = frugaltwin.Campaign.open(name="first", driver="color-mixing", goal="match-color:coral", budget=10, store=":memory:")
for trial in campaign.run():
    print(trial.number, dict(trial.settings), campaign.score(trial))
print(campaign.stopped_because, campaign.recommendation())
print(campaign.to_pandas())
