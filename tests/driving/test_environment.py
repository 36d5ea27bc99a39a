"""The road as Gymnasium environments."""

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_checker import check_env as check_for_learning

from brainloop.driving.environment import ID, LONGEST, PedestrianCrossing, PedestrianCrossingVector
from brainloop.driving.road import Roads
from brainloop.driving.scene import draw
from brainloop.errors import SettingsError

FACTS = {"hazard", "collision", "distance", "ttc"}


def test_it_passes_the_checks_of_gymnasium_and_of_the_learners_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(ID, render_mode="rgb_array", size=(96, 54)).unwrapped)
        check_for_learning(gymnasium.make(ID))


def test_it_is_known_to_gymnasium_by_its_name_alone():
    code = (
        "import gymnasium\n"
        f"env = gymnasium.make('brainloop.driving.environment:{ID}')\n"
        "print(type(env.unwrapped).__name__)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "PedestrianCrossing"


def test_without_gymnasium_it_says_what_to_install():
    code = (
        "import sys; sys.modules['gymnasium'] = None\n"
        "try:\n    import brainloop.driving.environment\n"
        "except Exception as error:\n    print(type(error).__name__, error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("MissingExtraError")
    assert "'.[driving]'" in found.stdout


def test_a_seed_gives_the_road_of_that_seed():
    env = PedestrianCrossing(render_mode="rgb_array", size=(96, 54))
    first, _ = env.reset(seed=17)
    roads = Roads(np.array([17]))
    np.testing.assert_array_equal(first, roads.observe()[0])
    for number in range(100):
        action = 2 if number % 3 else 1
        observation, reward, terminated, truncated, info = env.step(np.int64(action))
        step = roads.step(np.array([action]))
        np.testing.assert_array_equal(observation, step.observation[0])
        assert (reward, terminated, truncated) == (step.reward[0], step.collided[0], step.over[0])
        assert info["hazard"] is bool(step.hazard[0])
        assert info["collision"] is bool(step.collided[0])
        assert info["distance"] == roads.x[0]
        assert info["ttc"] == min(roads.time_to_collision()[0], LONGEST)
    np.testing.assert_array_equal(env.render(), draw(roads.scene(0), (96, 54)))


def test_without_a_seed_the_roads_follow_from_the_last_one():
    def some(env):
        env.reset(seed=5)
        roads = []
        for _ in range(3):
            env.reset()
            roads.append(int(env._roads.seeds[0]))
        return roads

    one, other = some(PedestrianCrossing()), some(PedestrianCrossing())
    assert one == other
    assert len({5, *one}) == 4


def test_all_that_is_observed_is_within_the_space():
    env = PedestrianCrossingVector(64)
    env.reset(seed=0)
    random = np.random.default_rng(0)
    for _ in range(400):
        observation = env.step(random.choice(3, 64, p=[0.05, 0.05, 0.9]))[0]
        assert env.observation_space.contains(observation)


def test_many_are_as_they_would_be_one_by_one():
    """Also as Gymnasium itself would run them side by side: same seeds, same new roads, same moment to begin anew."""
    ours = gymnasium.make_vec(ID, 3, vectorization_mode="vector_entry_point")
    theirs = gymnasium.make_vec(ID, 3, vectorization_mode="sync")
    assert isinstance(ours, PedestrianCrossingVector)
    random = np.random.default_rng(1)
    a, b = ours.reset(seed=4), theirs.reset(seed=4)
    ended = 0
    for number in range(900):
        np.testing.assert_array_equal(a[0], b[0])
        for name in FACTS | {f"_{name}" for name in FACTS}:
            np.testing.assert_array_equal(a[-1][name], b[-1][name], err_msg=name)
        if number == 700:
            a, b = ours.reset(), theirs.reset()
            continue
        actions = random.choice(3, 3, p=[0.05, 0.15, 0.8])
        a, b = ours.step(actions), theirs.step(actions)
        for mine, yours in zip(a[:4], b[:4], strict=True):
            np.testing.assert_array_equal(mine, yours)
        ended += int((a[2] | a[3]).sum())
    assert ended > 3


def test_a_road_that_ended_begins_anew_at_the_next_step_and_says_so():
    env = PedestrianCrossingVector(32)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    env.reset(seed=list(range(32)))
    while True:
        _, _, terminated, _, info = env.step(np.full(32, 2))
        if terminated.any():
            break
    assert info["collision"][terminated].all()
    observation, reward, again, over, info = env.step(np.full(32, 2))
    assert not (again | over)[terminated].any()
    assert (reward[terminated] == 0).all()
    assert (info["distance"][terminated] == 0).all()
    np.testing.assert_allclose(observation[terminated, 0], 0.5)


def test_many_give_a_picture_each():
    env = PedestrianCrossingVector(2, render_mode="rgb_array", size=(96, 54))
    env.reset(seed=1)
    pictures = env.render()
    assert len(pictures) == 2
    np.testing.assert_array_equal(pictures[1], draw(Roads(np.array([2])).scene(0), (96, 54)))
    assert PedestrianCrossingVector(2).render() is None


def test_wrong_settings_are_refused():
    with pytest.raises(SettingsError, match="'human' came"):
        PedestrianCrossing(render_mode="human")
    with pytest.raises(SettingsError, match="1 road or more"):
        PedestrianCrossingVector(0)
    with pytest.raises(SettingsError, match="a seed for each of the 2 roads, 3 came"):
        PedestrianCrossingVector(2).reset(seed=[1, 2, 3])
