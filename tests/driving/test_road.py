"""The road: the same however many are driven beside it, fair to whoever brakes in time, and honest about conflicts."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.driving.agent import SCRIPTED
from brainloop.driving.road import (
    ACTIONS,
    BODY,
    COLLISION,
    DT,
    HAZARD,
    KERBS,
    LANE,
    LENGTH,
    LIMIT,
    N_OBSERVED,
    SECONDS,
    WIDTH,
    Roads,
    Scene,
)  # fmt: skip

BRAKE, KEEP, ACCELERATE = range(len(ACTIONS))


def driven(driver, seeds, steps=600):
    """Drive every road once; give collisions, distances (m) and conflicts (steps) of each."""
    roads = Roads(np.asarray(seeds))
    n = len(seeds)
    ended, collided = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    distance, conflicts = np.zeros(n), np.zeros(n)
    for _ in range(steps):
        step = roads.step(driver(roads))
        distance[~ended] = roads.x[~ended]
        conflicts += step.hazard & ~ended
        collided |= step.collided & ~ended
        ended |= step.collided | step.over
    return collided, distance, conflicts


def scripted(name):
    return lambda roads: SCRIPTED[name](roads.observe())


def always(action):
    return lambda roads: np.full(len(roads.x), action)


@settings(deadline=None, max_examples=12)
@given(
    seeds=st.lists(st.integers(0, 2**62), min_size=2, max_size=5),
    draw=st.integers(0, 2**32),
)
def test_a_road_is_the_same_alone_and_among_others(seeds, draw):
    actions = np.random.default_rng(draw).choice(3, (100, len(seeds)), p=[0.1, 0.3, 0.6])
    together = Roads(np.array(seeds))
    alone = [Roads(np.array([seed])) for seed in seeds]
    np.testing.assert_array_equal(together.observe(), np.concatenate([road.observe() for road in alone]))
    for row in actions:
        step = together.step(row)
        for number, road in enumerate(alone):
            one = road.step(row[number : number + 1])
            np.testing.assert_array_equal(step.observation[number], one.observation[0])
            for name in ("reward", "collided", "over", "hazard"):
                assert getattr(step, name)[number] == getattr(one, name)[0], name
            assert together.scene(number) == road.scene(0)
        assert np.isfinite(step.observation).all()
        assert np.isfinite(step.reward).all()


@settings(deadline=None, max_examples=15)
@given(first=st.integers(0, 2**62), second=st.integers(0, 2**62), draw=st.integers(0, 2**32))
def test_a_road_that_begins_anew_beside_others_is_as_if_it_were_the_first(first, second, draw):
    actions = np.random.default_rng(draw).choice(3, (80, 2), p=[0.1, 0.3, 0.6])
    used = Roads(np.array([first, first]))
    for row in actions:
        used.step(row)
    used.reset(np.array([False, True]), np.array([0, second]))
    fresh = Roads(np.array([second]))
    for row in actions:
        np.testing.assert_array_equal(used.step(row).observation[1], fresh.step(row[1:]).observation[0])
    assert used.scene(1) == fresh.scene(0)


def places(seed):
    """Where the first twenty people of a road stand, m."""
    roads = Roads(np.array([seed]))
    found = set()
    for _ in range(600):
        roads.step(np.array([ACCELERATE]))
        found |= {round(person[0] + roads.x[0], 6) for person in roads.scene(0).people}
    return sorted(found)


def test_neighbouring_roads_share_nothing():
    u = Roads(np.arange(4000))._draw(np.arange(4000), np.zeros(4000, dtype=np.int64), 6, stream=1)
    for shift in range(4):
        for a in range(6):
            for b in range(6):
                if (a, shift) != (b, 0):
                    together = np.corrcoef(u[a, : len(u[a]) - shift], u[b, shift:])[0, 1]
                    assert abs(together) < 0.09, (a, b, shift)  # 5.7 standard errors
    assert not set(places(1)) & set(places(2))


def test_what_is_drawn_is_uniform():
    u = Roads(np.arange(20000))._draw(np.arange(20000), np.full(20000, 3), 6, stream=1)
    counts = np.stack([np.histogram(one, bins=10, range=(0, 1))[0] for one in u])
    assert (np.abs(counts - 2000) < 5 * math.sqrt(2000 * 0.9)).all()


def test_people_stand_apart_as_far_as_the_road_says():
    found = np.concatenate([np.diff(places(seed)) for seed in range(6)])
    assert found.min() > 14
    assert found.mean() == pytest.approx(14 + 60, rel=0.3)


def test_the_car_moves_as_physics_says():
    roads = Roads(np.array([5]))
    actions = np.random.default_rng(0).integers(0, 3, 200)
    speed, place = LIMIT / 2, 0.0
    for action in actions:
        step = roads.step(np.array([action]))
        faster = min(max(speed + ACTIONS[action] * DT, 0.0), LIMIT)
        moved = (speed + faster) / 2 * DT  # uniformly accelerated
        place += moved
        assert roads.v[0] == pytest.approx(faster)
        assert roads.x[0] == pytest.approx(place)
        assert roads.a[0] == pytest.approx((faster - speed) / DT)
        assert step.reward[0] == pytest.approx(COLLISION if step.collided[0] else moved / LIMIT)
        speed = faster


def test_a_drive_is_over_when_its_time_is_up_and_not_before():
    roads = Roads(np.arange(3))
    for number in range(1, round(SECONDS / DT) + 1):
        step = roads.step(np.full(3, BRAKE))
        assert step.over.all() == step.over.any() == (number == round(SECONDS / DT))


def test_a_parked_car_makes_no_progress_and_hits_nobody():
    collided, distance, conflicts = driven(always(BRAKE), range(200))
    assert not collided.any()
    assert conflicts.max() < 15  # only while it comes to a stand, for a second
    assert (distance < (LIMIT / 2) ** 2 / (2 * -ACTIONS[BRAKE]) + 0.5).all()


def clear_of(before: Scene, after: Scene) -> None:
    """Ask that nobody who was in the car's way before is behind its front now, without a collision."""
    if after.collided:
        return
    half = WIDTH / 2 + BODY
    was = {round(gap + before.position): (gap, y) for gap, y, _, _ in before.people}
    for gap, y, _, _ in after.people:
        gap_before, y_before = was.get(round(gap + after.position), (-math.inf, 0.0))
        if gap_before > BODY and gap < -BODY:  # our front has passed them within this step
            assert not (abs(y_before) < half and abs(y) < half), "somebody was driven through"
    gap_before, gap = before.car[0], after.car[0]
    if gap_before >= 0 > gap and gap_before - gap < 3:
        assert not (abs(before.car[1]) < WIDTH and abs(after.car[1]) < WIDTH), "a car was driven through"


