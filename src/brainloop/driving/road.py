"""Roads with people who step out and cars that cut in: many at once, in NumPy, each the same for the same seed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brainloop._types import BoolArray, FloatArray, IntArray

__all__ = ["ACTIONS", "DT", "LANE", "LIMIT", "N_OBSERVED", "Roads", "Scene", "Step"]

DT = 0.1
"""Between two decisions, s."""

LIMIT = 14.0
"""The car's highest speed, m/s: 50 km/h."""

ACTIONS = (-7.0, 0.0, 2.0)
"""What the driver may do: brake, keep the speed, accelerate; m/s^2. 7 is an emergency braking on a dry road."""

LANE = 3.5
"""Width of a lane, m. Ours has its centre at 0; one more lies to its left (y > 0), pavements beyond both."""

LENGTH, WIDTH = 4.5, 1.9
"""Of a car, m."""

BODY = 0.3
"""Half the width of a person, m."""

BESIDE = -1.5
"""Whoever is farther behind our front than this, m, walks into our side, and is not hit by us."""

KERBS = (-LANE / 2, 1.5 * LANE)
"""Right and left edge of the roadway, m."""

HAZARD = 3.35
"""Deceleration that would be needed to avoid a collision, m/s^2, from which on traffic research calls a situation a
conflict (DRAC: Archer 2005, "Indicators for traffic safety assessment and prediction", KTH)."""

N_PEOPLE = 3
"""People whose place is known at a time: the nearest ahead, or beside the car."""

SPACING = 14.0, 60.0
"""Between two people along the road, m: least, and mean of what comes on top."""

TRAFFIC = 120.0, 200.0
"""The same between two cars that may cut in."""

SIDEWAYS = (0.0, -2.5, 0.0, 2.5)
"""Its speed across the road, m/s: beside us, cutting in, ahead of us, leaving."""

COLLISION = -20.0
"""Reward of a collision; a second at the limit is worth 1."""

SECONDS = 60.0
"""After which a drive ends, s."""

VIEW = 70.0
"""How far the driver sees, m."""

OF_PERSON, OF_CAR = 6, 5
"""Numbers that are observed of each person, and of the other car."""

N_OBSERVED = 2 + OF_PERSON * N_PEOPLE + OF_CAR
"""Length of an observation."""

EVADES = 0.75
"""Share of people who leap aside at the last moment. Most conflicts on the road end without a collision, and so the
reward alone rarely tells of them (Hydén 1987, "The development of a method for traffic safety evaluation", Lund)."""

LEAP = 0.6, 5.0
"""They leap when the car is so near, s, and so fast, m/s."""


@dataclass(frozen=True)
class Step:
    """What one step of every road came to.

    Attributes
    ----------
    observation : float32 array of shape (n, N_OBSERVED)
        Of the state after it.
    reward : array of shape (n,)
        Progress, as seconds at the limit; at a collision -20.
    collided, over : bool array of shape (n,)
        Whether the drive ended in a collision, or as its time was up.
    hazard : bool array of shape (n,)
        Whether the state after it is a conflict: a person who saw the road would be alarmed.
    """

    observation: NDArray[np.float32]
    reward: FloatArray
    collided: BoolArray
    over: BoolArray
    hazard: BoolArray


@dataclass(frozen=True)
class Scene:
    """One road at one instant: all that a picture of it needs.

    Attributes
    ----------
    seed : int
        Of the road: what stands beside it follows from it.
    time, position, speed, acceleration : float
        s, m along the road, m/s, m/s^2.
    people : tuple of (gap, y, velocity, attentive)
        From the car's front to each person, m; across the road from the lane's centre, m, left is positive; walking
        speed across, m/s; whether they look at the road.
    car : tuple of (gap, y, speed, sideways)
        To the rear of the car that may cut in; its place across the road, its speed, and that across the road.
    hazard, collided : bool
        As in `Step`.
    """

    seed: int
    time: float
    position: float
    speed: float
    acceleration: float
    people: tuple[tuple[float, float, float, bool], ...]
    car: tuple[float, float, float, float]
    hazard: bool
    collided: bool


