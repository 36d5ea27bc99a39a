import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import DQN

from brainloop.driving import training
from brainloop.driving.agent import SCRIPTED, Agent, load_driver
from brainloop.driving.environment import PedestrianCrossing
from brainloop.driving.reward import BrainReward, Credit
from brainloop.driving.road import COLLISION, DT, LIMIT, N_OBSERVED, Roads
from brainloop.driving.training import HOLD, N_ROADS, CreditedReplayBuffer, Tracks, evaluate, train
from brainloop.driving.watchers import SimulatedWatcher
from brainloop.errors import SettingsError

STEPS = 2_400


def full(n=N_ROADS):
    return np.full(n, 2)


def drive(tracks, steps):
    tracks.reset()
    return [tracks.step(full()) for _ in range(steps)]


def test_a_decision_holds_for_some_steps_and_is_paid_for_all_of_them():
    tracks = Tracks("plain", 0.0, seed=0)
    roads = Roads(tracks._roads.seeds.astype(np.int64))
    _, reward, _, _ = drive(tracks, 1)[0]
    np.testing.assert_allclose(reward, sum(roads.step(full()).reward for _ in range(HOLD)), rtol=1e-6)
    np.testing.assert_array_equal(tracks._roads.observe(), roads.observe())


def test_a_drive_that_is_over_is_followed_by_another_and_its_last_observation_is_kept():
    tracks = Tracks("plain", 0.0, seed=1)
    ended = [
        (reward[road], infos[road]) for _, reward, done, infos in drive(tracks, 200) for road in np.flatnonzero(done)
    ]
    assert len(ended) > N_ROADS
    for reward, info in ended:
        assert info["terminal_observation"].shape == (N_OBSERVED,)
        assert info["TimeLimit.truncated"] == (reward > COLLISION / 2)


@pytest.mark.parametrize("reward", ["brain", "random"])
def test_a_weight_of_0_changes_no_reward(reward):
    for (_, plain, _, _), (_, worn, _, infos) in zip(
        drive(Tracks("plain", 0.0, 0), 60), drive(Tracks(reward, 0.0, 0), 60), strict=True
    ):
        np.testing.assert_array_equal(plain, worn)
        assert all(credit.value == 0 for info in infos for credit in info["brain"])


def test_the_truth_and_the_time_to_collision_are_paid_at_once():
    plain = np.array([reward for _, reward, _, _ in drive(Tracks("plain", 0.0, 0), 60)])
    for reward in ("oracle", "ttc"):
        shaped = np.array([reward for _, reward, _, _ in drive(Tracks(reward, 1.0, 0), 60)])
        assert (shaped - plain).min() < -0.5
        assert (shaped - plain).max() < 0.1


def test_who_watches_another_road_says_nothing_of_this_one():
    def correlation(reward):
        tracks = Tracks(reward, 1.0, seed=0)
        tracks.reset()
        terms, hazards = [], []
        for _ in range(400):
            before = tracks._roads.hazard.copy()
            infos = tracks.step(np.random.default_rng(len(terms)).integers(1, 3, N_ROADS))[3]
            terms.append([sum(credit.value for credit in info["brain"]) for info in infos])
            hazards.append(before)
        late = slice(2, None)  # about a second
        return np.corrcoef(np.array(terms)[late].ravel(), np.array(hazards)[:-2].ravel())[0, 1]

    assert correlation("brain") < -0.1
    assert abs(correlation("random")) < 0.05


def buffer(size=40, n=2):
    space = spaces.Box(-1, 1, (1,), np.float32)
    return CreditedReplayBuffer(size * n, space, spaces.Discrete(3), device="cpu", n_envs=n)


def test_a_late_term_moves_to_the_steps_it_speaks_of_in_equal_shares():
    rows, (rng, zeros) = buffer(), (np.random.default_rng(0), np.zeros((2, 1), np.float32))
    paid = np.zeros((30, 2))
    for step in range(30):
        infos = [{}, {"brain": []}]
        reward = rng.normal(size=2)
        paid[step] = reward
        if step == 20:
            infos[1]["brain"] = [Credit(-3.0, first=5, last=3)]
            reward = reward + np.array([0.0, -3.0])
            paid[15:18, 1] -= 1.0
        rows.add(zeros, zeros, np.zeros((2, 1)), reward, np.zeros(2), infos)
    np.testing.assert_allclose(rows.rewards[:30], paid, atol=1e-6)


