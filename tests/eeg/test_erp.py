import numpy as np
import pytest
from scipy import stats

from brainloop.eeg.erp import erp
from brainloop.errors import SettingsError


def test_means_and_intervals_are_those_of_scipy():
    rng = np.random.default_rng(0)
    X = rng.normal(0, 1e-5, (50, 3, 7))
    y = np.arange(50) % 5 == 0
    result = erp(X, y, np.arange(7) / 62.5, ("Fz", "Cz", "Pz"))
    for k, members in enumerate((X[~y], X[y])):
        np.testing.assert_allclose(result.mean[k], members.mean(axis=0))
        np.testing.assert_allclose(result.half_width[k], stats.norm.ppf(0.975) * stats.sem(members), rtol=1e-4)
    assert result.n == (40, 10)


def test_a_class_without_epochs_is_nan_and_nothing_warns(recwarn):
    result = erp(np.ones((3, 1, 2)), np.zeros(3, dtype=bool), np.zeros(2), ("Pz",))
    assert np.isnan(result.mean[1]).all()
    assert np.isnan(result.half_width[1]).all()
    assert not recwarn.list


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(SettingsError, match=r"\(3, 2, 2\)"):
        erp(np.ones((3, 1, 2)), np.zeros(3, dtype=bool), np.zeros(2), ("Pz", "Oz"))
