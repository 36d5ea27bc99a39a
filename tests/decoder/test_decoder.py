from functools import cache

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from brainloop.decoder.decoder import Decoder
from brainloop.decoder.pipelines import PIPELINES
from brainloop.decoder.split import first_share
from brainloop.eeg.epochs import epoch_recording
from brainloop.eeg.recordings import read_recordings
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.errors import BrainloopError, DecoderError, SettingsError

SPEC = Signal()


@cache
def session():
    trials = epoch_recording(SyntheticWearer(5).calibration(400), SPEC)
    ok = trials.usable
    return trials.data[ok], trials.is_target[ok], trials.onsets[ok], trials.runs[ok]


@cache
def trained(pipeline="lda"):
    X, y, onsets, runs = session()
    return Decoder(pipeline).fit(X[:300], y[:300], onsets=onsets[:300], runs=runs[:300])


# The contract of every pipeline


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_targets_score_higher_and_have_positive_evidence_on_trials_not_seen(pipeline):
    X, y, _, _ = session()
    decoder = trained(pipeline)
    scores = decoder.score(X[300:])
    evidence = decoder.evidence(scores)
    assert scores.shape == evidence.shape == (len(X) - 300,)
    assert roc_auc_score(y[300:], scores) > 0.7
    assert evidence[y[300:]].mean() > 0 > evidence[~y[300:]].mean()
    assert (np.diff(evidence[np.argsort(scores)]) >= 0).all()


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_training_twice_gives_the_same_scores(pipeline):
    X, y, onsets, runs = session()
    again = Decoder(pipeline).fit(X[:300], y[:300], onsets=onsets[:300], runs=runs[:300])
    np.testing.assert_array_equal(again.score(X[300:]), trained(pipeline).score(X[300:]))
    assert again.calibration_ == trained(pipeline).calibration_


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_an_epoch_scores_the_same_alone_as_among_others(pipeline):
    X = session()[0][300:310]
    decoder = trained(pipeline)
    np.testing.assert_allclose([decoder.score(x[None])[0] for x in X], decoder.score(X), rtol=1e-6)
    assert decoder.score(X[:0]).shape == (0,)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_gain_of_the_amplifier_does_not_matter_to_what_is_learned(pipeline):
    X, y, onsets, runs = session()
    louder = Decoder(pipeline).fit(10 * X[:300], y[:300], onsets=onsets[:300], runs=runs[:300])
    # The tangent space and the shrinkage are invariant to scale, up to the convergence of the mean.
    assert np.corrcoef(louder.score(10 * X[300:]), trained(pipeline).score(X[300:]))[0, 1] > 0.999


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_permuted_labels_give_chance_and_no_evidence(pipeline):
    X, y, onsets, runs = session()
    y = np.random.default_rng(0).permutation(y)
    decoder = Decoder(pipeline).fit(X[:300], y[:300], onsets=onsets[:300], runs=runs[:300])
    assert 0.35 < decoder.auc_ < 0.65
    assert np.abs(decoder.evidence(decoder.score(X[300:]))).mean() < 0.5


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_an_average_reference_or_a_bridged_channel_is_no_obstacle(pipeline):
    X, y, onsets, runs = session()
    for dependent in (X - X.mean(axis=1, keepdims=True), np.concatenate([X, X[:, :1]], axis=1)):
        decoder = Decoder(pipeline).fit(dependent[:300], y[:300], onsets=onsets[:300], runs=runs[:300])
        assert roc_auc_score(y[300:], decoder.score(dependent[300:])) > 0.7


# What a decoder has learned


def test_lda_is_sklearns_shrinkage_lda_on_every_other_sample():
    X, y, _, _ = session()
    features = X[:, :, :56].reshape(len(X), 8, 28, 2).mean(axis=3).reshape(len(X), -1)
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(features[:300], y[:300])
    np.testing.assert_allclose(
        trained().score(X[300:]), reference.decision_function(features[300:]), rtol=1e-6, atol=1e-8
    )


def test_held_out_scores_come_from_pipelines_that_saw_no_overlapping_epoch():
    X, y, onsets, runs = session()
    X, y, onsets, runs = X[:300], y[:300], onsets[:300], runs[:300]
    first = np.arange(60)
    others = np.array([i for i in range(60, 300) if runs[i] != 0 or onsets[i] - onsets[59] >= 0.9])
    assert len(others) < 240
    reference = PIPELINES["lda"]().fit(X[others], y[others]).decision_function(X[first])
    np.testing.assert_allclose(trained().held_out_[first], reference)
    assert trained().auc_ == pytest.approx(roc_auc_score(y, trained().held_out_))
    assert trained().auc_low_ < trained().auc_


def test_no_image_is_on_both_sides_of_a_held_out_score():
    X, y, onsets, runs = session()
    X, y, onsets, runs = X[:300], y[:300], onsets[:300], runs[:300]
    images = np.arange(300) % 100  # each is shown three times, in different blocks
    decoder = Decoder("lda").fit(X, y, onsets=onsets, runs=runs, groups=images)
    others = np.array(
        [i for i in range(60, 300) if images[i] >= 60 and (runs[i] != 0 or onsets[i] - onsets[59] >= 0.9)]
    )
    reference = PIPELINES["lda"]().fit(X[others], y[others]).decision_function(X[:60])
    np.testing.assert_allclose(decoder.held_out_[:60], reference)