def test_a_late_term_finds_its_steps_where_the_buffer_begins_anew():
    rows, zeros = buffer(size=10, n=1), np.zeros((1, 1), np.float32)
    for step in range(12):
        infos = [{"brain": [Credit(6.0, first=3, last=1)]}] if step == 11 else [{}]
        rows.add(zeros, zeros, np.zeros((1, 1)), np.array([6.0 if step == 11 else 0.0]), np.zeros(1), infos)
    np.testing.assert_allclose(rows.rewards[:, 0], [2, 0, 0, 0, 0, 0, 0, 0, 2, 2], atol=1e-6)


def test_stable_baselines_trains_on_the_gymnasium_wrapper_with_this_buffer():
    env = BrainReward(PedestrianCrossing(), SimulatedWatcher(seed=0))
    learner = DQN(
        "MlpPolicy", env, replay_buffer_class=CreditedReplayBuffer, buffer_size=500, learning_starts=50, seed=0
    )
    learner.learn(200)
    assert np.isfinite(learner.replay_buffer.rewards).all()


def test_one_seed_trains_one_driver_and_weight_0_trains_that_of_plain():
    plain, again, worn = (train(reward, seed=3, steps=STEPS, weight=0.0) for reward in ("plain", "plain", "brain"))
    for other in (again, worn):
        for (weight, bias), (weight2, bias2) in zip(plain.weights, other.weights, strict=True):
            np.testing.assert_array_equal(weight, weight2)
            np.testing.assert_array_equal(bias, bias2)


def test_a_driver_is_the_network_that_was_trained_and_comes_back_from_its_file(tmp_path, monkeypatch):
    kept = {}

    class Kept(DQN):
        def learn(self, *arguments, **named):
            kept["learner"] = self
            return super().learn(*arguments, **named)

    monkeypatch.setattr(training, "DQN", Kept)
    monkeypatch.setattr(training, "AVERAGED", 1.0)  # the last weights alone
    observed, compared = Tracks("plain", 0.0, 7).reset(), []

    def compare(agent):
        expected, _ = kept["learner"].predict(observed, deterministic=True)
        np.testing.assert_array_equal(agent(observed), expected)
        compared.append(agent)

    agent = train("brain", seed=1, steps=STEPS, seen={1_200: compare, 2_300: compare})
    first, second = compared
    assert (first.weights[0][0] != second.weights[0][0]).any()
    agent.save(tmp_path / "agent.safetensors")
    loaded = load_driver(str(tmp_path / "agent.safetensors"))
    np.testing.assert_array_equal(loaded(observed), agent(observed))
    assert isinstance(loaded, Agent)
    assert loaded.facts["reward"] == "brain"


def test_a_file_that_is_no_driver_is_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"not one")
    with pytest.raises(SettingsError, match="brainloop drive train"):
        load_driver(str(tmp_path / "x.safetensors"))
    with pytest.raises(SettingsError, match="careless, careful"):
        load_driver("nobody")


def test_what_there_is_to_learn_from_is_checked(tmp_path):
    with pytest.raises(SettingsError, match="expected one of plain"):
        train("pain", steps=10)
    with pytest.raises(SettingsError, match="uses none"):
        train("plain", steps=10, study=tmp_path)
    with pytest.raises(SettingsError, match="0 or more, got -1"):
        train("brain", steps=10, weight=-1.0)


def test_drivers_are_measured_as_by_hand():
    full_speed = evaluate(full_driver, range(20))
    collisions = distance = time = 0.0
    for seed in range(20):
        roads = Roads(np.array([seed]))
        while True:
            step = roads.step(np.array([2]))
            if step.collided[0] or step.over[0]:
                break
        collisions += step.collided[0] / 20
        distance += roads.x[0]
        time += roads.time[0]
    assert full_speed.collisions == pytest.approx(collisions)
    assert full_speed.progress == pytest.approx(distance / (20 * 60 * LIMIT))
    assert full_speed.speed == pytest.approx(distance / time / LIMIT)
    assert round(time / DT) > 20


def full_driver(observed):
    return full(len(observed))


def test_a_parked_car_collides_with_nobody_and_makes_no_progress():
    parked = evaluate(lambda observed: np.zeros(len(observed), dtype=int), range(20))
    assert parked.collisions == 0
    assert parked.progress < 0.02
    assert evaluate(SCRIPTED["careful"], range(50)).collisions < evaluate(SCRIPTED["careless"], range(50)).collisions
