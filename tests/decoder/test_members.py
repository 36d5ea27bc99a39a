"""What every member of the ensemble must keep, driven by their list."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from brainloop.decoder.members import MEMBERS, METHODS

CLASSICAL = ["lda", "xdawn_lda", "xdawn_ts"]
NETWORKS = [name for name in MEMBERS if name not in CLASSICAL]
every = pytest.mark.parametrize("member", MEMBERS)
classical = pytest.mark.parametrize("member", CLASSICAL)


def train(member, X, y, weight, folds=(), seed=0):
    return MEMBERS[member](X, y, weight, folds, seed=seed)


@pytest.fixture(scope="module")
def new(first, rest):
    return rest.X / np.sqrt((first.X**2).mean())


@pytest.fixture(scope="module")
def models(scaled):
    """Each member, trained on all trials."""
    return {member: train(member, *scaled)[-1] for member in MEMBERS}


def test_methods_are_made_of_members():
    assert all(set(members) <= set(MEMBERS) and len(set(members)) == len(members) for members in METHODS.values())


@every
def test_targets_score_higher_on_trials_not_seen(member, models, new, rest):
    scores = models[member].score(new)
    assert scores.shape == (len(new),)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert roc_auc_score(rest.y, scores) > 0.7


@every
def test_an_epoch_scores_the_same_alone_as_among_others(member, models, new):
    scores = models[member].score(new)
    np.testing.assert_allclose([models[member].score(x[None])[0] for x in new[:9]], scores[:9], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(models[member].score(new[::-1]), scores[::-1], rtol=1e-4, atol=1e-5)
    assert models[member].score(new[:0]).shape == (0,)


@every
def test_training_again_with_the_same_seed_gives_the_same_scores(member, models, scaled, new):
    np.testing.assert_array_equal(train(member, *scaled)[-1].score(new), models[member].score(new))


@pytest.mark.parametrize("member", NETWORKS)
def test_another_seed_gives_other_networks(member, models, scaled, new):
    other = train(member, *scaled, seed=1)[-1].score(new)
    assert 0.5 < np.corrcoef(other, models[member].score(new))[0, 1] < 0.999


@every
def test_there_is_a_model_for_every_fold_and_one_for_all_trials(member, scaled, new):
    trials = np.arange(len(scaled[1]))
    folds = [(trials[200:], trials[:200]), (trials[:200], trials[200:])]
    one, other, last = (model.score(new) for model in train(member, *scaled, folds))
    assert np.abs(one - other).max() > 0.01
    assert min(np.abs(one - last).max(), np.abs(other - last).max()) > 0.01


@classical
def test_a_fold_is_a_training_on_its_trials_alone(member, scaled, new):
    part = np.arange(50, 400)
    fold = train(member, *scaled, [(part, np.arange(50))])[0]
    alone = train(member, *(values[part] for values in scaled))[-1]
    np.testing.assert_array_equal(fold.score(new), alone.score(new))


@every
def test_the_label_of_a_trial_of_weight_0_is_never_looked_at(member, scaled, new):
    X, y, weight = (values[:200] for values in scaled)
    weight = np.where(np.arange(len(y)) % 5 == 1, 0.0, weight)
    wrong = np.where(weight == 0, 1 - y, y)
    one, other = train(member, X, y, weight)[-1], train(member, X, wrong, weight)[-1]
    np.testing.assert_array_equal(one.score(new), other.score(new))


@classical
def test_a_trial_of_weight_0_is_as_though_it_were_not_there(member, scaled, new):
    X, y, weight = scaled
    out = np.arange(len(y)) % 5 == 1
    noisy = np.where(out[:, None, None], 30 * X[::-1], X)
    weighted = train(member, noisy, y, np.where(out, 0.0, 1.0))[-1]
    without = train(member, X[~out], y[~out], weight[~out])[-1]
    np.testing.assert_allclose(weighted.score(new), without.score(new), rtol=1e-5, atol=1e-5)


@classical
def test_a_trial_of_weight_2_is_nearly_two_trials(member, scaled, new):
    X, y, weight = scaled
    weight = np.where(np.arange(len(y)) % 3 == 0, 2.0, 1.0)
    twice = np.repeat(np.arange(len(y)), weight.astype(int))
    weighted = train(member, X, y, weight)[-1].score(new)
    repeated = train(member, X[twice], y[twice], np.ones(len(twice)))[-1].score(new)
    # Not exactly: repeated rows seem to be worth more, so that their covariance is shrunk less.
    assert np.corrcoef(weighted, repeated)[0, 1] > 0.99


@every
def test_soft_labels_that_admit_what_is_not_known_beat_hard_ones_that_do_not(member, session, new, rest):
    X, y = session.X[:400] / np.sqrt((session.X[:400] ** 2).mean()), session.y[:400].astype(float)
    rng = np.random.default_rng(0)
    guessed = rng.random(400) < 0.5
    hard = np.where(guessed, rng.permutation(y), y)
    soft = np.where(guessed, y.mean(), y)
    by_hard, by_soft = (train(member, X, labels, np.ones(400))[-1].score(new) for labels in (hard, soft))
    assert roc_auc_score(rest.y, by_soft) > roc_auc_score(rest.y, by_hard)


@every
def test_an_average_reference_and_bridged_channels_are_no_obstacle(member, scaled, new, rest):
    def changed(X):
        X = np.concatenate([X, X[:, :1]], axis=1)
        return X - X.mean(axis=1, keepdims=True)

    X, y, weight = scaled
    assert roc_auc_score(rest.y, train(member, changed(X), y, weight)[-1].score(changed(new))) > 0.7


@every
def test_many_channels_that_repeat_each_other_are_no_obstacle(member, scaled, new, rest):
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(32, 8))

    def changed(X):
        return mixing @ X + 0.3 * rng.normal(size=(len(X), 32, X.shape[2]))

    X, y, weight = scaled
    assert roc_auc_score(rest.y, train(member, changed(X), y, weight)[-1].score(changed(new))) > 0.65