class Roads:
    """Roads that are driven side by side.

    People stand or walk beside the road, some of them attentive to it; most of the attentive ones step out when the
    car is 1.4 to 3.2 s away, and a few of the others. A car in the lane to the left may cut in and leave again.
    Everybody's character and place follow from the road's seed and their number, by a hash: a road is the same alone
    and among a thousand, however it is driven.

    Parameters
    ----------
    seeds : sequence of int
        One a road.
    """

    def __init__(self, seeds: IntArray) -> None:
        n = len(seeds)
        self.seeds = np.zeros(n, dtype=np.uint64)
        self.time, self.x, self.v, self.a = (np.zeros(n) for _ in range(4))
        # Of people, shape (n, N_PEOPLE), nearest first.
        self._next = np.zeros(n, dtype=np.int64)
        self._last = np.zeros(n)
        self._px, self._py, self._pv, self._trigger, self._pace = (np.zeros((n, N_PEOPLE)) for _ in range(5))
        self._attentive, self._evades = (np.zeros((n, N_PEOPLE), dtype=bool) for _ in range(2))
        # Of the other car.
        self._cars = np.zeros(n, dtype=np.int64)
        self._cx, self._cy, self._cv, self._cut, self._stay = (np.zeros(n) for _ in range(5))
        self._phase = np.zeros(n, dtype=np.int64)
        self.hazard = np.zeros(n, dtype=bool)
        self.collided = np.zeros(n, dtype=bool)
        self.reset(np.ones(n, dtype=bool), np.asarray(seeds))

    def reset(self, which: BoolArray, seeds: IntArray) -> None:
        """Begin anew, at half the limit, on the roads of these seeds, shape (n,), where `which` says so."""
        self.seeds[which] = np.asarray(seeds).astype(np.uint64)[which]
        self.time[which] = self.x[which] = self.a[which] = 0.0
        self.v[which] = LIMIT / 2
        self._next[which] = self._cars[which] = 0
        self._last[which] = 20.0
        rows = np.flatnonzero(which)
        for slot in range(N_PEOPLE):
            self._place(rows, np.full(len(rows), slot))
        self._place_car(rows)
        self.collided[which] = False
        self.hazard[which] = self._conflict()[which]

    def step(self, actions: IntArray) -> Step:
        """Drive all roads for `DT` seconds; `actions`, shape (n,), are indices of `ACTIONS`."""
        before = self.v
        self.v = np.clip(before + DT * np.take(ACTIONS, actions), 0.0, LIMIT)
        self.a = (self.v - before) / DT
        moved = DT * (self.v + before) / 2
        self.x = self.x + moved
        self.time = self.time + DT
        self._move_people()
        self._move_car()
        self.collided = self._collision()
        self.hazard = self._conflict() | self.collided
        reward = np.where(self.collided, COLLISION, moved / LIMIT)
        over = self.time > SECONDS - DT / 2
        return Step(self.observe(), reward, self.collided, over & ~self.collided, self.hazard)

    def observe(self) -> NDArray[np.float32]:
        """Give what the driving agent knows, shape (n, N_OBSERVED), scaled to about -1 to 1.

        Its speed and whether it brakes; of each of the nearest people whether there is one in view, the gap, how soon
        we are there, the place and speed across the road, and whether they look at it; of the other car whether it is
        in view, its gap, how soon we are there, its place across and its speed relative to ours. "How soon" is 1 at
        once and 0 in 4 s or later: the eye has it directly, from how fast things grow (tau: Lee 1976, Perception 5).
        """
        found = np.empty((len(self.x), N_OBSERVED), dtype=np.float32)
        found[:, 0] = self.v / LIMIT
        found[:, 1] = self.a / 7
        gap = self._px - self.x[:, None]
        people = np.stack(
            [np.ones_like(gap), gap / VIEW, _soon(gap, self.v[:, None]), self._py / 5, self._pv / 2, self._attentive],
            axis=2,
        )
        found[:, 2:-OF_CAR] = (people * (gap < VIEW)[:, :, None]).reshape(len(found), -1)
        gap, closing = self._cx - self.x, self.v - self._cv
        car = np.stack([np.ones_like(gap), gap / VIEW, _soon(gap, closing), self._cy / 5, -closing / LIMIT], axis=1)
        found[:, -OF_CAR:] = car * (gap < VIEW)[:, None]
        return found

    def time_to_collision(self) -> FloatArray:
        """Give the shortest time to a collision on this course, s, shape (n,); infinite where there is none."""
        gap, closing, in_the_way = self._ahead()
        times = np.where(in_the_way & (closing > 0), np.maximum(gap, 0.0) / np.maximum(closing, 1e-9), np.inf)
        return np.asarray(times.min(axis=1))

    def scene(self, road: int) -> Scene:
        """Give one road as a picture needs it."""
        gap = self._px[road] - self.x[road]
        people = zip(gap.tolist(), self._py[road].tolist(), self._pv[road].tolist(), self._attentive[road].tolist(),
                     strict=True)  # fmt: skip
        return Scene(
            int(self.seeds[road]), float(self.time[road]), float(self.x[road]), float(self.v[road]),
            float(self.a[road]), tuple(people),
            (float(self._cx[road] - self.x[road]), float(self._cy[road]), float(self._cv[road]),
             SIDEWAYS[self._phase[road]]),
            bool(self.hazard[road]), bool(self.collided[road]),
        )  # fmt: skip

    # What others do

    def _move_people(self) -> None:
        gap = self._px - self.x[:, None]
        away = gap / np.maximum(self.v[:, None], 3.0)
        stepping = (self._pv == 0) & (away < self._trigger) & (gap > 2.0)
        self._pv = np.where(stepping, self._pace, self._pv)
        self._py = self._py + DT * self._pv
        # A leap goes on in the direction of walking, but for whoever has not yet come to our middle.
        caught = self._evades & (np.abs(self._py) < WIDTH / 2 + BODY) & (self._pv != 0) & (gap > 0)
        caught &= gap < LEAP[0] * self.v[:, None]
        back = np.where(self._py * self._pv < 0, -1.0, 1.0) * np.sign(self._pv)
        self._pv = np.where(caught & (np.abs(self._pv) < LEAP[1]), LEAP[1] * back, self._pv)
        across = np.where(self._pv > 0, self._py > KERBS[1] + 1, self._py < KERBS[0] - 1) & (self._pv != 0)
        self._pv[across] = 0.0
        self._trigger[across] = -np.inf  # once is enough
        passed = np.flatnonzero(self._px[:, 0] < self.x - LENGTH - 3)
        if len(passed):
            for values in (self._px, self._py, self._pv, self._trigger, self._pace, self._attentive,
                           self._evades):  # fmt: skip
                values[passed, :-1] = values[passed, 1:]
            self._place(passed, np.full(len(passed), N_PEOPLE - 1))

    def _place(self, rows: IntArray, slots: IntArray) -> None:
        """Put the next person of each of these roads into a slot."""
        number = self._next[rows]
        u = self._draw(rows, number, 7, stream=1)
        self._next[rows] = number + 1
        place = self._last[rows] + SPACING[0] - SPACING[1] * np.log1p(-u[0])
        self._last[rows] = place
        right = u[1] < 0.65
        attentive = u[2] < 0.4
        steps_out = u[3] < np.where(attentive, 0.8, 0.12)
        self._px[rows, slots] = place
        self._py[rows, slots] = np.where(right, KERBS[0] - 0.6, KERBS[1] + 0.6)
        self._pv[rows, slots] = 0.0
        self._pace[rows, slots] = np.where(right, 1, -1) * (1.1 + 0.8 * u[4])
        self._trigger[rows, slots] = np.where(steps_out, 1.4 + 1.8 * u[5] + np.where(right, 0.0, 1.8), -np.inf)
        self._attentive[rows, slots] = attentive
        self._evades[rows, slots] = u[6] < EVADES

    def _move_car(self) -> None:
        """Drive the other car: beside us (0), cutting in (1), ahead of us (2), leaving (3)."""
        gap = self._cx - self.x
        phase = self._phase
        cuts = (phase == 0) & (gap < self._cut) & (gap > 6)
        phase = np.where(cuts, 1, phase)
        self._cy = np.clip(self._cy + DT * np.take(SIDEWAYS, phase), 0.0, LANE)
        self._stay = self._stay - DT * (phase == 2)
        phase = np.where((phase == 1) & (self._cy == 0), 2, phase)
        phase = np.where((phase == 2) & (self._stay <= 0), 3, phase)
        self._phase = np.where((phase == 3) & (self._cy == LANE), 0, phase)
        self._cut = np.where(phase == 3, -np.inf, self._cut)  # once is enough
        self._cx = self._cx + DT * self._cv
        gone = np.flatnonzero((self._cx < self.x - LENGTH - LENGTH - 3) | (self._cx > self.x + 400))
        if len(gone):
            self._place_car(gone)

    def _place_car(self, rows: IntArray) -> None:
        number = self._cars[rows]
        u = self._draw(rows, number, 5, stream=2)
        self._cars[rows] = number + 1
        self._cx[rows] = self.x[rows] + TRAFFIC[0] + TRAFFIC[1] * u[0]
        self._cy[rows] = LANE
        self._cv[rows] = 4.0 + 5.0 * u[1]
        self._cut[rows] = np.where(u[2] < 0.6, 9.0 + 13.0 * u[3], -np.inf)
        self._stay[rows] = 2.0 + 3.0 * u[4]
        self._phase[rows] = 0

    # What that means for us

    def _ahead(self) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Give of all people and the car: the gap, how fast it closes, and whether we are on course to hit them.

        Someone is in the way who is in the path of the car, or will be by the time that it gets there.
        """
        gap = self._px - self.x[:, None]
        half = WIDTH / 2 + BODY
        arrival = np.maximum(gap, 0.0) / np.maximum(self.v[:, None], 0.1)
        then = self._py + self._pv * np.minimum(arrival, 10.0)
        # Already in the path, or crossing it on the way to `then`.
        inside = (np.abs(self._py) < half) & ((np.abs(then) < half + 0.3) | (arrival < 0.5))
        entering = (self._pv != 0) & (np.sign(then) != np.sign(self._py)) & (np.abs(then) < half + 0.3)
        entering |= (self._pv != 0) & (np.abs(then) < half)
        people = (inside | entering) & (gap > BESIDE)
        ahead = self._cx - self.x
        car = (np.abs(self._cy) < WIDTH) & (ahead > -2.5) | (self._phase == 1) & (ahead > 0)
        return (
            np.concatenate([gap, ahead[:, None]], axis=1),
            np.concatenate([np.broadcast_to(self.v[:, None], gap.shape), (self.v - self._cv)[:, None]], axis=1),
            np.concatenate([people, car[:, None]], axis=1),
        )

    def _conflict(self) -> BoolArray:
        gap, closing, in_the_way = self._ahead()
        needed = np.maximum(closing, 0.0) ** 2 / (2 * np.maximum(gap - 0.5, 0.1))
        return np.asarray((in_the_way & (needed > HAZARD) & (self.v[:, None] > 1)).any(axis=1))

    def _collision(self) -> BoolArray:
        gap = self._px - self.x[:, None]
        hit = (gap < BODY) & (gap > BESIDE) & (np.abs(self._py) < WIDTH / 2 + BODY) & (self.v[:, None] > 0.5)
        ahead = self._cx - self.x
        struck = (ahead < 0) & (ahead > -2.5) & (np.abs(self._cy) < WIDTH) & (self.v > self._cv)
        return np.asarray(hit.any(axis=1) | struck)

    def _draw(self, rows: IntArray, number: IntArray, k: int, stream: int) -> FloatArray:
        """Draw k uniform numbers for somebody of each of these roads, shape (k, n): a hash."""
        with np.errstate(over="ignore"):
            # Hashed in turn, so that no two of seed, number and stream can stand for each other.
            key = _hash(_hash(self.seeds[rows]) + number.astype(np.uint64))
            key = _hash(key[None] + np.arange(64 * stream, 64 * stream + k, dtype=np.uint64)[:, None])
        return np.asarray((key >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _soon(gap: FloatArray, closing: FloatArray) -> FloatArray:
    """Say how soon a gap, m, that closes at a speed, m/s, is closed: 1 at once, 0 in 4 s or later."""
    return np.asarray(1 - np.clip(np.maximum(gap, 0.0) / np.maximum(closing, 0.1) / 4, 0, 1))


def _hash(key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of integers (splitmix64: Steele, Lea and Flood 2014, OOPSLA)."""
    key = key + np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(key ^ (key >> np.uint64(31)))
