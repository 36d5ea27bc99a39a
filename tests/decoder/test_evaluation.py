"""What is measured of scored trials, against definitions written out and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from brainloop.decoder.decoder import BrainDecoder
from brainloop.decoder.evaluation import balanced_accuracy, ece, ece_interval, score_folds, score_trials
from brainloop.decoder.members import METHODS
from brainloop.decoder.split import first_share, in_blocks
from brainloop.eeg.epochs import epoch_recording
from brainloop.eeg.layout import Layout
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.errors import DecoderError, SettingsError


def written_out(p, y, n_bins):
    """The calibration error as its definition says, for probabilities that differ."""
    total = 0.0
    for members in np.array_split(np.argsort(p), n_bins):
        total += len(members) * abs(p[members].mean() - y[members].mean())
    return total / len(p)


@pytest.mark.parametrize(("n", "n_bins"), [(1200, 15), (203, 15), (60, 7), (20, 20)])
def test_the_calibration_error_is_what_its_definition_says(n, n_bins):
    rng = np.random.default_rng(n)
    p = rng.beta(1, 6, n)
    y = rng.random(n) < p**1.5
    assert ece(p, y, n_bins) == pytest.approx(written_out(p, y, n_bins), abs=1e-12)


def test_where_all_probabilities_are_the_same_the_error_is_their_distance_from_the_share_of_targets():
    y = np.arange(300) < 30
    assert ece(np.full(300, 0.25), y) == pytest.approx(0.15)


def test_a_bin_holds_one_trial_where_there_are_fewer_trials_than_bins():
    assert ece([0.1, 0.4, 0.8], [False, False, True]) == pytest.approx((0.1 + 0.4 + 0.2) / 3)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=60), st.randoms())
def test_the_order_of_trials_has_no_say_even_among_ties(trials, random):
    shuffled = list(trials)
    random.shuffle(shuffled)

    def of(pairs):
        return ece([level / 4 for level, _ in pairs], [target for _, target in pairs])

    assert of(trials) == pytest.approx(of(shuffled), abs=1e-12)
    assert 0 <= of(trials) <= 1


def test_true_probabilities_show_the_error_of_chance_and_wrong_ones_more():
    rng = np.random.default_rng(0)
    p = rng.beta(1, 6, 3000)
    right = ece_interval(p, rng.random(3000) < p)
    wrong = ece_interval(p, rng.random(3000) < expit(2 * logit(p)))
    assert right.chance == pytest.approx(np.mean([ece(p, rng.random(3000) < p) for _ in range(200)]), rel=0.1)
    assert right.value < 2 * right.chance
    assert wrong.low > 2 * wrong.chance


def test_the_interval_of_the_calibration_error_holds_its_value_and_covers_what_other_samples_show():
    rng = np.random.default_rng(1)
    p = rng.beta(1, 6, 1000)
    truth = expit(1.5 * logit(p))
    intervals = [ece_interval(p, rng.random(1000) < truth, n_resamples=200) for _ in range(40)]
    assert all(0 <= one.low <= one.value <= one.high for one in intervals)
    typical = np.mean([one.value for one in intervals])
    assert np.mean([one.low <= typical <= one.high for one in intervals]) > 0.85


def test_the_interval_follows_from_the_seed():
    p, y = np.linspace(0.01, 0.5, 200), np.arange(200) % 5 == 0
    assert ece_interval(p, y, seed=3) == ece_interval(p, y, seed=3)
    assert ece_interval(p, y, seed=3) != ece_interval(p, y, seed=4)


@pytest.mark.parametrize(
    ("p", "y", "words"),
    [
        ([], [], "one probability and one truth"),
        ([0.1, 0.2], [True], r"\(2,\) and \(1,\)"),
        ([0.1, 1.2], [True, False], "0.1 to 1.2"),
        ([0.1, np.nan], [True, False], "from 0 to 1"),
    ],
)
def test_what_is_no_probability_is_refused(p, y, words):
    for measure in (ece, ece_interval):
        with pytest.raises(DecoderError, match=words):
            measure(p, y)


def test_balanced_accuracy_is_that_of_scikit_learn():
    rng = np.random.default_rng(2)
    evidence, truth = rng.normal(size=300), rng.random(300) < 0.2
    assert balanced_accuracy(evidence, truth) == pytest.approx(balanced_accuracy_score(truth, evidence > 0))
    assert balanced_accuracy(np.zeros(300), truth) == 0.5


@pytest.fixture(scope="module")
def trials():
    recording = SyntheticWearer(1).calibration(400)
    cut = epoch_recording(recording, Signal())
    usable = cut.usable
    layout = Layout.of(recording.channels, recording.sfreq, Signal())
    return cut.data[usable], cut.is_target[usable], cut.onsets[usable], cut.runs[usable], layout


@pytest.fixture(scope="module")
def scored(trials):
    X, y, onsets, runs, layout = trials
    return score_folds(X, y, onsets, runs, in_blocks(onsets, runs, purge=0.9), method="lda", layout=layout)


def test_every_trial_of_five_blocks_is_scored_once_in_the_order_of_the_folds(trials, scored):
    _, y, onsets, runs, _ = trials
    folds = in_blocks(onsets, runs, purge=0.9)
    np.testing.assert_array_equal(scored.trials, np.concatenate([test for _, test in folds]))
    assert sorted(scored.trials) == list(range(len(y)))
    np.testing.assert_array_equal(scored.is_target, y[scored.trials])


def test_scores_are_those_of_a_decoder_that_was_fitted_by_hand(trials, scored):
    X, y, onsets, runs, _ = trials
    train, test = in_blocks(onsets, runs, purge=0.9)[2]
    decoder = BrainDecoder("lda").fit(X[train], y[train], onsets=onsets[train], runs=runs[train])
    here = np.isin(scored.trials, test)
    np.testing.assert_allclose(scored.score[here], decoder.decision_function(X[test]))
    np.testing.assert_allclose(scored.evidence[here], decoder.evidence(X[test]))
    np.testing.assert_allclose(scored.probability[here], decoder.predict_proba(X[test])[:, 1])


def test_labels_of_what_is_tested_have_no_say_in_its_scores(trials):
    X, y, onsets, runs, _ = trials
    fold = first_share(onsets, runs, purge=0.9)
    other = y.copy()
    other[fold[1]] = ~other[fold[1]]
    one, two = (score_folds(X, labels, onsets, runs, [fold], method="lda") for labels in (y, other))
    np.testing.assert_array_equal(one.score, two.score)
    assert one.summary()["auc"] == pytest.approx(1 - two.summary()["auc"])


def test_the_summary_is_that_of_scikit_learn_and_of_the_measures_above(scored):
    figures = scored.summary()
    assert figures["auc"] == pytest.approx(roc_auc_score(scored.is_target, scored.score))
    assert figures["ci"][0] < figures["auc"] < figures["ci"][1]
    assert figures["balanced_accuracy"] == balanced_accuracy(scored.evidence, scored.is_target)
    assert figures["ece"] == ece(scored.probability, scored.is_target)
    assert (figures["n"], figures["n_targets"]) == (400, scored.is_target.sum())
    assert figures["auc"] > 0.75
    assert "members" not in figures
    assert scored.fit_s > 0
    assert scored.score_ms > 0


def test_the_summary_of_several_members_gives_each(trials, monkeypatch):
    X, y, onsets, runs, _ = trials
    monkeypatch.setitem(METHODS, "two", ("lda", "xdawn_lda"))
    scored = score_folds(X, y, onsets, runs, [first_share(onsets, runs, purge=0.9)], method="two")
    np.testing.assert_allclose(scored.score, (scored.members["lda"] + scored.members["xdawn_lda"]) / 2)
    alone = scored.summary()["members"]
    assert alone["lda"] == pytest.approx(roc_auc_score(scored.is_target, scored.members["lda"]))
    assert set(alone) == {"lda", "xdawn_lda"}


def test_progress_tells_the_folds(trials):
    X, y, onsets, runs, _ = trials
    told = []
    score_folds(
        X, y, onsets, runs, in_blocks(onsets, runs, n_blocks=2, purge=0.9), method="lda",
        progress=lambda *at: told.append(at),
    )  # fmt: skip
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_trials_of_one_class_cannot_be_measured_and_say_so(trials):
    X, y, onsets, runs, _ = trials
    decoder = BrainDecoder("lda").fit(X, y, onsets=onsets, runs=runs)
    scored = score_trials(decoder, X, y, np.flatnonzero(~y)[:30], fit_s=1.0)
    with pytest.raises(DecoderError, match="0 targets among 30: test on a longer part"):
        scored.summary()


def test_too_few_targets_and_unknown_methods_are_refused(trials):
    X, y, onsets, runs, _ = trials
    with pytest.raises(DecoderError, match="20 usable epochs"):
        score_folds(X, y, onsets, runs, [first_share(onsets, runs, share=0.1, purge=0.9)], method="lda")
    with pytest.raises(SettingsError, match="'best'"):
        score_folds(X, y, onsets, runs, [first_share(onsets, runs, purge=0.9)], method="best")
