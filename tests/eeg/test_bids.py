import csv
import json
import os
import queue
import time

import mne
import mne_bids
import numpy as np
import pytest

from brainloop.eeg.bids import GAP, MOST_FILLED, export_bids, is_exported
from brainloop.eeg.epochs import Epocher, Rejection, cut, epoch_recording
from brainloop.eeg.headset import Chunk, HeadsetInfo
from brainloop.eeg.recorder import Recorder, read_session
from brainloop.eeg.recordings import read_recordings
from brainloop.eeg.signal import Signal
from brainloop.errors import SettingsError

SFREQ = 250.0
RATE = SFREQ * 1.0004  # of the crystal
INFO = HeadsetInfo("tape:1", "Tape", ("Fz", "Cz", "Pz", "Oz"), ("light",), SFREQ)
SIGNAL = Signal()


class Tape:
    """A source of samples: the whole session in chunks of random size."""

    info = INFO

    def __init__(self, times, data):
        cuts = np.cumsum(np.random.default_rng(1).integers(50, 1000, 1000))
        cuts = cuts[cuts < len(times)]
        parts = zip(np.split(times, cuts), np.split(data, cuts, axis=1), strict=True)
        self.chunks = [Chunk(*part) for part in parts]

    def pull(self):
        return self.chunks.pop(0) if self.chunks else Chunk(np.zeros(0), np.zeros((5, 0), dtype=np.float32))

    def close(self):
        pass


def signal_of(times, *, lost=()):
    rng = np.random.default_rng(0)
    data = np.cumsum(rng.normal(0, 3e-6, (5, len(times))), axis=1)
    data -= np.linspace(data[:, 0], data[:, -1], len(times), axis=1)
    data[4] = np.arange(len(times)) % 1000
    keep = np.ones(len(times), dtype=bool)
    for first, stop in lost:
        keep[(times >= first) & (times < stop)] = False
    return times[keep], data[:, keep].astype(np.float32)


def record(folder, times, data, events, about=None):
    """Record a session, and cut its epochs as it comes."""
    tape = Tape(times, data)
    recorder = Recorder(folder, about or {"phase": "calibration"}, tape)
    heard = recorder.subscribe()
    recorder.start()
    for kind, t, values in events:
        recorder.event(kind, t, **values)
    until = time.monotonic() + 20
    while recorder.status.samples < len(times) and time.monotonic() < until:
        time.sleep(0.01)
    recorder.close()
    chunks = []
    while True:
        try:
            chunks.append(heard.get_nowait())
        except queue.Empty:
            return chunks


def presentations(onsets, seed=2, **values):
    targets = np.random.default_rng(seed).random(len(onsets)) < 0.3
    targets[:2] = [True, False][: len(onsets)]
    said = {"block": 1, "flaw": None}
    return [
        ("presentation", t, {**said, "image": f"cats/{k} a.png", "position": k, "target": bool(is_target), **values})
        for k, (t, is_target) in enumerate(zip(onsets.tolist(), targets, strict=True))
    ]


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture
def session(tmp_path):
    """Two minutes on a crystal that is 400 ppm off, with two gaps; onsets everywhere, some of them in a gap."""
    times = 5000.0 + np.arange(round(120 * SFREQ)) / RATE
    times, data = signal_of(times, lost=[(5030.0, 5030.7), (5070.0, 5078.3)])
    onsets = np.arange(5002.0, 5118.0, 0.2031)
    chunks = record(tmp_path / "raw", times, data, presentations(onsets))
    return tmp_path, chunks, onsets


def test_epochs_of_the_data_set_are_those_that_were_cut_live(session):
    folder, chunks, onsets = session
    epocher = Epocher(SFREQ, 4, SIGNAL)
    live = [epocher.push(chunk.times, chunk.data[:4], onsets if k == 0 else ()) for k, chunk in enumerate(chunks)]
    live.append(epocher.close())
    order = np.argsort(np.concatenate([part.onsets for part in live]))
    data = np.concatenate([part.data for part in live])[order]
    rejected = [[r for part in live for r in part.rejected][k] for k in order]

    raw = read_session(folder / "raw")
    offline = cut(raw.times, raw.data[:4], onsets, SFREQ, SIGNAL)
    np.testing.assert_array_equal(offline.data, data)
    assert list(offline.rejected) == rejected

    export_bids(folder / "raw", folder / "bids", person="ann", session="1")
    (recording,) = read_recordings([folder / "bids"], bad_channels="keep", blinks="off")
    trials = epoch_recording(recording, SIGNAL)
    assert list(trials.rejected) == rejected
    assert {None, Rejection.GAP, Rejection.SETTLING} <= set(rejected)
    np.testing.assert_allclose(trials.data, data, atol=1e-10)  # a tenth of a nanovolt: float32 in another unit
    asked = [event["target"] for event in raw.events if event["event"] == "presentation"]
    assert trials.is_target.tolist() == asked


