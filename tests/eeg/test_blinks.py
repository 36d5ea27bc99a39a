import numpy as np
import pytest

from brainloop.eeg.blinks import blink_matrix
from brainloop.eeg.quality import band_pass

CENTRAL = ["C3", "Cz", "C4", "Pz", "P3", "P4", "Oz"]


def rows(head, names):
    return [head.names.index(name) for name in names]


def blinking(head, data):
    """What of each channel follows the eyes, in shares of their course."""
    course = head.blinks - head.blinks.mean()
    return data @ course / (course @ course)


def test_eye_channels_take_blinks_out_and_leave_the_rest(head):
    rng = np.random.default_rng(1)
    eog = np.stack(
        [1.5 * head.blinks + 3e-6 * rng.normal(size=head.blinks.shape), 3e-6 * rng.normal(size=head.blinks.shape)]
    )
    data = np.concatenate([head.data, eog])
    matrix, said = blink_matrix([band_pass(data, head.sfreq)], head.names, ["VEOG", "HEOG"])
    cleaned = matrix @ data
    before, after = blinking(head, head.data), blinking(head, cleaned)
    assert np.abs(before[rows(head, ["Fp1", "Fp2"])]).min() > 0.5
    assert np.abs(after).max() < 0.1
    assert "VEOG, HEOG" in said
    without = head.data - before[:, None] * head.blinks
    assert np.corrcoef(cleaned[13], without[13])[0, 1] > 0.99


def test_few_channels_with_an_eye_channel_lose_no_dimension(head):
    data = np.concatenate([head.data[rows(head, CENTRAL)], head.blinks[None]])
    matrix, said = blink_matrix([band_pass(data, head.sfreq)], CENTRAL, ["EOG"])
    assert said is not None
    assert np.linalg.matrix_rank(matrix) == len(CENTRAL)


def test_frontal_channels_do_where_there_are_no_eye_channels_and_many_others(head):
    matrix, said = blink_matrix([band_pass(head.data, head.sfreq)], head.names, [])
    cleaned = matrix @ head.data
    assert np.abs(blinking(head, cleaned)).max() < 0.1
    assert "the mean of Fp1, Fp2 (30 were found)" in said
    assert np.linalg.matrix_rank(matrix) == len(head.names) - 1
    for i in rows(head, CENTRAL):
        assert np.corrcoef(cleaned[i], head.data[i])[0, 1] > 0.95


@pytest.mark.parametrize("names", [["Fp1", "Fp2", *CENTRAL], CENTRAL])
def test_few_channels_without_an_eye_channel_are_left_alone(head, names):
    matrix, said = blink_matrix([band_pass(head.data[rows(head, names)], head.sfreq)], names, [])
    np.testing.assert_array_equal(matrix, np.eye(len(names)))
    assert said is None


def test_without_blinks_nothing_is_taken_out(head):
    quiet = head.data - blinking(head, head.data)[:, None] * head.blinks
    matrix, said = blink_matrix([band_pass(quiet, head.sfreq)], head.names, [])
    np.testing.assert_array_equal(matrix, np.eye(len(head.names)))
    assert said is None


def test_a_pop_of_one_frontal_electrode_is_no_blink(head):
    quiet = head.data - blinking(head, head.data)[:, None] * head.blinks
    quiet[0] += head.blinks
    assert blink_matrix([band_pass(quiet, head.sfreq)], head.names, [])[1] is None


def test_a_gap_in_the_values_does_not_hinder(head):
    head.data[4, 1000:2000] = np.nan
    matrix, said = blink_matrix([band_pass(head.data, head.sfreq)], head.names, [])
    assert said is not None
    assert np.isfinite(matrix).all()
