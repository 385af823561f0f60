"""Overview, zoom, spectrum: cheap looks at a wafer say where spectra are worth their time, and only spectra count for the map."""

from frugaltwin import Budget, Campaign, Store, Trial, make_driver, make_goal, make_strategy

wafer = make_driver("wafer", {"dwell": 3.0}, seed=7)
goal = make_goal("map:phase", wafer)
campaign = Campaign("wafer", wafer, goal, make_strategy("gp-classifier"), Store(":memory:"), Budget(seconds=110.0))


def look(how: str, x: float, y: float) -> str:
    """Look at a place, and tell the campaign; return the phases that this look sees."""
    settings = wafer.experiment.check({"x": x, "y": y, "look": how})
    done = wafer.perform(settings)
    trial = campaign.tell(settings, done.outcomes, done.cost)
    print(f"{describe(trial)}{'' if goal.counts(trial) else '; it informs, and does not count'}")
    return str(done.outcomes["phase"])


def describe(trial: Trial) -> str:
    """The trial in one line."""
    assert trial.measurement is not None
    x, y = (f"{float(trial.settings[name]):5.1f}" for name in "xy")
    return f"{trial.settings['look']:>8} at ({x}, {y}) mm, {trial.cost.seconds:4.1f} s: {trial.measurement.outcomes['phase']}"


price = campaign.state().price
assert price is not None
ahead = [{"x": 12.0, "y": 5.0, "look": how} for how in ("overview", "zoom", "spectrum")]
print("prices from the center:", ", ".join(f"{s['look']} {t:.1f} s" for s, t in zip(ahead, price(ahead)["seconds"], strict=True)))

steps = (-30.0, -10.0, 10.0, 30.0)
with wafer:
    seen = {(x, y): look("overview", x, y) for x in steps for y in steps}  # the first takes the image, the others read it
    gaps = [(x, y) for x, y in seen if x < steps[-1] and seen[x, y] != seen[x + 20.0, y]]
    for x, y in gaps[:4]:  # a zoom in the middle of a gap says in which half the border is: a spectrum there
        look("spectrum", x + (15.0 if look("zoom", x + 10.0, y) == seen[x, y] else 5.0), y)

for trial in campaign.run():  # the strategy goes on with spectra, as long as there is time
    print(describe(trial))
print(f"{campaign.stopped_because}; {goal.summary(campaign.trials)}")
