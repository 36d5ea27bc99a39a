import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.eeg.headset import HeadsetInfo
from brainloop.eeg.recorder import Session
from brainloop.errors import RecordingError
from brainloop.presentation.photodiode import display_timing, find_edges, measure_display

SFREQ = 500.0


def flashes(edges, width=0.05, rise=0.004, end=None, ripple=0.0, noise=0.005, seed=0):
    """What a light sensor reads of flashes that are half way up at `edges`."""
    times = np.arange(0, end or edges[-1] + 2, 1 / SFREQ)
    light = np.zeros(times.size)
    for edge in edges:
        light += np.clip((times - edge) / rise + 0.5, 0, 1) - np.clip((times - edge - width) / rise + 0.5, 0, 1)
    light += ripple * np.sin(2 * np.pi * 100 * times + 0.3)
    return times, light + noise * np.random.default_rng(seed).standard_normal(times.size)


def blocks(n_blocks=3, size=40, soa=0.1, rest=3.0):
    one = soa * np.arange(size)
    return np.concatenate([2 + number * (one[-1] + rest) + one for number in range(n_blocks)])


@given(st.integers(0, 1000), st.sampled_from([1.0, -1.0]), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
@settings(max_examples=25, deadline=None)
def test_edges_are_found_between_samples_in_any_unit_and_polarity(seed, sign, gain, level):
    expected = blocks(2, 20) + np.random.default_rng(seed).uniform(0.01, 0.04, 40)
    times, light = flashes(expected, noise=0.002, seed=seed)
    found = find_edges(times, sign * gain * light + level)
    np.testing.assert_allclose(found, expected, atol=0.001)  # half a sampling period


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_corner_that_is_lit_more_often_than_not_is_still_seen_to_light_up(sign):
    expected = blocks(1, 300) + 0.025
    times, light = flashes(expected, width=0.07)
    np.testing.assert_allclose(find_edges(times, sign * light), expected, atol=0.001)


def test_ripple_of_the_mains_makes_no_edges():
    expected = blocks() + 0.025
    times, light = flashes(expected, ripple=0.2)
    np.testing.assert_allclose(find_edges(times, light), expected, atol=0.003)


def test_what_touching_the_sensor_does_is_not_taken_for_light():
    expected = blocks() + 0.025
    times, light = flashes(expected)
    light[100:103] = 1e4
    found = find_edges(times, light)
    np.testing.assert_allclose(found[found > 1], expected, atol=0.001)


def test_no_edge_is_seen_across_a_gap():
    expected = blocks(1) + 0.025
    times, light = flashes(expected)
    lost = (times > expected[7] - 0.02) & (times < expected[7] + 0.02)
    np.testing.assert_allclose(find_edges(times[~lost], light[~lost]), np.delete(expected, 7), atol=0.001)


def test_a_sensor_that_reads_nothing_has_no_edges():
    assert find_edges(np.arange(100) / SFREQ, np.full(100, 3.0)).size == 0


@pytest.mark.parametrize("offset", [-0.01, 0.006, 0.025, 0.07, 0.12, 0.19])
@pytest.mark.parametrize("soa", [0.1, 0.2, 1 / 3])
def test_the_delay_is_found_even_where_it_is_longer_than_the_soa(offset, soa):
    drawn = blocks(soa=soa)
    delays = offset + 0.001 * np.random.default_rng(0).standard_normal(drawn.size)
    timing = display_timing(drawn, drawn + delays)
    assert timing.offset == pytest.approx(delays.mean(), abs=1e-9)
    assert timing.sd == pytest.approx(delays.std(ddof=1), abs=1e-9)
    assert (len(timing.delays), timing.missed) == (drawn.size, 0)


def test_frames_without_a_flash_and_flashes_without_a_frame_are_left_out():
    drawn = blocks()
    edges = np.sort(np.append(np.delete(drawn + 0.03, [3, 50, 51]), [0.5, 9.0, 1e4]))
    timing = display_timing(drawn, edges)
    assert timing.missed == 3
    assert timing.offset == pytest.approx(0.03)


@pytest.mark.parametrize("edges", [np.zeros(0), blocks()[:19] + 0.03, blocks() + 1000])
def test_too_few_flashes_are_told_with_what_to_do(edges):
    with pytest.raises(RecordingError, match=r"found (0|19) after 120 frames .* Tape the sensor"):
        display_timing(blocks(), edges)


def session(aux=("Photo",), patch=True, latency=0.0):
    drawn = blocks()
    times, light = flashes(drawn + 0.025)
    info = HeadsetInfo("lsl:x", "x", ("Cz",), aux, SFREQ)
    data = np.stack([np.zeros(times.size), *([light] * len(aux))]).astype(np.float32)
    events = [{"event": "block", "t": 0.0, "block": 7, "patch": patch}]
    events += [
        {"event": "presentation", "t": frame + latency, "latency": latency, "block": 7, "flaw": None} for frame in drawn
    ]
    events += [{"event": "presentation", "t": 1.0, "block": 7, "flaw": "missed"}]
    return Session({}, info, times, data, events)


@pytest.mark.parametrize("latency", [0.0, 0.02])
def test_a_display_is_measured_from_its_frames_whatever_was_known_of_it_before(latency):
    timing = measure_display(session(latency=latency))
    assert timing.offset == pytest.approx(0.025, abs=0.001)
    assert timing.sd < 0.001
    assert timing.missed == 0


@pytest.mark.parametrize(
    ("made", "channel", "message"),
    [
        (session(patch=False), None, "patch was on"),
        (session(aux=("Photo", "Trigger")), None, "none was named; auxiliary channels are: Photo, Trigger"),
        (session(), "Light", "got 'Light'; auxiliary channels are: Photo"),
        (session(aux=()), None, "the EEG channels are Cz"),
        (session(), "Cz", "found 0"),
    ],
)
def test_a_recording_without_patch_or_sensor_is_refused(made, channel, message):
    with pytest.raises(RecordingError, match=message):
        measure_display(made, channel)
