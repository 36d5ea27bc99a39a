"""What the driver sees: one picture for the person, the page, the film and the reward model."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from brainloop.driving import figures
from brainloop.driving.figures import EYE, FAR, FOCAL, HAZE, HORIZON, PAVEMENT, PLOT, SEAT, Canvas, Colour, mixed
from brainloop.driving.road import KERBS, LANE, LIMIT, Scene
from brainloop.errors import SettingsError

__all__ = ["between", "draw"]

PATTERN, DASH = 9.0, 3.0
"""The ground repeats itself, m: a dash of the centre line, and from there to the next."""

DASHBOARD = 0.82
"""Where the dashboard begins, as a share of the picture's height, from the top."""

FINE = 2
"""What moves is drawn so many times finer, along both sides, and averaged: no stairs, and smooth movement."""

SKYLINES = 8
"""So many different ones there are."""

_ASPHALT: Colour = (118, 122, 128)
_LINE: Colour = (238, 236, 226)
_PANEL: Colour = (38, 42, 50)
_UNLIT: Colour = (70, 75, 86)
_SPEED: Colour = (246, 206, 96)
_BRAKE: Colour = (255, 92, 56)


def draw(scene: Scene, size: tuple[int, int] = (640, 360)) -> NDArray[np.uint8]:
    """Draw a scene as the driver sees it.

    Whether it is a hazard is nowhere in the picture but in what happens on the road and in the speed that the
    dashboard shows.

    Parameters
    ----------
    scene : Scene
        From `Roads.scene`.
    size : tuple of (int, int)
        Width and height, pixels; from 32 x 18.

    Returns
    -------
    uint8 array of shape (height, width, 3)
        RGB; the same for the same scene, byte for byte.

    Raises
    ------
    SettingsError
        If it is smaller.
    """
    width, height = size
    if width < 32 or height < 18:
        raise SettingsError(f"expected a picture of at least 32 x 18 pixels, {width} x {height} came")
    ground = _ground(scene.position, scene.seed % SKYLINES, width, height)
    image = Image.fromarray(ground).resize((width * FINE, height * FINE), Image.Resampling.NEAREST)
    canvas = Canvas(image)
    _stand_and_move(canvas, scene)
    _dashboard(image, canvas, scene)
    picture = np.asarray(image.reduce(FINE))
    return _greyed(picture) if scene.collided else picture


def between(a: Scene, b: Scene, share: float) -> Scene:
    """Give the scene that lies between two successive ones, `share` of the way; for displays faster than the road."""
    if share >= 1 or a.seed != b.seed or b.time < a.time:
        return b if share >= 1 else a
    position = a.position + share * (b.position - a.position)
    before = {round(gap + a.position): y for gap, y, _, _ in a.people}
    people = []
    for gap, y, velocity, attentive in b.people:
        place = gap + b.position
        was = before.get(round(place), y)
        people.append((place - position, was + share * (y - was), velocity, attentive))
    moved = a.car[0] + a.position, b.car[0] + b.position
    near = abs(moved[1] - moved[0]) < 10  # else it is another car
    other = (
        (moved[0] + share * (moved[1] - moved[0]) - position, a.car[1] + share * (b.car[1] - a.car[1]), *b.car[2:])
        if near
        else b.car
    )
    return replace(
        a,
        time=a.time + share * (b.time - a.time),
        position=position,
        speed=a.speed + share * (b.speed - a.speed),
        people=tuple(people),
        car=other,
    )


def _stand_and_move(canvas: Canvas, scene: Scene) -> None:
    """Draw all that stands and moves on the ground, the farthest first."""
    todo: list[tuple[float, Callable[[], None]]] = []
    first = math.floor((scene.position - SEAT) / PLOT)
    for plot in range(first, first + math.ceil(FAR / PLOT)):
        depth = plot * PLOT - scene.position + SEAT
        todo.extend((depth + 3, partial(figures.beside, canvas, scene.seed, plot, side, depth)) for side in (-1, 1))
    for gap, y, velocity, attentive in scene.people:
        # People only move across the road: their place along it tells them apart.
        number = scene.seed * 4096 + round(scene.position + gap)
        if gap < FAR:
            depth = gap + SEAT
            todo.append((depth, partial(figures.person, canvas, depth, y, velocity, attentive, number)))
    more: list[float]
    gap, y, speed, *more = scene.car
    if gap < FAR:
        sideways = more[0] if more else 0.0
        lit = scene.time % 0.7 < 0.4
        todo.append((gap + SEAT, partial(figures.car, canvas, gap + SEAT, y, round(1000 * speed), sideways, lit)))
    for _, paint in sorted(todo, key=lambda one: -one[0]):
        paint()


