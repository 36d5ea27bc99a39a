"""The decoder's commands, as a person types them."""

import json
import re
import sys

import mne
import numpy as np
import pytest
from typer.testing import CliRunner

from brainloop.cli import app, main
from brainloop.decoder.files import load_decoder
from brainloop.eeg.epochs import epoch_recording
from brainloop.eeg.recordings import read_recordings
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.study import Study


@pytest.fixture
def say(monkeypatch, capsys, tmp_path):
    """Run a command line in an empty folder; give what it said, to both outputs."""
    monkeypatch.chdir(tmp_path)

    def run(*words, expect=0):
        monkeypatch.setattr(sys, "argv", ["brainloop", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        assert (end.value.code or 0) == expect
        said = capsys.readouterr()
        return said.out + said.err

    return run


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    """Two sessions of one person and one of another, a FIF file each."""
    folder = tmp_path_factory.mktemp("lab")
    for number, name in enumerate(["sub-1_ses-1", "sub-1_ses-2", "sub-2_ses-1"]):
        wearer = SyntheticWearer(int(name[4]))
        is_target = np.random.default_rng(number).permutation(np.arange(400) < 60)
        run = wearer.wear(np.arange(400) * 0.2, is_target, block=number)
        raw = mne.io.RawArray(run.data, mne.create_info(list(wearer.channels), wearer.sfreq, "eeg"), verbose="error")
        names = np.where(run.is_target, "hit", "miss")
        raw.set_annotations(mne.Annotations(run.onsets - run.times[0], 0, names))
        raw.save(folder / f"{name}_task-rsvp_eeg.fif", verbose="error")
    return folder


EVENTS = ("--target-event", "hit", "--nontarget-event", "miss")


def test_decode_says_a_row_a_recording_and_writes_the_report_and_every_number(say, recordings, tmp_path):
    said = say("decode", recordings, "--method", "lda", "--json", tmp_path / "new" / "figures.json")
    figures = json.loads((tmp_path / "new" / "figures.json").read_text())
    (found,) = figures["recordings"]
    assert figures["settings"] | {"method": "lda", "by": "blocks", "seed": 0} == figures["settings"]
    assert f"{found['auc']:.3f} [{found['ci'][0]:.3f}, {found['ci'][1]:.3f}]" in said
    assert found["n"] + sum(found["rejected"].values()) == found["presentations"] == 400
    assert {"balanced_accuracy", "ece", "ece_ci", "contributions", "calibration_trials", "looks"} <= set(found)
    assert "Report: decoding.html" in said
    assert (tmp_path / "decoding.html").stat().st_size > 100_000


def test_decode_chooses_channels_reference_and_events(say, sessions, tmp_path):
    say(
        "decode", sessions / "sub-1_ses-1_task-rsvp_eeg.fif", *EVENTS, "--by", "time", "--method", "lda", "--channels",
        "pz,Oz, Cz,Fz", "--reference", "Fp1,Fp2", "--out", tmp_path, "--json", "f.json",
    )  # fmt: skip
    (found,) = json.loads((tmp_path / "f.json").read_text())["recordings"]
    assert found["channels"] == ["pz", "Oz", "Cz", "Fz"]
    assert found["trained_on"] == "the first 40 % of the recording"
    assert (tmp_path / "decoding.html").exists()


def test_decode_by_session_takes_the_persons_other_sessions(say, sessions, tmp_path):
    files = sorted(sessions.glob("sub-1*"))
    say("decode", *files, *EVENTS, "--by", "session", "--method", "lda", "--json", "f.json")
    found = json.loads((tmp_path / "f.json").read_text())["recordings"]
    assert [one["trained_on"] for one in found] == ["1 other session of the person"] * 2


def test_decode_trains_on_what_it_is_told_to(say, sessions, tmp_path):
    tested, *others = sorted(sessions.iterdir())
    named = [word for path in others for word in ("--train-on", path)]
    say("decode", tested, *named, *EVENTS, "--method", "lda", "--json", "f.json")
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["settings"]["train_on"] == ["sub-1_ses-2_task-rsvp", "sub-2_ses-1_task-rsvp"]
    assert figures["recordings"][0]["trained_on"].startswith("1 other session of the person and 1 other person")


def test_repairs_are_said(say, sessions, tmp_path):
    path = tmp_path / "flat_eeg.fif"
    raw = mne.io.read_raw_fif(sessions / "sub-1_ses-1_task-rsvp_eeg.fif", preload=True, verbose="error")
    raw._data[3] = 0
    raw.save(path, verbose="error")
    said = say("decode", path, *EVENTS, "--by", "time", "--method", "lda", "--json", "f.json")
    assert "flat_eeg: Cz is flat" in said
    (found,) = json.loads((tmp_path / "f.json").read_text())["recordings"]
    assert any("Cz" in repair for repair in found["repairs"])


def test_calibrate_writes_a_decoder_and_a_report_and_says_whether_it_will_do(say, photographs, sessions, tmp_path):
    Study.create(
        tmp_path / "study", images=photographs, target="rose", decoder="lda", target_event="hit", nontarget_event="miss"
    )
    files = sorted(sessions.glob("sub-1*"))
    said = say("calibrate", "study", *files)
    assert said.rstrip().splitlines()[-1].startswith(("Good enough to go on: AUC 0.", "Poor: AUC 0."))
    decoder = load_decoder(tmp_path / "study" / "models" / "decoder.safetensors")
    assert decoder.method == "lda"
    trials = epoch_recording(read_recordings(files[:1], target="hit", nontarget="miss")[0], Signal())
    evidence = decoder.evidence(trials.data[trials.usable])
    is_target = trials.is_target[trials.usable]
    assert evidence[is_target].mean() > 0 > evidence[~is_target].mean()
    assert "that were held out." in (tmp_path / "study" / "reports" / "calibration.html").read_text()
    Study.open(tmp_path / "study")  # it is a study still


def test_calibrate_says_what_to_do_when_the_recording_holds_no_response(say, photographs, sessions, tmp_path):
    Study.create(
        tmp_path / "study", images=photographs, target="rose", decoder="lda", target_event="hit", nontarget_event="miss"
    )
    raw = mne.io.read_raw_fif(sessions / "sub-1_ses-1_task-rsvp_eeg.fif", verbose="error")
    names = np.random.default_rng(5).permutation(raw.annotations.description)
    raw.set_annotations(mne.Annotations(raw.annotations.onset, 0, names))
    raw.save(tmp_path / "noise_eeg.fif", verbose="error")
    said = say("calibrate", "study", "noise_eeg.fif").rstrip().splitlines()[-1]
    assert said.startswith("Not good enough to go on: AUC 0.")
    assert "electrodes" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["decode", "no.fif"], "RecordingError: "),
        (["decode", "LAB"], "RecordingError: .*--target-event"),
        (["decode", "LAB", *EVENTS, "--method", "magic"], "SettingsError: .*'magic'"),
        (["decode", "LAB", *EVENTS, "--by", "time", "--train-on", "x.fif"], "SettingsError: expected --by or --train"),
        (["decode", "FILE", *EVENTS, "--by", "person"], "RecordingError: .*another person than sub-1"),
        (["decode", "FILE", *EVENTS, "--train-on", "LAB"], "RecordingError: .*sub-1_ses-1_task-rsvp in both"),
        (["decode", "FILE", *EVENTS, "--channels", "Cz,Nose"], "RecordingError: .*Nose"),
        (["calibrate", "nowhere", "FILE"], "StudyError: expected a study at nowhere"),
    ],
)
def test_a_mistake_is_one_message_without_a_traceback(say, sessions, words, expected):
    file = sessions / "sub-1_ses-1_task-rsvp_eeg.fif"
    said = say(*[{"LAB": sessions, "FILE": file}.get(word, word) for word in words], expect=1)
    assert len(said.strip().splitlines()) == 1
    assert re.search(expected, said)


def test_one_person_calibrates_one_study(say, photographs, sessions, tmp_path):
    Study.create(
        tmp_path / "study", images=photographs, target="rose", decoder="lda", target_event="hit", nontarget_event="miss"
    )
    assert "recordings of one person" in say("calibrate", "study", sessions, expect=1)
    assert not (tmp_path / "study" / "models" / "decoder.safetensors").exists()


@pytest.mark.parametrize("command", ["decode", "calibrate"])
def test_every_option_has_a_word_of_help(command):
    shown = CliRunner().invoke(app, [command, "--help"], terminal_width=200)
    assert shown.exit_code == 0
    assert "RECORDING" in shown.output


def test_real_sessions_of_two_days_teach_each_other(say, shared, tmp_path):
    folder = shared / "data" / "eeg" / "muse-oddball"
    said = say("decode", folder, "--by", "session", "--method", "lda", "--json", "f.json", "--out", "two.html")
    found = json.loads((tmp_path / "f.json").read_text())["recordings"]
    assert len(found) == 2
    assert all(one["auc"] > 0.68 for one in found)
    assert said.count("filter settling") == 2
    assert "their values are given" in (tmp_path / "two.html").read_text()