@pytest.mark.parametrize("calibration", ["platt", "isotonic", "beta"])
def test_every_calibration_gives_finite_evidence(calibration):
    X, y, onsets, runs = session()
    decoder = Decoder("lda", calibration).fit(X[:300], y[:300], onsets=onsets[:300], runs=runs[:300])
    assert np.isfinite(decoder.evidence(decoder.score(X[300:]))).all()


# What it refuses


def fit_with(**changes):
    X, y, onsets, runs = session()
    values = {"X": X[:300], "y": y[:300], "onsets": onsets[:300], "runs": runs[:300], **changes}
    return Decoder("lda").fit(values["X"], values["y"], onsets=values["onsets"], runs=values["runs"])


def test_fewer_than_20_targets_are_refused_with_how_many_more_are_needed():
    X, y, onsets, runs = session()
    keep = np.sort(np.concatenate([np.flatnonzero(y)[:13], np.flatnonzero(~y)[:100]]))
    with pytest.raises(DecoderError, match="13 targets and 100 non-targets: show 7 more targets"):
        fit_with(X=X[keep], y=y[keep], onsets=onsets[keep], runs=runs[keep])


@pytest.mark.parametrize("label", [True, False])
def test_one_class_is_refused(label):
    with pytest.raises(DecoderError, match="20 usable epochs of each class"):
        fit_with(y=np.full(300, label))


def test_no_epoch_at_all_is_refused():
    X, y, onsets, runs = (a[:0] for a in session())
    with pytest.raises(DecoderError, match="0 targets"):
        fit_with(X=X, y=y, onsets=onsets, runs=runs)


def test_targets_that_lie_all_in_one_block_are_refused():
    y = np.zeros(300, dtype=bool)
    y[5:30] = True
    with pytest.raises(DecoderError, match="spread the targets"):
        fit_with(y=y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_in_training_and_in_scoring(value):
    X = session()[0][:300].copy()
    X[17, 2, 3] = value
    with pytest.raises(DecoderError, match="first at index 17"):
        fit_with(X=X)
    with pytest.raises(DecoderError, match="first at index 17"):
        trained().score(X)
    with pytest.raises(DecoderError, match="finite scores"):
        trained().evidence(np.array([0.0, value]))


def test_rejected_epochs_are_refused_in_training_and_in_scoring():
    X = session()[0][:300].copy()
    X[9] = 0
    with pytest.raises(DecoderError, match=r"only zeros in 1 of 300 epochs, the first at index 9"):
        fit_with(X=X)
    with pytest.raises(DecoderError, match="only zeros"):
        trained().score(X)


def test_epochs_of_another_shape_are_refused_by_their_numbers():
    X = session()[0]
    with pytest.raises(DecoderError, match=r"8 channels x 57 samples.*\(400, 7, 57\)"):
        trained().score(X[:, :7])
    with pytest.raises(DecoderError, match=r"\(400, 8, 50\)"):
        trained().score(X[:, :, :50])
    with pytest.raises(DecoderError, match=r"\(8, 57\)"):
        trained().score(X[0])


def test_arrays_that_do_not_belong_together_are_refused():
    with pytest.raises(DecoderError, match="shapes"):
        fit_with(y=session()[1][:299])
    X, y, onsets, runs = session()
    with pytest.raises(DecoderError, match="group"):
        Decoder("lda").fit(X, y, onsets=onsets, runs=runs, groups=np.arange(3))


def test_an_untrained_decoder_and_unknown_names_are_refused():
    with pytest.raises(DecoderError, match="not trained"):
        Decoder().score(session()[0])
    with pytest.raises(DecoderError, match="not calibrated"):
        Decoder().evidence(np.zeros(3))
    X, y, onsets, _ = session()
    with pytest.raises(SettingsError, match="xdawn_ts, lda"):
        Decoder("svm").fit(X, y, onsets=onsets)
    with pytest.raises(BrainloopError, match="platt"):
        Decoder("lda", "magic").fit(X, y, onsets=onsets)


# Real recordings, split in time 40:60


def in_time(recording, pipeline, permute=None):
    trials = epoch_recording(recording, SPEC)
    train, rest = first_share(trials.onsets, trials.runs, share=0.4, purge=SPEC.duration)
    train, rest = train[trials.usable[train]], rest[trials.usable[rest]]
    y = trials.is_target if permute is None else permute.permutation(trials.is_target)
    fitted = PIPELINES[pipeline]().fit(trials.data[train], y[train])
    return roc_auc_score(y[rest], fitted.decision_function(trials.data[rest]))


@pytest.mark.parametrize(
    ("pipeline", "gtec", "muse"),
    [("xdawn_ts", [0.956, 0.915, 0.834], [0.743, 0.709]), ("lda", [0.919, 0.921, 0.834], [0.705, 0.704])],
)
def test_known_references_are_reproduced_on_real_recordings(shared, pipeline, gtec, muse):
    recordings = read_recordings([shared / "data/eeg/gtec-speller", shared / "data/eeg/muse-oddball"])
    aucs = [in_time(recording, pipeline) for recording in recordings]
    np.testing.assert_allclose(aucs, gtec + muse, atol=0.03)


def test_permuted_labels_give_chance_on_real_recordings(shared):
    recordings = read_recordings([shared / "data/eeg/gtec-speller", shared / "data/eeg/muse-oddball"])
    rng = np.random.default_rng(0)
    aucs = [in_time(recording, "lda", rng) for recording in recordings for _ in range(10)]
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.02)
