"""highway-env through the same words."""

import gymnasium
import numpy as np
import pytest

highway_env = pytest.importorskip("highway_env")

from brainloop.driving.environment import PedestrianCrossing  # noqa: E402
from brainloop.driving.highway import HighwayHazard  # noqa: E402
from brainloop.driving.reward import BrainReward  # noqa: E402
from brainloop.driving.road import HAZARD  # noqa: E402
from brainloop.driving.watchers import SimulatedWatcher  # noqa: E402
from brainloop.errors import SettingsError  # noqa: E402


@pytest.fixture
def env():
    made = HighwayHazard(gymnasium.make("highway-fast-v0", config={"policy_frequency": 5, "vehicles_count": 8}))
    yield made
    made.close()


def alone_with(env, gap, speed, other_speed, lane_shift=0.0):
    """Put one vehicle before ours, `gap` m from bumper to bumper, and take the others away; give what is said of it."""
    env.reset(seed=0)
    inner = env.unwrapped
    ours = inner.vehicle
    other = next(one for one in inner.road.vehicles if one is not ours)
    inner.road.vehicles = [ours, other]
    ours.speed, other.speed = speed, other_speed
    ours.heading = other.heading = 0.0
    other.lane_index, other.lane = ours.lane_index, ours.lane
    other.position = ours.position + np.array([gap + (ours.LENGTH + other.LENGTH) / 2, lane_shift])
    return env._facts()


@pytest.mark.parametrize(("gap", "speed", "other", "hazard"), [
    (50.0, 25.0, 25.0, False), (50.0, 25.0, 10.0, False), (30.0, 25.0, 10.0, True), (5.0, 20.0, 25.0, False),
    (400.0, 30.0, 0.0, False), (100.0, 30.0, 0.0, True),
])  # fmt: skip
def test_a_conflict_is_what_needs_so_much_braking(env, gap, speed, other, hazard):
    facts = alone_with(env, gap, speed, other)
    assert facts["hazard"] is hazard
    # What it means: braking by that much from now on just does not touch the vehicle ahead, or would have to be harder.
    times = np.arange(0, 30, 1e-3)
    closing = np.maximum(speed - other - HAZARD * times, 0)
    touches = closing.cumsum()[-1] * 1e-3 > gap - 0.5
    assert touches == hazard
    assert facts["ttc"] == pytest.approx(min(gap / (speed - other), 100.0) if speed > other else 100.0)


def test_who_drives_in_another_lane_is_no_conflict(env):
    assert not alone_with(env, 10.0, 30.0, 0.0, lane_shift=4.0)["hazard"]


def test_a_drive_into_others_is_a_conflict_before_it_is_a_collision(env):
    early = collisions = 0
    for seed in range(4):
        env.reset(seed=seed)
        before = False
        for _ in range(100):
            _, reward, terminated, truncated, info = env.step(3)  # faster
            assert np.isfinite(reward)
            assert info["collision"] is bool(env.unwrapped.vehicle.crashed)
            assert info["hazard"] or not info["collision"]
            if info["collision"]:
                collisions, early = collisions + 1, early + before
            before = info["hazard"]
            if terminated or truncated:
                break
    assert collisions >= 2
    assert early >= collisions - 1


def test_the_names_are_those_of_our_own_road(env):
    _, ours = PedestrianCrossing().reset(seed=0)
    _, theirs = env.reset(seed=0)
    for name in ("hazard", "collision", "ttc"):
        assert type(theirs[name]) is type(ours[name])
    assert "speed" in theirs


def test_another_environment_is_refused():
    with pytest.raises(SettingsError, match="highway-env"):
        HighwayHazard(PedestrianCrossing())


def test_a_brain_rewards_it_as_it_does_our_own_road(env):
    rewarded = BrainReward(env, SimulatedWatcher(1 - 1e-9, 0.0, seed=0), weight=10.0, step_s=0.2)
    rewarded.reset(seed=1)
    values, ended = [], False
    while not ended:
        _, reward, terminated, truncated, info = rewarded.step(3)  # faster
        values += [credit.value for credit in info["brain"]]
        ended = terminated or truncated
        assert np.isfinite(reward)
    assert info["collision"]
    assert min(values) < -5, "the hazard before the collision was not heard"
