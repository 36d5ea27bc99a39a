import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainloop.errors import SettingsError
from brainloop.presentation.clock import ClockOffset, estimate, jump

DELAYS = st.lists(st.tuples(st.floats(1e-5, 0.5), st.floats(1e-5, 0.5)), min_size=10, max_size=100)  # there and back, s


def pings(offset, delays, begin=1.7e12):
    """What a screen and a server whose clock is `offset` ahead would write down of pings with these delays."""
    rows, sent = [], begin
    for there, back in delays:
        rows.append((sent, (sent / 1e3 + there) + offset, sent + 1e3 * (there + back)))
        sent = rows[-1][2] + 5.0
    return np.array(rows)


@given(DELAYS, st.floats(-2e9, 2e9))
def test_the_offset_is_within_its_bound_however_lopsided_the_delays(delays, offset):
    found = estimate(pings(offset, delays))
    assert abs(found.offset - offset) <= found.bound + 2e-6  # what floats of ms since 1970 resolve
    assert found.rtt == pytest.approx(min(there + back for there, back in delays), abs=2e-6)


@given(DELAYS, st.floats(-1e3, 1e3))
def test_delays_that_are_the_same_both_ways_give_the_offset_itself(delays, offset):
    found = estimate(pings(offset, [(there, there) for there, _ in delays]))
    assert found.offset == pytest.approx(offset, abs=2e-6)


def test_a_time_of_the_screen_is_read_on_our_clock():
    assert ClockOffset(-2.5, 0.001).to_server(4000.0) == 1.5


def test_one_slow_ping_among_many_changes_nothing():
    fast = [(0.0004, 0.0006)] * 20
    assert estimate(pings(3.0, [*fast, (2.0, 0.0001)])).offset == estimate(pings(3.0, fast)).offset


@given(st.floats(0, 3600), st.floats(-1, 1), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_what_drift_and_bounds_explain_is_no_jump(elapsed, drift, wrong_before, wrong_after):
    before = ClockOffset(5.0 + wrong_before * 0.002, 0.002)
    after = ClockOffset(5.0 + drift * 1e-4 * elapsed + wrong_after * 0.004, 0.004)
    assert jump(before, after, elapsed) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("size", [-1.0, 0.5])
def test_a_clock_that_was_set_anew_is_found(size):
    before, after = ClockOffset(5.0, 0.002), ClockOffset(5.0 + size, 0.002)
    assert jump(before, after, 60.0) == pytest.approx(size, abs=0.01)


GOOD = pings(0.0, [(0.001, 0.001)] * 12)


@pytest.mark.parametrize(
    "bad",
    [
        GOOD[:9],
        GOOD[:, :2],
        np.zeros(12),
        np.where(np.arange(36).reshape(12, 3) == 7, np.nan, GOOD),
        np.where(np.arange(36).reshape(12, 3) == 6, np.inf, GOOD),
        GOOD[:, ::-1] * [1, 1, 1] - [0, 0, 1e6],
    ],
)
def test_what_is_no_ping_is_refused(bad):
    with pytest.raises(SettingsError, match="expected"):
        estimate(bad)