def test_nobody_tunnels_through_a_car_at_the_limit():
    roads = Roads(np.arange(40))
    before = [roads.scene(number) for number in range(40)]
    collisions = 0
    for _ in range(600):
        step = roads.step(np.full(40, ACCELERATE))
        after = [roads.scene(number) for number in range(40)]
        for pair in zip(before, after, strict=True):
            clear_of(*pair)
        collisions += int(step.collided.sum())
        again = step.collided | step.over
        if again.any():
            roads.reset(again, roads.seeds.astype(np.int64) + 40)
        before = [roads.scene(number) for number in range(40)]
    assert collisions > 30  # the test saw what it is about


def test_people_step_out_when_the_car_is_as_near_as_was_drawn():
    roads = Roads(np.arange(300))
    actions = np.random.default_rng(1).choice(3, (300, 300), p=[0.1, 0.2, 0.7])
    seen = []
    for row in actions:
        standing, trigger, place = roads._pv == 0, roads._trigger.copy(), roads._px.copy()
        roads.step(row)
        away = (place - roads.x[:, None]) / np.maximum(roads.v[:, None], 3.0)
        same = place == roads._px  # nobody has been passed in this step
        stepped = standing & (roads._pv != 0) & same
        near = (away < trigger) & (place - roads.x[:, None] > 2)
        np.testing.assert_array_equal(stepped[same & standing], near[same & standing])
        seen.append(trigger[stepped])
    found = np.concatenate(seen)
    assert len(found) > 100
    assert found.min() >= 1.4
    assert found.max() <= 1.4 + 1.8 + 1.8


def test_most_attentive_people_step_out_and_few_of_the_others():
    roads = Roads(np.arange(3000))
    outs = np.isfinite(roads._trigger)
    attentive = roads._attentive
    assert attentive.mean() == pytest.approx(0.4, abs=0.03)
    assert outs[attentive].mean() == pytest.approx(0.8, abs=0.03)
    assert outs[~attentive].mean() == pytest.approx(0.12, abs=0.03)


def on_course(scene: Scene) -> list[tuple[float, float]]:
    """Give gap (m) and closing speed (m/s) of all whom this course would hit, from the scene alone, one by one.

    Leaves out what a scene does not tell (whether the car beside us is about to cut in).
    """
    half, v = WIDTH / 2 + BODY, scene.speed
    found = []
    for gap, y, walking, _ in scene.people:
        arrival = min(max(gap, 0.0) / max(v, 0.1), 10.0)
        if gap <= -LENGTH:
            continue
        # Where they are on the way there, in a thousand instants, and in the end.
        then = y + walking * arrival
        crosses = walking != 0 and y * then < 0
        in_path_now = abs(y) < half
        if (in_path_now and (abs(then) < half + 0.3 or arrival < 0.5)) or (crosses and abs(then) < half + 0.3) or (
            walking != 0 and abs(then) < half
        ):  # fmt: skip
            found.append((gap, v))
    gap, y, speed = scene.car[:3]
    if abs(y) < WIDTH and gap > -LENGTH:
        found.append((gap, v - speed))
    return found


