"""Draw the pictures of the maker's page, docs/rig.md: the wiring, one pump's MOSFET stage, and the cell with its tubes.

python docs/draw_wiring.py
"""

from html import escape
from pathlib import Path

PICTURES = Path(__file__).parent / "pictures"

RED, BLACK, BLUE, GREEN, YELLOW, GRAY = "#c62828", "#111111", "#1565c0", "#2e7d32", "#f9a825", "#78909c"
PUMPS = ((5, "pump 0: red"), (6, "pump 1: yellow"), (9, "pump 2: blue"), (10, "pump 3: water"), (11, "pump 4: drain"), (3, "stirrer"))
"""Pin of the Uno, and what it drives in the driver color-mixing."""

Point = tuple[float, float]


def text(x: float, y: float, words: str, size: int = 15, color: str = BLACK, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{color}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'


def lines(x: float, y: float, words: str, size: int = 15, color: str = BLACK, anchor: str = "start") -> str:
    return "".join(text(x, y + k * size * 1.3, line, size, color, anchor) for k, line in enumerate(words.split("\n")))


def wire(color: str, *points: Point, width: float = 3, dash: bool = False) -> str:
    path = " ".join(f"{x},{y}" for x, y in points)
    style = ' stroke-dasharray="7 5"' if dash else ""
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}" stroke-linejoin="round"{style}/>'


def box(x: float, y: float, width: float, height: float, fill: str, edge: str = BLACK, round_by: float = 8) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{round_by}" fill="{fill}" stroke="{edge}" stroke-width="2"/>'


def disk(x: float, y: float, radius: float, fill: str = BLACK, edge: str = BLACK) -> str:
    return f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{fill}" stroke="{edge}" stroke-width="2"/>'


def shape(points: tuple[Point, ...], fill: str) -> str:
    return f'<polygon points="{" ".join(f"{x},{y}" for x, y in points)}" fill="{fill}"/>'


def ground(x: float, y: float) -> str:
    bars = ((14, 0), (9, 6), (4, 12))
    return wire(BLACK, (x, y - 8), (x, y)) + "".join(wire(BLACK, (x - w, y + dy), (x + w, y + dy), width=2.5) for w, dy in bars)


def resistor(x: float, y: float, label: str, upright: bool = False) -> str:
    """Centered at x, y and 50 long."""
    if upright:
        return box(x - 7, y - 19, 14, 38, "#efe0c0", round_by=2) + text(x - 12, y + 5, label, 13, anchor="end")
    return box(x - 25, y - 7, 50, 14, "#efe0c0", round_by=2) + text(x, y - 12, label, 13, anchor="middle")


def diode(x: float, y: float) -> str:
    """Centered at x, y; its stripe, the cathode, is on the right."""
    return shape(((x - 11, y - 10), (x - 11, y + 10), (x + 9, y)), BLACK) + wire(BLACK, (x + 10, y - 11), (x + 10, y + 11), width=4)


def mosfet(x: float, y: float) -> str:
    """Symbol with its gate at x, y, its drain at x + 32, y - 28 and its source at x + 32, y + 28."""
    plates = wire(BLACK, (x, y - 18), (x, y + 18)) + wire(BLACK, (x + 8, y - 22), (x + 8, y + 22))
    drain = wire(BLACK, (x + 8, y - 15), (x + 32, y - 15), (x + 32, y - 28))
    source = wire(BLACK, (x + 8, y + 15), (x + 32, y + 15), (x + 32, y + 28))
    arrow = shape(((x + 10, y), (x + 22, y - 6), (x + 22, y + 6)), BLACK) + wire(BLACK, (x + 20, y), (x + 32, y), (x + 32, y + 15), width=2)
    return plates + drain + source + arrow


def closed_contact(x: float, y: float) -> str:
    """A normally closed contact, 60 wide, that a push on the button opens."""
    bar = wire(BLACK, (x, y), (x + 12, y)) + wire(BLACK, (x + 12, y), (x + 54, y - 6)) + wire(BLACK, (x + 48, y), (x + 60, y))
    return bar + wire(BLACK, (x + 48, y), (x + 48, y - 14)) + disk(x + 12, y, 3)


