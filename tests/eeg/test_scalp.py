import mne
import numpy as np
import pytest

from brainloop.eeg.scalp import CAP, PLACES, places, scalp
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.errors import SettingsError


def test_a_cap_has_the_64_places_of_the_10_10_system():
    assert set(CAP) == set(mne.channels.make_standard_montage("biosemi64").ch_names)
    assert len(CAP) == 64
    assert CAP[:8] == tuple(PLACES)


def test_projected_places_agree_with_the_table_of_the_10_20_system():
    # One name beyond the table has all places looked up; those of the table are compared by their mirror neighbours.
    known = dict(zip(CAP, places(CAP), strict=True))
    for left, right in (("P3", "P4"), ("C5", "C6"), ("AF7", "AF8"), ("TP7", "TP8"), ("O1", "O2")):
        assert known[left] == pytest.approx(known[right] * [-1, 1], abs=0.06)
    assert known["FCz"] == pytest.approx(np.mean([known["Fz"], known["Cz"]], axis=0), abs=0.06)
    assert known["T8"] == pytest.approx([1, 0], abs=0.25)
    assert known["POz"] == pytest.approx(np.mean([known["Pz"], known["Oz"]], axis=0), abs=0.06)


def test_a_place_does_not_depend_on_which_others_are_asked_for():
    np.testing.assert_array_equal(places(("Pz", "CPz"))[0], places(("Pz",))[0])


@pytest.mark.parametrize(
    ("source", "nearest"),
    [("alpha", {"Oz"}), ("eyes", {"Fp1", "Fp2"}), ("visual", {"PO7", "PO8"}), ("parietal", {"Pz"})],
)
def test_every_source_is_largest_right_above_it(source, nearest):
    share = getattr(scalp(CAP), source)
    assert CAP[share.argmax()] in nearest
    assert 0 < share.min() < 0.1 < share.max() <= 1


def test_noise_is_as_loud_everywhere_and_shared_between_neighbours():
    mixing = scalp(CAP).neighbours
    shared = dict(zip(CAP, (mixing @ mixing.T)[CAP.index("Pz")], strict=True))
    np.testing.assert_allclose((mixing**2).sum(axis=1), 1)
    assert shared["P1"] > shared["C3"] > shared["Fp1"]


@pytest.mark.parametrize("channels", [(), ("Pz", "Pz"), ("Pz", "EXG1")])
def test_channels_that_no_cap_has_are_refused(channels):
    with pytest.raises(SettingsError, match="expected"):
        SyntheticWearer(0, channels=channels)
