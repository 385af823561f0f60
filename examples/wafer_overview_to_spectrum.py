"""Overview, zoom, spectrum: find where a wafer changes fastest, and the phases on both sides, with the instructions of its probe."""

import numpy as np
from numpy.typing import NDArray

from frugaltwin.instruments import Image
from simulator.wafer import WaferTwin, deviation, inferred

DWELL = 3.0  # s


def slopes(image: Image, block: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Centers of the blocks of pixels, x [b] and y [b], and slopes of the channels there, per mm: [2, b, b, 8], along y, then x.

    A block of n × n pixels has an n-th of the noise of a pixel.
    """
    b = len(image.x) // block
    kept = slice(0, b * block)
    means = image.channels[kept, kept].reshape(b, block, b, block, -1).mean(axis=(1, 3))
    x, y = (along[kept].reshape(b, block).mean(axis=1) for along in (image.x, image.y))
    return x, y, np.stack(np.gradient(means, y, x, axis=(0, 1)))


with WaferTwin(seed=7).probe as probe:
    print(probe.identify())

    overview = probe.scan(width=70.0, pixels=71)
    x, y, slope = slopes(overview, block=7)
    steepness = np.sqrt((slope**2).sum(axis=(0, 3)))
    row, column = np.unravel_index(steepness[1:-1, 1:-1].argmax(), steepness[1:-1, 1:-1].shape)
    place = np.array([x[column + 1], y[row + 1]])
    print(f"overview: changes fastest near x = {place[0]:.0f} mm, y = {place[1]:.0f} mm; {probe.spent.seconds:.0f} s spent so far")

    probe.move(*place)
    _, _, slope = slopes(probe.scan(width=14.0, pixels=28), block=7)
    (along_y, along_x) = slope.mean(axis=(1, 2))  # [8] each
    spread = np.array([[along_x @ along_x, along_x @ along_y], [along_x @ along_y, along_y @ along_y]])
    direction = np.linalg.eigh(spread)[1][:, -1]
    print(f"zoom: changes along ({direction[0]:+.2f}, {direction[1]:+.2f}); {probe.spent.seconds:.0f} s spent so far")

    for step in (-18.0, -12.0, -6.0, 0.0, 6.0, 12.0, 18.0):
        there = place + step * direction
        probe.move(*there)
        spectrum = probe.measure(DWELL)
        print(f"spectrum at x = {there[0]:6.1f} mm, y = {there[1]:6.1f} mm: {inferred(spectrum, float(deviation(DWELL)))}")

    each = DWELL + probe.price("move", place=(there[0] + 1.0, there[1])).seconds
    hours = each * len(overview.x) ** 2 / 3600
    print(f"spent {probe.spent.seconds:.0f} s in all; a spectrum in every pixel of the overview would take {hours:.1f} h")
