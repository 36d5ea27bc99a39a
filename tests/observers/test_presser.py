import json
from itertools import pairwise

import numpy as np
import pytest

from brainloop.errors import SettingsError
from brainloop.observers.presser import BLINK_LAGS, BLINK_SEEN, FASTEST, REFRACTORY, Presser

ALONE = np.arange(2000) * 2.0
"""Onsets so far apart that each press has one cause."""


def test_reaction_times_have_the_mean_and_spread_that_were_asked_for():
    presses = Presser(1, misses=0, false_per_minute=0).press(ALONE, np.ones(ALONE.size, dtype=bool))
    delay = presses - ALONE
    assert delay.mean() == pytest.approx(0.45, abs=0.01)
    assert delay.std() == pytest.approx(0.1, abs=0.01)
    assert ((delay - delay.mean()) ** 3).mean() > 0, "reaction times are skewed to the right"
    assert delay.min() >= FASTEST - 1e-9


def test_misses_are_as_frequent_as_asked_for():
    presses = Presser(2, misses=0.25, false_per_minute=0).press(ALONE, np.ones(ALONE.size, dtype=bool))
    assert presses.size / ALONE.size == pytest.approx(0.75, abs=0.03)


def test_without_targets_only_false_presses_come():
    presses = Presser(3, false_per_minute=6).press(ALONE, np.zeros(ALONE.size, dtype=bool))
    assert presses.size / (ALONE[-1] / 60) == pytest.approx(6, abs=1)


@pytest.mark.parametrize("lag", [0.09, 0.18, 0.27, 0.45, 0.7])
def test_a_target_after_one_that_was_seen_is_missed_as_the_blink_has_it(lag):
    onsets = np.sort(np.concatenate([ALONE, ALONE + lag]))
    presses = Presser(4, misses=0, false_per_minute=0).press(onsets, np.ones(onsets.size, dtype=bool))
    seen = presses.size / ALONE.size - 1
    assert seen == pytest.approx(np.interp(lag, BLINK_LAGS, BLINK_SEEN), abs=0.04)


def test_the_attention_does_not_blink_after_a_target_that_was_missed():
    onsets = np.sort(np.concatenate([ALONE, ALONE + 0.27]))
    presser = Presser(5, misses=0.5, false_per_minute=0)
    presses = presser.press(onsets, np.ones(onsets.size, dtype=bool))
    after_seen, after_missed = 0.5 * np.interp(0.27, BLINK_LAGS, BLINK_SEEN), 0.5
    expected = 0.5 + 0.5 * after_seen + 0.5 * after_missed
    assert presses.size / ALONE.size == pytest.approx(expected, abs=0.05)


def test_the_finger_does_not_go_down_twice_at_once():
    onsets = np.arange(300) * 0.1
    presses = Presser(6, blink=False).press(onsets, np.ones(300, dtype=bool))
    assert all(later - earlier >= REFRACTORY - 1e-9 for earlier, later in pairwise(presses))


def test_a_block_is_pressed_in_the_same_way_again_and_another_is_not():
    truth = np.arange(ALONE.size) % 8 == 0
    presser = Presser(7)
    np.testing.assert_array_equal(presser.press(ALONE, truth, 3), presser.press(ALONE, truth, 3))
    assert presser.press(ALONE, truth, 3)[0] != presser.press(ALONE, truth, 4)[0]


def test_presses_move_with_the_clock():
    truth = np.arange(50) % 8 == 0
    onsets = np.arange(50) * 0.2
    presser = Presser(8)
    np.testing.assert_allclose(presser.press(onsets + 1e5, truth), presser.press(onsets, truth) + 1e5)


def test_nothing_shown_is_nothing_pressed():
    assert Presser().press(np.empty(0), np.empty(0, dtype=bool)).size == 0


def test_its_parameters_go_into_json():
    assert json.loads(json.dumps(Presser(9).parameters))["rt_mean"] == 0.45


@pytest.mark.parametrize(
    "wrong", [{"rt_tail": 0.2}, {"rt_sd": 0.5}, {"rt_tail": 0.0}, {"misses": 1.1}, {"false_per_minute": -1}]
)
def test_a_person_that_cannot_be_is_refused(wrong):
    with pytest.raises(SettingsError, match="expect"):
        Presser(**wrong)
