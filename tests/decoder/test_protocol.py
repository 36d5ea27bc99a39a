from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from brainloop.decoder.decoder import BrainDecoder
from brainloop.decoder.protocol import DecoderSettings, calibrate, decode_recordings, join
from brainloop.decoder.split import first_share
from brainloop.eeg.epochs import epoch_recording
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.errors import DecoderError, RecordingError, SettingsError

LDA = DecoderSettings("lda")


@cache
def session(person=1, number=1):
    """Session of a person: sessions differ in their noise and their schedule."""
    wearer = SyntheticWearer(person)
    rng = np.random.default_rng([person, number])
    runs = [
        wearer.wear(np.arange(100) * 0.2, rng.permutation(np.arange(100) < 15), block=10 * number + run)
        for run in range(4)
    ]
    like = wearer.calibration(100)
    name = f"sub-{person}_ses-{number}"
    return replace(like, name=name, person=f"sub-{person}", session=f"ses-{number}", dataset="lab", runs=tuple(runs))


def relabelled(recording, first_run=0, seed=0):
    """The same signal with other labels from a run on."""
    rng = np.random.default_rng(seed)
    runs = [
        replace(run, is_target=rng.permutation(run.is_target)) if number >= first_run else run
        for number, run in enumerate(recording.runs)
    ]
    return replace(recording, runs=tuple(runs))


def auc(decoding):
    return roc_auc_score(decoding.scored.is_target, decoding.scored.score)


@cache
def in_blocks():
    return decode_recordings([session()], LDA)[0]


def test_in_blocks_every_usable_trial_is_scored_once():
    found = in_blocks()
    np.testing.assert_array_equal(np.sort(found.scored.trials), np.arange(found.trials.usable.sum()))
    usable = found.trials.is_target[found.trials.usable]
    np.testing.assert_array_equal(found.scored.is_target, usable[found.scored.trials])
    assert auc(found) > 0.65
    assert "four of five blocks" in found.trained_on


def test_permuted_labels_give_chance():
    aucs = [auc(decode_recordings([relabelled(session(), seed=seed)], LDA)[0]) for seed in range(6)]
    assert abs(np.mean(aucs) - 0.5) < 0.08


def test_in_time_the_labels_of_what_is_tested_have_no_say():
    told = decode_recordings([session()], LDA, by="time")[0]
    other = decode_recordings([relabelled(session(), first_run=2)], LDA, by="time")[0]  # 40 % end in the second run
    np.testing.assert_array_equal(told.scored.score, other.scored.score)
    trials = told.trials
    usable = trials.usable
    _, rest = first_share(trials.onsets[usable], trials.runs[usable], share=0.4, purge=0.9)
    np.testing.assert_array_equal(told.scored.trials, rest)


@pytest.mark.parametrize(
    ("by", "others"), [("session", [session(1, 2), session(2)]), ("person", [session(2), session(3)])]
)
def test_a_recording_held_out_is_scored_without_its_labels(by, others):
    if by == "session":
        others = [*others, session(2, 2)]
    told = decode_recordings([session(), *others], LDA, by=by)[0]
    other = decode_recordings([relabelled(session()), *others], LDA, by=by)[0]
    np.testing.assert_array_equal(told.scored.evidence, other.scored.evidence)
    assert auc(told) > 0.65


def test_by_session_a_persons_other_sessions_train_and_nobody_elses():
    found = decode_recordings([session(1, 1), session(1, 2), session(2, 1), session(2, 2)], LDA, by="session")
    alone = decode_recordings([session(1, 1), session(1, 2)], LDA, by="session")
    np.testing.assert_array_equal(found[0].scored.score, alone[0].scored.score)
    trials = [epoch_recording(session(1, number), LDA.signal) for number in (1, 2)]
    X, y = ([getattr(t, what)[t.usable] for t in trials] for what in ("data", "is_target"))
    onsets, runs = ([getattr(t, what)[t.usable] for t in trials] for what in ("onsets", "runs"))
    by_hand = BrainDecoder("lda").fit(X[1], y[1], onsets=onsets[1], runs=runs[1])
    np.testing.assert_allclose(found[0].scored.evidence, by_hand.evidence(X[0]))
    assert found[0].trained_on == "1 other session of the person"


def test_channels_of_people_are_brought_together_by_name():
    def reordered(recording):
        turned = recording.pick(recording.channels[::-1])
        renamed = tuple(name.upper() for name in turned.channels[:-1])
        return turned.pick(renamed)  # one channel less too

    whole = [recording.pick(recording.channels[1:]) for recording in (session(), session(2), session(3))]
    expected = decode_recordings(whole, LDA, by="person")[0]
    found = decode_recordings([session(), reordered(session(2)), session(3)], LDA, by="person")[0]
    assert found.recording.channels == session().channels[1:]
    np.testing.assert_allclose(found.scored.score, expected.scored.score)


