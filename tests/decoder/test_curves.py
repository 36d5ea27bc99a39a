import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from brainloop.decoder.curves import calibration_curve, looks_curve
from brainloop.decoder.decoder import MIN_TARGETS, BrainDecoder
from brainloop.decoder.split import first_share
from brainloop.eeg.epochs import epoch_recording
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.errors import DecoderError


@pytest.fixture(scope="module")
def trials():
    found = epoch_recording(SyntheticWearer(1).calibration(600), Signal())
    usable = found.usable
    return found.data[usable], found.is_target[usable], found.onsets[usable], found.runs[usable]


def test_calibration_grows_from_twenty_targets_to_the_first_half_and_is_tested_on_the_second(trials):
    X, y, onsets, runs = trials
    points = calibration_curve(*trials, purge=0.9, method="lda")
    train, rest = first_share(onsets, runs, share=0.5, purge=0.9)
    assert y[train[: points[0].x]].sum() == MIN_TARGETS
    assert points[-1].x == len(train)
    assert 1 < len(points) <= 5
    assert {(point.n_targets, point.n_nontargets) for point in points} == {(y[rest].sum(), (~y[rest]).sum())}
    by_hand = BrainDecoder("lda").fit(X[train], y[train], onsets=onsets[train], runs=runs[train])
    assert points[-1].auc == pytest.approx(roc_auc_score(y[rest], by_hand.decision_function(X[rest])))
    assert all(point.low <= point.auc <= point.high for point in points)


def test_a_half_without_twenty_targets_gives_no_curve_but_says_why(trials):
    with pytest.raises(DecoderError, match="20 targets or more in the first half"):
        calibration_curve(*(part[:200] for part in trials), purge=0.9, method="lda")


def test_one_look_has_the_auc_of_single_trials():
    rng = np.random.default_rng(0)
    is_target = np.arange(300) % 6 == 0
    evidence = rng.normal(size=300) + is_target
    first = looks_curve(evidence, is_target)[0]
    assert first.auc == pytest.approx(roc_auc_score(is_target, evidence))
    assert (first.n_targets, first.n_nontargets) == (50, 250)


def test_independent_gaussian_looks_gain_as_theory_has_it():
    rng = np.random.default_rng(0)
    is_target = np.arange(20_000) % 2 == 0
    evidence = rng.normal(size=20_000) + 0.8 * is_target
    points = looks_curve(evidence, is_target, n_draws=2)
    for point in points:  # the separation grows with the root of the number of looks
        assert point.auc == pytest.approx(norm.cdf(0.8 * np.sqrt(point.x / 2)), abs=0.015)
        assert (point.n_targets, point.n_nontargets) == (10_000 // point.x, 10_000 // point.x)


def test_looks_end_where_five_groups_would_not_be_left():
    is_target = np.arange(100) < 16
    evidence = np.random.default_rng(0).normal(size=100)
    assert [point.x for point in looks_curve(evidence, is_target)] == [1, 2, 3]
    assert looks_curve(evidence[:40], is_target[12:52]) == []


def test_one_seed_deals_once():
    is_target = np.arange(100) < 30
    evidence = np.random.default_rng(0).normal(size=100)
    assert looks_curve(evidence, is_target) == looks_curve(evidence, is_target)
    assert looks_curve(evidence, is_target) != looks_curve(evidence, is_target, seed=1)