def test_a_gap_of_the_data_set_hurts_no_preparation_and_no_filter_of_mne(session):
    folder, _, _ = session
    path = export_bids(folder / "raw", folder / "bids", person="ann", session="1")
    (recording,) = read_recordings([folder / "bids"])
    assert recording.channels == INFO.channels
    assert all(np.isfinite(run.data).all() for run in recording.runs)
    bids = mne_bids.get_bids_path_from_fname(path, verbose="error")
    raw = mne_bids.read_raw_bids(bids, verbose="error").load_data()
    assert raw.get_channel_types() == ["eeg"] * 4 + ["misc"]
    raw.filter(1, 40, verbose="error")
    filtered = raw.get_data(picks="eeg")
    skipped = np.isnan(filtered).all(axis=0)
    assert np.isfinite(filtered[:, ~skipped]).all()
    assert skipped.sum() / SFREQ == pytest.approx(0.7 + 8.3, abs=0.02)


def test_the_table_tells_what_was_shown_and_pressed(tmp_path):
    times, data = signal_of(100 + np.arange(5000) / SFREQ)
    events = [
        ("block", 101.0, {"block": 1}),
        *presentations(np.array([103.0011, 105.0])),
        *presentations(np.array([107.0]), target=None),
        *presentations(np.array([109.0]), flaw="late", image="dogs/a\tb.png"),
        *presentations(np.array([150.0])),
        ("press", 111.5, {}),
        ("clock", 112.0, {"offset": 3.0, "rtt": 0.001}),
    ]
    record(tmp_path / "raw", times, data, events)
    path = export_bids(tmp_path / "raw", tmp_path / "bids", person="ann", session="1")
    rows = table(path.with_name("sub-ann_ses-1_task-calibration_events.tsv"))
    told = [(row["trial_type"], row["flaw"], float(row["time"])) for row in rows]
    assert told == [
        ("target", "n/a", 103.0011),
        ("nontarget", "n/a", 105.0),
        ("presentation", "n/a", 107.0),
        ("flawed", "late", 109.0),
        ("press", "n/a", 111.5),
        ("flawed", "no samples", 150.0),
    ]
    assert (rows[0]["onset"], rows[0]["sample"]) == ("3.000000000", "750")
    assert (rows[0]["image"], rows[0]["block"], rows[0]["position"]) == ("cats/0 a.png", "1", "0")
    assert rows[3]["image"] == "dogs/a b.png"
    described = json.loads(path.with_name("sub-ann_ses-1_task-calibration_events.json").read_text(encoding="utf-8"))
    assert set(described) == set(rows[0])


def test_the_evidence_of_each_response_stands_beside_its_presentation(tmp_path):
    times, data = signal_of(100 + np.arange(5000) / SFREQ)
    shown = presentations(np.array([103.0, 104.0, 105.0]), target=None, looked_for="cats")
    answers = [
        ("response", 103.9, {"block": 1, "position": 0, "evidence": 1.25, "rejected": None}),
        ("response", 104.9, {"block": 1, "position": 1, "evidence": 0.0, "rejected": "gap"}),
    ]
    record(tmp_path / "raw", times, data, [*shown, *answers, ("press", 111.5, {})])
    path = export_bids(tmp_path / "raw", tmp_path / "bids", person="ann", session="1")
    rows = table(path.with_name("sub-ann_ses-1_task-calibration_events.tsv"))
    assert [(row["looked_for"], row["evidence"], row["rejected"]) for row in rows] == [
        ("cats", "1.25", "n/a"), ("cats", "0.0", "gap"), ("cats", "n/a", "n/a"), ("n/a", "n/a", "n/a"),
    ]  # fmt: skip
    described = json.loads(path.with_name("sub-ann_ses-1_task-calibration_events.json").read_text(encoding="utf-8"))
    assert described["evidence"]["Units"] == "nat"
    bids = mne_bids.get_bids_path_from_fname(path, verbose="error")
    raw = mne_bids.read_raw_bids(bids, verbose="error")
    told = [extra for extra in raw.annotations.extras if extra.get("looked_for") == "cats"]
    assert [float(extra["evidence"]) for extra in told[:2]] == [1.25, 0.0]


