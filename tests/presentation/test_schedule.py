import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainloop.errors import SettingsError
from brainloop.presentation.schedule import drift, frames, lateness

RATES = st.floats(30, 360)


@pytest.mark.parametrize(
    ("soa", "refresh_hz", "number"),
    [(0.1, 60, 6), (0.2, 60, 12), (0.1, 59.94, 6), (0.1, 144, 14), (0.1, 75, 8), (1 / 60, 60, 1), (1 / 3, 60, 20)],
)
def test_an_soa_is_a_whole_number_of_frames(soa, refresh_hz, number):
    assert frames(soa, refresh_hz) == number


@given(st.floats(0.1, 1 / 3), st.floats(50, 360))
def test_every_pace_from_3_to_10_images_a_second_fits_every_usual_screen(soa, refresh_hz):
    number = frames(soa, refresh_hz)
    assert number >= 1
    assert abs(number / refresh_hz - soa) <= 0.5 / refresh_hz + 1e-12


@pytest.mark.parametrize(
    ("soa", "refresh_hz"), [(0.025, 60), (0.001, 60), (0.0, 60), (-0.1, 60), (0.1, 0.0), (np.nan, 60), (0.1, np.inf)]
)
def test_an_soa_that_no_screen_can_show_is_refused_with_the_nearest(soa, refresh_hz):
    with pytest.raises(SettingsError, match="expected an SOA"):
        frames(soa, refresh_hz)


@given(st.floats(-100, 100), RATES, st.floats(-0.49, 0.49))
def test_up_to_half_a_frame_is_in_time(planned, refresh_hz, off):
    assert lateness(planned, planned + off / refresh_hz, refresh_hz) is None


@given(st.floats(-100, 100), RATES, st.one_of(st.floats(0.51, 10), st.floats(-10, -0.51)))
def test_more_than_half_a_frame_is_late(planned, refresh_hz, off):
    assert lateness(planned, planned + off / refresh_hz, refresh_hz) == "late"


@given(RATES, st.integers(2, 300), st.floats(-5, 5))
def test_drift_is_how_far_the_last_onset_is_off_in_frames(refresh_hz, n, off):
    soa = 6 / refresh_hz
    onsets = 1000 + soa * np.arange(n) + np.linspace(0, off / refresh_hz, n)
    assert drift(onsets, soa, refresh_hz) == pytest.approx(off, abs=1e-6)
