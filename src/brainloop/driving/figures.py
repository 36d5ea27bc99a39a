"""People, cars, trees and houses, drawn in perspective."""

import math
from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageDraw

from brainloop.driving.road import KERBS, LENGTH, WIDTH

__all__ = ["EYE", "FOCAL", "HORIZON", "SEAT", "Canvas", "beside", "car", "person"]

Colour = tuple[int, int, int]

EYE = 1.35
"""Height of the driver's eye above the road, m."""

SEAT = 2.0
"""From the car's front back to the driver's eye, m."""

FOCAL = 0.9
"""Focal length as a share of the picture's width: 58 degrees across, about what a windscreen shows."""

HORIZON = 0.42
"""Where the horizon lies, as a share of the picture's height, from the top."""

NEAR = 0.8
"""What is nearer to the eye is not drawn, m."""

HAZE: Colour = (214, 222, 226)
"""What everything fades to in the distance."""

PLOT = 15.0
"""Along the road, m: one thing on each side stands on every plot."""

FAR = 125.0
"""From where on things are lost in the haze, m."""

PAVEMENT = 2.6
"""Width of a pavement, m."""

# Okabe and Ito (2008), who chose them for the colour-blind; without the greens, which are the meadow's.
CLOTHES: tuple[Colour, ...] = (
    (213, 94, 0), (240, 228, 66), (0, 114, 178), (204, 121, 167), (240, 240, 236), (230, 159, 0), (86, 180, 233),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = ((44, 52, 70), (70, 62, 58), (30, 32, 36), (88, 96, 112))
SKIN: tuple[Colour, ...] = ((244, 208, 178), (222, 172, 132), (168, 116, 82), (112, 74, 52))
HAIR: tuple[Colour, ...] = ((42, 32, 28), (96, 64, 40), (196, 152, 92), (150, 148, 146), (26, 24, 26))
PAINT: tuple[Colour, ...] = ((190, 196, 204), (52, 84, 128), (150, 52, 44), (62, 66, 72), (226, 224, 216))
LEAVES: tuple[Colour, ...] = ((92, 128, 84), (108, 142, 86), (76, 116, 88), (134, 148, 84))
WALLS: tuple[Colour, ...] = ((234, 222, 200), (222, 202, 182), (208, 214, 218), (236, 232, 224), (216, 190, 168))
ROOFS: tuple[Colour, ...] = ((158, 100, 82), (120, 104, 100), (104, 112, 124))


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """Give a colour between two."""
    return (
        int(a[0] + (b[0] - a[0]) * share),
        int(a[1] + (b[1] - a[1]) * share),
        int(a[2] + (b[2] - a[2]) * share),
    )


@lru_cache(maxsize=4096)
def chances(*key: int) -> tuple[float, ...]:
    """Draw eight uniform numbers that follow from the key alone (splitmix64: Steele et al. 2014)."""
    state = 0
    found = []
    for value in (*key, *range(8)):
        state = (state + value + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
        found.append((state >> 11) * 2.0**-53)
    return tuple(found[-8:])


def pick(colours: Sequence[Colour], chance: float) -> Colour:
    """Choose one of the colours."""
    return colours[int(chance * len(colours))]


class Canvas:
    """A picture that is drawn on in metres.

    Places are (depth, y, z): from the eye along the road, across it (left is positive), above it.
    """

    def __init__(self, image: Image.Image) -> None:
        self.width, self.height = image.size
        self.draw = ImageDraw.Draw(image)
        self.focal = FOCAL * self.width
        self.middle = self.width / 2
        self.horizon = HORIZON * self.height

    def scale(self, depth: float) -> float:
        """Pixels that a metre measures at a depth."""
        return self.focal / depth

    def at(self, depth: float, y: float, z: float) -> tuple[float, float]:
        """Pixel of a place."""
        scale = self.focal / depth
        return self.middle - scale * y, self.horizon + scale * (EYE - z)

    def shape(self, colour: Colour, *places: tuple[float, float, float]) -> None:
        """Fill a polygon of places, with the haze of the first one's depth."""
        self.draw.polygon([self.at(*place) for place in places], fill=hazy(colour, places[0][0]))

    def disc(self, colour: Colour, depth: float, y: float, z: float, across: float, up: float) -> None:
        """Fill an ellipse of these half axes, m, that faces the eye."""
        x, row = self.at(depth, y, z)
        scale = self.focal / depth
        box = (x - across * scale, row - up * scale, x + across * scale, row + up * scale)
        self.draw.ellipse(box, fill=hazy(colour, depth))

    def bar(self, colour: Colour, depth: float, width: float, *places: tuple[float, float]) -> None:
        """Draw a line of a width, m, through places (y, z) at one depth."""
        points = [self.at(depth, y, z) for y, z in places]
        self.draw.line(points, fill=hazy(colour, depth), width=max(round(width * self.focal / depth), 1), joint="curve")


def hazy(colour: Colour, depth: float) -> Colour:
    """Give a colour as it looks from a distance."""
    return mixed(colour, HAZE, min(max(depth - 8.0, 0.0) / (FAR + 2.0), 1.0))


def person(canvas: Canvas, depth: float, y: float, velocity: float, attentive: bool, number: int) -> None:
    """Draw somebody who walks across the road, or stands beside it.

    Whoever is attentive to the road faces it; whoever is not looks at a telephone.
    """
    if depth < NEAR:
        return
    u = chances(number, 7)
    top, trousers = pick(CLOTHES, u[0]), pick(TROUSERS, u[1])
    skin, hair = pick(SKIN, u[2]), pick(HAIR, u[3])
    tall = 0.94 + 0.12 * u[4]
    middle = (KERBS[0] + KERBS[1]) / 2
    towards = math.copysign(1.0, velocity) if velocity else (1.0 if y < middle else -1.0)
    profile = velocity != 0 or attentive
    fine = canvas.scale(depth) > 22  # pixels a metre, from which on the small things are seen
    phase = y * 2 * math.pi / 1.5 if velocity else 0.0
    stride = 0.3 * math.sin(phase) if velocity else 0.08
    lift = 0.03 * abs(math.cos(phase)) if velocity else 0.0

    canvas.disc((84, 88, 94), depth, y, 0.0, 0.34, 0.05)
    hip, shoulder, neck = 0.86 * tall + lift, 1.42 * tall + lift, 1.47 * tall + lift
    for side, shade in ((-1, 0.25), (1, 0.0)):
        foot = y + side * stride
        knee = y + side * stride * 0.45 + (0.05 * towards if velocity else 0.0)
        colour = mixed(trousers, (0, 0, 0), shade)
        canvas.bar(colour, depth, 0.16, (y + side * 0.03, hip), (knee, hip / 2), (foot, 0.05))
        if fine:
            canvas.bar((36, 32, 32), depth, 0.09, (foot - 0.05 * towards, 0.05), (foot + 0.15 * towards, 0.05))
    wide, narrow = (0.17, 0.14) if profile else (0.23, 0.17)
    if fine and profile and u[5] < 0.4:
        bag = y - 0.2 * towards
        canvas.disc(mixed(top, (30, 30, 40), 0.6), depth, bag, 1.17 * tall + lift, 0.13, 0.23)
    canvas.shape(
        top, (depth, y - narrow, hip - 0.06), (depth, y + narrow, hip - 0.06), (depth, y + wide, shoulder - 0.06),
        (depth, y + wide * 0.6, shoulder + 0.02), (depth, y - wide * 0.6, shoulder + 0.02),
        (depth, y - wide, shoulder - 0.06),
    )  # fmt: skip
    sleeve = mixed(top, (20, 20, 30), 0.22)
    if not profile:
        for side in (-1, 1):
            canvas.bar(sleeve, depth, 0.1, (y + side * 0.23, shoulder - 0.08), (y + side * 0.24, 1.12 * tall),
                       (y + side * 0.05, 1.2 * tall))  # fmt: skip
        if fine:
            canvas.bar((236, 246, 255), depth, 0.09, (y, 1.17 * tall), (y, 1.31 * tall))
    else:
        hand = y - stride * 0.9 * (1 if velocity else 0)
        canvas.bar(sleeve, depth, 0.11, (y, shoulder - 0.08), ((y + hand) / 2 - 0.04 * towards, 1.12 * tall),
                   (hand + 0.02 * towards, 0.88 * tall + lift))  # fmt: skip
        if fine:
            canvas.disc(skin, depth, hand + 0.03 * towards, 0.86 * tall + lift, 0.05, 0.05)
    head = neck + 0.13 - (0.0 if profile else 0.03)
    nod = 0.03 * towards if profile else 0.0
    canvas.bar(skin, depth, 0.1, (y, neck - 0.06), (y + nod, head))
    canvas.disc(hair, depth, y + nod - 0.02 * towards * profile, head + 0.02, 0.115, 0.135)
    if profile:
        canvas.disc(skin, depth, y + nod + 0.045 * towards, head - 0.025, 0.085, 0.11)
        if fine:
            canvas.disc(skin, depth, y + nod + 0.125 * towards, head - 0.03, 0.025, 0.025)
    else:
        canvas.disc(skin, depth, y, head - 0.06, 0.085, 0.08)


def car(canvas: Canvas, rear: float, y: float, number: int, sideways: float, lit: bool) -> None:
    """Draw the other car, its rear at a depth; an indicator is `lit` on the side that it moves to."""
    front = rear + LENGTH
    if front < NEAR + 0.5:
        return
    paint = pick(PAINT, chances(number, 11)[0])
    half, glass, dark = WIDTH / 2, (58, 72, 86), (34, 36, 40)
    depth = max(rear, NEAR)
    canvas.shape((66, 69, 74), (depth, y - half - 0.15, 0), (depth, y + half + 0.1, 0), (front, y + half, 0),
                 (front, y - half, 0))  # fmt: skip
    if y - half > 0:  # its right side is seen
        side, waist, roof = y - half, y - 0.86, y - 0.68
        colour = mixed(paint, (20, 24, 34), 0.28)
        canvas.shape(colour, (depth, side, 0.24), (depth, side, 0.88), (front, side, 0.8), (front, side, 0.26))
        canvas.shape(mixed(paint, (20, 24, 34), 0.14), (depth, side, 0.87), (depth, waist, 0.93), (front, waist, 0.82),
                     (front, side, 0.79))  # fmt: skip
        ends = [max(rear + share, NEAR) for share in (0.0, 2.3, 3.3)]
        canvas.shape(colour, (ends[0], waist, 0.92), (ends[0], roof, 1.45), (ends[1], roof, 1.45),
                     (ends[2], waist, 0.84))  # fmt: skip
        ends = [max(rear + share, NEAR) for share in (0.25, 2.2, 3.0)]
        canvas.shape(glass, (ends[0], waist, 0.96), (ends[0], roof, 1.38), (ends[1], roof, 1.38),
                     (ends[2], waist, 0.9))  # fmt: skip
        for axle in (0.85, 3.6):
            middle = rear + axle
            if middle - 0.34 > NEAR:
                rim = [
                    (middle + 0.34 * math.cos(angle), side - 0.01, 0.33 + 0.33 * math.sin(angle))
                    for angle in (step * math.pi / 5 for step in range(10))
                ]
                canvas.shape(dark, *rim)
    if rear < NEAR:
        return
    for wheel in (-0.72, 0.72):
        canvas.shape(dark, (rear, y + wheel - 0.13, 0), (rear, y + wheel + 0.13, 0), (rear, y + wheel + 0.13, 0.4),
                     (rear, y + wheel - 0.13, 0.4))  # fmt: skip
    canvas.shape(paint, (rear, y - half, 0.3), (rear, y - half, 0.86), (rear, y - half + 0.06, 0.94),
                 (rear, y + half - 0.06, 0.94), (rear, y + half, 0.86), (rear, y + half, 0.3))  # fmt: skip
    canvas.shape(paint, (rear, y - 0.86, 0.92), (rear, y - 0.68, 1.43), (rear, y - 0.58, 1.47), (rear, y + 0.58, 1.47),
                 (rear, y + 0.68, 1.43), (rear, y + 0.86, 0.92))  # fmt: skip
    canvas.shape(glass, (rear, y - 0.74, 0.95), (rear, y - 0.6, 1.37), (rear, y + 0.6, 1.37), (rear, y + 0.74, 0.95))
    canvas.shape(mixed(paint, dark, 0.75), (rear, y - half + 0.03, 0.26), (rear, y - half + 0.03, 0.42),
                 (rear, y + half - 0.03, 0.42), (rear, y + half - 0.03, 0.26))  # fmt: skip
    canvas.shape((238, 236, 224), (rear, y - 0.26, 0.5), (rear, y - 0.26, 0.62), (rear, y + 0.26, 0.62),
                 (rear, y + 0.26, 0.5))  # fmt: skip
    for side in (-1, 1):
        outer, inner = y + side * (half - 0.03), y + side * (half - 0.38)
        canvas.shape((196, 34, 30), (rear, outer, 0.66), (rear, outer, 0.84), (rear, inner, 0.84), (rear, inner, 0.66))
        if lit and side * sideways > 0:
            inner = y + side * (half - 0.25)
            canvas.shape((255, 196, 40), (rear, outer + side * 0.05, 0.58), (rear, outer + side * 0.05, 0.88),
                         (rear, inner, 0.88), (rear, inner, 0.58))  # fmt: skip


def beside(canvas: Canvas, seed: int, plot: int, side: int, depth: float) -> None:
    """Draw what stands on a plot beside the road, `side` -1 at the right; the plot begins at `depth`."""
    u = chances(seed, plot, side + 1)
    edge = KERBS[1] + PAVEMENT if side > 0 else KERBS[0] - PAVEMENT
    if u[0] < 0.42:
        _house(canvas, u, edge + side * (2.5 + 1.5 * u[1]), side, depth)
    elif u[0] < 0.9:
        _tree(canvas, u, edge + side * (1.0 + 1.2 * u[1]), depth + 3 + 6 * u[2])
    else:
        for bush in (1.5, 4.0, 6.5):
            _bush(canvas, u, edge + side * 1.0, depth + bush)


def _tree(canvas: Canvas, u: Sequence[float], y: float, depth: float) -> None:
    size = 1.3 + 0.9 * u[3]
    if depth < 2 or (abs(y) - size) * canvas.scale(depth) > canvas.middle:
        return
    leaves = pick(LEAVES, u[4])
    crown = 2.1 + size + 0.8 * u[5]
    canvas.disc((96, 118, 84), depth, y, 0.0, size * 0.9, 0.12)
    canvas.shape((104, 86, 70), (depth, y - 0.14, 0), (depth, y - 0.09, crown), (depth, y + 0.09, crown),
                 (depth, y + 0.14, 0))  # fmt: skip
    canvas.disc(mixed(leaves, (30, 50, 50), 0.3), depth, y, crown, size, size * 1.12)
    if canvas.scale(depth) > 4:
        canvas.disc(leaves, depth, y + 0.22 * size, crown + 0.2 * size, size * 0.74, size * 0.85)
    if canvas.scale(depth) > 14:
        light = mixed(leaves, (236, 232, 170), 0.25)
        canvas.disc(light, depth, y + 0.38 * size, crown + 0.48 * size, size * 0.4, size * 0.42)
        canvas.disc(light, depth, y - 0.3 * size, crown + 0.1 * size, size * 0.24, size * 0.24)


def _bush(canvas: Canvas, u: Sequence[float], y: float, depth: float) -> None:
    if depth > 2 and (abs(y) - 1) * canvas.scale(depth) < canvas.middle:
        leaves = pick(LEAVES, u[4])
        canvas.disc(mixed(leaves, (30, 50, 50), 0.25), depth, y, 0.4, 0.85, 0.6)
        canvas.disc(leaves, depth, y + 0.15, 0.55, 0.6, 0.4)


def _house(canvas: Canvas, u: Sequence[float], wall: float, side: int, depth: float) -> None:
    """Draw a house: the wall to the road, the roof above it, the gable that faces us."""
    end = depth + 8.0 + 3.0 * u[2]
    if end < NEAR + 2 or abs(wall) * canvas.scale(end) > canvas.middle:
        return
    seen = depth > NEAR
    near = max(depth, NEAR)
    eaves = 3.0 if u[3] < 0.4 else 5.4
    back, ridge = wall + side * 7.0, wall + side * 3.5
    top = eaves + 2.0 + 0.8 * u[4]
    walls, roof = pick(WALLS, u[5]), pick(ROOFS, u[6])
    canvas.shape(walls, (near, wall, 0), (near, wall, eaves), (end, wall, eaves), (end, wall, 0))
    canvas.shape(roof, (near, wall - side * 0.3, eaves - 0.15), (near, ridge, top), (end, ridge, top),
                 (end, wall - side * 0.3, eaves - 0.15))  # fmt: skip
    if seen and abs(wall) * canvas.scale(near) < canvas.middle:
        shade = mixed(walls, (90, 96, 120), 0.22)
        canvas.shape(shade, (near, wall, 0), (near, wall, eaves), (near, ridge, top), (near, back, eaves),
                     (near, back, 0))  # fmt: skip
    if canvas.scale(near) < 16:
        return
    pane, door = (104, 124, 140), pick(((112, 78, 60), (70, 96, 110), (140, 70, 60)), u[7])
    if seen:
        for floor in range(1 if eaves < 4 else 2):
            for place in (1.7, 4.3):
                left, right = wall + side * place, wall + side * (place + 1.0)
                low, high = 1.0 + 2.6 * floor, 2.2 + 2.6 * floor
                canvas.shape(mixed(pane, (60, 70, 90), 0.2), (near, left, low), (near, left, high),
                             (near, right, high), (near, right, low))  # fmt: skip
    for floor in range(1 if eaves < 4 else 2):
        for place in (1.0, 3.4, 5.8):
            begin, close = depth + place, depth + place + 1.1
            if begin < NEAR:
                continue
            entrance = floor == 0 and place == 3.4
            low, high = (0.0, 2.1) if entrance else (1.0 + 2.6 * floor, 2.2 + 2.6 * floor)
            canvas.shape(door if entrance else pane, (begin, wall, low), (begin, wall, high), (close, wall, high),
                         (close, wall, low))  # fmt: skip
