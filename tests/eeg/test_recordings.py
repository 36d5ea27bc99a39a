import shutil
import warnings
from datetime import UTC, datetime
from pathlib import Path

import mne
import mne_bids
import numpy as np
import pytest

from brainloop.eeg.epochs import Rejection, epoch_recording
from brainloop.eeg.positions import template_positions
from brainloop.eeg.recordings import read_recordings
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.errors import RecordingError, SettingsError

WEARER = SyntheticWearer(3)
ONSETS = 3.0 + 0.2 * np.arange(60)
IS_TARGET = np.arange(60) % 6 == 2


def make_raw(block=0, events=None, types="eeg", names=WEARER.channels, sfreq=250.0, meas_date=None):
    """Continuous EEG of one block as MNE has it, its first sample at 0 s."""
    run = SyntheticWearer(3, sfreq=sfreq).wear(ONSETS, IS_TARGET, block=block)
    raw = mne.io.RawArray(run.data, mne.create_info(list(names), sfreq, types), verbose="error")
    raw.set_meas_date(meas_date)
    if events is None:
        events = [(t, 0.0, "target" if y else "nontarget") for t, y in zip(ONSETS, IS_TARGET, strict=True)]
    raw.set_annotations(mne.Annotations(*zip(*events, strict=True), orig_time=meas_date) if events else None)
    return raw