def test_the_file_alone_holds_its_samples_and_events(session):
    folder, chunks, _ = session
    path = export_bids(folder / "raw", folder / "bids", person="ann", session="1")
    raw = mne.io.read_raw_brainvision(path, verbose="error")
    data = raw.get_data()
    known = np.isfinite(data[0])
    sent = np.concatenate([chunk.data for chunk in chunks], axis=1)
    np.testing.assert_allclose(data[:4, known], sent[:4], rtol=1e-6, atol=1e-14)
    np.testing.assert_array_equal(data[4, known], sent[4])
    assert {"Comment/target", "Comment/nontarget", f"Comment/{GAP}"} == set(raw.annotations.description)


def test_a_clock_that_jumps_by_a_year_does_not_fill_the_disk(tmp_path):
    times, data = signal_of(100 + np.arange(2000) / SFREQ)
    times[1000:] += 3e7
    record(tmp_path / "raw", times, data, presentations(np.array([101.0, 3e7 + 50, 3e7 + 105.0])))
    path = export_bids(tmp_path / "raw", tmp_path / "bids", person="ann", session="1")
    raw = mne.io.read_raw_brainvision(path, verbose="error")
    assert raw.n_times <= 2000 + MOST_FILLED * SFREQ
    rows = table(path.with_name("sub-ann_ses-1_task-calibration_events.tsv"))
    assert [row["flaw"] for row in rows if row["trial_type"] == "flawed"] == ["no samples"]


def test_people_and_sessions_share_one_data_set(tmp_path):
    times, data = signal_of(100 + np.arange(2000) / SFREQ)
    for person, session in (("ann", "1"), ("ann", "2"), ("bob", "1")):
        raw = tmp_path / f"{person}{session}"
        record(raw, times, data, presentations(np.array([102.0, 103.0])), {"phase": "calibration"})
        assert not is_exported(raw, tmp_path / "bids", person=person, session=session)
        export_bids(raw, tmp_path / "bids", person=person, session=session)
        assert is_exported(raw, tmp_path / "bids", person=person, session=session)
    export_bids(tmp_path / "ann1", tmp_path / "bids", person="ann", session="1")
    lines = (tmp_path / "bids" / "participants.tsv").read_text(encoding="utf-8").splitlines()
    assert lines == ["participant_id", "sub-ann", "sub-bob"]
    recordings = read_recordings([tmp_path / "bids"], bad_channels="keep", blinks="off")
    assert [(one.person, one.session) for one in recordings] == [
        ("sub-ann", "ses-1"), ("sub-ann", "ses-2"), ("sub-bob", "ses-1"),
    ]  # fmt: skip
    assert mne_bids.get_entity_vals(tmp_path / "bids", "session") == ["1", "2"]


def test_what_a_kill_left_of_an_export_is_no_session(tmp_path):
    times, data = signal_of(100 + np.arange(2000) / SFREQ)
    record(tmp_path / "raw", times, data, presentations(np.array([102.0, 103.0])))
    (tmp_path / "bids" / ".partial-ann-1" / "eeg").mkdir(parents=True)
    assert not is_exported(tmp_path / "raw", tmp_path / "bids", person="ann", session="1")
    path = export_bids(tmp_path / "raw", tmp_path / "bids", person="ann", session="1")
    assert path.exists()
    assert not list((tmp_path / "bids").glob(".partial*"))


def test_a_session_without_samples_is_its_events(tmp_path):
    recorder = Recorder(tmp_path / "raw", {"phase": "study"}, None)
    recorder.start()
    recorder.event("presentation", 100.0, image="a.png", block=1, position=0, target=None, flaw=None)
    recorder.event("press", 100.4)
    recorder.close()
    path = export_bids(tmp_path / "raw", tmp_path / "bids", person="ann", session="1")
    assert path == tmp_path / "bids/sub-ann/ses-1/beh/sub-ann_ses-1_task-study_events.tsv"
    assert [(row["onset"], row["trial_type"]) for row in table(path)] == [
        ("0.000000000", "presentation"), ("0.400000000", "press"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["ann-b", "", "../x", "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"])
def test_names_that_bids_has_no_room_for_are_refused(tmp_path, name):
    with pytest.raises(SettingsError, match="letters and digits"):
        export_bids(tmp_path, tmp_path / "bids", person=name, session="1")


def test_a_session_that_has_been_written_to_since_is_not_exported(tmp_path):
    times, data = signal_of(100 + np.arange(2000) / SFREQ)
    record(tmp_path / "raw", times, data, presentations(np.array([102.0, 103.0])))
    export_bids(tmp_path / "raw", tmp_path / "bids", person="ann", session="1")
    events = tmp_path / "raw" / "events.jsonl"
    later = events.stat().st_mtime + 60
    os.utime(events, (later, later))
    assert not is_exported(tmp_path / "raw", tmp_path / "bids", person="ann", session="1")
