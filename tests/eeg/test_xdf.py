import contextlib
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.eeg.epochs import Rejection, epoch_recording
from brainloop.eeg.recordings import read_recordings
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.eeg.xdf import read_xdf
from brainloop.errors import RecordingError, SettingsError

SFREQ = 250.0
WEARER = SyntheticWearer(4)
ONSETS = 100.0 + 0.2 * np.arange(60)
IS_TARGET = np.arange(60) % 6 == 2
RUN = WEARER.wear(ONSETS, IS_TARGET)
UV = 1e6


@pytest.fixture
def session(xdf_stream):
    """Streams of one block: EEG in microvolts, and markers; what is given replaces the EEG stream's own."""

    def make(**change):
        eeg = {
            "name": "amplifier", "kind": "EEG", "rate": SFREQ, "samples": RUN.data.T * UV, "stamps": RUN.times,
            "channels": [{"label": name, "unit": "microvolts", "type": "EEG"} for name in WEARER.channels],
        }  # fmt: skip
        names = [["target" if y else "nontarget"] for y in IS_TARGET]
        return [
            xdf_stream(**(eeg | change)),
            xdf_stream("presentation", "Markers", 0.0, names, ONSETS, layout="string"),
        ]

    return make


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 400),
    n_channels=st.integers(1, 5),
    layout=st.sampled_from(["double64", "float32", "int32", "int16"]),
    suffix=st.sampled_from(["xdf", "xdfz"]),
    chunk_size=st.integers(1, 300),
    deduced=st.booleans(),
    offset=st.floats(-1e5, 1e5),
    seed=st.integers(0, 99),
)
def test_what_is_written_is_read_samples_and_onsets(
    tmp_path_factory, write_xdf, xdf_stream, n, n_channels, layout, suffix, chunk_size, deduced, offset, seed
):
    rng = np.random.default_rng(seed)
    samples = rng.normal(0, 2000, (n, n_channels)).round()
    stamps = 5000.0 + np.arange(n) / SFREQ
    onsets = np.sort(rng.uniform(stamps[0], stamps[-1], 7))
    channels = [{"label": f"E{i}", "unit": "uV", "type": "EEG"} for i in range(n_channels)]
    drift = [(t, offset + 1e-5 * t) for t in (0.0, 5000.0, 5010.0)]  # of the clock of the machine that sent markers
    sent = (onsets - offset) / (1 + 1e-5)
    streams = [
        xdf_stream("amplifier", "EEG", SFREQ, samples, stamps, channels, layout),
        xdf_stream("markers", "Markers", 0.0, [["a"]] * 7, sent, layout="string", offsets=drift),
    ]
    path = write_xdf(
        tmp_path_factory.mktemp("xdf") / f"a.{suffix}", streams, chunk_size, deduced=deduced and chunk_size > 1
    )
    source = read_xdf(path)
    np.testing.assert_allclose(source.data, samples.T / UV, rtol=1e-6)
    np.testing.assert_allclose(source.times, stamps - stamps[0], atol=1e-6)
    np.testing.assert_allclose([event.onset for event in source.events], onsets - stamps[0], atol=1e-4)
    assert source.eeg == tuple(f"E{i}" for i in range(n_channels))
    assert source.sfreq == SFREQ


def test_a_session_in_xdf_gives_the_epochs_of_the_same_session_in_memory(tmp_path, write_xdf, session):
    (recording,) = read_recordings([write_xdf(tmp_path / "sub-01_task-x_eeg.xdf", session(layout="double64"))])
    assert (recording.person, recording.channels, recording.sfreq) == ("sub-01", WEARER.channels, SFREQ)
    assert (recording.n_targets, recording.n_nontargets) == (10, 50)
    assert np.isfinite(recording.positions).all()
    assert recording.repairs == ()
    (run,) = recording.runs
    np.testing.assert_allclose(run.data, RUN.data, atol=1e-12)
    np.testing.assert_allclose(run.onsets, ONSETS - RUN.times[0], atol=1e-9)
    assert epoch_recording(recording, Signal()).usable.all()


def test_bids_like_names_group_runs_of_a_folder(tmp_path, write_xdf, session):
    for run in (1, 2):
        write_xdf(tmp_path / f"sub-01_ses-2_task-x_run-{run}_eeg.xdf", session())
    write_xdf(tmp_path / "sub-02_task-x_eeg.xdfz", session())
    first, second = read_recordings([tmp_path])
    assert (first.name, len(first.runs)) == ("sub-01_ses-2_task-x", 2)
    assert (second.person, len(second.runs)) == ("sub-02", 1)