def pump_row(y: float, pin: int, label: str) -> str:
    optional = label == "stirrer"
    color = GRAY if optional else BLUE
    parts = [
        text(640, y + 5, f"D{pin}", 16, "white", "end", bold=True),
        wire(color, (652, y), (810, y), dash=optional),
        resistor(700, y, "220 Ω"),
        disk(770, y, 4),
        wire(BLACK, (770, y), (770, y + 42)),
        resistor(770, y + 26, "10 kΩ", upright=True),
        ground(770, y + 52),
        mosfet(810, y),
        ground(842, y + 36),
        wire(BLACK, (842, y - 28), (1010, y - 28)),
        wire(RED, (1010, y - 28), (1240, y - 28)),
        disk(1240, y - 28, 4, RED, RED),
        wire(BLACK, (950, y - 28), (950, y - 66), (1010, y - 66)),
        wire(RED, (1012, y - 66), (1090, y - 66), (1090, y - 28)),
        diode(1015, y - 66),
        disk(950, y - 28, 4),
        disk(1090, y - 28, 4, RED, RED),
        disk(1015, y - 28, 22, "#e3f2fd" if not optional else "#eceff1"),
        text(1015, y - 22, "M", 18, anchor="middle", bold=True),
        text(980, y - 33, "−", 17, anchor="end"),
        text(1051, y - 33, "+", 17, RED),
        text(1054, y - 6, label + (" (optional)" if optional else ""), 16, bold=True),
        wire(BLACK, (986, y - 28), (986, y + 9), (1009, y + 9)),
        wire(RED, (1021, y + 9), (1044, y + 9), (1044, y - 28)),
        *(wire(BLACK, (x, y - 2), (x, y + 20), width=4) for x in (1011, 1019)),
        disk(986, y - 28, 4),
        disk(1044, y - 28, 4, RED, RED),
        text(1054, y + 14, "100 nF", 13),
    ]
    return "".join(parts)


