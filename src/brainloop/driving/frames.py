"""Pictures of roads in class folders, `hazard` and `clear`: a pool for a study, from which a reward model comes."""

from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import numpy as np

from brainloop._types import Progress, no_progress
from brainloop.driving.agent import SCRIPTED
from brainloop.driving.road import ACTIONS, DT, Roads, Scene, Step
from brainloop.driving.scene import draw
from brainloop.errors import SettingsError

__all__ = ["HAZARDS", "SIZE", "drives", "frame_scenes", "write_frames"]

SIZE = 320, 180
"""Width and height of a picture, pixels."""

HAZARDS = 0.15
"""Share of pictures with a hazard: rare enough to evoke a response (10 to 20 %), not rarer."""

APART = 20
"""Between two pictures of a road, with a hazard or without, steps: 2 s, so that no two look the same."""

TAKEN = 0.3
"""How often an instant is taken from then on: a hazard is not always seen as it begins."""

EACH = 16
"""Roads that each of the drivers is on at a time."""

EXPLORED = (0.2, 0.3, 0.5)
"""How often whoever explores brakes, keeps the speed, accelerates; so that there is progress, too."""

HELD = 0.15
"""And how often it decides anew, a step: after .7 s on average."""


def write_frames(folder: Path, count: int = 2000, seed: int = 0, *, progress: Progress = no_progress) -> int:
    """Draw what drivers see, as PNG files in class folders, all of them or none.

    Parameters
    ----------
    folder : Path
        New; it gets ``hazard/`` and ``clear/``, with the road's seed and the time in each name.
    count : int
        How many pictures, 20 or more.
    seed : int
        Of roads and choice.
    progress : Progress
        Called with (pictures drawn, pictures).

    Returns
    -------
    int
        How many of them show a hazard.

    Raises
    ------
    SettingsError
        If the folder is there already, or the count too small.
    """
    from PIL import Image

    if folder.exists():
        raise SettingsError(f"expected a folder that is not there yet, got {folder}; remove it, or name another")
    scenes = frame_scenes(count, seed)
    partial = folder.with_name(f"{folder.name}.partial")
    rmtree(partial, ignore_errors=True)
    for name in ("hazard", "clear"):
        (partial / name).mkdir(parents=True)
    for number, scene in enumerate(scenes, start=1):
        name = f"{scene.seed:010d}-{round(scene.time / DT):03d}.png"
        Image.fromarray(draw(scene, SIZE)).save(partial / ("hazard" if scene.hazard else "clear") / name)
        progress(number, count)
    partial.rename(folder)
    return sum(scene.hazard for scene in scenes)


def frame_scenes(count: int, seed: int = 0) -> list[Scene]:
    """Choose scenes from drives of the careless and the careful driver, and of one who explores at random.

    A road gives one with a hazard and one without every 2 s at most, until there are enough of both. No scene shows a
    collision, as the picture would say so, and none a car that stands, as the next might be the same.

    Parameters
    ----------
    count : int
        How many, 20 or more; 15 % with a hazard.
    seed : int
        Of roads and choice.
    """
    if count < 20:
        raise SettingsError(f"expected 20 pictures or more, so that there are hazards among them; {count} came")
    rng = np.random.default_rng([9, seed])
    wanted = {True: round(count * HAZARDS), False: count - round(count * HAZARDS)}
    chosen: dict[bool, list[Scene]] = {True: [], False: []}
    for scene in _scenes(rng):
        if len(chosen[scene.hazard]) < wanted[scene.hazard]:
            chosen[scene.hazard].append(scene)
        elif len(chosen[not scene.hazard]) == wanted[not scene.hazard]:
            break
    return sorted(chosen[True] + chosen[False], key=lambda scene: (scene.seed, scene.time))


def drives(rng: np.random.Generator, first_seed: int, last_seed: int) -> Iterator[tuple[Roads, Step]]:
    """Drive without end: the careless driver, the careful one, and one who explores at random, on 16 roads each.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of roads and exploration; whoever takes the steps may draw from it, too.
    first_seed, last_seed : int
        Between which the roads' seeds are drawn.

    Yields
    ------
    roads : Roads
        As they are after a step; those whose drive is over go on as others.
    step : Step
        What it came to.
    """
    n = EACH * (len(SCRIPTED) + 1)
    roads, explored = Roads(rng.integers(first_seed, last_seed, n)), np.ones(EACH, dtype=int)
    while True:
        seen = roads.observe()
        anew = rng.random(EACH) < HELD
        explored = np.where(anew, rng.choice(len(ACTIONS), EACH, p=EXPLORED), explored)
        scripted = [driver(part) for driver, part in zip(SCRIPTED.values(), np.split(seen[EACH:], 2), strict=True)]
        step = roads.step(np.concatenate([explored, *scripted]))
        yield roads, step
        roads.reset(step.collided | step.over, rng.integers(first_seed, last_seed, n))


def _scenes(rng: np.random.Generator) -> Iterator[Scene]:
    """Give scenes with and without hazards, without end."""
    n = EACH * (len(SCRIPTED) + 1)
    since = np.full((2, n), APART)  # the last picture of each road, without and with a hazard, steps
    for roads, step in drives(rng, 0, 2**31):
        since += 1
        kind = step.hazard.astype(int)
        taken = (since[kind, np.arange(n)] >= APART) & (rng.random(n) < TAKEN) & ~step.collided & (roads.v > 0)
        for road in np.flatnonzero(taken).tolist():
            yield roads.scene(road)
        since[kind[taken], taken] = 0
        since[:, step.collided | step.over] = APART