def deceleration_to_avoid(gap: float, closing: float) -> float:
    """Give the least constant deceleration, m/s^2, that ends the closing half a metre before: by bisection."""
    if closing <= 0:
        return 0.0
    room = max(gap - 0.5, 0.1)

    def travelled(deceleration: float) -> float:
        t = closing / deceleration
        return closing * t - deceleration * t**2 / 2

    low, high = 1e-6, 1e6
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if travelled(middle) > room else (low, middle)
    return high


def test_a_hazard_is_what_needs_a_braking_that_traffic_research_calls_a_conflict():
    roads = Roads(np.arange(40))
    random = np.random.default_rng(3)
    hazards = clear = 0
    for _ in range(500):
        step = roads.step(random.choice(3, 40, p=[0.15, 0.15, 0.7]))
        times = roads.time_to_collision()
        for number in range(40):
            scene = roads.scene(number)
            gap, y, _ = scene.car[:3]
            if 0 < y < LANE and gap > -LENGTH:
                continue  # whether it comes or leaves is not in the scene
            course = on_course(scene)
            if any(ahead <= -1.5 for ahead, _ in course):
                continue  # somebody walks into our side, which is not for us to avoid
            needed = [deceleration_to_avoid(ahead, closing) for ahead, closing in course]
            if any(abs(one - HAZARD) < 1e-6 for one in needed):
                continue
            expected = scene.collided or (scene.speed > 1 and any(one > HAZARD for one in needed))
            assert bool(step.hazard[number]) == expected, scene
            reference = min((max(ahead, 0.0) / fast for ahead, fast in course if fast > 0), default=math.inf)
            if reference < 100:
                assert times[number] == pytest.approx(reference, rel=1e-6, abs=1e-6)
            hazards, clear = hazards + expected, clear + (not expected)
        again = step.collided | step.over
        if again.any():
            roads.reset(again, roads.seeds.astype(np.int64) + 40)
    assert hazards > 200
    assert clear > 5000


def test_a_collision_is_a_hazard_and_where_the_ego_stands_there_is_neither():
    roads = Roads(np.arange(256))
    random = np.random.default_rng(4)
    for number in range(600):
        step = roads.step(random.choice(3, 256, p=[0.05, 0.1, 0.85]) if number % 100 < 60 else np.zeros(256, dtype=int))
        assert (step.hazard | ~step.collided).all()
        standing = roads.v == 0
        assert not step.collided[standing].any()
        assert not step.hazard[standing].any()


def test_who_is_careful_collides_less_than_who_is_careless():
    careless, far, conflicts = driven(scripted("careless"), range(400))
    careful, less_far, fewer = driven(scripted("careful"), range(400))
    assert careful.mean() < careless.mean() / 4
    assert careless.mean() > 0.3
    assert fewer.mean() < conflicts.mean() / 3
    assert less_far.mean() > 0.5 * far.mean()


def test_the_road_can_be_driven_without_collisions_and_still_forward():
    """Brakes for whoever is, or may come to be, in the way: nearly nobody is hit, and most of the way is made."""

    def cautious(roads: Roads):
        gap = roads._px - roads.x[:, None]
        stopping = roads.v[:, None] ** 2 / (2 * 7) + 0.15 * roads.v[:, None] + 2
        may_come = (roads._pv != 0) & (np.abs(roads._py) < LANE) | np.isfinite(roads._trigger)
        ahead = (gap > 0) & (gap < stopping) & may_come & (np.sign(roads._pv) * roads._py < WIDTH)
        car = (roads._cx - roads.x > 0) & (roads._cx - roads.x < 8 + (roads.v - roads._cv) * 1.2) & (roads._cy < LANE)
        return np.where(ahead.any(axis=1) | car, BRAKE, ACCELERATE)

    collided, distance, _ = driven(cautious, range(300))
    assert collided.mean() < 0.05
    assert distance.mean() > 0.3 * LIMIT * SECONDS


def test_an_observation_is_of_the_promised_length_and_moves_with_the_car():
    roads = Roads(np.arange(7))
    found = roads.observe()
    assert found.shape == (7, N_OBSERVED)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0], 0.5)
    scenes = []
    for _ in range(50):
        roads.step(np.full(7, KEEP))
        scenes.append(roads.scene(2))
    for before, after in pairwise(scenes):
        assert after.position - before.position == pytest.approx(LIMIT / 2 * DT)
        assert all(KERBS[0] - 2 < y < KERBS[1] + 2 for _, y, _, _ in after.people)