def wiring() -> str:
    rows = "".join(pump_row(275 + 112 * k, pin, label) for k, (pin, label) in enumerate(PUMPS))
    uno = [
        box(470, 215, 182, 700, "#00838f"),
        text(561, 250, "Arduino Uno", 18, "white", "middle", bold=True),
        lines(561, 880, "L (D13): status light,\nalready on the board", 13, "white", "middle"),
        *(text(482, y + 5, name, 16, "white", bold=True) for y, name in
          ((300, "D2"), (400, "5V"), (440, "GND"), (480, "A4"), (520, "A5"), (640, "D7"), (740, "GND"), (840, "USB"))),
    ]  # fmt: skip
    supply = [
        box(60, 60, 190, 90, "#eeeeee"),
        text(155, 98, "12 V supply, 3 A", 17, anchor="middle", bold=True),
        text(155, 122, "plug-in, with DC plug", 13, anchor="middle"),
        text(256, 80, "+", 20, RED),
        text(256, 126, "−", 20),
        wire(RED, (250, 85), (510, 85), width=4),
        box(310, 75, 60, 20, "white", RED, 2),
        wire(RED, (310, 85), (370, 85), width=2),
        text(340, 66, "fuse, 2 A, slow", 13, anchor="middle"),
        wire(RED, (570, 85), (1240, 85), (1240, 900), width=4),
        text(1000, 75, "+12 V, only to the pumps", 15, RED, "middle", bold=True),
        wire(BLACK, (250, 132), (300, 132), (300, 150), width=4),
        ground(300, 158),
        wire(BLACK, (470, 740), (420, 740), (420, 755), width=4),
        ground(420, 762),
    ]
    switch = [
        closed_contact(510, 85),
        closed_contact(510, 145),
        wire(RED, (540, 79), (540, 139), width=2, dash=True),
        text(546, 52, "emergency switch", 16, RED, "middle", bold=True),
        lines(585, 108, "contact 1\ncuts 12 V", 12),
        text(500, 172, "contact 2 tells the Uno", 12),
        wire(GREEN, (510, 145), (410, 145), (410, 300), (470, 300)),
        wire(BLACK, (570, 145), (690, 145), (690, 168)),
        ground(690, 172),
        lines(715, 118, "both contacts are closed until it is pressed;\na broken wire at D2 stops the rig as well", 13),
    ]
    sensor = [
        box(60, 370, 210, 205, "#e8eaf6"),
        text(165, 355, "color sensor on its breakout board", 14, anchor="middle", bold=True),
        lines(75, 410, "AS7341\nor\nTCS34725", 16),
        *(text(262, y + 5, name, 15, anchor="end", bold=True) for y, name in ((400, "VIN"), (440, "GND"), (480, "SDA"), (520, "SCL"))),
        text(262, 560, "LED", 15, anchor="end", bold=True),
        wire(RED, (270, 400), (470, 400)),
        wire(BLACK, (270, 440), (470, 440)),
        wire(BLUE, (270, 480), (470, 480)),
        wire(YELLOW, (270, 520), (470, 520)),
        wire(BLACK, (270, 555), (300, 555), (300, 562)),
        ground(300, 570),
        lines(75, 595, "LED pin: TCS34725 boards only.\nTo GND keeps its own light off.", 13),
    ]
    light = [
        wire(GREEN, (470, 640), (170, 640)),
        resistor(395, 640, "150 Ω"),
        shape(((235, 628), (235, 652), (213, 640)), YELLOW),
        wire(BLACK, (212, 628), (212, 652), width=4),
        wire(BLACK, (210, 640), (150, 640), (150, 665)),
        ground(150, 672),
        lines(75, 712, "white LED, opposite the sensor,\non the other side of the cell.\nLong leg to the resistor.", 13),
    ]
    computer = [box(60, 805, 210, 70, "#eeeeee"), text(165, 846, "your computer", 17, anchor="middle", bold=True)]
    computer += [wire(GRAY, (270, 840), (470, 840), width=8), text(370, 826, "USB cable", 13, anchor="middle")]
    capacitor = [
        wire(RED, (1240, 900), (1240, 925)),
        wire(BLACK, (1220, 925), (1260, 925), width=4),
        wire(BLACK, (1220, 935), (1260, 935), width=4),
        text(1205, 922, "+", 18, RED),
        ground(1240, 945),
        wire(BLACK, (1240, 935), (1240, 945)),
        lines(1270, 915, "470 to 1000 µF,\n25 V, near the\npumps. Stripe\n(−) to ground.", 13),
    ]
    legend = [
        ground(90, 945),
        lines(120, 940, "Ground: all of these are one wire. It joins − of the supply, GND of the Uno and everything that has this sign.\n"
              "Pins are drawn where there is room: go by the names that are printed on the board.", 14),
    ]  # fmt: skip
    parts = [box(430, 30, 232, 150, "#ffebee", RED), *supply, *switch, *uno, rows, *sensor, *light, *computer, *capacitor, *legend]
    return picture(1400, 990, "Wiring of the rig: Arduino Uno, pumps, fuse, sensor, LED and emergency switch", parts)