# The ground and the sky, which are painted once a size


def _ground(position: float, skyline: int, width: int, height: int) -> NDArray[np.uint8]:
    """Give the empty road at a place.

    There are two paintings of the ground, with and without the marks that repeat along the road. A row of the picture
    shows a stretch of it: the share of marks in that stretch is the share of the one painting in the row, so that they
    move without stairs and fade to their mean in the distance.
    """
    picture = _sky(skyline, width, height).copy()
    top, plain, marks, far, near = _paintings(width, height)
    share = (_marked(position + far) - _marked(position + near)) / (far - near)
    weight = np.round(127 * share).astype(np.int16)[:, None, None]
    picture[top:] = plain + (marks * weight >> 7)
    return picture


def _marked(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integrate the marks from 0 to a place, m."""
    whole = np.floor(place / PATTERN)
    return np.asarray(whole * DASH + np.minimum(place - whole * PATTERN, DASH))


@lru_cache(maxsize=8)
def _paintings(
    width: int, height: int
) -> tuple[int, NDArray[np.int16], NDArray[np.int16], NDArray[np.float64], NDArray[np.float64]]:
    """Paint the ground: its first row, the plain one, what the marks add, and the stretch that each row shows, m."""
    fine = 4
    top = math.ceil(HORIZON * height)
    both = []
    for marked in (False, True):
        image = Image.new("RGB", (width * fine, height * fine), HAZE)
        canvas = Canvas(image)
        right, left = KERBS
        grass, slab = ((122, 152, 100), (196, 190, 180)) if marked else ((130, 160, 106), (204, 198, 188))
        stone = (226, 224, 216) if marked else (214, 211, 204)
        strips: list[tuple[Colour, float, float]] = [
            (grass, -400, 400),
            (slab, right - PAVEMENT, right),
            (slab, left, left + PAVEMENT),
            (_ASPHALT, right, left),
            (mixed(_ASPHALT, (90, 92, 98), 0.5), right, right + 0.25),
            (mixed(_ASPHALT, (90, 92, 98), 0.5), left - 0.25, left),
            (stone, right - 0.22, right),
            (stone, left, left + 0.22),
            (mixed(_ASPHALT, (140, 144, 150), 0.35), -1.15, -0.45),
            (mixed(_ASPHALT, (140, 144, 150), 0.35), 0.45, 1.15),
            (mixed(_ASPHALT, (140, 144, 150), 0.35), LANE - 1.15, LANE - 0.45),
            (mixed(_ASPHALT, (140, 144, 150), 0.35), LANE + 0.45, LANE + 1.15),
        ]
        if marked:
            strips.append((_LINE, LANE / 2 - 0.09, LANE / 2 + 0.09))
        # Depth by depth, so that the haze grows.
        edges = np.geomspace(400, 1.5, 40)
        for far, near in pairwise(edges):
            for colour, begin, end in strips:
                canvas.shape(colour, (far, begin, 0), (far, end, 0), (near, end, 0), (near, begin, 0))
        both.append(np.asarray(image.reduce(fine))[top:].astype(np.int16))
    rows = np.arange(top, height, dtype=np.float64)
    below = np.maximum(np.stack([rows, rows + 1]) - HORIZON * height, 1e-3 * height)
    depth = np.minimum(FOCAL * width * EYE / below, 2000.0) - SEAT
    return top, both[0], both[1] - both[0], depth[0] + 1e-6, depth[1]


@lru_cache(maxsize=2 * SKYLINES)
def _sky(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Paint the sky, clouds, hills and the trees at the horizon."""
    fine = 4
    w, h = width * fine, height * fine
    horizon = HORIZON * h
    share = np.clip(np.arange(h) / horizon, 0, 1)[:, None] ** 1.3
    column = np.array([150, 190, 222]) + share * (np.array([244, 236, 220]) - np.array([150, 190, 222]))
    image = Image.fromarray(np.repeat(column[:, None, :], w, axis=1).astype(np.uint8))
    canvas = ImageDraw.Draw(image)
    random = np.random.default_rng([number, 2019])
    for _ in range(5):
        x, y, wide = random.uniform(0, w), random.uniform(0.1, 0.6) * horizon, random.uniform(0.05, 0.12) * w
        tint = tuple(int(value) for value in 0.4 * column[int(y)] + 0.6 * np.array([250, 248, 244]))
        for _ in range(6):
            dx, r = random.uniform(-1, 1) * wide, random.uniform(0.25, 0.5) * wide
            canvas.ellipse((x + dx - r * 1.6, y - r * 0.3, x + dx + r * 1.6, y + r * 0.3), fill=tint)
    across = np.linspace(0, 1, 160)
    for lift, rough, colour in (
        (0.14, 0.09, (190, 204, 214)), (0.07, 0.06, (172, 192, 194)), (0.025, 0.02, (158, 180, 164)),
    ):  # fmt: skip
        waves = np.zeros_like(across)
        for k in (1, 2, 3, 5, 9):
            waves += random.uniform(0.3, 1) / k * np.sin(2 * math.pi * (k * across * 1.7 + random.uniform()))
        rows = horizon * (1 - lift - rough * 0.5 * waves)
        line = [(float(x) * w, float(y)) for x, y in zip(across, rows, strict=True)]
        canvas.polygon([(0, horizon + fine), *line, (w, horizon + fine)], fill=colour)
    return np.asarray(image.reduce(fine))


# The dashboard


def _dashboard(image: Image.Image, canvas: Canvas, scene: Scene) -> None:
    """Draw the bonnet, the speed as a bar, which any size of picture can show, and the brake's lamp."""
    w, h = image.size
    panel = _panel(w, h)
    image.paste(panel, (0, h - panel.height), panel)
    top, bottom = (DASHBOARD + 0.06) * h, 0.965 * h
    left, right = 0.26 * w, 0.78 * w
    reached = left + (right - left) * min(scene.speed / LIMIT, 1.0)
    canvas.draw.rectangle((left, top, right, bottom), fill=_UNLIT)
    if scene.speed > 0:
        canvas.draw.rectangle((left, top, reached, bottom), fill=_SPEED)
    for tens in range(1, 5):
        x = left + (right - left) * tens * 10 / 3.6 / LIMIT
        canvas.draw.line((x, top, x, top + 0.3 * (bottom - top)), fill=_PANEL, width=max(w // 500, 1))
    middle, radius = (top + bottom) / 2, (bottom - top) / 2
    lamp = (0.17 * w - radius * 1.5, middle - radius, 0.17 * w + radius * 1.5, middle + radius)
    canvas.draw.rounded_rectangle(lamp, radius * 0.6, fill=_BRAKE if scene.acceleration < -0.5 else _UNLIT)
    if h >= 300:
        font = _font(int(0.06 * h))
        words = f"{3.6 * scene.speed:.0f} km/h"
        canvas.draw.text((0.8 * w, middle), words, font=font, fill=(236, 238, 240), anchor="lm")
        lit = scene.acceleration < -0.5
        canvas.draw.text((0.17 * w, middle), "brake", font=_font(int(0.042 * h)), anchor="mm",
                         fill=(40, 16, 10) if lit else (150, 156, 168))  # fmt: skip


@lru_cache(maxsize=8)
def _panel(width: int, height: int) -> Image.Image:
    """Paint the bonnet and the dashboard, with nothing above them."""
    top = round((DASHBOARD - 0.06) * height)
    image = Image.new("RGBA", (width, height - top), (0, 0, 0, 0))
    canvas = ImageDraw.Draw(image)
    across = np.linspace(0, 1, 81)
    bonnet = (0.012 + 0.05 * (2 * np.abs(across - 0.5)) ** 2.6) * height
    edge = [(float(x) * width, float(y)) for x, y in zip(across, bonnet, strict=True)]
    for step in range(12):
        lower = [(x, y + 0.006 * step * height) for x, y in edge]
        paint = (96 - 3 * step, 120 - 3 * step, 146 - 3 * step, 255)
        canvas.polygon([*lower, (width, height), (0, height)], fill=paint)
    canvas.line(edge, fill=(150, 172, 194, 255), width=max(round(0.008 * height), 1))
    canvas.rectangle((0, DASHBOARD * height - top + 0.02 * height, width, height), fill=(*_PANEL, 255))
    canvas.rectangle((0, DASHBOARD * height - top + 0.02 * height, width, DASHBOARD * height - top + 0.028 * height),
                     fill=(64, 70, 82, 255))  # fmt: skip
    return image


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _greyed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Take the colour out of the picture, and say why."""
    image = Image.fromarray(picture).convert("L").point(lambda value: 70 + 0.5 * value).convert("RGB")
    w, h = image.size
    if h >= 90:
        canvas = ImageDraw.Draw(image)
        canvas.rectangle((0, 0.08 * h, w, 0.24 * h), fill=(52, 56, 64))
        canvas.text((w / 2, 0.16 * h), "collision", font=_font(int(0.1 * h)), fill=(250, 250, 248), anchor="mm")
    return np.asarray(image)