def save(raw, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".fif":
            raw.save(path, overwrite=True, verbose="error")
        else:
            mne.export.export_raw(path, raw, overwrite=True, verbose="error")
    return path


def as_bids(root: Path, raw, run=None, session=None, file_format="BrainVision"):
    path = mne_bids.BIDSPath(
        subject="07", session=session, run=run, task="rsvp", datatype="eeg", root=root, suffix="eeg"
    )
    raw.info["line_freq"] = 50
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mne_bids.write_raw_bids(raw, path, format=file_format, allow_preload=True, overwrite=True, verbose="error")
    return next(path.directory.glob(f"{path.basename}.[veb][hd][df]*"))


def only(paths, **names):
    (recording,) = read_recordings(paths, **names)
    return recording


@pytest.mark.parametrize(("name", "resolution"), [("a.fif", 1e-9), ("a.vhdr", 1e-7), ("a.edf", 1e-6), ("a.bdf", 1e-7)])
def test_every_format_gives_the_same_volts_onsets_and_classes(tmp_path, name, resolution):
    raw = make_raw(meas_date=datetime(2024, 5, 1, tzinfo=UTC))
    recording = only([save(raw, tmp_path / name)])
    (run,) = recording.runs
    assert recording.channels == WEARER.channels
    assert recording.sfreq == 250.0
    n = raw.n_times
    np.testing.assert_allclose(run.data[:, :n], raw.get_data(), atol=resolution)
    np.testing.assert_allclose(run.onsets, ONSETS, atol=0.5 / 250)
    np.testing.assert_array_equal(run.is_target, IS_TARGET)
    assert (recording.n_targets, recording.n_nontargets) == (10, 50)
    assert recording.soa == pytest.approx(0.2, abs=1e-3)
    assert recording.name == recording.person == "a"


@pytest.mark.parametrize("file_format", ["BrainVision", "EDF", "BDF"])
def test_a_bids_folder_gives_its_sessions_with_their_runs_in_order(tmp_path, file_format):
    for session, runs in (("1", ("1", "2", "10")), ("2", (None,))):
        for run in runs:
            as_bids(tmp_path, make_raw(block=int(run or 5)), run, session, file_format)
    first, second = read_recordings([tmp_path])
    assert first.name == "sub-07_ses-1_task-rsvp"
    assert (first.person, first.session, len(first.runs)) == ("sub-07", "ses-1", 3)
    assert (second.session, len(second.runs)) == ("ses-2", 1)
    assert first.dataset == tmp_path.name
    for run, block in zip(first.runs, (1, 2, 10), strict=True):
        np.testing.assert_allclose(run.data, make_raw(block=block).get_data(), atol=1e-6)
        np.testing.assert_allclose(run.onsets, ONSETS, atol=0.5 / 250)
        np.testing.assert_array_equal(run.is_target, IS_TARGET)


def test_a_single_file_of_a_data_set_has_its_events_and_bad_channels(tmp_path):
    path = as_bids(tmp_path, make_raw())
    table = path.with_name(path.name.replace("_eeg.vhdr", "_events.tsv"))
    table.write_text(table.read_text().replace("\ttarget\t", "\tgesucht\t"))
    channels = path.with_name(path.name.replace("_eeg.vhdr", "_channels.tsv"))
    lines = channels.read_text().splitlines()
    channels.write_text(
        "\n".join(line.replace("good", "bad") if line.startswith("Oz") else line for line in lines) + "\n"
    )
    recording = only([path], target="gesucht")
    assert recording.n_targets == 10
    assert recording.dropped == ("Oz",)
    assert "Oz" not in recording.channels


def test_files_that_differ_only_in_run_are_one_session_and_others_are_not(tmp_path):
    save(make_raw(0), tmp_path / "sub-01_task-x_run-2_eeg.fif")
    save(make_raw(1), tmp_path / "sub-01_task-x_run-1_eeg.fif")
    save(make_raw(2), tmp_path / "sub-01_task-y_run-1_eeg.fif")
    save(make_raw(3), tmp_path / "day_run-1.fif")
    save(make_raw(4), tmp_path / "day_run-2.fif")
    recordings = {r.name: r for r in read_recordings([tmp_path])}
    assert {name: len(r.runs) for name, r in recordings.items()} == {
        "day_run-1": 1,
        "day_run-2": 1,
        "sub-01_task-x": 2,
        "sub-01_task-y": 1,
    }
    np.testing.assert_allclose(recordings["sub-01_task-x"].runs[0].data, make_raw(1).get_data(), atol=1e-9)


@pytest.mark.parametrize("name", ["long.fif", "sub-01_eeg.fif"])
def test_a_long_fif_in_several_files_is_one_run(tmp_path, name):
    short = make_raw()
    raw = mne.io.RawArray(np.tile(short.get_data(), 20), short.info, verbose="error")
    raw.set_annotations(short.annotations)
    naming = "bids" if name.startswith("sub") else "neuromag"
    raw.save(tmp_path / name, split_size="2MB", split_naming=naming, verbose="error")
    parts = list(tmp_path.iterdir())
    recording = only([tmp_path])
    assert len(recording.runs) == 1
    assert recording.runs[0].data.shape[1] == raw.n_times
    assert len(parts) > 1


def test_the_same_file_given_twice_is_read_once(tmp_path):
    path = save(make_raw(), tmp_path / "a.fif")
    assert len(read_recordings([path, tmp_path, str(path)])) == 1


def test_recordings_of_the_same_name_are_told_apart(tmp_path):
    for folder in ("one", "two"):
        save(make_raw(), tmp_path / folder / "sub-01_eeg.fif")
    assert sorted(r.name for r in read_recordings([tmp_path])) == ["one/sub-01_eeg.fif", "two/sub-01_eeg.fif"]


@pytest.mark.parametrize("meas_date", [None, datetime(2024, 5, 1, tzinfo=UTC)])
def test_onsets_of_a_file_that_was_cropped_are_counted_from_its_first_sample(tmp_path, meas_date):
    raw = make_raw(meas_date=meas_date).crop(1.0, None)
    (run,) = only([save(raw, tmp_path / "a.fif")]).runs
    np.testing.assert_allclose(run.onsets, ONSETS - 1.0, atol=1e-3)
    np.testing.assert_allclose(run.data, raw.get_data(), atol=1e-9)


def test_bad_stretches_and_boundaries_are_gaps_that_no_epoch_crosses(tmp_path):
    first, second = make_raw(0), make_raw(1)
    first.set_annotations(first.annotations + mne.Annotations(8.0, 0.5, "BAD_movement"))
    both = mne.concatenate_raws([first, second], verbose="error")
    recording = only([save(both, tmp_path / "a.fif")])
    (run,) = recording.runs
    assert not ((run.times >= 8.0) & (run.times < 8.498)).any()
    join = make_raw(0).n_times / 250
    assert np.diff(run.times)[np.searchsorted(run.times, join) - 1] > 1.5 / 250
    trials = epoch_recording(recording, Signal())
    across = (trials.onsets < 8.5) & (trials.onsets + 0.9 > 8.0)
    assert across.any()
    assert all(trials.rejected[i] is Rejection.GAP for i in np.flatnonzero(across))


def test_names_of_events_match_in_any_case_by_their_parts_and_can_be_chosen(tmp_path):
    events = [(t, 0.0, "Stimulus/S  2" if y else "Stimulus/S  1") for t, y in zip(ONSETS, IS_TARGET, strict=True)]
    path = save(make_raw(events=events), tmp_path / "a.fif")
    assert only([path], target="s 2", nontarget="Stimulus/S 1").n_targets == 10
    upper = [(t, 0.0, "Target" if y else "NonTarget") for t, y in zip(ONSETS, IS_TARGET, strict=True)]
    assert only([save(make_raw(events=upper), tmp_path / "b.fif")]).n_targets == 10


def test_only_eeg_channels_are_used(tmp_path):
    raw = make_raw(types=["eog", "misc"] + ["eeg"] * 6)
    assert only([save(raw, tmp_path / "a.fif")]).channels == WEARER.channels[2:]


def test_a_channel_that_never_changes_is_left_out_and_named(tmp_path):
    raw = make_raw()
    raw._data[2] = 1e-5
    recording = only([save(raw, tmp_path / "a.fif")])
    assert recording.dropped == ("Fz",)
    assert recording.repairs == ("Fz is flat (0.00 uV); left out",)
    assert len(recording.runs[0].data) == 7


def test_channels_in_another_order_are_put_in_order(tmp_path):
    save(make_raw(0), tmp_path / "sub-1_run-1_eeg.fif")
    save(make_raw(1).reorder_channels(WEARER.channels[::-1]), tmp_path / "sub-1_run-2_eeg.fif")
    recording = only([tmp_path])
    np.testing.assert_allclose(recording.runs[1].data, make_raw(1).get_data(), atol=1e-9)
    assert recording.repairs == (
        "sub-1_run-2_eeg.fif has its channels in another order than sub-1_run-1_eeg.fif: put in one order",
    )


def test_channels_are_chosen_in_any_order_and_case(tmp_path):
    path = save(make_raw(), tmp_path / "a.fif")
    recording = only([path], channels=["OZ", "pz"])
    assert recording.channels == ("OZ", "pz")
    np.testing.assert_allclose(recording.runs[0].data, make_raw().get_data()[[6, 4]], atol=1e-9)
    assert recording.positions.shape == (2, 3)


def test_channels_may_be_chosen_that_runs_share(tmp_path):
    save(make_raw(), tmp_path / "sub-1_run-1_eeg.fif")
    save(make_raw(1).drop_channels(["Oz"]), tmp_path / "sub-1_run-2_eeg.fif")
    assert only([tmp_path], channels=["Cz", "Pz"]).channels == ("Cz", "Pz")
    refused("same EEG channels .* Oz", [tmp_path], channels=["Cz", "Oz"])


def test_the_reference_is_subtracted(tmp_path):
    path = save(make_raw(), tmp_path / "a.fif")
    data = make_raw().get_data()
    average = only([path], reference="average")
    np.testing.assert_allclose(average.runs[0].data, data - data.mean(axis=0), atol=1e-9)
    named = only([path], reference=["PO7", "PO8"], channels=["Cz", "PO8", "Pz"])
    assert named.channels == ("Cz", "Pz")
    np.testing.assert_allclose(named.runs[0].data, data[[3, 4]] - data[[5, 7]].mean(axis=0), atol=1e-9)
    assert named.dropped == ()


def test_positions_are_the_files_else_those_of_the_names(tmp_path):
    by_name = only([save(make_raw(), tmp_path / "a.fif")]).positions
    np.testing.assert_array_equal(by_name, template_positions(WEARER.channels))
    raw = make_raw().set_montage("biosemi64")
    own = only([save(raw, tmp_path / "b.fif")]).positions
    np.testing.assert_allclose(own, [channel["loc"][:3] for channel in raw.info["chs"]], atol=1e-6)
    assert np.abs(own - by_name).max() > 1e-3
    chosen = only([tmp_path / "b.fif"], montage="standard_1005").positions
    np.testing.assert_array_equal(chosen, by_name)
    odd = only([save(make_raw(names=["A", "B", *WEARER.channels[2:]]), tmp_path / "c.fif")]).positions
    np.testing.assert_array_equal(np.isfinite(odd).all(axis=1), [False] * 2 + [True] * 6)


def test_eye_channels_take_blinks_out_of_the_eeg(tmp_path):
    raw = make_raw(names=["VEOG", "EOG2", *WEARER.channels[2:]], types=["eog", *["eeg"] * 7])
    blinks = sum(200e-6 * np.exp(-(((raw.times - t) / 0.08) ** 2)) for t in raw.times[-1] * np.arange(1, 15) / 15)
    raw._data[0] = blinks + 1e-6 * np.random.default_rng(0).normal(size=len(blinks))
    raw._data[2:] += 0.3 * blinks
    path = save(raw, tmp_path / "a.fif")
    recording = only([path])
    assert recording.channels == WEARER.channels[2:]
    assert any("EOG2 is an eye channel by its name" in said for said in recording.repairs)
    assert any("regressed out by VEOG, EOG2" in said for said in recording.repairs)
    course = blinks - blinks.mean()
    untouched = only([path], blinks="off")
    assert untouched.repairs == recording.repairs[:1]
    shares = [one.runs[0].data @ course / (course @ course) for one in (recording, untouched)]
    assert np.abs(shares[0]).max() < 0.1
    assert shares[1].min() > 0.2


def test_another_recording_is_prepared_as_the_first_by_the_names_of_its_channels(tmp_path):
    raw = make_raw()
    raw._data[2] = 0.0
    first = only([save(raw, tmp_path / "a.fif")], reference="average")
    second = save(make_raw(1).reorder_channels(WEARER.channels[::-1]), tmp_path / "b.fif")
    again = only([second], preparation=first.preparation)
    assert again.channels == first.channels
    assert again.repairs == first.repairs
    data = np.delete(make_raw(1).get_data(), 2, axis=0)
    np.testing.assert_allclose(again.runs[0].data, data - data.mean(axis=0), atol=1e-9)
    less = save(make_raw(1).drop_channels(["Cz"]), tmp_path / "c.fif")
    refused("reads Cz, but the channels there are", [less], preparation=first.preparation)
    marked = make_raw(1)
    marked.info["bads"] = ["Pz"]
    doubtful = only([save(marked, tmp_path / "d.fif")], preparation=first.preparation)
    assert doubtful.repairs[0] == "Pz is marked bad in d.fif, but the preparation reads it"
    with pytest.raises(SettingsError, match="beside a preparation"):
        read_recordings([second], preparation=first.preparation, reference="average")


def test_a_recording_is_brought_to_the_channels_of_another(tmp_path):
    recording = only([save(make_raw(), tmp_path / "a.fif")])
    picked = recording.pick(["oz", "Cz"])
    assert picked.channels == picked.preparation.outputs == ("oz", "Cz")
    np.testing.assert_array_equal(picked.runs[0].data, recording.runs[0].data[[6, 3]])
    np.testing.assert_array_equal(picked.positions, recording.positions[[6, 3]])
    raw = make_raw()
    raw._data[6] = 0.0
    flat = only([save(raw, tmp_path / "b.fif")])
    with pytest.raises(RecordingError, match=r"b should have Oz.*Oz is flat \(0.00 uV\); left out"):
        flat.pick(["Oz", "Cz"])


def test_a_channel_without_values_is_left_out_and_spoils_no_other(tmp_path):
    raw = make_raw()
    raw._data[6] = np.nan
    recording = only([save(raw, tmp_path / "a.fif")])
    assert recording.repairs == ("Oz is without values in 100 % of its time; left out",)
    assert epoch_recording(recording, Signal()).usable.all()
    kept = only([tmp_path / "a.fif"], bad_channels="keep")
    assert set(epoch_recording(kept, Signal()).rejected) == {Rejection.NOT_FINITE}


def test_a_sample_without_a_value_rejects_the_epochs_it_touches(tmp_path):
    raw = make_raw()
    raw._data[6, 1500] = np.nan
    trials = epoch_recording(only([save(raw, tmp_path / "a.fif")]), Signal())
    touched = (trials.onsets <= 6.0) & (trials.onsets + 0.9 > 6.0)
    assert all(trials.rejected[i] is Rejection.NOT_FINITE for i in np.flatnonzero(touched))
    assert touched.sum() == (np.array([r is Rejection.NOT_FINITE for r in trials.rejected])).sum() > 0


def test_the_same_event_said_twice_counts_once(tmp_path):
    raw = make_raw()
    raw.set_annotations(raw.annotations + raw.annotations[:5])
    assert len(only([save(raw, tmp_path / "a.fif")]).runs[0].onsets) == 60


def test_reading_says_nothing(tmp_path, capfd, recwarn):
    as_bids(tmp_path, make_raw())
    read_recordings([tmp_path])
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_reading_a_list_of_channels_that_are_not_there_names_them(tmp_path):
    path = save(make_raw(), tmp_path / "a.fif")
    refused(r"a: channels=\.\.\. names C9, but the channels there are: Fp1", [path], channels=["Cz", "C9"])
    refused(r"a: reference=\.\.\. names M1, but the channels there are: Fp1", [path], reference=["M1"])


# What cannot be used


def refused(match, paths, **names):
    with pytest.raises(RecordingError, match=match):
        read_recordings(paths, **names)


def test_a_missing_path_is_refused(tmp_path):
    refused("no recording at .*gone.fif", [tmp_path / "gone.fif"])


def test_no_path_is_refused():
    refused("at least one", [])


def test_a_folder_without_recordings_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    refused("found none", [tmp_path])


@pytest.mark.parametrize("name", ["a.fif", "a.vhdr", "a.edf", "a.bdf", "a.jpg", "a.set", "a.txt"])
@pytest.mark.parametrize("content", [b"", b"this is not a recording " * 40, bytes(range(256)) * 20])
def test_a_file_that_is_no_recording_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refused("cannot read .* as a recording", [tmp_path / name])


@pytest.mark.parametrize("name", ["a.fif", "a.vhdr", "a.edf", "a.bdf"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_truncated_file_is_refused(tmp_path, name, share):
    path = save(make_raw(meas_date=datetime(2024, 5, 1, tzinfo=UTC)), tmp_path / name)
    data = path.with_suffix(".eeg") if name == "a.vhdr" else path
    data.write_bytes(data.read_bytes()[: int(share * data.stat().st_size)])
    refused("truncated|cannot read", [path])


def test_a_header_without_its_data_is_refused(tmp_path):
    path = save(make_raw(), tmp_path / "a.vhdr")
    path.with_suffix(".eeg").unlink()
    refused("cannot read", [path])


def test_the_data_of_a_header_names_the_header_to_give(tmp_path):
    path = save(make_raw(), tmp_path / "a.vhdr")
    refused("a.vhdr", [path.with_suffix(".eeg")])


def test_missing_classes_are_refused_with_the_names_there_are(tmp_path):
    path = save(make_raw(), tmp_path / "a.fif")
    refused("'rare'.*events are: 'nontarget', 'target'.*--target", [path], target="rare")
    refused("none at all", [save(make_raw(events=[]), tmp_path / "b.fif")])


def test_an_event_that_is_both_classes_is_refused(tmp_path):
    path = save(make_raw(), tmp_path / "a.fif")
    refused("matches both", [path], target="target", nontarget="Target")


def test_two_classes_at_one_onset_are_refused(tmp_path):
    raw = make_raw()
    raw.set_annotations(raw.annotations + mne.Annotations(ONSETS[2], 0.0, "nontarget"))
    refused("same onset, 3.400 s", [save(raw, tmp_path / "a.fif")])


def test_events_outside_the_data_are_refused(tmp_path):
    path = as_bids(tmp_path, make_raw())
    table = path.with_name(path.name.replace("_eeg.vhdr", "_events.tsv"))
    table.write_text(table.read_text() + "500.0\t0.0\ttarget\t2\t125000\n")
    refused("outside its data", [path])


def test_runs_of_a_session_with_other_channels_or_rates_are_refused(tmp_path):
    save(make_raw(), tmp_path / "c" / "sub-1_run-1_eeg.fif")
    save(make_raw().drop_channels(["Oz"]), tmp_path / "c" / "sub-1_run-2_eeg.fif")
    refused("same EEG channels .* Oz", [tmp_path / "c"])
    save(make_raw(), tmp_path / "r" / "sub-1_run-1_eeg.fif")
    save(make_raw(sfreq=500.0), tmp_path / "r" / "sub-1_run-2_eeg.fif")
    refused("250 Hz .* 500 Hz", [tmp_path / "r"])


@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_values_that_are_no_volts_are_refused(tmp_path, factor):
    raw = make_raw()
    raw._data *= factor
    refused("unit", [save(raw, tmp_path / "a.fif")])


def test_a_recording_without_usable_channels_is_refused(tmp_path):
    raw = make_raw()
    raw.info["bads"] = list(WEARER.channels)
    refused("every EEG channel", [save(raw, tmp_path / "a.fif")])
    refused("cannot read", [save(make_raw(types="misc"), tmp_path / "b.fif")])


def test_a_discontinuous_edf_is_refused(tmp_path):
    path = save(make_raw(meas_date=datetime(2024, 5, 1, tzinfo=UTC)), tmp_path / "a.edf")
    content = bytearray(path.read_bytes())
    content[192:197] = b"EDF+D"
    path.write_bytes(content)
    refused("EDF\\+D", [path])


def test_the_shared_recordings_are_read_as_their_readme_counts_them(shared):
    recordings = read_recordings([shared / "data/eeg/gtec-speller", shared / "data/eeg/muse-oddball"])
    assert [(r.n_targets, r.n_nontargets, len(r.runs)) for r in recordings[:3]] == [(150, 1050, 1)] * 3
    muse = recordings[3:]
    assert [r.session for r in muse] == ["ses-01", "ses-02"]
    assert sum(len(r.runs) for r in muse) == 11
    assert (sum(r.n_targets for r in muse), sum(r.n_nontargets for r in muse)) == (325, 1802)
    for recording in recordings:
        assert epoch_recording(recording, Signal()).usable.mean() > 0.98


def test_a_copy_of_a_shared_data_set_with_a_run_missing_is_still_read(shared, tmp_path):
    copy = shutil.copytree(shared / "data/eeg/muse-oddball", tmp_path / "muse")
    for file in copy.rglob("*ses-01_task-imageoddball_run-02_eeg.*"):
        file.unlink()
    first, _ = read_recordings([copy])
    assert len(first.runs) == 5
