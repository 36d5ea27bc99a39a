import numpy as np
import pytest
import torch

from brainloop.decoder.training import NETWORKS, Recipe, _kept, euclidean_whitener, train_networks

every = pytest.mark.parametrize("kind", NETWORKS)


def module(kind, n_members=3):
    torch.manual_seed(0)
    return NETWORKS[kind](5, 57, n_members)


def of_member(values, member, n_members=3):
    """A member's part of a parameter, buffer or gradient."""
    return values.chunk(n_members)[member]


@every
def test_what_one_member_has_changes_its_own_output_and_no_other(kind):
    networks, x = module(kind).eval(), torch.randn(4, 5, 57)
    before = networks(x).detach()
    assert before.shape == (4, 3)
    for name, values in networks.state_dict().items():
        if values.ndim == 0:
            continue  # the number of batches that a normalisation has seen
        kept = values.clone()
        of_member(values, 1).add_(0.5)
        after = networks(x).detach()
        values.copy_(kept)
        torch.testing.assert_close(after[:, [0, 2]], before[:, [0, 2]], rtol=0, atol=0, msg=name)
        assert (after[:, 1] != before[:, 1]).any(), name


@every
def test_the_loss_of_one_member_has_no_gradient_in_the_others(kind):
    networks = module(kind).train()
    networks(torch.randn(8, 5, 57), torch.Generator())[:, 1].square().sum().backward()
    for name, values in networks.named_parameters():
        assert values.grad is not None
        assert not of_member(values.grad, 0).any(), name
        assert not of_member(values.grad, 2).any(), name
        if name not in ("time.weight", "scales.0.weight"):
            assert of_member(values.grad, 1).any(), name


@every
def test_ten_members_have_ten_times_the_parameters_of_one(kind):
    one, ten = (sum(values.numel() for values in module(kind, n).parameters()) for n in (1, 10))
    assert ten == 10 * one


@every
def test_a_fold_never_learns_the_labels_that_it_is_held_out_from(kind, scaled):
    X, y, weight = (values[:200] for values in scaled)
    trials = np.arange(200)
    folds = [(trials[60:], trials[:60]), (trials[:140], trials[140:])]
    recipe = Recipe(n_members=2, n_epochs=1)  # one pass: there is nothing to stop, which held-out trials have a say in
    wrong = y.copy()
    wrong[:60] = np.random.default_rng(0).random(60)
    right_state, wrong_state = (
        [networks.state for networks in train_networks(kind, X, labels, weight, folds, seed=0, recipe=recipe)]
        for labels in (y, wrong)
    )
    for name, values in right_state[0].items():
        np.testing.assert_array_equal(values, wrong_state[0][name], err_msg=name)
    for other in (1, 2):  # what did train on them
        assert any((values != wrong_state[other][name]).any() for name, values in right_state[other].items())


def test_training_leaves_the_random_numbers_of_others_alone(scaled):
    X, y, weight = (values[:100] for values in scaled)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train_networks("stem", X, y, weight, [], seed=0, recipe=Recipe(n_members=1, n_epochs=1))
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_the_whitener_makes_the_mean_covariance_the_identity(scaled):
    X, _, weight = scaled
    whitener = euclidean_whitener(X, weight)
    np.testing.assert_allclose(whitener, whitener.T, atol=1e-12)
    white = whitener @ X
    covariance = np.einsum("nct,ndt->cd", white, white) / len(X) / X.shape[2]
    np.testing.assert_allclose(covariance, np.eye(8), atol=0.15)  # a little is held back, for channels without power


def test_the_whitener_keeps_the_directions_of_most_power_of_many_channels(scaled):
    X, _, weight = scaled
    rng = np.random.default_rng(0)
    many = rng.normal(size=(40, 8)) @ X + 1e-3 * rng.normal(size=(len(X), 40, X.shape[2]))
    whitener = euclidean_whitener(many, weight, n_components=8)
    assert whitener.shape == (8, 40)
    white = whitener @ many
    covariance = np.einsum("nct,ndt->cd", white, white) / len(X) / X.shape[2]
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-6)


def test_a_fold_keeps_the_pass_that_the_other_folds_prefer_and_the_final_networks_that_of_all():
    separations = np.array([[0.0, 1.0, 1.0], [5.0, 0.9, 0.9], [0.0, 1.1, 1.2]])  # (passes, folds)
    assert _kept(separations) == [2, 1, 1, 1]
    own_only = np.array([[0.0, 1.0], [9.0, 0.5], [0.0, 2.0]])
    assert _kept(own_only)[0] == 2, "its own separation has a say"
    assert _kept(own_only[:, :1]) == [2, 1], "a single fold has no other to ask: the last pass"
