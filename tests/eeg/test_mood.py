import numpy as np
import pytest
from scipy import signal as sps

from brainloop.eeg.mood import ALPHA_FALL, BETA_RISE, SIDE, wandering
from brainloop.eeg.scalp import CAP, scalp
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.eeg.wearer import LiveWearer

WEARER = SyntheticWearer(4, channels=("F3", "F4", "Cz", "Oz"))


def power(data, low, high):
    frequencies, density = sps.welch(data, 250.0, nperseg=500)
    return density[:, (frequencies >= low) & (frequencies < high)].sum(axis=1)


def felt(attention, valence, seconds=200):
    return LiveWearer(WEARER, mood=lambda _: (attention, valence)).render(250 * seconds)


def test_a_neutral_mood_adds_frontal_alpha_to_the_wearer_as_always_and_changes_nothing_else():
    added = felt(0, 0) - LiveWearer(WEARER).render(250 * 200)
    assert (power(added, 8, 13) > 0.99 * power(added, 0, 125)).all()
    assert (added.std(axis=1)[:2] > 1.5e-6).all()
    assert added[3].std() < 0.1e-6


def test_attention_lowers_occipital_alpha_and_raises_beta():
    usual, attentive = felt(0, 0), felt(1, 0)
    assert np.log(power(attentive, 8, 12) / power(usual, 8, 12))[3] == pytest.approx(-ALPHA_FALL, abs=0.1)
    assert np.log(power(attentive, 14, 29) / power(usual, 14, 29)) == pytest.approx(np.full(4, BETA_RISE), abs=0.1)


def test_valence_moves_frontal_alpha_from_the_left_to_the_right():
    before, after = (np.log(power(felt(0, valence), 9, 11)) for valence in (-1, 1))
    left, right = (after - before)[:2]
    assert -2 * SIDE <= left < -SIDE  # the background has some alpha too, which stays
    assert SIDE < right <= 2 * SIDE
    assert (after - before)[3] == pytest.approx(0, abs=0.05)


def test_frontal_rhythms_are_largest_below_f3_and_f4():
    assert [CAP[place] for place in scalp(CAP).frontal.argmax(axis=0)] == ["F3", "F4"]


def test_a_wandering_mood_goes_up_and_down_within_its_bounds():
    moods = np.array([wandering(7)(time) for time in range(600)])
    assert np.abs(moods).max() <= 1.5
    assert (moods.max(axis=0) > 0.8).all()
    assert (moods.min(axis=0) < -0.8).all()
    assert wandering(7)(12.5) == wandering(7)(12.5) != wandering(8)(12.5)
