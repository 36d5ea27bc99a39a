"""Recordings decoded once: what they can answer, how well, and how well with a worse decoder."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from brainloop.eeg.recordings import read_recordings
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.errors import DecoderError, RecordingError, SettingsError
from brainloop.evidence import Calibration, youden
from brainloop.observers.answers import Answers, decode


@pytest.fixture(scope="module")
def decoded() -> Answers:
    """Two people, 480 presentations each, of which the last 288 answer; both jerk their heads once among them."""
    recordings = [SyntheticWearer(seed).calibration(480, prevalence=0.2) for seed in (5, 6)]
    for recording in recordings:
        run = recording.runs[-1]
        run.data[:, run.times.size // 2 :][:, :20] += 5e-3
    return decode(recordings, decoder="lda")


def usable(answers):
    epochs = [epoch for epoch in answers.epochs if epoch.response.rejected is None]
    return np.array([epoch.is_target for epoch in epochs]), np.array([epoch.response.evidence for epoch in epochs])


def test_every_epoch_after_the_first_part_answers_in_order_under_its_recordings_name(decoded):
    assert [len(one.epochs) for one in decoded.recordings] == [288, 288]
    for one in decoded.recordings:
        assert [e.response.source for e in one.epochs] == [f"{one.facts['name']}#{k}" for k in range(192, 480)]
    assert len(decoded.epochs) == 576
    assert list(decoded.erps) == [about["name"] for about in decoded.facts]
    assert decoded.soa == 0.2


def test_evidence_is_the_recordings_own_calibration_of_its_scores(decoded):
    for one in decoded.recordings:
        refitted = Calibration.fit(one.scores, one.is_target)
        responses = [epoch.response for epoch in one.epochs if epoch.response.rejected is None]
        scores = np.array([response.score for response in responses])
        np.testing.assert_array_equal(refitted.evidence(scores), [response.evidence for response in responses])


def test_auc_and_error_rate_are_those_of_the_usable_evidence_of_all_recordings(decoded):
    truth, evidence = usable(decoded)
    assert decoded.auc == pytest.approx(roc_auc_score(truth, evidence))
    assert decoded.error_rate() == pytest.approx(1 - balanced_accuracy_score(truth, expit(evidence) >= 0.5))


def test_answers_of_one_class_have_no_auc_and_no_error_rate(decoded):
    targets = tuple(epoch for epoch in decoded.epochs if epoch.is_target)
    one_class = Answers((replace(decoded.recordings[0], epochs=targets),))
    assert one_class.auc is None
    assert one_class.degraded(1, seed=0).facts[0]["auc"] is None
    with pytest.raises(RecordingError, match="both classes"):
        one_class.error_rate()


def test_the_label_threshold_comes_from_the_calibration_trials_alone(decoded):
    evidence = np.concatenate([one.calibration.evidence(one.scores) for one in decoded.recordings])
    truth = np.concatenate([one.is_target for one in decoded.recordings])
    assert decoded.label_threshold() == youden(expit(evidence), truth)
    silent = Answers(tuple(replace(one, epochs=()) for one in decoded.recordings))
    assert silent.label_threshold() == decoded.label_threshold()


def test_without_noise_a_degraded_decoder_is_the_decoder_it_was(decoded):
    same = decoded.degraded(0, seed=0)
    assert [e.response.evidence for e in same.epochs] == [e.response.evidence for e in decoded.epochs]
    assert same.facts == decoded.facts
    assert same.label_threshold() == decoded.label_threshold()


def test_more_noise_makes_a_worse_decoder_whose_facts_say_so(decoded):
    worse = [decoded.degraded(noise, seed=0) for noise in (0.0, 1.0, 3.0)]
    for measure in ("auc", "auc_calibration"):
        levels = np.array([[about[measure] for about in answers.facts] for answers in worse])
        assert (np.diff(levels, axis=0) < 0).all()
    assert worse[0].auc > worse[1].auc > worse[2].auc
    assert worse[0].error_rate() < worse[1].error_rate() < worse[2].error_rate()
    for answers in worse:
        for one in answers.recordings:
            scores = [(e.is_target, e.response.score) for e in one.epochs if e.response.rejected is None]
            assert one.facts["auc"] == pytest.approx(roc_auc_score(*zip(*scores, strict=True)))


def test_the_noise_has_the_spread_that_was_asked_for_and_spares_rejected_epochs(decoded):
    noisy = decoded.degraded(2.0, seed=0)
    assert any(epoch.response.rejected for epoch in noisy.epochs)
    for before, after in zip(decoded.recordings, noisy.recordings, strict=True):
        added = np.array(
            [b.response.score - a.response.score for a, b in zip(before.epochs, after.epochs, strict=True)]
        )
        assert np.nanstd(added) / before.scores.std() == pytest.approx(2.0, rel=0.15)
        assert np.std(after.scores - before.scores) / before.scores.std() == pytest.approx(2.0, rel=0.15)
        for epoch in after.epochs:
            assert (epoch.response.rejected is not None) == np.isnan(epoch.response.score)
            assert epoch.response.rejected is None or epoch.response.evidence == 0


def test_noisy_evidence_is_still_calibrated(decoded):
    truth, evidence = usable(decoded.degraded(2.0, seed=0))
    prior = np.log(truth.mean() / (1 - truth.mean()))
    sign = np.where(truth, 1, -1)
    assert np.logaddexp(0, -sign * (prior + evidence)).mean() < np.logaddexp(0, -sign * prior).mean()


def test_one_seed_gives_one_noise_and_another_gives_another(decoded):
    first, again, other = (usable(decoded.degraded(1.0, seed=seed))[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("noise", [-0.1, np.nan, np.inf])
def test_noise_that_is_no_spread_is_refused(decoded, noise):
    with pytest.raises(SettingsError, match="0 or more"):
        decoded.degraded(noise, seed=0)


def test_decoding_tells_how_far_it_is():
    seen = []
    decode(
        [SyntheticWearer(5).calibration(400)], decoder="lda", progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(0, 1), (1, 1)]


def test_a_recording_with_too_few_targets_is_refused():
    with pytest.raises(DecoderError, match="20"):
        decode([SyntheticWearer(5).calibration(100)])


def test_real_recordings_answer_with_the_discrimination_the_field_knows(shared):
    """Reference: xDAWN covariances in tangent space, trained on the first 40 % in time: .956, .915, .834."""
    about = decode(read_recordings([shared / "data" / "eeg" / "gtec-speller"]), decoder="xdawn_ts").facts
    np.testing.assert_allclose([one["auc"] for one in about], [0.956, 0.915, 0.834], atol=0.03)
    assert [one["soa"] for one in about] == pytest.approx([0.176] * 3, abs=0.005)