def test_what_trains_may_be_named():
    only = decode_recordings([session(1, 2)], LDA, train_on=[session(1, 1)])[0]
    assert only.trained_on == "1 other session of the person"
    both = decode_recordings([session(1, 2)], LDA, train_on=[session(1, 1), session(2), session(3)])[0]
    assert both.trained_on.startswith("1 other session of the person and 2 other people, aligned")
    assert min(auc(only), auc(both)) > 0.65


def test_the_contribution_of_each_member_is_that_of_its_scores():
    (found,) = decode_recordings([session()], DecoderSettings("lda"), by="time")
    assert found.contributions == {"lda": {"auc": pytest.approx(auc(found)), "without": None}}


def test_rejected_trials_are_counted_by_their_reason():
    loud = [replace(run, data=run.data.copy()) for run in session().runs]
    loud[0].data[0, 2500:2520] += 2e-3
    (found,) = decode_recordings([replace(session(), runs=tuple(loud))], LDA)
    assert found.rejections["amplitude"] > 2
    assert sum(found.rejections.values()) + len(found.scored.trials) == 400


def test_a_calibration_trains_on_all_trials_and_scores_each_held_out():
    decoder, found = calibrate([session(1, 1), session(1, 2)], LDA)
    trials = epoch_recording(join([session(1, 1), session(1, 2)]), LDA.signal)
    X, y = trials.data[trials.usable], trials.is_target[trials.usable]
    by_hand = BrainDecoder("lda").fit(X, y, onsets=trials.onsets[trials.usable], runs=trials.runs[trials.usable])
    np.testing.assert_array_equal(decoder.decision_function(X), by_hand.decision_function(X))
    np.testing.assert_array_equal(found.scored.score, by_hand.held_out_)
    assert decoder.layout_.channels == session().channels
    # By five calibrations in place of one, each of which does not know the block that it is used on.
    assert not np.array_equal(found.scored.evidence, by_hand.calibration_.evidence(by_hand.held_out_))
    assert np.corrcoef(found.scored.evidence, by_hand.calibration_.evidence(by_hand.held_out_))[0, 1] > 0.99


def test_sessions_are_joined_run_by_run_with_the_channels_that_all_have():
    second = session(1, 2).pick(session(1, 2).channels[:3])
    joined = join([session(1, 1), second])
    assert joined.channels == second.channels
    assert len(joined.runs) == 8
    np.testing.assert_array_equal(joined.runs[7].data, second.runs[3].data)


@pytest.mark.parametrize(
    ("recordings", "options", "error", "words"),
    [
        ([session()], {"by": "session"}, RecordingError, "another session of sub-1"),
        ([session(), session(1, 2)], {"by": "person"}, RecordingError, "another person than sub-1"),
        ([session()], {"train_on": [session(2), session()]}, RecordingError, "sub-1_ses-1 in both"),
        ([session()], {"by": "moon"}, SettingsError, "'moon'"),
        ([session()], {"train_on": [replace(session(2), sfreq=256.0)]}, RecordingError, "256 Hz in sub-2_ses-1"),
        (
            [session()],
            {"train_on": [replace(session(2), channels=tuple("ABCDEFGH"))]},
            RecordingError,
            "a channel that all recordings have",
        ),
    ],
)
def test_what_cannot_be_split_is_refused_by_name(recordings, options, error, words):
    with pytest.raises(error, match=words):
        decode_recordings(recordings, LDA, **options)


def test_too_few_targets_are_refused_with_the_recordings_name():
    short = replace(session(2), runs=session(2).runs[:1])
    for work in (lambda: decode_recordings([session(), short], LDA), lambda: calibrate([short], LDA)):
        with pytest.raises(DecoderError, match=r"sub-2_ses-1: .*20"):
            work()


def test_a_calibration_of_several_people_is_refused():
    with pytest.raises(RecordingError, match="lab/sub-1, lab/sub-2"):
        calibrate([session(), session(2)], LDA)


def test_progress_ends_at_its_total():
    seen = []
    decode_recordings([session(), session(2)], LDA, progress=lambda done, total: seen.append((done, total)))
    assert seen[0][0] == 0
    assert seen[-1][0] == seen[-1][1]
    shares = [done / total for done, total in seen]
    assert shares == sorted(shares)