def pump_stage() -> str:
    parts = [
        text(40, 45, "One pump. Build five of these (and a sixth for a stirrer).", 20, bold=True),
        # rails
        wire(RED, (40, 100), (960, 100), width=6),
        text(45, 90, "+12 V, after the fuse and the emergency switch", 15, RED, bold=True),
        wire(BLACK, (40, 520), (960, 520), width=6),
        text(45, 548, "ground: − of the supply and GND of the Uno", 15, bold=True),
        # the transistor, printed side toward the reader
        box(405, 175, 130, 50, "#b0bec5"),
        disk(470, 200, 13, "white"),
        box(405, 225, 130, 95, "#263238", round_by=4),
        lines(470, 262, "IRLZ44N\n(print faces you)", 14, "white", "middle"),
        *(box(x - 5, 320, 10, 62, "#cfd8dc", round_by=1) for x in (425, 470, 515)),
        *(text(x, 312, name, 13, "white", "middle", bold=True) for x, name in ((425, "1 G"), (470, "2 D"), (515, "3 S"))),
        # gate
        wire(BLUE, (60, 400), (425, 400), (425, 382)),
        text(60, 372, "from the Uno: D5 (D6, D9, D10, D11)", 15, BLUE, bold=True),
        box(140, 387, 76, 26, "#d7b98e", round_by=12),
        text(178, 434, "220 Ω", 15, anchor="middle", bold=True),
        text(178, 452, "red red brown", 13, anchor="middle"),
        disk(330, 400, 6, BLUE, BLUE),
        wire(BLACK, (330, 400), (330, 520)),
        box(317, 425, 26, 72, "#d7b98e", round_by=12),
        text(352, 462, "10 kΩ", 15, bold=True),
        text(352, 480, "brown black orange", 13),
        disk(330, 520, 6),
        # source and drain
        wire(BLACK, (515, 382), (515, 520), width=4),
        disk(515, 520, 6),
        '<path d="M470,382 V425 H506 A9,9 0 0 1 524,425 H680 V330 H760" fill="none" stroke="#2e7d32" stroke-width="4"/>',
        # pump
        disk(800, 250, 62, "#e3f2fd"),
        text(800, 245, "pump", 17, anchor="middle", bold=True),
        text(800, 266, "motor", 15, anchor="middle"),
        wire(GREEN, (760, 330), (778, 330), (778, 308), width=4),
        wire(RED, (822, 192), (822, 100), width=4),
        text(832, 182, "+", 18, RED, bold=True),
        text(756, 322, "−", 18, GREEN, bold=True),
        disk(822, 100, 6, RED, RED),
        # capacitor
        wire(RED, (822, 150), (900, 150), (900, 230), width=4),
        wire(GREEN, (778, 330), (900, 330), (900, 270), width=4),
        disk(822, 150, 6, RED, RED),
        disk(778, 330, 6, GREEN, GREEN),
        disk(900, 250, 22, "#ffb74d"),
        text(900, 255, "104", 13, anchor="middle"),
        lines(928, 236, "100 nF,\non the\nmotor", 14),
        # diode
        wire(GREEN, (680, 330), (680, 100), width=4),
        box(666, 175, 28, 80, "#212121", round_by=4),
        box(666, 184, 28, 12, "#eeeeee", "#eeeeee", 0),
        disk(680, 100, 6, RED, RED),
        wire(RED, (680, 100), (680, 174), width=4),
        disk(680, 330, 6, GREEN, GREEN),
        lines(552, 195, "diode 1N4001:\nstripe up,\nto +12 V", 14),
        lines(
            545,
            462,
            "Green jumps over black: they do not touch.\nMetal tab and leg 2 are one: the tabs of two\ntransistors must never touch.",
            14,
        ),
    ]
    return picture(1000, 580, "One pump's MOSFET stage with its two resistors, its diode and its capacitor", parts)


def badge(x: float, y: float, letter: str) -> str:
    return disk(x, y, 12, RED, RED) + text(x, y + 5, letter, 14, "white", "middle", bold=True)


def bottle(x: float, label: str, liquid: str, level: float) -> str:
    body = box(x, 420, 64, 110, "white", round_by=6) + box(x + 2, level, 60, 528 - level, liquid, liquid, 4)
    return body + text(x + 32, 552, label, 14, anchor="middle", bold=True)


