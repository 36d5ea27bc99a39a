import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from brainloop.driving.environment import PedestrianCrossing
from brainloop.driving.reward import PRIOR, RESPONSE, BrainReward, Listener, brain_term
from brainloop.driving.watcher import Heard
from brainloop.driving.watchers import SimulatedWatcher
from brainloop.errors import SettingsError


class Scripted:
    """A watcher who says what was written down for them."""

    def __init__(self, script):
        self.script, self.now, self.said, self.seen = script, 0.0, 0, []

    def begin(self):
        self.now, self.said, self.seen = 0.0, 0, []

    def see(self, time, hazard):
        self.now = time
        self.seen.append((time, hazard))

    def heard(self):
        due = [heard for heard in self.script[self.said :] if heard.time <= self.now + 1e-9]
        self.said += len(due)
        return due


def rewards(env, actions, seed=3):
    env.reset(seed=seed)
    taken = []
    for action in actions:
        _, reward, terminated, truncated, info = env.step(action)
        taken.append((reward, info.get("brain")))
        if terminated or truncated:
            break
    return taken


def test_the_term_is_the_prior_minus_the_posterior():
    evidence = np.array([-3.0, 0.0, 2.0, 40.0])
    odds = PRIOR / (1 - PRIOR) * np.exp(evidence)
    np.testing.assert_allclose(brain_term(evidence), PRIOR - odds / (1 + odds), rtol=1e-12)
    assert brain_term(0.0) == pytest.approx(0, abs=1e-15)


def test_on_average_the_term_is_nothing_where_the_prior_holds():
    watcher, rng = SimulatedWatcher(seed=5), np.random.default_rng(0)
    terms = [float(brain_term(watcher.answer(bool(rng.random() < PRIOR)))) for _ in range(40_000)]
    assert np.mean(terms) == pytest.approx(0, abs=0.003)


def test_weight_0_leaves_the_rewards_as_they_are_exactly():
    actions = [2] * 300
    bare = rewards(PedestrianCrossing(), actions)
    worn = rewards(BrainReward(PedestrianCrossing(), SimulatedWatcher(seed=0), weight=0.0), actions)
    assert [reward for reward, _ in bare] == [reward for reward, _ in worn]


def test_evidence_is_added_where_it_becomes_known_and_names_the_steps_it_speaks_of():
    watcher = Scripted([Heard(time=2.0, begin=0.5, end=1.0, evidence=3.0)])
    taken = rewards(BrainReward(PedestrianCrossing(), watcher, weight=10.0), [1] * 30)
    bare = rewards(PedestrianCrossing(), [1] * 30)
    (number,) = [number for number, (_, judged) in enumerate(taken) if judged]
    assert number + 1 == 20  # steps end at .1 s, .2 s and so on
    (credit,) = taken[number][1]
    assert credit.value == pytest.approx(10 * float(brain_term(3.0)))
    assert taken[number][0] - bare[number][0] == pytest.approx(credit.value)
    # From .5 to 1.0 s: the steps that end at .6, .7, ... 1.0 s.
    assert (20 - credit.first, 20 - credit.last) == (6, 10)


def test_who_speaks_of_shorter_stretches_counts_for_less_each_time():
    often = [Heard(time=2.0, begin=0.5 + 0.1 * k, end=0.6 + 0.1 * k, evidence=3.0) for k in range(5)]
    once = [Heard(time=2.0, begin=0.5, end=1.0, evidence=3.0)]
    by_both = [
        sum(reward for reward, _ in rewards(BrainReward(PedestrianCrossing(), Scripted(script), weight=10.0), [1] * 25))
        for script in (often, once)
    ]
    assert by_both[0] == pytest.approx(by_both[1])


def test_no_step_of_an_earlier_episode_is_blamed():
    listener = Listener(Scripted([Heard(time=0.2, begin=-5.0, end=-4.0, evidence=1.0)]), 1.0, 0.1)
    listener.begin()
    found = []
    for step in (1, 2):
        listener.see(0.1 * step, hazard=False)
        found += listener.hear(0.1 * step, ended=False)
    assert [(credit.first, credit.last) for credit in found] == [(1, 1)]


def test_after_the_end_the_watcher_is_waited_for():
    watcher = Scripted([Heard(time=1.2, begin=0.3, end=0.5, evidence=3.0)])
    listener = Listener(watcher, 1.0, 0.1)
    listener.begin()
    for step in range(1, 6):
        listener.see(0.1 * step, hazard=True)
        judged = listener.hear(0.1 * step, ended=step == 5)
    assert [(credit.first, credit.last) for credit in judged] == [(1, 0)]
    assert watcher.seen[-1][1] is False


class Judge:
    size = (96, 54)

    def evidence(self, frames):
        assert frames.dtype == np.uint8
        return np.full(len(frames), 2.0)


def test_a_model_judges_each_frame_for_as_much_as_a_step_is_of_a_response():
    env = BrainReward(PedestrianCrossing(render_mode="rgb_array", size=(96, 54)), Judge(), weight=10.0)
    taken = rewards(env, [1] * 5)
    bare = rewards(PedestrianCrossing(), [1] * 5)
    for (reward, judged), (plain, _) in zip(taken, bare, strict=True):
        assert reward - plain == pytest.approx(10 * 0.1 / RESPONSE * float(brain_term(2.0)))
        assert (judged[0].first, judged[0].last) == (0, 0)


def test_a_model_needs_frames_and_a_weight_is_not_negative():
    with pytest.raises(SettingsError, match="rgb_array"):
        BrainReward(PedestrianCrossing(), Judge())
    with pytest.raises(SettingsError, match="0 or more, got -1"):
        BrainReward(PedestrianCrossing(), SimulatedWatcher(), weight=-1)


def test_a_rewarded_environment_is_still_one_for_gymnasium():
    check_env(BrainReward(PedestrianCrossing(), SimulatedWatcher(seed=0)), skip_render_check=True)


def test_frames_of_another_size_are_refused():
    env = BrainReward(PedestrianCrossing(render_mode="rgb_array", size=(64, 36)), Judge())
    env.reset(seed=0)
    with pytest.raises(SettingsError, match=r"size=\(96, 54\)"):
        env.step(1)


def test_an_environment_that_says_nothing_of_hazards_has_none():
    env = BrainReward(gymnasium.make("CartPole-v1"), SimulatedWatcher(seed=0), step_s=0.02)
    env.reset(seed=0)
    _, reward, *_ = env.step(0)
    assert reward == 1.0