def test_lost_samples_stay_a_gap_that_no_epoch_crosses(tmp_path, write_xdf, session):
    keep = np.ones(len(RUN.times), dtype=bool)
    keep[1500:1525] = False  # a tenth of a second
    path = write_xdf(tmp_path / "a.xdf", session(samples=RUN.data.T[keep] * UV, stamps=RUN.times[keep]))
    (recording,) = read_recordings([path])
    (run,) = recording.runs
    np.testing.assert_allclose(run.times, RUN.times[keep] - RUN.times[0], atol=1e-6)
    trials = epoch_recording(recording, Signal())
    gap = 1500 / SFREQ
    across = (trials.onsets < gap) & (trials.onsets + 0.9 > gap)
    assert across.any()
    assert all(trials.rejected[i] is Rejection.GAP for i in np.flatnonzero(across))


def test_jitter_of_the_transport_is_no_gap(tmp_path, write_xdf, session):
    late = np.repeat(np.random.default_rng(0).uniform(0, 0.02, len(RUN.times) // 8 + 1), 8)[: len(RUN.times)]
    (recording,) = read_recordings([write_xdf(tmp_path / "a.xdf", session(stamps=RUN.times + late))])
    assert epoch_recording(recording, Signal()).usable.all()


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("microvolts", 1e6), ("uV", 1e6), ("\u00b5V", 1e6), ("\u03bcV", 1e6), ("mV", 1e3), ("Volts", 1.0), ("nV", 1e9)],
)
def test_units_of_the_stream_become_volts(tmp_path, write_xdf, session, unit, factor):
    channels = [{"label": name, "unit": unit, "type": "EEG"} for name in WEARER.channels]
    path = write_xdf(tmp_path / "a.xdf", session(samples=RUN.data.T * factor, channels=channels))
    np.testing.assert_allclose(read_xdf(path).data, RUN.data, rtol=1e-5)


def test_the_caller_may_say_the_unit(tmp_path, write_xdf, session):
    channels = [{"label": name, "type": "EEG"} for name in WEARER.channels]
    path = write_xdf(tmp_path / "a.xdf", session(samples=RUN.data.T * 1e3, channels=channels))
    (recording,) = read_recordings([path], unit="millivolts")
    np.testing.assert_allclose(recording.runs[0].data, RUN.data, rtol=1e-5)
    with pytest.raises(SettingsError, match="'furlong'"):
        read_xdf(path, unit="furlong")


def test_eye_channels_are_told_apart_and_others_left_out(tmp_path, write_xdf, session):
    kinds = {"Fp1": "EOG", "Fp2": "AUX"}
    channels = [{"label": name, "unit": "uV", "type": kinds.get(name, "EEG")} for name in WEARER.channels]
    channels[-1] = {"label": "VEOG", "unit": "uV"}
    source = read_xdf(write_xdf(tmp_path / "a.xdf", session(channels=channels)))
    assert source.eeg == WEARER.channels[2:-1]
    assert source.eog == ("Fp1", "VEOG")
    np.testing.assert_allclose(source.data, RUN.data[[2, 3, 4, 5, 6, 0, 7]], rtol=1e-5)


def test_markers_may_be_numbers_and_come_from_several_streams(tmp_path, write_xdf, session, xdf_stream):
    eeg, _ = session()
    codes = [[2 if y else 1] for y in IS_TARGET]
    streams = [
        eeg,
        xdf_stream("trigger", "Markers", 0.0, codes, ONSETS, layout="int32"),
        xdf_stream("notes", "Notes", 0.0, [["hello", "world"]], ONSETS[:1], layout="string"),
    ]
    path = write_xdf(tmp_path / "a.xdf", streams)
    (recording,) = read_recordings([path], target="2", nontarget="1")
    assert recording.n_targets == 10
    assert "hello/world" in {event.name for event in read_xdf(path).events}


def test_the_eeg_stream_of_several_is_chosen_by_name(tmp_path, write_xdf, session):
    other, _ = session(name="second", samples=RUN.data.T[:, :3] * UV, channels=None)
    path = write_xdf(tmp_path / "a.xdf", [*session(), other])
    refused("'amplifier' .*'second' .*stream=", path)
    assert len(read_xdf(path, stream="second", unit="uV").eeg) == 3
    (recording,) = read_recordings([path], stream="amplifier")
    assert recording.channels == WEARER.channels
    refused("named 'third'", path, stream="third")


def test_channels_without_names_are_numbered_and_reported(tmp_path, write_xdf, session):
    source = read_xdf(write_xdf(tmp_path / "a.xdf", session(channels=None)), unit="uV")
    assert source.eeg == tuple("12345678")
    assert source.repairs == ("a.xdf does not name its channels: they are called 1 to 8",)


def test_a_file_whose_recorder_was_killed_between_chunks_is_read_and_reported(tmp_path, write_xdf, session):
    (recording,) = read_recordings([write_xdf(tmp_path / "a.xdf", session(footer=False))])
    assert any("'amplifier'" in said and "footer" in said for said in recording.repairs)


def test_reading_says_nothing(tmp_path, write_xdf, session, capfd, recwarn):
    read_recordings([write_xdf(tmp_path / "a.xdf", session())])
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