def cell() -> str:
    liquids = (("red", "#e57373"), ("yellow", "#ffe082"), ("blue", "#64b5f6"), ("water", "#e1f5fe"))
    parts = [
        wire(GRAY, (20, 531), (1080, 531), width=4),
        text(30, 40, "The cell, and how the tubes go", 20, bold=True),
    ]
    for k, (name, color) in enumerate(liquids):
        x, top = 40 + 84 * k, 150 - 22 * k
        parts += [
            bottle(x, f"{k}: {name}", color, 455),
            wire("#90a4ae", (x + 32, 518), (x + 32, top), (595 + 14 * k, top), (595 + 14 * k, 232), width=5),
            disk(x + 32, 330, 20, "#e3f2fd"),
            text(x + 32, 336, f"P{k}", 14, anchor="middle", bold=True),
        ]
    parts += [
        # light-tight box
        box(470, 205, 330, 300, "#424242"),
        box(490, 225, 290, 260, "#616161", "#616161", 2),
        text(635, 476, "light-tight box, black inside", 13, "white", "middle"),
        # cell with its liquid
        box(575, 265, 120, 190, "white", round_by=3),
        box(578, 345, 114, 107, "#b2dfdb", "#b2dfdb", 2),
        wire("#fb8c00", (540, 345), (735, 345), width=2, dash=True),
        text(742, 350, "4 mL", 13, "white"),
        box(615, 440, 40, 9, "white", round_by=4),
        # the beam, end on
        disk(625, 396, 17, YELLOW, YELLOW),
        # drain
        wire("#90a4ae", (683, 449), (683, 120), (920, 120), (920, 232), width=5),
        disk(850, 120, 22, "#ffe0b2"),
        text(850, 126, "P4", 14, anchor="middle", bold=True),
        box(885, 330, 110, 200, "white", round_by=6),
        box(887, 470, 106, 58, "#bcaaa4", "#bcaaa4", 4),
        text(940, 552, "waste", 14, anchor="middle", bold=True),
        wire("#fb8c00", (700, 265), (1060, 265), width=2, dash=True),
        # from above
        text(1170, 235, "from above", 15, anchor="middle", bold=True),
        box(1090, 250, 160, 220, "#616161", "#424242"),
        box(1110, 325, 120, 67, "#b2dfdb", round_by=3),
        text(1186, 319, "18 mm", 12, "white"),
        text(1258, 364, "10 mm", 12),
        disk(1218, 380, 6, "white", "#546e7a"),
        disk(1160, 288, 12, "#fffde7"),
        text(1182, 293, "LED", 13, "white", bold=True),
        wire(YELLOW, (1160, 302), (1160, 410), width=8),
        shape(((1150, 408), (1170, 408), (1160, 424)), YELLOW),
        box(1134, 426, 52, 14, "#3949ab", round_by=2),
        text(1160, 459, "sensor", 13, "white", "middle", bold=True),
        badge(1218, 408, "B"),
        badge(1128, 308, "D"),
        badge(616, 246, "A"),
        badge(683, 180, "B"),
        badge(920, 250, "C"),
        badge(596, 372, "D"),
        lines(
            30,
            590,
            "A  The feed tubes end in air, above the cell, and higher than the liquid in every bottle.\n"
            "B  Only the drain tube reaches the bottom. It stands in a corner, out of the beam.\n"
            "C  The waste tube ends in air, higher than the rim of the cell (dashed). Or: a pinch clamp on it.\n"
            "D  The lamp behind the cell and the sensor before it look through the lower half, across the 10 mm:\n"
            "    below the surface of 4 mL, above the stir bar, past the drain tube.",
            15,
        ),
    ]
    return picture(1310, 700, "Cross section: bottles, pumps, cell, drain and waste; from above: the cell between LED and sensor", parts)


def picture(width: int, height: int, title: str, parts: list[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
    body = "\n".join(parts)
    return (
        f'{head} font-family="sans-serif"><title>{escape(title)}</title>\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def main() -> None:
    for name, drawing in {"wiring": wiring(), "pump-stage": pump_stage(), "cell": cell()}.items():
        path = PICTURES / f"{name}.svg"
        path.write_text(drawing, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
