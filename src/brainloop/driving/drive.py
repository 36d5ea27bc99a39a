"""A drive: somebody drives, somebody watches, and what came of it, instant by instant."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from brainloop.driving.agent import Driver
from brainloop.driving.road import DT, LIMIT, Roads, Scene
from brainloop.driving.watcher import Heard, Watcher
from brainloop.eeg.mental_state import MentalState
from brainloop.errors import SettingsError

__all__ = ["HIT", "Drive", "DriveSummary", "Instant", "hazard_onsets", "summary"]

HIT = 0.2, 2.0
"""An alarm answers a hazard that began so long ago, s: nobody responds within .2 s, and at 50 km/h whoever is warned
after 2 s has driven 28 m on."""

SAME = 1.0
"""A hazard that is back within this time is the one before, s: the driver brakes a little, and goes on."""

THRESHOLD = 4.1
"""Nats of summed evidence that raise an alarm. Where nothing happens, there are then exp(4.1) = 60 pieces of evidence
or more between two alarms, on average (Lorden 1971, Ann. Math. Statist. 42): of two a second, two alarms a minute."""


@dataclass(frozen=True)
class Instant:
    """One step of a drive, and all that is known when it is over.

    Attributes
    ----------
    time : float
        s from the start of the drive, which may pass over several roads.
    scene : Scene
        The road at that time; its own time and position begin anew with each road.
    action : int
        What the driver did to get there, an index of `road.ACTIONS`.
    heard : tuple of Heard
        What came from the watcher since the instant before.
    alarm : bool
        Whether a hazard was detected in what the watcher says.
    state : MentalState or None
        The watcher's; None where nobody measures it.
    ended : {"collision", "time"} or None
        Why the drive on this road is over with this instant, if it is.
    """

    time: float
    scene: Scene
    action: int
    heard: tuple[Heard, ...]
    alarm: bool
    state: MentalState | None
    ended: Literal["collision", "time"] | None


class Drive:
    """A drive of so many seconds; iterating over it drives it, one `Instant` each `DT`, as fast as it is asked.

    After a collision, and when a road's time is up, it goes on along the road of the next seed.

    Parameters
    ----------
    seed : int
        Of the first road.
    driver : Driver
        Who drives.
    watcher : Watcher or None
        Who watches. One that has ``alarms()``, the times at which it detected a hazard since the last call, is asked
        for them. Of the others the evidence is summed: the sum never falls below 0, raises an alarm at 4.1 nats, and
        begins anew (CUSUM: Page 1954, Biometrika 41). One that has a ``state`` is asked for that, too.
    seconds : float
        How long.

    Raises
    ------
    SettingsError
        If the seed is negative, or the time shorter than a step.
    """

    def __init__(self, seed: int, driver: Driver, watcher: Watcher | None, *, seconds: float = 60.0) -> None:
        if seed < 0:
            raise SettingsError(f"the seed of a drive is 0 or more, got {seed}")
        if not DT <= seconds < np.inf:
            raise SettingsError(f"a drive lasts {DT} s or longer, got {seconds}")
        self.seed, self.driver, self.watcher, self.seconds = seed, driver, watcher, seconds

    def __iter__(self) -> Iterator[Instant]:
        """Drive, from the start."""
        roads, seed = Roads(np.array([self.seed])), self.seed
        steps = round(self.seconds / DT)
        alarmed = _alarms(self.watcher)
        if self.watcher is not None:
            self.watcher.begin()
        for number in range(1, steps + 1):
            time = round(number * DT, 6)
            action = int(self.driver(roads.observe())[0])
            step = roads.step(np.array([action]))
            scene = roads.scene(0)
            heard: tuple[Heard, ...] = ()
            if self.watcher is not None:
                self.watcher.see(time, scene.hazard)
                heard = tuple(self.watcher.heard())
            ended: Literal["collision", "time"] | None = None
            if step.collided[0]:
                ended = "collision"
            elif step.over[0] or number == steps:
                ended = "time"
            yield Instant(time, scene, action, heard, alarmed(heard), getattr(self.watcher, "state", None), ended)
            if ended:
                seed += 1
                roads = Roads(np.array([seed]))


def _alarms(watcher: Watcher | None) -> Callable[[Sequence[Heard]], bool]:
    """Give what tells from the pieces of evidence that came whether a hazard was detected."""
    own = getattr(watcher, "alarms", None)
    if own is not None:
        return lambda _: bool(own())
    total = 0.0

    def cumulative(heard: Sequence[Heard]) -> bool:
        nonlocal total
        alarm = False
        for said in heard:
            total = max(0.0, total + said.evidence)
            if total >= THRESHOLD:
                alarm, total = True, 0.0
        return alarm

    return cumulative


@dataclass(frozen=True)
class DriveSummary:
    """What came of a drive.

    Attributes
    ----------
    seconds : float
        How long it was, s.
    collisions : int
        How many.
    progress : float
        Distance, as a share of what the speed limit allows in that time.
    hazards : int
        How many began.
    hits : int
        How many of them an alarm answered.
    false_alarms_per_hour : float
        Alarms that answer no hazard.
    latency_s : float or None
        From a hazard's beginning to its alarm, s: median over the hits; None without any.
    """

    seconds: float
    collisions: int
    progress: float
    hazards: int
    hits: int
    false_alarms_per_hour: float
    latency_s: float | None


def hazard_onsets(instants: Sequence[Instant]) -> list[float]:
    """Give when hazards began, s; one that is back within a second on the same road is not a new one."""
    onsets, last, fresh = [], -np.inf, True
    for instant in instants:
        if instant.scene.hazard:
            if fresh or instant.time - last > SAME + DT / 2:
                onsets.append(instant.time)
            last, fresh = instant.time, False
        fresh = fresh or instant.ended is not None
    return onsets


def summary(instants: Sequence[Instant]) -> DriveSummary:
    """Count what happened in a drive, and what of it was detected.

    The first alarm 0.2 to 2.0 s after a hazard began is its hit; an alarm that no hazard began that long before is
    false.
    """
    seconds = len(instants) * DT
    onsets = np.array(hazard_onsets(instants))
    alarms = np.array([instant.time for instant in instants if instant.alarm])
    after = alarms[:, None] - onsets[None]  # how long each alarm comes after each hazard
    answers = (after > HIT[0] - DT / 2) & (after < HIT[1] + DT / 2)
    latencies = [float(after[row, n]) for n in range(len(onsets)) for row in np.flatnonzero(answers[:, n])[:1]]
    false = int((~answers.any(axis=1)).sum())
    last = [instant for instant in instants[:-1] if instant.ended] + list(instants[-1:])
    return DriveSummary(
        seconds=seconds,
        collisions=sum(instant.ended == "collision" for instant in instants),
        progress=sum(instant.scene.position for instant in last) / (LIMIT * seconds) if instants else 0.0,
        hazards=len(onsets),
        hits=len(latencies),
        false_alarms_per_hour=false / seconds * 3600 if instants else 0.0,
        latency_s=float(np.median(latencies)) if latencies else None,
    )
