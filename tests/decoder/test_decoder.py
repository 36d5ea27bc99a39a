"""The contract of the decoder: every method, scikit-learn's tools, and what is refused."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import (
    check_get_params_invariance,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
)

from brainloop.decoder.decoder import BrainDecoder
from brainloop.decoder.lda import train_lda
from brainloop.decoder.members import METHODS
from brainloop.decoder.split import first_share
from brainloop.eeg.epochs import epoch_recording
from brainloop.eeg.layout import Layout
from brainloop.eeg.recordings import read_recordings
from brainloop.eeg.signal import Signal
from brainloop.errors import DecoderError, SettingsError

every = pytest.mark.parametrize("method", METHODS)
single = pytest.mark.parametrize("method", [method for method, members in METHODS.items() if len(members) == 1])


# Every method


@every
def test_targets_score_higher_and_have_positive_evidence_on_trials_not_seen(method, trained, rest):
    decoder = trained(method)
    scores, evidence = decoder.decision_function(rest.X), decoder.evidence(rest.X)
    assert scores.shape == evidence.shape == (len(rest.X),)
    assert np.isfinite(scores).all()
    assert decoder.score(rest.X, rest.y) == pytest.approx(roc_auc_score(rest.y, scores))
    assert decoder.score(rest.X, rest.y) > 0.75
    assert evidence[rest.y].mean() > 0 > evidence[~rest.y].mean()
    assert (np.diff(evidence[np.argsort(scores)]) >= 0).all()


@every
def test_probabilities_are_the_evidence_at_the_prevalence_of_training(method, trained, rest):
    decoder = trained(method)
    likely, evidence = decoder.predict_proba(rest.X), decoder.evidence(rest.X)
    np.testing.assert_allclose(likely.sum(axis=1), 1)
    np.testing.assert_allclose(
        likely[:, 1] / likely[:, 0], np.exp(evidence) * decoder.prevalence_ / (1 - decoder.prevalence_)
    )
    np.testing.assert_array_equal(decoder.predict(rest.X), evidence > 0)


@every
def test_the_unit_of_the_epochs_does_not_matter(method, trained, first, rest):
    microvolts = first._replace(X=1e6 * first.X).fit(BrainDecoder(method))
    np.testing.assert_allclose(
        microvolts.decision_function(1e6 * rest.X), trained(method).decision_function(rest.X), rtol=1e-3, atol=1e-3
    )


@every
def test_the_order_of_the_trials_to_score_does_not_matter(method, trained, rest):
    decoder = trained(method)
    scores = decoder.decision_function(rest.X)
    np.testing.assert_allclose(decoder.decision_function(rest.X[::-1]), scores[::-1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(decoder.decision_function(rest.X[:1]), scores[:1], rtol=1e-4, atol=1e-5)
    assert decoder.decision_function(rest.X[:0]).shape == decoder.evidence(rest.X[:0]).shape == (0,)


@every
def test_soft_labels_of_0_and_1_are_labels_and_training_again_gives_the_same(method, trained, first, rest):
    again = first._replace(y=first.y.astype(float)).fit(BrainDecoder(method))
    np.testing.assert_array_equal(again.decision_function(rest.X), trained(method).decision_function(rest.X))
    np.testing.assert_array_equal(again.held_out_, trained(method).held_out_)
    assert again.calibration_ == trained(method).calibration_


@every
def test_the_blend_is_the_mean_of_the_members_standardised_scores(method, trained, rest):
    decoder = trained(method)
    scores = decoder.member_scores(rest.X)
    assert tuple(scores) == METHODS[method] == tuple(decoder.members_) == tuple(decoder.contributions_)
    np.testing.assert_allclose(decoder.decision_function(rest.X), np.mean(list(scores.values()), axis=0), rtol=1e-12)


@every
def test_the_auc_and_its_interval_are_those_of_the_held_out_scores(method, trained, first):
    decoder = trained(method)
    assert decoder.auc_ == pytest.approx(roc_auc_score(first.y, decoder.held_out_))
    assert decoder.auc_low_ < decoder.auc_
    assert (decoder.n_targets_, decoder.n_nontargets_) == (first.y.sum(), (~first.y).sum())
    assert decoder.prevalence_ == pytest.approx(first.y.mean())


@single
def test_a_single_member_contributes_all_there_is(method, trained):
    decoder = trained(method)
    (shares,) = decoder.contributions_.values()
    assert shares == {"auc": pytest.approx(decoder.auc_), "without": None}


def test_of_an_ensemble_it_is_said_what_the_blend_without_each_member_would_be(trained):
    decoder = trained("ensemble")
    assert all(0.5 < shares["auc"] < 1 and 0.5 < shares["without"] < 1 for shares in decoder.contributions_.values())


def test_another_random_state_gives_another_ensemble_but_the_same_lda(first, rest, trained):
    same = first.fit(BrainDecoder("lda", random_state=1))
    np.testing.assert_array_equal(same.decision_function(rest.X), trained("lda").decision_function(rest.X))
    other = first.fit(BrainDecoder("ensemble", random_state=1))
    correlation = np.corrcoef(other.decision_function(rest.X), trained("ensemble").decision_function(rest.X))[0, 1]
    assert 0.9 < correlation < 0.9999


@single
def test_permuted_labels_give_chance_and_no_evidence(method, first, rest):
    y = np.random.default_rng(0).permutation(first.y)
    decoder = first._replace(y=y).fit(BrainDecoder(method))
    assert 0.35 < decoder.auc_ < 0.65
    assert np.abs(decoder.evidence(rest.X)).mean() < 0.5


# What is held out


def reference(session, train, test):
    scale = np.sqrt((session.X**2).mean())
    model = train_lda(session.X[train] / scale, session.y[train].astype(float), np.ones(len(train)))
    return model.score(session.X[test] / scale)


def standardised(decoder):
    return decoder.held_out_ * decoder.spread_["lda"] + decoder.centre_["lda"]


def test_held_out_scores_come_from_members_that_saw_no_overlapping_epoch(first, trained):
    _, _, onsets, runs, _ = first
    others = np.array([i for i in range(80, 400) if runs[i] != 0 or onsets[i] - onsets[79] >= 0.9])
    assert len(others) < 320
    np.testing.assert_allclose(standardised(trained("lda"))[:80], reference(first, others, np.arange(80)), rtol=1e-9)
    assert (trained("lda").held_out_.mean(), trained("lda").held_out_.std()) == pytest.approx((0, 1))


def test_no_image_is_on_both_sides_of_a_held_out_score(first):
    _, _, onsets, runs, _ = first
    images = np.arange(400) % 130  # each is shown three times or more, in different blocks
    decoder = first.fit(BrainDecoder("lda"), groups=images)
    others = np.array(
        [i for i in range(80, 400) if images[i] >= 80 and (runs[i] != 0 or onsets[i] - onsets[79] >= 0.9)]
    )
    np.testing.assert_allclose(standardised(decoder)[:80], reference(first, others, np.arange(80)), rtol=1e-9)


def test_where_onsets_are_not_known_nine_trials_at_each_edge_are_left_out(first):
    decoder = BrainDecoder("lda").fit(first.X, first.y)
    others = np.arange(400)[80 + 9 :]
    np.testing.assert_allclose(standardised(decoder)[:80], reference(first, others, np.arange(80)), rtol=1e-9)


@pytest.mark.parametrize("calibration", ["platt", "isotonic", "beta"])
def test_every_calibration_gives_finite_evidence(calibration, first, rest):
    decoder = first.fit(BrainDecoder("lda", calibration))
    assert decoder.calibration_.method == calibration
    assert np.isfinite(decoder.evidence(rest.X)).all()


# Weights and soft labels


def test_trials_of_weight_0_have_no_say_in_what_is_learned_and_said(first, rest):
    weight = (np.arange(400) % 5 != 1).astype(float)
    wrong = np.where(weight == 0, ~first.y, first.y)
    one = first.fit(BrainDecoder("lda"), sample_weight=weight)
    other = first._replace(y=wrong).fit(BrainDecoder("lda"), sample_weight=weight)
    np.testing.assert_allclose(one.evidence(rest.X), other.evidence(rest.X), rtol=1e-9)
    assert (one.auc_, one.auc_low_, one.prevalence_) == (other.auc_, other.auc_low_, other.prevalence_)
    assert (one.centre_, one.spread_) == (other.centre_, other.spread_)
    assert one.n_targets_ + one.n_nontargets_ == weight.sum()


def test_a_decoder_trained_on_probabilities_tells_the_classes_apart(first, rest):
    rng = np.random.default_rng(0)
    soft = np.where(first.y, rng.uniform(0.5, 1, 400), rng.uniform(0, 0.3, 400))
    decoder = first._replace(y=soft).fit(BrainDecoder("lda"))
    assert decoder.classes_.tolist() == [0, 1]
    assert decoder.prevalence_ == pytest.approx(soft.mean())
    assert decoder.score(rest.X, rest.y) > 0.75


# Scikit-learn's tools


def test_it_keeps_scikit_learns_rules_for_parameters():
    for check in (
        check_no_attributes_set_in_init,
        check_parameters_default_constructible,
        check_get_params_invariance,
        check_set_params,
    ):
        check("BrainDecoder", BrainDecoder())


def test_a_clone_has_the_parameters_and_is_not_trained(trained, rest):
    copy = clone(trained("lda").set_params())
    assert copy.get_params() == {"method": "lda", "calibration": "platt", "random_state": 0}
    with pytest.raises(DecoderError, match="not trained: call fit"):
        copy.decision_function(rest.X)
    with pytest.raises(DecoderError, match="not trained: call fit"):
        copy.evidence(rest.X)


def test_it_is_cross_validated_by_image(session):
    images = np.arange(len(session.y)) // 3
    aucs = cross_val_score(BrainDecoder("lda"), session.X, session.y, groups=images, cv=GroupKFold(3))
    assert aucs.shape == (3,)
    assert aucs.min() > 0.7
    named = cross_val_score(BrainDecoder("lda"), session.X, session.y, cv=3, scoring="roc_auc")
    assert named.min() > 0.7


def test_it_is_the_end_of_a_pipeline(first, rest):
    pipeline = make_pipeline(FunctionTransformer(lambda X: X[:, 2:]), BrainDecoder("lda"))
    pipeline.fit(first.X, first.y, braindecoder__onsets=first.onsets, braindecoder__runs=first.runs)
    assert pipeline.score(rest.X, rest.y) > 0.75
    assert pipeline.predict_proba(rest.X).shape == (len(rest.y), 2)


def test_methods_are_chosen_by_a_grid_search(first, rest):
    search = GridSearchCV(BrainDecoder(), {"method": ["lda", "xdawn_lda"], "calibration": ["platt"]}, cv=3)
    search.fit(first.X, first.y)
    assert search.best_params_["method"] in ("lda", "xdawn_lda")
    assert search.score(rest.X, rest.y) > 0.75


@pytest.mark.parametrize("labels", [("NonTarget", "Target"), (1, 2), (-1, 1), (False, True)])
def test_labels_may_be_of_any_kind_and_the_greater_is_the_targets(labels, trained, first, rest):
    y = np.array(labels)[first.y.astype(int)]
    decoder = first._replace(y=y).fit(BrainDecoder("lda"))
    assert decoder.classes_.tolist() == list(labels)
    assert set(decoder.predict(rest.X).tolist()) == set(labels)
    np.testing.assert_array_equal(decoder.evidence(rest.X), trained("lda").evidence(rest.X))
    assert decoder.score(rest.X, np.array(labels)[rest.y.astype(int)]) > 0.75


def test_progress_is_told_of_every_member(first):
    told = []
    first.fit(BrainDecoder("lda"), progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 1), (1, 1)]


# Layouts


def other(layout, **changes):
    return Layout.from_dict(layout.to_dict() | changes)


def test_channels_in_another_order_are_put_right_by_name(trained, rest):
    decoder = trained("lda")
    order = np.random.default_rng(0).permutation(8)
    shuffled = other(rest.layout, channels=[rest.layout.channels[k].upper() for k in order])
    np.testing.assert_allclose(decoder.evidence(rest.X[:, order], shuffled), decoder.evidence(rest.X), rtol=1e-9)


def test_channels_too_many_are_left_out(trained, rest):
    more = other(rest.layout, channels=["EXG1", *rest.layout.channels])
    X = np.concatenate([rest.X[:, :1], rest.X], axis=1)
    np.testing.assert_allclose(trained("lda").evidence(X, more), trained("lda").evidence(rest.X), rtol=1e-9)


def test_channels_that_are_missing_are_named(trained, rest):
    fewer = other(rest.layout, channels=rest.layout.channels[2:])
    with pytest.raises(DecoderError, match="Fp1, Fp2 are not among those that came: Fz"):
        trained("lda").evidence(rest.X[:, 2:], fewer)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rate": 125.0}, "sampling rate of training, 62.5 Hz, got 125 Hz"),
        ({"tmin": -0.1}, "window's start"),
        ({"n_times": 50}, "number of samples"),
        ({"low": 1.0}, "lower corner"),
        ({"high": 30.0}, "upper corner"),
    ],
)
def test_another_rate_window_or_band_is_refused_by_name(trained, rest, changes, named):
    with pytest.raises(DecoderError, match=named):
        trained("lda").evidence(rest.X, other(rest.layout, **changes))


def test_a_layout_that_is_not_that_of_the_epochs_is_refused(trained, first, rest):
    more = other(rest.layout, channels=["EXG1", *rest.layout.channels])
    with pytest.raises(DecoderError, match=r"9 channels, as their layout says, got an array of shape \(\d+, 8, 57\)"):
        trained("lda").evidence(rest.X, more)
    with pytest.raises(DecoderError, match="as the layout says"):
        first._replace(layout=more).fit(BrainDecoder("lda"))


def test_epochs_of_another_shape_are_refused_by_their_numbers(trained, rest):
    with pytest.raises(DecoderError, match=r"8 channels x 57 samples.*\(\d+, 7, 57\)"):
        trained("lda").decision_function(rest.X[:, :7])
    with pytest.raises(DecoderError, match=r"\(\d+, 8, 50\)"):
        trained("lda").decision_function(rest.X[:, :, :50])
    with pytest.raises(DecoderError, match=r"\(8, 57\)"):
        trained("lda").decision_function(rest.X[0])


# What else is refused


@pytest.mark.parametrize("factor", [1e6, 1e3, 1e-3])
def test_epochs_in_another_unit_than_those_of_training_are_refused(trained, rest, factor):
    with pytest.raises(DecoderError, match="same unit, volts"):
        trained("lda").evidence(factor * rest.X)


def test_fewer_than_20_targets_are_refused_with_how_many_more_are_needed(first):
    keep = np.sort(np.concatenate([np.flatnonzero(first.y)[:13], np.flatnonzero(~first.y)[:100]]))
    with pytest.raises(DecoderError, match="13 targets and 100 non-targets: show 7 more targets"):
        first[keep].fit(BrainDecoder("lda"))


def test_targets_of_weight_0_are_not_counted(first):
    weight = 1.0 - first.y
    weight[np.flatnonzero(first.y)[:19]] = 1
    with pytest.raises(DecoderError, match="got 19 targets"):
        first.fit(BrainDecoder("lda"), sample_weight=weight)


@pytest.mark.parametrize("label", [True, False])
def test_one_class_is_refused(label, first):
    with pytest.raises(DecoderError, match=f"two classes, got 1: {label}.*20 targets or more"):
        first._replace(y=np.full(400, label)).fit(BrainDecoder("lda"))


def test_three_classes_and_labels_that_are_no_probabilities_are_refused(first):
    with pytest.raises(DecoderError, match="two classes, got 3: 0, 1, 2"):
        first._replace(y=np.arange(400) % 3).fit(BrainDecoder("lda"))
    with pytest.raises(DecoderError, match=r"from 0 to 1, got 0 to 1\.5"):
        first._replace(y=np.linspace(0, 1.5, 400)).fit(BrainDecoder("lda"))
    with pytest.raises(DecoderError, match=r"one label a trial.*\(400, 1\)"):
        first._replace(y=first.y[:, None]).fit(BrainDecoder("lda"))


def test_no_epoch_at_all_is_refused(first):
    with pytest.raises(DecoderError, match="two classes"):
        first[:0].fit(BrainDecoder("lda"))


def test_targets_that_lie_all_in_one_block_are_refused(first):
    with pytest.raises(DecoderError, match="spread the targets"):
        first._replace(y=(np.arange(400) >= 5) & (np.arange(400) < 30)).fit(BrainDecoder("lda"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_in_training_and_in_scoring(value, first, trained):
    X = first.X.copy()
    X[17, 2, 3] = value
    with pytest.raises(DecoderError, match="in 1 of 400, the first at index 17"):
        first._replace(X=X).fit(BrainDecoder("lda"))
    with pytest.raises(DecoderError, match="in 1 of 400, the first at index 17"):
        trained("lda").decision_function(X)


def test_rejected_epochs_are_refused_in_training_and_in_scoring(first, trained):
    X = first.X.copy()
    X[9] = 0
    with pytest.raises(DecoderError, match=r"only zeros in 1 of 400 epochs, the first at index 9"):
        first._replace(X=X).fit(BrainDecoder("lda"))
    with pytest.raises(DecoderError, match="only zeros"):
        trained("lda").evidence(X)


def test_channels_that_never_change_are_refused_by_name(first):
    X = first.X.copy()
    X[:, 3] = 1e-6
    with pytest.raises(DecoderError, match="the channel Cz never changes"):
        first._replace(X=X).fit(BrainDecoder("lda"))
    X[:, 5] = 0
    with pytest.raises(DecoderError, match="the channels number 3, number 5 never change:"):
        BrainDecoder("lda").fit(X, first.y)


def test_arrays_that_do_not_belong_together_are_refused(first):
    with pytest.raises(DecoderError, match="400 epochs, 399 labels"):
        first._replace(y=first.y[:399]).fit(BrainDecoder("lda"))
    with pytest.raises(DecoderError, match="onset and a run for each of 400 epochs, got 3 and 400"):
        first._replace(onsets=np.arange(3)).fit(BrainDecoder("lda"))
    with pytest.raises(DecoderError, match="group for each of 400 epochs, got 3"):
        first.fit(BrainDecoder("lda"), groups=np.arange(3))
    for weight in (np.full(400, -1.0), np.full(400, np.nan)):
        with pytest.raises(DecoderError, match="finite weights of 0 or more"):
            first.fit(BrainDecoder("lda"), sample_weight=weight)


def test_unknown_names_are_refused_with_the_known_ones(first):
    with pytest.raises(SettingsError, match="lda, xdawn_lda, xdawn_ts"):
        first.fit(BrainDecoder("svm"))
    with pytest.raises(SettingsError, match="platt, isotonic, beta"):
        first.fit(BrainDecoder("lda", "magic"))


# Real recordings, split in time 40:60


@pytest.fixture(scope="module")
def real(shared):
    """Epochs of the three g.tec and the two Muse recordings, and how each is split."""
    sessions = []
    for recording in read_recordings([shared / "data/eeg/gtec-speller", shared / "data/eeg/muse-oddball"]):
        trials = epoch_recording(recording, Signal())
        train, rest = first_share(trials.onsets, trials.runs, share=0.4, purge=Signal().duration)
        sessions.append((trials, train[trials.usable[train]], rest[trials.usable[rest]]))
    return sessions


def in_time(method, trials, train, rest, y):
    X, onsets, runs = trials.data, trials.onsets, trials.runs
    decoder = BrainDecoder(method).fit(X[train], y[train], onsets=onsets[train], runs=runs[train])
    return decoder.score(X[rest], y[rest])


@pytest.mark.parametrize(
    ("method", "published"),
    [("xdawn_ts", [0.956, 0.915, 0.834, 0.743, 0.709]), ("lda", [0.919, 0.921, 0.834, 0.705, 0.704])],
)
def test_known_references_are_reproduced_on_real_recordings(method, published, real):
    aucs = [in_time(method, trials, train, rest, trials.is_target) for trials, train, rest in real]
    np.testing.assert_allclose(aucs, published, atol=0.03)


def test_permuted_labels_give_chance_on_real_recordings(real):
    rng = np.random.default_rng(0)
    aucs = [
        in_time("xdawn_lda", trials, train, rest, rng.permutation(trials.is_target))
        for trials, train, rest in real
        for _ in range(10)
    ]
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.02)
