"""Alignment: everybody's own mean covariance becomes the identity, whatever their skull and electrodes were."""

import numpy as np
import pytest
from pyriemann.geometry.mean import mean_riemann

from brainloop.decoder.alignment import whitener
from brainloop.decoder.covariance import epoch_covariances
from brainloop.errors import SettingsError


@pytest.fixture(name="X")
def epochs():
    rng = np.random.default_rng(4)
    return 1e-5 * rng.standard_normal((5, 5)) @ rng.standard_normal((80, 5, 60))


def test_euclidean_alignment_makes_the_arithmetic_mean_covariance_the_identity(X):
    aligned = whitener(X, "euclidean") @ X
    mean = np.einsum("nct,ndt->cd", aligned, aligned) / (len(X) * X.shape[2])
    np.testing.assert_allclose(mean, np.eye(5), atol=0.1)  # less what keeps directions without power small


def test_riemannian_alignment_makes_the_riemannian_mean_covariance_the_identity(X):
    scale = X.std()
    mean = mean_riemann(epoch_covariances(X / scale)) * scale**2
    align = whitener(X, "riemannian")
    np.testing.assert_allclose(align @ mean @ align, np.eye(5), atol=0.05)


@pytest.mark.parametrize("alignment", ["euclidean", "riemannian"])
def test_amplitude_and_unit_are_gone_after_alignment(X, alignment):
    np.testing.assert_allclose(whitener(1e6 * X, alignment) @ (1e6 * X), whitener(X, alignment) @ X, rtol=1e-6)


def test_a_loud_epoch_moves_the_riemannian_map_less(X):
    loud = X.copy()
    loud[0] *= 50
    moved = {
        kind: np.linalg.norm(whitener(loud, kind) - whitener(X, kind)) / np.linalg.norm(whitener(X, kind))
        for kind in ("euclidean", "riemannian")
    }
    assert moved["riemannian"] < moved["euclidean"] / 2


def test_a_direction_without_power_is_not_blown_up(X):
    referenced = X - X.mean(axis=1, keepdims=True)
    assert np.abs(whitener(referenced, "euclidean") @ referenced).max() < 20


def test_an_unknown_alignment_is_refused(X):
    with pytest.raises(SettingsError, match="euclidean, riemannian, got 'procrustes'"):
        whitener(X, "procrustes")
