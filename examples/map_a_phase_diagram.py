"""Map the phases of an alloy that nobody has seen, then look at the truth."""

import frugaltwin

lab = {"name": "binary-solution", "options": {"system": 17}}  # another number, another diagram
campaign = frugaltwin.Campaign.open(name="unknown", driver=lab, goal="map:phase", budget=20, seed=1, store=":memory:")
for trial in campaign.run():
    print(trial.number, dict(trial.settings), trial.measurement.outcomes["phase"] if trial.measurement else trial.error)

places = [{"composition": x / 10, "temperature": 350.0} for x in range(11)]
prediction = campaign.predict(places)
for place, label, chance in zip(places, prediction.labels, prediction.probability, strict=True):
    print(f"x = {place['composition']:.1f} at 350 K: {label} ({chance:.0%})")

frugaltwin.picture(campaign, with_truth=True).save("unknown.svg")  # in a notebook, the picture itself is shown
