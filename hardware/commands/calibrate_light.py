"""Calibration of the light: dark, clean water, gain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frugaltwin.cli.console import progress, say, show_rows
from frugaltwin.errors import RigFault
from hardware.commands.calibrations import check_store, keep
from hardware.commands.connection import confirm, opened, show_steps
from hardware.commands.options import STORE, AsJson, DryRun, PortWords, StorePath, Yes

if TYPE_CHECKING:
    from hardware.arduino_mixer import ArduinoMixer
    from simulator.instruments.sensors import Sensor


def calibrate_light(
    port: PortWords = "auto", store: StorePath = STORE, yes: Yes = False, dry_run: DryRun = False, as_json: AsJson = False
) -> int:
    """Read the dark and clean water, choose the gain, and keep what was read."""
    if dry_run:
        return show_steps(
            port,
            "ask for clean water in the cell",
            "16 readings in the dark",
            "30 s of lamp, then 16 readings, at each gain until one fits",
        )
    from hardware.calibration import light_record

    with opened(port) as mixer:
        check_store(store)
        confirm("4 mL of clean water are in the cell and its box is closed", yes or port == "emulated")
        mixer.clear()
        body = read_dark_and_white(mixer)
        record = light_record(mixer.identify(), body)
    record = keep(record, store)
    looks = {"dark": ".1f", "white": ".1f", "share": ".0%", "scatter": ".2%"}
    if as_json:
        named = {"id": record.id, "gain": body["gain"]}
        show_rows([named | {"channel": c} | {v: body[v][c] for v in looks} for c in body["white"]], as_json)
    else:
        show_rows([{"channel": c} | {v: format(body[v][c], look) for v, look in looks.items()} for c in body["white"]], as_json)
    say(f"kept as {record.id} in {store}; run with --option gain={body['gain']:g}")
    return 0


def read_dark_and_white(mixer: ArduinoMixer) -> dict[str, Any]:
    """Dark and white of the first gain with which the brightest channel is neither dim nor near saturation."""
    import statistics

    from hardware.calibration import DIM, GRAY_ZONE, REPEATS, STEADY, check_light, check_scatter
    from simulator.instruments.sensors import AS7341_GAINS, TCS34725_GAINS, make_sensor

    name = mixer.sensor_name
    gains = AS7341_GAINS if name == "as7341" else TCS34725_GAINS
    with progress("lamp warms up", 30) as step:
        mixer.set_sensor()
        mixer.read(lamp=True)
        for second in range(30):
            mixer.clock.sleep(1.0)
            step(second + 1, 30)
    seen = []
    for gain in sorted(gains, reverse=True):
        mixer.sensor = make_sensor(name, {"gain": gain})
        mixer.set_sensor()
        seen.append(counts := mixer.read(lamp=True).counts)
        brightest = max(counts.values()) / mixer.sensor.full_scale
        if brightest <= GRAY_ZONE[1]:
            break
    else:
        if min(seen[0].values()) < mixer.sensor.full_scale:  # not all saturated
            check_scatter([*seen, *(mixer.read(lamp=True).counts for _ in range(REPEATS))])
        raise RigFault(
            f"too much light: the brightest channel is at {brightest:.0%} of full scale even at gain {gain:g}; "
            "close the box, or give the LED a larger resistor"
        )
    sensor = mixer.sensor
    with progress("reading", 32) as step:
        readings = []
        for n in range(32):
            readings.append(mixer.read(lamp=n >= 16).counts)
            step(n + 1, 32)
    check_light(readings[:16], readings[16:])
    if brightest < DIM:
        raise RigFault(
            f"hardly any light: the brightest channel is at {brightest:.0%} of full scale at gain {gain:g}; "
            "look for a lamp that is dark or out of line, and for a dirty cell"
        )
    if brightest < GRAY_ZONE[0]:
        say(f"the brightest channel is at {brightest:.0%} of full scale; another resistor at the LED could bring it to 40 to 70 %")
    dark, white = ({c: statistics.mean(float(r[c]) for r in part) for c in sensor.bands} for part in (readings[:16], readings[16:]))
    scatter = {c: statistics.stdev(float(r[c]) for r in readings[16:]) / white[c] if white[c] else 0.0 for c in sensor.bands}
    bright = [c for c in sensor.bands if white[c] > 1000]  # fewer counts scatter by themselves
    if bright and scatter[worst := max(bright, key=lambda c: scatter[c])] > STEADY:
        raise RigFault(f"channel {worst} scatters by {scatter[worst]:.1%}; look for room light, bubbles, or a loose lamp, then start again")
    share = {c: white[c] / sensor.full_scale for c in sensor.bands}
    residuals = [{c: float(r[c]) - white[c] for c in sensor.bands} for r in readings[16:]]
    return {
        "sensor": name, "gain": sensor.gain, "full_scale": sensor.full_scale, "dark": dark, "white": white, "share": share,
        "scatter": scatter, "residuals": residuals, "readings": [dict(r) for r in readings], "plot": _light_plot(dark, white, sensor),
    }  # fmt: skip


def _light_plot(dark: dict[str, float], white: dict[str, float], sensor: Sensor) -> str:
    from matplotlib.figure import Figure

    from frugaltwin.pictures.style import ACCENT, INK, QUIET, svg
    from hardware.calibration import GRAY_ZONE

    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.add_subplot()
    names = list(white)
    axes.bar(names, [white[c] / sensor.full_scale for c in names], color=ACCENT, label="water")
    axes.bar(names, [dark[c] / sensor.full_scale for c in names], color=INK, label="dark")
    axes.axhspan(*GRAY_ZONE, color=QUIET, alpha=0.2, label="where the brightest should be")
    axes.set(xlabel="channel", ylabel="of full scale", ylim=(0, 1), title=f"{sensor.name}, gain {sensor.gain:g}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return svg(figure)