# What cannot be used


def refused(match, path, **names):
    with pytest.raises(RecordingError, match=match):
        read_xdf(path, **names)


@pytest.mark.parametrize("unit", [None, "counts", ""])
def test_a_missing_or_unknown_unit_is_refused(tmp_path, write_xdf, session, unit):
    channels = [{"label": name, "type": "EEG"} | ({"unit": unit} if unit else {}) for name in WEARER.channels]
    refused(
        rf"unit of channel Fp1 .*{unit or 'none'}.*unit=", write_xdf(tmp_path / "a.xdf", session(channels=channels))
    )


def test_a_unit_that_makes_no_eeg_is_refused(tmp_path, write_xdf, session):
    refused("in volts", write_xdf(tmp_path / "a.xdf", session()), unit="volts")


@pytest.mark.parametrize("rate", [0.0, 245.0, 500.0])
def test_a_rate_that_is_irregular_or_not_the_measured_one_is_refused(tmp_path, write_xdf, session, rate):
    match = "nominal rate of 0 Hz" if rate == 0 else f"claims {rate:g} Hz, but its timestamps run at 250 Hz"
    refused(match, write_xdf(tmp_path / "a.xdf", session(rate=rate)))


def test_a_rate_that_is_off_by_a_thousandth_is_taken(tmp_path, write_xdf, session):
    assert read_xdf(write_xdf(tmp_path / "a.xdf", session(rate=250.25))).sfreq == 250.25


def test_a_file_without_eeg_or_without_markers_is_refused(tmp_path, write_xdf, session):
    eeg, markers = session()
    refused("one stream of type EEG.*found 0.*'presentation'", write_xdf(tmp_path / "a.xdf", [markers]))
    refused("a marker stream.*found none.*'amplifier'", write_xdf(tmp_path / "b.xdf", [eeg]))


def test_an_empty_stream_is_refused(tmp_path, write_xdf, session):
    path = write_xdf(tmp_path / "a.xdf", session(samples=np.zeros((0, 8)), stamps=np.zeros(0)))
    refused("holds 0 samples", path)


def test_names_that_do_not_fit_the_channels_are_refused(tmp_path, write_xdf, session):
    seven = [{"label": name, "unit": "uV"} for name in WEARER.channels[:7]]
    refused("each of the 8 channels", write_xdf(tmp_path / "a.xdf", session(channels=seven)))
    refused("each of the 8 channels", write_xdf(tmp_path / "b.xdf", session(channels=[*seven, seven[0]])))


def test_streams_whose_clocks_cannot_be_brought_together_are_refused(tmp_path, write_xdf, session):
    refused("clock offsets.*'amplifier'", write_xdf(tmp_path / "a.xdf", session(offsets=[])))


def test_fewer_samples_than_the_recorder_wrote_are_refused(tmp_path, write_xdf, session):
    refused("wrote 99999 samples of the stream 'amplifier'", write_xdf(tmp_path / "a.xdf", session(count=99_999)))


@pytest.mark.parametrize("suffix", ["xdf", "xdfz"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.5, 0.9, 0.9999])
def test_a_truncated_file_is_refused(tmp_path, write_xdf, session, suffix, share):
    path = write_xdf(tmp_path / f"a.{suffix}", session())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused("truncated|begins with", path)


def test_what_is_left_of_a_truncated_file_can_be_used_after_cutting_it_as_told(tmp_path, write_xdf, session):
    path = write_xdf(tmp_path / "a.xdf", session())
    path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises(RecordingError) as refusal:
        read_xdf(path)
    whole = int(re.search(r"first (\d+) bytes", str(refusal.value))[1])
    path.write_bytes(path.read_bytes()[:whole])
    refused("a marker stream", path)  # here the markers came last


@pytest.mark.parametrize("content", [b"", b"this is not a recording " * 40, bytes(range(256)) * 20, b"XDF:"])
def test_a_file_that_is_no_xdf_is_refused(tmp_path, content):
    (tmp_path / "a.xdf").write_bytes(content)
    refused("begins with 'XDF:'", tmp_path / "a.xdf")


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0, 1), value=st.integers(0, 255))
def test_a_damaged_byte_is_read_or_refused_but_never_anything_else(
    tmp_path_factory, write_xdf, xdf_stream, place, value
):
    channels = [{"label": "A", "unit": "uV"}, {"label": "B", "unit": "uV"}]
    streams = [
        xdf_stream("e", "EEG", 10.0, np.arange(60.0).reshape(30, 2), np.arange(30) / 10, channels),
        xdf_stream("m", "Markers", 0.0, [["a"], ["b"]], np.array([0.5, 1.5]), layout="string"),
    ]
    path = write_xdf(tmp_path_factory.mktemp("xdf") / "a.xdf", streams)
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] = value
    path.write_bytes(content)
    with contextlib.suppress(RecordingError):
        read_xdf(path)
