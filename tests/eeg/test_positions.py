import mne
import numpy as np
import pytest

from brainloop.eeg.positions import file_positions, interpolation, template_positions
from brainloop.errors import SettingsError


def test_names_are_found_in_any_case_and_spelling():
    places = template_positions(["Cz", "CZ", "EEG Cz-REF", "Cz.."])
    assert (places == places[0]).all()
    assert np.isfinite(places).all()


def test_the_axes_are_right_front_and_up():
    left, right, front, back, top = template_positions(["T7", "T8", "Fpz", "Oz", "Cz"])
    assert left[0] < -0.05 < 0.05 < right[0]
    assert back[1] < -0.05 < 0.05 < front[1]
    assert top[2] > 0.1


@pytest.mark.parametrize(("old", "new"), [("T3", "T7"), ("T6", "P8")])
def test_old_names_are_the_new_places(old, new):
    np.testing.assert_allclose(*template_positions([old, new], "biosemi64"))


def test_unknown_names_are_nan():
    assert np.isnan(template_positions(["A17", ""])).all()
    assert template_positions([]).shape == (0, 3)


def test_another_montage_can_be_chosen_and_an_unknown_one_is_refused():
    assert np.isfinite(template_positions(["E1"], "GSN-HydroCel-32")).all()
    with pytest.raises(SettingsError, match=r"'nope'.*biosemi64"):
        template_positions(["Cz"], "nope")


def test_a_file_without_positions_or_with_impossible_ones_has_none():
    info = mne.create_info(["Cz", "Pz", "Oz", "Fz"], 100.0, "eeg")
    info["chs"][0]["loc"][:3] = [0, 0, 0.14]
    info["chs"][1]["loc"][:3] = [0, 0, 140]  # millimetres
    info["chs"][2]["loc"][:3] = 0
    np.testing.assert_array_equal(np.isfinite(file_positions(info)).all(axis=1), [True, False, False, False])


def test_interpolation_gives_what_mne_gives(head):
    bad = [head.names.index(name) for name in ("Cz", "P4")]
    good = [i for i in range(len(head.names)) if i not in bad]
    info = mne.create_info(head.names, head.sfreq, "eeg")
    info.set_montage("colin27_1005")
    info["bads"] = ["Cz", "P4"]
    raw = mne.io.RawArray(head.data, info, verbose="error")
    raw.interpolate_bads(origin=(0, 0, 0.04), verbose="error")
    weights = interpolation(head.positions[good], head.positions[bad])
    np.testing.assert_allclose(weights @ head.data[good], raw.get_data(["Cz", "P4"]), atol=1e-12)
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_interpolation_comes_close_to_what_the_electrode_reads(head):
    weights = interpolation(np.delete(head.positions, 13, axis=0), head.positions[[13]])
    assert np.corrcoef(weights @ np.delete(head.data, 13, axis=0), head.data[13])[0, 1] > 0.8
